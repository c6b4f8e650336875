//! What stands in the local cloud besides the load balancer: groups' owners, buckets, security groups, machines.
//!
//! Records and look-ups only, behind one lock that is never held across a wait. Starts and ends nothing.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use arya_judge::Timestamp;
use arya_plan::identity::{Arm, DeploymentId, LogicalId, Owner, Place, Role, SecurityGroupKind};
use arya_plan::listener::{GroupId, GroupSettings, RuleId};
use arya_plan::observed::{InstanceState, Status, Upload};
use arya_plan::spec::Digest;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::folder::Folder;
use super::process::Output;

/// Terminated instances are listed for a while, as EC2 does for about an hour; a minute is long enough for a page.
pub(super) const LISTED_AFTER_END: Duration = Duration::from_secs(60);
/// Launch tokens that are remembered, the oldest forgotten first: more than a day of demos launches.
const TOKENS_REMEMBERED: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct World {
    numbers: u64,
    /// How many groups production has had.
    pub(super) production_groups: u32,
    pub(super) groups: BTreeMap<GroupId, Group>,
    pub(super) buckets: BTreeMap<DeploymentId, Bucket>,
    pub(super) security_groups: Vec<Owner>,
    /// By id, in the order of their launches.
    pub(super) machines: BTreeMap<String, Machine>,
    /// Since when our rules stand; counts of a rule begin then.
    pub(super) rules_since: BTreeMap<RuleId, Timestamp>,
    tokens: VecDeque<String>,
}

/// What the balancer does not know of a target group.
#[derive(Debug)]
pub(super) struct Group {
    /// `None` = production's.
    pub(super) owner: Option<Owner>,
    pub(super) settings: GroupSettings,
    /// Who was registered under which id, also while it drains.
    pub(super) members: BTreeMap<String, (Place, u32)>,
}

#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) owner: Owner,
    pub(super) folder: Folder,
    pub(super) uploads: BTreeMap<Digest, Sending>,
    /// Copies that still write; the folder cannot go before they stop.
    pub(super) copies: TaskTracker,
}

#[derive(Debug)]
pub(super) struct Sending {
    pub(super) upload: Upload,
    pub(super) stop: CancellationToken,
}

/// One instance: a process on this machine, or the embedded monitor.
#[derive(Debug)]
pub(super) struct Machine {
    /// `None` = production's.
    pub(super) owner: Option<Owner>,
    pub(super) state: InstanceState,
    pub(super) address: Option<SocketAddr>,
    pub(super) report: Option<Status>,
    /// The tag of its image, for labels.
    pub(super) version: Option<String>,
    /// What its process printed; nothing where it has none.
    pub(super) output: Output,
    pub(super) ended: Option<Instant>,
    pub(super) stop: CancellationToken,
    pub(super) orders: mpsc::Sender<Order>,
}

/// What a running machine may be asked from outside.
#[derive(Debug)]
pub(super) enum Order {
    /// A line for the app's control channel.
    Tell(String),
    /// The app dies as if by itself.
    Die,
}

impl Machine {
    pub(super) fn place(&self) -> Option<(Place, u32)> {
        let owner = self.owner.as_ref()?;
        match owner.logical_id {
            LogicalId::Instance(place) => Some((place, owner.incarnation)),
            LogicalId::Bucket | LogicalId::SecurityGroup(_) | LogicalId::TargetGroup(_) | LogicalId::Rule(_) => None,
        }
    }

    pub(super) fn is_of(&self, deployment: &DeploymentId) -> bool {
        self.owner.as_ref().is_some_and(|owner| owner.deployment == *deployment)
    }
}

impl World {
    /// A name that was never given before in this world, e.g. `local:i-0007`.
    pub(super) fn new_name(&mut self, kind: &str) -> String {
        self.numbers += 1;
        format!("local:{kind}-{:04}", self.numbers)
    }

    /// Takes a launch token; `false` where it was taken before, dead or alive.
    pub(super) fn take_token(&mut self, token: String) -> bool {
        if self.tokens.contains(&token) {
            return false;
        }
        if self.tokens.len() >= TOKENS_REMEMBERED {
            self.tokens.pop_front();
        }
        self.tokens.push_back(token);
        true
    }

    /// Machines that ended long ago are not listed any more.
    pub(super) fn forget_ended(&mut self) {
        self.machines
            .retain(|_, machine| machine.ended.is_none_or(|ended| ended.elapsed() < LISTED_AFTER_END));
    }

    pub(super) fn machines_of(&self, deployment: &DeploymentId) -> impl Iterator<Item = (&String, &Machine)> {
        self.machines.iter().filter(|(_, machine)| machine.is_of(deployment))
    }

    pub(super) fn machine_at(
        &self,
        deployment: &DeploymentId,
        place: Place,
        incarnation: u32,
    ) -> Option<(&String, &Machine)> {
        self.machines_of(deployment)
            .find(|(_, machine)| machine.place() == Some((place, incarnation)))
    }

    pub(super) fn group_of(&self, deployment: &DeploymentId, arm: Arm) -> Option<(&GroupId, &Group)> {
        let ours = LogicalId::TargetGroup(arm);
        let is_it = |owner: &Owner| owner.deployment == *deployment && owner.logical_id == ours;
        self.groups
            .iter()
            .find(|(_, group)| group.owner.as_ref().is_some_and(is_it))
    }

    pub(super) fn security_groups_of(&self, deployment: &DeploymentId) -> Vec<SecurityGroupKind> {
        let kinds = self
            .security_groups
            .iter()
            .filter(|owner| owner.deployment == *deployment);
        kinds
            .filter_map(|owner| match owner.logical_id {
                LogicalId::SecurityGroup(kind) => Some(kind),
                LogicalId::Bucket | LogicalId::TargetGroup(_) | LogicalId::Instance(_) | LogicalId::Rule(_) => None,
            })
            .collect()
    }

    /// Every tagged thing that still stands, rules apart: the balancer has those.
    pub(super) fn owners(&self) -> impl Iterator<Item = &Owner> {
        let living = self
            .machines
            .values()
            .filter(|machine| machine.state != InstanceState::Terminated);
        let buckets = self.buckets.values().map(|bucket| &bucket.owner);
        let groups = self.groups.values().filter_map(|group| group.owner.as_ref());
        buckets
            .chain(&self.security_groups)
            .chain(groups)
            .chain(living.filter_map(|machine| machine.owner.as_ref()))
    }
}

/// Which security group an instance lives in.
pub(super) const fn security_group_of(role: Role) -> SecurityGroupKind {
    match role {
        Role::Baseline | Role::Canary => SecurityGroupKind::App,
        Role::Monitor => SecurityGroupKind::Monitor,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_never_given_twice() {
        let mut world = World::default();
        assert_eq!(
            (world.new_name("i"), world.new_name("rule")),
            ("local:i-0001".into(), "local:rule-0002".into())
        );
    }

    #[test]
    fn a_token_is_taken_once_and_the_memory_of_tokens_is_bounded() {
        let mut world = World::default();
        assert!(world.take_token("first".into()));
        assert!(!world.take_token("first".into()));
        for i in 0..TOKENS_REMEMBERED {
            assert!(world.take_token(i.to_string()));
        }
        assert_eq!(world.tokens.len(), TOKENS_REMEMBERED);
        assert!(!world.take_token("7".into()));
    }
}
