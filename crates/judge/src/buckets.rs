//! Bucket counts of one arm in one span, however the service's library made them.

use serde::{Deserialize, Serialize};

use crate::evidence::LARGEST_COUNT;
use crate::sequential::histogram::{SAME_EDGE, joined};

/// More boundaries than any client library makes; it bounds what one block can cost.
pub const MAX_EDGES: usize = 1024;
/// The finest native resolution that is judged: every bucket 9 % wider than the one before. Finer ones are reduced.
pub const FINEST_SCHEMA: i32 = 3;
/// The coarsest native resolution that exists.
const COARSEST_SCHEMA: i32 = -4;

/// Requests by bucket: not cumulative, with one entry more than edges for everything above them.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Buckets {
    /// Finite upper edges, rising, in the metric's unit.
    pub upper_edges: Vec<f64>,
    /// Requests in each bucket; the last is above all edges.
    pub counts: Vec<f64>,
}

impl Buckets {
    /// From a classic histogram: increments of its cumulative counters, as pairs of `le` and count in any order.
    ///
    /// `le` may be infinite; what is not a number in it is left out. Counters are read one after the other, so a wider
    /// bucket may seem to hold less than a narrower one: it is then taken to hold as much.
    pub fn from_cumulative(pairs: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let mut pairs: Vec<(f64, f64)> = pairs
            .into_iter()
            .filter(|(le, n)| !le.is_nan() && n.is_finite())
            .collect();
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
        pairs.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            kept.1 = if same { kept.1.max(later.1) } else { kept.1 };
            same
        });
        let mut buckets = Self::default();
        let mut below = 0.0f64;
        for (le, cumulative) in pairs {
            let up_to = below.max(cumulative);
            if le.is_finite() {
                buckets.upper_edges.push(le);
                buckets.counts.push(up_to - below);
                below = up_to;
            } else if le > 0.0 {
                buckets.counts.push(up_to - below);
                below = up_to;
            }
        }
        if buckets.counts.len() == buckets.upper_edges.len() {
            buckets.counts.push(0.0);
        }
        buckets
    }

    /// From a native (exponential) histogram: increments of the zero bucket and of the positive ones by index, where
    /// bucket `i` ends at `2^(i / 2^schema)`. It is laid out between `low` and `high`, so that all blocks and both arms
    /// have the same edges whatever was in use; `schema` should be the coarser one of the two arms'.
    pub fn from_native(
        schema: i32,
        zero: f64,
        positive: impl IntoIterator<Item = (i32, f64)>,
        (low, high): (f64, f64),
    ) -> Self {
        let used = schema.clamp(COARSEST_SCHEMA, FINEST_SCHEMA);
        let per_octave = 2f64.powi(used);
        let place = |value: f64| (value.clamp(1e-12, 1e12).log2() * per_octave).ceil() as i32;
        let (first, last) = (place(low), place(high).max(place(low)));
        let last = last.min(first.saturating_add(MAX_EDGES as i32 - 1));
        let upper_edges: Vec<f64> = (first..=last)
            .map(|index| (f64::from(index) / per_octave).exp2())
            .collect();
        let mut counts = vec![0.0; upper_edges.len() + 1];
        counts[0] = zero;
        let halvings = (schema - used).clamp(0, 30) as u32;
        for (index, count) in positive {
            // Two neighbours become one with each halving: buckets end at the same powers.
            let coarse = ((index.saturating_sub(1)) >> halvings).saturating_add(1);
            let bucket = coarse.saturating_sub(first).clamp(0, upper_edges.len() as i32);
            counts[bucket as usize] += count;
        }
        Self { upper_edges, counts }
    }

    /// Requests in all buckets.
    pub fn total(&self) -> f64 {
        self.counts.iter().sum()
    }

    /// Whether it is a histogram: rising finite edges, one count more than edges, counts that are counts.
    pub fn is_readable(&self) -> bool {
        let shape = self.counts.len() == self.upper_edges.len() + 1 && self.upper_edges.len() <= MAX_EDGES;
        let finite = self.upper_edges.iter().all(|edge| edge.is_finite());
        let rising = self.upper_edges.windows(2).all(|pair| pair[0] < pair[1]);
        let counts = self.counts.iter().all(|count| (0.0..=LARGEST_COUNT).contains(count));
        shape && finite && rising && counts && self.total() <= LARGEST_COUNT
    }

    /// The counts by fewer edges, all of which it must have.
    pub fn by(&self, edges: &[f64]) -> Vec<f64> {
        // Most blocks have the edges of those before.
        if self.upper_edges == edges {
            return self.counts.clone();
        }
        joined(&self.upper_edges, &self.counts, edges)
    }

    /// Two spans as one, by the edges they share.
    pub(crate) fn merged(&self, later: &Self) -> Self {
        let upper_edges = shared(&self.upper_edges, &later.upper_edges);
        let sums = self.by(&upper_edges).into_iter().zip(later.by(&upper_edges));
        Self {
            counts: sums.map(|(a, b)| a + b).collect(),
            upper_edges,
        }
    }
}

