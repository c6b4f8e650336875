//! Brent's root search in the variant of R's `zeroin`, with Kayenta's constants.
//!
//! Every operation stands in the order of the original, and none is fused: where the search stops on a plateau, and with
//! it the verdict, depends on the last bits.

/// Absolute, in the unit of the argument.
const TOLERANCE: f64 = 1e-4;

/// After so many steps the best point so far is the answer, without complaint.
const MAX_STEPS: u32 = 1001;

/// An argument and the function's value there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    pub(super) at: f64,
    pub(super) value: f64,
}

/// Searches between two points; that the values there differ in sign is not checked, as in the original.
pub(super) fn root<E>(ends: [Point; 2], mut function: impl FnMut(f64) -> Result<f64, E>) -> Result<f64, E> {
    let [mut before, mut best] = ends;
    let mut across = before;
    for end in ends {
        if is_zero(end.value) {
            return Ok(end.at);
        }
    }
    for _ in 0..MAX_STEPS {
        let previous = best.at - before.at;
        if across.value.abs() < best.value.abs() {
            (before, best, across) = (best, across, best);
        }
        let least_step = 2.0 * f64::EPSILON * best.at.abs() + TOLERANCE / 2.0;
        let half = (across.at - best.at) / 2.0;
        if half.abs() <= least_step || is_zero(best.value) {
            return Ok(best.at);
        }
        let mut step = half;
        if previous.abs() >= least_step && before.value.abs() > best.value.abs() {
            step = interpolated(before, best, across, previous, least_step).unwrap_or(half);
        }
        if step.abs() < least_step {
            step = if step > 0.0 { least_step } else { -least_step };
        }
        before = best;
        let at = best.at + step;
        best = Point {
            at,
            value: function(at)?,
        };
        if (best.value > 0.0 && across.value > 0.0) || (best.value < 0.0 && across.value < 0.0) {
            across = before;
        }
    }
    Ok(best.at)
}

/// The step to where a line, or an inverse parabola through three points, crosses zero; `None` if it leads too far.
fn interpolated(before: Point, best: Point, across: Point, previous: f64, least_step: f64) -> Option<f64> {
    let width = across.at - best.at;
    let mut numerator;
    let mut denominator;
    if before.at == across.at {
        let ratio = best.value / before.value;
        numerator = width * ratio;
        denominator = 1.0 - ratio;
    } else {
        let far = before.value / across.value;
        let near = best.value / across.value;
        let ratio = best.value / before.value;
        numerator = ratio * (width * far * (far - near) - (best.at - before.at) * (near - 1.0));
        denominator = (far - 1.0) * (near - 1.0) * (ratio - 1.0);
    }
    if numerator > 0.0 {
        denominator = -denominator;
    } else {
        numerator = -numerator;
    }
    let is_near = numerator < 0.75 * width * denominator - (least_step * denominator).abs() / 2.0;
    let is_shrinking = numerator < (previous * denominator / 2.0).abs();
    (is_near && is_shrinking).then(|| numerator / denominator)
}

/// Zero, or the number next to it.
fn is_zero(value: f64) -> bool {
    value.abs() <= f64::from_bits(1)
}
