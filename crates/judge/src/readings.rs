//! From samples with times to blocks of both arms (S7): what is out of order, repeated, missing or of two clocks is
//! tidied, or named.

use crate::sequential::counters::{aligned, increments};
use crate::{CountBlock, GaugeBlock, Timestamp};

/// The most readings of one series that are looked at: more than a week of 5 s scrapes. The newest are kept.
const MOST_READINGS: usize = 150_000;
/// Clocks that differ by less disturb nothing that lasts minutes.
const TOLERATED_SKEW_S: f64 = 60.0;
/// Scrapes further apart than this have a gap between them, not a length.
const LONGEST_SCRAPE_S: f64 = 86_400.0;

/// A sample of one series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// When it was taken, by the clock of whoever took it.
    pub at: Timestamp,
    /// What it showed; no number is no reading.
    pub value: f64,
}

/// Series of both arms at the same times.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Paired {
    /// The ends of the scrapes.
    pub at: Vec<Timestamp>,
    /// The baseline's samples; `None` where there is none.
    pub baseline: Vec<Option<f64>>,
    /// The canary's.
    pub canary: Vec<Option<f64>>,
    /// Why they cannot be compared, as a clause.
    pub problem: Option<String>,
}

/// Puts both arms' samples on a grid of scrapes `every_s` seconds apart: each sample goes to the nearest point, which is
/// within half an interval. Samples may be in any order; of several at one point the latest is taken.
pub fn paired(baseline: &[Reading], canary: &[Reading], every_s: f64) -> Paired {
    let every_ns = (every_s.clamp(0.1, LONGEST_SCRAPE_S) * 1e9) as i128;
    let (on_baseline, on_canary) = (on_grid(baseline, every_ns), on_grid(canary, every_ns));
    let mut places: Vec<i128> = on_baseline.iter().chain(&on_canary).map(|(place, _)| *place).collect();
    places.sort_unstable();
    places.dedup();
    let value = |samples: &[(i128, f64)], place: &i128| {
        let found = samples.binary_search_by_key(place, |(place, _)| *place).ok()?;
        samples.get(found).map(|(_, value)| *value)
    };
    let mut pairs = Paired {
        problem: skew(baseline, canary),
        ..Paired::default()
    };
    for place in places {
        let Ok(at) = Timestamp::from_nanosecond(place * every_ns) else {
            continue;
        };
        pairs.at.push(at);
        pairs.baseline.push(value(&on_baseline, &place));
        pairs.canary.push(value(&on_canary, &place));
    }
    pairs
}

/// Blocks of counts from counters of events and of what they are counted in, which give the blocks their times.
///
/// Events that were never seen while exposure was are no events: a library shows a counter of errors from the first error
/// on. A reset of either counter drops nothing, since numerator and denominator of one process lose the same span.
pub fn count_blocks(events: &Paired, exposure: &Paired) -> Vec<CountBlock> {
    let on_baseline = counted(events, &events.baseline, exposure, &exposure.baseline);
    let on_canary = counted(events, &events.canary, exposure, &exposure.canary);
    let (baseline, canary) = (
        increments(&exposure.baseline).counted,
        increments(&exposure.canary).counted,
    );
    let mut next = 0;
    let mut blocks = Vec::new();
    for (index, baseline_exposure, canary_exposure) in aligned(&baseline, &canary) {
        let sum = |counted: &[Option<f64>]| counted[next..=index].iter().flatten().sum();
        blocks.push(CountBlock {
            ends_at: exposure.at[index],
            baseline_events: sum(&on_baseline),
            canary_events: sum(&on_canary),
            baseline_exposure,
            canary_exposure,
        });
        next = index + 1;
    }
    blocks
}

/// Increments of one arm's events at the times of its exposure.
fn counted(events: &Paired, own: &[Option<f64>], exposure: &Paired, exposed: &[Option<f64>]) -> Vec<Option<f64>> {
    let mut seen = false;
    let times = exposure.at.iter().zip(exposed);
    let readings: Vec<Option<f64>> = times
        .map(|(time, exposed)| {
            let place = events.at.binary_search(time).ok();
            let reading = place.and_then(|place| own.get(place).copied().flatten());
            seen |= reading.is_some();
            reading.or_else(|| exposed.filter(|_| !seen).map(|_| 0.0))
        })
        .collect();
    increments(&readings).counted
}

/// Blocks of a gauge: the scrapes that both arms answered.
pub fn gauge_blocks(samples: &Paired) -> Vec<GaugeBlock> {
    let both = samples.at.iter().zip(samples.baseline.iter().zip(&samples.canary));
    both.filter_map(|(ends_at, (baseline, canary))| {
        Some(GaugeBlock {
            ends_at: *ends_at,
            baseline: (*baseline)?,
            canary: (*canary)?,
        })
    })
    .collect()
}

