//! The sentences a person reads (S6). Page, command line and JSON use these and no others; no number here is ever
//! "NaN" or "inf".

mod ended;
mod numbers;
mod tile;
mod twins;

pub use self::numbers::capitalised;
pub use self::tile::ArmWords;

use self::numbers::{amount, clock, digits, duration, exact_clock, factor_down, factor_up, odds, whole};
use crate::sequential::share::UnevenSplit;
use crate::{
    ArmCount, Means, Measured, MetricVerdict, Outcome, Pause, Quantiles, Reason, Silent, Together, Unit, Verdict,
};

impl Outcome {
    /// The word a person reads.
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Harmful => "harmful",
            Outcome::NoWorse => "no worse",
            Outcome::Inconclusive => "not enough evidence yet",
        }
    }
}

impl Verdict {
    /// The one sentence on the page.
    pub fn sentence(&self) -> String {
        self.with_outcome(self.outcome.word())
    }

    /// The sentence with this word for its outcome.
    fn with_outcome(&self, word: &str) -> String {
        let outcome = capitalised(word);
        if let Some(pause) = &self.paused {
            return format!("{outcome}: {}", self.paused_sentence(pause));
        }
        if let Some(unfit) = &self.twins_unfit {
            return format!("{outcome} ({}): {}", unfit.metric, unfit.sentence());
        }
        if let Some(together) = &self.together {
            return format!("{outcome}: {}.", together.sentence());
        }
        let Some(metric) = self.deciding_metric() else {
            return format!("{outcome}: no metric is configured.");
        };
        let named = if self.metrics.len() > 1 {
            format!("{outcome} ({})", metric.name)
        } else {
            outcome
        };
        let sentence = match metric.numbers() {
            Some(numbers) => format!("{named}: {numbers}; {}.", metric.why()),
            None => format!("{named}: {}.", metric.why()),
        };
        match (&self.comparison_unsound, self.outcome) {
            (Some(why), Outcome::Harmful | Outcome::Inconclusive) => format!("{sentence} {why}"),
            (Some(_), Outcome::NoWorse) | (None, _) => sentence,
        }
    }

    /// Since when and why nothing is judged, and the last numbers with their time.
    fn paused_sentence(&self, pause: &Pause) -> String {
        let said = format!("judging is paused since {}. {}", exact_clock(pause.since), pause.why);
        let last = self
            .as_of
            .zip(self.deciding_metric().and_then(|metric| metric.numbers()));
        match last {
            Some((at, numbers)) => format!("{said} Last measured at {}: {numbers}.", exact_clock(at)),
            None => said,
        }
    }

    /// What had to be assumed for want of history, as a sentence.
    pub fn assumption(&self) -> Option<String> {
        self.metrics.iter().find_map(MetricVerdict::assumption)
    }

    /// The metric that the outcome rests on: of the harmful ones the clearest, else the first that is still open.
    fn deciding_metric(&self) -> Option<&MetricVerdict> {
        let of_outcome = || self.metrics.iter().filter(|metric| metric.outcome == self.outcome);
        match self.outcome {
            Outcome::Harmful => of_outcome().max_by(|a, b| a.log_e.total_cmp(&b.log_e)),
            Outcome::NoWorse | Outcome::Inconclusive => of_outcome()
                .find(|metric| metric.critical)
                .or_else(|| of_outcome().next()),
        }
    }
}

impl Together {
    fn sentence(&self) -> String {
        let names = match self.metrics.as_slice() {
            [] => "all metrics".to_owned(),
            [only] => only.clone(),
            [first @ .., last] => format!("{} and {last}", first.join(", ")),
        };
        format!(
            "together the metrics show harm that none of them shows alone, first at {}; most of it comes from {names}",
            clock(self.at)
        )
    }
}

