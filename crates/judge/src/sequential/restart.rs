//! Late onset (S1.7): a fault that starts at minute 20 is diluted in a sum that starts at minute 0, so the evidence is
//! a mixture over starting points. It costs a factor of two if the fault was there from the beginning.

use super::counts::{Block, EdgeTrack, Side, Totals, lower_bound, upper_bound};
use super::grid::{COUNT_GRID, POINTS, log_sum_exp, raise};
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

/// A starting point that has been reached: what had been summed up just before it.
#[derive(Debug, Clone)]
struct Origin<S> {
    sums: S,
    totals: Totals,
    pooled: Pooled,
}

/// The starting points that have been reached, of a mixture over all; `S` is what its evidence is made of.
#[derive(Debug, Clone)]
pub struct Origins<S> {
    starts: Starts,
    reached: Vec<Origin<S>>,
}

impl<S> Origins<S> {
    /// None is reached.
    pub fn new(starts: Starts) -> Self {
        Self {
            starts,
            reached: Vec::new(),
        }
    }

    /// Whether a starting point comes before the block that follows so many others.
    pub fn is_due(&self, blocks: usize) -> bool {
        self.starts.is_due(blocks, self.reached.len())
    }

    /// Starts here, with what was summed up so far.
    pub fn push(&mut self, sums: S, totals: &Totals, pooled: &Pooled) {
        self.reached.push(Origin {
            sums,
            totals: *totals,
            pooled: pooled.clone(),
        });
    }

    /// The sums before each starting point, in order.
    pub fn sums(&self) -> impl Iterator<Item = &S> {
        self.reached.iter().map(|origin| &origin.sums)
    }

    /// The mixture of what is said since each starting point; one not reached yet counts as one to one.
    pub fn mix(&self, log_e_since: impl Fn(&S) -> f64) -> OnsetEvidence {
        let mut terms = Vec::with_capacity(self.starts.count);
        let (mut start, mut largest) = (0, f64::NEG_INFINITY);
        for (index, sums) in self.sums().enumerate() {
            let term = self.starts.log_weight(index) + log_e_since(sums);
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

    /// What the mixture's evidence is less than that of the beginning, at most.
    pub fn log_cost(&self) -> f64 {
        -self.starts.log_weight(0)
    }

    /// Number of starting points that were reached.
    pub fn count(&self) -> usize {
        self.reached.len()
    }

    /// Sums since a starting point.
    pub fn totals_since(&self, start: usize, now: &Totals) -> Totals {
        self.reached.get(start).map_or(*now, |origin| now.since(&origin.totals))
    }

    /// The bound of the ratio since a starting point that the mixture vouches for at a threshold of log evidence: from
    /// below for a claim of more, from above for a claim of less. The mixture is never less than its weighted term.
    pub fn bound(&self, side: Side, start: usize, threshold: f64, now: &Pooled, phi: f64) -> f64 {
        let threshold = threshold - self.starts.log_weight(start);
        let late = self
            .reached
            .get(start)
            .filter(|_| start > 0)
            .map(|origin| now.since(&origin.pooled));
        let pooled = late.as_ref().unwrap_or(now);
        match side {
            Side::Above => lower_bound(pooled, threshold, phi),
            Side::Below => upper_bound(pooled, threshold, phi),
        }
    }
}

/// What the mixture says, and which starting point says most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OnsetEvidence {
    /// Logarithm of the mixture's evidence.
    pub log_e: f64,
    /// Number of the starting point with the largest term among those reached.
    pub start: usize,
}

/// The evidence that the ratio is past an edge, from whichever starting point.
#[derive(Debug, Clone)]
pub struct Onset {
    track: EdgeTrack,
    origins: Origins<[f64; POINTS]>,
}

impl Onset {
    /// A mixture that has seen nothing.
    pub fn new(starts: Starts, edge: f64, side: Side) -> Self {
        Self {
            track: EdgeTrack::new(edge, side),
            origins: Origins::new(starts),
        }
    }

    /// Adds a block. `totals` and `pooled` are those before it.
    pub fn push(&mut self, block: &Block, totals: &Totals, pooled: &Pooled) {
        if self.origins.is_due(totals.blocks) {
            self.origins.push(*self.track.log_ratios(), totals, pooled);
        }
        self.track.push(block);
    }

    /// The evidence now.
    pub fn evidence(&self, phi: f64) -> OnsetEvidence {
        let now = self.track.log_ratios();
        self.origins.mix(|before| {
            let since: [f64; POINTS] = std::array::from_fn(|k| now[k] - before[k]);
            COUNT_GRID.mix(&since, phi)
        })
    }

    /// What the evidence cannot exceed, whatever the dispersion: a mixture is at most its largest part. It costs no
    /// exponential, so most blocks of a harmless canary need nothing more.
    pub fn ceiling(&self) -> f64 {
        let mut largest = [0.0; POINTS];
        for before in self.origins.sums() {
            raise(&mut largest, self.track.log_ratios(), before);
        }
        largest.into_iter().fold(0.0, f64::max)
    }
}
