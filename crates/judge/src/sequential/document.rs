//! The always-valid judge on a document: counts in, what the test says at each look out. It parses no text itself:
//! the structures are serde's to fill.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::counts::{Block, CountTest, EdgeTrack, Side, lower_bound, upper_bound};
use super::forecast::Forecast;
use super::guard::{Guard, Known, REFERENCE_BLOCK_S};
use super::restart::{Onset, Starts};

/// As many blocks as a deployment is judged by.
const MOST_BLOCKS: usize = crate::MAX_BLOCKS;
/// Each look costs bounds and forecasts, some milliseconds; this many are a minute at the very most.
const MOST_LOOKS: usize = 4096;
/// More edges than anyone compares side by side.
const MOST_EDGES: usize = 32;
/// The same limit as for stored evidence: beyond it a double is no longer a count.
const LARGEST_COUNT: f64 = 9e15;
/// Starting points of the late-onset mixture, in blocks, and the planned length they cover.
const RESTART_EVERY: usize = 20;
const RESTART_PLANNED: usize = 240;
/// The time by which the detectable ratio is asked, in minutes.
const DETECTABLE_BY_MIN: f64 = 60.0;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CountsDocument {
    /// Which test; only `counts` is known.
    pub kind: String,
    /// How the test is set.
    #[serde(default)]
    pub settings: CountsSettings,
    /// Rows of events of baseline and canary, exposure of baseline and canary.
    #[serde(default)]
    pub blocks_xb_xc_eb_ec: Vec<[f64; 4]>,
    /// Ratios against which a regression is tested.
    #[serde(default = "usual_edges")]
    pub edges: Vec<f64>,
    /// After how many blocks to answer; after the last one when empty.
    #[serde(default)]
    pub looks: Vec<usize>,
}

/// How the test is set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CountsSettings {
    /// Whether scatter beyond chance is estimated.
    pub guard: bool,
    /// Dispersion known from history, at least 1.
    pub phi_hist: Option<f64>,
    /// Error rate of bounds and forecasts, in (0, 1).
    pub alpha: f64,
    /// The ratio that a pass excludes, above 0.
    pub pass_margin: f64,
    /// Minutes in a block, above 0.
    pub minutes_per_block: f64,
}

impl Default for CountsSettings {
    fn default() -> Self {
        Self {
            guard: true,
            phi_hist: None,
            alpha: 0.05,
            pass_margin: 1.5,
            minutes_per_block: 0.25,
        }
    }
}

fn usual_edges() -> Vec<f64> {
    vec![1.0, 1.25]
}

/// A number that may be infinite, which JSON writes as the text `inf`, `-inf` or `nan`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figure(pub f64);

impl Serialize for Figure {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            number if number.is_finite() => serializer.serialize_f64(number),
            number if number.is_nan() => serializer.serialize_str("nan"),
            number if number > 0.0 => serializer.serialize_str("inf"),
            _ => serializer.serialize_str("-inf"),
        }
    }
}

/// The answer to a [`CountsDocument`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CountsAnswer {
    /// As asked.
    pub kind: &'static str,
    /// One per look, in the order asked.
    pub looks: Vec<CountsLook>,
}

/// What the test says after some blocks. Logarithms are natural.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CountsLook {
    /// After how many blocks.
    pub block: usize,
    /// Dispersion, at least 1.
    pub phi: Figure,
    /// Estimated ratio of canary's rate to baseline's.
    pub ratio: Figure,
    /// Evidence that the ratio is above each edge.
    pub up: BTreeMap<String, EdgeAnswer>,
    /// Evidence that the ratio is below 1.
    pub down_1: Figure,
    /// Evidence that the ratio is not 1.
    pub two_1: Figure,
    /// Evidence that the ratio is below the pass margin.
    pub log_e_pass: Figure,
    /// Confidence sequence, two-sided; at an `alpha` of 0.05 its level is 95 %.
    pub cs95: [Figure; 2],
    /// Bound from below alone.
    pub lower95_one_sided: Figure,
    /// Bound from above alone.
    pub upper95_one_sided: Figure,
    /// Evidence that the ratio is above 1 since some starting point.
    pub restart: Figure,
    /// Minutes to a pass if the arms are equal; `null` is more than a day.
    pub minutes_to_pass_if_equal: Option<Figure>,
    /// Minutes to an alarm if the canary's rate is doubled; `null` is more than a day.
    pub minutes_to_fail_if_double: Option<Figure>,
    /// Smallest ratio that would be shown by minute 60.
    pub detectable_ratio_by_60: Option<Figure>,
}

