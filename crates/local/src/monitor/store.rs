//! Series and their samples in memory, within limits. Must never know targets, queries or the clock.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use super::chunk::{Chunk, Point};
use super::labels::{Labels, METRIC_NAME};
use super::promql::Matcher;

/// The value that says "this series ended here": Prometheus' stale marker, a NaN with these bits.
pub(super) const STALE: u64 = 0x7ff0_0000_0000_0002;

pub(super) fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE
}

/// What the store may hold.
#[derive(Debug, Clone, Copy)]
pub struct StoreLimits {
    /// Samples older than this are forgotten.
    pub retention_ms: i64,
    /// More series than this are not taken.
    pub series: usize,
    /// When samples take more bytes than this the oldest go first, whatever the retention says.
    pub bytes: usize,
}

impl Default for StoreLimits {
    /// Six hours outlast the longest lifetime of a canary that `try` is used for; a demo has some 400 series, so
    /// 10 000 is a leak in somebody's labels; 400 series at one sample a second need 30 MB for the six hours.
    fn default() -> Self {
        Self {
            retention_ms: 6 * 3_600_000,
            series: 10_000,
            bytes: 48 * 1024 * 1024,
        }
    }
}

/// Samples of one series within the asked time, stale markers included.
#[derive(Debug, Clone)]
pub(super) struct Selected {
    pub(super) labels: Labels,
    pub(super) points: Vec<Point>,
}

/// The series to read hold more samples than a query may touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMany;

#[derive(Debug, Default)]
pub(super) struct Store {
    limits: StoreLimits,
    metrics: BTreeMap<Box<str>, HashMap<Labels, VecDeque<Chunk>>>,
    series: usize,
    bytes: usize,
    refused: u64,
    /// Whether it may be worth to look for room: some series ended since the last look found no more.
    some_ended: bool,
}