/// Samples by their place on the grid, rising, one each.
fn on_grid(readings: &[Reading], every_ns: i128) -> Vec<(i128, f64)> {
    let newest = readings.len().saturating_sub(MOST_READINGS);
    let mut tidy: Vec<&Reading> = readings[newest..]
        .iter()
        .filter(|reading| reading.value.is_finite())
        .collect();
    // A stable sort: of two samples of one moment the later entry is a correction.
    tidy.sort_by_key(|reading| reading.at);
    let mut placed: Vec<(i128, f64)> = Vec::with_capacity(tidy.len());
    for reading in tidy {
        let place = (reading.at.as_nanosecond() + every_ns / 2).div_euclid(every_ns);
        match placed.last_mut() {
            Some(last) if last.0 == place => last.1 = reading.value,
            Some(_) | None => placed.push((place, reading.value)),
        }
    }
    placed
}

/// Two series that begin and end apart by the same time were stamped by two clocks.
fn skew(baseline: &[Reading], canary: &[Reading]) -> Option<String> {
    let ends = |readings: &[Reading]| {
        let times = || readings.iter().map(|reading| reading.at);
        times().min().zip(times().max())
    };
    let ((b_first, b_last), (c_first, c_last)) = ends(baseline).zip(ends(canary))?;
    let first = c_first.duration_since(b_first).as_secs_f64();
    let last = c_last.duration_since(b_last).as_secs_f64();
    let same_way = first.signum() == last.signum();
    let least = first.abs().min(last.abs());
    (same_way && least > TOLERATED_SKEW_S).then(|| {
        let way = if last > 0.0 { "ahead of" } else { "behind" };
        format!(
            "the clocks of the two arms differ: the canary's samples are about {:.0} min {way} the baseline's",
            (least / 60.0).max(1.0)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(samples: &[(i64, f64)]) -> Vec<Reading> {
        let reading = |(second, value): &(i64, f64)| Reading {
            at: Timestamp::from_second(*second).unwrap(),
            value: *value,
        };
        samples.iter().map(reading).collect()
    }

    #[test]
    fn samples_meet_at_the_nearest_scrape_in_any_order() {
        let pairs = paired(
            &series(&[(31, 3.0), (14, 1.0), (16, 2.0)]),
            &series(&[(16, 5.0), (28, 6.0)]),
            15.0,
        );
        assert_eq!(pairs.baseline, [Some(2.0), Some(3.0)]);
        assert_eq!(pairs.canary, [Some(5.0), Some(6.0)]);
        assert_eq!(pairs.problem, None);
    }

    #[test]
    fn missing_errors_with_requests_are_no_errors() {
        let requests = paired(
            &series(&[(0, 0.0), (15, 100.0), (30, 250.0)]),
            &series(&[(0, 5.0), (15, 95.0), (30, 195.0)]),
            15.0,
        );
        let blocks = count_blocks(&Paired::default(), &requests);
        assert_eq!(blocks.len(), 2);
        assert_eq!((blocks[1].canary_events, blocks[1].baseline_exposure), (0.0, 150.0));
        // The first error makes the counter appear with one.
        let blocks = count_blocks(&paired(&[], &series(&[(30, 1.0)]), 15.0), &requests);
        assert_eq!((blocks[1].canary_events, blocks[1].baseline_events), (1.0, 0.0));
    }

    #[test]
    fn a_missed_scrape_carries_both_arms_to_the_next() {
        let requests = paired(
            &series(&[(0, 0.0), (15, 10.0), (30, 30.0)]),
            &series(&[(0, 0.0), (30, 50.0)]),
            15.0,
        );
        let errors = paired(
            &series(&[(0, 0.0), (15, 1.0), (30, 1.0)]),
            &series(&[(0, 0.0), (30, 4.0)]),
            15.0,
        );
        let blocks = count_blocks(&errors, &requests);
        assert_eq!(blocks.len(), 1);
        let block = blocks[0];
        assert_eq!((block.baseline_events, block.canary_events), (1.0, 4.0));
        assert_eq!((block.baseline_exposure, block.canary_exposure), (30.0, 50.0));
    }

    #[test]
    fn clocks_that_differ_by_minutes_are_named() {
        let of = |from: i64| series(&[(from, 1.0), (from + 600, 2.0)]);
        let problem = paired(&of(0), &of(180), 15.0).problem.unwrap();
        assert!(problem.contains("about 3 min ahead of"), "{problem}");
        assert!(paired(&of(180), &of(0), 15.0).problem.unwrap().contains("behind"));
        // A canary that merely started later does not end later too.
        assert_eq!(paired(&of(0), &series(&[(300, 1.0), (600, 2.0)]), 15.0).problem, None);
    }

    #[test]
    fn what_is_no_number_is_no_sample() {
        let pairs = paired(
            &series(&[(0, f64::NAN), (15, 1.0)]),
            &series(&[(0, 2.0), (15, 2.0)]),
            15.0,
        );
        assert_eq!(gauge_blocks(&pairs).len(), 1);
    }
}
