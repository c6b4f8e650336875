//! Who owns what: ids, tags, names and idempotency tokens. The only file that spells a tag.
//!
//! | tag | value |
//! |---|---|
//! | `arya:installation` | UUID of the server that created it |
//! | `arya:deployment` | UUID of the deployment |
//! | `arya:logical-id` | the place it fills, e.g. `target-group-canary` |
//! | `arya:incarnation` | which filling of that place, from 1 |

use std::fmt;
use std::str::FromStr;

use arya_bundle::Digest;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What all of ours begin with.
pub const TAG_PREFIX: &str = "arya:";
pub const TAG_INSTALLATION: &str = "arya:installation";
pub const TAG_DEPLOYMENT: &str = "arya:deployment";
pub const TAG_LOGICAL_ID: &str = "arya:logical-id";
pub const TAG_INCARNATION: &str = "arya:incarnation";

/// AWS's limit for the name of a target group.
pub const TARGET_GROUP_NAME_MAX: usize = 32;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            pub const fn new(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

uuid_id!(
    /// One run of Arya for one change.
    DeploymentId
);
uuid_id!(
    /// One Arya server with its store; keeps two servers in one account apart.
    InstallationId
);

impl InstallationId {
    /// Whoever looks without a server made nothing.
    pub const NOBODY: Self = Self(Uuid::nil());
}

impl DeploymentId {
    /// Ten base32 characters (50 bits): short enough for names of at most 32 characters. Unique in the store, which checks.
    pub fn short(&self) -> String {
        const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
        let bits = self.0.as_u128() >> 78;
        (0..10)
            .rev()
            .map(|i| ALPHABET[(bits >> (5 * i)) as usize & 31] as char)
            .collect()
    }
}

/// The two sides that are compared. They always get equal shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arm {
    Baseline,
    Canary,
}

impl Arm {
    pub const BOTH: [Self; 2] = [Self::Baseline, Self::Canary];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Canary => "canary",
        }
    }
}

impl fmt::Display for Arm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an instance is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Baseline,
    Canary,
    Monitor,
}

impl Role {
    pub const fn arm(self) -> Option<Arm> {
        match self {
            Self::Baseline => Some(Arm::Baseline),
            Self::Canary => Some(Arm::Canary),
            Self::Monitor => None,
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Canary => "canary",
            Self::Monitor => "monitor",
        }
    }
}

impl From<Arm> for Role {
    fn from(arm: Arm) -> Self {
        match arm {
            Arm::Baseline => Self::Baseline,
            Arm::Canary => Self::Canary,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which of our two rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleKind {
    /// Matches only a secret header; makes the groups health-checked before any user reaches them.
    Probe,
    /// The one rule that users match.
    Main,
}

impl fmt::Display for RuleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Probe => "probe rule",
            Self::Main => "main rule",
        })
    }
}

/// Which security group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecurityGroupKind {
    /// Baseline and canary instances.
    App,
    Monitor,
}

/// An instance's place: its role and its number within the role, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    pub role: Role,
    pub index: u8,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            0 => write!(f, "{} instance", self.role),
            n => write!(f, "{} instance {}", self.role, n + 1),
        }
    }
}

/// Our name for a place in a deployment. A step can name nothing else, so it cannot name a stranger's resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogicalId {
    Bucket,
    SecurityGroup(SecurityGroupKind),
    TargetGroup(Arm),
    Instance(Place),
    Rule(RuleKind),
}

impl fmt::Display for LogicalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bucket => f.write_str("bucket"),
            Self::SecurityGroup(SecurityGroupKind::App) => f.write_str("security-group-app"),
            Self::SecurityGroup(SecurityGroupKind::Monitor) => f.write_str("security-group-monitor"),
            Self::TargetGroup(arm) => write!(f, "target-group-{arm}"),
            Self::Instance(place) => write!(f, "instance-{}-{}", place.role, place.index),
            Self::Rule(RuleKind::Probe) => f.write_str("rule-probe"),
            Self::Rule(RuleKind::Main) => f.write_str("rule-main"),
        }
    }
}

/// A text that is no logical id: the tag was edited by hand, or a newer version wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a logical id of this version")]
pub struct UnknownLogicalId(pub String);

impl FromStr for LogicalId {
    type Err = UnknownLogicalId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fixed = [
            Self::Bucket,
            Self::SecurityGroup(SecurityGroupKind::App),
            Self::SecurityGroup(SecurityGroupKind::Monitor),
            Self::TargetGroup(Arm::Baseline),
            Self::TargetGroup(Arm::Canary),
            Self::Rule(RuleKind::Probe),
            Self::Rule(RuleKind::Main),
        ];
        if let Some(id) = fixed.into_iter().find(|id| id.to_string() == text) {
            return Ok(id);
        }
        for role in [Role::Baseline, Role::Canary, Role::Monitor] {
            let index = text
                .strip_prefix(&format!("instance-{role}-"))
                .and_then(|rest| rest.parse().ok());
            if let Some(index) = index {
                return Ok(Self::Instance(Place { role, index }));
            }
        }
        Err(UnknownLogicalId(text.to_owned()))
    }
}

