//! From blocks to a verdict: each metric is followed block by block, then the metrics are heard together.
//!
//! Everything is computed from the blocks alone, so an alarm that was once shown is found again in every re-run and
//! stays shown, and blocks that come one by one give the same verdict as all at once. It must not know sentences.

use std::collections::BTreeSet;

use crate::evidence::MAX_BLOCKS;
use crate::ruling::Ruling;
use crate::sequential::combine;
use crate::sequential::guard::REFERENCE_BLOCK_S;
use crate::together::{Heard, hear};
use crate::twins::Twins;
use crate::walk::group::blocks_per_span;
use crate::walk::{Charts, Doubt, Rehearsed, Walk, level};
use crate::{
    Beside, Block, Evidence, JudgeConfig, MetricConfig, MetricKind, MetricVerdict, Outcome, Reason, Timestamp,
    Together, TwinsUnfit, Verdict, words,
};

/// What is said of a metric for which there is no evidence at all.
const NOTHING_ARRIVED: &str = "no evidence has arrived for this metric";
/// What is said of evidence in which every block is refused.
const NOTHING_READABLE: &str = "no block holds counts that can be read (finite, not negative, below 9e15)";
/// The newest blocks of a metric that are kept: a week of 35 s blocks, four days of 20 s ones. Older ones are forgotten.
pub const BLOCKS_REMEMBERED: usize = 4 * MAX_BLOCKS;
/// So many metrics are named when only all together show harm.
const MOST_NAMED_TOGETHER: usize = 3;

/// Judges a canary by everything that was measured so far.
///
/// The same evidence gives the same verdict. Metrics without evidence and evidence without a metric are no error:
/// the former is inconclusive with the reason, the latter is not looked at.
pub fn judge(config: &JudgeConfig, evidence: &[Evidence]) -> Verdict {
    let mut judging = Judging::without_charts(config);
    let mut seen = BTreeSet::new();
    for one in evidence.iter().filter(|one| seen.insert(&one.metric)) {
        judging.advance(one);
    }
    judging.verdict()
}

/// One point of a chart: what would have been shown at that time.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct TrackPoint {
    /// The end of the block.
    pub at: Timestamp,
    /// Estimated ratio of the canary's rate to the baseline's.
    pub estimate: f64,
    /// Lower end of the confidence sequence, at least 0.
    pub lower: f64,
    /// Upper end; `None` means not bounded yet.
    pub upper: Option<f64>,
    /// Natural logarithm of the evidence for a regression.
    pub log_e: f64,
}

/// How one metric's estimate, interval and evidence grew: evenly spaced points up to the present, at most
/// [`crate::MAX_TRACK_POINTS`].
pub fn history(config: &JudgeConfig, evidence: &Evidence) -> Vec<TrackPoint> {
    let metric = config.metrics.iter().find(|metric| metric.name == evidence.metric);
    let charts = metric.map_or(Charts::None, |metric| Charts::of(spans(metric.kind, evidence)));
    let mut judging = Judging::following(config, charts);
    judging.advance(evidence);
    judging.track(&evidence.metric)
}

/// So many spans some evidence is looked at in, at most; of levels none are foreseen, for they are looked at by the minute.
fn spans(kind: MetricKind, evidence: &Evidence) -> usize {
    let blocks = evidence.blocks.len();
    match kind {
        MetricKind::ErrorShare | MetricKind::EventRate => blocks / stride(blocks),
        MetricKind::Histogram => blocks / stride(blocks) / blocks_per_span(evidence.length_s() * stride(blocks) as f64),
        MetricKind::Gauge | MetricKind::Leak => 0,
    }
}

/// So many blocks are judged as one, when there are so many.
fn stride(blocks: usize) -> usize {
    blocks.div_ceil(MAX_BLOCKS).next_power_of_two()
}

/// A canary that is being judged: what every metric showed so far, ready for the next blocks.
///
/// A tick costs as much as its new blocks, not as all of them. A block that comes late or corrects an earlier one makes
/// its metric be followed anew from the blocks that are kept.
#[derive(Debug, Clone)]
pub struct Judging {
    config: JudgeConfig,
    charts: Charts,
    metrics: Vec<Followed>,
    bake_from: Option<Timestamp>,
    pass_from: Option<Timestamp>,
}

