//! The walk of a gauge: its level, and for one that may leak its growth, looked at once a minute. The looks are a minute
//! apart because that is what the error rates were simulated with, and because each costs a few quadratures.

use super::group::GaugeGroup;
use super::{
    Follow, Frame, Numbers, Outlook, Pass, Settled, allowed_ratio, gate_ratio, level, look, margin, planned_s,
};
use crate::past::Learnt;
use crate::sequential::gauge::{GaugePast, GaugeSettings, GaugeTest, Level, Slope};
use crate::sequential::grid::{GAUGE_GRID, log_sum_exp};
use crate::sequential::guard::REFERENCE_BLOCK_S;
use crate::sequential::histogram::Direction;
use crate::sequential::search::crossing;
use crate::sequential::student::Statistic;
use crate::{Block, GaugeBlock, JudgeConfig, Means, Measured, MetricConfig, MetricKind, Reason};

/// The regression whose time to an alarm is foreseen, as a factor on the pass margin: what *no worse* excludes.
const SMALLEST_REGRESSION: f64 = 1.10;
/// Beyond a day a forecast says "more than a day".
const HORIZON_MIN: f64 = 24.0 * 60.0;
/// Halvings of a span in which a time or a size is looked for: to a thousandth of it.
const HALVINGS: usize = 10;
/// Ratios beyond this are not looked for.
const LARGEST_RATIO: f64 = 100.0;
/// The largest shift, in standard errors, that a bound is looked for at.
const LARGEST_SHIFT: f64 = 1e4;
/// Two spans that differ by less than this part are the same constant.
const SAME: f64 = 1e-9;

/// What the latest look saw.
#[derive(Debug, Clone, Copy, Default)]
struct Look {
    log_e: f64,
    pass_log_e: f64,
    /// The difference of canary and baseline.
    difference: Option<Level>,
    slope: Option<Slope>,
    /// The numbers do not vary at all.
    constant: bool,
    gate_open: bool,
}

/// One gauge's way through its samples.
#[derive(Debug, Clone)]
pub(crate) struct GaugeWalk {
    frame: Frame,
    kind: MetricKind,
    worse: Direction,
    group: GaugeGroup,
    test: GaugeTest,
    now: Look,
    allowed: f64,
    gate_ratio: f64,
    margin: f64,
    alpha: f64,
    planned_min: f64,
    known: bool,
}

impl GaugeWalk {
    pub(super) fn new(config: &JudgeConfig, metric: &MetricConfig, frame: Frame) -> Self {
        let group = GaugeGroup::new(frame.block_s);
        let past = match metric.past.as_ref().map(|past| &past.learnt) {
            Some(Learnt::Gauge(past)) => Some(spaced(*past, group.span_s())),
            Some(Learnt::Counts(_) | Learnt::Histogram { .. }) | None => None,
        };
        Self {
            kind: metric.kind,
            worse: metric.worse,
            test: GaugeTest::new(GaugeSettings::spaced(past, planned_s(config), group.span_s())),
            now: Look::default(),
            allowed: allowed_ratio(metric),
            gate_ratio: gate_ratio(metric),
            margin: margin(metric),
            alpha: level(config.alpha_fail),
            planned_min: planned_s(config) / 60.0,
            known: past.is_some(),
            group,
            frame,
        }
    }

    /// Follows one pair of samples.
    pub(super) fn push(&mut self, block: &Block, pair: &GaugeBlock) {
        self.frame.note(block, true);
        let Some((baseline, canary)) = self.group.push(pair.baseline, pair.canary) else {
            return;
        };
        self.test.push(baseline, canary);
        if self.frame.is_mark_due(pair.ends_at) {
            self.now = self.look();
            look(self, pair.ends_at);
        }
    }

    fn look(&self) -> Look {
        let level = self.level_log_e();
        let slope = self.test.slope().filter(|_| self.kind == MetricKind::Leak);
        let log_e = match self.kind {
            MetricKind::Leak => log_sum_exp(&[level, self.growth_log_e(slope.as_ref())]) - 2f64.ln(),
            MetricKind::ErrorShare | MetricKind::EventRate | MetricKind::Histogram | MetricKind::Gauge => level,
        };
        Look {
            log_e,
            pass_log_e: self.pass_log_e(slope.as_ref()),
            difference: self.test.level(1.0),
            slope,
            constant: self.test.is_constant(),
            gate_open: self.effect_matters(),
        }
    }

