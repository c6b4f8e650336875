//! What is said once nothing more is measured: the same findings without *yet*, and what was missing instead of how much
//! longer it takes.

use super::numbers::{capitalised, duration, exact_clock};
use crate::{MetricVerdict, Outcome, Reason, Verdict};

impl Outcome {
    /// The word a person reads when no more evidence comes.
    pub fn last_word(self) -> &'static str {
        match self {
            Outcome::Harmful | Outcome::NoWorse => self.word(),
            Outcome::Inconclusive => "not enough evidence",
        }
    }
}

impl Verdict {
    /// [`Verdict::sentence`] of a deployment that has ended.
    pub fn last_sentence(&self) -> String {
        if self.outcome != Outcome::Inconclusive {
            return self.sentence();
        }
        let word = self.outcome.last_word();
        let outcome = capitalised(word);
        if let Some(pause) = &self.paused {
            let last = self
                .as_of
                .zip(self.deciding_metric().and_then(MetricVerdict::numbers))
                .map(|(at, numbers)| format!(" Last measured at {}: {numbers}.", exact_clock(at)));
            let (since, why) = (exact_clock(pause.since), &pause.why);
            return format!(
                "{outcome}: nothing was judged from {since} on. {why}{}",
                last.unwrap_or_default()
            );
        }
        let missing = |metric: &MetricVerdict| metric.missing().unwrap_or_else(|| metric.why());
        match (&self.twins_unfit, self.deciding_metric()) {
            (Some(_), _) | (None, None) => self.with_outcome(word),
            (None, Some(metric)) => {
                let name = (self.metrics.len() > 1).then(|| format!(" ({})", metric.name));
                let numbers = metric.numbers().map(|numbers| format!("{numbers}; "));
                let unsound = self.comparison_unsound.as_ref().map(|why| format!(" {why}"));
                format!(
                    "{outcome}{}: {}{}.{}",
                    name.unwrap_or_default(),
                    numbers.unwrap_or_default(),
                    missing(metric),
                    unsound.unwrap_or_default()
                )
            }
        }
    }
}

impl MetricVerdict {
    /// [`MetricVerdict::sentence`] of a deployment that has ended.
    pub fn last_sentence(&self) -> String {
        let Some(missing) = self.missing() else {
            return self.sentence();
        };
        let numbers = self.numbers().map(|numbers| format!("{numbers}; ")).unwrap_or_default();
        let range = self.range().map(|range| format!("; {range}")).unwrap_or_default();
        let basis = self.rests_on().map(|basis| format!(" {basis}")).unwrap_or_default();
        format!("{}: {numbers}{missing}{range}.{basis}", self.name)
    }

    /// [`MetricVerdict::interval_in_words`] of a deployment that has ended.
    pub fn last_interval_in_words(&self) -> String {
        self.bounds_in_words().unwrap_or_else(|| "not bounded".to_owned())
    }

    /// What kept a metric that had said nothing from saying it, as a clause; `None` once it had said something.
    pub fn missing(&self) -> Option<String> {
        match &self.reason {
            Reason::NotEnoughEvidence { minutes_to_pass, .. } => Some(match minutes_to_pass {
                Some(_) => format!("{} more at this traffic were missing", duration(*minutes_to_pass)),
                None => "more than a day at this traffic was missing".to_owned(),
            }),
            Reason::TooFewSamples { samples: 0, .. } => Some("nothing was sampled".to_owned()),
            Reason::TooFewSamples { samples, .. } => Some(format!(
                "{samples} samples were not enough independent data, for neighbouring ones are alike"
            )),
            Reason::FirstMinute { needed_s } => Some(format!(
                "{} of requests on both arms was needed first to know what is usual",
                duration(Some(needed_s / 60.0))
            )),
            Reason::TooFewEvents { events, needed, .. } => Some(format!(
                "{} in both arms together, at least {} were needed to compare",
                super::failures(*events),
                super::whole(*needed)
            )),
            Reason::MinimumBake { remaining_s } => {
                let left = duration(Some(remaining_s / 60.0));
                Some(format!(
                    "it looked no worse, and had to run for {left} more before that is said"
                ))
            }
            Reason::Paused => Some("judging was paused, these are the last numbers".to_owned()),
            Reason::NoRequests { .. }
            | Reason::SourceFailed { .. }
            | Reason::Incomparable
            | Reason::ConstantApart { .. }
            | Reason::EffectTooSmall { .. }
            | Reason::RegressionShown { .. }
            | Reason::WithinMargin { .. }
            | Reason::ComparisonUnsound
            | Reason::TwinsUnfit => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fixtures, judge};

    fn verdict(blocks: i64) -> Verdict {
        let (config, evidence) = fixtures::errors(blocks, |_| (2.0, 2.0));
        judge(&config, &evidence)
    }

    fn check(said: &str, expected: &str) {
        assert_eq!(said, expected);
    }

    #[test]
    fn what_ended_says_what_was_missing() {
        let verdict = verdict(20);
        check(
            &verdict.last_sentence(),
            "Not enough evidence: the canary fails 0.4 % of requests (40 of 10,000), the baseline 0.4 % (40 of 10,000); about 20 min more at this traffic were missing.",
        );
        check(
            &verdict.metrics[0].last_sentence(),
            "errors: the canary fails 0.4 % of requests (40 of 10,000), the baseline 0.4 % (40 of 10,000); about 20 min more \
             at this traffic were missing; the canary's rate is between 0.36x and 2.8x the baseline's. No history of this \
             service: assuming an instance's error rate may wander by 25 %.",
        );
        check(verdict.outcome.last_word(), "not enough evidence");
    }

    #[test]
    fn what_ended_has_no_bounds_still_to_come() {
        check(&verdict(1).metrics[0].last_interval_in_words(), "not bounded");
    }

    #[test]
    fn too_little_is_said_as_too_little() {
        check(
            &verdict(1).last_sentence(),
            "Not enough evidence: the canary fails 0.4 % of requests (2 of 500), the baseline 0.4 % (2 of 500); 4 failures in both arms together, at least 5 were needed to compare.",
        );
    }

    #[test]
    fn what_says_nothing_of_time_is_said_as_before_without_yet() {
        let nothing = judge(&crate::JudgeConfig::default(), &[]);
        check(
            &nothing.last_sentence(),
            "Not enough evidence: no metric is configured.",
        );
    }

    #[test]
    fn what_was_found_is_said_as_before() {
        for outcome in [Outcome::Harmful, Outcome::NoWorse] {
            assert_eq!(outcome.last_word(), outcome.word());
        }
    }
}