/// Evidence against one edge.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct EdgeAnswer {
    /// Logarithm of the evidence now.
    pub log_e: Figure,
    /// Always-valid p over every block so far.
    pub p: Figure,
}

/// Why a document is not answered.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DocumentError {
    /// Another test is asked for.
    #[error("kind {kind:?} is not known to this version; it knows \"counts\"")]
    UnknownKind {
        /// What was asked for.
        kind: String,
    },
    /// A number is outside what it can mean.
    #[error("{field} is {found}; it must be {allowed}")]
    OutOfRange {
        /// The key in the document.
        field: String,
        /// What it holds.
        found: String,
        /// What it may hold.
        allowed: String,
    },
}

/// Answers a document about event counts.
///
/// # Errors
/// When the kind is another or a number is out of its range; nothing is computed then.
pub fn judge_counts(document: &CountsDocument) -> Result<CountsAnswer, DocumentError> {
    accept(document)?;
    let last = [document.blocks_xb_xc_eb_ec.len()];
    let asked = if document.looks.is_empty() {
        &last[..]
    } else {
        &document.looks
    };
    let settings = &document.settings;
    let mut run = Run::new(settings, &document.edges);
    let mut answers = BTreeMap::new();
    if asked.contains(&0) {
        answers.insert(0, run.look(0, settings));
    }
    for (index, row) in document.blocks_xb_xc_eb_ec.iter().enumerate() {
        run.push(row);
        if asked.contains(&(index + 1)) {
            answers.insert(index + 1, run.look(index + 1, settings));
        }
    }
    let looks = asked.iter().filter_map(|look| answers.get(look).cloned()).collect();
    Ok(CountsAnswer { kind: "counts", looks })
}

fn accept(document: &CountsDocument) -> Result<(), DocumentError> {
    if document.kind != "counts" {
        return Err(DocumentError::UnknownKind {
            kind: document.kind.clone(),
        });
    }
    accept_settings(&document.settings)?;
    let (blocks, looks, edges) = (
        document.blocks_xb_xc_eb_ec.len(),
        document.looks.len(),
        document.edges.len(),
    );
    at_most(MOST_BLOCKS, blocks, "the number of rows in blocks_xb_xc_eb_ec")?;
    at_most(MOST_LOOKS, looks, "the number of looks")?;
    at_most(MOST_EDGES, edges, "the number of edges")?;
    document.edges.iter().try_for_each(|edge| moderate(*edge, "edges"))?;
    document
        .looks
        .iter()
        .try_for_each(|look| at_most(blocks, *look, "looks"))?;
    document
        .blocks_xb_xc_eb_ec
        .iter()
        .enumerate()
        .try_for_each(|(row, counts)| {
            let counted = counts.iter().all(|count| (0.0..=LARGEST_COUNT).contains(count));
            within(
                counted,
                &format!("blocks_xb_xc_eb_ec[{row}]"),
                format!("{counts:?}"),
                "counts from 0 to 9e15",
            )
        })
}

fn accept_settings(settings: &CountsSettings) -> Result<(), DocumentError> {
    let alpha = settings.alpha;
    within(
        alpha > 0.0 && alpha < 1.0,
        "settings.alpha",
        alpha.to_string(),
        "above 0 and below 1",
    )?;
    moderate(settings.pass_margin, "settings.pass_margin")?;
    moderate(settings.minutes_per_block, "settings.minutes_per_block")?;
    let phi = settings.phi_hist.unwrap_or(1.0);
    within(
        (1.0..=1e12).contains(&phi),
        "settings.phi_hist",
        phi.to_string(),
        "from 1 to 1e12",
    )
}

fn moderate(number: f64, field: &str) -> Result<(), DocumentError> {
    within(
        (1e-6..=1e6).contains(&number),
        field,
        number.to_string(),
        "from 0.000001 to 1000000",
    )
}

