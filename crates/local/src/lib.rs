//! The local cloud: everything that AWS would be, on one machine. A real load balancer, instances as processes started from
//! real archives, the monitor, the bundled sample service and its background load.
//!
//! Must never open anything but loopback, and never decide: `live` carries out what the planner says.

pub mod balancer;
mod clock;
pub mod live;
pub mod load;
pub mod monitor;
mod rules;
pub mod sample;
pub mod samples;
pub mod world;
