//! What every metric's walk keeps, whatever it measures: how far it came, when it was silent, what it said at each minute.

use std::sync::OnceLock;

use super::Settled;
use crate::sequential::share::{ShareCheck, UnevenSplit};
use crate::{Block, MetricKind, Silent, Timestamp, TrackPoint};

/// The most points of a chart: one every minute of two hours; more cannot be told apart on a screen.
pub const MAX_TRACK_POINTS: usize = 120;

/// Whether the way of the estimate is kept for a chart; it costs a confidence sequence every so often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Charts {
    /// Kept, with a point every so many spans at first: 1 where nobody knows how many there will be.
    Kept { every: usize },
    /// Not kept.
    None,
}

impl Charts {
    /// Only the points that are left of so many spans in the end: the same ones, and two thirds of the work spared.
    pub(crate) fn of(spans: usize) -> Self {
        let mut every = 1;
        while spans / every >= MAX_TRACK_POINTS {
            every *= 2;
        }
        Self::Kept { every }
    }
}

/// A regression that was shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Shown {
    /// The end of the block that showed it.
    pub(crate) at: Timestamp,
    /// About when it began.
    pub(crate) since: Option<Timestamp>,
}

/// What a metric said at the first block of a minute.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Mark {
    pub(crate) at: Timestamp,
    /// Evidence that matters: none while the effect is too small to speak of.
    pub(crate) log_e: f64,
    pub(crate) since: Option<Timestamp>,
}

impl Mark {
    /// The minute that it belongs to, of all minutes.
    pub(crate) fn minute(&self) -> i64 {
        minute(self.at)
    }
}

/// The common part of a walk.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    /// Length of a block in seconds.
    pub(crate) block_s: f64,
    /// Logarithm of the evidence at which this metric alone counts as worse.
    pub(crate) alarm: f64,
    /// The first time at which a regression was shown by this metric alone.
    pub(crate) shown: Option<Shown>,
    /// One entry a minute, oldest first.
    pub(crate) marks: Vec<Mark>,
    /// The end of the latest block.
    pub(crate) last: Option<Timestamp>,
    /// The ends of the blocks in which both arms were compared.
    compared: Vec<Timestamp>,
    /// Blocks since the latest comparison, and whether each arm was seen in them.
    quiet: (usize, bool, bool),
    share: ShareCheck,
    counts_requests: bool,
    charts: Charts,
    /// Each with the number of the span that it is of.
    points: Vec<(usize, TrackPoint)>,
    points_every: usize,
    spans: usize,
    /// What was settled after the latest block: a mark, a point and the verdict ask the same.
    settled: OnceLock<Settled>,
}

impl Frame {
    pub(crate) fn new(kind: MetricKind, block_s: f64, alarm: f64, expected_share: f64, charts: Charts) -> Self {
        Self {
            block_s,
            alarm,
            shown: None,
            marks: Vec::new(),
            last: None,
            compared: Vec::new(),
            quiet: (0, false, false),
            share: ShareCheck::new(expected_share, block_s),
            counts_requests: matches!(kind, MetricKind::ErrorShare | MetricKind::Histogram),
            charts,
            points: Vec::new(),
            points_every: match charts {
                Charts::Kept { every } => every,
                Charts::None => 1,
            },
            spans: 0,
            settled: OnceLock::new(),
        }
    }

    /// Notes a block; `compares` is whether it says something of both arms.
    pub(crate) fn note(&mut self, block: &Block, compares: bool) {
        self.last = Some(block.ends_at());
        self.settled = OnceLock::new();
        let counts_requests = self.counts_requests && self.is_heard();
        if let (true, Some((baseline, canary))) = (counts_requests, block.exposures()) {
            self.share.push(baseline, canary);
        }
        if compares {
            self.compared.push(block.ends_at());
            self.quiet = (0, false, false);
        } else {
            let (baseline, canary) = block.exposures().unwrap_or_default();
            let (blocks, saw_baseline, saw_canary) = self.quiet;
            self.quiet = (blocks + 1, saw_baseline || baseline > 0.0, saw_canary || canary > 0.0);
        }
    }

