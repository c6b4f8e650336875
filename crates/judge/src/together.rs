//! All metrics heard together (S4), minute by minute: which of them closed testing names, and when their average first
//! showed harm.
//!
//! It reads only what each metric said at its own minutes, so it does not matter in which order their blocks arrived.

use crate::Timestamp;
use crate::sequential::combine::{adjusted_one, global};
use crate::walk::Mark;

/// The first times at which something was shown by all metrics together.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Heard {
    /// For each metric, when closed testing first named it, and when its regression began.
    pub(crate) named: Vec<Option<(Timestamp, Option<Timestamp>)>>,
    /// When the average first showed harm, with each metric's evidence at that time.
    pub(crate) gate: Option<(Timestamp, Vec<f64>)>,
}

/// Hears the marks of all metrics in the order of their minutes. `threshold` is of log evidence.
pub(crate) fn hear(marks: &[&[Mark]], weights: &[f64], threshold: f64) -> Heard {
    let mut heard = Heard {
        named: vec![None; marks.len()],
        gate: None,
    };
    let loud = marks
        .iter()
        .flat_map(|marks| marks.iter())
        .filter(|mark| mark.log_e >= threshold);
    // An average is never above its largest part, so only minutes in which a metric is loud can show anything. Evidence
    // that stays up to the next mark is heard again in the minutes of the others.
    let mut minutes: Vec<i64> = loud.map(Mark::minute).collect();
    minutes.extend(minutes_of_others(marks, threshold));
    minutes.sort_unstable();
    minutes.dedup();
    for minute in minutes {
        let present: Vec<Option<&Mark>> = marks.iter().map(|marks| as_of(marks, minute)).collect();
        let log_es: Vec<f64> = present.iter().map(|mark| mark.map_or(0.0, |mark| mark.log_e)).collect();
        let Some(at) = present.iter().flatten().map(|mark| mark.at).max() else {
            continue;
        };
        if heard.gate.is_none() && global(&log_es, weights) >= threshold {
            heard.gate = Some((at, log_es.clone()));
        }
        for (own, named) in heard.named.iter_mut().enumerate() {
            let loud = named.is_none() && log_es[own] >= threshold;
            if loud && adjusted_one(own, &log_es, weights) >= threshold {
                *named = Some((at, present[own].and_then(|mark| mark.since)));
            }
        }
    }
    heard
}

/// Minutes in which some metric has a mark while another's latest mark is loud.
fn minutes_of_others<'a>(marks: &'a [&'a [Mark]], threshold: f64) -> impl Iterator<Item = i64> + 'a {
    let first_loud = |marks: &&[Mark]| marks.iter().find(|mark| mark.log_e >= threshold).map(Mark::minute);
    let from = marks.iter().filter_map(first_loud).min().unwrap_or(i64::MAX);
    marks
        .iter()
        .flat_map(|marks| marks.iter())
        .map(Mark::minute)
        .filter(move |minute| *minute >= from)
}

/// What a metric had said by a minute.
fn as_of(marks: &[Mark], minute: i64) -> Option<&Mark> {
    marks[..marks.partition_point(|mark| mark.minute() <= minute)].last()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(log_es: &[(i64, f64)]) -> Vec<Mark> {
        let mark = |(minute, log_e): &(i64, f64)| Mark {
            at: Timestamp::from_second(60 * minute).unwrap(),
            log_e: *log_e,
            since: None,
        };
        log_es.iter().map(mark).collect()
    }

    fn check(all: &[&[(i64, f64)]], gate: Option<i64>, named: &[Option<i64>]) {
        let marks: Vec<Vec<Mark>> = all.iter().map(|one| marks(one)).collect();
        let slices: Vec<&[Mark]> = marks.iter().map(Vec::as_slice).collect();
        let weights = vec![1.0 / all.len() as f64; all.len()];
        let heard = hear(&slices, &weights, 3.0);
        let minute = |at: Timestamp| at.as_second() / 60;
        assert_eq!(heard.gate.as_ref().map(|(at, _)| minute(*at)), gate);
        let names: Vec<_> = heard.named.iter().map(|name| name.map(|(at, _)| minute(at))).collect();
        assert_eq!(names, named);
    }

    #[test]
    fn one_clear_metric_is_named() {
        check(
            &[&[(1, 0.0), (2, 9.0)], &[(1, 0.0), (2, 0.1)]],
            Some(2),
            &[Some(2), None],
        );
    }

    #[test]
    fn metrics_that_are_weak_alone_are_strong_together() {
        // ln(e^3.6 / 2) is below 3: neither stands against a silent neighbour, both stand together.
        check(&[&[(1, 3.6)], &[(1, 3.6)]], Some(1), &[Some(1), Some(1)]);
        check(&[&[(1, 3.6)], &[(1, -20.0)]], None, &[None, None]);
    }

    #[test]
    fn what_was_shown_once_stays() {
        check(
            &[&[(1, 9.0), (2, -9.0)], &[(1, 0.0), (2, 0.0)]],
            Some(1),
            &[Some(1), None],
        );
    }

    #[test]
    fn a_late_metric_is_heard_at_its_own_minute() {
        check(&[&[(1, 3.6)], &[(4, 3.6)]], Some(4), &[Some(4), Some(4)]);
    }

    #[test]
    fn nothing_said_is_nothing_heard() {
        check(&[&[], &[]], None, &[None, None]);
        check(&[], None, &[]);
    }
}
