//! One metric followed block by block: what the tests say now, and whether they ever raised the alarm.
//!
//! It decides nothing about *no worse* and must not know other metrics.

use crate::judging::TrackPoint;
use crate::sequential::counts::{Block, CountTest, EdgeTrack, Side};
use crate::sequential::forecast::Forecast;
use crate::sequential::guard::{Guard, Known, REFERENCE_BLOCK_S};
use crate::sequential::restart::{Onset, OnsetEvidence, Starts};
use crate::{ArmCount, CountBlock, Evidence, JudgeConfig, MetricConfig, Timestamp};

/// Levels are kept within these, so that a configuration cannot make the arithmetic infinite.
const LEVELS: (f64, f64) = (1e-9, 0.5);
/// Margins and gates below one would ask whether the canary is better; above a thousand they ask nothing.
const RATIOS: (f64, f64) = (1.0, 1e3);
/// Counts that scatter a trillion times more than chance say nothing; below one there is no guard to lift.
const DISPERSIONS: (f64, f64) = (1.0, 1e12);

/// A level as the tests use it.
pub(crate) fn level(alpha: f64) -> f64 {
    kept(alpha, LEVELS)
}

/// The pass margin as the test uses it.
pub(crate) fn margin(metric: &MetricConfig) -> f64 {
    kept(metric.pass_margin, RATIOS)
}

/// The ratio of the effect gate as it is used.
pub(crate) fn gate_ratio(metric: &MetricConfig) -> f64 {
    kept(metric.effect_gate_ratio, RATIOS)
}

/// The floor of the effect gate in percentage points.
pub(crate) fn floor_points(metric: &MetricConfig) -> f64 {
    kept(100.0 * metric.absolute_floor, (0.0, 100.0))
}

/// A configured number within its range; the lower end for one that is none.
pub(crate) fn kept(number: f64, (low, high): (f64, f64)) -> f64 {
    if number.is_nan() { low } else { number.clamp(low, high) }
}

/// Counts of both arms.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Arms {
    pub(crate) baseline: ArmCount,
    pub(crate) canary: ArmCount,
}

impl Arms {
    fn add(&mut self, block: &CountBlock) {
        self.baseline.events += block.baseline_events;
        self.baseline.exposure += block.baseline_exposure;
        self.canary.events += block.canary_events;
        self.canary.exposure += block.canary_exposure;
    }

    fn since(&self, earlier: &Self) -> Self {
        let less = |now: ArmCount, then: ArmCount| ArmCount {
            events: now.events - then.events,
            exposure: now.exposure - then.exposure,
        };
        Self {
            baseline: less(self.baseline, earlier.baseline),
            canary: less(self.canary, earlier.canary),
        }
    }

    /// Canary's share less the baseline's, in percentage points.
    pub(crate) fn difference(&self) -> Option<f64> {
        Some(self.canary.share_percent()? - self.baseline.share_percent()?)
    }
}

/// A compared block: when it ended, and what both arms had counted before it.
#[derive(Debug, Clone, Copy)]
struct Compared {
    ends_at: Timestamp,
    before: Arms,
}

/// One metric's way through its blocks.
#[derive(Debug)]
pub(crate) struct Walk {
    /// Every block that could be read, compared or not.
    pub(crate) blocks: Vec<CountBlock>,
    /// Length of a block in seconds.
    pub(crate) block_s: f64,
    /// Counts over the compared blocks.
    pub(crate) arms: Arms,
    /// The test over the compared blocks.
    pub(crate) test: CountTest,
    /// The evidence for a regression, from whichever starting point.
    pub(crate) onset: Onset,
    /// The evidence against a regression beyond the margin.
    pub(crate) pass: EdgeTrack,
    /// Logarithm of the evidence at which this metric alone counts as worse.
    pub(crate) alarm: f64,
    /// Dispersion now.
    pub(crate) phi: f64,
    /// Evidence for a regression now.
    pub(crate) now: OnsetEvidence,
    /// Whether the effect is now large enough to speak of.
    pub(crate) gate_open: bool,
    /// The first block at which a regression was shown, and the starting point that showed it.
    pub(crate) shown: Option<(Timestamp, usize)>,
    compared: Vec<Compared>,
    gate_ratio: f64,
    floor_points: f64,
}

