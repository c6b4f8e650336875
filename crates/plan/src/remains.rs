//! What is left of a deployment that nobody remembers: its tags say whose it is, and that is enough to take it away.
//!
//! The listener with our rule is found by the rule; everything else of a desired state is for building, and nothing is
//! built any more.

use std::collections::{BTreeMap, BTreeSet};

use arya_judge::Timestamp;

use crate::desired::{Desired, Goal, MainRule, OurGroupSettings, Placement, ProbeSecret};
use crate::identity::{DeploymentId, InstallationId, LogicalId};
use crate::listener::compose::{Composed, Slots};
use crate::listener::shares::CanaryPercent;
use crate::listener::{ListenerId, Protocol, RuleId};
use crate::spec::{Analysis, App, Digest, InFrontOf, Instances, Monitor, Services, Spec, Version, WarmUp};

/// Ours have at most production's delay, and that is capped at this (seconds). Which it was is not known any more, so
/// targets are waited for as long as any deployment waits.
const DRAINS_AT_MOST_S: u32 = 120;

/// What a listing of everything shows of the rules that send users to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RulesShown {
    #[default]
    All,
    /// Some listener's were not: who has none here may have one there.
    NotAll,
}

/// Whether what stands of a deployment may be offered for removal, by the places that were found filled. Nothing is taken
/// from under users who may still be sent to it. Both rules of a deployment stand on one listener, so that who shows one
/// shows the other.
pub fn may_be_removed(places: &BTreeSet<LogicalId>, rules: RulesShown) -> bool {
    match rules {
        RulesShown::All => true,
        RulesShown::NotAll => places.iter().any(|place| matches!(place, LogicalId::Rule(_))),
    }
}

/// The desired state that takes everything of a deployment away.
///
/// `connection` is where its tags were found, `listener` where its rules stand, or any other one where it has none.
pub fn remains(
    id: DeploymentId,
    installation: InstallationId,
    connection: &str,
    listener: ListenerId,
    now: Timestamp,
) -> Desired {
    let placement = Placement {
        // Unlike any other, so that two of them are never taken for neighbours.
        chosen: RuleId::new(format!("unknown-{}", id.short())),
        composed: Composed {
            conditions: vec![],
            logins: vec![],
            transforms: vec![],
        },
        slots: Slots { probe: 0, main: 0 },
        site_digest: String::new(),
        production: vec![],
        group: OurGroupSettings {
            protocol: Protocol::Http,
            port: 1,
            health_check_path: "/".into(),
            deregistration_delay_s: DRAINS_AT_MOST_S,
        },
        probe_secret: ProbeSecret::new(""),
    };
    let spec = unknown_spec(id, connection, listener);
    Desired {
        goal: Goal::Absent,
        main_rule: MainRule::Away,
        expires_at: now,
        ..Desired::begun(id, installation, spec, placement, now)
    }
}

fn unknown_spec(id: DeploymentId, connection: &str, listener: ListenerId) -> Spec {
    let nothing = Digest::of(&[]);
    let version = Version {
        image: nothing.clone(),
        compose: nothing,
        env_file: None,
        env_from: vec![],
        files: BTreeMap::new(),
        services: Services::default(),
    };
    Spec {
        name: format!("remains-{}", id.short()),
        connection: connection.into(),
        listener,
        in_front_of: InFrontOf::Default,
        conditions: vec![],
        canary_percent: CanaryPercent::new(0.0).expect("0 lies between 0 and 50"),
        stickiness_s: 0,
        app: App {
            port: 1,
            protocol: Protocol::Http,
            health_check_path: "/".into(),
            warm_up: WarmUp::default(),
            version_path: None,
        },
        baseline: version.clone(),
        canary: version,
        instances: Instances::default(),
        monitor: Monitor::default(),
        exporters: vec![],
        analysis: Analysis::default(),
        lifetime_h: 0.0,
        acknowledged: vec![],
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::identity::RuleKind;
    use crate::observed::Observed;
    use crate::plan::{Step, plan};
    use crate::seen::Seen;
    use crate::timing::Timing;

    fn of_nobody() -> Desired {
        remains(
            DeploymentId::new(Uuid::from_u128(1)),
            InstallationId::new(Uuid::from_u128(2)),
            "default",
            ListenerId::new("listener"),
            Timestamp::UNIX_EPOCH,
        )
    }

    #[test]
    fn tags_are_enough_to_take_the_bucket_away() {
        let desired = of_nobody();
        let world = Observed {
            bucket: true,
            ..Observed::nothing(Timestamp::UNIX_EPOCH)
        };
        let mut seen = Seen::default();
        seen.look(&desired, &world);
        let steps = plan(&desired, &world, &seen, &Timing::TRY).steps;
        assert_eq!(steps, [Step::DeleteBucket]);
    }

    #[test]
    fn nothing_is_offered_for_removal_to_which_users_may_be_sent_unseen() {
        let rule = LogicalId::Rule(RuleKind::Main);
        let unruled = BTreeSet::from([LogicalId::Bucket]);
        let ruled = BTreeSet::from([LogicalId::Bucket, rule]);
        let offered = |shown| [&unruled, &ruled].map(|places| may_be_removed(places, shown));
        assert_eq!(offered(RulesShown::All), [true, true]);
        assert_eq!(offered(RulesShown::NotAll), [false, true]);
    }

    #[test]
    fn where_nothing_is_left_nothing_is_done() {
        let desired = of_nobody();
        let world = Observed::nothing(Timestamp::UNIX_EPOCH);
        let mut seen = Seen::default();
        seen.look(&desired, &world);
        assert_eq!(plan(&desired, &world, &seen, &Timing::TRY).steps, []);
    }
}
