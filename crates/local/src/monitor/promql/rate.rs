//! Change over a window, as Prometheus 2.53 extrapolates it. Must never know labels.

use super::super::chunk::Point;

/// A window of time in milliseconds, both ends included.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) from: i64,
    pub(super) to: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Series {
    /// Only grows; a fall is a restart from zero.
    Counter,
    /// Goes both ways.
    Gauge,
}

/// Samples that are missing at an edge of the window are expected if the gap is wider than this many average steps.
const GAP: f64 = 1.1;

/// The increase over the whole window, estimated from the samples in it: what they show, extrapolated to the edges of
/// the window, but by no more than half a step where the series seems to begin or end inside of it, and for a counter
/// never to below zero. Needs two samples.
pub(super) fn increase(points: &[Point], window: Window, series: Series) -> Option<f64> {
    let (&(first_t, first), &(last_t, last)) = (points.first()?, points.last()?);
    if points.len() < 2 || last_t == first_t {
        return None;
    }
    let mut change = last - first;
    if series == Series::Counter {
        change += points
            .windows(2)
            .filter(|pair| pair[1].1 < pair[0].1)
            .map(|pair| pair[0].1)
            .sum::<f64>();
    }
    let sampled = seconds(last_t - first_t);
    let average_step = sampled / (points.len() - 1) as f64;
    let to_edge = |gap: f64| {
        if gap >= average_step * GAP {
            average_step / 2.0
        } else {
            gap
        }
    };
    let mut before = to_edge(seconds(first_t - window.from));
    if series == Series::Counter && change > 0.0 && first >= 0.0 {
        before = before.min(sampled * (first / change));
    }
    let after = to_edge(seconds(window.to - last_t));
    Some(change * ((sampled + before + after) / sampled))
}

/// The last step of a counter, per second.
pub(super) fn instant_rate(points: &[Point]) -> Option<f64> {
    let [.., (before_t, before), (t, value)] = points else {
        return None;
    };
    let change = if value < before { *value } else { value - before };
    Some(change / seconds(t - before_t))
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Samples at whole seconds, window from 0 to 60 s.
    #[track_caller]
    fn check(series: Series, points: &[(i64, f64)], expected: Option<f64>) {
        let points: Vec<Point> = points.iter().map(|(s, value)| (s * 1000, *value)).collect();
        let found = increase(&points, Window { from: 0, to: 60_000 }, series);
        let near = |(a, b): (f64, f64)| (a - b).abs() < 1e-9;
        assert!(
            found.zip(expected).map_or(found == expected, near),
            "{found:?}, expected {expected:?}"
        );
    }

    #[test]
    fn samples_that_reach_both_edges_are_extrapolated_to_them() {
        // 30 in 50 s of the 60 s.
        check(
            Series::Counter,
            &[
                (5, 100.0),
                (15, 106.0),
                (25, 112.0),
                (35, 118.0),
                (45, 124.0),
                (55, 130.0),
            ],
            Some(36.0),
        );
    }

    #[test]
    fn a_series_that_begins_inside_the_window_gets_half_a_step() {
        // Sampled 20 s, average step 10 s, half a step before and 10 s to the end: 20 * 35 / 20.
        check(Series::Gauge, &[(30, 100.0), (40, 110.0), (50, 120.0)], Some(35.0));
    }

    #[test]
    fn a_counter_is_never_extrapolated_below_zero() {
        // Zero was 2 s before the first sample; half a step would be 5 s.
        check(Series::Counter, &[(30, 2.0), (40, 12.0), (50, 22.0)], Some(32.0));
    }

    #[test]
    fn the_zero_of_a_counter_counts_only_within_half_a_step() {
        // Zero lies 15 s back, inside the window; the series still seems to begin half a step before its first sample.
        check(Series::Counter, &[(30, 15.0), (40, 25.0), (50, 35.0)], Some(35.0));
    }

    #[test]
    fn a_restart_counts_from_zero() {
        check(Series::Counter, &[(0, 90.0), (30, 100.0), (60, 5.0)], Some(15.0));
        check(Series::Gauge, &[(0, 90.0), (30, 100.0), (60, 5.0)], Some(-85.0));
    }

    #[test]
    fn one_sample_says_nothing() {
        check(Series::Counter, &[(30, 1.0)], None);
        check(Series::Counter, &[], None);
    }
}
