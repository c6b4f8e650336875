//! Quantiles, as Prometheus interpolates them. Must never know labels.

/// Prometheus treats counts of neighbouring buckets that differ by less than this share as equal: sums of rates carry
/// rounding errors.
const SMALL_DELTA: f64 = 1e-12;

/// A cumulative bucket of a histogram.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bucket {
    pub(super) upper: f64,
    pub(super) count: f64,
}

/// Why there is no quantile outside of [0, 1], and for none of NaN.
fn out_of_range(q: f64) -> Option<f64> {
    if q.is_nan() {
        Some(f64::NAN)
    } else if q < 0.0 {
        Some(f64::NEG_INFINITY)
    } else if q > 1.0 {
        Some(f64::INFINITY)
    } else {
        None
    }
}

/// The `q` quantile of values, interpolated between neighbours; NaN counts as the smallest.
pub(super) fn of_values(q: f64, mut values: Vec<f64>) -> f64 {
    if values.is_empty() {
        return f64::NAN;
    }
    if let Some(answer) = out_of_range(q) {
        return answer;
    }
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan())));
    let rank = q * (values.len() - 1) as f64;
    let lower = rank.floor() as usize;
    let upper = (lower + 1).min(values.len() - 1);
    let weight = rank - rank.floor();
    values[lower] * (1.0 - weight) + values[upper] * weight
}

/// The `q` quantile of a histogram: linear within a bucket, the lowest of which starts at 0.
pub(super) fn of_buckets(q: f64, mut buckets: Vec<Bucket>) -> f64 {
    if let Some(answer) = out_of_range(q) {
        return answer;
    }
    buckets.sort_by(|a, b| a.upper.total_cmp(&b.upper));
    buckets.dedup_by(|next, kept| {
        let same = next.upper == kept.upper;
        if same {
            kept.count += next.count;
        }
        same
    });
    make_monotonic(&mut buckets);
    let [.., second_last, last] = buckets.as_slice() else {
        return f64::NAN;
    };
    if last.upper != f64::INFINITY || last.count == 0.0 || last.count.is_nan() {
        return f64::NAN;
    }
    let rank = q * last.count;
    let finite = &buckets[..buckets.len() - 1];
    let at = finite.partition_point(|bucket| bucket.count < rank);
    match (at, finite.get(at)) {
        (_, None) => second_last.upper,
        (0, Some(first)) if first.upper <= 0.0 => first.upper,
        (0, Some(first)) => first.upper * (rank / first.count),
        (at, Some(bucket)) => {
            let below = finite[at - 1];
            below.upper + (bucket.upper - below.upper) * ((rank - below.count) / (bucket.count - below.count))
        }
    }
}

/// Scrapes are not atomic: a bucket may seem to hold less than the one below it.
fn make_monotonic(buckets: &mut [Bucket]) {
    for n in 1..buckets.len() {
        let (below, count) = (buckets[n - 1].count, buckets[n].count);
        if count < below || nearly_equal(below, count) {
            buckets[n].count = below;
        }
    }
}

fn nearly_equal(a: f64, b: f64) -> bool {
    if a == b {
        return true;
    }
    let sum = a.abs() + b.abs();
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return (a - b).abs() < SMALL_DELTA * f64::MIN_POSITIVE;
    }
    (a - b).abs() / sum.min(f64::MAX) < SMALL_DELTA
}
