//! The live local cloud, driven by real plans against real processes on loopback.

mod stage;

mod contract;
mod controls;
mod story;