/// The positive edges that both arms have (S7.9); none when their buckets cannot be compared.
pub(crate) fn common_edges(baseline: &Buckets, canary: &Buckets) -> Vec<f64> {
    let mut edges = shared(&baseline.upper_edges, &canary.upper_edges);
    // Times and sizes are positive; what lies at or below zero belongs to the first bucket.
    edges.retain(|edge| *edge > 0.0);
    edges
}

/// Edges that are in both lists. Libraries print them in different ways, so a last digit may differ.
pub(crate) fn shared(a: &[f64], b: &[f64]) -> Vec<f64> {
    if a == b {
        return a.to_vec();
    }
    let same = |x: f64, y: f64| (x - y).abs() <= SAME_EDGE * x.abs().max(y.abs());
    let in_b = |edge: &&f64| {
        let place = b.partition_point(|other| other < *edge);
        let near = place.saturating_sub(1)..(place + 1).min(b.len());
        b[near].iter().any(|other| same(**edge, *other))
    };
    a.iter().filter(in_b).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pairs: &[(f64, f64)], edges: &[f64], counts: &[f64]) {
        let buckets = Buckets::from_cumulative(pairs.iter().copied());
        assert_eq!((&buckets.upper_edges[..], &buckets.counts[..]), (edges, counts));
        assert!(buckets.is_readable());
    }

    #[test]
    fn cumulative_counters_become_buckets() {
        check(
            &[(f64::INFINITY, 9.0), (0.1, 4.0), (0.5, 7.0)],
            &[0.1, 0.5],
            &[4.0, 3.0, 2.0],
        );
    }

    #[test]
    fn a_wider_bucket_never_holds_less() {
        check(
            &[(0.1, 5.0), (0.5, 4.0), (f64::INFINITY, 6.0)],
            &[0.1, 0.5],
            &[5.0, 0.0, 1.0],
        );
    }

    #[test]
    fn repeated_edges_and_edges_that_are_none_are_tidied() {
        check(&[(0.1, 4.0), (0.1, 5.0), (f64::NAN, 7.0)], &[0.1], &[5.0, 0.0]);
        check(&[], &[], &[0.0]);
    }

    #[test]
    fn native_buckets_of_a_finer_schema_are_reduced() {
        // Schema 4 in 1..2 has sixteen buckets; two of them make one of schema 3.
        let fine = Buckets::from_native(4, 1.0, (1..=16).map(|i| (i, 1.0)), (1.0, 2.0));
        assert_eq!(fine.upper_edges.len(), 9);
        assert_eq!(fine.counts, [1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 0.0]);
        let same = Buckets::from_native(3, 1.0, (1..=8).map(|i| (i, 2.0)), (1.0, 2.0));
        assert_eq!(fine, same);
    }

    #[test]
    fn what_is_outside_the_layout_goes_into_the_outer_buckets() {
        let wide = Buckets::from_native(
            0,
            0.0,
            [(-40, 3.0), (60, 5.0), (i32::MAX, 1.0), (i32::MIN, 1.0)],
            (0.5, 4.0),
        );
        assert_eq!(wide.upper_edges, [0.5, 1.0, 2.0, 4.0]);
        assert_eq!(wide.counts, [4.0, 0.0, 0.0, 0.0, 6.0]);
    }

    #[test]
    fn arms_share_the_edges_that_both_have() {
        let of = |edges: &[f64]| Buckets {
            upper_edges: edges.to_vec(),
            counts: vec![1.0; edges.len() + 1],
        };
        assert_eq!(
            common_edges(&of(&[-1.0, 0.1, 0.3, 1.0]), &of(&[-1.0, 0.1, 0.30000000000000004, 2.0])),
            [0.1, 0.3]
        );
        assert!(common_edges(&of(&[0.1]), &of(&[0.2])).is_empty());
        assert_eq!(of(&[0.1, 0.3, 1.0]).by(&[0.3]), [2.0, 2.0]);
    }
}
