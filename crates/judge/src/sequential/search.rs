//! The search for the end of a confidence sequence.

/// Enough for the slowest case; it commonly takes a dozen.
const MOST_SEARCH_STEPS: usize = 120;
/// Ends are wanted to a part in a hundred thousand; this is far closer.
const SETTLED: f64 = 1e-10;

/// Where a monotone function falls through zero, between a point where it is not negative and another end.
///
/// Regula falsi with the Illinois correction, and every third step a bisection so that it cannot creep.
pub fn crossing(f: impl Fn(f64) -> f64, (mut yes, mut f_yes): (f64, f64), mut no: f64) -> f64 {
    let mut f_no = f(no);
    if f_no >= 0.0 {
        return no;
    }
    let mut moved_yes = None;
    for step in 0..MOST_SEARCH_STEPS {
        let straight = yes + (no - yes) * f_yes / (f_yes - f_no);
        let middle = if step % 3 == 2 || !straight.is_finite() {
            0.5 * (yes + no)
        } else {
            straight
        };
        let value = f(middle);
        if value.abs() < SETTLED || (yes - no).abs() < SETTLED {
            return middle;
        }
        if value >= 0.0 {
            (yes, f_yes) = (middle, value);
            if moved_yes == Some(true) {
                f_no *= 0.5;
            }
        } else {
            (no, f_no) = (middle, value);
            if moved_yes == Some(false) {
                f_yes *= 0.5;
            }
        }
        moved_yes = Some(value >= 0.0);
    }
    0.5 * (yes + no)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(f: impl Fn(f64) -> f64, yes: f64, no: f64, expected: f64) {
        let found = crossing(&f, (yes, f(yes)), no);
        assert!((found - expected).abs() < 1e-9, "{found} instead of {expected}");
    }

    #[test]
    fn a_falling_and_a_rising_function_are_searched_alike() {
        check(|x| 2.0 - x, 0.0, 10.0, 2.0);
        check(|x| x.powi(3) - 8.0, 10.0, 0.0, 2.0);
    }

    #[test]
    fn a_function_that_never_falls_below_zero_ends_at_the_end() {
        check(|_| 1.0, 0.0, 10.0, 10.0);
    }
}
