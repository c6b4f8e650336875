//! One metric's tile: the difference with its interval, the evidence, and, for the one that someone looks at, its course.
//! Every number and word is the judge's.

use arya_judge::{DEFAULT_PASS_MARGIN, Outcome};

use crate::api::documents::{MetricDocument, TileDocument, Told};
use crate::app::Closer;
use crate::web::chart::Chart;
use crate::web::lines::{Lines, Scale};
use crate::web::strip::Strip;
use crate::web::tone::Chip;
use crate::web::words;

#[derive(Debug, Clone)]
pub(crate) struct MetricTile {
    /// Among the verdict's metrics.
    pub(crate) place: usize,
    pub(crate) name: String,
    /// The part of the page that it is.
    pub(crate) anchor: String,
    pub(crate) chip: Chip,
    pub(crate) critical: bool,
    pub(crate) sentence: String,
    pub(crate) words: TileDocument,
    pub(crate) outlook: Option<String>,
    /// What production beside the baseline taught of its scatter.
    pub(crate) learnt: Option<String>,
    pub(crate) strip: Option<Strip>,
    /// The page with this metric's course.
    pub(crate) closer: String,
    pub(crate) drawer: Option<Drawer>,
    /// The way of the estimate, for the report.
    pub(crate) chart: Option<Chart>,
    pub(crate) query: String,
}

/// What is shown of a metric that someone looks at.
#[derive(Debug, Clone)]
pub(crate) struct Drawer {
    pub(crate) chart: Option<Chart>,
    pub(crate) compared: String,
    pub(crate) course: Option<Lines>,
    /// What the course shows.
    pub(crate) course_of: &'static str,
    pub(crate) above: Option<Lines>,
    pub(crate) source: String,
    pub(crate) query: String,
}

impl MetricTile {
    /// All tiles of a page, the worst first.
    pub(crate) fn all(metrics: &[MetricDocument], page: &str, told: Told) -> Vec<Self> {
        let mut order: Vec<(usize, &MetricDocument)> = metrics.iter().enumerate().collect();
        order.sort_by(|(_, a), (_, b)| urgency(b).partial_cmp(&urgency(a)).unwrap_or(std::cmp::Ordering::Equal));
        order
            .into_iter()
            .map(|(place, metric)| Self::of(metric, place, page, told))
            .collect()
    }

    fn of(metric: &MetricDocument, place: usize, page: &str, told: Told) -> Self {
        let (tile, anchor) = (&metric.tile, format!("metric-{place}"));
        let said = format!("{}, {}.", arya_judge::capitalised(&tile.compared), tile.interval);
        Self {
            place,
            name: arya_judge::capitalised(&metric.name),
            chip: Chip::outcome(metric.outcome, told),
            critical: metric.critical,
            sentence: arya_judge::capitalised(&metric.sentence),
            words: tile.clone(),
            outlook: tile.outlook.as_deref().map(arya_judge::capitalised),
            learnt: metric.learnt.clone(),
            strip: Strip::of(metric.ratio, metric.interval, metric.margin, &said),
            closer: format!("{page}?metric={}#{anchor}", words::in_address(&metric.name)),
            drawer: None,
            chart: Chart::of(&metric.track, metric.margin.unwrap_or(DEFAULT_PASS_MARGIN)),
            query: metric.query.clone(),
            anchor,
        }
    }

    /// The same with its course.
    pub(crate) fn open(&mut self, closer: &Closer, margin: Option<f64>) {
        let scale = Scale {
            kind: closer.kind,
            unit: closer.unit,
        };
        self.drawer = Some(Drawer {
            chart: Chart::of(&closer.track, margin.unwrap_or(DEFAULT_PASS_MARGIN)),
            compared: arya_judge::capitalised(&self.words.compared),
            course: Lines::over_time(&closer.course, scale),
            course_of: course_of(closer),
            above: Lines::above_edges(&closer.above, scale),
            source: closer.source.clone(),
            query: closer.query.clone(),
        });
    }
}

/// Harm before doubt before a pass, and among these the strongest evidence for harm.
fn urgency(metric: &MetricDocument) -> (u8, f64) {
    let rank = match metric.outcome {
        Outcome::Harmful => 2,
        Outcome::Inconclusive => 1,
        Outcome::NoWorse => 0,
    };
    (rank, metric.log_e - metric.log_e_alarm)
}

fn course_of(closer: &Closer) -> &'static str {
    use arya_judge::MetricKind;
    match closer.kind {
        MetricKind::ErrorShare => "The share of requests that failed.",
        MetricKind::EventRate => "Events per minute.",
        MetricKind::Histogram => "The 95th percentile of each span.",
        MetricKind::Gauge | MetricKind::Leak => "The level of each span.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::judged::{self, USUAL};

    #[test]
    fn minutes_are_promised_only_while_evidence_comes() {
        let promised = |told| {
            let verdict = judged::told(&judged::run(&USUAL, 3), told);
            let tiles = MetricTile::all(&verdict.metrics, "/deployments/x", told);
            let outlooks: Vec<String> = tiles.into_iter().filter_map(|tile| tile.outlook).collect();
            assert!(!outlooks.is_empty(), "{told:?}");
            outlooks.join("\n").contains("if nothing is wrong")
        };
        assert_eq!(
            [Told::SoFar, Told::OnHold, Told::AtTheEnd].map(promised),
            [true, false, false]
        );
    }
}
