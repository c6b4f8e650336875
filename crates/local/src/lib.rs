//! placeholder
pub mod balancer;
pub mod monitor;
pub mod sample;
