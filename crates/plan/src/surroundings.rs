//! What an adapter found around a listener: rights, credentials, network. Facts only; what speaks against a plan is made of
//! them in [`crate::preview`].

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use arya_judge::Timestamp;
use serde::{Deserialize, Serialize};

use crate::listener::{GroupId, ListenerId, Priority};

/// Facts that a plan in front of one rule needs. Empty in a world that has none of this.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Surroundings {
    pub rights: Rights,
    pub tenure: Tenure,
    /// When URLs that are signed now are worth nothing any more: they die with the session that signed them, although the next
    /// one follows by itself. `None` = they hold as long as they say.
    pub urls_end: Option<Timestamp>,
    /// The addresses by which whoever asks monitors knows itself; it may come out by others. `None` = nobody asks over a
    /// network.
    pub asked_from: Option<BTreeSet<IpAddr>>,
    /// The subnets that our instances would stand in.
    pub subnets: Vec<Subnet>,
    /// How production's own instances reach the world; empty where it has none that can be seen.
    pub production_leaves_by: BTreeSet<WayOut>,
    /// Instance types of the plan whose processor is lent out by credits.
    pub burstable: BTreeSet<String>,
    /// Production's groups whose instances a scaling group adds and removes, with the scaling group's name.
    pub scaled: BTreeMap<GroupId, String>,
    /// Production's groups that lose targets just now, with how many.
    pub shrinking: BTreeMap<GroupId, usize>,
    /// The controller that owns listener or rule by their tags.
    pub controller: Option<String>,
    /// Tags of the plan's instances that production's have with the same value, by name.
    pub productions_tags: BTreeSet<String>,
    /// Tags that all of production's instances have and the plan's do not, since there may be no more of them; by name.
    pub tags_left_out: BTreeSet<String>,
    /// What production's groups got lately.
    pub traffic: Traffic,
    /// Signs of a network of caches in front of the load balancer.
    pub caches: BTreeSet<String>,
    /// What allows instances to be given the profile of the spec.
    pub pass_role: Option<serde_json::Value>,
    /// The load balancer's own groups let nothing out to the app's port.
    pub balancer_is_shut_in: bool,
}

/// What the identity may do, as far as it can be known before it is tried.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rights {
    pub missing: Vec<MissingRight>,
    /// Actions that can only be known by doing them.
    pub unknown: Vec<String>,
}

/// An action that was refused when it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingRight {
    /// As the cloud spells it, e.g. `ec2:RunInstances`.
    pub action: String,
    /// What it is for; follows "could not".
    pub words: String,
    /// The statement that allows it, for a policy.
    pub statement: serde_json::Value,
}

/// How long the credentials hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tenure {
    /// They do not end, or renew by themselves.
    #[default]
    Lasting,
    Ends {
        at: Timestamp,
    },
    /// They are a session's, and do not say when it ends.
    Session,
}

impl Tenure {
    pub const fn end(self) -> Option<Timestamp> {
        match self {
            Self::Ends { at } => Some(at),
            Self::Lasting | Self::Session => None,
        }
    }
}

/// A subnet as far as a canary cares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subnet {
    pub id: String,
    pub zone: String,
    pub network: String,
    /// The load balancer has nodes in its zone.
    pub zone_is_served: bool,
    /// The load balancer stands in its network.
    pub is_in_network: bool,
    pub way_out: WayOut,
}

/// How packets leave a subnet for the world.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum WayOut {
    /// Each instance by an address of its own.
    Own,
    /// All by the same addresses, which partners may know; by the gateway's name.
    Shared(String),
    /// By a route whose end cannot be seen from here.
    Elsewhere(String),
    Nowhere,
}

/// Requests that reached production's groups lately, as the load balancer counted them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Traffic {
    /// Nobody was asked.
    #[default]
    Unasked,
    /// Nobody told; why, as a part of a sentence.
    Untold { why: String },
    /// By all ways together; why not by each, as a part of a sentence.
    Together {
        requests: u64,
        span: Span,
        why_not_by_way: String,
    },
    /// By listener and rule, as clients' requests were logged.
    ByWay {
        requests: BTreeMap<(ListenerId, Priority), u64>,
        span: Span,
    },
}

/// When they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Above 0.
    pub seconds: u32,
    pub until: Timestamp,
}

impl Span {
    /// So many requests, by the second.
    pub fn rate(&self, requests: u64) -> f64 {
        // Counts of an hour lie far below the 2^53 up to which a double is exact.
        requests as f64 / f64::from(self.seconds.max(1))
    }
}
