//! Our rule in front of a chosen one: its conditions and the user's, its login and rewrites, two priorities directly
//! before it. Everything that AWS would refuse is refused here, with field, value and limit.

use arya_bundle::Digest;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::pattern::{self, Case};
use super::{Action, Condition, GroupSettings, Priority, Rule, Site, limits};
use crate::problem::Problem;

/// What both of our rules take over from the chosen rule, and the main rule's conditions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Composed {
    /// The chosen rule's conditions and the user's; never empty.
    pub conditions: Vec<Condition>,
    /// Login actions that stand before the forward action.
    pub logins: Vec<Action>,
    pub transforms: Vec<Value>,
}

/// The priorities of our two rules: the probe rule directly before the main rule, that directly before the chosen one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slots {
    pub probe: u16,
    pub main: u16,
}

/// Composes our rule in front of `chosen`, or says everything that forbids it.
pub fn in_front_of(chosen: &Rule, user: &[Condition]) -> Result<Composed, Vec<Problem>> {
    let mut problems = Vec::new();
    for condition in user {
        check_condition(condition, &mut problems);
    }
    let mut conditions = chosen.conditions.clone();
    for condition in user {
        if let Err(problem) = add_condition(&mut conditions, condition) {
            problems.push(problem);
        }
    }
    if conditions.is_empty() {
        // A rule without conditions is not allowed; this one matches every request.
        conditions.push(Condition::PathPattern {
            values: vec!["*".into()],
        });
    }
    check_budget(&conditions, &mut problems);
    let logins = logins(chosen, &mut problems);
    if problems.is_empty() {
        Ok(Composed {
            conditions,
            logins,
            transforms: chosen.transforms.clone(),
        })
    } else {
        Err(problems)
    }
}

/// Adds one condition of the user's. Of path, host, method and source IP a rule can have one condition each: equal ones
/// count once, of two where one provably contains the other the narrower stays, else it is refused.
fn add_condition(conditions: &mut Vec<Condition>, user: &Condition) -> Result<(), Problem> {
    if conditions.contains(user) {
        return Ok(());
    }
    let repeatable = matches!(user, Condition::HttpHeader { .. } | Condition::QueryString { .. });
    let same = conditions.iter_mut().find(|c| !repeatable && c.field() == user.field());
    let Some(existing) = same else {
        conditions.push(user.clone());
        return Ok(());
    };
    if condition_contains(existing, user) {
        *existing = user.clone();
        Ok(())
    } else if condition_contains(user, existing) {
        Ok(())
    } else {
        Err(Problem::blocks(
            format!("condition:{}", user.field()),
            format!(
                "The chosen rule already asks that {existing}, and you ask that {user}. A rule can hold one {} \
                 condition, and neither of the two contains the other.",
                user.field()
            ),
            "Choose values inside those of the chosen rule, or another rule to stand in front of.",
        )
        .at("conditions"))
    }
}

/// Whether every request that `narrow` matches is provably matched by `wide`.
fn condition_contains(wide: &Condition, narrow: &Condition) -> bool {
    let patterns = |wide: &[String], narrow: &[String], case| {
        narrow
            .iter()
            .all(|n| wide.iter().any(|w| pattern::contains(w, n, case)))
    };
    match (wide, narrow) {
        (Condition::PathPattern { values: w }, Condition::PathPattern { values: n }) => patterns(w, n, Case::Sensitive),
        (Condition::HostHeader { values: w }, Condition::HostHeader { values: n }) => patterns(w, n, Case::Insensitive),
        (Condition::HttpRequestMethod { values: w }, Condition::HttpRequestMethod { values: n }) => {
            n.iter().all(|method| w.contains(method))
        }
        (Condition::SourceIp { values: w }, Condition::SourceIp { values: n }) => {
            n.iter().all(|net| w.iter().any(|wide| wide.contains(net)))
        }
        _ => false,
    }
}

/// Whether some request may match both sets of conditions. Says `true` where it cannot be ruled out.
pub fn may_overlap(a: &[Condition], b: &[Condition]) -> bool {
    !a.iter().any(|x| b.iter().any(|y| provably_disjoint(x, y)))
}

fn provably_disjoint(a: &Condition, b: &Condition) -> bool {
    let patterns = |a: &[String], b: &[String], case| !a.iter().any(|x| b.iter().any(|y| pattern::overlap(x, y, case)));
    match (a, b) {
        (Condition::PathPattern { values: a }, Condition::PathPattern { values: b }) => patterns(a, b, Case::Sensitive),
        (Condition::HostHeader { values: a }, Condition::HostHeader { values: b }) => patterns(a, b, Case::Insensitive),
        (Condition::HttpRequestMethod { values: a }, Condition::HttpRequestMethod { values: b }) => {
            !a.iter().any(|method| b.contains(method))
        }
        (Condition::SourceIp { values: a }, Condition::SourceIp { values: b }) => {
            !a.iter().any(|x| b.iter().any(|y| x.contains(y) || y.contains(x)))
        }
        // A request can carry a header or a query key several times, so different values do not exclude each other.
        _ => false,
    }
}

