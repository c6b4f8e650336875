//! Native histograms: buckets that grow by a constant factor, written as edges in the HTTP API.

use std::collections::BTreeMap;

use crate::buckets::{Buckets, FINEST_SCHEMA};
use crate::source::answer::{NativeReading, Series};
use crate::source::scrapes::{Common, Scrapes, Target};
use crate::{Timestamp, Unit};

/// A written edge may be off in its last digits.
const EDGE_DIGITS: f64 = 1e-6;

/// Requests by bucket of one arm in each block, over all its instances and series.
pub(super) fn native_buckets(series: &[&Series], scrapes: &Scrapes, ends: &[&Common], unit: Unit) -> Vec<Buckets> {
    let mut sums: Vec<Counted> = vec![Counted::default(); ends.len().saturating_sub(1)];
    for one in series {
        let Some(target) = Target::of(one) else { continue };
        let times = scrapes.times_of(&target);
        for (sum, span) in sums.iter_mut().zip(ends.windows(2)) {
            let at = |end: &Common| end.place(&target).and_then(|place| times.get(place)).copied();
            let (after, up_to) = (at(span[0]).unwrap_or(span[0].at), at(span[1]).unwrap_or(span[1].at));
            sum.add(&grown(&one.histograms, times, after, up_to));
        }
    }
    let layout = layout(unit);
    let buckets = |sum: Counted| Buckets::from_native(sum.schema, sum.zero, sum.positive, layout);
    sums.into_iter().map(buckets).collect()
}

/// Between which values buckets are told apart.
fn layout(unit: Unit) -> (f64, f64) {
    match unit {
        // From a tenth of a millisecond to more than any client waits.
        Unit::Seconds => (1e-4, 120.0),
        Unit::Bytes => (16.0, 1e9),
        Unit::Fraction => (1e-3, 1.0),
        Unit::Plain => (1e-3, 1e6),
    }
}

/// What one series counted after a moment and up to another.
fn grown(readings: &[NativeReading], times: &[Timestamp], after: Timestamp, up_to: Timestamp) -> Counted {
    let from = readings.partition_point(|reading| reading.at <= after);
    let to = readings.partition_point(|reading| reading.at <= up_to);
    let mut sum = Counted::default();
    for place in from..to {
        let later = Counted::of(&readings[place]);
        match place.checked_sub(1).and_then(|before| readings.get(before)) {
            Some(before) => sum.add(&later.since(&Counted::of(before))),
            // One that appears when its process was known already counts from zero.
            None if times.first().is_some_and(|first| *first < readings[place].at) => sum.add(&later),
            None => {}
        }
    }
    sum
}

/// Observations by bucket, no finer than what is judged.
#[derive(Debug, Clone, PartialEq)]
struct Counted {
    schema: i32,
    zero: f64,
    /// Bucket `i` ends at `2^(i / 2^schema)`.
    positive: BTreeMap<i32, f64>,
}

impl Default for Counted {
    fn default() -> Self {
        Self {
            schema: FINEST_SCHEMA,
            zero: 0.0,
            positive: BTreeMap::new(),
        }
    }
}

impl Counted {
    fn of(reading: &NativeReading) -> Self {
        let exact = reading
            .buckets
            .iter()
            .find_map(|(lower, upper, _)| schema(*lower, *upper));
        // Buckets of other widths go where their upper edges are.
        let schema = exact.unwrap_or(FINEST_SCHEMA);
        let per_octave = f64::from(schema).exp2();
        let mut counted = Self {
            schema,
            ..Self::default()
        };
        for (_, upper, count) in reading
            .buckets
            .iter()
            .filter(|(.., count)| count.is_finite() && *count > 0.0)
        {
            if *upper > 0.0
                && reading
                    .buckets
                    .iter()
                    .all(|(lower, other, _)| other != upper || *lower >= 0.0)
            {
                let index = (upper.log2() * per_octave - EDGE_DIGITS).ceil().clamp(-1e9, 1e9) as i32;
                *counted.positive.entry(index).or_default() += count;
            } else {
                counted.zero += count;
            }
        }
        counted.coarsened(schema.min(FINEST_SCHEMA))
    }

    fn coarsened(&self, schema: i32) -> Self {
        let halvings = (self.schema - schema).clamp(0, 30);
        let mut coarse = Self {
            schema: self.schema.min(schema),
            zero: self.zero,
            positive: BTreeMap::new(),
        };
        for (index, count) in &self.positive {
            *coarse.positive.entry(((index - 1) >> halvings) + 1).or_default() += count;
        }
        coarse
    }

    fn add(&mut self, other: &Self) {
        // Nothing has no resolution.
        let schema = if other.positive.is_empty() {
            self.schema
        } else {
            self.schema.min(other.schema)
        };
        if schema < self.schema {
            *self = self.coarsened(schema);
        }
        self.zero += other.zero;
        for (index, count) in other.coarsened(schema).positive {
            *self.positive.entry(index).or_default() += count;
        }
    }

    /// What came on top of an earlier reading; everything, when the process began anew meanwhile.
    fn since(&self, earlier: &Self) -> Self {
        let schema = self.schema.min(earlier.schema);
        let (later, earlier) = (self.coarsened(schema), earlier.coarsened(schema));
        let count = |of: &Self, index: &i32| of.positive.get(index).copied().unwrap_or(0.0);
        let shrunk = |index: &i32| count(&later, index) < count(&earlier, index);
        if later.zero < earlier.zero || earlier.positive.keys().any(shrunk) {
            return later;
        }
        let grown = later
            .positive
            .iter()
            .map(|(index, n)| (*index, n - count(&earlier, index)));
        Self {
            schema,
            zero: later.zero - earlier.zero,
            positive: grown.collect(),
        }
    }
}

/// The resolution of a bucket, if it is one of an exponential histogram: each is wider by the factor `2^(2^-schema)`.
fn schema(lower: f64, upper: f64) -> Option<i32> {
    if lower <= 0.0 || !upper.is_finite() {
        return None;
    }
    let exact = -(upper / lower).log2().log2();
    let whole = exact.round();
    ((-4.0..=8.0).contains(&whole) && (exact - whole).abs() < 1e-3).then_some(whole as i32)
}
