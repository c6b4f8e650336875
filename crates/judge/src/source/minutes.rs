//! What a load balancer's own metrics tell of target groups, minute by minute, as evidence: what clients saw and what
//! targets said of each arm and of production, and how long targets took.
//!
//! Such metrics count requests and answers apart from each other, so a request that nobody answered is known only as one
//! whose answer never came. It knows no API and no metric's name there.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::SourceError;
use super::counted::{Counted, Side};
use crate::buckets::Buckets;
use crate::{Beside, Block, Machines, MetricConfig, Timestamp};

/// Seconds of a minute, the length of a block.
pub const MINUTE_S: i64 = 60;
/// A request may be counted in one minute and its answer in a later one: what is outstanding is compared with that of so
/// many minutes before. A load balancer waits for an answer for a minute by default.
const OUTSTANDING_MINUTES: usize = 10;
/// In the first minutes of a group requests come to be under way, which are not lost.
const SETTLING_MINUTES: usize = 2;
/// Minutes that are looked at, the newest: a day.
const MINUTES_MAX: i64 = 24 * 60;

/// One target group in one minute.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Minute {
    /// Requests that the load balancer meant for one of its targets.
    pub requests: f64,
    /// Answers that targets gave, with a status of 200 to 599. Load balancers tell of no others: a request that is answered
    /// by switching to another protocol (101) is never counted as answered, on both arms alike.
    pub answered: f64,
    /// Of them, those with status 500 to 599.
    pub failed: f64,
    /// Seconds until targets answered; without edges where that is not known.
    pub times: Buckets,
}

impl Minute {
    fn is_readable(&self) -> bool {
        let counts = [self.requests, self.answered, self.failed];
        let count = |count: &f64| count.is_finite() && *count >= 0.0;
        counts.iter().all(count) && self.times.counts.iter().all(count)
    }

    fn add(&mut self, more: &Self) {
        self.requests += more.requests;
        self.answered += more.answered;
        self.failed += more.failed;
        self.times = match (self.times.counts.is_empty(), more.times.counts.is_empty()) {
            (true, _) => more.times.clone(),
            (false, true) => return,
            (false, false) => self.times.merged(&more.times),
        };
    }
}

/// The minutes of a target group, or of several together, by the second in which each ends.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Minutes(BTreeMap<i64, Minute>);

impl Minutes {
    /// Nothing is known.
    pub const fn none() -> Self {
        Self(BTreeMap::new())
    }

    /// Forgets minutes that end before.
    pub fn forget_before(&mut self, at: Timestamp) {
        self.0 = self.0.split_off(&at.as_second());
    }

    /// Takes a minute in, in the place of what was known of it. What is no count is left out.
    pub fn note(&mut self, ends_at: Timestamp, minute: Minute) {
        if minute.is_readable() {
            self.0.insert(ends_at.as_second(), minute);
        }
    }