fn logins(chosen: &Rule, problems: &mut Vec<Problem>) -> Vec<Action> {
    let mut logins = Vec::new();
    for action in &chosen.actions {
        match action {
            Action::AuthenticateCognito { .. } | Action::JwtValidation { .. } => logins.push(action.clone()),
            Action::AuthenticateOidc { .. } => problems.push(Problem::blocks(
                "login:oidc",
                "The chosen rule logs users in by OpenID Connect. AWS does not hand out the client secret that our \
                 copy of that login would need, and a rule without it would let people in without login.",
                "Stand in front of a rule without an OIDC action.",
            )),
            Action::Forward(_) | Action::Redirect { .. } | Action::FixedResponse { .. } => {}
        }
    }
    logins
}

fn check_condition(condition: &Condition, problems: &mut Vec<Problem>) {
    let mut refuse = |sentence: String, next: &str| {
        problems.push(Problem::blocks(format!("condition:{}", condition.field()), sentence, next).at("conditions"));
    };
    let field = condition.field();
    if condition.value_count() == 0 {
        refuse(
            format!("The {field} condition has no value."),
            "Add a value or remove the condition.",
        );
    }
    let mut too_long = |value: &str, max: usize| {
        if value.is_empty() || value.chars().count() > max {
            refuse(
                format!(
                    "The {field} value \"{value}\" has {} characters; AWS takes 1 to {max}.",
                    value.chars().count()
                ),
                "Shorten it.",
            );
        }
    };
    match condition {
        Condition::PathPattern { values } => values.iter().for_each(|v| too_long(v, limits::VALUE_LENGTH)),
        Condition::HostHeader { values } => {
            values.iter().for_each(|v| too_long(v, limits::VALUE_LENGTH));
            for value in values.iter().filter(|v| !v.contains('.')) {
                refuse(
                    format!("The host \"{value}\" has no dot; AWS wants at least one."),
                    "Write the full name.",
                );
            }
        }
        Condition::HttpHeader { name, values } => {
            too_long(name, limits::HEADER_NAME_LENGTH);
            values.iter().for_each(|v| too_long(v, limits::VALUE_LENGTH));
            if name.eq_ignore_ascii_case("host") {
                refuse(
                    "An http-header condition cannot name the Host header.".into(),
                    "Use a host-header condition.",
                );
            }
        }
        Condition::HttpRequestMethod { values } => {
            values.iter().for_each(|v| too_long(v, limits::METHOD_LENGTH));
            let allowed = |c: char| c.is_ascii_uppercase() || c == '-' || c == '_';
            for value in values.iter().filter(|v| !v.chars().all(allowed)) {
                refuse(
                    format!("The method \"{value}\" may have only capital letters, hyphens and underscores."),
                    "Write it as in the request line, e.g. GET.",
                );
            }
        }
        Condition::QueryString { values } => values.iter().for_each(|v| {
            too_long(&v.value, limits::VALUE_LENGTH);
            if let Some(key) = &v.key {
                too_long(key, limits::VALUE_LENGTH);
            }
        }),
        Condition::SourceIp { values } => {
            for net in values.iter().filter(|net| net.to_string() == "255.255.255.255/32") {
                refuse(
                    format!("AWS does not take {net} as a source IP."),
                    "Name your own range.",
                );
            }
        }
    }
}

/// The budget of a whole rule: 3 values a condition, 5 values and 5 wildcards a rule.
fn check_budget(conditions: &[Condition], problems: &mut Vec<Problem>) {
    let mut over = |what: &str, count: usize, limit: usize| {
        if count > limit {
            problems.push(
                Problem::blocks(
                    format!("limit:{}", what.replace(' ', "_")),
                    format!("Together with the chosen rule's conditions our rule would have {count} {what}; AWS allows {limit}."),
                    "Use fewer values, or stand in front of a rule with fewer conditions.",
                )
                .at("conditions"),
            );
        }
    };
    for condition in conditions {
        let values = format!("values in its {} condition", condition.field());
        over(&values, condition.value_count(), limits::VALUES_PER_CONDITION);
    }
    over(
        "condition values",
        conditions.iter().map(Condition::value_count).sum(),
        limits::VALUES_PER_RULE,
    );
    over(
        "wildcards",
        conditions.iter().map(wildcards).sum(),
        limits::WILDCARDS_PER_RULE,
    );
}

