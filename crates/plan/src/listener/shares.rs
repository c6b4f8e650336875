//! From shares in percent to the integer weights of a forward action, and back.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::limits::WEIGHT_MAX;

/// The share of matching traffic that the canary gets; the baseline gets the same, production the rest.
/// 0, or 0.001 to 50 %, in steps of 0.001 points; written as a number in percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct CanaryPercent {
    thousandths: u32,
}

/// A share that cannot be.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("a canary share of {} % is out of range: it can be 0, or 0.001 to 50, for the baseline gets the same", shown(*.0))]
pub struct ShareOutOfRange(pub f64);

/// As it was written, where that is short.
fn shown(percent: f64) -> String {
    let whole = percent.to_string();
    if whole.len() <= 12 {
        whole
    } else {
        format!("{percent:e}")
    }
}

impl CanaryPercent {
    pub const ZERO: Self = Self { thousandths: 0 };
    /// Half each for baseline and canary: production gets nothing of the matching traffic.
    pub const MAX: Self = Self { thousandths: 50_000 };

    pub fn new(percent: f64) -> Result<Self, ShareOutOfRange> {
        // What would be rounded to nothing is refused rather than taken for "no traffic".
        let smallest = percent == 0.0 || percent >= 0.001;
        if !(0.0..=50.0).contains(&percent) || !smallest {
            return Err(ShareOutOfRange(percent));
        }
        // In range, so the cast cannot lose more than the decimals it is meant to round.
        Ok(Self {
            thousandths: (percent * 1000.0).round() as u32,
        })
    }

    pub fn percent(self) -> f64 {
        f64::from(self.thousandths) / 1000.0
    }

    fn fraction(self) -> f64 {
        f64::from(self.thousandths) / 100_000.0
    }

    pub const fn is_zero(self) -> bool {
        self.thousandths == 0
    }
}

impl TryFrom<f64> for CanaryPercent {
    type Error = ShareOutOfRange;

    fn try_from(percent: f64) -> Result<Self, Self::Error> {
        Self::new(percent)
    }
}

impl From<CanaryPercent> for f64 {
    fn from(share: CanaryPercent) -> Self {
        share.percent()
    }
}

impl fmt::Display for CanaryPercent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", self.percent())
    }
}

/// Integer weights for production's groups and for each arm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weights {
    /// In the order of production's groups.
    pub production: Vec<u16>,
    /// Baseline's, and the same for the canary.
    pub arm: u16,
    /// Whether production's own groups keep their ratio exactly.
    pub ratio_kept: bool,
}

impl Weights {
    /// Each arm's share of matching traffic, in percent.
    pub fn arm_percent(&self) -> f64 {
        let total = self.production.iter().map(|w| f64::from(*w)).sum::<f64>() + 2.0 * f64::from(self.arm);
        if total == 0.0 {
            0.0
        } else {
            100.0 * f64::from(self.arm) / total
        }
    }
}

/// Why no weights give the share.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ShareError {
    #[error("production's own rule gives weight 0 to all its groups, so its share cannot be kept")]
    ProductionHasNoWeight,
    #[error(
        "weights of 0 to 999 give the canary {nearest:.3} % at the nearest, but {asked} was asked \
         (more than 0.1 points or a tenth of it away)"
    )]
    TooCoarse { asked: CanaryPercent, nearest: f64 },
}

/// A share may be off by this many points,
const TOLERANCE_POINTS: f64 = 0.1;
/// and by this part of what was asked.
const TOLERANCE_RELATIVE: f64 = 0.1;

/// The nearest representable weights. Production's own ratio is kept exactly where that can be.
///
/// `production` are the weights that production's rule has today. Zero is answered by arms of weight 0; the planner
/// turns that into *no main rule*.
pub fn weights(asked: CanaryPercent, production: &[u16]) -> Result<Weights, ShareError> {
    let divisor = production.iter().copied().fold(0, gcd);
    if divisor == 0 {
        return Err(ShareError::ProductionHasNoWeight);
    }
    if asked.is_zero() {
        return Ok(Weights {
            production: production.to_vec(),
            arm: 0,
            ratio_kept: true,
        });
    }
    if asked == CanaryPercent::MAX {
        return Ok(Weights {
            production: vec![0; production.len()],
            arm: 1,
            ratio_kept: true,
        });
    }
    let reduced: Vec<u16> = production.iter().map(|w| w / divisor).collect();
    let exact = with_exact_ratio(asked, &reduced);
    if let Some(found) = exact.as_ref().filter(|w| near_enough(asked, w)) {
        return Ok(found.clone());
    }
    let approximate = with_rounded_ratio(asked, &reduced);
    if near_enough(asked, &approximate) {
        return Ok(approximate);
    }
    let nearest = exact.map_or(approximate.arm_percent(), |w| w.arm_percent());
    Err(ShareError::TooCoarse { asked, nearest })
}

/// The weights with which the baseline alone has its share: the canary's weight is 0, production has the rest.
///
/// With one arm of weight a, a ÷ (production + a) = s; two arms of the same weight have s ÷ (1 + s) each.
pub fn weights_alone(asked: CanaryPercent, production: &[u16]) -> Result<Weights, ShareError> {
    let thousandths = (100_000.0 * asked.fraction() / (1.0 + asked.fraction())).round() as u32;
    // What would be rounded to nothing is asked for all the same.
    let of_two = CanaryPercent {
        thousandths: thousandths.max(u32::from(!asked.is_zero())),
    };
    // Where the grid of weights has the share of two arms and not that of one, the nearest to it will do for a spell.
    weights(of_two, production).or_else(|_| weights(asked, production))
}

