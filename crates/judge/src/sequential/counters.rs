//! From readings of counters to increments of both arms over common spans (S7.1, S7.2).

/// The increments of one counter.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Increments {
    /// One per reading: what was counted since the reading before it; `None` for the first one and for no reading.
    pub counted: Vec<Option<f64>>,
    /// Readings at which the counter had begun anew.
    pub resets: Vec<usize>,
}

/// Reads a counter. A reading that is missing, negative or no number is none; after a drop the new value is counted.
pub fn increments(readings: &[Option<f64>]) -> Increments {
    let mut found = Increments::default();
    let mut last: Option<f64> = None;
    for (index, reading) in readings.iter().enumerate() {
        let readable = reading.filter(|value| value.is_finite() && *value >= 0.0);
        let counted = match (readable, last) {
            (Some(value), Some(before)) if value < before => {
                found.resets.push(index);
                Some(value)
            }
            (Some(value), Some(before)) => Some(value - before),
            (Some(_) | None, _) => None,
        };
        found.counted.push(counted);
        last = readable.or(last);
    }
    found
}

/// Sums of both arms over spans that end where both were read: a gap of one arm carries both to the next common
/// reading, so that nothing is lost and both cover the same time. With the index of the reading that ends the span.
pub fn aligned(baseline: &[Option<f64>], canary: &[Option<f64>]) -> Vec<(usize, f64, f64)> {
    let mut spans = Vec::new();
    let (mut on_baseline, mut on_canary) = (0.0, 0.0);
    for (index, (b, c)) in baseline.iter().zip(canary).enumerate() {
        on_baseline += b.unwrap_or(0.0);
        on_canary += c.unwrap_or(0.0);
        if b.is_some() && c.is_some() {
            spans.push((index, on_baseline, on_canary));
            (on_baseline, on_canary) = (0.0, 0.0);
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(readings: &[Option<f64>], counted: &[Option<f64>], resets: &[usize]) {
        let found = increments(readings);
        assert_eq!(found.counted, counted);
        assert_eq!(found.resets, resets);
    }

    #[test]
    fn the_first_reading_counts_nothing() {
        check(&[Some(5.0), Some(9.0)], &[None, Some(4.0)], &[]);
    }

    #[test]
    fn a_drop_is_a_new_beginning() {
        check(&[Some(5.0), Some(2.0)], &[None, Some(2.0)], &[1]);
    }

    #[test]
    fn what_is_no_reading_is_skipped() {
        let odd = [
            Some(1.0),
            Some(f64::NAN),
            None,
            Some(-3.0),
            Some(f64::INFINITY),
            Some(4.0),
        ];
        check(&odd, &[None, None, None, None, None, Some(3.0)], &[]);
    }

    #[test]
    fn a_gap_of_one_arm_loses_nothing() {
        let spans = aligned(&[Some(1.0), None, Some(3.0)], &[Some(1.0), Some(2.0), Some(4.0)]);
        assert_eq!(spans, [(0, 1.0, 1.0), (2, 3.0, 6.0)]);
    }
}
