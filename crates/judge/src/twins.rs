//! Both arms against production. Where both fail alike, or are slow alike, while production does not, the twins are unfit
//! (too small, without a part of their configuration, refused by a partner): comparing them says nothing of the canary, and
//! *no worse* would be a lie. What one arm shows alone is the business of *harmful*.
//!
//! Shown means three things at once: each arm's evidence against "at most 1.5 times production's" is over its alarm,
//! whenever one looks; it was so without a break for five minutes; and a machine of an arm had no more load meanwhile than
//! one of production's. Less load excuses nothing: a machine that fails at less is unfit all the more.

use std::collections::VecDeque;

use crate::buckets::shared;
use crate::past::shares_at_edges;
use crate::sequential::cautious::CautiousOnset;
use crate::sequential::counts::{Block as Counted, Side, Totals};
use crate::sequential::guard::{Guard, Known};
use crate::sequential::pooled::Pooled;
use crate::sequential::restart::Starts;
use crate::sequential::tilts::nearest_edge;
use crate::{ArmCount, Beside, Block, Buckets, JudgeConfig, MetricConfig, MetricKind, Shown, Timestamp, TwinsUnfit};

/// Chance, per canary run, of calling fit twins unfit, under the stated noise model; all metrics together.
const ALPHA: f64 = 0.01;
/// So many times production's share of failures, or so many times as slow, is unfit.
const LEAST_RATIO: f64 = 1.5;
/// It lasted so long: an outage that both arms share is shorter.
const HELD_S: f64 = 300.0;
/// Whether it lasts is read from the latest minute, or as much of the last minutes as holds some events.
const LATEST_S: f64 = 60.0;
const LATEST_AT_MOST_S: f64 = 150.0;
const LATEST_EVENTS: f64 = 10.0;
/// More load than so many times that of production's machines may be why the arms fail, and says nothing of their fitness.
const MOST_LOAD: f64 = 1.25;
/// A canary that is worse than its twin by more than this is the business of *harmful*.
const MOST_APART: f64 = 2.0;
/// After a gap of so many seconds it begins anew.
const LONGEST_GAP_S: f64 = 60.0;
/// The times of production that the arms' are held against: the slowest tenth, in which there are requests enough.
const WATCHED: f64 = 0.9;
/// The edges are chosen from production's first minute.
const PINNED_AFTER_S: f64 = 60.0;

/// A span's counts of production and of both arms.
#[derive(Debug, Clone, Copy)]
struct Span {
    ends_at: Timestamp,
    production: ArmCount,
    arms: [ArmCount; 2],
    /// Requests of one machine of production, and of one of the arms' busier side.
    load: (f64, f64),
}

/// One arm's evidence.
#[derive(Debug, Clone)]
struct Against {
    guard: Guard,
    onset: CautiousOnset,
    blocks: Vec<Counted>,
    totals: Totals,
    starts: Starts,
    /// How many blocks came before each starting point that was reached, and their sums.
    begun: Vec<(usize, Totals)>,
}

/// Both arms against production by one metric, block by block.
#[derive(Debug, Clone)]
pub(crate) struct Twins {
    block_s: f64,
    /// The ratio of counts that is claimed to be exceeded.
    edge: f64,
    floor: f64,
    alarm: f64,
    watched: Watched,
    arms: [Against; 2],
    /// The last minutes, oldest first.
    spans: VecDeque<Span>,
    held_since: Option<Timestamp>,
    /// The end of the first span.
    first: Option<Timestamp>,
}

/// What is counted.
#[derive(Debug, Clone)]
enum Watched {
    Errors,
    /// Requests above an edge, once edges are chosen: production's before the arms'.
    Times {
        first: Buckets,
        blocks: usize,
        edges: Option<(f64, f64)>,
    },
}

impl Twins {
    /// For a metric that production has too; `None` for others, and where less is worse.
    pub(crate) fn new(config: &JudgeConfig, metric: &MetricConfig, block_s: f64) -> Option<Self> {
        let (edge, watched) = match metric.kind {
            MetricKind::ErrorShare => (LEAST_RATIO, Watched::Errors),
            // The edges are as far apart as the times must be.
            MetricKind::Histogram => (
                1.0,
                Watched::Times {
                    first: Buckets::default(),
                    blocks: 0,
                    edges: None,
                },
            ),
            MetricKind::EventRate | MetricKind::Gauge | MetricKind::Leak => return None,
        };
        if metric.worse == crate::Direction::Down {
            return None;
        }
        let comparable = |one: &&MetricConfig| matches!(one.kind, MetricKind::ErrorShare | MetricKind::Histogram);
        let metrics = config.metrics.iter().filter(comparable).count().max(1) as f64;
        let starts = Starts::over(config.planned_s, block_s);
        let against = || Against {
            guard: Guard::new(Known::Nothing, block_s),
            onset: CautiousOnset::new(starts, edge, Side::Above, block_s, None),
            starts,
            blocks: Vec::new(),
            totals: Totals::default(),
            begun: Vec::new(),
        };
        Some(Self {
            block_s,
            edge,
            floor: match watched {
                Watched::Errors => metric.absolute_floor,
                Watched::Times { .. } => 0.0,
            },
            // One more than the plain threshold, because tempered evidence is averaged over starting points (S4).
            alarm: (metrics / ALPHA).ln_1p(),
            watched,
            arms: [against(), against()],
            spans: VecDeque::new(),
            held_since: None,
            first: None,
        })
    }