impl Walk {
    /// A walk that has seen nothing. `weight` is the metric's part of the family's error rate, in (0, 1].
    pub(crate) fn new(config: &JudgeConfig, metric: &MetricConfig, weight: f64, block_s: f64) -> Self {
        let known = match metric.known_dispersion {
            Some(phi) if phi.is_finite() => Known::Dispersion(kept(phi, DISPERSIONS)),
            Some(_) | None => Known::Nothing,
        };
        Self {
            blocks: Vec::new(),
            block_s,
            arms: Arms::default(),
            test: CountTest::new(Guard::new(known, block_s)),
            onset: Onset::new(Starts::over(config.planned_s, block_s)),
            pass: EdgeTrack::new(margin(metric), Side::Below),
            // One more than the plain threshold, because tempered evidence is averaged over starting points (S4).
            alarm: (1.0 / (weight * level(config.alpha_fail))).ln_1p(),
            phi: 1.0,
            now: OnsetEvidence { log_e: 0.0, start: 0 },
            gate_open: false,
            shown: None,
            compared: Vec::new(),
            gate_ratio: gate_ratio(metric),
            floor_points: floor_points(metric),
        }
    }

    /// A walk through everything that can be read of an evidence.
    pub(crate) fn over(config: &JudgeConfig, metric: &MetricConfig, weight: f64, evidence: Option<&Evidence>) -> Self {
        let (blocks, block_s) = evidence.map_or((Vec::new(), REFERENCE_BLOCK_S), Evidence::usable_blocks);
        let mut walk = Self::new(config, metric, weight, block_s);
        blocks.iter().for_each(|block| walk.push(block));
        walk.blocks = blocks;
        walk.settle();
        walk
    }

    /// Follows one block; [`Walk::settle`] is due before anything but `shown` is read. A block in which an arm had no requests changes nothing.
    pub(crate) fn push(&mut self, counts: &CountBlock) {
        if !counts.compares() {
            return;
        }
        let made = Block::new(
            counts.baseline_events,
            counts.canary_events,
            counts.baseline_exposure,
            counts.canary_exposure,
        );
        let Some(block) = made else { return };
        self.compared.push(Compared {
            ends_at: counts.ends_at,
            before: self.arms,
        });
        self.onset.push(&block, self.test.totals(), self.test.pooled());
        self.pass.push(&block);
        self.test.push(block);
        self.arms.add(counts);
        // Dispersion and evidence cost a pass over everything; they are needed only where an alarm is possible.
        if self.shown.is_none() && self.onset.ceiling() >= self.alarm {
            self.settle();
            if self.gate_open && self.now.log_e >= self.alarm {
                self.shown = Some((counts.ends_at, self.now.start));
            }
        }
    }

    /// Brings dispersion, evidence and gate up to the last block.
    pub(crate) fn settle(&mut self) {
        self.phi = self.test.dispersion();
        self.now = self.onset.evidence(self.phi);
        self.gate_open = self.effect_matters();
    }

    /// The effect gate (S1.5), on the data since the starting point that says most. It only removes alarms.
    fn effect_matters(&self) -> bool {
        let start = self.now.start;
        let ratio = self.onset.totals_since(start, self.test.totals()).log_ratio().exp();
        let before = self
            .compared
            .get(self.onset.blocks_before(start))
            .map(|block| block.before)
            .unwrap_or_default();
        let difference = self.arms.since(&before).difference();
        ratio >= self.gate_ratio && difference.is_some_and(|points| points >= self.floor_points)
    }

    /// When a starting point was: the beginning of its first block.
    pub(crate) fn started(&self, start: usize) -> Option<Timestamp> {
        let ends_at = self.compared.get(self.onset.blocks_before(start))?.ends_at;
        let length = jiff::SignedDuration::try_from_secs_f64(self.block_s).ok()?;
        ends_at.checked_sub(length).ok()
    }

    /// Seconds in which both arms were compared.
    pub(crate) fn compared_s(&self) -> f64 {
        self.compared.len() as f64 * self.block_s
    }

    /// Seconds at the end of the blocks without any comparison.
    pub(crate) fn silent_s(&self) -> f64 {
        self.silent_blocks().len() as f64 * self.block_s
    }

    /// The blocks at the end in which an arm had no requests.
    pub(crate) fn silent_blocks(&self) -> &[CountBlock] {
        let compared = self
            .blocks
            .iter()
            .rposition(CountBlock::compares)
            .map_or(0, |last| last + 1);
        &self.blocks[compared..]
    }

    /// What the traffic to come would show.
    pub(crate) fn forecast(&self) -> Forecast<'_> {
        Forecast {
            totals: self.test.totals(),
            elapsed_min: self.compared_s() / 60.0,
            phi: self.phi,
        }
    }

    /// What a chart shows of this moment.
    pub(crate) fn point(&self, config: &JudgeConfig, at: Timestamp) -> TrackPoint {
        let (lower, upper) = self.test.interval(level(config.alpha_fail), self.phi);
        TrackPoint {
            at,
            estimate: self.test.totals().log_ratio().exp(),
            lower,
            upper: upper.is_finite().then_some(upper),
            log_e: self.now.log_e,
        }
    }
}
