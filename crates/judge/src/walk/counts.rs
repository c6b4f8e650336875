//! The walk of event counts.

use super::{
    DISPERSIONS, Doubt, Follow, Frame, Numbers, Outlook, Pass, Settled, allowed_ratio, gate_ratio, kept, level, look,
    margin, planned_s, worse_side,
};
use crate::past::{Bounded, Learnt};
use crate::sequential::cautious::{CautiousOnset, Spread};
use crate::sequential::counts::{Block as Counted, CountTest, EdgeTrack, Side, lower_bound, upper_bound};
use crate::sequential::forecast::Forecast;
use crate::sequential::guard::{Guard, Known};
use crate::sequential::restart::Starts;
use crate::{ArmCount, Block, CountBlock, JudgeConfig, Measured, MetricConfig, MetricKind, Reason, Timestamp};

/// Fewer events than this in both arms together allow no statement (S5).
const FEWEST_EVENTS: f64 = 5.0;
/// The regression whose time to an alarm is foreseen: twice as many events.
const DOUBLED: f64 = 2.0;

/// Counts of both arms.
#[derive(Debug, Clone, Copy, Default)]
struct Arms {
    baseline: ArmCount,
    canary: ArmCount,
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

    /// The canary's events per exposure less the baseline's.
    fn difference(&self) -> Option<f64> {
        Some(self.canary.rate()? - self.baseline.rate()?)
    }
}

/// A starting point: when its first block began, and what both arms had counted before it.
#[derive(Debug, Clone, Copy)]
struct Start {
    at: Option<Timestamp>,
    before: Arms,
}

/// One count metric's way through its blocks.
#[derive(Debug, Clone)]
pub(crate) struct CountWalk {
    frame: Frame,
    kind: MetricKind,
    side: Side,
    arms: Arms,
    test: CountTest,
    onset: CautiousOnset,
    /// How bounded blocks scatter, and how many times more they are doubted.
    bounded: (Guard, f64),
    doubt: Doubt,
    /// The claim of no worse, from the beginning on.
    pass: EdgeTrack,
    starts: Vec<Start>,
    gate_ratio: f64,
    floor: f64,
    alpha: f64,
    planned_min: f64,
}

impl CountWalk {
    pub(super) fn new(config: &JudgeConfig, metric: &MetricConfig, frame: Frame) -> Self {
        let known = match (&metric.past, metric.known_dispersion) {
            (Some(past), _) if matches!(past.learnt, Learnt::Counts(_)) => known(&past.learnt),
            (_, Some(phi)) if phi.is_finite() => Known::Dispersion(kept(phi, DISPERSIONS)),
            (_, Some(_) | None) => Known::Nothing,
        };
        let side = worse_side(metric);
        let (edge, limit, other) = match side {
            Side::Above => (allowed_ratio(metric), margin(metric), Side::Below),
            Side::Below => (1.0 / allowed_ratio(metric), 1.0 / margin(metric), Side::Above),
        };
        let starts = Starts::over(config.planned_s, frame.block_s);
        let alarm = Alarmed::by(known, metric);
        let bounded = (Guard::new(alarm.known, frame.block_s), alarm.caution);
        Self {
            kind: metric.kind,
            side,
            arms: Arms::default(),
            test: CountTest::new(Guard::new(known, frame.block_s)),
            onset: CautiousOnset::new(starts, edge, side, frame.block_s, alarm.spread),
            bounded,
            doubt: Doubt::NONE,
            pass: EdgeTrack::new(limit, other),
            starts: Vec::new(),
            gate_ratio: gate_ratio(metric),
            floor: kept(metric.absolute_floor, (0.0, f64::MAX)),
            alpha: level(config.alpha_fail),
            planned_min: planned_s(config) / 60.0,
            frame,
        }
    }

