//! What follows from one metric's walk: its outcome and the reason. Fail wins over everything, doubt over a pass.

use crate::sequential::counts::upper_bound;
use crate::walk::{Walk, floor_points, gate_ratio, level, margin};
use crate::{CountBlock, DispersionFrom, JudgeConfig, MetricConfig, MetricVerdict, Outcome, Reason, Silent, Timestamp};

/// Fewer events than this in both arms together allow no statement (S5).
const FEWEST_EVENTS: f64 = 5.0;
/// A pass from a single reading of the counters would rest on one accident of timing.
const FEWEST_BLOCKS: f64 = 2.0;
/// A month. Nothing else ends a bake that was configured to be endless.
const LONGEST_BAKE_S: f64 = 30.0 * 86_400.0;
/// Without a comparison for this long, what was known no longer describes the present (S7.2).
const LONGEST_SILENCE_S: f64 = 300.0;
/// The regression whose time to an alarm is forecast: twice as many failures.
const DOUBLED: f64 = 2.0;

/// Everything one metric's outcome depends on.
#[derive(Debug)]
pub(crate) struct Ruling<'a> {
    pub(crate) config: &'a JudgeConfig,
    pub(crate) metric: &'a MetricConfig,
    pub(crate) walk: &'a Walk,
    /// Evidence after closed testing over all metrics.
    pub(crate) adjusted: f64,
    /// Whether the arms get the traffic they should not.
    pub(crate) unsound: bool,
    /// What the source said instead of data.
    pub(crate) problem: Option<&'a str>,
}

impl Ruling<'_> {
    /// The metric's outcome with its numbers.
    pub(crate) fn verdict(&self) -> MetricVerdict {
        let walk = self.walk;
        let (outcome, reason, since) = self.outcome();
        let (lower, upper) = walk.test.interval(level(self.config.alpha_fail), walk.phi);
        let totals = walk.test.totals();
        MetricVerdict {
            name: self.metric.name.clone(),
            outcome,
            critical: self.metric.critical,
            baseline: walk.arms.baseline,
            canary: walk.arms.canary,
            ratio: (totals.blocks > 0).then(|| totals.log_ratio().exp()),
            difference: walk.arms.difference(),
            interval: (lower, upper.is_finite().then_some(upper)),
            log_e: walk.now.log_e,
            log_e_alarm: walk.alarm,
            dispersion: walk.phi,
            dispersion_from: match self.metric.known_dispersion {
                Some(phi) if phi.is_finite() => DispersionFrom::History,
                Some(_) | None => DispersionFrom::Assumption,
            },
            reason,
            since,
            query: self.metric.query.clone(),
        }
    }

    fn outcome(&self) -> (Outcome, Reason, Option<Timestamp>) {
        if let Some((shown_at, start)) = self.shown() {
            let certain = self.walk.now.log_e >= self.walk.alarm;
            let start = if certain { self.walk.now.start } else { start };
            let reason = Reason::RegressionShown {
                at_least: self.at_least(),
                shown_at,
            };
            return (Outcome::Harmful, reason, self.walk.started(start));
        }
        match self.doubt().or_else(|| self.missing_for_a_pass()) {
            Some(reason) => (Outcome::Inconclusive, reason, None),
            None => (Outcome::NoWorse, self.within_margin(), None),
        }
    }

    /// Shown by this metric alone at any block, or now by closed testing together with the others.
    fn shown(&self) -> Option<(Timestamp, usize)> {
        let threshold = (1.0 / level(self.config.alpha_fail)).ln_1p();
        let together = self.walk.gate_open && self.adjusted >= threshold;
        let last = self
            .walk
            .blocks
            .iter()
            .rfind(|block| block.compares())
            .map(|block| block.ends_at);
        self.walk
            .shown
            .or_else(|| together.then_some((last?, self.walk.now.start)))
    }

    /// The bound that the evidence now supports, at the metric's own level.
    fn at_least(&self) -> Option<f64> {
        let walk = self.walk;
        let bound = walk
            .onset
            .lower_bound(walk.now.start, walk.alarm, walk.test.pooled(), walk.phi);
        let certain = walk.now.log_e >= walk.alarm || bound > 1.0;
        certain.then_some(bound.max(1.0))
    }

    /// Reasons to say nothing, whatever the test says.
    fn doubt(&self) -> Option<Reason> {
        let walk = self.walk;
        if let Some(what) = self.problem {
            return Some(Reason::SourceFailed { what: what.to_owned() });
        }
        if walk.test.totals().blocks == 0 {
            return Some(Reason::NoRequests {
                silent: silent(&walk.blocks),
            });
        }
        (walk.silent_s() >= LONGEST_SILENCE_S).then(|| Reason::NoRequests {
            silent: silent(walk.silent_blocks()),
        })
    }

    /// What still stands between the data and *no worse*.
    fn missing_for_a_pass(&self) -> Option<Reason> {
        let walk = self.walk;
        let shortest_s = FEWEST_BLOCKS * walk.block_s;
        let bake_s = self.config.minimum_bake_s.min(LONGEST_BAKE_S).max(shortest_s);
        let remaining_s = bake_s - walk.compared_s();
        if walk.pass.log_e(walk.phi) < self.pass_threshold() {
            return Some(self.not_enough(remaining_s));
        }
        if self.unsound {
            return Some(Reason::ComparisonUnsound);
        }
        (remaining_s > 0.0).then_some(Reason::MinimumBake { remaining_s })
    }

    fn not_enough(&self, remaining_s: f64) -> Reason {
        let walk = self.walk;
        let events = walk.test.totals().events();
        let forecast = walk.forecast();
        let threshold = walk.alarm + walk.onset.log_cost();
        let minutes_to_fail_if_double = forecast.minutes(walk.onset.from_the_beginning(), DOUBLED, threshold);
        if events < FEWEST_EVENTS {
            return Reason::TooFewEvents {
                events,
                needed: FEWEST_EVENTS,
                minutes_to_fail_if_double,
            };
        }
        if walk.now.log_e >= walk.alarm && !walk.gate_open {
            let (gate_ratio, floor_points) = (gate_ratio(self.metric), floor_points(self.metric));
            return Reason::EffectTooSmall {
                gate_ratio,
                floor_points,
            };
        }
        let to_pass = forecast.minutes(&walk.pass, 1.0, self.pass_threshold());
        let minutes_to_pass = to_pass.map(|minutes| minutes.max(remaining_s / 60.0));
        Reason::NotEnoughEvidence {
            minutes_to_pass,
            minutes_to_fail_if_double,
        }
    }

    fn within_margin(&self) -> Reason {
        let bound = upper_bound(self.walk.test.pooled(), self.pass_threshold(), self.walk.phi);
        Reason::WithinMargin {
            at_most: bound.is_finite().then_some(bound),
            margin: margin(self.metric),
        }
    }

    fn pass_threshold(&self) -> f64 {
        (1.0 / level(self.config.alpha_pass)).ln()
    }
}

fn silent(blocks: &[CountBlock]) -> Silent {
    let baseline = blocks.iter().any(|block| block.baseline_exposure > 0.0);
    let canary = blocks.iter().any(|block| block.canary_exposure > 0.0);
    match (baseline, canary) {
        (true, false) => Silent::Canary,
        (false, true) => Silent::Baseline,
        (false, false) | (true, true) => Silent::Both,
    }
}
