//! A listener as AWS describes it, and its semantics as pure functions: which rule a request matches, what our rule in
//! front of another must look like, which weights give a share. Used by the planner, by the local balancer, and by the
//! page's "will this request match?".

pub mod compose;
pub mod matching;
pub mod pattern;
pub mod shares;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::{Hash, Hasher};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::desired::PROBE_HEADER;
use crate::identity::Owner;

/// AWS's limits (not adjustable unless said): Elastic Load Balancing user guide, "Quotas for your Application Load Balancers".
pub mod limits {
    pub const PRIORITY_MAX: u16 = 50_000;
    pub const WEIGHT_MAX: u16 = 999;
    pub const GROUPS_PER_ACTION: usize = 5;
    pub const GROUPS_PER_LOAD_BALANCER: usize = 100;
    /// Adjustable in AWS; default rules do not count.
    pub const RULES_PER_LOAD_BALANCER: usize = 100;
    pub const VALUES_PER_RULE: usize = 5;
    pub const VALUES_PER_CONDITION: usize = 3;
    pub const WILDCARDS_PER_RULE: usize = 5;
    pub const VALUE_LENGTH: usize = 128;
    pub const HEADER_NAME_LENGTH: usize = 40;
    pub const METHOD_LENGTH: usize = 40;
    pub const STICKINESS_MAX_S: u32 = 604_800;
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            pub fn new(id: impl Into<String>) -> Self {
                Self(id.into())
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// An ARN, or a local name. Its format is the adapter's business.
    ListenerId
);
text_id!(
    /// An ARN, or a local name.
    RuleId
);
text_id!(
    /// An ARN of a target group, or a local name.
    GroupId
);
text_id!(
    /// An ARN of a load balancer, or a local name.
    LoadBalancerId
);

/// Where a rule stands. Lower numbers are looked at first; the default rule last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// 1 to 50,000, unique in the listener.
    At(u16),
    Default,
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(number) => number.fmt(f),
            Self::Default => f.write_str("default"),
        }
    }
}

/// One condition of a rule; its values are ORed, conditions are ANDed. AWS's field names.
///
/// Patterns: `*` stands for any number of characters, `?` for exactly one. Paths are case-sensitive; hosts, header values
/// and query strings are not.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "field", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Condition {
    PathPattern { values: Vec<String> },
    HostHeader { values: Vec<String> },
    HttpHeader { name: String, values: Vec<String> },
    HttpRequestMethod { values: Vec<String> },
    QueryString { values: Vec<QueryValue> },
    SourceIp { values: Vec<IpNet> },
}

impl Condition {
    pub const fn field(&self) -> &'static str {
        match self {
            Self::PathPattern { .. } => "path-pattern",
            Self::HostHeader { .. } => "host-header",
            Self::HttpHeader { .. } => "http-header",
            Self::HttpRequestMethod { .. } => "http-request-method",
            Self::QueryString { .. } => "query-string",
            Self::SourceIp { .. } => "source-ip",
        }
    }

    pub const fn value_count(&self) -> usize {
        match self {
            Self::PathPattern { values }
            | Self::HostHeader { values }
            | Self::HttpHeader { values, .. }
            | Self::HttpRequestMethod { values } => values.len(),
            Self::QueryString { values } => values.len(),
            Self::SourceIp { values } => values.len(),
        }
    }
}

/// Without the value by which probes are let in, which logs and reports of errors must not have.
impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HttpHeader { name, .. } if name == PROBE_HEADER => {
                write!(f, "Condition(header {name} is the secret)")
            }
            other => write!(f, "Condition({other})"),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PathPattern { values } => write!(f, "path is {}", values.join(" or ")),
            Self::HostHeader { values } => write!(f, "host is {}", values.join(" or ")),
            Self::HttpHeader { name, values } => write!(f, "header {name} is {}", values.join(" or ")),
            Self::HttpRequestMethod { values } => write!(f, "method is {}", values.join(" or ")),
            Self::QueryString { values } => {
                let values: Vec<_> = values.iter().map(ToString::to_string).collect();
                write!(f, "query string has {}", values.join(" or "))
            }
            Self::SourceIp { values } => {
                let values: Vec<_> = values.iter().map(ToString::to_string).collect();
                write!(f, "source IP is in {}", values.join(" or "))
            }
        }
    }
}

/// A pair of the query string; without a key any value of the string may match.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueryValue {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    pub value: String,
}

impl fmt::Display for QueryValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Some(key) => write!(f, "{key}={}", self.value),
            None => f.write_str(&self.value),
        }
    }
}

/// A target group with its weight (0 to 999) in a forward action; shares are weight ÷ sum.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct WeightedGroup {
    pub group: GroupId,
    pub weight: u16,
}

/// What a rule does with a request. Several may stand in a row; the last one answers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Action {
    Forward(Forward),
    /// Kept verbatim, and carried over verbatim.
    AuthenticateCognito {
        verbatim: Value,
    },
    /// Never carried over: AWS does not hand out the client secret that a new rule needs.
    AuthenticateOidc {
        verbatim: Value,
    },
    JwtValidation {
        verbatim: Value,
    },
    Redirect {
        verbatim: Value,
    },
    FixedResponse {
        status: u16,
        content_type: String,
        body: String,
    },
}

