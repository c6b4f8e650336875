//! When both arms were scraped, and the counters of each arm at those moments.
//!
//! One instance of the baseline gives the times; whatever else was scraped within half an interval belongs to them. The
//! times are those of real scrapes and not of a grid, so that a later question about the same span finds the same blocks.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use super::answer::Series;
use crate::sequential::counters::increments;
use crate::{SourceError, Timestamp};

/// The label that tells the arms apart.
pub(super) const ARM: &str = "arm";
const BASELINE: &str = "baseline";
const CANARY: &str = "canary";
/// Whether a target answered; every Prometheus stores it beside what it scraped.
pub(super) const UP: &str = "up";
/// An instance that was not scraped for so many intervals has gone; until then its arm waits for it.
const GONE_AFTER: i64 = 4;

/// A scrape is stamped when it begins and seen when it has ended.
const SCRAPE_TAKES_MS: i64 = 1000;

/// Moments up to this one, in milliseconds, are known for good: all scrapes that are near them have been seen.
pub(super) fn final_before(window: &RangeInclusive<Timestamp>, every_ms: i64) -> i64 {
    window.end().as_millisecond() - every_ms / 2 - SCRAPE_TAKES_MS.min(every_ms)
}

/// One of the two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Side {
    Baseline,
    Canary,
}

impl Side {
    pub(super) const BOTH: [Self; 2] = [Self::Baseline, Self::Canary];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Baseline => BASELINE,
            Self::Canary => CANARY,
        }
    }

    fn of(series: &Series) -> Option<Self> {
        match series.labels.get(ARM)?.as_str() {
            BASELINE => Some(Self::Baseline),
            CANARY => Some(Self::Canary),
            _ => None,
        }
    }
}

/// Which endpoint on which instance.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Target {
    side: Side,
    job: String,
    instance: String,
}

impl Target {
    pub(super) const fn side(&self) -> Side {
        self.side
    }

    pub(super) fn of(series: &Series) -> Option<Self> {
        let label = |name: &str| series.labels.get(name).cloned().unwrap_or_default();
        Some(Self {
            side: Side::of(series)?,
            job: label("job"),
            instance: label("instance"),
        })
    }
}

/// A moment at which every instance of both arms was scraped.
#[derive(Debug, Clone)]
pub(super) struct Common {
    pub(super) at: Timestamp,
    /// The place of each target's scrape among its own; targets that had gone by then are missing.
    places: BTreeMap<Target, usize>,
}

impl Common {
    pub(super) fn place(&self, target: &Target) -> Option<usize> {
        self.places.get(target).copied()
    }

    /// How many instances of a side were scraped.
    pub(super) fn targets(&self, side: Side) -> usize {
        self.places.keys().filter(|target| target.side == side).count()
    }
}

/// When each target was scraped, and when all were.
#[derive(Debug, Clone)]
pub(super) struct Scrapes {
    pub(super) times: BTreeMap<Target, Vec<Timestamp>>,
    pub(super) common: Vec<Common>,
}

impl Scrapes {
    /// The scrapes of the targets that have any of these series. `all` holds `up` too, where the source has it.
    pub(super) fn find(
        wanted: &[&Series],
        all: &[Series],
        window: &RangeInclusive<Timestamp>,
        every_ms: i64,
    ) -> Result<Self, SourceError> {
        let owners: BTreeSet<Target> = wanted.iter().filter_map(|series| Target::of(series)).collect();
        for side in Side::BOTH {
            if !owners.iter().any(|target| target.side == side) {
                let what = format!("the {} shows none of these series", side.name());
                return Err(SourceError::NoData { what });
            }
        }
        let mut times: BTreeMap<Target, BTreeSet<Timestamp>> = BTreeMap::new();
        let reports = all.iter().filter(|series| series.name == UP);
        for series in wanted.iter().copied().chain(reports) {
            let Some(target) = Target::of(series).filter(|target| owners.contains(target)) else {
                continue;
            };
            let answered = |value: f64| series.name != UP || value == 1.0;
            let readings = series.readings.iter().filter(|reading| answered(reading.value));
            let at = readings.map(|reading| reading.at);
            let known = times.entry(target).or_default();
            known.extend(at.chain(series.histograms.iter().map(|native| native.at)));
        }
        let times: BTreeMap<Target, Vec<Timestamp>> = times
            .into_iter()
            .map(|(target, times)| (target, times.into_iter().collect()))
            .collect();
        let mut common = Vec::new();
        if let Some(reference) = reference(&times, *window.end(), every_ms) {
            let last = final_before(window, every_ms);
            let judged = reference
                .iter()
                .filter(|at| **at >= *window.start() && at.as_millisecond() <= last);
            common.extend(judged.filter_map(|at| together(&times, *at, every_ms)));
        }
        Ok(Self { times, common })
    }