impl Store {
    pub(super) fn new(limits: StoreLimits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Adds a sample; one that is not later than the last of its series, or of one series too many, is dropped.
    pub(super) fn append(&mut self, labels: &Labels, point: Point) {
        let of_metric = self.metrics.get(labels.metric());
        if !of_metric.is_some_and(|series| series.contains_key(labels)) {
            if self.series >= self.limits.series && self.some_ended {
                self.make_room();
            }
            if self.series >= self.limits.series {
                self.refused += 1;
                return;
            }
            self.series += 1;
            let of_metric = self.metrics.entry(labels.metric().into()).or_default();
            of_metric.insert(labels.clone(), VecDeque::new());
        }
        let of_metric = self.metrics.get_mut(labels.metric());
        let Some(chunks) = of_metric.and_then(|series| series.get_mut(labels)) else {
            return;
        };
        self.some_ended |= is_stale(point.1);
        if chunks.back().is_some_and(|last| last.last_t() >= point.0) {
            return;
        }
        if chunks.back().is_none_or(Chunk::is_full) {
            chunks.push_back(Chunk::default());
        }
        if let Some(last) = chunks.back_mut() {
            let before = last.size();
            last.push(point);
            self.bytes = self.bytes + last.size() - before;
        }
    }

    /// Forgets the tenth of the series that ended longest ago. Deployments that are over leave theirs behind for their
    /// reports; after a hundred of them on one day those must not keep the next one from being measured.
    fn make_room(&mut self) {
        let ended = |chunks: &VecDeque<Chunk>| {
            let last = chunks.back().filter(|chunk| is_stale(chunk.last_value()))?;
            Some(last.last_t())
        };
        let mut ends: Vec<i64> = self
            .metrics
            .values()
            .flat_map(HashMap::values)
            .filter_map(ended)
            .collect();
        ends.sort_unstable();
        let to_go = ends.len().min(self.limits.series.div_ceil(10));
        self.some_ended = ends.len() > to_go;
        let Some(newest_to_go) = to_go.checked_sub(1).and_then(|last| ends.get(last)) else {
            return;
        };
        let bytes = &mut self.bytes;
        for series in self.metrics.values_mut() {
            series.retain(|_, chunks| {
                let goes = ended(chunks).is_some_and(|end| end <= *newest_to_go);
                *bytes -= if goes { chunks.iter().map(Chunk::size).sum() } else { 0 };
                !goes
            });
        }
        self.metrics.retain(|_, series| !series.is_empty());
        self.series = self.metrics.values().map(HashMap::len).sum();
    }

    /// Ends a series at `t`, if it has not ended already.
    pub(super) fn end(&mut self, labels: &Labels, t: i64) {
        let last = self
            .metrics
            .get(labels.metric())
            .and_then(|series| series.get(labels))
            .and_then(VecDeque::back);
        if last.is_some_and(|chunk| !is_stale(chunk.last_value())) {
            self.append(labels, (t, f64::from_bits(STALE)));
        }
    }

    /// The series that all matchers match, with their samples of `from..=to` (milliseconds), at most `limit` in all.
    pub(super) fn select(
        &self,
        matchers: &[Matcher],
        from: i64,
        to: i64,
        limit: usize,
    ) -> Result<Vec<Selected>, TooMany> {
        let mut left = limit;
        let mut found = Vec::new();
        for (labels, chunks) in self.matching(matchers) {
            let mut points = Vec::new();
            for chunk in chunks
                .iter()
                .filter(|chunk| chunk.last_t() >= from && chunk.first_t() <= to)
            {
                points.extend(chunk.points().filter(|(t, _)| (from..=to).contains(t)));
                if points.len() > left {
                    return Err(TooMany);
                }
            }
            left -= points.len();
            if !points.is_empty() {
                found.push(Selected {
                    labels: labels.clone(),
                    points,
                });
            }
        }
        found.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(found)
    }

    /// The series that any of the selectors matches and that has samples in `from..=to`.
    pub(super) fn series(&self, selectors: &[Vec<Matcher>], from: i64, to: i64) -> BTreeSet<Labels> {
        let alive = |chunks: &VecDeque<Chunk>| {
            chunks
                .iter()
                .any(|chunk| chunk.last_t() >= from && chunk.first_t() <= to)
        };
        selectors
            .iter()
            .flat_map(|matchers| self.matching(matchers))
            .filter(|(_, chunks)| alive(chunks))
            .map(|(labels, _)| labels.clone())
            .collect()
    }

    fn matching<'a>(&'a self, matchers: &'a [Matcher]) -> impl Iterator<Item = (&'a Labels, &'a VecDeque<Chunk>)> {
        let wanted = matchers.iter().filter(|matcher| matcher.label() == METRIC_NAME);
        let wanted: Vec<&Matcher> = wanted.collect();
        self.metrics
            .iter()
            .filter(move |(metric, _)| wanted.iter().all(|matcher| matcher.matches(metric)))
            .flat_map(|(_, series)| series)
            .filter(|(labels, _)| {
                matchers
                    .iter()
                    .all(|matcher| matcher.matches(labels.get(matcher.label())))
            })
    }

    /// Forgets what is past its time, and more when the bytes do not suffice.
    pub(super) fn tidy(&mut self, now: i64) {
        let mut keep_ms = self.limits.retention_ms;
        loop {
            self.forget_before(now - keep_ms);
            // Halving ends: below a minute only the newest chunk of each series is left, and series are limited too.
            if self.bytes <= self.limits.bytes || keep_ms < 60_000 {
                return;
            }
            keep_ms /= 2;
        }
    }

    fn forget_before(&mut self, cutoff: i64) {
        for series in self.metrics.values_mut() {
            for chunks in series.values_mut() {
                while chunks.front().is_some_and(|chunk| chunk.last_t() < cutoff) {
                    self.bytes -= chunks.pop_front().map_or(0, |chunk| chunk.size());
                }
            }
            series.retain(|_, chunks| !chunks.is_empty());
        }
        self.metrics.retain(|_, series| !series.is_empty());
        self.series = self.metrics.values().map(HashMap::len).sum();
    }

