//! The walk of a distribution: the bets of [`HistogramTest`] from several starting points (a fault that begins late must
//! not be diluted), and two shares of requests above an edge, from which *no worse* is said.

use std::sync::OnceLock;

use super::group::HistogramGroup;
use super::{
    DISPERSIONS, Doubt, Follow, Frame, Numbers, Outlook, Pass, Settled, gate_ratio, kept, level, look, margin,
    planned_s,
};
use crate::buckets::{common_edges, shared};
use crate::past::{Learnt, Scattered, WATCHED, shares_at_edges};
use crate::sequential::counts::{Block as Counted, CountTest, EdgeTrack, Side, lower_bound, upper_bound};
use crate::sequential::forecast::{Forecast, after, minutes_until};
use crate::sequential::grid::{log_sum_exp, raise};
use crate::sequential::guard::{ASSUMED_MEMORY, Guard, Known};
use crate::sequential::histogram::{Direction, HistogramTest, Scatter, joined};
use crate::sequential::quantile;
use crate::sequential::restart::Starts;
use crate::sequential::tilts::{Edges, nearest_edge, slowed};
use crate::{ArmCount, Block, HistogramBlock, JudgeConfig, Measured, MetricConfig, Quantiles, Reason, Timestamp};

/// The edges of the shares are chosen from the baseline's first minute.
const PINNED_AFTER_S: f64 = 60.0;
/// An outer quantile is spoken of from so many baseline requests beyond it on.
const FEWEST_BEYOND: f64 = 10.0;
/// The regression whose time to an alarm is foreseen: every request a quarter slower.
const SLOWER: f64 = 1.25;
/// Slowdowns beyond this are not looked for, and halvings to the smallest that would be shown: to 3 %.
const LARGEST_SLOWDOWN: f64 = 8.0;
const SIZE_HALVINGS: usize = 6;

/// A starting point: what was known just before it.
#[derive(Debug, Clone)]
struct Start {
    at: Option<Timestamp>,
    log_ratios: Vec<f64>,
    baseline: Vec<f64>,
    canary: Vec<f64>,
}

/// The share of requests above an edge.
#[derive(Debug, Clone)]
struct Tail {
    edge: f64,
    test: CountTest,
    pass: EdgeTrack,
    arms: (ArmCount, ArmCount),
    /// Dispersion of this share, when somebody asked for it since the latest span: it costs a pass over all of them.
    phi: OnceLock<f64>,
}

/// One distribution's way through its blocks.
#[derive(Debug, Clone)]
pub(crate) struct HistogramWalk {
    frame: Frame,
    worse: Direction,
    group: HistogramGroup,
    test: Option<HistogramTest>,
    scatter: Option<Scattered>,
    known_tails: Vec<(f64, Scattered)>,
    starts: Starts,
    reached: Vec<Start>,
    tails: Vec<Tail>,
    /// Blocks whose buckets could not be compared with those before.
    incomparable: usize,
    known_dispersion: Option<f64>,
    doubt: Doubt,
    gate_ratio: f64,
    margin: f64,
    alpha: f64,
    planned_min: f64,
}

impl HistogramWalk {
    pub(super) fn new(config: &JudgeConfig, metric: &MetricConfig, frame: Frame) -> Self {
        let (scatter, known_tails) = match metric.past.as_ref().map(|past| &past.learnt) {
            Some(Learnt::Histogram { scores, tails }) => (Some(*scores), tails.clone()),
            Some(Learnt::Counts(_) | Learnt::Gauge(_)) | None => (None, Vec::new()),
        };
        let group = HistogramGroup::new(frame.block_s);
        let known = metric.known_dispersion.filter(|phi| phi.is_finite());
        Self {
            worse: metric.worse,
            test: None,
            scatter,
            known_tails,
            starts: Starts::over(config.planned_s, group.span_s()),
            reached: Vec::new(),
            tails: Vec::new(),
            incomparable: 0,
            known_dispersion: known.map(|phi| kept(phi, DISPERSIONS)),
            doubt: Doubt::NONE,
            gate_ratio: gate_ratio(metric),
            margin: margin(metric),
            alpha: level(config.alpha_fail),
            planned_min: planned_s(config) / 60.0,
            group,
            frame,
        }
    }

