//! The sentences a person reads (S6). Page, command line and JSON use these and no others; no number here is ever
//! "NaN" or "inf".

use crate::sequential::guard::ASSUMED_WANDER;
use crate::sequential::share::UnevenSplit;
use crate::{ArmCount, DispersionFrom, MetricVerdict, Outcome, Reason, Silent, Timestamp, Verdict};

/// Evidence beyond a billion to one is not told apart: no model is that exact.
const LARGEST_ODDS: f64 = 1e9;

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
        let outcome = capitalised(self.outcome.word());
        let Some(metric) = self.deciding_metric() else {
            return format!("{outcome}: no metric is configured.");
        };
        let named = if self.metrics.len() > 1 {
            format!("{outcome} ({})", metric.name)
        } else {
            outcome
        };
        let mut sentence = format!("{named}: {}; {}.", metric.both_shares(), metric.reason.sentence());
        if matches!(metric.reason, Reason::NoRequests { .. } | Reason::SourceFailed { .. }) {
            sentence = format!("{named}: {}.", metric.reason.sentence());
        }
        match (&self.comparison_unsound, self.outcome) {
            (Some(why), Outcome::Harmful | Outcome::Inconclusive) => format!("{sentence} {why}"),
            (Some(_), Outcome::NoWorse) | (None, _) => sentence,
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

impl MetricVerdict {
    /// What is known of this metric, with both arms' numbers, the evidence and what it rests on.
    pub fn sentence(&self) -> String {
        let mut text = format!("{}: {}; {}", self.name, self.both_shares(), self.reason.sentence());
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
        if let (Reason::NotEnoughEvidence { .. }, Some(range)) = (&self.reason, self.range()) {
            text.push_str(&format!("; {range}"));
        }
        match self.assumption() {
            Some(assumption) => format!("{text}. {assumption}"),
            None => format!("{text}."),
        }
    }

    /// What was assumed about this metric for want of history.
    pub fn assumption(&self) -> Option<String> {
        match self.dispersion_from {
            DispersionFrom::History => None,
            DispersionFrom::Assumption => Some(format!(
                "No history of this service: assuming an instance's error rate may wander by {:.0} %.",
                100.0 * ASSUMED_WANDER
            )),
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

    /// What is known of the ratio, as a clause; nothing while it has no bound.
    fn range(&self) -> Option<String> {
        let bounds = match self.interval {
            (lower, Some(upper)) if lower > 0.0 => format!("between {} and {}", factor_down(lower), factor_up(upper)),
            (_, Some(upper)) => format!("at most {}", factor_up(upper)),
            (lower, None) if lower > 0.0 => format!("at least {}", factor_down(lower)),
            (_, None) => return None,
        };
        Some(format!("the canary's rate is {bounds} the baseline's"))
    }
}

impl Reason {
    /// Why, as a clause that follows the counts.
    pub fn sentence(&self) -> String {
        match self {
            Reason::NoRequests { silent } => format!("{}, so there is nothing to compare", who_is_silent(*silent)),
            Reason::TooFewEvents {
                events,
                needed,
                minutes_to_fail_if_double,
            } => too_few(*events, *needed, *minutes_to_fail_if_double),
            Reason::EffectTooSmall {
                gate_ratio,
                floor_points,
            } => format!(
                "the canary is worse for certain, but by less than {} or {} points, which is not called harm",
                factor_up(*gate_ratio),
                digits(*floor_points)
            ),
            Reason::RegressionShown {
                at_least: Some(bound), ..
            } if *bound >= 1.01 => {
                format!("sure of at least {}", factor_down(*bound))
            }
            Reason::RegressionShown { at_least: Some(_), .. } => "sure that it is more".to_owned(),
            Reason::RegressionShown {
                at_least: None,
                shown_at,
            } => {
                format!("shown at {}, and the evidence has weakened since", clock(*shown_at))
            }
            Reason::WithinMargin {
                at_most: Some(bound),
                margin,
            } => {
                format!(
                    "sure of at most {}, the margin is {}",
                    factor_up(*bound),
                    factor_up(*margin)
                )
            }
            Reason::WithinMargin { at_most: None, margin } => format!("sure of less than {}", factor_up(*margin)),
            Reason::MinimumBake { remaining_s } => {
                let left = duration(Some(remaining_s / 60.0));
                format!("it looks no worse and has to run for {left} more before this is said")
            }
            Reason::ComparisonUnsound => "it looks no worse, but the comparison is unsound".to_owned(),
            Reason::NotEnoughEvidence {
                minutes_to_pass,
                minutes_to_fail_if_double,
            } => format!(
                "if nothing is wrong this clears in {}; a doubling would show in {}",
                duration(*minutes_to_pass),
                duration(*minutes_to_fail_if_double)
            ),
            Reason::SourceFailed { what } => format!("the measurements are missing: {what}"),
        }
    }
}

fn who_is_silent(silent: Silent) -> &'static str {
    match silent {
        Silent::Baseline => "the baseline receives no requests",
        Silent::Canary => "the canary receives no requests",
        Silent::Both => "the arms receive no requests at the same time",
    }
}

fn too_few(events: f64, needed: f64, minutes_to_fail_if_double: Option<f64>) -> String {
    // Never rounded up: "5 failures, at least 5 are needed" would puzzle anyone.
    let seen = match whole(events.floor()).as_str() {
        "0" => "no failures".to_owned(),
        "1" => "1 failure".to_owned(),
        count => format!("{count} failures"),
    };
    let doubling = minutes_to_fail_if_double
        .map(|minutes| format!("; a doubling would show in {}", duration(Some(minutes))))
        .unwrap_or_default();
    format!(
        "{seen} in both arms together, at least {} are needed to compare{doubling}",
        whole(needed)
    )
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

/// One decimal, or two significant digits below one.
fn digits(number: f64) -> String {
    let text = match number {
        number if number >= 1.0 || number <= 0.0 => format!("{number:.1}"),
        number if number >= 0.1 => format!("{number:.2}"),
        number if number >= 0.01 => format!("{number:.3}"),
        number => format!("{number:.4}"),
    };
    trimmed(&text)
}

fn trimmed(text: &str) -> String {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text.to_owned()
    }
}

/// A count without decimals, in groups of three.
fn whole(count: f64) -> String {
    let plain = format!("{count:.0}");
    let mut grouped = String::with_capacity(plain.len() + plain.len() / 3);
    for (index, digit) in plain.chars().enumerate() {
        if index > 0 && (plain.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A factor that is claimed as a lower bound is never rounded up.
fn factor_down(factor: f64) -> String {
    rounded_factor(factor, f64::floor)
}

/// A factor that is claimed as an upper bound is never rounded down.
fn factor_up(factor: f64) -> String {
    rounded_factor(factor, f64::ceil)
}

fn rounded_factor(factor: f64, round: fn(f64) -> f64) -> String {
    let steps = if factor >= 5.0 {
        1.0
    } else if factor >= 2.0 {
        10.0
    } else {
        100.0
    };
    // A millionth of a step is arithmetic, not evidence: 1.5 must not become 1.51.
    let nudge = if round(0.5) > 0.5 { -1e-6 } else { 1e-6 };
    format!("{}x", trimmed(&format!("{:.2}", round(factor * steps + nudge) / steps)))
}

fn odds(log_e: f64) -> String {
    match log_e.exp() {
        odds if odds > LARGEST_ODDS => "over 1,000,000,000:1".to_owned(),
        odds if odds >= 10.0 => format!("{}:1", whole(odds.floor())),
        odds => format!("{}:1", trimmed(&format!("{odds:.1}"))),
    }
}

fn duration(minutes: Option<f64>) -> String {
    match minutes {
        None => "more than a day".to_owned(),
        Some(minutes) if minutes <= 1.0 => "about 1 min".to_owned(),
        Some(minutes) if minutes < 120.0 => format!("about {:.0} min", minutes.ceil()),
        Some(minutes) => format!("about {:.0} h", (minutes / 60.0).ceil()),
    }
}

fn clock(at: Timestamp) -> String {
    format!("{} UTC", at.strftime("%H:%M"))
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(said: String, expected: &str) {
        assert_eq!(said, expected);
    }

    #[test]
    fn shares_have_two_digits_below_one() {
        check(digits(10.2007), "10.2");
        check(digits(0.1658), "0.17");
        check(digits(0.05), "0.05");
        check(digits(0.00312), "0.0031");
        check(digits(0.0), "0");
        check(digits(-1.25), "-1.2");
    }

    #[test]
    fn a_lower_bound_is_never_rounded_up() {
        check(factor_down(8.99), "8x");
        check(factor_down(1.999), "1.99x");
        check(factor_down(1.5), "1.5x");
        check(factor_down(0.0), "0x");
    }

    #[test]
    fn an_upper_bound_is_never_rounded_down() {
        check(factor_up(8.01), "9x");
        check(factor_up(1.411), "1.42x");
        check(factor_up(1.5), "1.5x");
    }

    #[test]
    fn counts_come_in_groups_of_three() {
        check(whole(999.0), "999");
        check(whole(1_234_567.4), "1,234,567");
    }

    #[test]
    fn evidence_beyond_a_billion_is_not_told_apart() {
        check(odds(3.0), "20:1");
        check(odds(-1.0), "0.4:1");
        check(odds(800.0), "over 1,000,000,000:1");
    }

    #[test]
    fn waiting_times_are_rounded_up() {
        check(duration(Some(0.2)), "about 1 min");
        check(duration(Some(8.2)), "about 9 min");
        check(duration(Some(121.0)), "about 3 h");
        check(duration(None), "more than a day");
    }
}