    fn level_log_e(&self) -> f64 {
        // One margin up and the same part down.
        let up = || self.test.level(self.allowed).map_or(0.0, |level| level.log_e_above());
        let down = || {
            let factor = (2.0 - self.allowed).max(0.0);
            self.test.level(factor).map_or(0.0, |level| level.log_e_below())
        };
        match self.worse {
            Direction::Up => up(),
            Direction::Down => down(),
            Direction::Any => log_sum_exp(&[up(), down()]) - 2f64.ln(),
        }
    }

    /// Evidence of growth, none while it would stay within what is allowed over the whole planned time.
    fn growth_log_e(&self, slope: Option<&Slope>) -> f64 {
        let (Some(slope), Some((baseline, _))) = (slope, self.test.means()) else {
            return 0.0;
        };
        let allowed = (self.allowed - 1.0) * baseline.abs();
        let (log_e, growth) = match self.worse {
            Direction::Up => (slope.log_e_above(), slope.over_horizon),
            Direction::Down => (slope.log_e_below(), -slope.over_horizon),
            Direction::Any => {
                let both = [slope.log_e_above(), slope.log_e_below()];
                (log_sum_exp(&both) - 2f64.ln(), slope.over_horizon.abs())
            }
        };
        if growth >= allowed { log_e } else { log_e.min(0.0) }
    }

    fn effect_matters(&self) -> bool {
        // For a leak a small difference now may be the beginning of a large one: its growth has a gate of its own.
        if self.gate_ratio <= 1.0 || self.kind == MetricKind::Leak {
            return true;
        }
        self.test.means().is_some_and(|(baseline, canary)| match self.worse {
            Direction::Up => canary >= baseline * self.gate_ratio,
            Direction::Down => canary * self.gate_ratio <= baseline,
            Direction::Any => canary >= baseline * self.gate_ratio || canary * self.gate_ratio <= baseline,
        })
    }

    /// Evidence that the canary is within the pass margin; of one that may leak, at the end of the planned time.
    fn pass_log_e(&self, slope: Option<&Slope>) -> f64 {
        let below = || self.test.level(self.margin).map_or(0.0, |level| level.log_e_below());
        let above = || {
            let factor = (2.0 - self.margin).max(0.0);
            self.test.level(factor).map_or(0.0, |level| level.log_e_above())
        };
        let now = match self.worse {
            Direction::Up => below(),
            Direction::Down => above(),
            // Both must be excluded.
            Direction::Any => below().min(above()),
        };
        let (passed, _) = self.test.progress();
        let over = passed >= 1.0;
        match (self.kind, slope) {
            (MetricKind::Leak, _) if over => now,
            (MetricKind::Leak, Some(slope)) => now.min(self.pass_at_the_end(slope)),
            (MetricKind::Leak, None) => now.min(0.0),
            (MetricKind::ErrorShare | MetricKind::EventRate | MetricKind::Histogram | MetricKind::Gauge, _) => now,
        }
    }

    /// Evidence that level and growth together stay within the margin until the end of the planned time (S3.5): the
    /// t-test of the straight line's value there. Level and slope of centred time are independent, so variances add.
    fn pass_at_the_end(&self, slope: &Slope) -> f64 {
        let (Some(level), Some((baseline, _))) = (self.test.level(1.0), self.test.means()) else {
            return 0.0;
        };
        let (_, middle) = self.test.progress();
        let ahead = 1.0 - middle;
        let limit = (self.margin - 1.0) * baseline.abs();
        let end = level.mean + slope.over_horizon * ahead;
        let error = (level.spread.powi(2) / level.effective + (slope.error * ahead).powi(2)).sqrt();
        let statistic = |distance: f64| Statistic {
            t: distance / error,
            freedom: slope.statistic.freedom,
            information: (level.spread / error).powi(2),
        };
        let within = |distance: f64| statistic(distance).log_e(&GAUGE_GRID);
        match self.worse {
            Direction::Up => within(limit - end),
            Direction::Down => within(limit + end),
            Direction::Any => within(limit - end).min(within(limit + end)),
        }
    }

