//! What the cloud looks like right now: one snapshot of our resources by tag and of the user's listener.
//!
//! Late and incomplete by nature. Nothing in it is stored; the next look makes it anew.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use arya_judge::Timestamp;
use serde::{Deserialize, Serialize};

use crate::identity::{Arm, Place, RuleKind, SecurityGroupKind};
use crate::listener::{GroupId, Rule, Site};
use crate::spec::Digest;

/// One look at one deployment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    pub at: Timestamp,
    /// The listener the deployment stands on; `None` = it is gone.
    pub site: Option<Site>,
    pub bucket: bool,
    /// Progress per digest, for those that were started.
    pub uploads: BTreeMap<Digest, Upload>,
    pub security_groups: Vec<SecurityGroupKind>,
    pub groups: BTreeMap<Arm, OurGroup>,
    /// Every instance with our tags that the cloud still lists, dead ones included.
    pub instances: Vec<Instance>,
    /// What users sent lately, as the load balancer counted it; `None` = not known yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<Traffic>,
    /// When we can do nothing here any more, unless a person logs in again; `None` = not foreseeable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_end: Option<Timestamp>,
    /// Whoever is looked at sooner again would take more calls than the account has for all deployments together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look_again_at_least: Option<Duration>,
}

/// The matching traffic of the last seconds, side by side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Traffic {
    /// Length of the window.
    pub window_s: f64,
    pub production: SideTraffic,
    pub baseline: SideTraffic,
    pub canary: SideTraffic,
}

/// One side's requests in the window, as clients saw them answered.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct SideTraffic {
    pub requests: u64,
    /// Answers with status 500 to 599, whoever gave them.
    pub errors: u64,
    /// 95th percentile of the time to answer; `None` without requests.
    pub p95_ms: Option<f64>,
}

impl Observed {
    /// An empty world: nothing of ours, no listener.
    pub const fn nothing(at: Timestamp) -> Self {
        Self {
            at,
            site: None,
            bucket: false,
            uploads: BTreeMap::new(),
            security_groups: Vec::new(),
            groups: BTreeMap::new(),
            instances: Vec::new(),
            traffic: None,
            credentials_end: None,
            look_again_at_least: None,
        }
    }

    /// The filling of a place with the given incarnation.
    pub fn instance(&self, place: Place, incarnation: u32) -> Option<&Instance> {
        self.instances
            .iter()
            .find(|i| i.place == place && i.incarnation == incarnation)
    }
}

/// The bytes of a file on their way into the bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    pub sent: u64,
    pub size: u64,
    pub state: UploadState,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UploadState {
    Running,
    Done,
    /// Starting it again may help; the sentence says what happened.
    Failed(String),
}

/// A target group that we made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OurGroup {
    pub id: GroupId,
    pub targets: Vec<Target>,
}

impl OurGroup {
    /// The target that the newest filling of a place is. What ended may stay registered for a while.
    pub fn target(&self, place: Place) -> Option<&Target> {
        let of_place = self.targets.iter().filter(|t| t.place == place);
        of_place.max_by_key(|t| t.incarnation)
    }

    /// The targets that take new requests, or will when they are healthy.
    pub fn standing(&self) -> impl Iterator<Item = &Target> {
        self.targets.iter().filter(|t| t.health.state != TargetState::Draining)
    }
}

/// An instance of ours in a group of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    pub place: Place,
    pub incarnation: u32,
    pub health: TargetHealth,
}

/// A target's state as the load balancer gives it, with AWS's words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetHealth {
    pub state: TargetState,
    /// AWS's reason code, e.g. `Target.ResponseCodeMismatch`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetState {
    Initial,
    Healthy,
    Unhealthy,
    /// No rule names the group, or the target is not registered.
    Unused,
    Draining,
    Unavailable,
}

impl TargetState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Unused => "unused",
            Self::Draining => "draining",
            Self::Unavailable => "unavailable",
        }
    }
}

/// An instance with our tags.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    pub place: Place,
    pub incarnation: u32,
    pub id: String,
    pub state: InstanceState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<SocketAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Status>,
    /// Why the cloud ended it, in the cloud's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_because: Option<String>,
    /// The end of what it printed on its console, masked, where it runs and never said anything itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub console: Option<String>,
}