impl Judging {
    /// Nothing seen yet; charts are kept.
    pub fn new(config: &JudgeConfig) -> Self {
        Self::following(config, Charts::Kept { every: 1 })
    }

    /// Nothing seen yet, and no charts: for those who only ask for verdicts.
    pub fn without_charts(config: &JudgeConfig) -> Self {
        Self::following(config, Charts::None)
    }

    fn following(config: &JudgeConfig, charts: Charts) -> Self {
        let critical: Vec<bool> = config.metrics.iter().map(|metric| metric.critical).collect();
        let weights = combine::weights(&critical);
        let follow = |weight: &f64| Followed {
            weight: *weight,
            block_s: REFERENCE_BLOCK_S,
            stride: 1,
            known: Vec::new(),
            beside: Vec::new(),
            revision: 0,
            walk: None,
            rehearsed: None,
            twins: None,
            taught_s: 0.0,
            arrived: false,
            refused: false,
            problem: None,
        };
        Self {
            config: config.clone(),
            charts,
            metrics: weights.iter().map(follow).collect(),
            bake_from: None,
            pass_from: None,
        }
    }

    /// What it judges by.
    pub fn config(&self) -> &JudgeConfig {
        &self.config
    }

    /// Each metric's minimum bake counts from here, where it would else count from the metric's first block on: what was
    /// measured before still is evidence, and a pass needs to be seen under what is true now; so does that twins are unfit.
    pub fn set_bake_from(&mut self, moment: Option<Timestamp>) {
        self.bake_from = moment;
    }

    /// No pass before the minimum bake after this moment either. What lasts, as twins that are unfit, is not interrupted.
    pub fn put_off_pass(&mut self, moment: Option<Timestamp>) {
        self.pass_from = moment;
    }

    /// The blocks that began before a moment are of a canary without users: see [`JudgeConfig::taught_until`]. It may only
    /// grow, or come down to no less than the end of the latest block that was taken.
    pub fn set_taught_until(&mut self, moment: Option<Timestamp>) {
        self.config.taught_until = moment;
    }

    /// Takes what a source answered: blocks that are new, in any order; those that are known already may be among them.
    /// Its problem replaces the one before.
    pub fn advance(&mut self, evidence: &Evidence) {
        let place = self
            .config
            .metrics
            .iter()
            .position(|metric| metric.name == evidence.metric);
        if let Some((place, followed)) = place.and_then(|place| Some((place, self.metrics.get_mut(place)?))) {
            followed.take(evidence, &self.config, &self.config.metrics[place], self.charts);
        }
    }

    /// What a source said instead of an answer; what it answered before stays.
    pub fn set_problem(&mut self, metric: &str, problem: String) {
        let place = self.config.metrics.iter().position(|one| one.name == metric);
        if let Some(followed) = place.and_then(|place| self.metrics.get_mut(place)) {
            followed.arrived = true;
            followed.problem = Some(problem);
        }
    }

    /// The end of the newest block of all metrics.
    pub fn as_of(&self) -> Option<Timestamp> {
        let last = self.metrics.iter().filter_map(|followed| followed.known.last());
        last.map(Block::ends_at).max()
    }

    /// How often a metric had to be followed anew, because what it had shown before was changed.
    pub fn revision(&self, metric: &str) -> usize {
        self.of(metric).map_or(0, |followed| followed.revision)
    }

    /// The blocks of a metric that are remembered, oldest first.
    pub fn blocks(&self, metric: &str) -> &[Block] {
        self.of(metric).map_or(&[], |followed| &followed.known)
    }

    /// What production showed beside these blocks, oldest first.
    pub fn beside(&self, metric: &str) -> &[Beside] {
        self.of(metric).map_or(&[], |followed| &followed.beside)
    }

