//! What should exist, what to do next, and why it waits: pure functions from desired and observed state to a plan.
//!
//! Knows no clock, no I/O, no runtime and no format of an AWS id. Time arrives as a value. Owns the [`cloud::Cloud`] port.

pub mod assume;
pub mod checks;
pub mod cloud;
pub mod confounder;
pub mod cost;
pub mod decide;
pub mod desired;
pub mod discreet;
pub mod identity;
pub mod instance_type;
pub mod left;
pub mod listener;
pub mod observed;
pub mod phase;
pub mod plan;
#[cfg(feature = "simulation")]
pub mod planted;
pub mod preview;
pub mod problem;
pub mod proof;
mod provision;
pub mod remains;
mod remove;
mod route;
pub mod seen;
pub mod spec;
pub mod surroundings;
pub mod timing;
pub mod user_data;

pub use provision::files_there;
pub use route::arms_healthy;
