//! placeholder
pub mod balancer;
pub mod sample;
