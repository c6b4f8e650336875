//! Summary numbers with the operation order of commons-math 3.6, on which the last bit depends.

/// Of one side's values. All zero when there are none.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Summary {
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
    /// See [`mean`].
    pub mean: f64,
    /// Sample standard deviation; 0 of a single value.
    pub std: f64,
    /// How many.
    pub count: usize,
}

impl Summary {
    /// Summarises; NaN is skipped by `min` and `max` and spoils the rest.
    pub fn of(values: &[f64]) -> Self {
        if values.is_empty() {
            return Self::default();
        }
        let (min, max) = range(values);
        let mean = mean(values);
        Self {
            min,
            max,
            mean,
            std: sample_variance(values, mean).sqrt(),
            count: values.len(),
        }
    }
}

/// Of values that compare equal (zeros of both signs) the last one is kept, as there.
fn range(values: &[f64]) -> (f64, f64) {
    let mut numbers = values.iter().filter(|value| !value.is_nan());
    let Some(&first) = numbers.next() else {
        return (f64::NAN, f64::NAN);
    };
    numbers.fold((first, first), |(min, max), &value| {
        (
            if min < value { min } else { value },
            if max > value { max } else { value },
        )
    })
}

/// The mean in two passes: the second adds what rounding lost in the first. NaN when there are no values.
pub fn mean(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let rough = values.iter().fold(0.0, |sum, value| sum + value) / count;
    let left = values.iter().fold(0.0, |sum, value| sum + (value - rough));
    rough + left / count
}

/// Sum of squared deviations, corrected by the square of their sum over the count.
fn scatter(values: &[f64], mean: f64) -> f64 {
    let (squares, sum) = values.iter().fold((0.0, 0.0), |(squares, sum), value| {
        let deviation = value - mean;
        (squares + deviation * deviation, sum + deviation)
    });
    squares - sum * sum / values.len() as f64
}

fn sample_variance(values: &[f64], mean: f64) -> f64 {
    match values.len() {
        1 => 0.0,
        count => scatter(values, mean) / (count as f64 - 1.0),
    }
}

/// Of the values as a whole population; 0 of a single value, NaN of none. Only [`super::transforms::beyond_sigma`] asks it.
pub fn population_std(values: &[f64]) -> f64 {
    match values.len() {
        1 => 0.0,
        count => (scatter(values, mean(values)) / count as f64).sqrt(),
    }
}

/// The values in ascending order, -0.0 before 0.0.
pub fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
}

/// Type R-7 on values in ascending order without NaN; `percent` in (0, 100]. NaN when there are no values.
pub fn percentile(sorted: &[f64], percent: f64) -> f64 {
    let (Some(&first), Some(&last)) = (sorted.first(), sorted.last()) else {
        return f64::NAN;
    };
    let share = percent / 100.0;
    let count = sorted.len() as f64;
    let position = if share == 1.0 {
        count
    } else {
        1.0 + (count - 1.0) * share
    };
    if position < 1.0 {
        return first;
    }
    if position >= count {
        return last;
    }
    let below = position.floor();
    // `below` lies from 1 to count - 1, so both places exist.
    let (low, high) = (sorted[below as usize - 1], sorted[below as usize]);
    low + (position - below) * (high - low)
}