    /// What the level test would say of a true ratio after more minutes, in the limit of many samples.
    fn foreseen(&self, level: &Level, truth: Truth, minutes: f64) -> f64 {
        let Some((baseline, _)) = self.test.means() else {
            return 0.0;
        };
        let pairs = self.test.pairs() as f64;
        let more = minutes * 60.0 / self.group.span_s();
        let part = level.effective / pairs;
        let (edge, sign) = match truth {
            Truth::Equal => (self.margin, -1.0),
            Truth::Ratio(_) => (self.allowed, 1.0),
        };
        let ratio = match truth {
            Truth::Equal => 1.0,
            Truth::Ratio(ratio) => ratio,
        };
        let seen = level.mean - (edge - 1.0) * baseline;
        let mean = (pairs * seen + more * (ratio - edge) * baseline) / (pairs + more);
        let effective = part * (pairs + more);
        let statistic = Statistic {
            t: sign * mean / (level.spread / effective.sqrt()),
            freedom: (level.statistic.freedom - level.effective + effective).max(0.5),
            information: effective,
        };
        statistic.about_log_e(&GAUGE_GRID)
    }

    fn minutes_until(&self, level: &Level, truth: Truth, threshold: f64) -> Option<f64> {
        let shown = |minutes: f64| self.foreseen(level, truth, minutes) >= threshold;
        if shown(0.0) {
            return Some(0.0);
        }
        let mut enough = 1.0;
        while !shown(enough) {
            enough *= 2.0;
            if enough > HORIZON_MIN {
                return None;
            }
        }
        let mut too_few = 0.0;
        for _ in 0..HALVINGS {
            let middle = 0.5 * (too_few + enough);
            (too_few, enough) = if shown(middle) {
                (too_few, middle)
            } else {
                (middle, enough)
            };
        }
        Some(enough)
    }

    fn detectable(&self, level: &Level, left_min: f64, threshold: f64) -> Option<f64> {
        let shown = |ratio: f64| self.foreseen(level, Truth::Ratio(ratio), left_min) >= threshold;
        if !shown(LARGEST_RATIO) {
            return None;
        }
        let (mut low, mut high) = (self.allowed.ln(), LARGEST_RATIO.ln());
        for _ in 0..HALVINGS {
            let middle = 0.5 * (low + high);
            (low, high) = if shown(middle.exp()) {
                (low, middle)
            } else {
                (middle, high)
            };
        }
        Some(high.exp())
    }
}

/// What is supposed of the samples to come.
#[derive(Debug, Clone, Copy)]
enum Truth {
    /// The arms are equal; a pass is waited for.
    Equal,
    /// The canary is so many times the baseline; an alarm is waited for.
    Ratio(f64),
}

/// A history's memory, kept for samples 15 s apart, at another distance.
fn spaced(past: GaugePast, span_s: f64) -> GaugePast {
    GaugePast {
        memory: past.memory.clamp(0.0, 0.98).powf(span_s / REFERENCE_BLOCK_S),
        ..past
    }
}

impl Follow for GaugeWalk {
    fn frame(&self) -> &Frame {
        &self.frame
    }

    fn frame_mut(&mut self) -> &mut Frame {
        &mut self.frame
    }

    fn settle(&self) -> Settled {
        let level = self.now.difference;
        // How many samples count as one.
        let dispersion = level.map_or(1.0, |level| ((1.0 + level.memory) / (1.0 - level.memory)).max(1.0));
        Settled {
            log_e: self.now.log_e,
            dispersion,
            plain_dispersion: dispersion,
            undoubted: dispersion,
            gate_open: self.now.gate_open,
            start: 0,
            since: None,
        }
    }

    fn ceiling(&self) -> f64 {
        self.now.log_e.max(0.0)
    }

    /// A gauge's memory is in its evidence already.
    fn log_e_at(&self, _: f64) -> f64 {
        self.now.log_e
    }

