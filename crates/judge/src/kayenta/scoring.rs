//! From classes of metrics to scores of groups and of the whole.

use std::collections::BTreeMap;

use super::classifier::Classification;

/// From this share of metrics without data, in percent, the whole judgement fails.
const NODATA_LIMIT_PERCENT: f64 = 50.0;

/// What a score must reach, in points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// For `Pass`.
    pub pass: f64,
    /// For `Marginal`.
    pub marginal: f64,
}

/// A metric as the score sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored<'a> {
    /// What it is.
    pub classification: Classification,
    /// Whether it fails the whole judgement.
    pub critical: bool,
    /// Left out of everything.
    pub muted: bool,
    /// It counts once for each entry.
    pub groups: &'a [String],
    /// What is said if it is the first critical failure.
    pub reason: Option<&'a str>,
}

/// A group's score.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupScore {
    /// Its name.
    pub name: String,
    /// Percent of its metrics that pass; 0 when none could be judged, though such a group counts as 100.
    pub score: f64,
}

/// What the whole is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rating {
    /// At least the pass threshold.
    Pass,
    /// At least the marginal threshold.
    Marginal,
    /// Less.
    Fail,
}

impl Rating {
    /// As in the result.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "Pass",
            Self::Marginal => "Marginal",
            Self::Fail => "Fail",
        }
    }
}

/// Why the score is 0 whatever the groups say.
#[derive(Debug, Clone, PartialEq)]
pub enum Outright {
    /// A critical metric failed; with the reason of the first.
    Critical {
        /// The metric's own reason, empty if it has none.
        reason: String,
    },
    /// Half of the metrics or more have no data.
    TooManyNodata,
}

impl Outright {
    /// As in the details of the answer.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Critical { .. } => "CRITICAL",
            Self::TooManyNodata => "TOO_MANY_NODATA",
        }
    }

    /// For people.
    pub fn sentence(&self) -> String {
        match self {
            Self::Critical { reason } => format!("Canary failed: {reason}"),
            Self::TooManyNodata => "Canary failed: half of the metrics or more have no data".to_owned(),
        }
    }
}

/// The whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// In order of appearance; Kayenta's own order is unspecified.
    pub groups: Vec<GroupScore>,
    /// In points, 0 to 100 when the weights are sound.
    pub score: f64,
    /// By the thresholds alone: with a pass threshold of 0 even an outright failure passes.
    pub rating: Rating,
    /// If the score is 0 for a reason other than the groups.
    pub outright: Option<Outright>,
}

/// Scores; `weights` in percent by group, also of groups that no metric has.
pub fn score(metrics: &[Scored], weights: &[(String, f64)], thresholds: Thresholds) -> Score {
    let counted: Vec<&Scored> = metrics.iter().filter(|metric| !metric.muted).collect();
    let tallies = tally(&counted);
    let outright = outright(&counted);
    let score = match outright {
        Some(_) => 0.0,
        // Decimals know no negative zero, so rounding in decimal gives none; adding zero makes it a positive one.
        None => rounded(weighted(&tallies, weights)) + 0.0,
    };
    let rating = if score >= thresholds.pass {
        Rating::Pass
    } else if score >= thresholds.marginal {
        Rating::Marginal
    } else {
        Rating::Fail
    };
    Score {
        groups: tallies
            .iter()
            .map(|group| GroupScore {
                name: group.name.to_owned(),
                score: group.score().unwrap_or(0.0),
            })
            .collect(),
        score,
        rating,
        outright,
    }
}

#[derive(Debug)]
struct Tally<'a> {
    name: &'a str,
    passed: usize,
    judged: usize,
}

impl Tally<'_> {
    /// In percent; none without a metric that could be judged.
    fn score(&self) -> Option<f64> {
        // Divided first: the product rounds differently.
        (self.judged > 0).then(|| self.passed as f64 / self.judged as f64 * 100.0)
    }
}

