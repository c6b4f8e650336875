//! The balancer's only source of chance.

use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers that are evenly spread and cheap, for draws by weight and trace ids; not for secrets. This is SplitMix64
/// (Steele, Lea, Flood 2014): a counter and a mixing function, so that threads need no lock.
#[derive(Debug)]
pub(super) struct Chance(AtomicU64);

impl Chance {
    pub(super) const fn seeded(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    pub(super) fn next(&self) -> u64 {
        const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut z = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Evenly distributed over u32, as `choose_group` wants it.
    pub(super) fn draw(&self) -> u32 {
        (self.next() >> 32) as u32
    }
}
