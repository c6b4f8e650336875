//! What follows from one metric's walk: its outcome and the reason. Fail wins over everything, doubt over a pass.

use crate::walk::{Follow, Outlook, Pass, Settled, gate_ratio, level, margin};
use crate::{
    Direction, DispersionFrom, JudgeConfig, MetricConfig, MetricKind, MetricVerdict, Outcome, Reason, Silent, Timestamp,
};

/// A pass from a single reading of the counters would rest on one accident of timing.
const FEWEST_BLOCKS: f64 = 2.0;
/// A month. Nothing else ends a bake that was configured to be endless.
const LONGEST_BAKE_S: f64 = 30.0 * 86_400.0;
/// Without a comparison for this long, what was known no longer describes the present (S7.2).
const LONGEST_SILENCE_S: f64 = 300.0;

/// Everything one metric's outcome depends on.
pub(crate) struct Ruling<'a> {
    pub(crate) config: &'a JudgeConfig,
    pub(crate) metric: &'a MetricConfig,
    pub(crate) walk: &'a dyn Follow,
    /// When closed testing over all metrics first named it, and when its regression began.
    pub(crate) named: Option<(Timestamp, Option<Timestamp>)>,
    /// Whether the arms get the traffic they should not.
    pub(crate) unsound: bool,
    /// What the source said instead of data.
    pub(crate) problem: Option<&'a str>,
    /// The minimum bake counts from here; `None` = from the first block on.
    pub(crate) bake_from: Option<Timestamp>,
    /// Seconds of production beside the baseline that were learnt from.
    pub(crate) beside_s: Option<f64>,
    /// Seconds of them before the canary had users; `None` = it had some from the start.
    pub(crate) spell_s: Option<f64>,
}