    /// What everything so far shows.
    pub fn verdict(&self) -> Verdict {
        let fresh: Vec<Walk> = self
            .metrics
            .iter()
            .enumerate()
            .map(|(place, _)| self.unfollowed(place))
            .collect();
        let walks: Vec<&Walk> = self
            .metrics
            .iter()
            .zip(&fresh)
            .map(|(followed, fresh)| followed.walk.as_ref().unwrap_or(fresh))
            .collect();
        let heard = self.heard(&walks);
        let comparison_unsound = unsound(&walks);
        let mut metrics: Vec<MetricVerdict> = self
            .config
            .metrics
            .iter()
            .zip(self.metrics.iter().zip(walks))
            .zip(&heard.named)
            .map(|((metric, (followed, walk)), named)| {
                let ruling = Ruling {
                    config: &self.config,
                    metric,
                    walk: walk.follow(),
                    named: *named,
                    unsound: comparison_unsound.is_some(),
                    problem: followed.problem(),
                    bake_from: self.bake_from.max(self.pass_from),
                    beside_s: followed.rehearsed.as_ref().map(Rehearsed::compared_s),
                    spell_s: (followed.taught_s > 0.0).then_some(followed.taught_s),
                };
                ruling.verdict()
            })
            .collect();
        let together = self.together(&metrics, &heard);
        let outcome = outcome_of(&metrics, together.as_ref());
        let twins_unfit = self.twins_unfit().filter(|_| outcome != Outcome::Harmful);
        let passes = |place: &usize| metrics[*place].outcome == Outcome::NoWorse;
        let places = (0..metrics.len())
            .filter(passes)
            .filter(|place| self.is_far_from_production(*place));
        let places: BTreeSet<usize> = places.chain(twins_unfit.as_ref().map(|(place, _)| *place)).collect();
        for place in &places {
            metrics[*place].outcome = Outcome::Inconclusive;
            metrics[*place].reason = Reason::TwinsUnfit;
        }
        Verdict {
            outcome: match outcome {
                Outcome::NoWorse if !places.is_empty() => Outcome::Inconclusive,
                outcome => outcome,
            },
            as_of: self.as_of(),
            metrics,
            comparison_unsound,
            together,
            paused: None,
            twins_unfit: twins_unfit.map(|(_, unfit)| unfit),
        }
    }

    /// The first metric by which both arms are far from production, and its place.
    fn twins_unfit(&self) -> Option<(usize, TwinsUnfit)> {
        let mut metrics = self.config.metrics.iter().zip(&self.metrics).enumerate();
        metrics.find_map(|(place, (metric, followed))| {
            let unfit = followed.twins.as_ref()?.unfit(&metric.name, self.bake_from)?;
            Some((place, unfit))
        })
    }

    /// Whether both arms are far from production by a metric now, whether or not it has lasted: no pass while it may turn out
    /// that they are unfit.
    fn is_far_from_production(&self, place: usize) -> bool {
        let twins = self.metrics[place].twins.as_ref();
        twins.is_some_and(|twins| twins.are_in_doubt(self.bake_from))
    }

    /// How a metric's estimate, interval and evidence grew, up to the present.
    pub fn track(&self, metric: &str) -> Vec<TrackPoint> {
        let walk = self.of(metric).and_then(|followed| followed.walk.as_ref());
        walk.map(Walk::track).unwrap_or_default()
    }

    fn of(&self, metric: &str) -> Option<&Followed> {
        let place = self.config.metrics.iter().position(|one| one.name == metric)?;
        self.metrics.get(place)
    }

    /// A walk that has seen nothing, for a metric without blocks.
    fn unfollowed(&self, place: usize) -> Walk {
        let (metric, followed) = (&self.config.metrics[place], &self.metrics[place]);
        Walk::new(&self.config, metric, followed.weight, followed.block_s, Charts::None)
    }

    fn heard(&self, walks: &[&Walk]) -> Heard {
        let marks: Vec<_> = walks
            .iter()
            .map(|walk| walk.follow().frame().marks.as_slice())
            .collect();
        let weights: Vec<f64> = self.metrics.iter().map(|followed| followed.weight).collect();
        hear(&marks, &weights, (1.0 / level(self.config.alpha_fail)).ln_1p())
    }

    /// The gate's alarm, when no metric can be named for it.
    fn together(&self, metrics: &[MetricVerdict], heard: &Heard) -> Option<Together> {
        let (at, log_es) = heard.gate.as_ref()?;
        if metrics.iter().any(|metric| metric.outcome == Outcome::Harmful) {
            return None;
        }
        let mut order: Vec<usize> = (0..log_es.len()).filter(|place| log_es[*place] > 0.0).collect();
        let part = |place: &usize| self.metrics[*place].weight.ln() + log_es[*place];
        order.sort_by(|a, b| part(b).total_cmp(&part(a)));
        let names = order
            .iter()
            .take(MOST_NAMED_TOGETHER)
            .map(|place| metrics[*place].name.clone());
        Some(Together {
            at: *at,
            metrics: names.collect(),
        })
    }
}