impl Instance {
    /// Its last word, if it is still there to say one.
    pub fn phase(&self) -> Option<BootPhase> {
        self.report.as_ref().map(|report| report.phase)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstanceState {
    Pending,
    Running,
    ShuttingDown,
    Terminated,
}

impl InstanceState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::ShuttingDown => "shutting down",
            Self::Terminated => "terminated",
        }
    }

    pub const fn is_ending(self) -> bool {
        matches!(self, Self::ShuttingDown | Self::Terminated)
    }
}

/// The status document that an instance writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    pub phase: BootPhase,
    pub at: Timestamp,
    /// The last lines of its log, on failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tail: Option<String>,
    /// When each phase was reached, in order; empty where nobody measures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timeline: Vec<Reached>,
    /// The monitor's: the SHA-256 of its door's certificate in hexadecimal digits, for the server to accept no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_sha256: Option<String>,
    /// The monitor's: its services that run beside the one that makes it ready.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub running: Vec<String>,
    /// The monitor's: why each of the others does not run yet, as Docker or the registry said it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub not_running: BTreeMap<String, String>,
}

impl Status {
    /// A phase and nothing more.
    pub const fn new(phase: BootPhase, at: Timestamp) -> Self {
        Self {
            phase,
            at,
            tail: None,
            timeline: Vec::new(),
            certificate_sha256: None,
            running: Vec::new(),
            not_running: BTreeMap::new(),
        }
    }
}

/// One line of an instance's own timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    pub phase: BootPhase,
    /// Since the boot began.
    #[serde(rename = "after_s", with = "seconds")]
    pub after: Duration,
}

/// Seconds with decimals. What an instance writes is not trusted: what is no length of time is none at all.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(after: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(after.as_secs_f64())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        Ok(Duration::try_from_secs_f64(seconds).unwrap_or_default())
    }
}

/// How far an instance has come by its own report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BootPhase {
    Booting,
    DockerReady,
    Fetched,
    Loaded,
    Up,
    Ready,
    Failed,
}

impl BootPhase {
    /// What a boot that goes well passes, in order.
    pub const UP_TO_READY: [Self; 6] = [
        Self::Booting,
        Self::DockerReady,
        Self::Fetched,
        Self::Loaded,
        Self::Up,
        Self::Ready,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Booting => "booting",
            Self::DockerReady => "docker_ready",
            Self::Fetched => "fetched",
            Self::Loaded => "loaded",
            Self::Up => "up",
            Self::Ready => "ready",
            Self::Failed => "failed",
        }
    }
}

impl Observed {
    /// Our rule of that kind on the listener, found by its tags.
    pub fn our_rule(&self, deployment: &crate::identity::DeploymentId, kind: RuleKind) -> Option<&Rule> {
        let ours = crate::identity::LogicalId::Rule(kind);
        self.site.as_ref()?.rules.iter().find(|rule| {
            rule.owner
                .as_ref()
                .is_some_and(|o| o.deployment == *deployment && o.logical_id == ours)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_document_is_read_with_its_timeline_and_without() {
        let whole = r#"{"role":"monitor","instance":"i-1","phase":"docker_ready","at":"2026-11-21T10:00:00.123Z",
            "certificate_sha256":"ab","timeline":[{"phase":"booting","after_s":0.04},{"phase":"docker_ready","after_s":7.50},
            {"phase":"fetched","after_s":-1}],"fingerprint":{}}"#;
        let status: Status = serde_json::from_str(whole).unwrap();
        let after: Vec<u128> = status
            .timeline
            .iter()
            .map(|reached| reached.after.as_millis())
            .collect();
        assert_eq!(after, [40, 7500, 0]);
        assert_eq!(status.certificate_sha256.as_deref(), Some("ab"));
        let written = serde_json::to_value(&status).unwrap();
        assert_eq!(
            written["timeline"][1],
            serde_json::json!({"phase": "docker_ready", "after_s": 7.5})
        );

        let short: Status = serde_json::from_str(r#"{"phase":"up","at":"2026-11-21T10:00:00Z"}"#).unwrap();
        assert_eq!(
            short,
            Status::new(BootPhase::Up, "2026-11-21T10:00:00Z".parse().unwrap())
        );
    }
}
