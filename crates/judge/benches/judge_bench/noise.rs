//! Random numbers and the processes that canaries are simulated with: seeded, and the same on every machine.

use std::f64::consts::TAU;

/// A generator (a Weyl sequence mixed by multiplications).
#[derive(Debug, Clone)]
pub(crate) struct Chance {
    state: u64,
    spare: Option<f64>,
}

impl Chance {
    /// Streams of different numbers have nothing in common.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut chance = Self {
            state: seed ^ stream.wrapping_mul(0x5851_f42d_4c95_7f2d),
            spare: None,
        };
        // Neighbouring streams differ in a few bits; a few steps later they do in half of them.
        chance.state = chance.bits() ^ chance.bits().rotate_left(32);
        chance
    }

    fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Evenly from 0 to 1, never either.
    pub(crate) fn even(&mut self) -> f64 {
        ((self.bits() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// Standard normal, two at a time.
    pub(crate) fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let (length, angle) = ((-2.0 * self.even().ln()).sqrt(), TAU * self.even());
        self.spare = Some(length * angle.sin());
        length * angle.cos()
    }

    /// Gamma with a shape of at least 1 and a mean of that shape (Marsaglia and Tsang).
    pub(crate) fn gamma(&mut self, shape: f64) -> f64 {
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let v = (1.0 + c * x).powi(3);
            if v > 0.0 && self.even().ln() < 0.5 * x * x + d - d * v + d * v.ln() {
                return d * v;
            }
        }
    }

    /// Student's t with three degrees of freedom.
    pub(crate) fn t3(&mut self) -> f64 {
        let squares: f64 = (0..3).map(|_| self.normal().powi(2)).sum();
        self.normal() / (squares / 3.0).sqrt()
    }

    /// Poisson: counted for small means; a large one is halved by a gamma waiting time until it is small (Ahrens and
    /// Dieter), which stays exact.
    pub(crate) fn poisson(&mut self, mut mean: f64) -> f64 {
        let mut found = 0.0;
        while mean > 12.0 {
            let half = (mean * 7.0 / 8.0).floor();
            let waited = self.gamma(half);
            if waited > mean {
                return found + self.binomial(half - 1.0, mean / waited);
            }
            found += half;
            mean -= waited;
        }
        let (limit, mut product) = ((-mean).exp(), self.even());
        while product > limit {
            found += 1.0;
            product *= self.even();
        }
        found
    }

    /// Binomial: counted for few expected hits; many are halved by the middle of their order statistics, which stays
    /// exact.
    pub(crate) fn binomial(&mut self, n: f64, p: f64) -> f64 {
        let (mut n, mut p, mut found) = (n, p.clamp(0.0, 1.0), 0.0);
        while n >= 1.0 && p > 0.0 {
            if p > 0.5 {
                return found + n - self.binomial(n, 1.0 - p);
            }
            if n * p < 12.0 {
                return found + self.few_hits(n, p);
            }
            // The place of the middle one of n even numbers is a beta variable.
            let middle = (0.5 * (n + 1.0)).floor();
            let (a, b) = (self.gamma(middle), self.gamma(n + 1.0 - middle));
            let place = a / (a + b);
            if place <= p {
                found += middle;
                n -= middle;
                p = (p - place) / (1.0 - place);
            } else {
                n = middle - 1.0;
                p /= place;
            }
        }
        found
    }

    /// Hits by the gaps between them.
    fn few_hits(&mut self, n: f64, p: f64) -> f64 {
        let per_miss = (-p).ln_1p();
        let (mut place, mut hits) = (0.0, 0.0);
        loop {
            place += (self.even().ln() / per_miss).floor() + 1.0;
            if place > n {
                return hits;
            }
            hits += 1.0;
        }
    }

    /// How so many fall into classes of these probabilities, which sum to one.
    pub(crate) fn multinomial(&mut self, n: f64, probabilities: &[f64]) -> Vec<f64> {
        let (mut left, mut rest) = (n, 1.0);
        let last = probabilities.len() - 1;
        let mut counts: Vec<f64> = probabilities[..last]
            .iter()
            .map(|p| {
                let hits = if left > 0.0 && rest > 0.0 {
                    self.binomial(left, p / rest)
                } else {
                    0.0
                };
                left -= hits;
                rest -= p;
                hits
            })
            .collect();
        counts.push(left);
        counts
    }

    /// A stationary AR(1) series with this correlation of neighbours and this standard deviation.
    pub(crate) fn ar1(&mut self, length: usize, correlation: f64, deviation: f64) -> Vec<f64> {
        let step = (1.0 - correlation * correlation).sqrt();
        let mut now = self.normal();
        (0..length)
            .map(|index| {
                if index > 0 {
                    now = correlation * now + step * self.normal();
                }
                deviation * now
            })
            .collect()
    }

    /// A rate that wanders: log-normal AR(1) around 1 with this coefficient of variation, about.
    pub(crate) fn wander(&mut self, length: usize, correlation: f64, variation: f64) -> Vec<f64> {
        let series = self.ar1(length, correlation, variation);
        series
            .into_iter()
            .map(|x| (x - 0.5 * variation * variation).exp())
            .collect()
    }

    /// Episodes of a fixed number of blocks that begin so often an hour (of 240 blocks): whether one is on.
    pub(crate) fn episodes(&mut self, length: usize, per_hour: f64, blocks: usize) -> Vec<bool> {
        let begins: Vec<bool> = (0..length).map(|_| self.even() < per_hour / 240.0).collect();
        (0..length)
            .map(|index| begins[index.saturating_sub(blocks - 1)..=index].contains(&true))
            .collect()
    }
}

/// The normal distribution function, to 1e-7 of itself and better in the body (Abramowitz and Stegun 7.1.26 is too coarse
/// for tails, so the continued fraction of the tail is used beyond two).
pub(crate) fn normal_below(x: f64) -> f64 {
    if x > 0.0 {
        return 1.0 - normal_below(-x);
    }
    let density = (-0.5 * x * x).exp() / TAU.sqrt();
    let z = -x;
    if z > 2.0 {
        let mut fraction = z;
        for k in (1..60).rev() {
            fraction = z + f64::from(k) / fraction;
        }
        return density / fraction;
    }
    let (mut term, mut sum) = (z, z);
    for k in 1..60 {
        term *= z * z / f64::from(2 * k + 1);
        sum += term;
    }
    0.5 - density * sum
}