/// One metric's blocks and its way through them.
#[derive(Debug, Clone)]
struct Followed {
    /// The metric's part of the family's error rate.
    weight: f64,
    block_s: f64,
    /// So many blocks are judged as one.
    stride: usize,
    known: Vec<Block>,
    /// What production showed beside them.
    beside: Vec<Beside>,
    revision: usize,
    walk: Option<Walk>,
    /// Production and baseline as if one of them were the canary; both arms against production.
    rehearsed: Option<Rehearsed>,
    twins: Option<Twins>,
    /// Seconds of both before the canary had users.
    taught_s: f64,
    arrived: bool,
    refused: bool,
    problem: Option<String>,
}

impl Followed {
    fn take(&mut self, evidence: &Evidence, config: &JudgeConfig, metric: &MetricConfig, charts: Charts) {
        self.arrived = true;
        self.problem.clone_from(&evidence.problem);
        let usable = |block: &&Block| block.is_of(metric.kind) && block.is_readable();
        let mut fresh: Vec<Block> = evidence.blocks.iter().filter(usable).cloned().collect();
        self.refused |= fresh.len() < evidence.blocks.len();
        fresh.sort_by_key(Block::ends_at);
        // `dedup_by` keeps the first of a run; a correction comes later, so the kept one takes its numbers.
        fresh.dedup_by(|later, kept| {
            let same = later.ends_at() == kept.ends_at();
            if same {
                std::mem::swap(later, kept);
            }
            same
        });
        let block_s = evidence.length_s();
        let first_judged = if self.known.is_empty() || block_s != self.block_s {
            self.walk = None;
            0
        } else {
            self.known.len()
        };
        self.block_s = block_s;
        let late = self.join_beside(evidence, metric);
        let changed = self.join(fresh) || late;
        self.revision += usize::from(changed);
        let stride = stride(self.known.len());
        if changed || stride != self.stride || self.walk.is_none() {
            self.stride = stride;
            self.walk = None;
        }
        let anew = self.walk.is_none();
        if anew {
            (self.rehearsed, self.twins, self.taught_s) = (None, None, 0.0);
        }
        let block_s = self.block_s * stride as f64;
        let mut walk = self
            .walk
            .take()
            .unwrap_or_else(|| Walk::new(config, metric, self.weight, block_s, charts));
        let from = if anew { 0 } else { first_judged };
        // Only full groups are judged, so that a group is final once it is.
        for place in from / stride..self.known.len() / stride {
            let group = &self.known[place * stride..(place + 1) * stride];
            let merged = group[1..].iter().fold(group[0].clone(), |sum, block| sum.merged(block));
            let beside = beside_all(&self.beside, group);
            if begins_before(&group[0], self.block_s, config.taught_until) {
                if let Some(beside) = beside {
                    self.rehearse((config, metric, block_s), &merged, &beside);
                    self.taught_s = self.rehearsed.as_ref().map_or(0.0, Rehearsed::compared_s);
                }
                continue;
            }
            if let Some(beside) = beside {
                self.rehearse((config, metric, block_s), &merged, &beside);
                self.hold_against((config, metric, block_s), &merged, &beside);
            }
            let doubt = self.rehearsed.as_ref().map_or(Doubt::NONE, Rehearsed::doubt);
            walk.push(&merged, doubt);
        }
        self.walk = Some(walk);
    }

    /// Production beside the baseline teaches how much the metric scatters, where no past did.
    fn rehearse(&mut self, of: (&JudgeConfig, &MetricConfig, f64), block: &Block, beside: &Beside) {
        let (config, metric, block_s) = of;
        if let Some(pair) = beside.against_baseline(block).filter(|_| metric.past.is_none()) {
            let rehearsed = self
                .rehearsed
                .get_or_insert_with(|| Rehearsed::new(config, metric, block_s));
            let machines = beside.machines;
            rehearsed.push(&pair, f64::from(machines.production) / f64::from(machines.each_arm));
        }
    }