impl MetricVerdict {
    /// What is known of this metric, with both arms' numbers, the evidence and what it rests on.
    pub fn sentence(&self) -> String {
        let numbers = self.numbers().map(|numbers| format!("{numbers}; ")).unwrap_or_default();
        let mut text = format!("{}: {numbers}{}", self.name, self.why());
        if self.outcome == Outcome::Harmful {
            let since = self
                .since
                .map(|at| format!(", since about {}", clock(at)))
                .unwrap_or_default();
            let (evidence, alarm) = (odds(self.log_e), odds(self.log_e_alarm));
            text.push_str(&format!(
                " (evidence {evidence}, valid at any time{since}; alarm level {alarm})"
            ));
        }
        if matches!(self.reason, Reason::NotEnoughEvidence { .. }) {
            let more = [self.range(), self.detectable_in_the_end()];
            more.into_iter()
                .flatten()
                .for_each(|clause| text.push_str(&format!("; {clause}")));
        }
        match self.rests_on() {
            Some(basis) => format!("{text}. {basis}"),
            None => format!("{text}."),
        }
    }

    /// Both arms' numbers as a clause; `None` where there is nothing to show.
    fn numbers(&self) -> Option<String> {
        let is_missing = match self.reason {
            Reason::NoRequests { .. } | Reason::SourceFailed { .. } => true,
            Reason::Paused => self.baseline.exposure + self.canary.exposure <= 0.0,
            _ => false,
        };
        if is_missing && self.is_empty() {
            return None;
        }
        match &self.measured {
            Measured::Share => Some(self.both_shares()),
            Measured::Rate => Some(self.both_rates()),
            Measured::Quantiles(quantiles) => both_quantiles(quantiles, self.unit),
            Measured::Means(means) => both_means(means, self.unit),
        }
    }

    fn is_empty(&self) -> bool {
        match &self.measured {
            // A count of nothing has no share: what is missing is said instead.
            Measured::Share | Measured::Rate => true,
            Measured::Quantiles(quantiles) => quantiles.p95.is_none(),
            Measured::Means(means) => means.means.is_none(),
        }
    }

    fn both_shares(&self) -> String {
        format!(
            "the canary fails {} of requests ({}), the baseline {} ({})",
            share(&self.canary),
            counts(&self.canary),
            share(&self.baseline),
            counts(&self.baseline)
        )
    }

    fn both_rates(&self) -> String {
        let rate = |arm: &ArmCount| {
            let per_minute = arm.rate().map_or("unknown".to_owned(), |rate| digits(60.0 * rate));
            format!(
                "{per_minute} a minute ({} in {})",
                whole(arm.events),
                duration(Some(arm.exposure / 60.0))
            )
        };
        format!(
            "the canary counts {}, the baseline {}",
            rate(&self.canary),
            rate(&self.baseline)
        )
    }

    /// Why the outcome is what it is, in this metric's own terms.
    fn why(&self) -> String {
        let shown = matches!(self.reason, Reason::RegressionShown { at_least: Some(_), .. });
        match &self.measured {
            Measured::Quantiles(quantiles) if shown => match &quantiles.best {
                Some(best) => format!("sure that it is worse, most like {best}"),
                None => "sure that it is different".to_owned(),
            },
            Measured::Means(means) if shown => match means.growth_per_hour.filter(|growth| *growth > 0.0) {
                Some(growth) => format!(
                    "sure that it is higher or growing; it grows by {} an hour against the baseline",
                    amount(growth, self.unit)
                ),
                None => "sure that it is outside what is allowed".to_owned(),
            },
            Measured::Quantiles(quantiles) => match (&self.reason, quantiles.edge) {
                (Reason::WithinMargin { .. }, Some(edge)) => format!(
                    "of requests over {} {}",
                    amount(edge, self.unit),
                    self.reason.sentence()
                ),
                (
                    Reason::NotEnoughEvidence {
                        minutes_to_pass,
                        minutes_to_fail,
                        regression,
                    },
                    _,
                ) => {
                    let slower = format!("a slowdown by {:.0} %", 100.0 * (regression - 1.0));
                    how_much_longer(*minutes_to_pass, *minutes_to_fail, &slower)
                }
                _ => self.reason.sentence(),
            },
            Measured::Share | Measured::Rate | Measured::Means(_) => self.reason.sentence(),
        }
    }

