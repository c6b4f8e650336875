//! One rule of a listener in plain words.

use arya_plan::identity::DeploymentId;
use arya_plan::listener::{Action, Condition, Forward, Rule, RuleId, Site};
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
        let actions: Vec<String> = rule
            .actions
            .iter()
            .map(|action| action_in_words(action, site))
            .collect();
        Self {
            id: rule.id.clone(),
            priority: rule.priority.to_string(),
            conditions: rule.conditions.clone(),
            when: when(&rule.conditions),
            then: actions.join(", then "),
            actions,
            groups: rule.forward().map(|forward| groups(forward, site)).unwrap_or_default(),
            deployment: rule.owner.as_ref().map(|owner| owner.deployment),
        }
    }
}

fn when(conditions: &[Condition]) -> String {
    if conditions.is_empty() {
        return "everything else".into();
    }
    conditions
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" and ")
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

fn action_in_words(action: &Action, site: &Site) -> String {
    let text = |verbatim: &serde_json::Value, key: &str| {
        verbatim
            .get(key)
            .and_then(|value| value.as_str())
            .unwrap_or("…")
            .to_owned()
    };
    match action {
        Action::Forward(forward) => forward_in_words(forward, site),
        Action::AuthenticateCognito { .. } => "ask for a login (Cognito)".into(),
        Action::AuthenticateOidc { .. } => "ask for a login (OIDC)".into(),
        Action::JwtValidation { .. } => "check the request's token (JWT)".into(),
        Action::Redirect { verbatim } => {
            format!(
                "redirect to {}://{}{}",
                text(verbatim, "Protocol"),
                text(verbatim, "Host"),
                text(verbatim, "Path")
            )
        }
        Action::FixedResponse { status, .. } => format!("answer {status} by itself"),
    }
}

fn forward_in_words(forward: &Forward, site: &Site) -> String {
    let groups = groups(forward, site);
    let words = match groups.as_slice() {
        [one] => one.name.clone(),
        several => {
            let each = several
                .iter()
                .map(|group| format!("{} ({} %)", group.name, group.share));
            each.collect::<Vec<_>>().join(", ")
        }
    };
    match forward.stickiness_s {
        Some(seconds) => format!("forward to {words}, each client staying for {seconds} s"),
        None => format!("forward to {words}"),
    }
}
