//! The dispersion guard (S1.6): real failures come in bursts, and a burst must not count as many independent ones.

/// The length of block in which the guard's constants are stated, in seconds.
pub const REFERENCE_BLOCK_S: f64 = 15.0;
