//! What went through a rule or a group, by the second: the evidence of errors as clients saw them, and measured weights.
//!
//! Knows nothing of targets or rules; whoever serves a request hands in one [`Served`] when it is over.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

/// Seconds that are remembered: a little over 17 minutes, where callers are promised 15. A power of two for the index.
pub const REMEMBERED_SECONDS: i64 = 1024;
/// Latency buckets: bucket 0 is below 1 ms ÷ 8, each next one doubles, the last takes the rest (above 65 s).
pub const LATENCY_BUCKETS: usize = 21;
const FIRST_BUCKET_MICROS: u64 = 125;

/// One request that is over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Served {
    pub(super) at: Timestamp,
    /// What the client got. `None` where the client went away before a status.
    pub(super) elb_status: Option<u16>,
    /// What the target said, if it was asked and answered.
    pub(super) target_status: Option<u16>,
    pub(super) target_connection_error: bool,
    pub(super) received_bytes: u64,
    pub(super) sent_bytes: u64,
    pub(super) latency_micros: u64,
}

/// Counts of one or more seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    pub requests: u64,
    /// Answers to clients: 2xx, 3xx, 4xx, 5xx.
    pub elb: [u64; 4],
    /// Answers of targets: 2xx, 3xx, 4xx, 5xx.
    pub target: [u64; 4],
    pub target_connection_errors: u64,
    pub received_bytes: u64,
    pub sent_bytes: u64,
    /// From the request's head to the response's head, see [`Counts::latency_upper_micros`].
    pub latency: [u64; LATENCY_BUCKETS],
}

impl Counts {
    /// Requests that the client saw fail with 5xx, whoever made it.
    pub const fn failed(&self) -> u64 {
        self.elb[3]
    }

    /// The upper bound of a latency bucket in microseconds; `None` for the last one, which has none.
    pub const fn latency_upper_micros(bucket: usize) -> Option<u64> {
        if bucket + 1 < LATENCY_BUCKETS {
            Some(FIRST_BUCKET_MICROS << bucket)
        } else {
            None
        }
    }

    fn add(&mut self, served: &Served) {
        self.requests += 1;
        for (counts, status) in [
            (&mut self.elb, served.elb_status),
            (&mut self.target, served.target_status),
        ] {
            if let Some(class @ 2..=5) = status.map(|status| status / 100) {
                counts[usize::from(class) - 2] += 1;
            }
        }
        self.target_connection_errors += u64::from(served.target_connection_error);
        self.received_bytes += served.received_bytes;
        self.sent_bytes += served.sent_bytes;
        self.latency[bucket(served.latency_micros)] += 1;
    }

    fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.target_connection_errors += other.target_connection_errors;
        self.received_bytes += other.received_bytes;
        self.sent_bytes += other.sent_bytes;
        let pairs = self.elb.iter_mut().zip(other.elb);
        let pairs = pairs.chain(self.target.iter_mut().zip(other.target));
        for (sum, more) in pairs.chain(self.latency.iter_mut().zip(other.latency)) {
            *sum += more;
        }
    }
}

fn bucket(micros: u64) -> usize {
    let doublings = (micros / FIRST_BUCKET_MICROS)
        .checked_ilog2()
        .map_or(0, |log| log as usize + 1);
    doublings.min(LATENCY_BUCKETS - 1)
}

/// The last [`REMEMBERED_SECONDS`] of one rule or group. At most 290 KB, grown with the seconds that had requests.
#[derive(Debug, Default)]
pub(super) struct Series {
    cells: Mutex<Vec<Cell>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    second: i64,
    counts: Counts,
}

impl Series {
    pub(super) fn add(&self, served: &Served) {
        let second = served.at.as_second();
        // Held for some tens of nanoseconds, and never by a change of rules.
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        let at = second.rem_euclid(REMEMBERED_SECONDS) as usize;
        if cells.len() <= at {
            cells.resize(at + 1, Cell::default());
        }
        let cell = &mut cells[at];
        if cell.second < second {
            *cell = Cell {
                second,
                counts: Counts::default(),
            };
        }
        // A clock that was set back by more than the memory must not write into the newer second.
        if cell.second == second {
            cell.counts.add(served);
        }
    }

    /// The sum over whole seconds from `range.start` up to but without `range.end`.
    pub(super) fn sum(&self, range: &Range<Timestamp>) -> Counts {
        let seconds = range.start.as_second()..range.end.as_second();
        let cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sum = Counts::default();
        for cell in cells.iter().filter(|cell| seconds.contains(&cell.second)) {
            sum.merge(&cell.counts);
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    fn served(at: i64, status: u16) -> Served {
        Served {
            at: second(at),
            elb_status: Some(status),
            target_status: (status != 503).then_some(status),
            target_connection_error: false,
            received_bytes: 10,
            sent_bytes: 20,
            latency_micros: 900,
        }
    }

    #[test]
    fn sums_cover_whole_seconds_without_the_end() {
        let series = Series::default();
        for (at, status) in [(0, 200), (1, 200), (1, 503), (2, 500)] {
            series.add(&served(at, status));
        }
        let sum = series.sum(&(second(0)..second(2)));
        assert_eq!(
            (sum.requests, sum.elb, sum.target, sum.failed()),
            (3, [2, 0, 0, 1], [2, 0, 0, 0], 1)
        );
        assert_eq!((sum.received_bytes, sum.sent_bytes), (30, 60));
    }

    #[test]
    fn an_old_second_is_forgotten_when_its_place_is_needed() {
        let series = Series::default();
        series.add(&served(0, 200));
        series.add(&served(REMEMBERED_SECONDS, 200));
        series.add(&served(0, 200));
        assert_eq!(series.sum(&(second(0)..second(1))).requests, 0);
        assert_eq!(series.sum(&(second(0)..second(REMEMBERED_SECONDS + 1))).requests, 1);
        assert!(series.cells.lock().unwrap().len() <= REMEMBERED_SECONDS as usize);
    }

    #[test]
    fn a_latency_falls_into_the_bucket_whose_bounds_hold_it() {
        for micros in [0, 1, 124, 125, 126, 249, 250, 1_000, 1_000_000, u64::MAX] {
            let at = bucket(micros);
            assert!(
                Counts::latency_upper_micros(at).is_none_or(|upper| micros < upper),
                "{micros}"
            );
            assert!(
                at == 0 || Counts::latency_upper_micros(at - 1).is_some_and(|lower| micros >= lower),
                "{micros}"
            );
        }
    }
}
