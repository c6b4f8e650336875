//! The rank statistic W as a function of the shift, at the price of two sorts and then one merge per question.
//!
//! Subtracting one shift from all values keeps their order, because rounding is monotone; so the sorted values stay sorted
//! and only the ties can change. A sum of ranks needs no ranks: it is a count of pairs.

use super::IntervalError;
use super::merge::{self, Falling, Rising};

/// Both sides, sorted, with room for the shifted values; asking allocates nothing.
pub(super) struct Shift {
    /// Ascending in the order of ranks; NaN stands as positive infinity, which it ranks as after every shift.
    experiment: Vec<f64>,
    experiment_ends: (f64, f64),
    experiment_weights: Vec<u32>,
    /// Keys of the experiment's values after the last shift.
    shifted: Rising,
    control: Falling,
    control_ends: (f64, f64),
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
        /// Of the rank sum, while no value of one side equals one of the other.
        sigma: f64,
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
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count {
    /// Pairs with the experiment's value above the control's, twice; a tied pair counts once.
    pub(super) twice_above: u64,
    /// Sum over blocks of L equal values of L³ − L.
    pub(super) ties: u128,
}

/// Grouping pays when it leaves no more than this part of the values: a step of its walk takes some five times as long.
const GROUPED_PART: usize = 5;

impl Shift {
    pub(super) fn new(control: &[f64], experiment: &[f64]) -> Result<Self, IntervalError> {
        if control.is_empty() || experiment.is_empty() {
            return Err(IntervalError::NoValues);
        }
        let sizes = Sizes {
            experiment: experiment.len() as f64,
            control: control.len() as f64,
        };
        let mut control = Falling::sorted(control.iter().copied().map(rank_key));
        let mut experiment: Vec<u64> = experiment.iter().copied().map(rank_key).collect();
        experiment.sort_unstable();
        let [control_ends, experiment_ends] = [control.keys(), &experiment].map(ends);
        let (mut control_weights, mut experiment_weights) = (Vec::new(), Vec::new());
        let values = control.keys().len() + experiment.len();
        let groups = groups(control.keys()) + groups(&experiment);
        let ties = match groups {
            _ if groups == values => 0,
            _ => merge::ties(control.keys()) + merge::ties(&experiment),
        };
        let is_grouped = groups <= values / GROUPED_PART;
        if is_grouped {
            (control_weights, experiment_weights) = (lengths(control.keys()), lengths(&experiment));
            control = Falling::sorted(control.keys().chunk_by(PartialEq::eq).map(|group| group[0]));
            experiment.dedup();
        }
        let shifted = Rising::room(experiment.len());
        let experiment: Vec<f64> = experiment.into_iter().map(value_of).collect();
        let way = if is_grouped {
            Way::Grouped
        } else {
            Way::Every {
                least_gap: least_gap(&experiment),
                sigma: sizes.sigma(ties),
            }
        };
        Ok(Self {
            experiment,
            experiment_ends,
            experiment_weights,
            shifted,
            control,
            control_ends,
            control_weights,
            way,
            sizes,
            last: None,
        })
    }

    /// Lowest and highest in rank, of the experiment and of the control.
    pub(super) fn ends(&self) -> [(f64, f64); 2] {
        [self.experiment_ends, self.control_ends]
    }

    /// W with z = 0 at this shift; in standard deviations.
    pub(super) fn standardised(&mut self, mu: f64) -> Result<f64, IntervalError> {
        if let Some((asked, answer)) = self.last
            && (asked.to_bits() == mu.to_bits() || (asked.is_nan() && mu.is_nan()))
        {
            return Ok(answer);
        }
        let answer = self.computed(mu)?;
        self.last = Some((mu, answer));
        Ok(answer)
    }

