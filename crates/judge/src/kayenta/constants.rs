//! Two constants against each other: every value of either side the same.
//!
//! Kayenta adds noise here, of 1e-5 of each constant, and tests that, with numbers that differ from run to run. The class
//! does not, wherever the constants differ by more than the noise, and it is the one that the exact difference gives. What
//! is left to say is when the noisy values are all tied after the shift, so that the test has no variance. Where that is a
//! toss of the noise we give one of the two classes it takes.

use super::mann_whitney::Interval;

/// Standard deviation of Kayenta's noise, as a share of the constant.
const NOISE: f64 = 1e-5;

/// Below this ratio a canary's constant, with its noise, vanishes in the rounding of a baseline's single value.
const VANISHES: f64 = 1e-12;

/// One side.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Constant {
    /// What all its values equal.
    value: f64,
    /// Whether they still equal each other after the noise.
    stays_one: bool,
    /// Whether one of them is −0, which equals 0 and ranks below it.
    has_negative_zero: bool,
}

/// Once the canary is shifted onto the baseline, no two values differ: Kayenta's `Error`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AllTied;

impl Constant {
    /// The one value that all have; zeros of either sign are one value. `None` without values.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        let value = *values.first()?;
        values.iter().all(|other| *other == value).then(|| Self {
            value,
            // Zeros get no noise, and neither do numbers so small that their share is no double.
            stays_one: values.len() == 1 || NOISE * value == 0.0,
            has_negative_zero: values.iter().any(|zero| *zero == 0.0 && zero.is_sign_negative()),
        })
    }

    /// Zeros of either sign are the same.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

/// The interval of the shift of one constant over another, different one.
pub(super) fn interval(baseline: &Constant, canary: &Constant) -> Result<Interval, AllTied> {
    if ties_everything(baseline, canary) {
        return Err(AllTied);
    }
    let shift = canary.value - baseline.value;
    Ok(Interval {
        lower: shift,
        upper: shift,
        estimate: shift,
    })
}

fn ties_everything(baseline: &Constant, canary: &Constant) -> bool {
    if baseline.value.is_infinite() {
        // Noise makes each infinite value itself or NaN, and both rank above all else, so those of a side that is above
        // all else are tied, and the canary's with them. Below all else only a single value surely equals itself.
        return baseline.value > 0.0 || baseline.stays_one;
    }
    let shift = canary.value - baseline.value;
    // An infinite shift takes the canary away from every finite value, and no shift makes a negative zero of it.
    if !baseline.stays_one || shift.is_infinite() || baseline.has_negative_zero {
        return false;
    }
    let (far, near) = (canary.value.abs(), baseline.value.abs());
    if canary.stays_one {
        // The shifted value returns exactly onto the other one, or does so by a toss of the noise; far out it cannot,
        // except by the rule of exact differences. Zeros have no noise to toss with.
        near == 0.0 || far <= 2.0 * near || is_exact_difference(shift, far, near)
    } else {
        far < VANISHES * near
    }
}

/// Whether a difference surely was not rounded. It is a multiple of the finer last place of the two it came from, so it has
/// room for all its digits while it is no larger than the binade of the smaller one.
fn is_exact_difference(difference: f64, one: f64, other: f64) -> bool {
    exponent(difference) <= exponent(one).min(exponent(other))
}

/// Of the binade, biased. Subnormal numbers have the last place of the smallest normal ones, so they count among them.
fn exponent(value: f64) -> u64 {
    const FRACTION_BITS: u32 = f64::MANTISSA_DIGITS - 1;
    (value.abs().to_bits() >> FRACTION_BITS).max(1)
}

#[cfg(test)]
mod tests;