    /// Whether an alarm or a pass of this walk is heard at all: of a rehearsal neither is.
    pub(crate) fn is_heard(&self) -> bool {
        self.alarm.is_finite()
    }

    /// Whether a block is the first of its minute, so that what is said now has to be marked.
    pub(crate) fn is_mark_due(&self, at: Timestamp) -> bool {
        self.is_heard() && self.marks.last().is_none_or(|mark| mark.minute() != minute(at))
    }

    /// What the latest block left, settled once.
    pub(crate) fn settled_once(&self, settle: impl FnOnce() -> Settled) -> Settled {
        *self.settled.get_or_init(settle)
    }

    /// Seconds in which both arms were compared.
    pub(crate) fn compared_s(&self) -> f64 {
        self.compared.len() as f64 * self.block_s
    }

    /// Seconds in which both arms were compared, of the blocks that began at a moment or later.
    pub(crate) fn compared_s_from(&self, moment: Option<Timestamp>) -> f64 {
        let first_end = moment.zip(jiff::SignedDuration::try_from_secs_f64(self.block_s).ok());
        let Some((moment, length)) = first_end else {
            return self.compared_s();
        };
        let first_end = moment.checked_add(length).unwrap_or(Timestamp::MAX);
        let earlier = self.compared.partition_point(|end| *end < first_end);
        (self.compared.len() - earlier) as f64 * self.block_s
    }

    /// Whether anything was compared at all.
    pub(crate) fn has_compared(&self) -> bool {
        !self.compared.is_empty()
    }

    /// Seconds at the end of the blocks without any comparison.
    pub(crate) fn silent_s(&self) -> f64 {
        self.quiet.0 as f64 * self.block_s
    }

    /// Who was silent since the latest comparison; `None` when both were seen and could not be compared.
    pub(crate) fn silent(&self) -> Option<Silent> {
        match self.quiet {
            (_, true, false) => Some(Silent::Canary),
            (_, false, true) => Some(Silent::Baseline),
            (_, false, false) => Some(Silent::Both),
            (_, true, true) => None,
        }
    }

    /// Requests of both arms so far; none for metrics that count no requests.
    pub(crate) fn requests(&self) -> f64 {
        self.share.requests()
    }

    /// How the requests are split, if otherwise than planned.
    pub(crate) fn uneven(&self) -> Option<UnevenSplit> {
        self.share.uneven()
    }

    /// Counts a span that was judged; whether its point is to be kept.
    pub(crate) fn is_point_due(&mut self) -> bool {
        self.spans += 1;
        self.charts != Charts::None && self.spans.is_multiple_of(self.points_every)
    }

    /// Keeps a point. The spacing doubles when there would be too many.
    pub(crate) fn keep(&mut self, point: TrackPoint) {
        self.points.push((self.spans, point));
        // By the spans, not by the points: which ones stay does not depend on those that had no estimate yet. One less than the
        // most, for the present is added to them.
        while self.spans / self.points_every >= MAX_TRACK_POINTS {
            self.points_every *= 2;
            let every = self.points_every;
            self.points.retain(|(span, _)| span.is_multiple_of(every));
        }
    }

    /// The points kept, and the present one if it is none of them.
    pub(crate) fn track(&self, now: impl FnOnce() -> Option<TrackPoint>) -> Vec<TrackPoint> {
        let mut points: Vec<TrackPoint> = self.points.iter().map(|(_, point)| *point).collect();
        if self.charts != Charts::None && !self.spans.is_multiple_of(self.points_every) {
            points.extend(now());
        }
        points
    }
}

fn minute(at: Timestamp) -> i64 {
    at.as_second().div_euclid(60)
}