fn near_enough(asked: CanaryPercent, weights: &Weights) -> bool {
    let off = (weights.arm_percent() - asked.percent()).abs();
    off <= TOLERANCE_POINTS && off <= TOLERANCE_RELATIVE * asked.percent()
}

fn with_exact_ratio(asked: CanaryPercent, reduced: &[u16]) -> Option<Weights> {
    let sum: f64 = reduced.iter().map(|w| f64::from(*w)).sum();
    let largest = reduced.iter().copied().max()?;
    // arm ÷ (production + 2 arm) = share, solved for arm.
    let arm_per_production = asked.fraction() / (1.0 - 2.0 * asked.fraction());
    let mut best: Option<(f64, u16, u16)> = None;
    for factor in 1..=(WEIGHT_MAX / largest) {
        let production_sum = sum * f64::from(factor);
        let arm = (production_sum * arm_per_production).round().max(1.0);
        if arm > f64::from(WEIGHT_MAX) {
            break;
        }
        let off = (arm / (production_sum + 2.0 * arm) - asked.fraction()).abs();
        // Strictly better only: of equally good weights the smallest are the easiest to read.
        if best.is_none_or(|(least, _, _)| off < least - 1e-12) {
            best = Some((off, factor, arm as u16));
        }
    }
    let (_, factor, arm) = best?;
    Some(Weights {
        production: reduced.iter().map(|w| w * factor).collect(),
        arm,
        ratio_kept: true,
    })
}

/// Where production's weights are so large that the arms would need more than 999: arms at 999, production rounded.
fn with_rounded_ratio(asked: CanaryPercent, reduced: &[u16]) -> Weights {
    let sum: f64 = reduced.iter().map(|w| f64::from(*w)).sum();
    let production_per_arm = (1.0 - 2.0 * asked.fraction()) / asked.fraction();
    let largest_share = reduced.iter().map(|w| f64::from(*w)).fold(0.0, f64::max) / sum;
    let max = f64::from(WEIGHT_MAX);
    let arm = (max / (production_per_arm * largest_share)).min(max).floor().max(1.0);
    let scale = arm * production_per_arm / sum;
    // A group that production uses keeps at least weight 1: rounding must not take it out of service.
    let round = |w: &u16| {
        if *w == 0 {
            0
        } else {
            (f64::from(*w) * scale).round().clamp(1.0, max) as u16
        }
    };
    Weights {
        production: reduced.iter().map(round).collect(),
        arm: arm as u16,
        ratio_kept: false,
    }
}

const fn gcd(a: u16, b: u16) -> u16 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn share(percent: f64) -> CanaryPercent {
        CanaryPercent::new(percent).unwrap()
    }

    #[test]
    fn shares_become_the_smallest_exact_weights() {
        let check = |percent, production: &[u16], expected: &[u16], arm| {
            let found = weights(share(percent), production).unwrap();
            assert_eq!(
                (found.production.as_slice(), found.arm),
                (expected, arm),
                "{percent} % of {production:?}"
            );
        };
        check(5.0, &[1], &[18], 1);
        check(20.0, &[100], &[3], 1);
        check(25.0, &[1], &[2], 1);
        check(10.0, &[3, 1], &[6, 2], 1);
        check(0.0, &[7, 3], &[7, 3], 0);
        check(50.0, &[7, 3], &[0, 0], 1);
        check(0.1, &[1], &[998], 1);
        check(5.0, &[0, 4], &[0, 18], 1);
    }

    #[test]
    fn a_large_share_of_a_long_ratio_is_rounded_rather_than_refused() {
        let found = weights(share(45.0), &[999, 998]).unwrap();
        assert!(!found.ratio_kept);
        assert!((found.arm_percent() - 45.0).abs() <= 0.1);
    }

    #[test]
    fn a_share_too_fine_for_the_weights_is_refused_with_the_nearest() {
        let error = weights(share(0.04), &[1]).unwrap_err();
        assert_eq!(
            error,
            ShareError::TooCoarse {
                asked: share(0.04),
                nearest: 100.0 / 1001.0
            }
        );
        assert_eq!(weights(share(5.0), &[0]), Err(ShareError::ProductionHasNoWeight));
    }

    #[test]
    fn shares_out_of_range_do_not_parse() {
        for json in ["-1", "50.1", "1e300", "1e-300", "null", "\"5\""] {
            assert!(serde_json::from_str::<CanaryPercent>(json).is_err(), "{json}");
        }
        assert_eq!(serde_json::from_str::<CanaryPercent>("2.5").unwrap().percent(), 2.5);
    }

    proptest! {
        #[test]
        fn weights_stay_in_range_and_near(milli in 0u32..=50_000, production in proptest::collection::vec(0u16..=999, 1..4)) {
            let asked = share(f64::from(milli) / 1000.0);
            if let Ok(found) = weights(asked, &production) {
                prop_assert!(found.production.iter().all(|w| *w <= WEIGHT_MAX) && found.arm <= WEIGHT_MAX);
                prop_assert!((found.arm_percent() - asked.percent()).abs() <= 0.1 + 1e-9);
                if found.ratio_kept && !asked.is_zero() && asked != CanaryPercent::MAX {
                    for (a, b) in production.iter().zip(&found.production) {
                        for (c, d) in production.iter().zip(&found.production) {
                            prop_assert_eq!(u64::from(*a) * u64::from(*d), u64::from(*c) * u64::from(*b));
                        }
                    }
                }
            }
        }
    }
}
