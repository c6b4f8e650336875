//! Evidence of several metrics, and readings of counters: lists in, lists out.

use serde::{Deserialize, Serialize};

use super::{DocumentError, Figure, accept_equal, accept_looks, within};
use crate::sequential::combine::{adjusted, global, likely};
use crate::sequential::counters::{aligned, increments};

/// Adjusting costs the square of the number of metrics.
const MOST_METRICS: usize = 4096;

/// Evidence of several metrics.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CombineDocument {
    /// Natural logarithms of the evidence.
    pub log_e: Vec<f64>,
    /// What is bet on each metric, above 0; only their proportions matter.
    pub weights: Vec<f64>,
}

/// The metrics heard together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CombineAnswer {
    /// Evidence that something is worse.
    pub global_log_e: Figure,
    /// Evidence against each metric that the others cannot explain away.
    pub closed_adjusted_log_e: Vec<Figure>,
    /// Metrics that are likely worse at an expected share of wrong names of 10 %.
    pub e_bh_rejected_alpha_0_1: Vec<usize>,
    /// The same at 50 %.
    pub e_bh_rejected_alpha_0_5: Vec<usize>,
}

/// Hears several metrics together.
///
/// # Errors
/// When a number is out of its range; nothing is computed then.
pub fn combine(document: &CombineDocument) -> Result<CombineAnswer, DocumentError> {
    let (log_es, weights) = (&document.log_e, &document.weights);
    let count = log_es.len();
    within(
        (1..=MOST_METRICS).contains(&count),
        "the number of entries in log_e",
        count.to_string(),
        "from 1 to 4096",
    )?;
    within(
        weights.len() == count,
        "the number of weights",
        weights.len().to_string(),
        &format!("{count}, as in log_e"),
    )?;
    let sound = |weight: &f64| (1e-9..=1e9).contains(weight);
    within(
        weights.iter().all(sound),
        "weights",
        format!("{weights:?}"),
        "from 1e-9 to 1e9",
    )?;
    let finite = log_es.iter().all(|log_e| log_e.abs() <= 1e12);
    within(finite, "log_e", format!("{log_es:?}"), "numbers between -1e12 and 1e12")?;
    Ok(CombineAnswer {
        global_log_e: Figure(global(log_es, weights)),
        closed_adjusted_log_e: adjusted(log_es, weights).into_iter().map(Figure).collect(),
        e_bh_rejected_alpha_0_1: likely(log_es, 0.1),
        e_bh_rejected_alpha_0_5: likely(log_es, 0.5),
    })
}

/// Readings of a counter on both arms at the same times; `null` is a missing one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PreprocessDocument {
    /// Readings of the baseline.
    pub baseline: Vec<Option<f64>>,
    /// Readings of the canary.
    pub canary: Vec<Option<f64>>,
}

/// What was counted between readings.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PreprocessAnswer {
    /// Since the reading before; `null` where there is none.
    pub baseline_increments: Vec<Option<f64>>,
    /// The canary's.
    pub canary_increments: Vec<Option<f64>>,
    /// Readings at which the counter had begun anew.
    pub baseline_resets: Vec<usize>,
    /// The canary's.
    pub canary_resets: Vec<usize>,
    /// Sums of both arms over spans that end where both were read.
    pub aligned_b_c: Vec<[f64; 2]>,
}

/// Reads counters.
///
/// # Errors
/// When there are too many readings or the arms have not the same number.
pub fn preprocess(document: &PreprocessDocument) -> Result<PreprocessAnswer, DocumentError> {
    accept_looks(&[], document.baseline.len(), "baseline")?;
    accept_equal(document.baseline.len(), document.canary.len())?;
    let (baseline, canary) = (increments(&document.baseline), increments(&document.canary));
    let spans = aligned(&baseline.counted, &canary.counted);
    Ok(PreprocessAnswer {
        aligned_b_c: spans.into_iter().map(|(_, b, c)| [b, c]).collect(),
        baseline_increments: baseline.counted,
        canary_increments: canary.counted,
        baseline_resets: baseline.resets,
        canary_resets: canary.resets,
    })
}
