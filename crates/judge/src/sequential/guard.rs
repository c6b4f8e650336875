//! The dispersion guard (S1.6): real failures come in bursts, and a burst must not count as many independent ones.
//!
//! The log-likelihood ratio is divided by a dispersion of at least one. Any such number, even one computed from the
//! same data, keeps the test valid under its model, by the power-mean inequality.
//!
//! The constants are stated in blocks of 15 s. Shorter blocks are scored together until they span 15 s, and the
//! assumed memory is scaled by time, so 5 s blocks lead to the same dispersion as the 15 s blocks they make up; the
//! likelihood itself is summed over the short blocks, which is why a regression can still be seen after 5 s.

use super::counts::Block;

/// The length of block in which the guard's constants are stated, in seconds.
pub const REFERENCE_BLOCK_S: f64 = 15.0;
/// How far an instance's rate is assumed to wander when nothing is known: coefficient of variation.
pub const ASSUMED_WANDER: f64 = 0.25;
/// How long it is assumed to stay there, as `(1+a)/(1-a)` in reference blocks: about two minutes.
pub(crate) const ASSUMED_MEMORY: f64 = 16.0;
/// How many scores the assumption is worth against measured ones.
pub(crate) const ASSUMPTION_WEIGHT: f64 = 20.0;
/// How many scores a measured history is worth.
pub(crate) const HISTORY_WEIGHT: f64 = 60.0;
/// Blocks are scored together until they hold this many events: a score of fewer is far from normal.
const EVENTS_PER_SCORE: f64 = 5.0;
/// Below this many scores nothing is estimated from them.
const FEWEST_SCORES: usize = 4;
/// A batch length is used while it leaves at least this many batches.
const FEWEST_BATCHES: usize = 6;
/// The same where nothing is drawn towards what was known before: the largest of several variances, each of six batches,
/// would be half again too large by chance. Slower noise than that is met by the rehearsal.
const FEWEST_BATCHES_OF_A_HISTORY: usize = 20;
/// The most memory that is read from a series, as an AR(1) coefficient.
const LARGEST_MEMORY: f64 = 0.95;

/// What is known about how counts scatter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Known {
    /// Counts are taken to be Poisson: no guard.
    Poisson,
    /// Nothing: an instance's rate is assumed to wander by [`ASSUMED_WANDER`].
    Nothing,
    /// Dispersion measured on two old instances against each other, at reference blocks.
    Dispersion(f64),
    /// The same with how much a reference block said then, by which it is scaled to what a block says now.
    Learnt {
        /// Dispersion, at least 1.
        dispersion: f64,
        /// Fisher information of a reference block, above 0.
        information: f64,
    },
}

/// Estimates the dispersion of a series of blocks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Guard {
    known: Known,
    blocks_per_score: usize,
    memory_in_blocks: f64,
}

impl Guard {
    /// A guard for blocks of the given length in seconds.
    pub fn new(known: Known, block_s: f64) -> Self {
        let in_reference = REFERENCE_BLOCK_S / block_s;
        // A conversion from a float saturates, so the shortest thinkable block cannot wrap round.
        Self {
            known,
            blocks_per_score: (in_reference.round() as usize).max(1),
            memory_in_blocks: (ASSUMED_MEMORY * in_reference).max(1.0),
        }
    }

    /// The dispersion, at least 1, of blocks whose fitted log ratio is given.
    pub fn dispersion(&self, blocks: &[Block], log_ratio: f64) -> f64 {
        self.dispersion_within(blocks, log_ratio, f64::INFINITY)
    }

    /// The same when no score counts for more than a largest one.
    pub fn dispersion_within(&self, blocks: &[Block], log_ratio: f64, largest: f64) -> f64 {
        match self.known {
            Known::Poisson => 1.0,
            Known::Dispersion(_) | Known::Nothing | Known::Learnt { .. } => {
                self.read(&self.scores(blocks, log_ratio), largest)
            }
        }
    }

