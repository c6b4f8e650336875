//! The rank statistic W as a function of the shift, at the price of two sorts and then one merge per question.
//!
//! Subtracting one shift from all values keeps their order, because rounding is monotone; so the sorted values stay sorted
//! and only the ties can change. A sum of ranks needs no ranks: it is a count of pairs.

use super::IntervalError;
use super::merge::{self, Weighted};

/// Both sides, sorted, with room for the shifted values; asking allocates nothing.
pub(super) struct Shift {
    /// Ascending in the order of ranks; NaN stands as positive infinity, which it ranks as after every shift.
    experiment: Vec<f64>,
    experiment_weights: Vec<u32>,
    /// Keys of the experiment's values after the last shift, and the end mark that merging wants.
    shifted: Vec<i64>,
    control: Vec<i64>,
    control_weights: Vec<u32>,
    way: Way,
    sizes: Sizes,
    /// The last question and its answer: a search that has run into infinities asks the same again and again.
    last: Option<(f64, f64)>,
}

/// How the pairs are counted.
enum Way {
    /// Every value by itself: what is asked most is answered fastest. Valid while no tie comes or goes.
    Every {
        /// Least distance of two neighbouring values of the experiment that differ.
        least_gap: f64,
        /// Tie term of both sides while no value of one equals one of the other.
        ties: u128,
    },
    /// Equal values together: far fewer steps where values repeat.
    Grouped,
}

/// Numbers of values, as the formula takes them.
#[derive(Clone, Copy)]
struct Sizes {
    experiment: f64,
    control: f64,
}

/// What the ranks of one shift come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count {
    /// Pairs with the experiment's value above the control's, twice; a tied pair counts once.
    pub(super) twice_above: u128,
    /// Sum over blocks of L equal values of L³ − L.
    pub(super) ties: u128,
}

/// Grouping pays when it leaves no more than this part of the values: a step of its merge takes some eight times as long.
const GROUPED_PART: usize = 8;

impl Shift {
    pub(super) fn new(control: &[f64], experiment: &[f64]) -> Result<Self, IntervalError> {
        if control.is_empty() || experiment.is_empty() {
            return Err(IntervalError::NoValues);
        }
        let sizes = Sizes {
            experiment: experiment.len() as f64,
            control: control.len() as f64,
        };
        let mut control = sorted_keys(control);
        let mut shifted = sorted_keys(experiment);
        let values = control.len() + shifted.len();
        let groups = groups(&control) + groups(&shifted);
        let grouped = groups <= values / GROUPED_PART;
        let (mut control_weights, mut experiment_weights) = (Vec::new(), Vec::new());
        if grouped {
            control_weights = group(&mut control);
            experiment_weights = group(&mut shifted);
        }
        let experiment: Vec<f64> = shifted.iter().copied().map(value).collect();
        let way = if grouped {
            Way::Grouped
        } else {
            Way::Every {
                least_gap: least_gap(&experiment),
                ties: merge::ties(&control) + merge::ties(&shifted),
            }
        };
        control.push(merge::END);
        shifted.push(merge::END);
        Ok(Self {
            experiment,
            experiment_weights,
            shifted,
            control,
            control_weights,
            way,
            sizes,
            last: None,
        })
    }

    /// W with z = 0 at this shift; in standard deviations.
    pub(super) fn standardised(&mut self, mu: f64) -> Result<f64, IntervalError> {
        if let Some((asked, answer)) = self.last
            && (asked.to_bits() == mu.to_bits() || (asked.is_nan() && mu.is_nan()))
        {
            return Ok(answer);
        }
        let answer = self.sizes.standardised(self.count(mu))?;
        self.last = Some((mu, answer));
        Ok(answer)
    }

    fn count(&mut self, mu: f64) -> Count {
        for (key, value) in self.shifted.iter_mut().zip(&self.experiment) {
            *key = key_of(value - mu);
        }
        if !mu.is_finite() {
            // Only such a shift makes a NaN of what was none.
            for (key, value) in self.shifted.iter_mut().zip(&self.experiment) {
                *key = rank_key(value - mu);
            }
        }
        if let Way::Every { least_gap, ties } = self.way
            && self.keeps_apart(least_gap, mu)
            && let Some(above) = merge::above(&self.shifted, &self.control)
        {
            return Count {
                twice_above: 2 * above,
                ties,
            };
        }
        merge::count(
            Weighted::of(&self.shifted, &self.experiment_weights),
            Weighted::of(&self.control, &self.control_weights),
        )
    }

    /// Whether values so far apart surely differ after the shift too: the distance of neighbouring doubles of the size of
    /// the greatest shifted value is at most ε times that value. Twice that, to be on the safe side of all roundings.
    fn keeps_apart(&self, least_gap: f64, mu: f64) -> bool {
        let ends = [self.experiment.first(), self.experiment.last()];
        let size = ends
            .into_iter()
            .flatten()
            .map(|end| (end - mu).abs())
            .fold(0.0, f64::max);
        least_gap > 2.0 * f64::EPSILON * size
    }
}

impl Sizes {
    fn standardised(self, count: Count) -> Result<f64, IntervalError> {
        let (nx, ny) = (self.experiment, self.control);
        // The rank sum less nx(nx + 1)/2 is the number of pairs: all of these are exact in doubles, so the order is free.
        let excess = count.twice_above as f64 / 2.0 - nx * ny / 2.0;
        let correction = match excess {
            _ if excess > 0.0 => 0.5,
            _ if excess < 0.0 => -0.5,
            _ => 0.0,
        };
        let ties = count.ties as f64;
        let sigma = ((nx * ny / 12.0) * ((nx + ny + 1.0) - ties / ((nx + ny) * (nx + ny - 1.0)))).sqrt();
        if sigma == 0.0 {
            return Err(IntervalError::AllTied);
        }
        Ok((excess - correction) / sigma)
    }
}

/// Integers in the order of `f64::total_cmp`; its own inverse on the bits.
fn key_of(value: f64) -> i64 {
    reordered(value.to_bits().cast_signed())
}

fn value(key: i64) -> f64 {
    f64::from_bits(reordered(key).cast_unsigned())
}

fn reordered(bits: i64) -> i64 {
    bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()
}

/// The key that ranks see: NaN is as high as infinity, and −0 below 0.
fn rank_key(value: f64) -> i64 {
    key_of(if value.is_nan() { f64::INFINITY } else { value })
}

fn sorted_keys(values: &[f64]) -> Vec<i64> {
    // Room for the end mark, so that it moves nothing.
    let mut keys = Vec::with_capacity(values.len() + 1);
    keys.extend(values.iter().copied().map(rank_key));
    keys.sort_unstable();
    keys
}

fn groups(keys: &[i64]) -> usize {
    keys.chunk_by(PartialEq::eq).count()
}

/// Leaves one of each, and answers how many there were.
fn group(keys: &mut Vec<i64>) -> Vec<u32> {
    let weights = keys.chunk_by(PartialEq::eq).map(|equal| equal.len() as u32).collect();
    keys.dedup();
    weights
}

/// Infinite where all are equal. Zeros of both signs differ by nothing, so no shift surely keeps them apart.
fn least_gap(values: &[f64]) -> f64 {
    let distinct = values.windows(2).filter(|pair| pair[0].to_bits() != pair[1].to_bits());
    distinct.map(|pair| pair[1] - pair[0]).fold(f64::INFINITY, f64::min)
}
