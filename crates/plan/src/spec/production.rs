//! Which of production's machines the monitor scrapes beside both arms, so that panels show what is usual.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{OneOrMany, limits};

const NONE: &str = "none";
const BEHIND: &str = "instances";

/// `fd00:ec2::/32`, where EC2 answers every machine (EC2 user guide, "Instance metadata service").
const METADATA_V6: [u16; 2] = [0xfd00, 0x0ec2];

/// Production's machines whose exporters are read, on the same ports and paths as the arms'.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "OneOrMany", into = "OneOrMany")]
pub enum ProductionTargets {
    #[default]
    None,
    /// Those behind the chosen rule, as they are when an instance of ours becomes a target.
    Instances,
    Named(Vec<IpAddr>),
}

/// Those of production's machines that are scraped: in the same order every time, and no more than
/// [`limits::PRODUCTION_TARGETS`].
pub fn scraped(mut addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    addresses.sort();
    addresses.dedup();
    addresses.truncate(limits::PRODUCTION_TARGETS);
    addresses
}

impl ProductionTargets {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::None
    }
}

/// Why a value is none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is `none`, `instances`, or a list of addresses of production's machines, such as 10.0.1.7")]
pub struct NoProductionTargets;

impl TryFrom<OneOrMany> for ProductionTargets {
    type Error = NoProductionTargets;

    fn try_from(given: OneOrMany) -> Result<Self, NoProductionTargets> {
        match given {
            OneOrMany::One(word) if word == NONE => Ok(Self::None),
            OneOrMany::One(word) if word == BEHIND => Ok(Self::Instances),
            OneOrMany::One(_) => Err(NoProductionTargets),
            OneOrMany::Many(addresses) => {
                let read = |text: &String| {
                    text.parse()
                        .ok()
                        .as_ref()
                        .map(IpAddr::to_canonical)
                        .filter(is_of_a_network)
                };
                let read = addresses.iter().map(read).collect::<Option<Vec<IpAddr>>>();
                read.map(Self::Named).ok_or(NoProductionTargets)
            }
        }
    }
}

impl From<ProductionTargets> for OneOrMany {
    fn from(targets: ProductionTargets) -> Self {
        match targets {
            ProductionTargets::None => Self::One(NONE.into()),
            ProductionTargets::Instances => Self::One(BEHIND.into()),
            ProductionTargets::Named(addresses) => Self::Many(addresses.iter().map(ToString::to_string).collect()),
        }
    }
}

/// Not the monitor itself, and not what answers every machine at an address of its own, such as a cloud's metadata.
fn is_of_a_network(address: &IpAddr) -> bool {
    let apart = match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.segments()[..2] == METADATA_V6,
    };
    !(apart || address.is_loopback() || address.is_unspecified() || address.is_multicast())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(value: &Value) -> Option<ProductionTargets> {
        let read: ProductionTargets = serde_json::from_value(value.clone()).ok()?;
        assert_eq!(
            serde_json::to_value(&read).unwrap(),
            *value,
            "it is written as it was read"
        );
        Some(read)
    }

    #[test]
    fn words_and_addresses_are_read() {
        assert_eq!(read(&json!("none")), Some(ProductionTargets::None));
        assert_eq!(read(&json!("instances")), Some(ProductionTargets::Instances));
        let named = ["10.0.1.7", "fd00::7"];
        let addresses = named.map(|text| text.parse().unwrap()).to_vec();
        assert_eq!(read(&json!(named)), Some(ProductionTargets::Named(addresses)));
    }

    #[test]
    fn of_many_machines_the_same_few_are_scraped_whatever_the_order() {
        let address = |last: u8| IpAddr::from([10, 0, 0, last]);
        let (up, down): (Vec<_>, Vec<_>) = ((0..100).map(address).collect(), (0..100).rev().map(address).collect());
        let few = scraped(up);
        assert_eq!(few.len(), limits::PRODUCTION_TARGETS);
        assert_eq!(few, scraped(down));
        assert_eq!(scraped(vec![address(7), address(7)]), [address(7)]);
    }

    #[test]
    fn what_is_no_machine_of_production_is_refused() {
        for value in [
            json!("all"),
            json!(["shop.example.com"]),
            json!(["10.0.1.7:9100"]),
            json!(["127.0.0.1"]),
            json!(["169.254.169.254"]),
            json!(["::ffff:169.254.169.254"]),
            json!(["::ffff:127.0.0.1"]),
            json!(["fd00:ec2::254"]),
            json!(["10.0.1.7", "0.0.0.0"]),
            json!(7),
        ] {
            assert_eq!(read(&value), None, "{value}");
        }
    }
}
