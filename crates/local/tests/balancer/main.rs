//! The live balancer over loopback, between real clients and real targets.
#![allow(clippy::unwrap_used, reason = "an unwrap that fails fails the test")]

mod hostile;
mod load;
mod routing;
mod streams;
mod targets;
mod world;
