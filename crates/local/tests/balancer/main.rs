//! The live balancer over loopback, between real clients and real targets.

mod hostile;
mod load;
mod routing;
mod streams;
mod targets;
mod world;