/// Groups in order of appearance.
fn tally<'a>(metrics: &[&Scored<'a>]) -> Vec<Tally<'a>> {
    let mut tallies: Vec<Tally> = Vec::new();
    let mut place_of = BTreeMap::new();
    for metric in metrics {
        for name in metric.groups {
            let place = *place_of.entry(name.as_str()).or_insert_with(|| {
                tallies.push(Tally {
                    name,
                    passed: 0,
                    judged: 0,
                });
                tallies.len() - 1
            });
            let (passed, judged) = match metric.classification {
                Classification::Pass => (1, 1),
                Classification::High | Classification::Low | Classification::NodataFailMetric => (0, 1),
                Classification::Nodata | Classification::Error => (0, 0),
            };
            tallies[place].passed += passed;
            tallies[place].judged += judged;
        }
    }
    tallies
}

fn outright(metrics: &[&Scored]) -> Option<Outright> {
    let fails = |metric: &&&Scored| metric.critical && metric.classification != Classification::Pass;
    if let Some(first) = metrics.iter().find(fails) {
        return Some(Outright::Critical {
            reason: first.reason.unwrap_or_default().to_owned(),
        });
    }
    let without = metrics
        .iter()
        .filter(|metric| metric.classification == Classification::Nodata)
        .count();
    // Of no metrics at all the share is not a number, and nothing is too much.
    let share = 100.0 * without as f64 / metrics.len() as f64;
    (share >= NODATA_LIMIT_PERCENT).then_some(Outright::TooManyNodata)
}

/// Weights are not normalised: what belongs to groups without metrics is lost. Groups without a weight share what is
/// left of 100, which may be less than nothing.
fn weighted(tallies: &[Tally], weights: &[(String, f64)]) -> f64 {
    let weight_of: BTreeMap<&str, f64> = weights
        .iter()
        .map(|(group, weight)| (group.as_str(), *weight))
        .collect();
    let given = weights.iter().fold(0.0, |sum, (_, weight)| sum + weight);
    let unweighted = tallies
        .iter()
        .filter(|group| !weight_of.contains_key(group.name))
        .count();
    let share = if unweighted == 0 {
        0.0
    } else {
        (100.0 - given) / unweighted as f64
    };
    tallies.iter().fold(0.0, |sum, group| {
        let weight = weight_of.get(group.name).copied().unwrap_or(share);
        sum + group.score().unwrap_or(100.0) * (weight / 100.0)
    })
}

/// To two decimals of the shortest decimal text, half away from zero: 1.005 is 1.01, though the double is less.
fn rounded(score: f64) -> f64 {
    let text = score.to_string();
    let Some((whole, decimals)) = text.split_once('.') else {
        return score;
    };
    let Some(third) = decimals.as_bytes().get(2) else {
        return score;
    };
    // A double with a third decimal is below 2^53, so the hundredths fit well.
    let digits = format!("{}{}", whole.trim_start_matches('-'), &decimals[..2]);
    let cents: u64 = digits.parse().unwrap_or_default();
    let cents = cents + u64::from(*third >= b'5');
    let sign = if score < 0.0 { "-" } else { "" };
    let text = format!("{sign}{}.{:02}", cents / 100, cents % 100);
    text.parse().unwrap_or(score)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_round_half_away_from_zero_in_decimal() {
        for (score, expected) in [
            (2.675, 2.68),
            (33.335, 33.34),
            (1.005, 1.01),
            (33.333_333_333_333_336, 33.33),
            (66.666_666_666_666_66, 66.67),
            (99.995, 100.0),
            (-1.005, -1.01),
            (-0.004, 0.0),
            (0.1, 0.1),
            (50.0, 50.0),
            (1e300, 1e300),
            (1e-300, 0.0),
            (4_503_599_627_370_495.5, 4_503_599_627_370_495.5),
        ] {
            assert_eq!(rounded(score), expected, "{score}");
        }
        assert!(rounded(f64::NAN).is_nan());
    }
}
