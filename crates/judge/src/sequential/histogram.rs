//! The test on whole distributions (S2): do the canary's requests lie in higher buckets than the baseline's?
//!
//! Before each block both arms' distributions are foreseen from the past; the bet is on how the requests of the block
//! fall on the arms, bucket by bucket. It is exact for any common distribution, which may change with every block.

use super::grid::log_sum_exp;
use super::guard::{ASSUMED_MEMORY, ASSUMPTION_WEIGHT, HISTORY_WEIGHT, shrunk};
use super::tilts::{Edges, TILTS, Tilt, for_each_ratio, nearest_edge};

/// Added to every bucket of the pooled past, so that no bucket is impossible.
const PSEUDO_COUNT: f64 = 0.5;
/// Requests of the pooled shape that each arm's own past is mixed with when any change is looked for.
const POOLED_WEIGHT: f64 = 10.0;
/// How far an instance's speed is assumed to wander without a history, in standard deviations of the rank score.
const ASSUMED_WANDER: f64 = 0.02;
/// The tail that the second score watches.
const WATCHED_TAIL: f64 = 0.95;
/// Below so many requests on either side of the tail's edge its score is far from normal.
const FEWEST_IN_TAIL: f64 = 5.0;

/// Edges that differ by less than this part are the same.
pub(crate) const SAME_EDGE: f64 = 1e-12;

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The canary is higher.
    #[default]
    Up,
    /// The canary is lower.
    Down,
    /// The canary is different in any way.
    Any,
}

/// What is known about how the arms' distributions scatter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scatter {
    /// Requests are taken to be independent: no guard.
    Independent,
    /// Nothing: an instance's speed is assumed to wander. The memory is in blocks.
    Assumed {
        /// `(1+a)/(1-a)` of the wander.
        memory_in_blocks: f64,
    },
    /// Dispersion of the scores measured on two old instances against each other.
    Known(f64),
}

impl Scatter {
    /// What is assumed of blocks of 15 s.
    pub const fn assumed() -> Self {
        Self::Assumed {
            memory_in_blocks: ASSUMED_MEMORY,
        }
    }
}

/// Bucket counts of both arms so far, and the bets on them.
#[derive(Debug, Clone)]
pub struct HistogramTest {
    edges: Edges,
    direction: Direction,
    scatter: Scatter,
    baseline: Vec<f64>,
    canary: Vec<f64>,
    log_ratios: Vec<f64>,
    rank_scores: Vec<f64>,
    tail_scores: Vec<f64>,
    information: f64,
    blocks: usize,
}

impl HistogramTest {
    /// A test that has seen nothing.
    pub fn new(edges: Edges, direction: Direction, scatter: Scatter) -> Self {
        let bets = match direction {
            Direction::Up | Direction::Down => TILTS,
            Direction::Any => 1,
        };
        Self {
            baseline: vec![0.0; edges.buckets()],
            canary: vec![0.0; edges.buckets()],
            edges,
            direction,
            scatter,
            log_ratios: vec![0.0; bets],
            rank_scores: Vec::new(),
            tail_scores: Vec::new(),
            information: 0.0,
            blocks: 0,
        }
    }

    /// Adds a block: requests by bucket, as many entries as there are buckets. Without requests of both arms it says
    /// nothing; the first one only trains.
    pub fn push(&mut self, baseline: &[f64], canary: &[f64]) {
        let (on_baseline, on_canary) = (baseline.iter().sum::<f64>(), canary.iter().sum::<f64>());
        if on_baseline <= 0.0 || on_canary <= 0.0 {
            return;
        }
        let past: Vec<f64> = self.baseline.iter().zip(&self.canary).map(|(b, c)| b + c).collect();
        if past.iter().sum::<f64>() > 0.0 {
            let share = on_canary / (on_baseline + on_canary);
            match self.direction {
                Direction::Up | Direction::Down => self.bet_on_tilts(&past, baseline, canary, share),
                Direction::Any => self.bet_on_any(&past, baseline, canary, share),
            }
            self.score(&past, baseline, canary);
        }
        self.information += on_baseline * on_canary / (on_baseline + on_canary);
        self.blocks += 1;
        add(&mut self.baseline, baseline);
        add(&mut self.canary, canary);
    }

    fn bet_on_tilts(&mut self, past: &[f64], baseline: &[f64], canary: &[f64], share: f64) {
        let density = with_pseudo_counts(past);
        let (direction, sums) = (self.direction, &mut self.log_ratios);
        for_each_ratio(&self.edges, &density, |place, ratio| {
            sums[place] += gain(direction, &density, ratio, (baseline, canary), share);
        });
    }