    /// Several groups as one.
    pub fn together<'m>(groups: impl IntoIterator<Item = &'m Self>) -> Self {
        let mut sums = Self::default();
        for (ends, minute) in groups.into_iter().flat_map(|group| &group.0) {
            sums.0.entry(*ends).or_default().add(minute);
        }
        sums
    }

    /// Requests that were never answered, by the minute in which that was known.
    ///
    /// What is outstanding at the end of a minute is all requests less all answers until then: those under way, and those
    /// lost for good. Whatever of it is still outstanding a minute later, and exceeds the most of the minutes before, is taken
    /// as lost. So requests under way, which are more at one moment and fewer at another, do not count, while a target
    /// that lets requests hang is seen in full, a minute later. A client that goes away before the answer counts as well,
    /// since nobody tells it apart.
    fn lost(&self) -> BTreeMap<i64, f64> {
        let Some(last) = self.0.last_key_value().map(|(last, _)| *last) else {
            return BTreeMap::new();
        };
        let known = self.0.range(last.saturating_sub(MINUTES_MAX * MINUTE_S)..);
        let (mut outstanding, mut lost): (Vec<f64>, _) = (Vec::new(), BTreeMap::new());
        let mut expected = None;
        for (ends, minute) in known {
            let before = outstanding.last().copied().unwrap_or(0.0);
            // In minutes without any request nothing changes.
            let quiet = expected.map_or(0, |expected| (ends - expected) / MINUTE_S);
            outstanding.extend((0..quiet).map(|_| before));
            let now = before + minute.requests - minute.answered;
            if let Some((latest, earlier)) = outstanding.split_last()
                && earlier.len() >= SETTLING_MINUTES
            {
                let from = earlier.len().saturating_sub(OUTSTANDING_MINUTES);
                let most = earlier[from..].iter().copied().fold(f64::NEG_INFINITY, f64::max);
                lost.insert(*ends, (latest.min(now) - most).clamp(0.0, minute.requests));
            }
            outstanding.push(now);
            expected = Some(ends + MINUTE_S);
        }
        lost
    }

    fn sides(&self) -> BTreeMap<i64, Side> {
        let lost = self.lost();
        let side = |(ends, minute): (&i64, &Minute)| {
            let failed = minute.failed + lost.get(ends).copied().unwrap_or(0.0);
            let side = Side {
                requests: minute.requests,
                clients_saw_failed: failed.min(minute.requests),
                answered: minute.answered,
                targets_said_failed: minute.failed.min(minute.answered),
                times: minute.times.clone(),
            };
            (*ends, side)
        };
        self.0.iter().map(side).collect()
    }
}

/// The blocks of a metric that lie whole in the window. The caller ends the window where no more numbers are expected. A
/// minute of which there is nothing had no requests.
///
/// # Errors
/// [`SourceError::NoData`] for a metric that is not counted by target group.
pub fn blocks(
    metric: &MetricConfig,
    [baseline, canary]: [&Minutes; 2],
    window: &RangeInclusive<Timestamp>,
) -> Result<Vec<Block>, SourceError> {
    let counted = Counted::of(metric, "a load balancer's metric")?;
    let (mut baseline, mut canary) = (baseline.sides(), canary.sides());
    let mut ends: Vec<i64> = baseline.keys().chain(canary.keys()).copied().collect();
    ends.sort_unstable();
    ends.dedup();
    let blocks = ends.into_iter().filter_map(|ends| {
        let ends_at = in_window(ends, window)?;
        let side = |of: &mut BTreeMap<i64, Side>| of.remove(&ends).unwrap_or_default();
        Some(counted.block(ends_at, &side(&mut baseline), &side(&mut canary)))
    });
    // Where nobody measured how long it took, nothing is said of it.
    Ok(blocks
        .filter(|block| counted != Counted::Times || block.compares())
        .collect())
}

/// What production showed beside the arms; nothing for what is not counted.
pub fn production(
    metric: &MetricConfig,
    production: &Minutes,
    machines: Machines,
    window: &RangeInclusive<Timestamp>,
) -> Vec<Beside> {
    let Ok(counted) = Counted::of(metric, "a load balancer's metric") else {
        return Vec::new();
    };
    let beside = production.sides().into_iter().filter_map(|(ends, side)| {
        Some(Beside {
            ends_at: in_window(ends, window)?,
            shown: counted.shown(&side),
            machines,
        })
    });
    beside.filter(Beside::is_readable).collect()
}

/// The end of a minute that lies whole in the window.
fn in_window(ends: i64, window: &RangeInclusive<Timestamp>) -> Option<Timestamp> {
    let starts_at = Timestamp::from_second(ends.checked_sub(MINUTE_S)?).ok()?;
    let ends_at = Timestamp::from_second(ends).ok()?;
    (starts_at >= *window.start() && ends_at <= *window.end()).then_some(ends_at)
}

#[cfg(test)]
mod tests;
