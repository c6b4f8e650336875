//! The verdict with its numbers and reasons.

use arya_engine::{Pauses, Track};
use arya_judge::{ArmCount, MetricVerdict, Outcome, Pause, Timestamp, TrackPoint, TwinsUnfit, Verdict};
use arya_plan::desired::{Desired, Goal};
use serde::{Deserialize, Serialize};

use super::KayentaDocument;
use super::tile::TileDocument;

/// Whether more evidence may come, and so whether *yet* is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    SoFar,
    /// Users reach production only, and more comes only if a person lets it go on.
    OnHold,
    /// It is being removed, or gone.
    AtTheEnd,
}

impl Told {
    pub(crate) const fn of(desired: &Desired) -> Self {
        match desired.goal {
            Goal::Serve { .. } if desired.hold.is_some() => Self::OnHold,
            Goal::Serve { .. } => Self::SoFar,
            Goal::Absent => Self::AtTheEnd,
        }
    }

    pub(crate) fn word(self, outcome: Outcome) -> &'static str {
        match self {
            Self::SoFar | Self::OnHold => outcome.word(),
            Self::AtTheEnd => outcome.last_word(),
        }
    }

    pub(crate) fn sentence(self, verdict: &Verdict) -> String {
        match self {
            Self::SoFar | Self::OnHold => verdict.sentence(),
            Self::AtTheEnd => verdict.last_sentence(),
        }
    }

    fn metric(self, metric: &MetricVerdict) -> String {
        match self {
            Self::SoFar | Self::OnHold => metric.sentence(),
            Self::AtTheEnd => metric.last_sentence(),
        }
    }
}

/// The verdict as a deployment carries it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct VerdictLine {
    pub(crate) outcome: Outcome,
    pub(crate) sentence: String,
}

/// The whole verdict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct VerdictDocument {
    pub(crate) outcome: Outcome,
    /// The outcome as a person says it, e.g. `not enough evidence yet`.
    pub(crate) word: String,
    pub(crate) sentence: String,
    pub(crate) metrics: Vec<MetricDocument>,
    /// What had to be assumed for want of history.
    pub(crate) assumption: Option<String>,
    /// Why both arms are unfit to be compared, if they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) twins_unfit: Option<String>,
    /// The score of Kayenta's judge on the same evidence; `None` before anything was measured.
    pub(crate) kayenta: Option<KayentaDocument>,
    /// The end of the latest block that was judged.
    pub(crate) as_of: Option<Timestamp>,
    /// Since when nothing is judged, or only harm, and why; the numbers are then the last ones.
    pub(crate) paused: Option<PauseDocument>,
    /// Every pause so far, oldest first: what was measured meanwhile is kept and is no evidence for a pass.
    pub(crate) pauses: Vec<PauseDocument>,
}

/// A span in which judging was paused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PauseDocument {
    pub(crate) since: Timestamp,
    /// `None` = it goes on.
    pub(crate) until: Option<Timestamp>,
    /// The sentence.
    pub(crate) why: String,
}

impl From<&Pause> for PauseDocument {
    fn from(pause: &Pause) -> Self {
        Self {
            since: pause.since,
            until: pause.until,
            why: pause.why.clone(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct MetricDocument {
    pub(crate) name: String,
    pub(crate) outcome: Outcome,
    pub(crate) critical: bool,
    /// The number that says most: a share in percent, events per second, a 95th percentile or a mean in the metric's unit;
    /// `None` without requests.
    pub(crate) baseline: Option<f64>,
    pub(crate) canary: Option<f64>,
    pub(crate) baseline_count: ArmCount,
    pub(crate) canary_count: ArmCount,
    /// The canary's share less the baseline's, in percentage points.
    pub(crate) difference: Option<f64>,
    /// The canary's rate over the baseline's.
    pub(crate) ratio: Option<f64>,
    /// Confidence sequence of `ratio`; an open upper end is null.
    pub(crate) interval: (f64, Option<f64>),
    /// The ratio that *no worse* excludes; below 1 where less is worse.
    pub(crate) margin: Option<f64>,
    /// Natural logarithms of the evidence for a regression, and of that which alarms.
    pub(crate) log_e: f64,
    pub(crate) log_e_alarm: f64,
    pub(crate) tile: TileDocument,
    pub(crate) reason: String,
    pub(crate) sentence: String,
    pub(crate) query: String,
    /// What production beside the baseline taught of its scatter, and from how long, if there was such a thing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) learnt: Option<String>,
    /// How the estimate grew, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) track: Vec<TrackDocument>,
}

/// A point of the chart.
pub(crate) type TrackDocument = TrackPoint;

impl VerdictDocument {
    pub(crate) fn of(verdict: &Verdict, tracks: &[Track], pauses: &Pauses, told: Told) -> Self {
        let metrics = verdict.metrics.iter();
        let mut metrics: Vec<MetricDocument> = metrics.map(|metric| MetricDocument::of(metric, told)).collect();
        for metric in &mut metrics {
            if let Some(track) = tracks.iter().find(|track| track.metric == metric.name) {
                metric.track.clone_from(&track.points);
            }
        }
        Self {
            outcome: verdict.outcome,
            word: told.word(verdict.outcome).to_owned(),
            sentence: told.sentence(verdict),
            metrics,
            assumption: verdict.assumption(),
            twins_unfit: verdict.twins_unfit.as_ref().map(TwinsUnfit::sentence),
            kayenta: None,
            as_of: verdict.as_of,
            paused: verdict.paused.as_ref().map(PauseDocument::from),
            pauses: pauses.all().map(PauseDocument::from).collect(),
        }
    }

    /// As pages show it without a server.
    #[cfg(test)]
    pub(crate) fn shown(verdict: &Verdict, tracks: &[Track], told: Told) -> Self {
        Self::of(verdict, tracks, &Pauses::default(), told)
    }

    /// Where nothing was measured.
    pub(crate) fn nothing(told: Told) -> Self {
        Self {
            outcome: Outcome::Inconclusive,
            word: told.word(Outcome::Inconclusive).to_owned(),
            sentence: match told {
                Told::SoFar | Told::OnHold => {
                    "Not enough evidence: nothing is judged while the canary gets no traffic."
                }
                Told::AtTheEnd => {
                    "Not enough evidence: nothing was judged, because nothing was measured under traffic."
                }
            }
            .into(),
            metrics: Vec::new(),
            assumption: None,
            twins_unfit: None,
            kayenta: None,
            as_of: None,
            paused: None,
            pauses: Vec::new(),
        }
    }
}

impl MetricDocument {
    fn of(metric: &MetricVerdict, told: Told) -> Self {
        let (baseline, canary) = metric.values();
        Self {
            name: metric.name.clone(),
            outcome: metric.outcome,
            critical: metric.critical,
            baseline,
            canary,
            baseline_count: metric.baseline,
            canary_count: metric.canary,
            difference: metric.difference,
            ratio: metric.ratio,
            interval: metric.interval,
            margin: metric.margin,
            log_e: metric.log_e,
            log_e_alarm: metric.log_e_alarm,
            tile: TileDocument::of(metric, told),
            reason: metric.reason.sentence(),
            sentence: told.metric(metric),
            query: metric.query.clone(),
            learnt: metric.learnt_beside(),
            track: Vec::new(),
        }
    }
}
