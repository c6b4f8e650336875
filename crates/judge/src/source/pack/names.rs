//! Every series that a deployment may come to be judged by, known before any arm shows one: what a monitor sends that
//! cannot be asked.

use std::collections::BTreeSet;

use super::{FAMILIES, MetricEdit};
use crate::source::Watched;

/// The names of all series that the default metrics are chosen from, and of those that a person asks for.
pub fn every_name(edits: &[MetricEdit]) -> BTreeSet<String> {
    let known = FAMILIES.iter().map(|family| family.shape.watched());
    let asked = edits.iter().filter_map(|edit| edit.series.clone());
    known
        .chain(asked)
        .flat_map(|watched| with_its_signs(&watched))
        .collect()
}

/// What a metric is made of, and what else is looked at when it is chosen: that a sum is missing tells a native histogram.
fn with_its_signs(watched: &Watched) -> Vec<String> {
    let mut names = watched.names();
    if let Watched::Buckets(of) = watched {
        names.push(of.with_suffix("_sum").name);
    }
    names
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::{Exposed, call_errors_unseen, choose};
    use super::*;
    use crate::source::Origin;

    type LabelSet = BTreeMap<String, String>;

    /// A series of each name in both arms, with every label that some row of the table asks for.
    fn shown(names: &[String]) -> Vec<LabelSet> {
        let labels = [
            "code",
            "status",
            "status_code",
            "http_status_code",
            "http_response_status_code",
            "le",
            "grpc_code",
            "level",
        ];
        let of = |(name, arm): (&String, &str)| -> LabelSet {
            let own = [("__name__", name.as_str()), ("arm", arm)];
            let all = labels.iter().map(|label| (*label, "1")).chain(own);
            all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
        };
        let both = |name| [(name, "baseline"), (name, "canary")];
        names.iter().flat_map(both).map(of).collect()
    }

    #[test]
    fn the_choice_is_the_same_from_what_is_sent_as_from_everything() {
        let sent = every_name(&[]);
        let is_sent = |labels: &LabelSet| sent.contains(&labels["__name__"]);
        for family in FAMILIES {
            let watched = family.shape.watched();
            let beside = watched.names().into_iter().flat_map(|name| {
                let base = name.trim_end_matches("_bucket").to_owned();
                [
                    name,
                    format!("{base}_sum"),
                    format!("{base}_count"),
                    format!("{base}_created"),
                ]
            });
            let everything = shown(&beside.collect::<Vec<_>>());
            let chosen = choose(&Exposed::of(&everything), &[]);
            let some: Vec<LabelSet> = everything.into_iter().filter(is_sent).collect();
            assert_eq!(choose(&Exposed::of(&some), &[]), chosen, "{}", family.made_by);
        }
    }

    #[test]
    fn what_is_judged_without_being_chosen_is_sent_too() {
        let own = MetricEdit {
            name: "queue".into(),
            series: Some(Watched::Level("shop_queue_length{kind=\"mail\"}".parse().unwrap())),
            ..MetricEdit::default()
        };
        assert!(every_name(&[own]).contains("shop_queue_length"));
        let Origin::Series(calls) = call_errors_unseen().from else {
            panic!("made of series");
        };
        assert!(calls.names().iter().all(|name| every_name(&[]).contains(name)));
    }
}
