//! What it costs, from a table that is part of the program: no price service is asked.

use crate::identity::Role;
use crate::spec::{SAME_AS_PRODUCTION, Spec};

/// US dollars an hour. AWS, us-east-1, Linux on demand, 2026; other regions differ by up to a third.
const PER_HOUR: [(&str, f64); 10] = [
    ("t3.micro", 0.0104),
    ("t3.small", 0.0208),
    ("t3.medium", 0.0416),
    ("t3.large", 0.0832),
    ("t4g.medium", 0.0336),
    ("t4g.large", 0.0672),
    ("m5.large", 0.096),
    ("m6i.large", 0.096),
    ("c6i.large", 0.085),
    ("m5.xlarge", 0.192),
];
/// A public IPv4 address, an hour.
const PUBLIC_ADDRESS: f64 = 0.005;
/// 30 GB of gp3 at $0.08 a GB-month, an hour.
const DISK: f64 = 0.0033;
/// What CloudWatch charges for the numbers that both arms and production's group are judged by, an hour: 18 of each a
/// minute, at $0.01 for 1,000.
pub const MEASURING: f64 = 3.0 * 18.0 * 60.0 * 0.01 / 1000.0;
/// What an unknown type is taken for, until the account is asked.
const UNKNOWN_TYPE: f64 = 0.0416;

/// What a world charges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prices {
    /// This machine.
    Free,
    Aws,
}

/// US dollars an hour for everything that the spec starts.
pub fn per_hour(spec: &Spec, prices: Prices) -> f64 {
    match prices {
        Prices::Free => 0.0,
        Prices::Aws => {
            let arms = 2.0 * f64::from(spec.instances.per_arm) * instance(&spec.instances.instance_type);
            arms + instance(&spec.monitor.instance_type) + MEASURING
        }
    }
}

/// The type an instance of that role gets, as the spec says it.
pub fn instance_type(spec: &Spec, role: Role) -> &str {
    match role {
        Role::Baseline | Role::Canary => &spec.instances.instance_type,
        Role::Monitor => &spec.monitor.instance_type,
    }
}

fn instance(name: &str) -> f64 {
    let type_price = PER_HOUR
        .iter()
        .find(|(known, _)| *known == name)
        .map_or(UNKNOWN_TYPE, |(_, price)| *price);
    debug_assert!(name != SAME_AS_PRODUCTION || type_price == UNKNOWN_TYPE);
    type_price + PUBLIC_ADDRESS + DISK
}