impl Serialize for LogicalId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LogicalId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The tags of a resource of ours, as the create call carries them and as a listing gives them back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    pub installation: InstallationId,
    pub deployment: DeploymentId,
    pub logical_id: LogicalId,
    pub incarnation: u32,
}

impl Owner {
    pub fn tags(&self) -> [(&'static str, String); 4] {
        [
            (TAG_INSTALLATION, self.installation.to_string()),
            (TAG_DEPLOYMENT, self.deployment.to_string()),
            (TAG_LOGICAL_ID, self.logical_id.to_string()),
            (TAG_INCARNATION, self.incarnation.to_string()),
        ]
    }

    /// Reads our tags back. `None` where one is missing or unreadable: then the resource is not ours to touch.
    pub fn from_tags<'t>(tags: impl IntoIterator<Item = (&'t str, &'t str)>) -> Option<Self> {
        let tags: Vec<_> = tags.into_iter().collect();
        let value = |key: &str| tags.iter().find(|(k, _)| *k == key).map(|(_, v)| *v);
        Some(Self {
            installation: value(TAG_INSTALLATION)?.parse().ok()?,
            deployment: value(TAG_DEPLOYMENT)?.parse().ok()?,
            logical_id: value(TAG_LOGICAL_ID)?.parse().ok()?,
            incarnation: value(TAG_INCARNATION)?.parse().ok()?,
        })
    }
}

/// The name of a resource: deterministic, so that a lost answer is found again by name; at most 32 characters.
pub fn resource_name(deployment: &DeploymentId, logical: LogicalId) -> String {
    let short = deployment.short();
    let suffix = match logical {
        LogicalId::Bucket => "files".to_owned(),
        LogicalId::SecurityGroup(SecurityGroupKind::App) => "app".to_owned(),
        LogicalId::SecurityGroup(SecurityGroupKind::Monitor) => "monitor".to_owned(),
        LogicalId::TargetGroup(arm) => arm.to_string(),
        LogicalId::Instance(place) => format!("{}-{}", place.role, place.index + 1),
        LogicalId::Rule(RuleKind::Probe) => "probe".to_owned(),
        LogicalId::Rule(RuleKind::Main) => "main".to_owned(),
    };
    format!("arya-{short}-{suffix}")
}

/// The idempotency token of a create call. A new incarnation gets a new one: EC2 answers a used token of a terminated
/// instance with that dead instance.
pub fn client_token(deployment: &DeploymentId, logical: LogicalId, incarnation: u32) -> String {
    let digest = Digest::of(format!("{deployment}/{logical}/{incarnation}").as_bytes());
    digest.hex()[..32].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment() -> DeploymentId {
        DeploymentId::new(Uuid::from_u128(0x1234_5678_9abc_4def_8123_4567_89ab_cdef))
    }

    fn all_logical_ids() -> Vec<LogicalId> {
        let mut ids = vec![LogicalId::Bucket];
        ids.extend([SecurityGroupKind::App, SecurityGroupKind::Monitor].map(LogicalId::SecurityGroup));
        ids.extend(Arm::BOTH.map(LogicalId::TargetGroup));
        ids.extend([RuleKind::Probe, RuleKind::Main].map(LogicalId::Rule));
        for role in [Role::Baseline, Role::Canary, Role::Monitor] {
            ids.extend([0, 7].map(|index| LogicalId::Instance(Place { role, index })));
        }
        ids
    }

    #[test]
    fn every_logical_id_survives_its_tag() {
        for logical_id in all_logical_ids() {
            let owner = Owner {
                installation: InstallationId::new(Uuid::from_u128(7)),
                deployment: deployment(),
                logical_id,
                incarnation: 3,
            };
            let tags = owner.tags();
            let read = Owner::from_tags(tags.iter().map(|(k, v)| (*k, v.as_str())));
            assert_eq!(read, Some(owner));
        }
    }

    #[test]
    fn a_missing_or_foreign_tag_means_not_ours() {
        assert_eq!(Owner::from_tags([]), None);
        assert_eq!(
            Owner::from_tags([(TAG_DEPLOYMENT, "not-a-uuid"), (TAG_LOGICAL_ID, "bucket")]),
            None
        );
    }

    #[test]
    fn names_fit_the_limit_of_target_groups_and_differ() {
        let names: Vec<_> = all_logical_ids()
            .into_iter()
            .map(|id| resource_name(&deployment(), id))
            .collect();
        for name in &names {
            assert!(name.len() <= TARGET_GROUP_NAME_MAX, "{name}");
        }
        let unique: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(unique.len(), names.len());
    }

    #[test]
    fn a_new_incarnation_gets_a_new_token() {
        let place = LogicalId::Instance(Place {
            role: Role::Canary,
            index: 0,
        });
        assert_eq!(
            client_token(&deployment(), place, 1),
            client_token(&deployment(), place, 1)
        );
        assert_ne!(
            client_token(&deployment(), place, 1),
            client_token(&deployment(), place, 2)
        );
    }

    #[test]
    fn the_short_id_is_ten_base32_characters_of_the_uuid() {
        assert_eq!(deployment().short().len(), 10);
        assert_ne!(
            deployment().short(),
            DeploymentId::new(Uuid::from_u128(1 << 100)).short()
        );
    }
}
