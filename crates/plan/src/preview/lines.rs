//! The plan in words: rules, resources, shares, time to a verdict.

use super::doors::Rate;
use super::times::by_kind;
use super::{PreviewRequest, ResourceLine, RuleLine, SharesLine, TimeToVerdict};
use crate::cost;
use crate::desired::Desired;
use crate::identity::{Arm, DeploymentId, LogicalId, Place, RuleKind, SecurityGroupKind, resource_name};
use crate::listener::compose::Slots;
use crate::listener::{Action, Condition, Forward, Rule, RuleId, Site};
use crate::spec::{OneOrMany, Spec};

pub(super) fn shares(desired: &Desired) -> Option<SharesLine> {
    let weights = desired.weights_for(desired.share()).ok()?;
    let arm = weights.arm_percent();
    let production: Vec<_> = weights.production.iter().map(ToString::to_string).collect();
    Some(SharesLine {
        asked: desired.share(),
        canary: arm,
        baseline: arm,
        production: 100.0 - 2.0 * arm,
        weights: format!(
            "production {} : baseline {} : canary {}",
            production.join(" + "),
            weights.arm,
            weights.arm
        ),
    })
}

pub(super) fn resources(desired: &Desired) -> Vec<ResourceLine> {
    let line = |logical_id, what: String| ResourceLine {
        logical_id,
        name: resource_name(&desired.id, logical_id),
        what,
    };
    let mut lines = vec![line(
        LogicalId::Bucket,
        "temporary bucket for the uploaded files".into(),
    )];
    for (kind, what) in [
        (
            SecurityGroupKind::App,
            format!("baseline and canary{}", shell(&desired.spec)),
        ),
        (SecurityGroupKind::Monitor, "the monitor".into()),
    ] {
        lines.push(line(
            LogicalId::SecurityGroup(kind),
            format!("security group of {what}"),
        ));
    }
    lines.extend(Arm::BOTH.map(|arm| {
        let settings = &desired.placement.group;
        let what = format!(
            "target group of the {arm}, port {}, health check {}",
            settings.port, settings.health_check_path
        );
        line(LogicalId::TargetGroup(arm), what)
    }));
    lines.extend(
        desired
            .places()
            .map(|place: Place| line(LogicalId::Instance(place), instance(desired, place))),
    );
    let Slots { probe, main } = desired.placement.slots;
    lines.push(line(
        LogicalId::Rule(RuleKind::Probe),
        format!("probe rule at priority {probe}, matches only a secret header"),
    ));
    lines.push(line(
        LogicalId::Rule(RuleKind::Main),
        format!("main rule at priority {main}"),
    ));
    lines
}

/// Who may come in by SSH, where a key pair was asked for.
fn shell(spec: &Spec) -> String {
    let from: Vec<String> = spec.shell_from().iter().map(ToString::to_string).collect();
    match spec.instances.key_pair.as_str() {
        "none" => String::new(),
        _ if from.is_empty() => ", without SSH, since `monitor.allow_cidrs` names no network".into(),
        _ => format!(", with SSH from {} alone", from.join(" and ")),
    }
}

/// What an instance will be, as far as the spec names it: words are shown by nobody before they are resolved.
fn instance(desired: &Desired, place: Place) -> String {
    let instances = &desired.spec.instances;
    let mut what = vec![
        place.to_string(),
        cost::instance_type(&desired.spec, place.role).to_owned(),
    ];
    if let OneOrMany::Many(subnets) = &instances.subnets
        && !subnets.is_empty()
    {
        what.push(format!("in {}", subnets[usize::from(place.index) % subnets.len()]));
    }
    if place.role.arm().is_some() {
        if let OneOrMany::Many(groups) = &instances.security_groups
            && !groups.is_empty()
        {
            what.push(format!("with security groups {} beside ours", groups.join(" and ")));
        }
        let named = [("profile", &instances.profile), ("key pair", &instances.key_pair)];
        let named = named.into_iter().filter(|(_, name)| *name != "none");
        what.extend(named.map(|(kind, name)| format!("{kind} {name}")));
    }
    let tags: Vec<String> = instances
        .tags
        .named()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    if !tags.is_empty() {
        what.push(format!("tagged {} beside ours", tags.join(" and ")));
    }
    what.join(", ")
}

pub(super) fn rule_lines(site: &Site, deployment: DeploymentId, chosen: Option<&RuleId>) -> Vec<RuleLine> {
    let line = |rule: &Rule| RuleLine {
        priority: rule.priority.to_string(),
        id: rule.id.to_string(),
        conditions: conditions_in_words(&rule.conditions),
        actions: actions_in_words(site, &rule.actions),
        ours: rule.owner.as_ref().map(|owner| match owner.logical_id {
            LogicalId::Rule(RuleKind::Probe) if owner.deployment == deployment => "probe".into(),
            LogicalId::Rule(RuleKind::Main) if owner.deployment == deployment => "main".into(),
            _ => "arya".into(),
        }),
        chosen: chosen == Some(&rule.id),
    };
    site.rules.iter().map(line).collect()
}