    /// What is known of the ratio, as a clause; nothing while it has no bound.
    fn range(&self) -> Option<String> {
        let bounds = match self.interval {
            (lower, Some(upper)) if lower > 0.0 => format!("between {} and {}", factor_down(lower), factor_up(upper)),
            (_, Some(upper)) => format!("at most {}", factor_up(upper)),
            (lower, None) if lower > 0.0 => format!("at least {}", factor_down(lower)),
            (_, None) => return None,
        };
        let what = match &self.measured {
            Measured::Share | Measured::Rate => "the canary's rate".to_owned(),
            Measured::Quantiles(quantiles) => {
                format!(
                    "the canary's share of requests over {}",
                    amount(quantiles.edge?, self.unit)
                )
            }
            Measured::Means(_) => "the canary's mean".to_owned(),
        };
        Some(format!("{what} is {bounds} the baseline's"))
    }

    fn detectable_in_the_end(&self) -> Option<String> {
        let size = factor_up(self.detectable.filter(|size| *size > 1.0)?);
        Some(match &self.measured {
            Measured::Quantiles(_) => format!("by the planned end a slowdown of {size} or more would be seen"),
            Measured::Share | Measured::Rate | Measured::Means(_) => {
                format!("by the planned end an increase to {size} or more would be seen")
            }
        })
    }
}

impl Reason {
    /// Why, as a clause that follows the numbers.
    pub fn sentence(&self) -> String {
        match self {
            Reason::NoRequests { silent } => format!("{}, so there is nothing to compare", who_is_silent(*silent)),
            Reason::TooFewEvents {
                events,
                needed,
                minutes_to_fail_if_double,
            } => too_few(*events, *needed, *minutes_to_fail_if_double),
            Reason::Incomparable => {
                "the arms' buckets have too few boundaries in common, so they cannot be compared".to_owned()
            }
            Reason::ConstantApart { baseline, canary } => format!(
                "both never change, {} at the canary and {} at the baseline: that is no statistics, look at it",
                digits(*canary),
                digits(*baseline)
            ),
            Reason::TooFewSamples { samples: 0, .. } => "nothing was sampled so far".to_owned(),
            Reason::TooFewSamples { samples, .. } => {
                format!("{samples} samples are not enough independent data yet, for neighbouring ones are alike")
            }
            Reason::FirstMinute { needed_s } => format!(
                "{} of requests on both arms is needed first to know what is usual",
                duration(Some(needed_s / 60.0))
            ),
            Reason::EffectTooSmall { gate_ratio, floor } if *floor > 0.0 => format!(
                "the canary is worse for certain, but by less than {} or {} points, which is not called harm",
                factor_up(*gate_ratio),
                digits(*floor)
            ),
            Reason::EffectTooSmall { gate_ratio, .. } => format!(
                "the canary is worse for certain, but by less than {}, which is not called harm",
                factor_up(*gate_ratio)
            ),
            Reason::RegressionShown { .. } => self.shown(),
            Reason::WithinMargin {
                at_most: Some(bound),
                margin,
            } => format!(
                "sure of at most {}, the margin is {}",
                factor_up(*bound),
                factor_up(*margin)
            ),
            Reason::WithinMargin { at_most: None, margin } => format!("sure of less than {}", factor_up(*margin)),
            Reason::MinimumBake { remaining_s } => {
                let left = duration(Some(remaining_s / 60.0));
                format!("it looks no worse and has to run for {left} more before this is said")
            }
            Reason::ComparisonUnsound => "it looks no worse, but the comparison is unsound".to_owned(),
            Reason::NotEnoughEvidence {
                minutes_to_pass,
                minutes_to_fail,
                regression,
            } => how_much_longer(*minutes_to_pass, *minutes_to_fail, &change(*regression)),
            Reason::TwinsUnfit => "both arms are far from production, so comparing them says nothing".to_owned(),
            Reason::Paused => "judging is paused, these are the last numbers".to_owned(),
            Reason::SourceFailed { what } => format!("the measurements are missing: {what}"),
        }
    }

