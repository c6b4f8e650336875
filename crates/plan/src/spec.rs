//! What the user asks for. The form, a YAML file and the API all write the same document; it is parsed once, here.

mod document;
mod grpc;
mod metrics;
mod production;
mod ranges;
mod referee;
pub mod tags;

use std::collections::BTreeMap;

use arya_judge::source::pack::MetricEdit;
use serde::{Deserialize, Serialize};

use crate::listener::shares::CanaryPercent;
use crate::listener::{Condition, ListenerId, Protocol, RuleId};

pub use arya_bundle::Digest;
pub use document::SpecError;
pub use production::{NoProductionTargets, ProductionTargets, scraped};
#[cfg(test)]
pub(crate) use referee::is_reference;
pub use referee::{NoRefereeImage, RefereeImage};
pub use tags::Tags;

/// Limits of a spec that are not AWS's rule limits (those stand in [`crate::listener::limits`]).
pub mod limits {
    pub const NAME_LENGTH: usize = 64;
    /// Health check paths may have up to 1,024 characters (`CreateTargetGroup`).
    pub const HEALTH_PATH_LENGTH: usize = 1024;
    /// Instances per arm. Two over two zones is the usual most; more only costs more.
    pub const PER_ARM: u8 = 8;
    /// Presigned URLs live at most seven days, and instances report through them until the end.
    pub const LIFETIME_H: u32 = 7 * 24;
    /// Below a few seconds nothing would come up before it goes.
    pub const LIFETIME_AT_LEAST_H: f64 = 0.001;
    pub const WARM_UP_PATHS: usize = 16;
    pub const WARM_UP_IN_A_ROW: u32 = 100;
    pub const EXPORTERS: usize = 16;
    /// Production's machines that are scraped: a panel with more lines is not read, and a small monitor asks each every 5 s.
    pub const PRODUCTION_TARGETS: usize = 20;
    /// Seconds before the canary's first users; more would be a second deployment.
    pub const AA_SPELL_S: f64 = 4.0 * 3600.0;
    pub const ACKNOWLEDGED: usize = 64;
    /// Bytes of a compose file, an env file or another file of a version. They go with each launch, in one call each; what
    /// is larger belongs into the image.
    pub const CONFIGURATION_BYTES: u64 = 4 * 1024 * 1024;
    /// Bytes of any text that has no limit of its own; the longest that AWS takes somewhere is a path of 1,024.
    pub const TEXT_LENGTH: usize = 1024;
    /// Tags beside ours: AWS takes 50 on one resource, of which five are ours.
    pub const TAGS: usize = 45;
    /// Characters of a tag's name and of its value, as AWS has it everywhere.
    pub const TAG_NAME: usize = 128;
    pub const TAG_VALUE: usize = 256;
    /// Entries of any list or mapping that has no limit of its own; AWS takes fewer of everything.
    pub const ENTRIES: usize = 64;
}

/// What was asked. Digests are of the uploaded files' bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    pub name: String,
    #[serde(default = "default_word")]
    pub connection: String,
    pub listener: ListenerId,
    #[serde(default)]
    pub in_front_of: InFrontOf,
    #[serde(default)]
    pub conditions: Vec<Condition>,
    #[serde(default = "default_percent")]
    pub canary_percent: CanaryPercent,
    /// Seconds; 0 = off.
    #[serde(default)]
    pub stickiness_s: u32,
    pub app: App,
    pub baseline: Version,
    pub canary: Version,
    #[serde(default)]
    pub instances: Instances,
    #[serde(default)]
    pub monitor: Monitor,
    #[serde(default)]
    pub exporters: Vec<Exporter>,
    #[serde(default)]
    pub analysis: Analysis,
    /// Hours until the deployment removes itself.
    #[serde(default = "default_lifetime")]
    pub lifetime_h: f64,
    /// Problems accepted by name.
    #[serde(default)]
    pub acknowledged: Vec<String>,
}

fn default_word() -> String {
    "default".into()
}

fn default_percent() -> CanaryPercent {
    CanaryPercent::new(5.0).expect("5 lies between 0 and 50")
}

const fn default_lifetime() -> f64 {
    4.0
}

impl Spec {
    /// Every uploaded file that it names.
    pub fn digests(&self) -> impl Iterator<Item = &Digest> {
        let versions = self.baseline.digests().chain(self.canary.digests());
        versions.chain(self.monitor.referee_image.archive())
    }
}

impl Spec {
    /// The networks from which a shell on baseline and canary can be had; none without a key pair.
    pub fn shell_from(&self) -> &[ipnet::IpNet] {
        match self.instances.key_pair.as_str() {
            NO_KEY => &[],
            _ => &self.monitor.allow_cidrs,
        }
    }
}

/// The rule that ours is placed before.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum InFrontOf {
    #[default]
    Default,
    Rule(RuleId),
}

impl From<String> for InFrontOf {
    fn from(text: String) -> Self {
        if text == "default" {
            Self::Default
        } else {
            Self::Rule(RuleId::new(text))
        }
    }
}

impl From<InFrontOf> for String {
    fn from(chosen: InFrontOf) -> Self {
        match chosen {
            InFrontOf::Default => "default".into(),
            InFrontOf::Rule(id) => id.as_str().to_owned(),
        }
    }
}

