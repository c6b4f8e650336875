//! The plan: what would change on the listener, what would be made, what speaks against it. Beside the form of a new
//! canary; it touches nothing.

use arya_plan::preview::RuleLine;
use arya_plan::problem::Severity;
use arya_plan::spec::Instances;

use crate::api::documents::{PlanDocument, ProblemLine};
use crate::web::words;

/// How long a forgotten canary is imagined to stand.
const FORGOTTEN_H: f64 = 48.0;

#[derive(Debug, Clone)]
pub(crate) struct PlanPanel {
    pub(crate) applicable: bool,
    pub(crate) sentence: String,
    pub(crate) rules: Vec<DiffLine>,
    pub(crate) problems: Vec<ProblemView>,
    pub(crate) resources: Vec<(String, String)>,
    pub(crate) checklist: Vec<String>,
    pub(crate) quotas: Vec<QuotaView>,
    pub(crate) other_doors: Vec<String>,
    pub(crate) other_doors_note: Option<String>,
    pub(crate) price: String,
    pub(crate) price_note: Option<String>,
    /// What is launched, with no word left.
    pub(crate) instances: Option<Instances>,
    pub(crate) price_lifetime: String,
    pub(crate) price_forgotten: String,
    pub(crate) free: bool,
    pub(crate) time_to_verdict: String,
    /// The same, kind of metric by kind.
    pub(crate) times: Vec<String>,
    pub(crate) shares: Option<String>,
    pub(crate) digest: String,
    pub(crate) as_of: String,
}

/// A rule of the listener, and whether it stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DiffLine {
    /// `added`, `removed` or nothing.
    pub(crate) class: &'static str,
    pub(crate) sign: &'static str,
    pub(crate) priority: String,
    pub(crate) text: String,
    pub(crate) note: &'static str,
}

