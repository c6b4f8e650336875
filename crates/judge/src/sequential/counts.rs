//! The test on event counts (S1): given how many events a block has in all, how many fall on the canary?
//!
//! The common rate cancels, so traffic ramps, daily cycles and incidents of both arms cost nothing, and weights may
//! change at any time. Exact for Poisson counts, conservative for failures of requests at an edge of 1.

use super::grid::{COUNT_GRID, POINTS};
use super::guard::{Guard, Scores};
use super::pooled::{Asked, Pooled};
use super::search::crossing;

/// Exposures further apart than this are treated as if they were this far apart; it keeps arithmetic finite.
const LARGEST_ODDS: f64 = 1e12;
/// Ends of the range in which bounds of the ratio are looked for.
const LARGEST_RATIO: f64 = 1e4;

/// Counts of one block in which both arms had exposure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Block {
    /// Events of the baseline.
    pub baseline: f64,
    /// Events of the canary.
    pub canary: f64,
    /// The canary's exposure divided by the baseline's.
    pub odds: f64,
}

impl Block {
    /// A block, or nothing when an arm had no exposure: it then says nothing about the ratio.
    pub fn new(baseline: f64, canary: f64, baseline_exposure: f64, canary_exposure: f64) -> Option<Self> {
        let exposed = baseline_exposure > 0.0 && canary_exposure > 0.0;
        let odds = (canary_exposure / baseline_exposure).clamp(1.0 / LARGEST_ODDS, LARGEST_ODDS);
        exposed.then_some(Self { baseline, canary, odds })
    }

    /// Events of both arms.
    pub fn total(&self) -> f64 {
        self.baseline + self.canary
    }

    /// The block as it would be if the arms had changed places.
    pub fn turned(&self) -> Self {
        Self {
            baseline: self.canary,
            canary: self.baseline,
            odds: 1.0 / self.odds,
        }
    }

    fn canary_share(&self) -> f64 {
        self.odds / (1.0 + self.odds)
    }
}

/// Which side of an edge is claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Evidence that the ratio is above the edge.
    Above,
    /// Evidence that the ratio is below the edge.
    Below,
}

impl Side {
    /// The log ratio that lies `delta` past an edge.
    pub fn past(self, log_edge: f64, delta: f64) -> f64 {
        match self {
            Side::Above => log_edge + delta,
            Side::Below => log_edge - delta,
        }
    }
}

/// Sums over blocks from which the ratio is estimated.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Totals {
    /// Events of the baseline.
    pub baseline: f64,
    /// Events of the canary.
    pub canary: f64,
    /// Number of blocks.
    pub blocks: usize,
    share_by_events: f64,
    share_by_blocks: f64,
}

impl Totals {
    /// Adds a block.
    pub fn add(&mut self, block: &Block) {
        self.baseline += block.baseline;
        self.canary += block.canary;
        self.blocks += 1;
        self.share_by_events += block.total() * block.canary_share();
        self.share_by_blocks += block.canary_share();
    }

    /// What came after an earlier state of the same sums.
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            baseline: self.baseline - earlier.baseline,
            canary: self.canary - earlier.canary,
            blocks: self.blocks - earlier.blocks,
            share_by_events: self.share_by_events - earlier.share_by_events,
            share_by_blocks: self.share_by_blocks - earlier.share_by_blocks,
        }
    }

    /// Events of both arms.
    pub fn events(&self) -> f64 {
        self.baseline + self.canary
    }

    /// The canary's mean share of the exposure, all blocks alike; a half when there are none.
    pub fn mean_share(&self) -> f64 {
        if self.blocks == 0 {
            0.5
        } else {
            self.share_by_blocks / self.blocks as f64
        }
    }

    /// Estimated logarithm of the ratio of rates: half an event added to each arm, exposures pooled by events.
    pub fn log_ratio(&self) -> f64 {
        if self.blocks == 0 {
            return 0.0;
        }
        let share = if self.events() > 0.0 {
            self.share_by_events / self.events()
        } else {
            self.mean_share()
        };
        let share = share.clamp(1.0 / (1.0 + LARGEST_ODDS), LARGEST_ODDS / (1.0 + LARGEST_ODDS));
        ((self.canary + 0.5) / (self.baseline + 0.5)).ln() - (share / (1.0 - share)).ln()
    }
}

/// Blocks so far, with everything that is needed to answer for any edge.
#[derive(Debug, Clone)]
pub struct CountTest {
    guard: Guard,
    blocks: Vec<Block>,
    totals: Totals,
    pooled: Pooled,
}

impl CountTest {
    /// A test that has seen nothing.
    pub fn new(guard: Guard) -> Self {
        Self {
            guard,
            blocks: Vec::new(),
            totals: Totals::default(),
            pooled: Pooled::default(),
        }
    }

