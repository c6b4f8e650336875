//! One rule of a listener in plain words.

use arya_plan::desired::PROBE_HEADER;
use arya_plan::identity::DeploymentId;
use arya_plan::listener::{Condition, Forward, Rule, RuleId, Site};
use arya_plan::preview::{actions_in_words, conditions_in_words};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RuleDocument {
    pub(crate) id: RuleId,
    /// A number, or `default`.
    pub(crate) priority: String,
    /// As AWS names them.
    pub(crate) conditions: Vec<Condition>,
    /// The conditions as one clause, e.g. `path is /api/*`.
    pub(crate) when: String,
    /// The actions as one clause, e.g. `forward to api-servers`.
    pub(crate) then: String,
    pub(crate) actions: Vec<String>,
    pub(crate) groups: Vec<RuleGroupDocument>,
    /// The deployment of Arya that made the rule; `None` = the user's own.
    pub(crate) deployment: Option<DeploymentId>,
}

/// A target group (a set of servers) that the rule forwards to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RuleGroupDocument {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) weight: u16,
    /// Percent of the rule's requests.
    pub(crate) share: f64,
    /// `None` when the group was not looked at.
    pub(crate) healthy: Option<u32>,
    pub(crate) registered: Option<u32>,
}

impl RuleDocument {
    pub(crate) fn of(rule: &Rule, site: &Site) -> Self {
        Self {
            id: rule.id.clone(),
            priority: rule.priority.to_string(),
            conditions: rule.conditions.iter().map(without_secret).collect(),
            when: conditions_in_words(&rule.conditions),
            then: actions_in_words(site, &rule.actions),
            actions: rule
                .actions
                .iter()
                .map(|action| actions_in_words(site, std::slice::from_ref(action)))
                .collect(),
            groups: rule.forward().map(|forward| groups(forward, site)).unwrap_or_default(),
            deployment: rule.owner.as_ref().map(|owner| owner.deployment),
        }
    }
}

/// Whoever may list rules need not see a deployment's canary.
fn without_secret(condition: &Condition) -> Condition {
    match condition {
        Condition::HttpHeader { name, .. } if name == PROBE_HEADER => Condition::HttpHeader {
            name: name.clone(),
            values: vec!["…".into()],
        },
        other => other.clone(),
    }
}

fn groups(forward: &Forward, site: &Site) -> Vec<RuleGroupDocument> {
    let total: f64 = forward.groups.iter().map(|g| f64::from(g.weight)).sum();
    let group = |weighted: &arya_plan::listener::WeightedGroup| {
        let known = site.groups.get(&weighted.group);
        let share = if total > 0.0 {
            100.0 * f64::from(weighted.weight) / total
        } else {
            0.0
        };
        RuleGroupDocument {
            id: weighted.group.to_string(),
            name: known.map_or_else(|| weighted.group.to_string(), |g| g.settings.name.clone()),
            weight: weighted.weight,
            share: (share * 1000.0).round() / 1000.0,
            healthy: known.map(|g| g.health.healthy),
            registered: known.map(|g| g.health.registered),
        }
    };
    forward.groups.iter().map(group).collect()
}