    /// Follows one block. One that cannot be compared with those before changes nothing.
    pub(super) fn push(&mut self, block: &Block, buckets: &HistogramBlock, doubt: Doubt) {
        self.doubt = doubt;
        let common = common_edges(&buckets.baseline, &buckets.canary);
        let fits = block.compares() && self.fit(&common);
        let traffic = buckets.baseline.total() > 0.0 && buckets.canary.total() > 0.0;
        self.incomparable += usize::from(traffic && !fits);
        self.frame.note(block, fits);
        let Some(test) = self.test.as_ref().filter(|_| fits) else {
            return;
        };
        let edges = test.edges().upper();
        let (baseline, canary) = (buckets.baseline.by(edges), buckets.canary.by(edges));
        if let Some((baseline, canary)) = self.group.push(&baseline, &canary) {
            self.span(&baseline, &canary, buckets.ends_at);
        }
    }

    /// Makes the layout that of everything so far: at first the arms' common edges, later those of them that stay. A
    /// block that would cost half of the edges is rather left out.
    fn fit(&mut self, common: &[f64]) -> bool {
        let Some(test) = &mut self.test else {
            let Some(edges) = Edges::new(common) else { return false };
            let scatter = match (self.scatter, self.known_dispersion) {
                // Scaled at each look to what a block says by then.
                (Some(_), _) | (None, None) => Scatter::Assumed {
                    memory_in_blocks: ASSUMED_MEMORY,
                },
                (None, Some(phi)) => Scatter::Known(phi),
            };
            self.test = Some(HistogramTest::new(edges, self.worse, scatter));
            return true;
        };
        let before = test.edges().upper().to_vec();
        let staying = shared(&before, common);
        if staying.len() == before.len() {
            return true;
        }
        let enough = 2 * staying.len() >= before.len();
        let Some(edges) = Edges::new(&staying).filter(|_| enough) else {
            return false;
        };
        test.coarsen(edges);
        let coarse = |counts: &[f64]| joined(&before, counts, &staying);
        self.group.rebucket(coarse);
        for start in &mut self.reached {
            start.baseline = coarse(&start.baseline);
            start.canary = coarse(&start.canary);
        }
        // An edge that is gone cannot be counted above any more: the shares begin anew.
        if self.tails.iter().any(|tail| !staying.contains(&tail.edge)) {
            self.tails.clear();
        }
        true
    }

    fn span(&mut self, baseline: &[f64], canary: &[f64], ends_at: Timestamp) {
        let Some(test) = &mut self.test else { return };
        if self.starts.is_due(test.blocks(), self.reached.len()) {
            let (baseline, canary) = test.counts();
            let length = jiff::SignedDuration::try_from_secs_f64(self.group.span_s()).ok();
            self.reached.push(Start {
                at: length.and_then(|length| ends_at.checked_sub(length).ok()),
                log_ratios: test.log_ratios().to_vec(),
                baseline: baseline.to_vec(),
                canary: canary.to_vec(),
            });
        }
        test.push(baseline, canary);
        let edges = test.edges().upper().to_vec();
        for tail in &mut self.tails {
            tail.push(&edges, baseline, canary);
        }
        let for_a_pass = self.tails.is_empty() && self.frame.is_heard();
        if for_a_pass && test.blocks() as f64 * self.group.span_s() >= PINNED_AFTER_S {
            let first = test.counts().0.to_vec();
            self.tails = WATCHED.iter().filter_map(|q| self.pinned(&edges, &first, *q)).collect();
        }
        look(self, ends_at);
    }

