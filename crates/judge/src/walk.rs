//! One metric followed block by block: what the tests say now, and whether they ever raised the alarm.
//!
//! A walk decides nothing about *no worse* and must not know other metrics. It is a function of the blocks it was given,
//! whether one by one or all at once.

mod counts;
mod frame;
mod gauge;
pub(crate) mod group;
mod histogram;
mod rehearsed;

use counts::CountWalk;
pub use frame::MAX_TRACK_POINTS;
pub(crate) use frame::{Charts, Frame, Mark, Shown};
use gauge::GaugeWalk;
use histogram::HistogramWalk;
pub(crate) use rehearsed::{Doubt, Rehearsed};

use crate::sequential::counts::Side;
use crate::sequential::histogram::Direction;
use crate::{ArmCount, Block, JudgeConfig, Measured, MetricConfig, MetricKind, Reason, Timestamp, TrackPoint};

/// Levels are kept within these, so that a configuration cannot make the arithmetic infinite.
const LEVELS: (f64, f64) = (1e-9, 0.5);
/// Margins and gates below one would ask whether the canary is better; above a thousand they ask nothing.
const RATIOS: (f64, f64) = (1.0, 1e3);
/// Counts that scatter a trillion times more than chance say nothing; below one there is no guard to lift.
pub(crate) const DISPERSIONS: (f64, f64) = (1.0, 1e12);
/// A planned share outside of these cannot be told from none or all.
const SHARES: (f64, f64) = (0.001, 0.999);
/// Planned times, in seconds: a minute to a year.
const PLANNED_S: (f64, f64) = (60.0, 365.0 * 86_400.0);

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

/// The ratio up to which nothing is wrong, as it is used.
pub(crate) fn allowed_ratio(metric: &MetricConfig) -> f64 {
    kept(metric.allowed_ratio, RATIOS)
}

/// The planned time in seconds.
pub(crate) fn planned_s(config: &JudgeConfig) -> f64 {
    kept(config.planned_s, PLANNED_S)
}

/// A configured number within its range; the lower end for one that is none.
pub(crate) fn kept(number: f64, (low, high): (f64, f64)) -> f64 {
    if number.is_nan() { low } else { number.clamp(low, high) }
}

/// The side on which counts are worse.
fn worse_side(metric: &MetricConfig) -> Side {
    match metric.worse {
        Direction::Up | Direction::Any => Side::Above,
        Direction::Down => Side::Below,
    }
}

/// What a walk says now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settled {
    /// Evidence for a regression.
    pub(crate) log_e: f64,
    /// How many times more than by chance the numbers scatter, at least 1.
    pub(crate) dispersion: f64,
    /// The same for what is said beside the alarm: the interval, a pass. The alarm's may hold more doubt.
    pub(crate) plain_dispersion: f64,
    /// What the alarm's would be without what was seen beside the arms.
    pub(crate) undoubted: f64,
    /// Whether the effect is large enough to speak of.
    pub(crate) gate_open: bool,
    /// The starting point that says most, and when it was.
    pub(crate) start: usize,
    pub(crate) since: Option<Timestamp>,
}

impl Settled {
    /// The evidence that matters: none while the effect is too small to speak of.
    fn heard(&self) -> f64 {
        if self.gate_open {
            self.log_e
        } else {
            self.log_e.min(0.0)
        }
    }
}

/// Both arms' numbers, for display.
#[derive(Debug, Clone, Default)]
pub(crate) struct Numbers {
    pub(crate) baseline: ArmCount,
    pub(crate) canary: ArmCount,
    pub(crate) ratio: Option<f64>,
    pub(crate) difference: Option<f64>,
    pub(crate) measured: Measured,
}

/// Whether *no worse* is shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Pass {
    /// It is; the ratio is at most this.
    Shown { at_most: Option<f64> },
    /// Not yet.
    NotYet,
}

/// What the traffic to come would show.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Outlook {
    /// Minutes to a pass if the arms are equal.
    pub(crate) to_pass: Option<f64>,
    /// Minutes to an alarm at the regression below.
    pub(crate) to_fail: Option<f64>,
    /// The regression that is foreseen, as a ratio.
    pub(crate) regression: f64,
    /// The smallest ratio that would be shown within the planned time.
    pub(crate) detectable: Option<f64>,
}

