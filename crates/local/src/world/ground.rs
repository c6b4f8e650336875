//! Ground to build on: a listener as many people have one, and a deployment in front of its default rule.

use std::collections::BTreeMap;

use arya_judge::Timestamp;
use arya_plan::desired::{Desired, OurGroupSettings, Placement, ProbeSecret};
use arya_plan::identity::{DeploymentId, InstallationId};
use arya_plan::listener::compose::{in_front_of, site_digest, slots_before};
use arya_plan::listener::{
    Action, Condition, Forward, GroupHealth, GroupId, GroupSettings, ListenerId, LoadBalancerId, Priority, Protocol,
    Rule, RuleId, Site, SiteGroup, TargetStickiness, TargetType, WeightedGroup,
};
use arya_plan::problem::Problem;
use arya_plan::spec::Spec;
use serde_json::{Value, json};
use uuid::Uuid;

/// The name of production's group.
pub const PRODUCTION: &str = "production";

/// A listener with a rule for images and a default rule, both production's, with two healthy targets.
pub fn site() -> Site {
    let forward = || {
        vec![Action::Forward(Forward {
            groups: vec![WeightedGroup {
                group: GroupId::new(PRODUCTION),
                weight: 1,
            }],
            stickiness_s: None,
        })]
    };
    let rule = |id: &str, priority, conditions| Rule {
        id: RuleId::new(id),
        priority,
        conditions,
        actions: forward(),
        transforms: vec![],
        owner: None,
    };
    let images = Condition::PathPattern {
        values: vec!["/images/*".into()],
    };
    let group = SiteGroup {
        settings: production_group(PRODUCTION),
        health: GroupHealth {
            registered: 2,
            healthy: 2,
        },
    };
    Site {
        listener: ListenerId::new("web"),
        load_balancer: LoadBalancerId::new("shop"),
        load_balancer_name: "shop".into(),
        address: "http://shop.example".into(),
        port: 80,
        rules: vec![
            rule("images", Priority::At(20), vec![images]),
            rule("default", Priority::Default, vec![]),
        ],
        groups: BTreeMap::from([(GroupId::new(PRODUCTION), group)]),
    }
}

pub(super) fn production_group(name: &str) -> GroupSettings {
    GroupSettings {
        name: name.into(),
        target_type: TargetType::Instance,
        protocol: Protocol::Http,
        port: 80,
        deregistration_delay_s: 4,
        stickiness: TargetStickiness::Off,
    }
}

/// A spec with the required keys; `more` is laid over it, key by key.
///
/// # Panics
/// When `more` makes it a wrong one.
pub fn spec(more: &Value) -> Spec {
    let digest = |digit: &str| format!("sha256:{}", digit.repeat(64));
    let mut document = json!({
        "name": "emr-next",
        "listener": "web",
        "app": {"port": 8080, "health_check_path": "/health"},
        "baseline": {"image": digest("a"), "compose": digest("c")},
        "canary": {"image": digest("b"), "compose": digest("c")},
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        document[key] = value.clone();
    }
    Spec::parse(&document).expect("the caller asks for a spec that parses")
}

/// A deployment of a spec in front of the listener's rule `chosen`, as the plan page would store it.
///
/// # Errors
/// When the rule cannot take a canary; the problems say why.
pub fn desired(
    number: u64,
    installation: InstallationId,
    spec: Spec,
    site: &Site,
    chosen: &RuleId,
    at: Timestamp,
) -> Result<Desired, Vec<Problem>> {
    let chosen = site.rule(chosen).expect("the caller names a rule of the site");
    let composed = in_front_of(chosen, &spec.conditions)?;
    let production = chosen.forward().map(|forward| forward.groups.clone());
    let placement = Placement {
        chosen: chosen.id.clone(),
        slots: slots_before(site, chosen).map_err(|problem| vec![problem])?,
        site_digest: site_digest(site, chosen, &composed),
        composed,
        production: production.unwrap_or_default(),
        group: OurGroupSettings {
            protocol: Protocol::Http,
            port: spec.app.port,
            health_check_path: spec.app.health_check_path.clone(),
            deregistration_delay_s: 4,
        },
        probe_secret: ProbeSecret::new("only-for-probes"),
    };
    // In the bits that short names are made of.
    let id = DeploymentId::new(Uuid::from_u128(u128::from(number) << 78));
    Ok(Desired::begun(id, installation, spec, placement, at))
}