    /// A share above the edge that history names for a quantile, or the nearest one in the baseline's counts.
    fn pinned(&self, edges: &[f64], first: &[f64], q: f64) -> Option<Tail> {
        let place = WATCHED.iter().position(|watched| *watched == q)?;
        let known = self.known_tails.get(place).filter(|(edge, _)| edges.contains(edge));
        let shares = shares_at_edges(first)?;
        // Above an edge with nothing above it there would be nothing to count.
        let below = shares.iter().filter(|share| **share < 1.0).count().max(1);
        let edge = known.map_or_else(|| edges[nearest_edge(&shares[..below], q)], |(edge, _)| *edge);
        let known = match known {
            Some((_, past)) if past.information > 0.0 => Known::Learnt {
                dispersion: kept(past.dispersion, DISPERSIONS),
                information: past.information,
            },
            Some(_) | None => Known::Nothing,
        };
        let (limit, side) = match self.worse {
            Direction::Up | Direction::Any => (self.margin, Side::Below),
            Direction::Down => (1.0 / self.margin, Side::Above),
        };
        Some(Tail {
            edge,
            test: CountTest::new(Guard::new(known, self.group.span_s())),
            pass: EdgeTrack::new(limit, side),
            arms: <(ArmCount, ArmCount)>::default(),
            phi: OnceLock::new(),
        })
    }

    fn slower(&self) -> &'static str {
        match self.worse {
            Direction::Up | Direction::Any => "slower",
            Direction::Down => "faster",
        }
    }

    fn dispersion(&self, test: &HistogramTest) -> f64 {
        match self.scatter {
            Some(past) if past.information > 0.0 => {
                let excess = kept(past.dispersion, DISPERSIONS) - 1.0;
                let scaled = 1.0 + excess * test.information_per_block() / past.information;
                test.dispersion_given(Scatter::Known(scaled))
            }
            Some(_) | None => test.dispersion(),
        }
    }

    /// The mixture over starting points (S1.7), and the one that says most.
    fn evidence(&self, test: &HistogramTest, phi: f64) -> (f64, usize) {
        let now = test.log_ratios();
        let ways = (now.len() as f64).ln();
        let (mut start, mut largest) = (0, f64::NEG_INFINITY);
        let mut terms: Vec<f64> = Vec::with_capacity(self.starts.count());
        for (index, reached) in self.reached.iter().enumerate() {
            let since: Vec<f64> = now
                .iter()
                .zip(&reached.log_ratios)
                .map(|(n, r)| (n - r) / phi)
                .collect();
            let term = self.starts.log_weight(index) + log_sum_exp(&since) - ways;
            if term > largest {
                (start, largest) = (index, term);
            }
            terms.push(term);
        }
        terms.extend((terms.len()..self.starts.count()).map(|index| self.starts.log_weight(index)));
        (log_sum_exp(&terms), start)
    }

    /// The effect gate (S2.6): some watched quantile has moved enough since a starting point.
    fn effect_matters(&self, test: &HistogramTest, start: usize) -> bool {
        let since = |now: &[f64], then: Option<&Vec<f64>>| -> Vec<f64> {
            let then = then.into_iter().flatten().chain(std::iter::repeat(&0.0));
            now.iter().zip(then).map(|(n, t)| n - t).collect()
        };
        let (baseline, canary) = test.counts();
        let reached = self.reached.get(start);
        let baseline = since(baseline, reached.map(|start| &start.baseline));
        let canary = since(canary, reached.map(|start| &start.canary));
        let (edges, total) = (test.edges().upper(), baseline.iter().sum::<f64>());
        let moved = |q: f64| {
            let both = quantile::estimate(&baseline, edges, q).zip(quantile::estimate(&canary, edges, q));
            both.is_some_and(|(b, c)| match self.worse {
                Direction::Up => c >= b * self.gate_ratio && b > 0.0,
                Direction::Down => c * self.gate_ratio <= b,
                Direction::Any => c >= b * self.gate_ratio || c * self.gate_ratio <= b,
            })
        };
        let watched = [0.5, 0.95, 0.99].into_iter();
        watched
            .filter(|q| *q == 0.5 || total * (1.0 - q) >= FEWEST_BEYOND)
            .any(moved)
    }

    /// Minutes to an alarm if every request took so many times as long, and the evidence at the end of the plan.
    fn foreseen(&self, test: &HistogramTest, phi: f64, scale: f64, left_min: f64) -> (Option<f64>, f64) {
        let spans = test.blocks().max(1) as f64;
        let (baseline, canary) = test.counts();
        let total = |counts: &[f64]| counts.iter().sum::<f64>();
        let whole = total(baseline).max(1.0);
        let density: Vec<f64> = baseline.iter().map(|count| count / whole).collect();
        let per_span: Vec<f64> = baseline.iter().map(|count| count / spans).collect();
        let on_canary = total(canary) / spans;
        let slower = slowed(test.edges(), &density, scale);
        let slower: Vec<f64> = slower.iter().map(|part| part * on_canary).collect();
        let spans_per_minute = 60.0 / self.group.span_s();
        let rates: Vec<f64> = test
            .foreseen(&per_span, &slower)
            .into_iter()
            .map(|gain| gain * spans_per_minute)
            .collect();
        let weights = vec![self.starts.log_weight(0) - (rates.len() as f64).ln(); rates.len()];
        let seen = test.log_ratios();
        let minutes = minutes_until(&weights, seen, &rates, phi, self.frame.alarm);
        (minutes, after(&weights, seen, &rates, phi, left_min).0)
    }

    fn detectable(&self, test: &HistogramTest, phi: f64, left_min: f64) -> Option<f64> {
        let shown = |scale: f64| self.foreseen(test, phi, scale, left_min).1 >= self.frame.alarm;
        if !shown(LARGEST_SLOWDOWN) {
            return None;
        }
        let (mut low, mut high) = (self.gate_ratio.min(LARGEST_SLOWDOWN).ln(), LARGEST_SLOWDOWN.ln());
        for _ in 0..SIZE_HALVINGS {
            let middle = 0.5 * (low + high);
            (low, high) = if shown(middle.exp()) {
                (low, middle)
            } else {
                (middle, high)
            };
        }
        Some(high.exp())
    }
}