fn at_most(limit: usize, found: usize, field: &str) -> Result<(), DocumentError> {
    within(found <= limit, field, found.to_string(), &format!("at most {limit}"))
}

fn within(holds: bool, field: &str, found: String, allowed: &str) -> Result<(), DocumentError> {
    let wrong = || DocumentError::OutOfRange {
        field: field.to_owned(),
        found,
        allowed: allowed.to_owned(),
    };
    if holds { Ok(()) } else { Err(wrong()) }
}

/// The test under way.
struct Run {
    test: CountTest,
    above: Vec<(EdgeTrack, f64)>,
    above_one: EdgeTrack,
    below_one: EdgeTrack,
    pass: EdgeTrack,
    onset: Onset,
}

impl Run {
    fn new(settings: &CountsSettings, edges: &[f64]) -> Self {
        let known = match (settings.guard, settings.phi_hist) {
            (false, _) => Known::Poisson,
            (true, None) => Known::Nothing,
            (true, Some(phi)) => Known::Dispersion(phi),
        };
        // A document's blocks are what the guard calls blocks, whatever their length: the oracle does the same.
        Self {
            test: CountTest::new(Guard::new(known, REFERENCE_BLOCK_S)),
            above: edges
                .iter()
                .map(|edge| (EdgeTrack::new(*edge, Side::Above), 0.0))
                .collect(),
            above_one: EdgeTrack::new(1.0, Side::Above),
            below_one: EdgeTrack::new(1.0, Side::Below),
            pass: EdgeTrack::new(settings.pass_margin, Side::Below),
            onset: Onset::new(Starts::blocks(RESTART_EVERY, RESTART_PLANNED)),
        }
    }

    fn push(&mut self, row: &[f64; 4]) {
        let Some(block) = Block::new(row[0], row[1], row[2], row[3]) else {
            return;
        };
        self.onset.push(&block, self.test.totals(), self.test.pooled());
        self.test.push(block);
        let phi = self.test.dispersion();
        for (track, highest) in &mut self.above {
            track.push(&block);
            *highest = highest.max(track.log_e(phi));
        }
        for track in [&mut self.above_one, &mut self.below_one, &mut self.pass] {
            track.push(&block);
        }
    }

    fn look(&self, block: usize, settings: &CountsSettings) -> CountsLook {
        let phi = self.test.dispersion();
        let totals = self.test.totals();
        let elapsed_min = block as f64 * settings.minutes_per_block;
        let forecast = Forecast {
            totals,
            elapsed_min,
            phi,
        };
        let alarm = (1.0 / settings.alpha).ln();
        let (lower, upper) = self.test.interval(settings.alpha, phi);
        let (up, down) = (self.above_one.log_e(phi), self.below_one.log_e(phi));
        let left_min = (DETECTABLE_BY_MIN - elapsed_min).max(0.0);
        let against = |(track, highest): &(EdgeTrack, f64)| {
            let p = (-highest).exp().min(1.0);
            (
                track.claim().0.to_string(),
                EdgeAnswer {
                    log_e: Figure(track.log_e(phi)),
                    p: Figure(p),
                },
            )
        };
        CountsLook {
            block,
            phi: Figure(phi),
            ratio: Figure(totals.log_ratio().exp()),
            up: self.above.iter().map(against).collect(),
            down_1: Figure(down),
            two_1: Figure(super::grid::log_sum_exp(&[up, down]) - 2f64.ln()),
            log_e_pass: Figure(self.pass.log_e(phi)),
            cs95: [Figure(lower), Figure(upper)],
            lower95_one_sided: Figure(lower_bound(self.test.pooled(), alarm, phi)),
            upper95_one_sided: Figure(upper_bound(self.test.pooled(), alarm, phi)),
            restart: Figure(self.onset.evidence(phi).log_e),
            minutes_to_pass_if_equal: forecast.minutes(&self.pass, 1.0, alarm).map(Figure),
            minutes_to_fail_if_double: forecast.minutes(&self.above_one, 2.0, alarm).map(Figure),
            detectable_ratio_by_60: forecast.detectable_ratio(&self.above_one, left_min, alarm).map(Figure),
        }
    }
}
