//! The special functions behind quantiles and means: incomplete beta integrals and quadrature nodes.

use std::f64::consts::PI;
use std::sync::LazyLock;

/// Points of the quadrature: with 64 the integrals here are exact to 1e-7 and better.
pub const NODES: usize = 64;
/// Lanczos' approximation with g = 7 and nine terms: relative error below 1e-14 (coefficients as published by Godfrey).
const LANCZOS_G: f64 = 7.0;
const LANCZOS: [f64; 9] = [
    0.999_999_999_999_809_9,
    676.520_368_121_885_1,
    -1_259.139_216_722_402_8,
    771.323_428_777_653_1,
    -176.615_029_162_140_6,
    12.507_343_278_686_905,
    -0.138_571_095_265_720_12,
    9.984_369_578_019_572e-6,
    1.505_632_735_149_311_6e-7,
];
/// Continued fractions here need about the square root of their arguments; counts are at most 9e15.
const MOST_TERMS: usize = 200_000;
/// Relative change at which a continued fraction is taken as found.
const SETTLED: f64 = 1e-15;

/// Nodes and weights of Gauss and Legendre on [-1, 1].
#[derive(Debug)]
pub struct Quadrature {
    /// Where the function is evaluated, rising.
    pub node: [f64; NODES],
    /// Logarithms of the weights.
    pub log_weight: [f64; NODES],
}

/// The quadrature that everything here uses.
pub static QUADRATURE: LazyLock<Quadrature> = LazyLock::new(Quadrature::new);

impl Quadrature {
    /// Zeros of Legendre's polynomial by Newton's method from the usual first guess.
    fn new() -> Self {
        let (mut node, mut log_weight) = ([0.0; NODES], [0.0; NODES]);
        for i in 0..NODES {
            let mut x = -(PI * (i as f64 + 0.75) / (NODES as f64 + 0.5)).cos();
            let mut slope = 1.0;
            for _ in 0..8 {
                let (value, derivative) = legendre(x);
                slope = derivative;
                x -= value / derivative;
            }
            node[i] = x;
            log_weight[i] = (2.0 / ((1.0 - x * x) * slope * slope)).ln();
        }
        Self { node, log_weight }
    }
}

/// Legendre's polynomial of degree [`NODES`] and its derivative.
fn legendre(x: f64) -> (f64, f64) {
    let (mut before, mut value) = (1.0, x);
    for k in 2..=NODES {
        let k = k as f64;
        (before, value) = (value, ((2.0 * k - 1.0) * x * value - (k - 1.0) * before) / k);
    }
    (value, NODES as f64 * (x * value - before) / (x * x - 1.0))
}

/// Logarithm of the gamma function for arguments of at least 1.
pub fn ln_gamma(x: f64) -> f64 {
    let x = x - 1.0;
    let t = x + LANCZOS_G + 0.5;
    let tail: f64 = LANCZOS[1..]
        .iter()
        .zip(1..)
        .map(|(term, k)| term / (x + f64::from(k)))
        .sum();
    0.5 * (2.0 * PI).ln() + (x + 0.5) * t.ln() - t + (LANCZOS[0] + tail).ln()
}

/// Logarithm of `∫₀^q p^hits (1-p)^misses dp`, over its integrand at `q`: how much better success rates below `q`
/// explain the data than `q` itself does, before dividing by the length of the range.
pub fn ln_mean_below(hits: f64, misses: f64, q: f64) -> f64 {
    let (a, b) = (hits + 1.0, misses + 1.0);
    if q < (a + 1.0) / (a + b + 2.0) {
        return (q * (1.0 - q) / a * fraction(a, b, q)).ln();
    }
    // The whole integral less the part above q, both as logarithms.
    let at_q = hits * q.ln() + misses * (-q).ln_1p();
    let whole = ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b) - at_q;
    let above = (q * (1.0 - q) / b * fraction(b, a, 1.0 - q)).ln();
    whole + (-(above - whole).exp()).ln_1p()
}

/// Lentz's evaluation of the continued fraction of the incomplete beta function.
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    let away = |number: f64| if number.abs() < 1e-300 { 1e-300 } else { number };
    let mut c = 1.0;
    let mut d = 1.0 / away(1.0 - (a + b) * x / (a + 1.0));
    let mut value = d;
    for m in 1..MOST_TERMS {
        let m = m as f64;
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / away(1.0 + even * d);
        c = away(1.0 + even / c);
        value *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / away(1.0 + odd * d);
        c = away(1.0 + odd / c);
        value *= d * c;
        if (d * c - 1.0).abs() < SETTLED {
            break;
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(found: f64, expected: f64) {
        assert!(
            (found - expected).abs() <= 1e-12 * expected.abs().max(1.0),
            "{found} instead of {expected}"
        );
    }

    #[test]
    fn gamma_of_whole_numbers_is_a_factorial() {
        check(ln_gamma(1.0), 0.0);
        check(ln_gamma(11.0), 3_628_800f64.ln());
        check(ln_gamma(171.0), 706.573_062_245_787_4);
    }

    #[test]
    fn quadrature_integrates_polynomials() {
        let integral = |power: i32| -> f64 {
            let terms = QUADRATURE.node.iter().zip(&QUADRATURE.log_weight);
            terms.map(|(x, w)| w.exp() * x.powi(power)).sum()
        };
        check(integral(0), 2.0);
        check(integral(10), 2.0 / 11.0);
        check(integral(7), 0.0);
    }

    #[test]
    fn an_integral_below_a_rate_agrees_with_the_closed_form() {
        // Without misses the integral is q^(k+1)/(k+1); with one miss q^(k+1)/(k+1) - q^(k+2)/(k+2).
        for (k, q) in [(0.0, 0.3), (4.0, 0.95), (60.0, 0.5), (3.0, 0.01)] {
            check(ln_mean_below(k, 0.0, q), (q / (k + 1.0)).ln());
            let one: f64 = (q / (k + 1.0) - q * q / (k + 2.0)) / (1.0 - q);
            check(ln_mean_below(k, 1.0, q), one.ln());
        }
    }
}