    fn bet_on_any(&mut self, past: &[f64], baseline: &[f64], canary: &[f64], share: f64) {
        let pooled = with_pseudo_counts(past);
        let own = |counts: &[f64]| -> Vec<f64> {
            let whole = counts.iter().sum::<f64>() + POOLED_WEIGHT;
            let parts = counts.iter().zip(&pooled);
            parts
                .map(|(count, pool)| (count + POOLED_WEIGHT * pool) / whole)
                .collect()
        };
        let (f_baseline, f_canary) = (own(&self.baseline), own(&self.canary));
        let mut sum = 0.0;
        for bucket in 0..pooled.len() {
            let mixed = share * f_canary[bucket] + (1.0 - share) * f_baseline[bucket];
            sum += canary[bucket] * (f_canary[bucket] / mixed).ln();
            sum += baseline[bucket] * (f_baseline[bucket] / mixed).ln();
        }
        self.log_ratios[0] += sum;
    }

    /// Two standardised differences of the block, from which the dispersion is read (S2.4).
    fn score(&mut self, past: &[f64], baseline: &[f64], canary: &[f64]) {
        let total: f64 = past.iter().sum();
        let mut sum = 0.0;
        let shares: Vec<f64> = past
            .iter()
            .map(|count| {
                sum += count;
                sum / total
            })
            .collect();
        let ranks: Vec<f64> = shares
            .iter()
            .zip(past)
            .map(|(share, count)| share - 0.5 * count / total)
            .collect();
        if let Some(score) = standardised(&ranks, baseline, canary, 0.0) {
            self.rank_scores.push(score);
        }
        let edge = nearest_edge(&shares[..shares.len() - 1], WATCHED_TAIL);
        let tail: Vec<f64> = (0..past.len())
            .map(|bucket| f64::from(u8::from(bucket > edge)))
            .collect();
        if let Some(score) = standardised(&tail, baseline, canary, FEWEST_IN_TAIL) {
            self.tail_scores.push(score);
        }
    }

    /// The dispersion of everything seen, at least 1. Costs one pass over the blocks.
    pub fn dispersion(&self) -> f64 {
        self.dispersion_given(self.scatter)
    }

    /// The same with other knowledge.
    pub fn dispersion_given(&self, scatter: Scatter) -> f64 {
        let (known, weight) = match scatter {
            Scatter::Independent => return 1.0,
            Scatter::Known(known) => (known, HISTORY_WEIGHT),
            Scatter::Assumed { memory_in_blocks } => {
                let wander = 2.0 * ASSUMED_WANDER.powi(2) * memory_in_blocks;
                (1.0 + wander * self.information_per_block(), ASSUMPTION_WEIGHT)
            }
        };
        let of = |scores: &[f64]| shrunk(scores.to_vec(), known, weight);
        of(&self.rank_scores).max(of(&self.tail_scores))
    }

    /// The dispersion that these blocks alone show: what is learnt from two old instances.
    pub fn own_dispersion(&self) -> f64 {
        let of = |scores: &[f64]| shrunk(scores.to_vec(), 1.0, 0.0);
        of(&self.rank_scores).max(of(&self.tail_scores))
    }

    /// How much a block says on average: half the harmonic mean of the arms' requests.
    pub fn information_per_block(&self) -> f64 {
        self.information / self.blocks.max(1) as f64
    }

    /// Logarithm of the evidence at a dispersion.
    pub fn log_e(&self, phi: f64) -> f64 {
        let terms: Vec<f64> = self.log_ratios.iter().map(|ratio| ratio / phi).collect();
        log_sum_exp(&terms) - (terms.len() as f64).ln()
    }

    /// Log-likelihood ratio of every way that is bet on.
    pub fn log_ratios(&self) -> &[f64] {
        &self.log_ratios
    }

    /// The way that explains the data best; `None` when any change is looked for.
    pub fn best(&self) -> Option<Tilt> {
        let mut best = 0;
        for (place, ratio) in self.log_ratios.iter().enumerate() {
            if *ratio > self.log_ratios[best] {
                best = place;
            }
        }
        match self.direction {
            Direction::Up | Direction::Down => Some(Tilt::at(best)),
            Direction::Any => None,
        }
    }

    /// Requests by bucket so far: baseline, canary.
    pub fn counts(&self) -> (&[f64], &[f64]) {
        (&self.baseline, &self.canary)
    }

    /// The boundaries of the buckets.
    pub fn edges(&self) -> &Edges {
        &self.edges
    }