    /// The dispersion that scores show, none of which counts for more than a largest one.
    pub fn read(&self, scores: &Scores, largest: f64) -> f64 {
        let (known, weight) = match self.known {
            Known::Poisson => return 1.0,
            Known::Dispersion(known) => (known, HISTORY_WEIGHT),
            Known::Nothing => {
                let wander = 2.0 * ASSUMED_WANDER.powi(2) * self.memory_in_blocks;
                (1.0 + wander * scores.information_per_block(), ASSUMPTION_WEIGHT)
            }
            Known::Learnt {
                dispersion,
                information,
            } => {
                let now = scores.information_per_block() * self.blocks_per_score as f64;
                // Excess scatter comes from rates that differ: it grows with the events it is seen on.
                (1.0 + (dispersion.max(1.0) - 1.0) * now / information, HISTORY_WEIGHT)
            }
        };
        shrunk(scores.within(largest), known, weight)
    }

    /// What these blocks alone show of two old instances: dispersion, and information of a reference block.
    pub fn learn(&self, blocks: &[Block], log_ratio: f64) -> (f64, f64) {
        let scores = self.scores(blocks, log_ratio);
        let per_score = scores.information_per_block() * self.blocks_per_score as f64;
        (shrunk(scores.values, 1.0, 0.0), per_score)
    }

    /// What these blocks show when no score counts for more than `bound` times a usual one: how far a usual score
    /// strays, at least 1, and the dispersion of scores so bounded.
    pub fn learn_within(&self, blocks: &[Block], log_ratio: f64, bound: f64) -> (f64, f64) {
        let scores = self.scores(blocks, log_ratio);
        let usual = usual_size(&scores.values).max(1.0);
        let bounded = scores.within(bound * usual);
        (usual, shrunk_by_batches(bounded, 1.0, 0.0, FEWEST_BATCHES_OF_A_HISTORY))
    }

    /// Standardised differences from the fitted ratio.
    pub fn scores(&self, blocks: &[Block], log_ratio: f64) -> Scores {
        let against = (-log_ratio).exp();
        let mut values = Vec::with_capacity(blocks.len() / self.blocks_per_score + 1);
        let (mut excess, mut events, mut variance, mut information) = (0.0, 0.0, 0.0, 0.0);
        for (index, block) in blocks.iter().enumerate() {
            let total = block.total();
            let q = against / block.odds;
            let block_variance = total * q / ((1.0 + q) * (1.0 + q));
            excess += block.canary - total / (1.0 + q);
            events += total;
            variance += block_variance;
            information += block_variance;
            let reference_ends = (index + 1).is_multiple_of(self.blocks_per_score);
            if reference_ends && events >= EVENTS_PER_SCORE && variance > 0.0 {
                values.push(excess / variance.sqrt());
                (excess, events, variance) = (0.0, 0.0, 0.0);
            }
        }
        Scores {
            values,
            information,
            blocks: blocks.len(),
        }
    }
}

/// How far blocks stray from a ratio.
#[derive(Debug, Clone)]
pub struct Scores {
    /// Standardised differences, of unit variance under the model.
    values: Vec<f64>,
    /// Fisher information of all blocks.
    information: f64,
    blocks: usize,
}

impl Scores {
    /// Whether one of them counts for more than a largest one.
    pub fn has_beyond(&self, largest: f64) -> bool {
        self.values.iter().any(|score| score.abs() > largest)
    }

    fn within(&self, largest: f64) -> Vec<f64> {
        self.values.iter().map(|score| score.clamp(-largest, largest)).collect()
    }

    fn information_per_block(&self) -> f64 {
        self.information / self.blocks.max(1) as f64
    }
}

/// The standard deviation of the middle half of scores, as if they were normal: wild ones do not move it.
fn usual_size(scores: &[f64]) -> f64 {
    // Half of a normal variable's values are nearer to its mean than this many standard deviations.
    const QUARTILE: f64 = 0.674_489_750_196_081_7;
    let mut sizes: Vec<f64> = scores.iter().map(|score| score.abs()).collect();
    sizes.sort_by(f64::total_cmp);
    sizes.get(sizes.len() / 2).map_or(0.0, |middle| middle / QUARTILE)
}

/// The dispersion of scores that have unit variance under the model: the largest of their long-run variance and their
/// batch variances, each drawn towards what was known before with a weight in scores; at least 1.
pub fn shrunk(scores: Vec<f64>, known: f64, weight: f64) -> f64 {
    shrunk_by_batches(scores, known, weight, FEWEST_BATCHES)
}