    /// Follows one block and what production showed in it.
    pub(crate) fn push(&mut self, block: &Block, beside: &Beside) {
        let Some((production, arms)) = self.counted(block, beside) else {
            return;
        };
        if production.exposure <= 0.0 || arms.iter().any(|arm| arm.exposure <= 0.0) {
            return;
        }
        for (against, arm) in self.arms.iter_mut().zip(arms) {
            against.push(production, arm);
        }
        let machines = beside.machines;
        let busiest = arms.iter().fold(0.0, |most: f64, arm| most.max(arm.exposure));
        self.note(Span {
            ends_at: block.ends_at(),
            production,
            arms,
            load: (
                production.exposure / f64::from(machines.production),
                busiest / f64::from(machines.each_arm),
            ),
        });
    }

    fn note(&mut self, span: Span) {
        let before = self.spans.back().map(|last| seconds(last.ends_at, span.ends_at));
        if before.is_some_and(|gap| gap > LONGEST_GAP_S + self.block_s) {
            self.spans.clear();
            self.held_since = None;
        }
        self.first.get_or_insert(span.ends_at);
        self.spans.push_back(span);
        let old = |first: &Span| seconds(first.ends_at, span.ends_at) >= HELD_S;
        while self.spans.front().is_some_and(old) {
            self.spans.pop_front();
        }
        if self.is_far(&self.latest()) {
            let length = jiff::SignedDuration::try_from_secs_f64(self.block_s).unwrap_or_default();
            let begins = span.ends_at.checked_sub(length).unwrap_or(span.ends_at);
            self.held_since.get_or_insert(begins);
        } else {
            self.held_since = None;
        }
    }

    /// What is counted of production and of each arm; nothing while the edges are not known.
    fn counted(&mut self, block: &Block, beside: &Beside) -> Option<(ArmCount, [ArmCount; 2])> {
        match (&mut self.watched, block, &beside.shown) {
            (Watched::Errors, Block::Counts(counts), Shown::Counts(production)) => {
                let arm = |events, exposure| ArmCount { events, exposure };
                let baseline = arm(counts.baseline_events, counts.baseline_exposure);
                let canary = arm(counts.canary_events, counts.canary_exposure);
                Some((*production, [baseline, canary]))
            }
            (Watched::Times { first, blocks, edges }, Block::Histogram(arms), Shown::Histogram(production)) => {
                if let Some((usual, slow)) = *edges {
                    let on_arms = [above(&arms.baseline, slow)?, above(&arms.canary, slow)?];
                    return Some((above(production, usual)?, on_arms));
                }
                *first = if *blocks == 0 {
                    production.clone()
                } else {
                    first.merged(production)
                };
                *blocks += 1;
                if *blocks as f64 * self.block_s >= PINNED_AFTER_S {
                    let common = shared(&arms.baseline.upper_edges, &arms.canary.upper_edges);
                    *edges = chosen(first, &common);
                }
                None
            }
            (Watched::Errors | Watched::Times { .. }, _, _) => None,
        }
    }

    /// The latest minute, longer where there is little in it.
    fn latest(&self) -> Window {
        let mut window = Window::default();
        for (place, span) in self.spans.iter().rev().enumerate() {
            let length = place as f64 * self.block_s;
            if length >= LATEST_AT_MOST_S || (length >= LATEST_S && window.events() >= LATEST_EVENTS) {
                break;
            }
            window.add(span);
        }
        window
    }

    /// Whether both arms are as far from production as is unfit, at no more load.
    fn is_far(&self, window: &Window) -> bool {
        let (Some(usual), (own, busiest)) = (window.production.rate(), window.load) else {
            return false;
        };
        let far = |arm: &ArmCount| {
            arm.rate()
                .is_some_and(|rate| arm.events > 0.0 && rate >= self.edge * usual && rate - usual >= self.floor)
        };
        busiest <= MOST_LOAD * own && window.arms.iter().all(far)
    }