    /// Blocks in which both arms had requests.
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// What a block of such requests would add to every way's log-likelihood ratio, were it foreseen from now. Only for
    /// a direction: any change has no size that could be foreseen.
    pub fn foreseen(&self, baseline: &[f64], canary: &[f64]) -> Vec<f64> {
        let past: Vec<f64> = self.baseline.iter().zip(&self.canary).map(|(b, c)| b + c).collect();
        let (on_baseline, on_canary) = (baseline.iter().sum::<f64>(), canary.iter().sum::<f64>());
        let (density, share) = (with_pseudo_counts(&past), on_canary / (on_baseline + on_canary));
        let mut gains = vec![0.0; self.log_ratios.len()];
        for_each_ratio(&self.edges, &density, |place, ratio| {
            if let Some(sum) = gains.get_mut(place) {
                *sum = gain(self.direction, &density, ratio, (baseline, canary), share);
            }
        });
        gains
    }

    /// Joins buckets: keeps only these edges, which must be among the present ones. What was bet stays bet.
    pub fn coarsen(&mut self, edges: Edges) {
        self.baseline = joined(self.edges.upper(), &self.baseline, edges.upper());
        self.canary = joined(self.edges.upper(), &self.canary, edges.upper());
        self.edges = edges;
    }
}

/// Counts by fewer edges: each coarse bucket holds the fine ones that end at or below its edge. A last digit that two
/// libraries print differently does not matter.
pub fn joined(from: &[f64], counts: &[f64], to: &[f64]) -> Vec<f64> {
    let mut coarse = vec![0.0; to.len() + 1];
    let ends_before = |edge: &f64, upper: &f64| edge + SAME_EDGE * edge.abs() < *upper;
    for (bucket, count) in counts.iter().enumerate() {
        let place = from
            .get(bucket)
            .map_or(to.len(), |upper| to.partition_point(|edge| ends_before(edge, upper)));
        coarse[place] += count;
    }
    coarse
}

/// What a block adds to the log-likelihood ratio of one way.
fn gain(direction: Direction, density: &[f64], ratio: &[f64], block: (&[f64], &[f64]), share: f64) -> f64 {
    let turned = |r: f64| match direction {
        Direction::Up | Direction::Any => r,
        Direction::Down => 1.0 / r,
    };
    let whole: f64 = ratio.iter().zip(density).map(|(r, f)| turned(*r) * f).sum();
    let mut sum = 0.0;
    // Neighbouring buckets often have the same ratio, and logarithms are what this costs.
    let (mut known, mut on_canary, mut on_baseline) = (f64::NAN, 0.0, 0.0);
    for ((ratio, baseline), canary) in ratio.iter().zip(block.0).zip(block.1) {
        if *baseline > 0.0 || *canary > 0.0 {
            if *ratio != known {
                let over = turned(*ratio) / whole;
                let mixed = share * over + (1.0 - share);
                (known, on_canary, on_baseline) = (*ratio, (over / mixed).ln(), mixed.ln());
            }
            sum += canary * on_canary - baseline * on_baseline;
        }
    }
    sum
}

/// The standardised difference of the arms' mean scores in a block; `None` when it has no spread, or when fewer than
/// `fewest` requests have a high or a low score.
fn standardised(scores: &[f64], baseline: &[f64], canary: &[f64], fewest: f64) -> Option<f64> {
    let (on_baseline, on_canary) = (baseline.iter().sum::<f64>(), canary.iter().sum::<f64>());
    let total = on_baseline + on_canary;
    let both = || scores.iter().zip(baseline.iter().zip(canary).map(|(b, c)| b + c));
    let mean = both().map(|(score, count)| count * score).sum::<f64>() / total;
    let squares: f64 = both()
        .map(|(score, count)| count * (score - mean) * (score - mean))
        .sum();
    let variance = squares / (total - 1.0).max(1.0);
    let enough = (total * mean).min(total * (1.0 - mean)) >= fewest;
    if variance <= 0.0 || !enough {
        return None;
    }
    let of = |counts: &[f64], whole: f64| counts.iter().zip(scores).map(|(n, s)| n * s).sum::<f64>() / whole;
    let difference = of(canary, on_canary) - of(baseline, on_baseline);
    Some(difference / (variance * (1.0 / on_baseline + 1.0 / on_canary)).sqrt())
}

fn with_pseudo_counts(counts: &[f64]) -> Vec<f64> {
    let whole: f64 = counts.iter().map(|count| count + PSEUDO_COUNT).sum();
    counts.iter().map(|count| (count + PSEUDO_COUNT) / whole).collect()
}

fn add(sums: &mut [f64], counts: &[f64]) {
    sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
}
