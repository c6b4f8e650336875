//! What is wrong with `analysis.metrics`, before anything is known of what the arms will show.

use arya_judge::source::pack::{MetricEdit, default_names};

use super::ranges::short_text;
use crate::problem::Problem;

const FIELD: &str = "analysis.metrics";
/// More entries than there could be metrics.
const ENTRIES_MAX: usize = 50;
/// A default metric is taken to be meant when it is at most this many edits away.
const NEAR: usize = 4;

pub(super) fn problems(edits: &[MetricEdit], problems: &mut Vec<Problem>) {
    let mut refuse = |place: usize, sentence: String, next: String| {
        let field = format!("{FIELD}[{place}]");
        problems.push(Problem::blocks(format!("spec:{field}"), sentence, next).at(field));
    };
    if edits.len() > ENTRIES_MAX {
        let sentence = format!(
            "`{FIELD}` has {} entries; at most {ENTRIES_MAX} are possible.",
            edits.len()
        );
        refuse(ENTRIES_MAX, sentence, "Use fewer.".into());
        return;
    }
    for (place, edit) in edits.iter().enumerate() {
        if let Err(error) = edit.check() {
            refuse(
                place,
                error.to_string(),
                "Correct it; docs/metrics.md lists the keys.".into(),
            );
        } else if edits[..place].iter().any(|earlier| earlier.name == edit.name) {
            let sentence = format!("The metric `{}` is named twice.", short_text(&edit.name));
            refuse(place, sentence, "Keep one entry.".into());
        } else if edit.series.is_none() && !is_default(&edit.name) {
            let (sentence, next) = unknown(&edit.name);
            refuse(place, sentence, next);
        }
    }
}

fn is_default(name: &str) -> bool {
    default_names().any(|known| known == name)
}

fn unknown(name: &str) -> (String, String) {
    let distance = |known: &&str| strsim::damerau_levenshtein(known, name);
    let near = default_names()
        .min_by_key(distance)
        .filter(|known| distance(known) <= NEAR);
    let name = short_text(name);
    match near {
        Some(near) => (
            format!("There is no default metric `{name}`; the nearest is `{near}`."),
            format!("Write `{near}`, or give the `series` of a metric of your own."),
        ),
        None => (
            format!("There is no default metric `{name}`."),
            "Give the `series` of a metric of your own, or take a name from docs/metrics.md.".into(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(edits: &str, expected: &[(&str, &str)]) {
        let edits: Vec<MetricEdit> = serde_json::from_str(edits).unwrap();
        let mut found = Vec::new();
        problems(&edits, &mut found);
        let found: Vec<(&str, &str)> = found.iter().map(|p| (p.name.as_str(), p.sentence.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn defaults_may_be_changed_and_own_metrics_added() {
        check(
            r#"[{"name":"latency","critical":false},{"name":"memory","off":true},{"name":"queue","series":{"level":"queue_length"}}]"#,
            &[],
        );
    }

    #[test]
    fn a_metric_that_nobody_has_is_named_with_the_nearest() {
        check(
            r#"[{"name":"latncy","critical":false},{"name":"failed checkouts"}]"#,
            &[
                (
                    "spec:analysis.metrics[0]",
                    "There is no default metric `latncy`; the nearest is `latency`.",
                ),
                (
                    "spec:analysis.metrics[1]",
                    "There is no default metric `failed checkouts`.",
                ),
            ],
        );
    }

    #[test]
    fn numbers_out_of_range_and_names_given_twice_are_refused() {
        check(
            r#"[{"name":"latency","pass_margin":0.5},{"name":"cpu"},{"name":"cpu"}]"#,
            &[
                (
                    "spec:analysis.metrics[0]",
                    "`pass_margin` of the metric `latency` must be above 1, at most 100.",
                ),
                ("spec:analysis.metrics[2]", "The metric `cpu` is named twice."),
            ],
        );
    }

    #[test]
    fn a_name_is_quoted_as_it_was_written() {
        check(
            r#"[{"name":"expected a map"}]"#,
            &[(
                "spec:analysis.metrics[0]",
                "There is no default metric `expected a map`.",
            )],
        );
    }
}
