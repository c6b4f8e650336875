//! Bucket increments in, what the test says at each look out.

use serde::{Deserialize, Serialize};

use super::{DocumentError, Figure, LARGEST_COUNT, accept_equal, accept_looks, accept_phi, at_looks, at_most, within};
use crate::sequential::histogram::{Direction, HistogramTest, Scatter};
use crate::sequential::quantile;
use crate::sequential::tilts::Edges;

/// More boundaries than any client library makes.
const MOST_EDGES: usize = 1024;
/// Error rate of the bounds of quantiles.
const ALPHA: f64 = 0.05;
/// Effects below this part of a quantile are not spoken of.
const GATE: f64 = 0.05;
/// An outer quantile is looked at from so many baseline requests beyond it on.
const FEWEST_BEYOND: f64 = 10.0;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistogramDocument {
    /// How the test is set.
    #[serde(default)]
    pub settings: HistogramSettings,
    /// Finite upper edges of the buckets, rising; one bucket more lies above them.
    pub upper_edges: Vec<f64>,
    /// Requests of the baseline by block and bucket.
    #[serde(default)]
    pub baseline: Vec<Vec<f64>>,
    /// Requests of the canary by block and bucket.
    #[serde(default)]
    pub canary: Vec<Vec<f64>>,
    /// After how many blocks to answer; after the last one when empty.
    #[serde(default)]
    pub looks: Vec<usize>,
}

/// How the test is set.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HistogramSettings {
    /// What is looked for.
    pub direction: Direction,
    /// Dispersion known from history, at least 1.
    pub phi_hist: Option<f64>,
}

/// The answer to a [`HistogramDocument`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HistogramAnswer {
    /// One per look, in the order asked.
    pub looks: Vec<HistogramLook>,
}

/// What the test says after some blocks. Logarithms are natural.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HistogramLook {
    /// After how many blocks.
    pub block: usize,
    /// Dispersion, at least 1.
    pub phi: Figure,
    /// Evidence.
    pub log_e: Figure,
    /// Evidence if requests were independent.
    pub log_e_untempered: Figure,
    /// Always-valid p over every block so far.
    pub p: Figure,
    /// The way of being slower that explains the data best.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best_alternative: Option<String>,
    /// Evidence, none while no watched quantile is up by at least 5 %.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_e_gated_5pct: Option<Figure>,
    /// Log-likelihood ratio of every way that is bet on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub components: Option<Vec<Figure>>,
    /// The median.
    #[serde(rename = "q0.5")]
    pub median: QuantileAnswer,
    /// The 95th percentile.
    #[serde(rename = "q0.95")]
    pub p95: QuantileAnswer,
    /// The 99th percentile.
    #[serde(rename = "q0.99")]
    pub p99: QuantileAnswer,
}

/// One quantile of both arms.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct QuantileAnswer {
    /// Estimate of the baseline's.
    pub baseline: Figure,
    /// Estimate of the canary's.
    pub canary: Figure,
    /// Edges between which the baseline's lies.
    pub cs95_baseline: [Figure; 2],
    /// Edges between which the canary's lies.
    pub cs95_canary: [Figure; 2],
}

/// Answers a document about a histogram.
///
/// # Errors
/// When a number is out of its range; nothing is computed then.
pub fn judge_histogram(document: &HistogramDocument) -> Result<HistogramAnswer, DocumentError> {
    let edges = accept(document)?;
    let settings = &document.settings;
    let scatter = settings.phi_hist.map_or(Scatter::assumed(), Scatter::Known);
    let mut run = Run {
        test: HistogramTest::new(edges, settings.direction, scatter),
        direction: settings.direction,
        highest: 0.0,
    };
    let push = |run: &mut Run, index: usize| run.push(&document.baseline[index], &document.canary[index]);
    let looks = at_looks(&document.looks, document.baseline.len(), &mut run, push, Run::look);
    Ok(HistogramAnswer { looks })
}

fn accept(document: &HistogramDocument) -> Result<Edges, DocumentError> {
    accept_phi(document.settings.phi_hist)?;
    at_most(MOST_EDGES, document.upper_edges.len(), "the number of upper_edges")?;
    let edges = Edges::new(&document.upper_edges).ok_or_else(|| DocumentError::OutOfRange {
        field: "upper_edges".to_owned(),
        found: super::shortened(format!("{:?}", document.upper_edges)),
        allowed: "one or more finite, positive, rising numbers".to_owned(),
    })?;
    accept_looks(&document.looks, document.baseline.len(), "baseline")?;
    accept_equal(document.baseline.len(), document.canary.len())?;
    for (arm, rows) in [("baseline", &document.baseline), ("canary", &document.canary)] {
        for (index, row) in rows.iter().enumerate() {
            let counted = row.iter().all(|count| (0.0..=LARGEST_COUNT).contains(count));
            within(
                counted && row.len() == edges.buckets(),
                &format!("{arm}[{index}]"),
                format!("{row:?}"),
                &format!("{} counts from 0 to 9e15", edges.buckets()),
            )?;
        }
    }
    Ok(edges)
}

/// The test under way.
struct Run {
    test: HistogramTest,
    direction: Direction,
    highest: f64,
}

impl Run {
    fn push(&mut self, baseline: &[f64], canary: &[f64]) {
        self.test.push(baseline, canary);
        self.highest = self.highest.max(self.test.log_e(self.test.dispersion()));
    }

    fn look(&self, block: usize) -> HistogramLook {
        let phi = self.test.dispersion();
        let log_e = self.test.log_e(phi);
        let gated = if self.is_up() { log_e } else { log_e.min(0.0) };
        let directed = self.direction != Direction::Any;
        HistogramLook {
            block,
            phi: Figure(phi),
            log_e: Figure(log_e),
            log_e_untempered: Figure(self.test.log_e(1.0)),
            p: Figure((-self.highest).exp().min(1.0)),
            best_alternative: self.test.best().map(|tilt| tilt.to_string()),
            log_e_gated_5pct: directed.then_some(Figure(gated)),
            components: directed.then(|| self.test.log_ratios().iter().copied().map(Figure).collect()),
            median: self.quantile(0.5),
            p95: self.quantile(0.95),
            p99: self.quantile(0.99),
        }
    }

    /// Whether a watched quantile of the canary is above the baseline's by the gate.
    fn is_up(&self) -> bool {
        let (baseline, canary) = self.test.counts();
        let edges = self.test.edges().upper();
        let total: f64 = baseline.iter().sum();
        let up = |q: f64| {
            let of = |counts: &[f64]| quantile::estimate(counts, edges, q);
            matches!((of(baseline), of(canary)), (Some(b), Some(c)) if b > 0.0 && c / b >= 1.0 + GATE)
        };
        let watched = [0.5, 0.95, 0.99].into_iter();
        watched
            .filter(|q| *q == 0.5 || total * (1.0 - q) >= FEWEST_BEYOND)
            .any(up)
    }

    fn quantile(&self, q: f64) -> QuantileAnswer {
        let (baseline, canary) = self.test.counts();
        let edges = self.test.edges().upper();
        let estimate = |counts: &[f64]| Figure(quantile::estimate(counts, edges, q).unwrap_or(f64::NAN));
        let bounds = |counts: &[f64]| {
            let (lower, upper) = quantile::bounds(counts, edges, q, ALPHA);
            [Figure(lower), Figure(upper)]
        };
        QuantileAnswer {
            baseline: estimate(baseline),
            canary: estimate(canary),
            cs95_baseline: bounds(baseline),
            cs95_canary: bounds(canary),
        }
    }
}