    fn shown(&self) -> String {
        match self {
            Reason::RegressionShown {
                at_least: Some(bound), ..
            } if *bound >= 1.01 => format!("sure of at least {}", factor_down(*bound)),
            Reason::RegressionShown {
                at_least: Some(bound), ..
            } if *bound <= 0.99 => format!("sure of at most {}", factor_up(*bound)),
            Reason::RegressionShown {
                at_least: None,
                shown_at,
            } => format!("shown at {}, and the evidence has weakened since", clock(*shown_at)),
            _ => "sure that it is worse".to_owned(),
        }
    }
}

fn how_much_longer(to_pass: Option<f64>, to_fail: Option<f64>, regression: &str) -> String {
    format!(
        "if nothing is wrong this clears in {}; {regression} would show in {}",
        duration(to_pass),
        duration(to_fail)
    )
}

/// A ratio as what happened.
fn change(regression: f64) -> String {
    match regression {
        ratio if (ratio - 2.0).abs() < 1e-9 => "a doubling".to_owned(),
        ratio if (ratio - 0.5).abs() < 1e-9 => "a halving".to_owned(),
        ratio if ratio >= 1.0 => format!("a rise by {:.0} %", 100.0 * (ratio - 1.0)),
        ratio => format!("a fall by {:.0} %", 100.0 * (1.0 - ratio)),
    }
}

fn both_quantiles(quantiles: &Quantiles, unit: Unit) -> Option<String> {
    let (baseline, canary) = quantiles.p95?;
    let outer = quantiles.p99.map_or(String::new(), |(baseline, canary)| {
        format!(", p99 {} and {}", amount(canary, unit), amount(baseline, unit))
    });
    let (on_baseline, on_canary) = quantiles.requests;
    Some(format!(
        "p95 is {} on the canary ({} requests) and {} on the baseline ({}){outer}",
        amount(canary, unit),
        whole(on_canary),
        amount(baseline, unit),
        whole(on_baseline)
    ))
}

fn both_means(means: &Means, unit: Unit) -> Option<String> {
    let (baseline, canary) = means.means?;
    let part = if baseline > 0.0 {
        format!(" ({:+.1} %)", 100.0 * (canary / baseline - 1.0))
    } else {
        String::new()
    };
    Some(format!(
        "the mean is {} on the canary and {} on the baseline{part}",
        amount(canary, unit),
        amount(baseline, unit)
    ))
}

fn who_is_silent(silent: Silent) -> &'static str {
    match silent {
        Silent::Baseline => "the baseline receives no requests",
        Silent::Canary => "the canary receives no requests",
        Silent::Both => "no requests of both arms at the same time were counted",
    }
}

fn too_few(events: f64, needed: f64, minutes_to_fail_if_double: Option<f64>) -> String {
    let seen = failures(events);
    let doubling = minutes_to_fail_if_double
        .map(|minutes| format!("; a doubling would show in {}", duration(Some(minutes))))
        .unwrap_or_default();
    format!(
        "{seen} in both arms together, at least {} are needed to compare{doubling}",
        whole(needed)
    )
}

fn failures(events: f64) -> String {
    // Never rounded up: "5 failures, at least 5 are needed" would puzzle anyone.
    match whole(events.floor()).as_str() {
        "0" => "no failures".to_owned(),
        "1" => "1 failure".to_owned(),
        count => format!("{count} failures"),
    }
}

/// The sentence about a split of the traffic that is not as planned.
pub(crate) fn uneven(split: &UnevenSplit) -> String {
    format!(
        "Comparison unsound: the canary receives {:.0} % of the two arms' requests where {:.0} % is expected.",
        100.0 * split.measured,
        100.0 * split.expected
    )
}

fn share(arm: &ArmCount) -> String {
    arm.share_percent()
        .map_or("an unknown part".to_owned(), |percent| format!("{} %", digits(percent)))
}

fn counts(arm: &ArmCount) -> String {
    format!("{} of {}", whole(arm.events), whole(arm.exposure))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(said: String, expected: &str) {
        assert_eq!(said, expected);
    }

    #[test]
    fn regressions_are_named() {
        check(change(2.0), "a doubling");
        check(change(1.1), "a rise by 10 %");
        check(change(0.5), "a halving");
    }
}
