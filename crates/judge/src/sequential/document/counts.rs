//! Event counts in, what the test says at each look out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{DocumentError, Figure, LARGEST_COUNT, accept_looks, accept_phi, at_looks, at_most, moderate, within};
use crate::sequential::counts::{Block, CountTest, EdgeTrack, Side, lower_bound, upper_bound};
use crate::sequential::forecast::Forecast;
use crate::sequential::grid::log_sum_exp;
use crate::sequential::guard::{Guard, Known, REFERENCE_BLOCK_S};
use crate::sequential::restart::{Onset, Starts};

/// More edges than anyone compares side by side.
const MOST_EDGES: usize = 32;
/// Starting points of the late-onset mixture, in blocks, and the planned length they cover.
const RESTART_EVERY: usize = 20;
const RESTART_PLANNED: usize = 240;
/// The time by which the detectable ratio is asked, in minutes.
const DETECTABLE_BY_MIN: f64 = 60.0;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CountsDocument {
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

/// The answer to a [`CountsDocument`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CountsAnswer {
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

/// Answers a document about event counts.
///
/// # Errors
/// When a number is out of its range; nothing is computed then.
pub fn judge_counts(document: &CountsDocument) -> Result<CountsAnswer, DocumentError> {
    accept(document)?;
    let settings = &document.settings;
    let rows = &document.blocks_xb_xc_eb_ec;
    let mut run = Run::new(settings, &document.edges);
    let looks = at_looks(
        &document.looks,
        rows.len(),
        &mut run,
        |run, index| run.push(&rows[index]),
        |run, block| run.look(block, settings),
    );
    Ok(CountsAnswer { looks })
}

fn accept(document: &CountsDocument) -> Result<(), DocumentError> {
    accept_settings(&document.settings)?;
    let rows = &document.blocks_xb_xc_eb_ec;
    accept_looks(&document.looks, rows.len(), "blocks_xb_xc_eb_ec")?;
    at_most(MOST_EDGES, document.edges.len(), "the number of edges")?;
    document.edges.iter().try_for_each(|edge| moderate(*edge, "edges"))?;
    rows.iter().enumerate().try_for_each(|(row, counts)| {
        let counted = counts.iter().all(|count| (0.0..=LARGEST_COUNT).contains(count));
        let field = format!("blocks_xb_xc_eb_ec[{row}]");
        within(counted, &field, format!("{counts:?}"), "counts from 0 to 9e15")
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
    accept_phi(settings.phi_hist)
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
            onset: Onset::new(Starts::blocks(RESTART_EVERY, RESTART_PLANNED), 1.0, Side::Above),
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
            two_1: Figure(log_sum_exp(&[up, down]) - 2f64.ln()),
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
