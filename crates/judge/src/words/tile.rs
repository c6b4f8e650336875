//! The short words of a metric's tile: one number of each arm, the difference, the evidence, and how much longer.

use super::numbers::{amount, digits, duration, factor_down, factor_up, odds, whole};
use crate::{ArmCount, Measured, MetricVerdict, Reason, Unit};

/// One arm's number, and what it rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArmWords {
    /// Such as `0.31 %` or `240 ms`.
    pub value: String,
    /// Such as `4 of 1,290 requests`.
    pub rests_on: String,
}

impl MetricVerdict {
    /// The number that says most of each arm, baseline first, with what it rests on.
    pub fn arms(&self) -> (ArmWords, ArmWords) {
        let (baseline, canary) = self.values();
        let value = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| self.value(value));
        let words = |number, rests_on| ArmWords {
            value: value(number),
            rests_on,
        };
        let (on_baseline, on_canary) = match &self.measured {
            Measured::Share => (of_requests(&self.baseline), of_requests(&self.canary)),
            Measured::Rate => (in_time(&self.baseline), in_time(&self.canary)),
            Measured::Quantiles(quantiles) => {
                let requests = |count: f64| format!("p95 of {} requests", whole(count));
                (requests(quantiles.requests.0), requests(quantiles.requests.1))
            }
            Measured::Means(means) => {
                let plural = if means.samples == 1 { "" } else { "s" };
                let mean = || format!("mean of {} sample{plural}", whole(means.samples as f64));
                (mean(), mean())
            }
        };
        (words(baseline, on_baseline), words(canary, on_canary))
    }

    /// Canary less baseline, with its sign; `None` where there is nothing to subtract.
    pub fn difference_in_words(&self) -> Option<String> {
        let (baseline, canary) = self.values();
        let difference = canary? - baseline?;
        let sign = if difference < 0.0 { "−" } else { "+" };
        let size = difference.abs();
        Some(match &self.measured {
            Measured::Share => format!("{sign}{} points", digits(size)),
            Measured::Rate | Measured::Quantiles(_) | Measured::Means(_) => format!("{sign}{}", self.value(size)),
        })
    }

    /// What the interval is an interval of.
    pub fn compared(&self) -> String {
        match &self.measured {
            Measured::Share | Measured::Rate => "the canary's rate as a multiple of the baseline's".to_owned(),
            Measured::Quantiles(quantiles) => match quantiles.edge {
                Some(edge) => format!(
                    "the canary's requests over {} as a multiple of the baseline's",
                    amount(edge, self.unit)
                ),
                None => "the canary's slow requests as a multiple of the baseline's".to_owned(),
            },
            Measured::Means(_) => "the canary's mean as a multiple of the baseline's".to_owned(),
        }
    }

    /// The interval that holds at any time, never narrower than it is.
    pub fn interval_in_words(&self) -> String {
        self.bounds_in_words().unwrap_or_else(|| "not bounded yet".to_owned())
    }

    /// `None` while neither side has a bound.
    pub(super) fn bounds_in_words(&self) -> Option<String> {
        match self.interval {
            (lower, Some(upper)) => Some(format!("between {} and {}", factor_down(lower), factor_up(upper))),
            (lower, None) if lower > 0.0 => Some(format!("at least {}", factor_down(lower))),
            (_, None) => None,
        }
    }

    /// The evidence for a regression beside the one that raises the alarm.
    pub fn evidence_in_words(&self) -> String {
        format!("evidence {}, alarm at {}", odds(self.log_e), odds(self.log_e_alarm))
    }

    /// What a metric waits for that says nothing yet; `None` once it says something.
    pub fn outlook(&self) -> Option<String> {
        match &self.reason {
            Reason::NotEnoughEvidence { minutes_to_pass, .. } => Some(match minutes_to_pass {
                Some(_) => format!(
                    "not enough evidence: {} more at this traffic, if nothing is wrong",
                    duration(*minutes_to_pass)
                ),
                None => "not enough evidence: more than a day at this traffic, if nothing is wrong".to_owned(),
            }),
            Reason::TooFewEvents { .. } | Reason::TooFewSamples { .. } | Reason::FirstMinute { .. } => {
                Some(format!("not enough evidence: {}", self.reason.sentence()))
            }
            Reason::MinimumBake { .. } | Reason::NoRequests { .. } | Reason::SourceFailed { .. } => {
                Some(self.reason.sentence())
            }
            _ => None,
        }
    }

    /// One number in the metric's own terms, for a mark on an axis.
    pub fn value(&self, number: f64) -> String {
        match &self.measured {
            Measured::Share => format!("{} %", digits(number)),
            Measured::Rate => format!("{} a minute", digits(60.0 * number)),
            Measured::Quantiles(_) | Measured::Means(_) => amount(number, self.unit),
        }
    }
}

impl Unit {
    /// A number of this unit, as people write it.
    pub fn in_words(self, number: f64) -> String {
        amount(number, self)
    }
}

fn of_requests(arm: &ArmCount) -> String {
    format!("{} of {} requests", whole(arm.events), whole(arm.exposure))
}

fn in_time(arm: &ArmCount) -> String {
    format!("{} in {}", whole(arm.events), duration(Some(arm.exposure / 60.0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fixtures, judge};

    fn tile(canary_events: f64) -> MetricVerdict {
        let (config, evidence) = fixtures::errors(20, |_| (2.0, canary_events));
        judge(&config, &evidence).metrics.remove(0)
    }

    #[test]
    fn a_tile_says_both_arms_the_difference_and_the_evidence() {
        let harmful = tile(50.0);
        let (baseline, canary) = harmful.arms();
        assert_eq!((baseline.value.as_str(), canary.value.as_str()), ("0.4 %", "10 %"));
        assert_eq!(canary.rests_on, "1,000 of 10,000 requests");
        assert_eq!(harmful.difference_in_words().unwrap(), "+9.6 points");
        let evidence = harmful.evidence_in_words();
        assert!(
            evidence.starts_with("evidence ") && evidence.contains(":1, alarm at "),
            "{evidence}"
        );
        assert!(harmful.interval_in_words().starts_with("between "), "{harmful:?}");
        assert_eq!((harmful.outlook(), harmful.margin), (None, Some(1.5)));
    }

    #[test]
    fn a_tile_without_an_answer_says_how_much_longer() {
        let outlook = tile(2.0).outlook().unwrap();
        assert!(outlook.starts_with("not enough evidence: about "), "{outlook}");
        assert!(
            outlook.ends_with(" more at this traffic, if nothing is wrong"),
            "{outlook}"
        );
    }
}