/// How the service is reached on its instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct App {
    pub port: u16,
    #[serde(default = "default_protocol")]
    pub protocol: Protocol,
    pub health_check_path: String,
    #[serde(default)]
    pub warm_up: WarmUp,
    /// Where both versions say which they are; the baseline must answer like production.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_path: Option<String>,
}

const fn default_protocol() -> Protocol {
    Protocol::Http
}

/// Requests that an instance sends to itself before it counts as ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WarmUp {
    pub paths: Vec<String>,
    /// The site's Host header; without it the instance's own address is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// So many answers in a row
    pub in_a_row: u32,
    /// must each come within so many milliseconds.
    pub under_ms: u32,
}

impl Default for WarmUp {
    fn default() -> Self {
        Self {
            paths: vec!["/".into()],
            host: None,
            in_a_row: 5,
            under_ms: 1000,
        }
    }
}

/// The first twelve digits of a digest, for people.
pub fn short(digest: &Digest) -> &str {
    &digest.hex()[..12]
}

/// One side: an image archive and its compose file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Version {
    pub image: Digest,
    pub compose: Digest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env_file: Option<Digest>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env_from: Vec<String>,
    /// Target path in the instance to the digest of an uploaded file.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, Digest>,
    #[serde(default)]
    pub services: Services,
}

impl Version {
    /// What every instance of the version fetches; the rest is handed to each by itself.
    pub fn shared(&self) -> [&Digest; 2] {
        [&self.image, &self.compose]
    }

    /// Everything that must reach the instance.
    pub fn digests(&self) -> impl Iterator<Item = &Digest> {
        [&self.image, &self.compose]
            .into_iter()
            .chain(&self.env_file)
            .chain(self.files.values())
    }
}

/// Which services of the compose file to start; empty `run` = only the service that publishes `app.port` and what it
/// depends on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Services {
    pub run: Vec<String>,
    pub skip: Vec<String>,
}

/// AWS's side of baseline and canary. In `arya try` everything but `per_arm` has no effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Instances {
    #[serde(rename = "type")]
    pub instance_type: String,
    pub per_arm: u8,
    pub profile: String,
    pub security_groups: OneOrMany,
    pub subnets: OneOrMany,
    pub ami: String,
    pub tags: Tags,
    pub key_pair: String,
    pub http_proxy: String,
}

/// The word for no key pair.
const NO_KEY: &str = "none";

/// The word for "as production's targets have it".
pub const SAME_AS_PRODUCTION: &str = "same_as_production";

impl Default for Instances {
    fn default() -> Self {
        let same = || OneOrMany::One(SAME_AS_PRODUCTION.into());
        Self {
            instance_type: SAME_AS_PRODUCTION.into(),
            per_arm: 1,
            profile: "none".into(),
            security_groups: same(),
            subnets: same(),
            ami: "default".into(),
            tags: Tags::default(),
            key_pair: NO_KEY.into(),
            http_proxy: "none".into(),
        }
    }
}

/// A word such as `same_as_production`, or a list of ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a word such as `same_as_production`, or a list of ids")]
pub enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// The instance that watches both arms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Monitor {
    #[serde(rename = "type")]
    pub instance_type: String,
    pub reach: Reach,
    pub allow_cidrs: Vec<ipnet::IpNet>,
    pub image_prefix: String,
    #[serde(skip_serializing_if = "RefereeImage::is_default")]
    pub referee_image: RefereeImage,
    #[serde(skip_serializing_if = "ProductionTargets::is_default")]
    pub production_targets: ProductionTargets,
}

impl Monitor {
    /// What stands in front of every image's name, where only a mirror of the registries is reached.
    pub fn mirror(&self) -> Option<&str> {
        (self.image_prefix != "none").then_some(self.image_prefix.as_str())
    }
}

impl Default for Monitor {
    fn default() -> Self {
        Self {
            instance_type: "t3.medium".into(),
            reach: Reach::Vpc,
            allow_cidrs: Vec::new(),
            image_prefix: "none".into(),
            referee_image: RefereeImage::Default,
            production_targets: ProductionTargets::None,
        }
    }
}

/// How the server reaches the monitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    Vpc,
    Public,
    /// The monitor writes evidence objects; no inbound port.
    Bucket,
}

/// A metrics endpoint on each app instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exporter {
    pub job: String,
    pub port: u16,
    #[serde(default = "default_metrics_path")]
    pub path: String,
}

fn default_metrics_path() -> String {
    "/metrics".into()
}

/// How to judge, and what to do on *harmful*.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Analysis {
    pub margin: String,
    /// Changes of the default metrics, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<MetricEdit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kayenta_config: Option<serde_json::Value>,
    pub on_harmful: OnHarmful,
    /// Seconds in which the baseline alone has users beside production, before the canary has any: two of the old version
    /// side by side show how much the metrics scatter by themselves. 0 = the canary's users come at once.
    #[serde(skip_serializing_if = "is_zero")]
    pub aa_spell_s: f64,
}

fn is_zero(number: &f64) -> bool {
    *number == 0.0
}

impl Default for Analysis {
    fn default() -> Self {
        Self {
            margin: default_word(),
            metrics: Vec::new(),
            kayenta_config: None,
            on_harmful: OnHarmful::default(),
            aa_spell_s: 0.0,
        }
    }
}

/// What happens by itself when the verdict is *harmful*.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnHarmful {
    /// Say so; traffic stays.
    Alert,
    /// The main rule goes, the instances stay for forensics.
    #[default]
    RemoveTraffic,
    Destroy,
}