/// Forward to one to five groups by weight. Their order says nothing, and a listing may have another than was written.
#[derive(Debug, Clone, Eq, Serialize, Deserialize)]
pub struct Forward {
    pub groups: Vec<WeightedGroup>,
    /// How long a client stays with its group, in seconds (1 to 604,800); `None` = every request is drawn anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stickiness_s: Option<u32>,
}

impl Forward {
    fn in_any_order(&self) -> BTreeSet<(&GroupId, u16)> {
        self.groups.iter().map(|one| (&one.group, one.weight)).collect()
    }
}

impl PartialEq for Forward {
    fn eq(&self, other: &Self) -> bool {
        self.stickiness_s == other.stickiness_s
            && self.groups.len() == other.groups.len()
            && self.in_any_order() == other.in_any_order()
    }
}

impl Hash for Forward {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.stickiness_s, self.in_any_order()).hash(state);
    }
}

/// The groups that rules forward to, also with weight 0.
pub fn named_groups(rules: &[Rule]) -> BTreeSet<GroupId> {
    let forwards = rules.iter().filter_map(Rule::forward);
    forwards
        .flat_map(|forward| &forward.groups)
        .map(|weighted| weighted.group.clone())
        .collect()
}

/// Whether the same is asked of a request; all conditions must hold, in whatever order they are listed.
pub fn same_conditions(one: &[Condition], other: &[Condition]) -> bool {
    one.len() == other.len() && one.iter().all(|condition| other.contains(condition))
}

/// One rule of a listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    pub id: RuleId,
    pub priority: Priority,
    pub conditions: Vec<Condition>,
    pub actions: Vec<Action>,
    /// Host and URL rewrites, kept verbatim.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transforms: Vec<Value>,
    /// Our tags, where the rule carries them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
}

impl Rule {
    /// The forward action that answers, if the rule ends in one.
    pub fn forward(&self) -> Option<&Forward> {
        match self.actions.last() {
            Some(Action::Forward(forward)) => Some(forward),
            Some(
                Action::AuthenticateCognito { .. }
                | Action::AuthenticateOidc { .. }
                | Action::JwtValidation { .. }
                | Action::Redirect { .. }
                | Action::FixedResponse { .. },
            )
            | None => None,
        }
    }
}

/// What a target group accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TargetType {
    Instance,
    Ip,
    Lambda,
}

/// How targets are spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    Http,
    Https,
    Grpc,
}

/// A target's own cookie, as the group's attributes have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetStickiness {
    Off,
    LoadBalancerCookie,
    /// Does not work with weighted target groups.
    AppCookie,
}

/// The part of a target group that decides how traffic is treated. Covered by the site digest; never health or membership.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupSettings {
    pub name: String,
    pub target_type: TargetType,
    pub protocol: Protocol,
    pub port: u16,
    pub deregistration_delay_s: u32,
    pub stickiness: TargetStickiness,
}

/// How many targets of a group can answer right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct GroupHealth {
    pub registered: u32,
    pub healthy: u32,
}

/// A target group of the user's, as seen on a listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteGroup {
    pub settings: GroupSettings,
    pub health: GroupHealth,
}

/// One listener of the user's with everything on it: read, digested, never written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    pub listener: ListenerId,
    pub load_balancer: LoadBalancerId,
    pub load_balancer_name: String,
    /// Where users reach it, e.g. `http://shop-123.eu-west-1.elb.amazonaws.com`.
    pub address: String,
    pub port: u16,
    /// In the order in which they are looked at, the default rule last; ours are marked by their owner.
    pub rules: Vec<Rule>,
    /// Every group that a rule names.
    pub groups: BTreeMap<GroupId, SiteGroup>,
}

impl Site {
    pub fn rule(&self, id: &RuleId) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.id == *id)
    }

    pub fn default_rule(&self) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.priority == Priority::Default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forward(groups: &[(&str, u16)]) -> Forward {
        let weighted = |(id, weight): &(&str, u16)| WeightedGroup {
            group: GroupId::new(*id),
            weight: *weight,
        };
        Forward {
            groups: groups.iter().map(weighted).collect(),
            stickiness_s: None,
        }
    }

    #[test]
    fn the_order_of_groups_says_nothing_and_their_weights_do() {
        let written = forward(&[("production", 90), ("baseline", 5), ("canary", 5)]);
        assert_eq!(written, forward(&[("canary", 5), ("production", 90), ("baseline", 5)]));
        assert_ne!(written, forward(&[("production", 5), ("baseline", 90), ("canary", 5)]));
        assert_ne!(written, forward(&[("production", 90), ("baseline", 5)]));
        let sticky = Forward {
            stickiness_s: Some(60),
            ..written.clone()
        };
        assert_ne!(written, sticky);
    }

    #[test]
    fn the_secret_of_probes_is_not_debugged() {
        let condition = |name: &str| Condition::HttpHeader {
            name: name.into(),
            values: vec!["s3cret".into()],
        };
        assert!(!format!("{:?}", [condition(PROBE_HEADER)]).contains("s3cret"));
        assert_eq!(
            format!("{:?}", condition("X-Tenant")),
            "Condition(header X-Tenant is s3cret)"
        );
    }

    #[test]
    fn the_order_of_conditions_says_nothing() {
        let path = |value: &str| Condition::PathPattern {
            values: vec![value.into()],
        };
        let both = [path("/a"), path("/b")];
        assert!(same_conditions(&both, &[path("/b"), path("/a")]));
        assert!(!same_conditions(&both, &both[..1]));
        assert!(!same_conditions(&both[..1], &both[1..]));
    }
}
