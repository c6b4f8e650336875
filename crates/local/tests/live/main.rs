//! The live local cloud, driven by real plans against real processes on loopback.
#![allow(clippy::unwrap_used, reason = "an unwrap that fails fails the test")]

mod stage;

mod contract;
mod controls;
mod story;
