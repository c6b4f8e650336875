//! Kayenta's interval as it is specified, word for word and with no thought of speed: the pooled sample is sorted and ranked
//! anew for every value of the statistic. What the crate answers must equal this to the bit, and be far faster.

use std::cmp::Ordering;

/// Lower bound, upper bound and estimate; `None` where Kayenta throws. `quantile` is the standard normal's at half of what
/// the confidence leaves.
pub(crate) fn interval(control: &[f64], experiment: &[f64], quantile: f64) -> Option<[f64; 3]> {
    let least = min(experiment) - max(control);
    let greatest = max(experiment) - min(control);
    let root = |z: f64| brent(least, greatest, |mu| w_statistic(control, experiment, mu, z));
    let bound = |z: f64| {
        let at_least = w_statistic(control, experiment, least, z)?;
        let at_greatest = w_statistic(control, experiment, greatest, z)?;
        if at_least <= 0.0 {
            Some(least)
        } else if at_greatest >= 0.0 {
            Some(greatest)
        } else {
            root(z)
        }
    };
    Some([bound(-quantile)?, bound(quantile)?, root(0.0)?])
}

pub(crate) fn w_statistic(control: &[f64], experiment: &[f64], mu: f64, z: f64) -> Option<f64> {
    let (nx, ny) = (experiment.len() as f64, control.len() as f64);
    let shifted = experiment.iter().map(|value| value - mu);
    let pooled: Vec<f64> = shifted.chain(control.iter().copied()).collect();
    let (ranks, ties) = ranks(&pooled);
    let rank_sum: f64 = ranks[..experiment.len()].iter().sum();
    let dz = rank_sum - nx * (nx + 1.0) / 2.0 - nx * ny / 2.0;
    let correction = if dz == 0.0 { 0.0 } else { 0.5 * dz.signum() };
    let sigma = ((nx * ny / 12.0) * ((nx + ny + 1.0) - ties / ((nx + ny) * (nx + ny - 1.0)))).sqrt();
    (sigma != 0.0).then(|| (dz - correction) / sigma - z)
}

/// Rank of each value from 1, ties sharing their average; and the tie term.
fn ranks(values: &[f64]) -> (Vec<f64>, f64) {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&left, &right| by_rank(values[left], values[right]));
    let mut ranks = vec![0.0; values.len()];
    let mut ties = 0.0;
    let mut first = 1.0;
    for block in order.chunk_by(|&left, &right| by_rank(values[left], values[right]) == Ordering::Equal) {
        let length = block.len() as f64;
        for &place in block {
            ranks[place] = (2.0 * first + length - 1.0) / 2.0;
        }
        ties += length * length * length - length;
        first += length;
    }
    (ranks, ties)
}

fn by_rank(left: f64, right: f64) -> Ordering {
    let ranked = |value: f64| if value.is_nan() { f64::INFINITY } else { value };
    ranked(left).total_cmp(&ranked(right))
}

fn brent(ax: f64, bx: f64, function: impl Fn(f64) -> Option<f64>) -> Option<f64> {
    const TOLERANCE: f64 = 1e-4;
    let is_zero = |value: f64| value.abs() <= f64::from_bits(1);
    let (mut a, mut b) = (ax, bx);
    let (mut fa, mut fb) = (function(a)?, function(b)?);
    let (mut c, mut fc) = (a, fa);
    if is_zero(fa) {
        return Some(a);
    }
    if is_zero(fb) {
        return Some(b);
    }
    for _ in 0..1001 {
        let prev = b - a;
        if fc.abs() < fb.abs() {
            (a, b, c) = (b, c, b);
            (fa, fb, fc) = (fb, fc, fb);
        }
        let act = 2.0 * f64::EPSILON * b.abs() + TOLERANCE / 2.0;
        let mut step = (c - b) / 2.0;
        if step.abs() <= act || is_zero(fb) {
            return Some(b);
        }
        if prev.abs() >= act && fa.abs() > fb.abs() {
            let w = c - b;
            let (mut p, mut q);
            if a == c {
                let t = fb / fa;
                p = w * t;
                q = 1.0 - t;
            } else {
                q = fa / fc;
                let t1 = fb / fc;
                let t2 = fb / fa;
                p = t2 * (w * q * (q - t1) - (b - a) * (t1 - 1.0));
                q = (q - 1.0) * (t1 - 1.0) * (t2 - 1.0);
            }
            if p > 0.0 {
                q = -q;
            } else {
                p = -p;
            }
            if p < 0.75 * w * q - (act * q).abs() / 2.0 && p < (prev * q / 2.0).abs() {
                step = p / q;
            }
        }
        if step.abs() < act {
            step = if step > 0.0 { act } else { -act };
        }
        (a, fa) = (b, fb);
        b += step;
        fb = function(b)?;
        if (fb > 0.0 && fc > 0.0) || (fb < 0.0 && fc < 0.0) {
            (c, fc) = (a, fa);
        }
    }
    Some(b)
}

fn min(values: &[f64]) -> f64 {
    let numbers = values.iter().copied().filter(|value| !value.is_nan());
    numbers.min_by(f64::total_cmp).unwrap_or(f64::NAN)
}

fn max(values: &[f64]) -> f64 {
    let numbers = values.iter().copied().filter(|value| !value.is_nan());
    numbers.max_by(f64::total_cmp).unwrap_or(f64::NAN)
}
