//! By how much does the experiment lie above the control? Kayenta's Mann-Whitney interval, bit for bit.
//!
//! Modelled on the asymptotic interval of R's `wilcox.test`: the bounds are the shifts at which the standardised rank
//! statistic W crosses the normal quantiles, the estimate is where it crosses zero; all three are found by Brent's
//! method with an absolute tolerance of 1e-4. For data whose spread is not well above that tolerance the numbers say more
//! about the solver than about the data. They are reproduced, not improved: verdicts depend on them.
//!
//! x is the experiment and y the control, as in the literature on the location shift of x over y.

mod brent;
mod merge;
mod normal;
mod shift;

use shift::Shift;

/// Where the shift of the experiment over the control lies, in the unit of the values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Not below the smallest, nor above the greatest difference of an experiment and a control value; NaN and infinite only
    /// if such values came in or differences overflow. The same holds for the other two.
    pub lower: f64,
    /// The upper bound; rounding of the solver can put it up to its tolerance below `lower`.
    pub upper: f64,
    /// Kayenta's Hodges-Lehmann estimate: some point of the plateau where W is zero, not the median of the differences.
    pub estimate: f64,
}

/// Where Kayenta throws instead of answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IntervalError {
    /// The standard deviation of the rank sum is zero.
    #[error("all values of both sides are equal once the experiment is shifted, so their ranks say nothing")]
    AllTied,
    /// There is nothing to rank.
    #[error("a side has no values")]
    NoValues,
    /// The normal quantile exists for probabilities only.
    #[error("the confidence level is outside -1 to 1")]
    ConfidenceOutOfRange,
}

/// Kayenta's Mann-Whitney interval with the location shift of experiment over control.
///
/// `confidence` is a share; Kayenta's judge uses 0.98. NaN ranks as positive infinity.
pub fn interval(control: &[f64], experiment: &[f64], confidence: f64) -> Result<Interval, IntervalError> {
    let quantile = normal::quantile((1.0 - confidence) / 2.0).ok_or(IntervalError::ConfidenceOutOfRange)?;
    let mut shift = Shift::new(control, experiment)?;
    let search = Search::over(control, experiment, &mut shift)?;
    Ok(Interval {
        lower: search.bound(&mut shift, -quantile)?,
        upper: search.bound(&mut shift, quantile)?,
        estimate: search.root(&mut shift, 0.0)?,
    })
}

/// W: how many standard deviations the rank sum of the experiment, shifted down by `mu`, lies from what equal
/// distributions would give, less `z`; continuity and ties corrected. The interval asks for it from within; by itself it
/// is there to be compared with Kayenta's, step by step.
pub fn w_statistic(control: &[f64], experiment: &[f64], mu: f64, z: f64) -> Result<f64, IntervalError> {
    Ok(Shift::new(control, experiment)?.standardised(mu)? - z)
}

/// The shifts between which all three roots are searched, and the statistic there.
struct Search {
    least: f64,
    greatest: f64,
    at_least: f64,
    at_greatest: f64,
}

impl Search {
    fn over(control: &[f64], experiment: &[f64], shift: &mut Shift) -> Result<Self, IntervalError> {
        let [(first_x, last_x), (first_y, last_y)] = shift.ends();
        let least = min(experiment, first_x) - max(control, last_y);
        let greatest = max(experiment, last_x) - min(control, first_y);
        Ok(Self {
            least,
            greatest,
            at_least: shift.standardised(least)?,
            at_greatest: shift.standardised(greatest)?,
        })
    }

    /// The root, or the end of the range that the statistic has crossed already.
    fn bound(&self, shift: &mut Shift, z: f64) -> Result<f64, IntervalError> {
        if self.at_least - z <= 0.0 {
            return Ok(self.least);
        }
        if self.at_greatest - z >= 0.0 {
            return Ok(self.greatest);
        }
        self.root(shift, z)
    }

    fn root(&self, shift: &mut Shift, z: f64) -> Result<f64, IntervalError> {
        let ends = [
            brent::Point {
                at: self.least,
                value: self.at_least - z,
            },
            brent::Point {
                at: self.greatest,
                value: self.at_greatest - z,
            },
        ];
        brent::root(ends, |mu| Ok(shift.standardised(mu)? - z))
    }
}

/// The least value, NaNs aside, −0 below 0. `first` is the one that ranks lowest.
fn min(values: &[f64], first: f64) -> f64 {
    if first < f64::INFINITY {
        first
    } else {
        numbers(values).min_by(f64::total_cmp).unwrap_or(f64::NAN)
    }
}

/// The greatest value, NaNs aside, 0 above −0. `last` is the one that ranks highest.
fn max(values: &[f64], last: f64) -> f64 {
    if last < f64::INFINITY {
        last
    } else {
        numbers(values).max_by(f64::total_cmp).unwrap_or(f64::NAN)
    }
}

/// What is infinite by its rank can be a NaN, so that the values themselves must be asked.
fn numbers(values: &[f64]) -> impl Iterator<Item = f64> {
    values.iter().copied().filter(|value| !value.is_nan())
}
