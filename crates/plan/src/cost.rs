//! What it costs, from a table that is part of the program: no price service is asked.

use crate::identity::Role;
use crate::spec::{SAME_AS_PRODUCTION, Spec};

/// US dollars an hour of a family's `large`. AWS's list prices in us-east-1, Linux on demand, as of 2026. Every other size
/// costs its share of that, by [`SIZES`].
const LARGE_PER_HOUR: [(&str, f64); 31] = [
    ("t2", 0.0928),
    ("t3", 0.0832),
    ("t3a", 0.0752),
    ("t4g", 0.0672),
    ("m4", 0.1),
    ("m5", 0.096),
    ("m5a", 0.086),
    ("m6a", 0.0864),
    ("m6i", 0.096),
    ("m6g", 0.077),
    ("m7a", 0.11592),
    ("m7i", 0.1008),
    ("m7g", 0.0816),
    ("m8g", 0.08976),
    ("c4", 0.1),
    ("c5", 0.085),
    ("c5a", 0.077),
    ("c6a", 0.0765),
    ("c6i", 0.085),
    ("c6g", 0.068),
    ("c7a", 0.10264),
    ("c7i", 0.08925),
    ("c7g", 0.0725),
    ("r5", 0.126),
    ("r5a", 0.113),
    ("r6a", 0.1134),
    ("r6i", 0.126),
    ("r6g", 0.1008),
    ("r7i", 0.1323),
    ("r7g", 0.1071),
    ("r4", 0.133),
];
/// How many `large` a size is.
const SIZES: [(&str, f64); 12] = [
    ("nano", 0.0625),
    ("micro", 0.125),
    ("small", 0.25),
    ("medium", 0.5),
    ("large", 1.0),
    ("xlarge", 2.0),
    ("2xlarge", 4.0),
    ("4xlarge", 8.0),
    ("8xlarge", 16.0),
    ("12xlarge", 24.0),
    ("16xlarge", 32.0),
    ("24xlarge", 48.0),
];
/// A public IPv4 address, an hour.
const PUBLIC_ADDRESS: f64 = 0.005;
/// 30 GB of gp3 at $0.08 a GB-month, an hour.
const DISK: f64 = 0.0033;
/// What CloudWatch charges for the numbers that both arms and production's group are judged by, an hour: 18 of each a
/// minute, at $0.01 for 1,000.
pub const MEASURING: f64 = 3.0 * 18.0 * 60.0 * 0.01 / 1000.0;

/// What a world charges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prices {
    /// This machine.
    Free,
    Aws,
}

/// US dollars an hour for everything that the spec starts. Of an instance whose type has no known price only the address and
/// the disk are counted, and [`says`] names it.
pub fn per_hour(spec: &Spec, prices: Prices) -> f64 {
    match prices {
        Prices::Free => 0.0,
        Prices::Aws => {
            let arms = 2.0 * f64::from(spec.instances.per_arm) * instance(&spec.instances.instance_type);
            arms + instance(&spec.monitor.instance_type) + MEASURING
        }
    }
}

/// What the figure is and is not, for who reads it; `None` where nothing costs anything.
pub fn says(spec: &Spec, prices: Prices) -> Option<String> {
    if prices == Prices::Free {
        return None;
    }
    let mut types = vec![
        spec.instances.instance_type.as_str(),
        spec.monitor.instance_type.as_str(),
    ];
    types.dedup();
    let unknown = types.into_iter().filter(|name| of_type(name).is_none());
    let unknown: Vec<&str> = unknown
        .map(|name| {
            if name == SAME_AS_PRODUCTION {
                "production's type"
            } else {
                name
            }
        })
        .collect();
    let left_out = match unknown.is_empty() {
        true => String::new(),
        false => format!(
            "Without the instances themselves where the price is not known here: {}. ",
            unknown.join(", ")
        ),
    };
    Some(format!(
        "{left_out}AWS's list prices in us-east-1 (Linux, on demand, 2026), without traffic; other regions differ by up to a third."
    ))
}

/// The type an instance of that role gets, as the spec says it.
pub fn instance_type(spec: &Spec, role: Role) -> &str {
    match role {
        Role::Baseline | Role::Canary => &spec.instances.instance_type,
        Role::Monitor => &spec.monitor.instance_type,
    }
}

fn instance(name: &str) -> f64 {
    of_type(name).unwrap_or_default() + PUBLIC_ADDRESS + DISK
}

/// `None` = it is in no table of ours.
fn of_type(name: &str) -> Option<f64> {
    let (family, size) = name.split_once('.')?;
    let (_, large) = LARGE_PER_HOUR.iter().find(|(known, _)| *known == family)?;
    let (_, part) = SIZES.iter().find(|(known, _)| *known == size)?;
    Some(large * part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, expected: Option<f64>) {
        let rounded = of_type(name).map(|price| (price * 10_000.0).round() / 10_000.0);
        assert_eq!(rounded, expected, "{name}");
    }

    #[test]
    fn a_size_costs_its_share_of_the_familys_large() {
        check("t3.micro", Some(0.0104));
        check("t3.medium", Some(0.0416));
        check("t4g.medium", Some(0.0336));
        check("m5.large", Some(0.096));
        check("m5.xlarge", Some(0.192));
        check("c6i.8xlarge", Some(1.36));
        check("r7g.medium", Some(0.0536));
    }

    #[test]
    fn what_is_in_no_table_has_no_price() {
        for name in ["", "x2idn.32xlarge", "m5", "m5.metal", "m5.huge", SAME_AS_PRODUCTION] {
            check(name, None);
        }
    }
}