#[derive(Debug, Clone)]
pub(crate) struct ProblemView {
    pub(crate) class: &'static str,
    pub(crate) word: &'static str,
    pub(crate) name: String,
    pub(crate) sentence: String,
    /// What a long one goes on to say.
    pub(crate) rest: Option<String>,
    pub(crate) next: String,
    pub(crate) acknowledgeable: bool,
    pub(crate) acknowledged: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct QuotaView {
    pub(crate) name: String,
    pub(crate) use_of: String,
}

impl PlanPanel {
    /// `lifetime_h` is the spec's.
    pub(crate) fn of(plan: &PlanDocument, lifetime_h: f64) -> Self {
        Self {
            applicable: plan.applicable,
            sentence: plan.sentence.clone(),
            rules: diff(&plan.rules_before, &plan.rules_after),
            problems: plan.problems.iter().map(ProblemView::of).collect(),
            resources: plan
                .resources
                .iter()
                .map(|line| (line.what.clone(), line.name.clone()))
                .collect(),
            checklist: plan.checklist.clone(),
            quotas: plan
                .quotas
                .iter()
                .map(|quota| QuotaView {
                    name: quota.name.clone(),
                    use_of: format!("{} of {}", quota.used, quota.limit),
                })
                .collect(),
            other_doors: plan.other_doors.iter().map(|door| door.sentence.clone()).collect(),
            other_doors_note: plan.other_doors_note.clone(),
            price: words::money(plan.price_per_hour),
            price_note: plan.price_note.clone(),
            instances: plan.instances.clone(),
            price_lifetime: words::money(plan.price_per_hour * lifetime_h),
            price_forgotten: words::money(plan.price_per_hour * FORGOTTEN_H),
            free: plan.price_per_hour == 0.0,
            time_to_verdict: plan.time_to_verdict.sentence.clone(),
            times: plan
                .time_to_verdict
                .by_kind
                .iter()
                .map(|time| time.sentence.clone())
                .collect(),
            shares: plan.shares.as_ref().map(|shares| {
                let [production, baseline, canary] =
                    [shares.production, shares.baseline, shares.canary].map(words::percent);
                format!(
                    "Production {production}, baseline {baseline}, canary {canary} (weights {}).",
                    shares.weights
                )
            }),
            digest: plan.digest.clone(),
            as_of: words::clock(plan.as_of),
        }
    }
}

/// A sentence that is longer than this and comes to a list is shown up to its colon.
const LONG_CHARS: usize = 320;

fn in_short(sentence: &str) -> (String, Option<String>) {
    match sentence.split_once(": ") {
        Some((begin, rest)) if sentence.chars().count() > LONG_CHARS => (format!("{begin}."), Some(rest.to_owned())),
        Some(_) | None => (sentence.to_owned(), None),
    }
}

impl ProblemView {
    fn of(problem: &ProblemLine) -> Self {
        let (class, word) = match (problem.severity, problem.blocking) {
            (Severity::Blocks, _) => ("blocks", "Blocks"),
            (Severity::NeedsAcknowledgement, true) => ("asks", "Needs your word"),
            (Severity::NeedsAcknowledgement, false) => ("", "Accepted"),
            (Severity::Note, _) => ("", "Good to know"),
        };
        let (sentence, rest) = in_short(&problem.sentence);
        Self {
            class,
            word,
            name: problem.name.clone(),
            sentence,
            rest,
            next: if problem.acknowledgeable {
                String::new()
            } else {
                problem.next.clone()
            },
            acknowledgeable: problem.acknowledgeable,
            acknowledged: problem.acknowledgeable && !problem.blocking,
        }
    }
}

/// The listener afterwards with what goes and what comes marked. Ours only ever come.
fn diff(before: &[RuleLine], after: &[RuleLine]) -> Vec<DiffLine> {
    let same =
        |a: &RuleLine, b: &RuleLine| a.priority == b.priority && a.conditions == b.conditions && a.actions == b.actions;
    let mut lines: Vec<DiffLine> = Vec::with_capacity(before.len() + after.len());
    let mut gone = before
        .iter()
        .filter(|old| !after.iter().any(|new| same(old, new)))
        .map(|old| line(old, "removed"))
        .collect();
    lines.append(&mut gone);
    for new in after {
        let class = if before.iter().any(|old| same(old, new)) {
            ""
        } else {
            "added"
        };
        lines.push(line(new, class));
    }
    lines
}

fn line(rule: &RuleLine, class: &'static str) -> DiffLine {
    let note = match (rule.ours.as_deref(), rule.chosen) {
        (Some("probe"), _) => "probe rule: only with a secret header",
        (Some("main"), _) => "main rule: created once both arms are healthy",
        (Some(_), _) => "of another canary",
        (None, true) => "the rule you chose; it stays as it is",
        (None, false) => "",
    };
    DiffLine {
        class,
        sign: match class {
            "added" => "+",
            "removed" => "−",
            _ => "",
        },
        priority: rule.priority.clone(),
        text: format!("{} → {}", arya_judge::capitalised(&rule.conditions), rule.actions),
        note,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(priority: &str, conditions: &str, ours: Option<&str>) -> RuleLine {
        RuleLine {
            priority: priority.into(),
            id: String::new(),
            conditions: conditions.into(),
            actions: "forward".into(),
            ours: ours.map(str::to_owned),
            chosen: false,
        }
    }

    #[test]
    fn a_long_list_is_behind_its_first_words() {
        let short = "No route of the subnet: it leads nowhere.";
        assert_eq!(in_short(short), (short.into(), None));
        let long = format!("These were not tried: {}.", "ec2:RunInstances, ".repeat(30));
        let (begin, rest) = in_short(&long);
        assert_eq!(begin, "These were not tried.");
        assert_eq!(format!("These were not tried: {}", rest.unwrap()), long);
    }

    #[test]
    fn what_comes_is_marked_and_what_stays_is_not() {
        let before = [
            rule("10", "path is /api/*", None),
            rule("default", "everything else", None),
        ];
        let after = [
            rule("9", "path is /api/*", Some("main")),
            before[0].clone(),
            before[1].clone(),
        ];
        let signs: Vec<&str> = diff(&before, &after).iter().map(|line| line.sign).collect();
        assert_eq!(signs, ["+", "", ""]);
    }

    #[test]
    fn what_goes_is_marked() {
        assert_eq!(diff(&[rule("10", "a", None)], &[])[0].class, "removed");
    }
}