    /// Both arms against production.
    fn hold_against(&mut self, of: (&JudgeConfig, &MetricConfig, f64), block: &Block, beside: &Beside) {
        let (config, metric, block_s) = of;
        if self.twins.is_none() {
            self.twins = Twins::new(config, metric, block_s);
        }
        if let Some(twins) = &mut self.twins {
            twins.push(block, beside);
        }
    }

    /// Joins production's spans to the known ones; whether one belongs beside a block that was judged already.
    fn join_beside(&mut self, evidence: &Evidence, metric: &MetricConfig) -> bool {
        let judged = self.known.last().map(Block::ends_at);
        let mut late = false;
        for beside in &evidence.production {
            if !beside.is_of(metric.kind) || !beside.is_readable() {
                continue;
            }
            match self.beside.binary_search_by_key(&beside.ends_at, |one| one.ends_at) {
                Ok(place) if self.beside[place] == *beside => continue,
                Ok(place) => self.beside[place] = beside.clone(),
                Err(place) => self.beside.insert(place, beside.clone()),
            }
            late |= judged.is_some_and(|judged| beside.ends_at <= judged);
        }
        let surplus = self.beside.len().saturating_sub(BLOCKS_REMEMBERED);
        self.beside.drain(..surplus);
        late
    }

    /// Joins blocks to the known ones; whether it changed what was there before.
    fn join(&mut self, fresh: Vec<Block>) -> bool {
        let last = self.known.last().map(Block::ends_at);
        let mut changed = false;
        for block in fresh {
            if last.is_none_or(|last| block.ends_at() > last) {
                self.known.push(block);
                continue;
            }
            match self.known.binary_search_by_key(&block.ends_at(), Block::ends_at) {
                Ok(place) if self.known[place] == block => {}
                Ok(place) => {
                    self.known[place] = block;
                    changed = true;
                }
                Err(place) => {
                    self.known.insert(place, block);
                    changed = true;
                }
            }
        }
        let surplus = self.known.len().saturating_sub(BLOCKS_REMEMBERED);
        self.known.drain(..surplus);
        changed || surplus > 0
    }

    /// Why a metric's evidence says nothing, if it does not.
    fn problem(&self) -> Option<&str> {
        if !self.arrived {
            return Some(NOTHING_ARRIVED);
        }
        let unreadable = self.known.is_empty() && self.refused;
        self.problem
            .as_deref()
            .or_else(|| unreadable.then_some(NOTHING_READABLE))
    }
}

/// Whether a block of so many seconds begins before a moment.
fn begins_before(block: &Block, block_s: f64, moment: Option<Timestamp>) -> bool {
    let length = jiff::SignedDuration::try_from_secs_f64(block_s).unwrap_or_default();
    let begins_at = block.ends_at().checked_sub(length).unwrap_or(Timestamp::MIN);
    moment.is_some_and(|moment| begins_at < moment)
}

/// What production showed beside a group of blocks, if beside all of them.
fn beside_all(known: &[Beside], group: &[Block]) -> Option<Beside> {
    let found = |block: &Block| {
        let place = known.binary_search_by_key(&block.ends_at(), |beside| beside.ends_at);
        place.ok().and_then(|place| known.get(place)).cloned()
    };
    let all: Option<Vec<Beside>> = group.iter().map(found).collect();
    all?.into_iter().reduce(|sum, later| sum.merged(&later))
}

fn outcome_of(metrics: &[MetricVerdict], together: Option<&Together>) -> Outcome {
    if together.is_some() || metrics.iter().any(|metric| metric.outcome == Outcome::Harmful) {
        return Outcome::Harmful;
    }
    // Where nothing is critical, everything is needed.
    let any_critical = metrics.iter().any(|metric| metric.critical);
    let mut needed = metrics
        .iter()
        .filter(|metric| metric.critical || !any_critical)
        .peekable();
    let something = needed.peek().is_some();
    if something && needed.all(|metric| metric.outcome == Outcome::NoWorse) {
        Outcome::NoWorse
    } else {
        Outcome::Inconclusive
    }
}

/// The traffic of the metric with the most requests, against the planned split.
fn unsound(walks: &[&Walk]) -> Option<String> {
    let frames = walks.iter().map(|walk| walk.follow().frame());
    let busiest = frames.max_by(|a, b| a.requests().total_cmp(&b.requests()))?;
    busiest.uneven().map(|split| words::uneven(&split))
}