    /// Follows one block. One in which an arm had no exposure changes nothing.
    pub(super) fn push(&mut self, block: &Block, counts: &CountBlock, doubt: Doubt) {
        self.doubt = doubt;
        let made = Counted::new(
            counts.baseline_events,
            counts.canary_events,
            counts.baseline_exposure,
            counts.canary_exposure,
        );
        let compared = made.filter(|_| counts.compares());
        self.frame.note(block, compared.is_some());
        let Some(counted) = compared else { return };
        let reached = self.onset.origins().count();
        self.onset.push(&counted, self.test.totals(), self.test.pooled());
        if self.onset.origins().count() > reached {
            let length = jiff::SignedDuration::try_from_secs_f64(self.frame.block_s).ok();
            self.starts.push(Start {
                at: length.and_then(|length| counts.ends_at.checked_sub(length).ok()),
                before: self.arms,
            });
        }
        self.pass.push(&counted);
        self.test.push(counted);
        self.arms.add(counts);
        look(self, counts.ends_at);
    }

    /// The effect gate (S1.5), on the data since a starting point. It only removes alarms.
    fn effect_matters(&self, start: usize) -> bool {
        let ratio = self
            .onset
            .origins()
            .totals_since(start, self.test.totals())
            .log_ratio()
            .exp();
        let before = self.starts.get(start).map(|start| start.before).unwrap_or_default();
        let Some(difference) = self.arms.since(&before).difference() else {
            return false;
        };
        match self.side {
            Side::Above => ratio >= self.gate_ratio && difference >= self.floor,
            Side::Below => ratio <= 1.0 / self.gate_ratio && -difference >= self.floor,
        }
    }

    fn forecast(&self, phi: f64) -> Forecast<'_> {
        Forecast {
            totals: self.test.totals(),
            elapsed_min: self.frame.compared_s() / 60.0,
            phi,
        }
    }
}

/// What the alarm goes by.
struct Alarmed {
    known: Known,
    spread: Option<Spread>,
    caution: f64,
}

impl Alarmed {
    fn by(known: Known, metric: &MetricConfig) -> Self {
        let learnt = metric.past.as_ref().map(|past| &past.learnt);
        match (known, learnt) {
            (Known::Learnt { information, .. }, Some(Learnt::Counts(past))) if past.alarm.is_some() => {
                let bounded = past.alarm.map(sane).expect("it was just seen");
                Self {
                    known: Known::Learnt {
                        dispersion: bounded.dispersion,
                        information,
                    },
                    spread: Some(Spread::seen(bounded.spread, information)),
                    caution: bounded.caution,
                }
            }
            _ => Self {
                known,
                spread: None,
                caution: 1.0,
            },
        }
    }
}

fn sane(bounded: Bounded) -> Bounded {
    Bounded {
        spread: kept(bounded.spread, DISPERSIONS),
        dispersion: kept(bounded.dispersion, DISPERSIONS),
        caution: kept(bounded.caution, DISPERSIONS),
    }
}

fn known(learnt: &Learnt) -> Known {
    match learnt {
        Learnt::Counts(past) if past.information > 0.0 => Known::Learnt {
            dispersion: kept(past.dispersion, DISPERSIONS),
            information: past.information,
        },
        Learnt::Counts(_) | Learnt::Histogram { .. } | Learnt::Gauge(_) => Known::Nothing,
    }
}

impl Follow for CountWalk {
    fn frame(&self) -> &Frame {
        &self.frame
    }

    fn frame_mut(&mut self) -> &mut Frame {
        &mut self.frame
    }

    fn settle(&self) -> Settled {
        let ((guard, caution), scores) = (&self.bounded, self.test.scores());
        let (plain, largest) = (
            self.test.guard().read(&scores, f64::INFINITY),
            self.onset.largest_score(),
        );
        let own = if guard == self.test.guard() && !scores.has_beyond(largest) {
            plain
        } else {
            guard.read(&scores, largest)
        };
        let dispersion = caution * self.doubt.on(own);
        let undoubted = caution * own;
        let now = self.onset.evidence(dispersion);
        Settled {
            log_e: now.log_e,
            dispersion,
            plain_dispersion: plain.max(self.doubt.plain_dispersion),
            undoubted,
            gate_open: self.effect_matters(now.start),
            start: now.start,
            since: self.starts.get(now.start).and_then(|start| start.at),
        }
    }

    fn ceiling(&self) -> f64 {
        self.onset.ceiling()
    }