    fn gate_open_at(&self, _: f64) -> bool {
        self.now.gate_open
    }

    fn scatter(&self) -> (f64, f64) {
        (1.0, 1.0)
    }

    fn numbers(&self) -> Numbers {
        let means = self.test.means();
        let growth = self.now.slope.map(|slope| slope.over_horizon * 60.0 / self.planned_min);
        Numbers {
            // A baseline of almost nothing has no ratio that says anything.
            ratio: means
                .filter(|(b, c)| *b > 0.0 && *c >= 0.0)
                .map(|(b, c)| c / b)
                .filter(|ratio| ratio.is_finite()),
            difference: means.map(|(b, c)| c - b),
            measured: Measured::Means(Means {
                means,
                growth_per_hour: growth,
                samples: self.test.pairs(),
                effective: self.now.difference.map(|level| level.effective),
            }),
            ..Numbers::default()
        }
    }

    fn interval(&self, _: &Settled) -> (f64, Option<f64>) {
        let (Some(level), Some((baseline, _))) = (self.now.difference, self.test.means()) else {
            return (0.0, None);
        };
        let threshold = (2.0 / self.alpha).ln();
        let over = |t: f64| Statistic { t, ..level.statistic }.about_log_e(&GAUGE_GRID) - threshold;
        let at_largest = over(LARGEST_SHIFT);
        if at_largest < 0.0 || baseline <= 0.0 {
            return (0.0, None);
        }
        let half = crossing(over, (LARGEST_SHIFT, at_largest), 0.0) * level.spread / level.effective.sqrt();
        let ratio = |difference: f64| (1.0 + difference / baseline).clamp(0.0, f64::MAX);
        (ratio(level.mean - half), Some(ratio(level.mean + half)))
    }

    fn at_least(&self, settled: &Settled) -> Option<f64> {
        (settled.log_e >= self.frame.alarm).then_some(self.allowed)
    }

    fn pass(&self, _: &Settled, threshold: f64) -> Pass {
        let equal = self.now.constant && self.test.means().is_some_and(|(b, c)| self.is_within(b, c));
        if equal || self.now.pass_log_e >= threshold {
            Pass::Shown {
                at_most: equal.then_some(1.0).or(Some(self.margin)),
            }
        } else {
            Pass::NotYet
        }
    }

    fn incomparable(&self) -> Option<Reason> {
        let (baseline, canary) = self.test.means().filter(|_| self.now.constant)?;
        (!self.is_within(baseline, canary)).then_some(Reason::ConstantApart { baseline, canary })
    }

    fn too_little(&self, _: &Outlook) -> Option<Reason> {
        let none = self.now.difference.is_none() && !self.now.constant;
        none.then_some(Reason::TooFewSamples {
            samples: self.test.pairs(),
            history: self.known,
        })
    }

    fn outlook(&self, _: &Settled, pass_threshold: f64) -> Outlook {
        let left_min = (self.planned_min - self.frame.compared_s() / 60.0).max(0.0);
        let regression = self.margin.max(SMALLEST_REGRESSION);
        // Only upwards is foreseen.
        let level = self.now.difference.filter(|_| self.worse == Direction::Up);
        let alarm = self.frame.alarm;
        Outlook {
            to_pass: level.and_then(|level| self.minutes_until(&level, Truth::Equal, pass_threshold)),
            to_fail: level.and_then(|level| self.minutes_until(&level, Truth::Ratio(regression), alarm)),
            regression,
            detectable: level.and_then(|level| self.detectable(&level, left_min, alarm)),
        }
    }
}

impl GaugeWalk {
    /// Whether two constants are as good as equal: within what is allowed.
    fn is_within(&self, baseline: f64, canary: f64) -> bool {
        let apart = (canary - baseline) / baseline.abs().max(f64::MIN_POSITIVE);
        let allowed = (self.allowed - 1.0) + SAME;
        match self.worse {
            Direction::Up => apart <= allowed,
            Direction::Down => -apart <= allowed,
            Direction::Any => apart.abs() <= allowed,
        }
    }
}