    /// When a target was scraped, oldest first.
    pub(super) fn times_of(&self, target: &Target) -> &[Timestamp] {
        self.times.get(target).map_or(&[], Vec::as_slice)
    }
}

/// The times of the baseline's first instance by name that is still there; of the first one, where all have gone. It must
/// not depend on how much is in sight, or two questions would speak of different moments.
fn reference(times: &BTreeMap<Target, Vec<Timestamp>>, end: Timestamp, every_ms: i64) -> Option<&Vec<Timestamp>> {
    let of_baseline = || {
        times
            .iter()
            .filter(|(target, _)| target.side == Side::Baseline)
            .map(|(_, times)| times)
    };
    let is_there = |times: &&Vec<Timestamp>| {
        let last = times.last().map_or(i64::MIN / 2, |last| last.as_millisecond());
        end.as_millisecond() - last <= GONE_AFTER * every_ms
    };
    of_baseline().find(is_there).or_else(|| of_baseline().next())
}

/// The scrape of every target that belongs to a moment; `None` when one that should be there is missing.
fn together(times: &BTreeMap<Target, Vec<Timestamp>>, at: Timestamp, every_ms: i64) -> Option<Common> {
    let mut places = BTreeMap::new();
    for (target, times) in times {
        let after = times.partition_point(|time| *time < at);
        let candidates = [after.checked_sub(1), Some(after)].into_iter().flatten();
        let distance = |place: &usize| {
            let time = times.get(*place)?;
            Some((time.as_millisecond() - at.as_millisecond()).abs())
        };
        let near = candidates
            .filter_map(|place| Some((distance(&place)?, place)))
            .filter(|(distance, _)| *distance <= every_ms / 2)
            .min();
        match near {
            Some((_, place)) => {
                places.insert(target.clone(), place);
            }
            None => {
                let last = after.checked_sub(1).and_then(|place| times.get(place));
                let lately =
                    last.is_some_and(|last| at.as_millisecond() - last.as_millisecond() <= GONE_AFTER * every_ms);
                if lately {
                    return None;
                }
            }
        }
    }
    let common = Common { at, places };
    Side::BOTH
        .iter()
        .all(|side| common.targets(*side) > 0)
        .then_some(common)
}

/// What a counter had counted by each scrape of its target since the first one in sight. A series that appears when its
/// target had been scraped before counts from zero: libraries show a counter from its first event on.
pub(super) fn counted_by(samples: &[(Timestamp, f64)], times: &[Timestamp]) -> Vec<f64> {
    let mut readings: Vec<Option<f64>> = times
        .iter()
        .map(|time| {
            let place = samples.binary_search_by_key(time, |(at, _)| *at).ok()?;
            samples.get(place).map(|(_, value)| *value)
        })
        .collect();
    if let Some(first) = readings
        .iter()
        .position(Option::is_some)
        .and_then(|first| first.checked_sub(1))
    {
        readings[first] = Some(0.0);
    }
    let mut so_far = 0.0;
    let counted = increments(&readings).counted.into_iter();
    counted
        .map(|increment| {
            so_far += increment.unwrap_or(0.0);
            so_far
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).unwrap()
    }

    fn target(side: Side, instance: &str) -> Target {
        Target {
            side,
            job: "app".into(),
            instance: instance.into(),
        }
    }

    fn times(of: &[(Side, &str, &[i64])]) -> BTreeMap<Target, Vec<Timestamp>> {
        of.iter()
            .map(|(side, name, ms)| (target(*side, name), ms.iter().map(|ms| at(*ms)).collect()))
            .collect()
    }

    #[test]
    fn a_moment_waits_for_an_instance_that_was_there_and_not_for_one_that_has_gone() {
        let scraped = times(&[
            (Side::Baseline, "b", &[1000, 2000, 3000, 9000]),
            (Side::Canary, "c", &[1400, 2400, 3400, 9400]),
            (Side::Canary, "d", &[1100, 2100]),
        ]);
        assert_eq!(together(&scraped, at(2000), 1000).unwrap().targets(Side::Canary), 2);
        assert!(together(&scraped, at(3000), 1000).is_none());
        assert_eq!(together(&scraped, at(9000), 1000).unwrap().targets(Side::Canary), 1);
    }

    #[test]
    fn a_counter_that_appears_late_counts_from_zero_and_one_in_sight_from_its_first_reading() {
        let times = [at(1), at(2), at(3), at(4)];
        assert_eq!(counted_by(&[(at(3), 2.0), (at(4), 5.0)], &times), [0.0, 0.0, 2.0, 5.0]);
        assert_eq!(counted_by(&[(at(1), 9.0), (at(4), 3.0)], &times), [0.0, 0.0, 0.0, 3.0]);
        assert_eq!(counted_by(&[], &times), [0.0; 4]);
    }
}
