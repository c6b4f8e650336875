//! The live local cloud, driven by real plans against real processes on loopback.
#![allow(clippy::unwrap_used, reason = "an unwrap that fails fails the test")]

#[path = "../contract/mod.rs"]
mod contract;
mod stage;

mod controls;
mod machines;
mod story;