    fn computed(&mut self, mu: f64) -> Result<f64, IntervalError> {
        self.shift_by(mu);
        if let Way::Every { least_gap, sigma } = self.way
            && self.keeps_apart(least_gap, mu)
            && let Some(above) = merge::above(&self.shifted, &self.control)
        {
            return self.sizes.standardised(2 * above, sigma);
        }
        let count = merge::count(
            &self.shifted,
            &self.experiment_weights,
            &self.control,
            &self.control_weights,
        );
        self.sizes.standardised(count.twice_above, self.sizes.sigma(count.ties))
    }

    fn shift_by(&mut self, mu: f64) {
        let places = self.shifted.keys_mut().iter_mut().zip(&self.experiment);
        if mu.is_finite() {
            places.for_each(|(key, value)| *key = key_of(value - mu));
        } else {
            // Only such a shift makes a NaN of what was none.
            places.for_each(|(key, value)| *key = rank_key(value - mu));
        }
    }

    /// Whether values so far apart surely differ after the shift too: the distance of neighbouring doubles of the size of
    /// the greatest shifted value is at most ε times that value. Twice that, to be on the safe side of all roundings.
    fn keeps_apart(&self, least_gap: f64, mu: f64) -> bool {
        let (first, last) = self.experiment_ends;
        let size = (first - mu).abs().max((last - mu).abs());
        least_gap > 2.0 * f64::EPSILON * size
    }
}

impl Sizes {
    /// Standard deviation of the rank sum under equal distributions, with this tie term.
    fn sigma(self, ties: u128) -> f64 {
        let (nx, ny) = (self.experiment, self.control);
        ((nx * ny / 12.0) * ((nx + ny + 1.0) - ties as f64 / ((nx + ny) * (nx + ny - 1.0)))).sqrt()
    }

    fn standardised(self, twice_above: u64, sigma: f64) -> Result<f64, IntervalError> {
        if sigma == 0.0 {
            return Err(IntervalError::AllTied);
        }
        // The rank sum less nx(nx + 1)/2 is the number of pairs: all of these are exact in doubles, so the order is free.
        let excess = twice_above as f64 / 2.0 - self.experiment * self.control / 2.0;
        let correction = match excess {
            _ if excess > 0.0 => 0.5,
            _ if excess < 0.0 => -0.5,
            _ => 0.0,
        };
        Ok((excess - correction) / sigma)
    }
}

const SIGN: u64 = 1 << 63;

/// Integers in the order of `f64::total_cmp`: the bits of a negative number fall as it rises.
fn key_of(value: f64) -> u64 {
    let bits = value.to_bits();
    let sign = (bits.cast_signed() >> 63).cast_unsigned();
    bits ^ (sign | SIGN)
}

fn value_of(key: u64) -> f64 {
    f64::from_bits(if key & SIGN == 0 { !key } else { key ^ SIGN })
}

/// The key that ranks see: NaN is as high as infinity, and −0 below 0.
fn rank_key(value: f64) -> u64 {
    key_of(if value.is_nan() { f64::INFINITY } else { value })
}

/// The least and the greatest of sorted keys, as values.
fn ends(keys: &[u64]) -> (f64, f64) {
    let [one, other] = [keys.first(), keys.last()].map(|key| *key.expect("no side is empty"));
    (value_of(one.min(other)), value_of(one.max(other)))
}

/// How many different keys there are, of at least one.
fn groups(keys: &[u64]) -> usize {
    1 + keys.windows(2).filter(|pair| pair[0] != pair[1]).count()
}

/// How many there are of each key.
fn lengths(keys: &[u64]) -> Vec<u32> {
    let groups = keys.chunk_by(PartialEq::eq);
    groups.map(|group| group.len() as u32).collect()
}

/// Infinite where all are equal. Zeros of both signs differ by nothing, so no shift surely keeps them apart.
fn least_gap(values: &[f64]) -> f64 {
    let gap = |pair: &[f64]| match pair[0].to_bits() == pair[1].to_bits() {
        true => f64::INFINITY,
        false => pair[1] - pair[0],
    };
    let smaller = |least: f64, gap: f64| if gap < least { gap } else { least };
    values.windows(2).map(gap).fold(f64::INFINITY, smaller)
}