impl Ruling<'_> {
    /// The metric's outcome with its numbers.
    pub(crate) fn verdict(&self) -> MetricVerdict {
        let settled = self.walk.settled();
        let (outcome, reason, since, detectable) = self.outcome(&settled);
        let numbers = self.walk.numbers();
        let learnt = self.learnt();
        MetricVerdict {
            name: self.metric.name.clone(),
            outcome,
            critical: self.metric.critical,
            baseline: numbers.baseline,
            canary: numbers.canary,
            ratio: numbers.ratio,
            difference: numbers.difference,
            interval: self.walk.interval(&settled),
            log_e: settled.log_e,
            log_e_alarm: self.walk.frame().alarm,
            dispersion: settled.dispersion,
            dispersion_from: match (&learnt, self.metric.known_dispersion) {
                (Some(_), _) => DispersionFrom::History,
                (None, _) if settled.dispersion > settled.undoubted => DispersionFrom::Production,
                (None, Some(phi)) if phi.is_finite() && counts_or_buckets(self.metric.kind) => DispersionFrom::History,
                (None, Some(_) | None) => DispersionFrom::Assumption,
            },
            learnt_from: learnt,
            beside_s: self.beside_s,
            spell_s: self.spell_s,
            measured: numbers.measured,
            unit: self.metric.unit,
            detectable,
            margin: Some(excluded(self.metric)),
            reason,
            since,
            query: self.metric.query.clone(),
        }
    }

    fn learnt(&self) -> Option<String> {
        let past = self.metric.past.as_ref().filter(|past| past.is_of(self.metric.kind))?;
        Some(format!("{:.1} h of {}", past.hours, past.from))
    }

    fn outcome(&self, settled: &Settled) -> (Outcome, Reason, Option<Timestamp>, Option<f64>) {
        if let Some((shown_at, since)) = self.shown() {
            let certain = settled.log_e >= self.walk.frame().alarm;
            let since = if certain { settled.since } else { since };
            let at_least = self.walk.at_least(settled);
            let reason = Reason::RegressionShown { at_least, shown_at };
            return (Outcome::Harmful, reason, since, None);
        }
        if let Some(reason) = self.doubt() {
            return (Outcome::Inconclusive, reason, None, None);
        }
        match self.missing_for_a_pass(settled) {
            Ok(reason) => (Outcome::NoWorse, reason, None, None),
            Err((reason, detectable)) => (Outcome::Inconclusive, reason, None, detectable),
        }
    }

    /// Shown by this metric alone at any block, or by closed testing together with the others at any minute.
    fn shown(&self) -> Option<(Timestamp, Option<Timestamp>)> {
        let alone = self.walk.frame().shown.map(|shown| (shown.at, shown.since));
        [alone, self.named].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// Reasons to say nothing, whatever the test says.
    fn doubt(&self) -> Option<Reason> {
        let frame = self.walk.frame();
        if let Some(what) = self.problem {
            return Some(Reason::SourceFailed { what: what.to_owned() });
        }
        if let Some(reason) = self.walk.incomparable() {
            return Some(reason);
        }
        let nothing = !frame.has_compared() || frame.silent_s() >= LONGEST_SILENCE_S;
        nothing.then(|| Reason::NoRequests {
            silent: frame.silent().unwrap_or(Silent::Both),
        })
    }

    /// What still stands between the data and *no worse*, with the size that could be shown in the end; or why nothing
    /// does.
    fn missing_for_a_pass(&self, settled: &Settled) -> Result<Reason, (Reason, Option<f64>)> {
        let frame = self.walk.frame();
        let shortest_s = FEWEST_BLOCKS * frame.block_s;
        let bake_s = self.config.minimum_bake_s.min(LONGEST_BAKE_S).max(shortest_s);
        let remaining_s = bake_s - frame.compared_s_from(self.bake_from);
        let threshold = (1.0 / level(self.config.alpha_pass)).ln();
        let Pass::Shown { at_most } = self.walk.pass(settled, threshold) else {
            let outlook = self.walk.outlook(settled, threshold);
            return Err((self.not_enough(settled, &outlook, remaining_s), outlook.detectable));
        };
        if self.unsound {
            return Err((Reason::ComparisonUnsound, None));
        }
        if remaining_s > 0.0 {
            return Err((Reason::MinimumBake { remaining_s }, None));
        }
        let margin = margin(self.metric);
        Ok(Reason::WithinMargin { at_most, margin })
    }

    fn not_enough(&self, settled: &Settled, outlook: &Outlook, remaining_s: f64) -> Reason {
        if let Some(reason) = self.walk.too_little(outlook) {
            return reason;
        }
        if settled.log_e >= self.walk.frame().alarm && !settled.gate_open {
            let floor = match self.metric.kind {
                MetricKind::ErrorShare => 100.0 * self.metric.absolute_floor,
                MetricKind::EventRate => self.metric.absolute_floor,
                MetricKind::Histogram | MetricKind::Gauge | MetricKind::Leak => 0.0,
            };
            return Reason::EffectTooSmall {
                gate_ratio: gate_ratio(self.metric),
                floor: crate::walk::kept(floor, (0.0, 1e9)),
            };
        }
        Reason::NotEnoughEvidence {
            minutes_to_pass: outlook.to_pass.map(|minutes| minutes.max(remaining_s / 60.0)),
            minutes_to_fail: outlook.to_fail,
            regression: outlook.regression,
        }
    }
}

/// The ratio that a pass excludes, on the side that is worse.
fn excluded(metric: &MetricConfig) -> f64 {
    match metric.worse {
        Direction::Up | Direction::Any => margin(metric),
        Direction::Down => 1.0 / margin(metric),
    }
}

/// Whether a known dispersion says something about a kind.
fn counts_or_buckets(kind: MetricKind) -> bool {
    match kind {
        MetricKind::ErrorShare | MetricKind::EventRate | MetricKind::Histogram => true,
        MetricKind::Gauge | MetricKind::Leak => false,
    }
}
