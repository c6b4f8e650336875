//! The data of the measurements: normal around 10 with standard deviation 2, half of the sets shifted by 0.8.

/// What becomes of the values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// All different.
    Continuous,
    /// Rounded to integers.
    Ties,
}

/// Baseline and canary.
pub(crate) type Sides = (Vec<f64>, Vec<f64>);

/// So many sets of `length` values on each side; the same ones in every run.
pub(crate) fn sets(count: usize, length: usize, kind: Kind) -> Vec<Sides> {
    let mut noise = Noise(0x2545_f491_4f6c_dd1d);
    let mut side = |centre: f64| -> Vec<f64> {
        let value = |_| {
            let value = centre + 2.0 * noise.normal();
            match kind {
                Kind::Continuous => value,
                Kind::Ties => value.round(),
            }
        };
        (0..length).map(value).collect()
    };
    (0..count)
        .map(|set| (side(10.0), side(if set % 2 == 0 { 10.0 } else { 10.8 })))
        .collect()
}

/// A congruential generator, of which only the upper bits are used: the data need no better one.
struct Noise(u64);

impl Noise {
    /// In (0, 1).
    fn uniform(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 12) as f64 + 0.5) / (1_u64 << 52) as f64
    }

    /// By the method of Box and Muller.
    fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }
}