    fn log_e_at(&self, dispersion: f64) -> f64 {
        self.onset.evidence(dispersion).log_e
    }

    fn gate_open_at(&self, dispersion: f64) -> bool {
        self.effect_matters(self.onset.evidence(dispersion).start)
    }

    fn scatter(&self) -> (f64, f64) {
        let guard = Guard::new(Known::Dispersion(1.0), self.frame.block_s);
        let scores = self.test.scores();
        let within = |largest: f64| guard.read(&scores, largest);
        (within(self.onset.largest_score()), within(f64::INFINITY))
    }

    fn numbers(&self) -> Numbers {
        let totals = self.test.totals();
        let scale = match self.kind {
            // Of requests in percentage points; of rates per second.
            MetricKind::ErrorShare => 100.0,
            MetricKind::EventRate | MetricKind::Histogram | MetricKind::Gauge | MetricKind::Leak => 1.0,
        };
        Numbers {
            baseline: self.arms.baseline,
            canary: self.arms.canary,
            ratio: (totals.blocks > 0).then(|| totals.log_ratio().exp()),
            difference: self.arms.difference().map(|difference| scale * difference),
            measured: match self.kind {
                MetricKind::EventRate => Measured::Rate,
                MetricKind::ErrorShare | MetricKind::Histogram | MetricKind::Gauge | MetricKind::Leak => {
                    Measured::Share
                }
            },
        }
    }

    fn interval(&self, settled: &Settled) -> (f64, Option<f64>) {
        let (lower, upper) = self.test.interval(self.alpha, settled.plain_dispersion);
        (lower, upper.is_finite().then_some(upper))
    }

    fn at_least(&self, settled: &Settled) -> Option<f64> {
        let phi = settled.dispersion;
        let bound = self
            .onset
            .bound(settled.start, self.frame.alarm, self.test.pooled(), phi);
        let certain = settled.log_e >= self.frame.alarm;
        match self.side {
            Side::Above => (certain || bound > 1.0).then_some(bound.max(1.0)),
            Side::Below => (certain || bound < 1.0).then_some(bound.min(1.0)),
        }
    }

    fn pass(&self, settled: &Settled, threshold: f64) -> Pass {
        let phi = settled.plain_dispersion;
        if self.pass.log_e(phi) < threshold {
            return Pass::NotYet;
        }
        let bound = match self.side {
            Side::Above => upper_bound(self.test.pooled(), threshold, phi),
            Side::Below => lower_bound(self.test.pooled(), threshold, phi),
        };
        Pass::Shown {
            at_most: bound.is_finite().then_some(bound),
        }
    }

    fn incomparable(&self) -> Option<Reason> {
        None
    }

    fn too_little(&self, outlook: &Outlook) -> Option<Reason> {
        let events = self.test.totals().events();
        (events < FEWEST_EVENTS).then_some(Reason::TooFewEvents {
            events,
            needed: FEWEST_EVENTS,
            minutes_to_fail_if_double: outlook.to_fail,
        })
    }

    fn outlook(&self, settled: &Settled, pass_threshold: f64) -> Outlook {
        let alarm = self.forecast(settled.dispersion);
        let threshold = self.frame.alarm + self.onset.origins().log_cost();
        let least = self.onset.least_shown();
        let (regression, offset) = match self.side {
            Side::Above => (DOUBLED, least),
            Side::Below => (1.0 / DOUBLED, 1.0 / least),
        };
        let left_min = (self.planned_min - self.frame.compared_s() / 60.0).max(0.0);
        let detectable = alarm.detectable_ratio(self.onset.plain(), left_min, threshold);
        // However long one waits, what is smaller is put down to the machines.
        let beyond = |ratio: f64| match self.side {
            Side::Above => ratio.max(offset),
            Side::Below => ratio.min(offset),
        };
        Outlook {
            to_pass: self
                .forecast(settled.plain_dispersion)
                .minutes(&self.pass, 1.0, pass_threshold),
            to_fail: alarm.minutes(self.onset.plain(), regression, threshold),
            regression,
            detectable: detectable.map(beyond),
        }
    }
}
