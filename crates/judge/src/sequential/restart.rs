//! Late onset (S1.7): a fault that starts at minute 20 is diluted in a sum that starts at minute 0, so the evidence is
//! a mixture over starting points. It costs a factor of two if the fault was there from the beginning.

use super::counts::{Block, EdgeTrack, Side, Totals};
use super::grid::{COUNT_GRID, POINTS, log_sum_exp};
use super::pooled::Pooled;

/// Starting points are this many seconds apart: twenty reference blocks.
const EVERY_S: f64 = 300.0;
/// The most starting points; a longer plan spaces them further apart.
const MOST_STARTS: usize = 96;
/// What is bet on the fault having been there from the beginning.
const WEIGHT_OF_THE_BEGINNING: f64 = 0.5;

/// When starting points come, in blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Starts {
    every: usize,
    count: usize,
}

impl Starts {
    /// Starting points every five minutes of a planned time.
    pub fn over(planned_s: f64, block_s: f64) -> Self {
        let every = (EVERY_S / block_s).round().max(1.0);
        let count = (planned_s / block_s / every).ceil();
        let spacing = (count / MOST_STARTS as f64).ceil().max(1.0);
        Self {
            every: (every * spacing) as usize,
            count: ((count / spacing).ceil() as usize).clamp(1, MOST_STARTS),
        }
    }

    /// Starting points by number of blocks.
    pub fn blocks(every: usize, planned: usize) -> Self {
        let every = every.max(1);
        Self {
            every,
            count: planned.div_ceil(every).clamp(1, MOST_STARTS),
        }
    }

    /// Whether a starting point comes before the block that follows so many others, when so many were reached.
    pub fn is_due(&self, blocks: usize, reached: usize) -> bool {
        blocks.is_multiple_of(self.every) && reached < self.count
    }

    /// Number of starting points.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Logarithm of what is bet on a starting point.
    pub fn log_weight(&self, start: usize) -> f64 {
        match (self.count, start) {
            (1, _) => 0.0,
            (_, 0) => WEIGHT_OF_THE_BEGINNING.ln(),
            (count, _) => ((1.0 - WEIGHT_OF_THE_BEGINNING) / (count - 1) as f64).ln(),
        }
    }
}

/// One starting point that has been reached: the sums just before it.
#[derive(Debug, Clone)]
struct Reached {
    log_ratios: [f64; POINTS],
    totals: Totals,
    pooled: Pooled,
}

/// The evidence that the ratio is past an edge, from whichever starting point.
#[derive(Debug, Clone)]
pub struct Onset {
    starts: Starts,
    track: EdgeTrack,
    reached: Vec<Reached>,
}

/// What the mixture says, and which starting point says most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OnsetEvidence {
    /// Logarithm of the mixture's evidence.
    pub log_e: f64,
    /// Number of the starting point with the largest term among those reached.
    pub start: usize,
}

impl Onset {
    /// A mixture that has seen nothing.
    pub fn new(starts: Starts, edge: f64, side: Side) -> Self {
        Self {
            starts,
            track: EdgeTrack::new(edge, side),
            reached: Vec::new(),
        }
    }

    /// Adds a block. `totals` and `pooled` are those before it.
    pub fn push(&mut self, block: &Block, totals: &Totals, pooled: &Pooled) {
        if self.starts.is_due(totals.blocks, self.reached.len()) {
            let log_ratios = *self.track.log_ratios();
            self.reached.push(Reached {
                log_ratios,
                totals: *totals,
                pooled: pooled.clone(),
            });
        }
        self.track.push(block);
    }

    /// The evidence now. A starting point not reached yet counts as one to one.
    pub fn evidence(&self, phi: f64) -> OnsetEvidence {
        let now = self.track.log_ratios();
        let mut terms = Vec::with_capacity(self.starts.count);
        let (mut start, mut largest) = (0, f64::NEG_INFINITY);
        for (index, reached) in self.reached.iter().enumerate() {
            let since: [f64; POINTS] = std::array::from_fn(|k| now[k] - reached.log_ratios[k]);
            let term = self.starts.log_weight(index) + COUNT_GRID.mix(&since, phi);
            if term > largest {
                (start, largest) = (index, term);
            }
            terms.push(term);
        }
        terms.extend((terms.len()..self.starts.count).map(|index| self.starts.log_weight(index)));
        OnsetEvidence {
            log_e: log_sum_exp(&terms),
            start,
        }
    }

    /// What the evidence cannot exceed, whatever the dispersion: a mixture is at most its largest part. It costs no
    /// exponential, so most blocks of a harmless canary need nothing more.
    pub fn ceiling(&self) -> f64 {
        let now = self.track.log_ratios();
        let parts = self
            .reached
            .iter()
            .flat_map(|reached| now.iter().zip(&reached.log_ratios).map(|(n, r)| n - r));
        parts.fold(0.0, f64::max)
    }

    /// The e-process that starts at the beginning.
    pub fn from_the_beginning(&self) -> &EdgeTrack {
        &self.track
    }

    /// What the mixture's evidence is less than that of the beginning, at most.
    pub fn log_cost(&self) -> f64 {
        -self.starts.log_weight(0)
    }

    /// Number of starting points that were reached.
    pub fn reached(&self) -> usize {
        self.reached.len()
    }

    /// Sums since a starting point.
    pub fn totals_since(&self, start: usize, now: &Totals) -> Totals {
        self.reached
            .get(start)
            .map_or(*now, |reached| now.since(&reached.totals))
    }

    /// The bound of the ratio since a starting point that the mixture vouches for at a threshold of log evidence: from
    /// below for a claim of more, from above for a claim of less. The mixture is never less than its weighted term.
    pub fn bound(&self, start: usize, threshold: f64, now: &Pooled, phi: f64) -> f64 {
        let threshold = threshold - self.starts.log_weight(start);
        let late = self
            .reached
            .get(start)
            .filter(|_| start > 0)
            .map(|reached| now.since(&reached.pooled));
        let pooled = late.as_ref().unwrap_or(now);
        match self.track.claim().1 {
            Side::Above => super::counts::lower_bound(pooled, threshold, phi),
            Side::Below => super::counts::upper_bound(pooled, threshold, phi),
        }
    }
}
