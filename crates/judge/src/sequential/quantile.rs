//! Quantiles from bucket counts (S2.5): an estimate by linear interpolation, and bounds that are bucket edges.
//!
//! A bound is never interpolated: nothing is known of where requests lie inside a bucket.

use super::special::ln_mean_below;

/// Estimated quantile in the unit of the edges; the last edge when it lies beyond, `None` without counts.
///
/// `counts` has one entry more than `upper_edges`: the last is everything above them.
pub fn estimate(counts: &[f64], upper_edges: &[f64], q: f64) -> Option<f64> {
    let total: f64 = counts.iter().sum();
    let last = *upper_edges.last()?;
    if total <= 0.0 {
        return None;
    }
    let target = q * total;
    let (mut below, mut lower) = (0.0, 0.0);
    for (count, upper) in counts.iter().zip(upper_edges) {
        if below + count >= target {
            return Some(lower + (upper - lower) * (target - below) / count.max(1e-300));
        }
        below += count;
        lower = *upper;
    }
    Some(last)
}

/// Edges between which the quantile lies at all times with a chance of `1 - alpha`: 0 and infinity where not bounded.
pub fn bounds(counts: &[f64], upper_edges: &[f64], q: f64, alpha: f64) -> (f64, f64) {
    let total: f64 = counts.iter().sum();
    if total <= 0.0 {
        return (0.0, f64::INFINITY);
    }
    let threshold = (2.0 / alpha).ln();
    let mut sum = 0.0;
    let below: Vec<f64> = counts[..upper_edges.len()]
        .iter()
        .map(|count| {
            sum += count;
            sum
        })
        .collect();
    // The more requests lie below an edge, the less the quantile can be above it: both searches are monotone.
    let above = |at: &f64| log_e_less(*at, total, q) >= threshold;
    let at_or_below = |at: &f64| log_e_less(total - *at, total, 1.0 - q) < threshold;
    let lower = below
        .partition_point(above)
        .checked_sub(1)
        .map_or(0.0, |edge| upper_edges[edge]);
    let upper = upper_edges.get(below.partition_point(at_or_below)).copied();
    (lower, upper.unwrap_or(f64::INFINITY))
}

/// Logarithm of the evidence that the chance of a hit is less than `q`: all lower chances alike against `q` itself.
fn log_e_less(hits: f64, total: f64, q: f64) -> f64 {
    ln_mean_below(hits, total - hits, q) - q.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EDGES: [f64; 3] = [0.1, 0.2, 0.4];

    #[test]
    fn a_quantile_is_interpolated_inside_its_bucket() {
        let check = |counts: &[f64], q: f64, expected: Option<f64>| assert_eq!(estimate(counts, &EDGES, q), expected);
        check(&[10.0, 0.0, 0.0, 0.0], 0.5, Some(0.05));
        check(&[5.0, 10.0, 5.0, 0.0], 0.5, Some(0.15000000000000002));
        check(&[0.0, 0.0, 0.0, 7.0], 0.5, Some(0.4));
        check(&[0.0; 4], 0.5, None);
    }

    #[test]
    fn few_counts_bound_nothing() {
        assert_eq!(bounds(&[1.0, 1.0, 0.0, 0.0], &EDGES, 0.5, 0.05), (0.0, f64::INFINITY));
    }

    #[test]
    fn many_counts_bound_a_quantile_by_the_edges_of_its_bucket() {
        assert_eq!(bounds(&[400.0, 300.0, 280.0, 20.0], &EDGES, 0.5, 0.05), (0.1, 0.2));
        assert_eq!(bounds(&[0.0, 0.0, 0.0, 900.0], &EDGES, 0.5, 0.05), (0.4, f64::INFINITY));
        assert_eq!(bounds(&[900.0, 0.0, 0.0, 0.0], &EDGES, 0.5, 0.05), (0.0, 0.1));
    }
}