    /// Adds a block.
    pub fn push(&mut self, block: Block) {
        self.totals.add(&block);
        self.pooled.add(&block);
        self.blocks.push(block);
    }

    /// Sums over all blocks.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// The blocks pooled, from which any edge can be asked.
    pub fn pooled(&self) -> &Pooled {
        &self.pooled
    }

    /// The dispersion of everything seen, at least 1. Costs one pass over the blocks.
    pub fn dispersion(&self) -> f64 {
        self.guard.dispersion(&self.blocks, self.totals.log_ratio())
    }

    /// The blocks' scores, from which dispersions are read. Costs one pass over the blocks.
    pub fn scores(&self) -> Scores {
        self.guard.scores(&self.blocks, self.totals.log_ratio())
    }

    /// By what the dispersion is read.
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Confidence sequence of the ratio (S1.4), `alpha / 2` on each side. The upper end may be infinite.
    pub fn interval(&self, alpha: f64, phi: f64) -> (f64, f64) {
        let (threshold, asked) = ((2.0 / alpha).ln(), self.pooled.asked());
        (lower_end(&asked, threshold, phi), upper_end(&asked, threshold, phi))
    }
}

/// The largest ratio that the data exclude from below at a threshold of log evidence; 0 when none is.
pub fn lower_bound(pooled: &Pooled, threshold: f64, phi: f64) -> f64 {
    lower_end(&pooled.asked(), threshold, phi)
}

/// The smallest ratio that the data exclude from above at a threshold of log evidence; infinite when none is.
pub fn upper_bound(pooled: &Pooled, threshold: f64, phi: f64) -> f64 {
    upper_end(&pooled.asked(), threshold, phi)
}

fn lower_end(asked: &Asked<'_>, threshold: f64, phi: f64) -> f64 {
    let (low, high) = (-LARGEST_RATIO.ln(), LARGEST_RATIO.ln());
    let over = |log_edge: f64| asked.log_e(log_edge, Side::Above, phi) - threshold;
    let at_low = over(low);
    if at_low < 0.0 {
        0.0
    } else {
        crossing(over, (low, at_low), high).exp()
    }
}

fn upper_end(asked: &Asked<'_>, threshold: f64, phi: f64) -> f64 {
    let (low, high) = (-LARGEST_RATIO.ln(), LARGEST_RATIO.ln());
    let over = |log_edge: f64| asked.log_e(log_edge, Side::Below, phi) - threshold;
    let at_high = over(high);
    if at_high < 0.0 {
        f64::INFINITY
    } else {
        crossing(over, (high, at_high), low).exp()
    }
}

/// What a block adds to the log-likelihood ratio of every size past an edge; nothing without events.
pub fn gains(block: &Block, edge: f64, side: Side) -> [f64; POINTS] {
    let total = block.total();
    if total <= 0.0 {
        return [0.0; POINTS];
    }
    let grid = &*COUNT_GRID;
    let factors = match side {
        Side::Above => &grid.factor,
        Side::Below => &grid.inverse,
    };
    let odds = block.odds * edge;
    let at_edge = odds.ln_1p();
    std::array::from_fn(|k| {
        let shift = side.past(0.0, grid.delta[k]);
        block.canary * shift - total * ((odds * factors[k]).ln_1p() - at_edge)
    })
}

/// The e-process of one edge, followed block by block at a cost that does not grow with their number.
#[derive(Debug, Clone)]
pub struct EdgeTrack {
    side: Side,
    edge: f64,
    log_ratios: [f64; POINTS],
}

impl EdgeTrack {
    /// The e-process against "the ratio is not past this edge".
    pub fn new(edge: f64, side: Side) -> Self {
        Self {
            side,
            edge,
            log_ratios: [0.0; POINTS],
        }
    }

    /// Adds a block.
    pub fn push(&mut self, block: &Block) {
        self.add(&gains(block, self.edge, self.side));
    }

    /// Adds what a block says of this edge, where that is known already.
    pub fn add(&mut self, gains: &[f64; POINTS]) {
        self.log_ratios
            .iter_mut()
            .zip(gains)
            .for_each(|(sum, gain)| *sum += gain);
    }

    /// Log-likelihood ratio of every size in the grid, before tempering.
    pub fn log_ratios(&self) -> &[f64; POINTS] {
        &self.log_ratios
    }

    /// Logarithm of the evidence.
    pub fn log_e(&self, phi: f64) -> f64 {
        COUNT_GRID.mix(&self.log_ratios, phi)
    }

    /// Which side of which edge.
    pub fn claim(&self) -> (f64, Side) {
        (self.edge, self.side)
    }
}