    /// Series, bytes of samples, samples refused because of the limit on series.
    pub(super) fn size(&self) -> (usize, usize, u64) {
        (self.series, self.bytes, self.refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, code: &str) -> Labels {
        Labels::from_pairs([(METRIC_NAME, name), ("code", code)])
    }

    fn all(store: &Store) -> Vec<Selected> {
        store.select(&[], i64::MIN, i64::MAX, usize::MAX).unwrap()
    }

    #[test]
    fn samples_come_back_in_their_window_only() {
        let mut store = Store::default();
        (0..1000).for_each(|t| store.append(&named("a", "200"), (t, t as f64)));
        let found = store.select(&[], 100, 110, 1000).unwrap();
        assert_eq!(found[0].points.first(), Some(&(100, 100.0)));
        assert_eq!(found[0].points.len(), 11);
        assert_eq!(store.select(&[], 0, 999, 500).unwrap_err(), TooMany);
    }

    #[test]
    fn time_never_runs_backwards() {
        let mut store = Store::default();
        for t in [5, 6, 6, 4, 7] {
            store.append(&named("a", "200"), (t, t as f64));
        }
        assert_eq!(all(&store)[0].points, [(5, 5.0), (6, 6.0), (7, 7.0)]);
    }

    #[test]
    fn old_samples_and_empty_series_are_forgotten() {
        let mut store = Store::default();
        store.append(&named("old", ""), (0, 1.0));
        store.append(&named("new", ""), (7 * 3_600_000, 1.0));
        store.tidy(7 * 3_600_000);
        assert_eq!(all(&store).len(), 1);
        assert_eq!(store.size().0, 1);
    }

    #[test]
    fn one_series_too_many_is_refused_and_counted() {
        let mut store = Store::new(StoreLimits {
            series: 2,
            ..StoreLimits::default()
        });
        for code in ["1", "2", "3"] {
            store.append(&named("a", code), (0, 1.0));
        }
        assert_eq!((store.size().0, store.size().2), (2, 1));
    }

    #[test]
    fn series_that_ended_longest_ago_make_room_for_new_ones() {
        let mut store = Store::new(StoreLimits {
            series: 3,
            ..StoreLimits::default()
        });
        for (t, code) in ["1", "2", "3"].into_iter().enumerate() {
            store.append(&named("a", code), (t as i64, 1.0));
        }
        store.end(&named("a", "2"), 10);
        store.end(&named("a", "1"), 20);
        store.append(&named("b", "4"), (30, 1.0));
        let left: Vec<_> = all(&store)
            .into_iter()
            .map(|found| found.labels.get("code").to_owned())
            .collect();
        assert_eq!(left, ["1", "3", "4"]);
        assert_eq!((store.size().0, store.size().2), (3, 0));
        let bytes = |store: &Store| {
            store
                .metrics
                .values()
                .flat_map(HashMap::values)
                .flatten()
                .map(Chunk::size)
                .sum::<usize>()
        };
        assert_eq!(store.size().1, bytes(&store));
    }

    #[test]
    fn when_bytes_run_out_the_oldest_samples_go_first() {
        let limit = 20_000;
        let mut store = Store::new(StoreLimits {
            bytes: limit,
            ..StoreLimits::default()
        });
        for t in 0..10_000 {
            store.append(&named("a", "200"), (t * 1000, t as f64 / 3.0));
        }
        store.tidy(10_000_000);
        assert!(store.size().1 <= limit, "{} bytes", store.size().1);
        assert_eq!(all(&store)[0].points.last(), Some(&(9_999_000, 3333.0)));
    }

    #[test]
    fn a_series_ends_once() {
        let mut store = Store::default();
        store.append(&named("a", ""), (1, 1.0));
        store.end(&named("a", ""), 2);
        store.end(&named("a", ""), 3);
        store.end(&named("never seen", ""), 3);
        assert_eq!(all(&store).len(), 1);
        assert_eq!(all(&store)[0].points.len(), 2);
    }
}