/// What a verdict asks of a metric, whatever it measures.
pub(crate) trait Follow {
    fn frame(&self) -> &Frame;
    fn frame_mut(&mut self) -> &mut Frame;
    /// What the blocks so far say. It costs passes over all of them.
    fn settle(&self) -> Settled;
    /// The same, found once a block.
    fn settled(&self) -> Settled {
        self.frame().settled_once(|| self.settle())
    }
    /// What the evidence cannot exceed, whatever the dispersion.
    fn ceiling(&self) -> f64;
    /// The evidence at another dispersion.
    fn log_e_at(&self, dispersion: f64) -> f64;
    /// Whether the effect is large enough to speak of, since what says most at another dispersion.
    fn gate_open_at(&self, dispersion: f64) -> bool;
    /// What these blocks alone show of the dispersion for the alarm and beside it, drawn towards none as a history is.
    fn scatter(&self) -> (f64, f64);
    fn numbers(&self) -> Numbers;
    /// Confidence sequence of the ratio.
    fn interval(&self, settled: &Settled) -> (f64, Option<f64>);
    /// The ratio that is at least shown at the alarm's level, for a claim of more; at most for one of less.
    fn at_least(&self, settled: &Settled) -> Option<f64>;
    fn pass(&self, settled: &Settled, threshold: f64) -> Pass;
    /// Why the data cannot be compared, whatever there is of them.
    fn incomparable(&self) -> Option<Reason>;
    /// Why there is too little to say anything.
    fn too_little(&self, outlook: &Outlook) -> Option<Reason>;
    fn outlook(&self, settled: &Settled, pass_threshold: f64) -> Outlook;
}

/// A metric's way through its blocks.
#[derive(Debug, Clone)]
pub(crate) enum Walk {
    Counts(Box<CountWalk>),
    Histogram(Box<HistogramWalk>),
    Gauge(Box<GaugeWalk>),
}

impl Walk {
    /// A walk that has seen nothing. `weight` is the metric's part of the family's error rate, in (0, 1].
    pub(crate) fn new(config: &JudgeConfig, metric: &MetricConfig, weight: f64, block_s: f64, charts: Charts) -> Self {
        // One more than the plain threshold, because tempered evidence is averaged over starting points (S4).
        let alarm = (1.0 / (weight * level(config.alpha_fail))).ln_1p();
        let frame = Frame::new(metric.kind, block_s, alarm, kept(config.canary_share, SHARES), charts);
        match metric.kind {
            MetricKind::ErrorShare | MetricKind::EventRate => {
                Self::Counts(Box::new(CountWalk::new(config, metric, frame)))
            }
            MetricKind::Histogram => Self::Histogram(Box::new(HistogramWalk::new(config, metric, frame))),
            MetricKind::Gauge | MetricKind::Leak => Self::Gauge(Box::new(GaugeWalk::new(config, metric, frame))),
        }
    }

    /// Follows one block; one of another kind says nothing. `doubt` is what was seen beside the arms up to it; production
    /// has no gauges of its own.
    pub(crate) fn push(&mut self, block: &Block, doubt: Doubt) {
        match (self, block) {
            (Self::Counts(walk), Block::Counts(counts)) => walk.push(block, counts, doubt),
            (Self::Histogram(walk), Block::Histogram(buckets)) => walk.push(block, buckets, doubt),
            (Self::Gauge(walk), Block::Gauge(pair)) => walk.push(block, pair),
            (Self::Counts(_) | Self::Histogram(_) | Self::Gauge(_), _) => {}
        }
    }

    pub(crate) fn follow(&self) -> &dyn Follow {
        match self {
            Self::Counts(walk) => walk.as_ref(),
            Self::Histogram(walk) => walk.as_ref(),
            Self::Gauge(walk) => walk.as_ref(),
        }
    }

    /// How the estimate, its interval and the evidence grew.
    pub(crate) fn track(&self) -> Vec<TrackPoint> {
        let walk = self.follow();
        let frame = walk.frame();
        frame.track(|| point(walk, &walk.settled(), frame.last?))
    }
}

/// What a chart shows of this moment; nothing without an estimate.
fn point<W: Follow + ?Sized>(walk: &W, settled: &Settled, at: Timestamp) -> Option<TrackPoint> {
    let (lower, upper) = walk.interval(settled);
    Some(TrackPoint {
        at,
        estimate: walk.numbers().ratio?,
        lower,
        upper,
        log_e: settled.log_e,
    })
}

/// Looks at what a span showed: latches an alarm, marks a minute, keeps a point. Settling costs a pass over everything,
/// so it is done only where an alarm is possible or a mark is due.
fn look<W: Follow>(walk: &mut W, at: Timestamp) {
    let frame = walk.frame();
    let undecided = frame.shown.is_none() && frame.is_heard() && walk.ceiling() >= frame.alarm;
    let mark_due = frame.is_mark_due(at);
    if undecided || mark_due {
        let (settled, level) = (walk.settled(), frame.alarm);
        let since = settled.since;
        let frame = walk.frame_mut();
        if undecided && settled.gate_open && settled.log_e >= level {
            frame.shown = Some(Shown { at, since });
        }
        if mark_due {
            let log_e = settled.heard();
            frame.marks.push(Mark { at, log_e, since });
        }
    }
    if walk.frame_mut().is_point_due() {
        let point = point(walk, &walk.settled(), at);
        if let Some(point) = point {
            walk.frame_mut().keep(point);
        }
    }
}