impl Tail {
    fn phi(&self) -> f64 {
        *self.phi.get_or_init(|| self.test.dispersion())
    }

    fn push(&mut self, edges: &[f64], baseline: &[f64], canary: &[f64]) {
        let first = edges.partition_point(|edge| *edge <= self.edge);
        let count = |counts: &[f64]| ArmCount {
            events: counts[first..].iter().sum(),
            exposure: counts.iter().sum(),
        };
        let (b, c) = (count(baseline), count(canary));
        let Some(block) = Counted::new(b.events, c.events, b.exposure, c.exposure) else {
            return;
        };
        self.test.push(block);
        self.pass.push(&block);
        self.phi = OnceLock::new();
        for (sum, more) in [(&mut self.arms.0, b), (&mut self.arms.1, c)] {
            sum.events += more.events;
            sum.exposure += more.exposure;
        }
    }
}

impl Follow for HistogramWalk {
    fn frame(&self) -> &Frame {
        &self.frame
    }

    fn frame_mut(&mut self) -> &mut Frame {
        &mut self.frame
    }

    fn settle(&self) -> Settled {
        let Some(test) = &self.test else {
            return Settled {
                log_e: 0.0,
                dispersion: 1.0,
                plain_dispersion: 1.0,
                undoubted: 1.0,
                gate_open: false,
                start: 0,
                since: None,
            };
        };
        let undoubted = self.dispersion(test);
        let plain_dispersion = undoubted.max(self.doubt.plain_dispersion);
        let dispersion = self.doubt.on(undoubted);
        let (log_e, start) = self.evidence(test, dispersion);
        Settled {
            log_e,
            dispersion,
            plain_dispersion,
            undoubted,
            gate_open: self.effect_matters(test, start),
            start,
            since: self.reached.get(start).and_then(|start| start.at),
        }
    }

    fn ceiling(&self) -> f64 {
        let Some(test) = &self.test else { return 0.0 };
        let mut largest = vec![0.0; test.log_ratios().len()];
        for start in &self.reached {
            raise(&mut largest, test.log_ratios(), &start.log_ratios);
        }
        largest.into_iter().fold(0.0, f64::max)
    }

    fn log_e_at(&self, dispersion: f64) -> f64 {
        self.test.as_ref().map_or(0.0, |test| self.evidence(test, dispersion).0)
    }

    fn gate_open_at(&self, dispersion: f64) -> bool {
        let test = self.test.as_ref();
        test.is_some_and(|test| self.effect_matters(test, self.evidence(test, dispersion).1))
    }