    /// Whether they may turn out to be unfit, so that a pass would be hasty: both arms are far from production in the latest
    /// minute, and more speaks for it than against it, or nothing could have lasted long enough yet since `from`, the latest
    /// change of their share.
    pub(crate) fn are_in_doubt(&self, from: Option<Timestamp>) -> bool {
        let (Some(first), Some(last)) = (self.first, self.spans.back()) else {
            return false;
        };
        let early = || seconds(first.max(from.unwrap_or(first)), last.ends_at) < HELD_S;
        let likely = || self.arms.iter().all(|against| against.log_e() > 0.0);
        self.held_since.is_some() && (early() || likely())
    }

    /// The arms against production now, if they are unfit; what was before `from`, the latest change of their share, does
    /// not count as lasting.
    pub(crate) fn unfit(&self, metric: &str, from: Option<Timestamp>) -> Option<TwinsUnfit> {
        let since = self.held_since?.max(from.unwrap_or(Timestamp::MIN));
        let at = self.spans.back()?.ends_at;
        if seconds(since, at) < HELD_S {
            return None;
        }
        let mut window = Window::default();
        self.spans.iter().for_each(|span| window.add(span));
        let shown = |against: &Against| against.log_e() >= self.alarm;
        if !self.is_far(&window) || !window.is_no_canarys_fault() || !self.arms.iter().all(shown) {
            return None;
        }
        let [baseline, canary] = window.arms;
        Some(TwinsUnfit {
            metric: metric.to_owned(),
            since,
            at,
            production: window.production,
            baseline,
            canary,
            slower: match self.watched {
                Watched::Errors => None,
                Watched::Times { edges, .. } => edges,
            },
        })
    }
}

impl Against {
    fn push(&mut self, production: ArmCount, arm: ArmCount) {
        let made = Counted::new(production.events, arm.events, production.exposure, arm.exposure);
        if let Some(counted) = made {
            if self.starts.is_due(self.totals.blocks, self.begun.len()) {
                self.begun.push((self.blocks.len(), self.totals));
            }
            self.onset.push(&counted, &self.totals, &Pooled::default());
            self.totals.add(&counted);
            self.blocks.push(counted);
        }
    }

    /// The evidence now. The dispersion is that of the blocks since the starting point by which it is largest: what begins
    /// late would else look like scatter, and any dispersion from one on keeps the test valid.
    fn log_e(&self) -> f64 {
        let of = |start| self.onset.evidence(self.dispersion(start)).log_e;
        (0..self.begun.len()).map(of).fold(0.0, f64::max)
    }

    fn dispersion(&self, start: usize) -> f64 {
        let (begun, before) = self.begun.get(start).copied().unwrap_or_default();
        let since = self.blocks.get(begun..).unwrap_or_default();
        let ratio = self.totals.since(&before).log_ratio();
        self.guard.dispersion_within(since, ratio, self.onset.largest_score())
    }
}

/// Sums over some spans.
#[derive(Debug, Clone, Copy, Default)]
struct Window {
    production: ArmCount,
    arms: [ArmCount; 2],
    load: (f64, f64),
}

impl Window {
    fn add(&mut self, span: &Span) {
        let counts = [span.production, span.arms[0], span.arms[1]];
        let [baseline, canary] = &mut self.arms;
        for (sum, more) in [&mut self.production, baseline, canary].into_iter().zip(counts) {
            sum.events += more.events;
            sum.exposure += more.exposure;
        }
        self.load.0 += span.load.0;
        self.load.1 += span.load.1;
    }

    fn events(&self) -> f64 {
        self.arms.iter().map(|arm| arm.events).sum()
    }

    /// Whether the canary is no worse than its twin by so much that it is *harmful*'s business. Half an event is added to
    /// each, so that one of few does not decide.
    fn is_no_canarys_fault(&self) -> bool {
        let [baseline, canary] = self.arms.map(|arm| (arm.events + 0.5) / arm.exposure);
        canary <= MOST_APART * baseline
    }
}

/// The edge nearest production's slowest tenth, and the first one of the arms' that is slow enough for unfit.
fn chosen(production: &Buckets, arms: &[f64]) -> Option<(f64, f64)> {
    let shares = shares_at_edges(&production.counts)?;
    // Above an edge with nothing above it there would be nothing to count.
    let below = shares.iter().filter(|share| **share < 1.0).count().max(1);
    let usual = *production
        .upper_edges
        .get(nearest_edge(shares.get(..below)?, WATCHED))?;
    let slow = arms.iter().find(|edge| **edge >= LEAST_RATIO * usual && usual > 0.0)?;
    Some((usual, *slow))
}

/// Requests above an edge of all; `None` where there is no such edge.
fn above(buckets: &Buckets, edge: f64) -> Option<ArmCount> {
    let [edge] = shared(&buckets.upper_edges, &[edge])[..] else {
        return None;
    };
    let counts = buckets.by(&[edge]);
    Some(ArmCount {
        events: counts[1],
        exposure: counts[0] + counts[1],
    })
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}

#[cfg(test)]
mod tests;
