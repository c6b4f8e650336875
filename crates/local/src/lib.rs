//! placeholder
pub mod balancer;
pub mod live;
pub mod load;
pub mod monitor;
pub mod sample;
pub mod samples;