fn wildcards(condition: &Condition) -> usize {
    let count = |text: &str| text.chars().filter(|c| matches!(c, '*' | '?')).count();
    match condition {
        Condition::PathPattern { values } | Condition::HostHeader { values } | Condition::HttpHeader { values, .. } => {
            values.iter().map(|v| count(v)).sum()
        }
        Condition::QueryString { values } => values
            .iter()
            .map(|v| count(&v.value) + v.key.as_deref().map_or(0, count))
            .sum(),
        Condition::HttpRequestMethod { .. } | Condition::SourceIp { .. } => 0,
    }
}

/// Two free priorities directly before the chosen rule. In front of the default rule these are the two highest numbers,
/// so that a rule the team adds later still comes before ours.
pub fn slots_before(site: &Site, chosen: &Rule) -> Result<Slots, Problem> {
    let taken = |number: u16| site.rules.iter().any(|rule| rule.priority == Priority::At(number));
    let end = match chosen.priority {
        Priority::At(number) => number,
        Priority::Default => limits::PRIORITY_MAX + 1,
    };
    if let (Some(main), Some(probe)) = (end.checked_sub(1), end.checked_sub(2))
        && probe >= 1
        && !taken(main)
        && !taken(probe)
    {
        return Ok(Slots { probe, main });
    }
    Err(Problem::blocks(
        "priority",
        format!(
            "There are no two free priorities directly before the chosen rule (priority {}), and Arya never moves a \
             rule that it did not create.",
            chosen.priority
        ),
        format!(
            "Make room yourself, keeping the order: {}",
            make_room_command(site, end)
        ),
    )
    .at("in_front_of"))
}

/// The order-preserving command that frees two priorities before `end`; the user runs it, never Arya.
fn make_room_command(site: &Site, end: u16) -> String {
    let numbered: Vec<(u16, &str)> = site
        .rules
        .iter()
        .filter_map(|rule| match rule.priority {
            Priority::At(number) => Some((number, rule.id.as_str())),
            Priority::Default => None,
        })
        .collect();
    let (before, after): (Vec<_>, Vec<_>) = numbered.into_iter().partition(|(number, _)| *number < end);
    // Rules from the chosen one on go up as far as needed; where that is above the highest, as in front of the default rule,
    // the earlier ones go down.
    let up = upwards(&before, &after).filter(|_| end <= limits::PRIORITY_MAX);
    let moves = up.unwrap_or_else(|| downwards(&before, end - 3));
    let moves = moves.iter().map(|(id, to)| format!("RuleArn={id},Priority={to}"));
    let moves = moves.collect::<Vec<_>>();
    format!("aws elbv2 set-rule-priorities --rule-priorities {}", moves.join(" "))
}

/// `None` where the highest priority is too low for it.
fn upwards<'r>(before: &[(u16, &str)], after: &[(u16, &'r str)]) -> Option<Vec<(&'r str, u16)>> {
    let mut moves = Vec::new();
    let mut floor = before.last().map_or(0, |(number, _)| *number).checked_add(3)?;
    for (number, id) in after {
        if *number < floor {
            moves.push((*id, floor));
        }
        floor = floor.max(*number).checked_add(1)?;
    }
    let fits = moves.iter().all(|(_, to)| *to <= limits::PRIORITY_MAX);
    fits.then_some(moves)
}

fn downwards<'r>(before: &[(u16, &'r str)], mut ceiling: u16) -> Vec<(&'r str, u16)> {
    let mut moves = Vec::new();
    for (number, id) in before.iter().rev() {
        if *number > ceiling {
            moves.push((*id, ceiling));
        }
        ceiling = ceiling.min(*number).saturating_sub(1);
    }
    moves
}

/// What must stay as it was for our rule to be right: the chosen rule, its groups, and earlier rules that may take some
/// of the same requests. Never health, membership or tags; rules of Arya's are ignored.
pub fn site_digest(site: &Site, chosen: &Rule, composed: &Composed) -> String {
    #[derive(Serialize)]
    struct Covered<'s> {
        chosen: &'s Rule,
        groups: Vec<(&'s str, Option<&'s GroupSettings>)>,
        earlier: Vec<&'s Rule>,
    }
    let groups = chosen.forward().into_iter().flat_map(|f| &f.groups);
    let covered = Covered {
        chosen,
        groups: groups
            .map(|g| (g.group.as_str(), site.groups.get(&g.group).map(|s| &s.settings)))
            .collect(),
        earlier: earlier_overlapping(site, chosen, composed).collect(),
    };
    let json = serde_json::to_vec(&covered).expect("plain data without maps of odd keys always serialises");
    Digest::of(&json).hex().to_owned()
}

/// Rules of the user's before the chosen one that may match some of the same requests.
pub fn earlier_overlapping<'s>(
    site: &'s Site,
    chosen: &'s Rule,
    composed: &'s Composed,
) -> impl Iterator<Item = &'s Rule> {
    site.rules
        .iter()
        .filter(|rule| rule.owner.is_none() && rule.priority < chosen.priority)
        .filter(|rule| may_overlap(&rule.conditions, &composed.conditions))
}

#[cfg(test)]
mod tests;
