//! What should exist, what to do next, and why it waits: pure functions from desired and observed state to a plan.
//!
//! Knows no clock, no I/O, no runtime and no format of an AWS id. Time arrives as a value. Owns the [`cloud::Cloud`] port.

pub mod identity;
pub mod listener;
