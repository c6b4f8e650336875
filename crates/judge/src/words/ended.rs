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
        let outcome = capitalised(self.outcome.last_word());
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
            (Some(_), _) | (None, None) => self.sentence().replacen(" yet", "", 1),
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
    use crate::{Block, CountBlock, Evidence, JudgeConfig, MetricConfig, SourceError, Timestamp, judge};

    fn verdict(blocks: i64) -> Verdict {
        let block = |n: i64| {
            Block::Counts(CountBlock {
                ends_at: Timestamp::from_second(1_700_000_040 + 15 * n).unwrap(),
                baseline_events: 2.0,
                canary_events: 2.0,
                baseline_exposure: 500.0,
                canary_exposure: 500.0,
            })
        };
        let config = JudgeConfig {
            metrics: vec![MetricConfig::error_share("errors", "")],
            ..JudgeConfig::default()
        };
        let nothing = SourceError::NoData { what: String::new() };
        let evidence = Evidence {
            blocks: (1..=blocks).map(block).collect(),
            problem: None,
            ..Evidence::failed(&config.metrics[0], "test", &nothing)
        };
        judge(&config, &[evidence])
    }

    fn check(said: &str, starts: &str, ends: &str) {
        assert!(said.starts_with(starts) && said.ends_with(ends), "{said}");
        assert!(!said.contains(" yet") && !said.contains("would show"), "{said}");
    }

    #[test]
    fn what_ended_says_what_was_missing() {
        let verdict = verdict(20);
        let (starts, ends) = (
            "the canary fails 0.4 % of requests",
            " more at this traffic were missing.",
        );
        check(
            &verdict.last_sentence(),
            &format!("Not enough evidence: {starts}"),
            ends,
        );
        check(
            &verdict.metrics[0].last_sentence(),
            &format!("errors: {starts}"),
            &verdict.metrics[0].rests_on().unwrap_or_else(|| "baseline's.".into()),
        );
        assert_eq!(verdict.outcome.last_word(), "not enough evidence");
    }

    #[test]
    fn too_little_is_said_as_too_little() {
        check(&verdict(1).last_sentence(), "Not enough evidence: ", ".");
    }

    #[test]
    fn what_was_found_is_said_as_before() {
        for outcome in [Outcome::Harmful, Outcome::NoWorse] {
            assert_eq!(outcome.last_word(), outcome.word());
        }
    }
}
