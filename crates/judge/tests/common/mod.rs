//! Chance for tests: seeded, and the same on every machine.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
#![allow(dead_code, reason = "each test file uses a part of it")]

use arya_judge::{Block, Evidence, Timestamp};

/// A small generator (a Weyl sequence mixed by multiplications): enough for counts.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x5851_f42d_4c95_7f2d))
    }

    /// Evenly from 0 to 1, never either.
    pub(crate) fn even(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (((mixed ^ (mixed >> 31)) >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// Standard normal.
    pub(crate) fn normal(&mut self) -> f64 {
        (-2.0 * self.even().ln()).sqrt() * (std::f64::consts::TAU * self.even()).cos()
    }

    /// Poisson, by counting arrivals: the mean has to be moderate.
    pub(crate) fn poisson(&mut self, mean: f64) -> f64 {
        let (mut waited, mut arrivals) = (-self.even().ln(), 0.0);
        while waited < mean {
            waited -= self.even().ln();
            arrivals += 1.0;
        }
        arrivals
    }
}

/// So many seconds after a beginning that is a whole minute.
pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_040 + second).unwrap()
}

/// Blocks of 15 s as a source answers them.
pub(crate) fn evidence(metric: &str, blocks: Vec<Block>) -> Evidence {
    Evidence {
        metric: metric.to_owned(),
        source: "test".to_owned(),
        query: String::new(),
        block_s: 15.0,
        blocks,
        production: Vec::new(),
        problem: None,
    }
}