    fn scatter(&self) -> (f64, f64) {
        let shown = |test: &HistogramTest| test.dispersion_given(Scatter::Known(1.0));
        let shown = self.test.as_ref().map_or(1.0, shown);
        (shown, shown)
    }

    fn numbers(&self) -> Numbers {
        let Some(test) = &self.test else {
            return Numbers {
                measured: Measured::Quantiles(Quantiles::default()),
                ..Numbers::default()
            };
        };
        let (baseline, canary) = test.counts();
        let edges = test.edges().upper();
        let both = |q: f64| quantile::estimate(baseline, edges, q).zip(quantile::estimate(canary, edges, q));
        let measured = Measured::Quantiles(Quantiles {
            median: both(0.5),
            p95: both(0.95),
            p99: both(0.99),
            requests: (baseline.iter().sum(), canary.iter().sum()),
            edge: self.tails.first().map(|tail| tail.edge),
            best: test.best().map(|tilt| tilt.in_words(self.slower())),
        });
        let Some(tail) = self.tails.first() else {
            return Numbers {
                measured,
                ..Numbers::default()
            };
        };
        let (b, c) = tail.arms;
        Numbers {
            baseline: b,
            canary: c,
            ratio: (tail.test.totals().blocks > 0).then(|| tail.test.totals().log_ratio().exp()),
            difference: c.share_percent().zip(b.share_percent()).map(|(c, b)| c - b),
            measured,
        }
    }

    fn interval(&self, _: &Settled) -> (f64, Option<f64>) {
        let Some(tail) = self.tails.first() else {
            return (0.0, None);
        };
        let (lower, upper) = tail.test.interval(self.alpha, tail.phi());
        (lower, upper.is_finite().then_some(upper))
    }

    fn at_least(&self, settled: &Settled) -> Option<f64> {
        (settled.log_e >= self.frame.alarm).then_some(1.0)
    }

    fn pass(&self, _: &Settled, threshold: f64) -> Pass {
        let shown = |tail: &Tail| tail.pass.log_e(tail.phi()) >= threshold;
        if self.tails.is_empty() || !self.tails.iter().all(shown) {
            return Pass::NotYet;
        }
        let bound = |tail: &Tail| match tail.pass.claim().1 {
            Side::Below => upper_bound(tail.test.pooled(), threshold, tail.phi()),
            Side::Above => lower_bound(tail.test.pooled(), threshold, tail.phi()),
        };
        Pass::Shown {
            at_most: self.tails.first().map(bound).filter(|bound| bound.is_finite()),
        }
    }

    fn incomparable(&self) -> Option<Reason> {
        (self.incomparable > 0 && self.frame.silent().is_none()).then_some(Reason::Incomparable)
    }

    fn too_little(&self, _: &Outlook) -> Option<Reason> {
        let needed_s = PINNED_AFTER_S;
        self.tails.is_empty().then_some(Reason::FirstMinute { needed_s })
    }

    fn outlook(&self, settled: &Settled, pass_threshold: f64) -> Outlook {
        let phi = settled.dispersion;
        let to_pass = |tail: &Tail| {
            Forecast {
                totals: tail.test.totals(),
                elapsed_min: tail.test.totals().blocks as f64 * self.group.span_s() / 60.0,
                phi: tail.phi(),
            }
            .minutes(&tail.pass, 1.0, pass_threshold)
        };
        let all: Option<Vec<f64>> = self.tails.iter().map(to_pass).collect();
        let left_min = (self.planned_min - self.frame.compared_s() / 60.0).max(0.0);
        // Only a slowdown has a size that can be foreseen.
        let test = self
            .test
            .as_ref()
            .filter(|test| self.worse == Direction::Up && test.blocks() > 0);
        Outlook {
            to_pass: all.and_then(|minutes| minutes.into_iter().reduce(f64::max)),
            to_fail: test.and_then(|test| self.foreseen(test, phi, SLOWER, left_min).0),
            regression: SLOWER,
            detectable: test.and_then(|test| self.detectable(test, phi, left_min)),
        }
    }
}