/// Conditions as a sentence part; the secret of a probe rule is not shown.
pub fn conditions_in_words(conditions: &[Condition]) -> String {
    let word = |condition: &Condition| match condition {
        Condition::HttpHeader { name, .. } if name == crate::desired::PROBE_HEADER => {
            format!("header {name} is the secret")
        }
        other => other.to_string(),
    };
    match conditions {
        [] => "everything else".into(),
        some => some.iter().map(word).collect::<Vec<_>>().join(" and "),
    }
}

/// Actions as a sentence part.
pub fn actions_in_words(site: &Site, actions: &[Action]) -> String {
    let word = |action: &Action| match action {
        Action::Forward(forward) => forward_in_words(site, forward),
        Action::AuthenticateCognito { .. } => "ask for a login (Cognito)".into(),
        Action::AuthenticateOidc { .. } => "ask for a login (OIDC)".into(),
        Action::JwtValidation { .. } => "check the request's token (JWT)".into(),
        Action::Redirect { verbatim } => redirect_in_words(verbatim),
        Action::FixedResponse { status, .. } => format!("answer {status} by itself"),
    };
    actions.iter().map(word).collect::<Vec<_>>().join(", then ")
}

fn redirect_in_words(verbatim: &serde_json::Value) -> String {
    let text = |key| verbatim.get(key).and_then(|value| value.as_str()).unwrap_or("…");
    format!("redirect to {}://{}{}", text("Protocol"), text("Host"), text("Path"))
}

fn forward_in_words(site: &Site, forward: &Forward) -> String {
    let name = |group: &crate::listener::GroupId| {
        site.groups
            .get(group)
            .map_or_else(|| group.to_string(), |g| g.settings.name.clone())
    };
    let total: u32 = forward.groups.iter().map(|g| u32::from(g.weight)).sum();
    let share = |weight: u16| (1e5 * f64::from(weight) / f64::from(total.max(1))).round() / 1e3;
    let groups: Vec<String> = match forward.groups.as_slice() {
        [one] => vec![name(&one.group)],
        many => many
            .iter()
            .map(|g| format!("{} ({} %)", name(&g.group), share(g.weight)))
            .collect(),
    };
    let sticky = forward
        .stickiness_s
        .map_or(String::new(), |s| format!(", each client staying for {s} s"));
    format!("forward to {}{sticky}", groups.join(", "))
}

/// So many failures of the canary alone convince the judge (found by asking it, see the test beside the planner's),
const EVENTS_FOR_NEW_ERRORS: f64 = 10.0;
/// and at high rates it still wants two blocks of five seconds.
const BLOCKS_AT_LEAST_S: f64 = 10.0;
/// The regression that the estimate is made for: one request in a hundred fails that did not fail before.
const REGRESSION: f64 = 0.01;

/// How long the judge needs at so many requests per second and arm to call a canary harmful that newly fails 1 % of them.
pub fn seconds_to_harmful(requests_per_s: f64) -> f64 {
    EVENTS_FOR_NEW_ERRORS / (REGRESSION * requests_per_s) + BLOCKS_AT_LEAST_S
}

/// Seconds as a person says them, rounded up.
pub(super) fn time_in_words(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} minutes", (s / 60.0).ceil()),
        s => format!("{:.0} hours", (s / 3600.0).ceil()),
    }
}

/// With what is known of the traffic: how much, and how that is known.
pub(super) fn time_to_verdict(request: &PreviewRequest<'_>, rate: Rate) -> TimeToVerdict {
    let share = request.spec.canary_percent.percent() / 100.0;
    let canary = rate.per_s.map(|rate| rate * share);
    let sentence = match canary {
        None => match &rate.told {
            Some(why) => format!("The traffic of the chosen rule is not known, so no time can be said: {why}."),
            None => "The traffic of the chosen rule is not known yet, so no time can be said.".into(),
        },
        Some(rate) if rate <= 0.0 && share > 0.0 => {
            "The chosen rule answered no requests lately: without traffic there will be no verdict.".into()
        }
        Some(rate) if rate <= 0.0 => {
            "At this share the canary gets no traffic: there will be no verdict until the share is raised.".into()
        }
        Some(rate) => {
            let time = time_in_words(seconds_to_harmful(rate));
            format!(
                "At {rate:.1} requests/s to the canary, a canary that newly fails {:.0} % of its requests is shown harmful in \
                 about {time}.",
                REGRESSION * 100.0
            )
        }
    };
    let told = rate.told.filter(|_| canary.is_some());
    TimeToVerdict {
        requests_per_s: rate.per_s,
        canary_requests_per_s: canary,
        sentence: [Some(sentence), told]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" "),
        by_kind: canary.filter(|rate| *rate > 0.0).map(by_kind).unwrap_or_default(),
    }
}