fn shrunk_by_batches(mut scores: Vec<f64>, known: f64, weight: f64, fewest: usize) -> f64 {
    let count = scores.len();
    if count < FEWEST_SCORES {
        return known.max(1.0);
    }
    let towards = |n: f64, variance: f64| (weight * known + n * variance) / (weight + n);
    let mut largest = 1.0f64;
    let (mut sums, mut length) = (scores.clone(), 1_u32);
    while sums.len() >= fewest {
        let batches = sums.len() as f64;
        largest = largest.max(towards(batches, variance(&sums) / f64::from(length)));
        for pair in 0..sums.len() / 2 {
            sums[pair] = sums[2 * pair] + sums[2 * pair + 1];
        }
        sums.truncate(sums.len() / 2);
        length *= 2;
    }
    let mean = sum_of(&scores, |score| score) / count as f64;
    scores.iter_mut().for_each(|score| *score -= mean);
    largest.max(towards(count as f64, long_run_variance(&scores)))
}

/// Variance of some sums.
fn variance(sums: &[f64]) -> f64 {
    let count = sums.len() as f64;
    let mean = sum_of(sums, |sum| sum) / count;
    sum_of(sums, |sum| (sum - mean).powi(2)) / (count - 1.0)
}

/// Sum of something of each value, four at a time: one after the other each would wait for the one before.
fn sum_of(values: &[f64], of: impl Fn(f64) -> f64) -> f64 {
    let fours = values.chunks_exact(4);
    let rest: f64 = fours.remainder().iter().map(|value| of(*value)).sum();
    let mut sums = [0.0; 4];
    for four in fours {
        for (sum, value) in sums.iter_mut().zip(four) {
            *sum += of(*value);
        }
    }
    sums.iter().sum::<f64>() + rest
}

/// Long-run variance of residuals under AR(1) memory, which is used only where it is visibly positive.
fn long_run_variance(residuals: &[f64]) -> f64 {
    let count = residuals.len() as f64;
    let squares = sum_of(residuals, |u| u * u);
    if squares <= 0.0 {
        return 0.0;
    }
    let neighbours: f64 = residuals.windows(2).map(|pair| pair[0] * pair[1]).sum();
    let lag_one = neighbours / squares;
    let memory = if lag_one > 1.0 / count.sqrt() {
        lag_one + (1.0 + 3.0 * lag_one) / count
    } else {
        0.0
    };
    let memory = memory.clamp(0.0, LARGEST_MEMORY);
    squares / (count - 1.0) * (1.0 + memory) / (1.0 - memory)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(counts: &[(f64, f64)]) -> Vec<Block> {
        counts
            .iter()
            .map(|&(baseline, canary)| Block {
                baseline,
                canary,
                odds: 1.0,
            })
            .collect()
    }

    #[test]
    fn poisson_needs_no_guard() {
        assert_eq!(
            Guard::new(Known::Poisson, 15.0).dispersion(&blocks(&[(50.0, 1.0)]), 0.0),
            1.0
        );
    }

    #[test]
    fn few_scores_leave_what_is_known() {
        assert_eq!(
            Guard::new(Known::Dispersion(3.2), 15.0).dispersion(&blocks(&[(9.0, 9.0)]), 0.0),
            3.2
        );
    }

    #[test]
    fn a_known_dispersion_below_one_is_one() {
        assert_eq!(Guard::new(Known::Dispersion(0.2), 15.0).dispersion(&[], 0.0), 1.0);
    }

    #[test]
    fn short_blocks_score_like_the_reference_blocks_they_make_up() {
        let long: Vec<(f64, f64)> = (0..40)
            .map(|i| (9.0 + f64::from(i % 7) * 3.0, 12.0 + f64::from(i % 5) * 6.0))
            .collect();
        let short: Vec<(f64, f64)> = long.iter().flat_map(|&(b, c)| [(b / 3.0, c / 3.0); 3]).collect();
        let at_15 = Guard::new(Known::Nothing, 15.0).dispersion(&blocks(&long), 0.3);
        let at_5 = Guard::new(Known::Nothing, 5.0).dispersion(&blocks(&short), 0.3);
        assert!((at_15 - at_5).abs() < 1e-9, "{at_15} at 15 s, {at_5} at 5 s");
    }

    #[test]
    fn bursts_are_seen() {
        let bursty: Vec<(f64, f64)> = (0..40)
            .map(|i| if i % 4 < 2 { (40.0, 4.0) } else { (4.0, 40.0) })
            .collect();
        assert!(Guard::new(Known::Dispersion(1.0), 15.0).dispersion(&blocks(&bursty), 0.0) > 10.0);
    }
}
