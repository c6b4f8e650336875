//! What stands in a world: plain data, cheap to clone.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use arya_judge::Timestamp;
use arya_plan::desired::Desired;
use arya_plan::identity::{Arm, DeploymentId, LogicalId, Owner, Place, RuleKind, SecurityGroupKind};
use arya_plan::listener::{GroupId, GroupSettings, Rule, Site, named_groups};
use arya_plan::observed::{BootPhase, InstanceState, Upload};
use arya_plan::spec::Digest;

use super::calls::Calls;
use super::journal::Entry;
use super::looking::{Frozen, Stale};
use super::settings::Settings;
use crate::balancer::alb::{GroupUse, Health};

/// A world at one moment.
#[derive(Debug, Clone)]
pub struct State {
    pub(super) settings: Arc<Settings>,
    /// How long the world has existed. All points in time below are of this clock.
    pub(super) age: Duration,
    pub(super) numbers: u32,
    pub(super) calls: Calls,
    /// The listener without its rules and groups; `None` = it was deleted.
    pub(super) listener: Option<Arc<Site>>,
    pub(super) rules: Arc<Vec<Rule>>,
    /// The groups that rules name.
    pub(super) named: Arc<BTreeSet<GroupId>>,
    /// Rules that slow nodes still have, the oldest first, each with the end of that.
    pub(super) earlier_rules: Vec<(Duration, Arc<Vec<Rule>>)>,
    pub(super) groups: BTreeMap<GroupId, Group>,
    /// In the order of their launches.
    pub(super) machines: Vec<Machine>,
    pub(super) buckets: Vec<Bucket>,
    pub(super) security_groups: Vec<Owner>,
    /// Every launch token that was used, with the digest of its parameters.
    pub(super) tokens: BTreeMap<String, u64>,
    pub(super) stale: Vec<Stale>,
    pub(super) frozen: Option<Frozen>,
    pub(super) journal: Vec<Entry>,
    pub(super) measures: super::evidence::Measures,
}

/// A target group.
#[derive(Debug, Clone)]
pub(super) struct Group {
    /// `None` = production's.
    pub(super) owner: Option<Owner>,
    pub(super) settings: Arc<GroupSettings>,
    pub(super) members: Vec<Member>,
}

/// An instance in a group.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) machine: String,
    /// `None` = production's.
    pub(super) place: Option<(Place, u32)>,
    pub(super) health: Health,
    /// The next health check, or the end of its draining.
    pub(super) next: Option<Duration>,
}

/// An instance.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    pub(super) id: String,
    /// `None` = production's.
    pub(super) owner: Option<Owner>,
    pub(super) state: InstanceState,
    /// When it moves on by itself.
    pub(super) next: Option<Duration>,
    pub(super) address: SocketAddr,
    pub(super) boot: Boot,
    pub(super) phase: Option<BootPhase>,
    /// The status documents that it wrote, and when.
    pub(super) reports: Vec<(Duration, BootPhase)>,
    pub(super) app: App,
    /// What it fetches before it goes on.
    pub(super) files: Arc<[Digest]>,
}

/// How a boot goes on from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Boot {
    Goes,
    Hangs,
}

/// How an app that runs answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum App {
    Well,
    Sick,
}

/// A bucket with what was sent into it.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    pub(super) owner: Owner,
    pub(super) uploads: BTreeMap<Digest, Sending>,
}

/// An upload.
#[derive(Debug, Clone)]
pub(super) struct Sending {
    pub(super) begun: Duration,
    /// `None` = it stands still, or is over.
    pub(super) done: Option<Duration>,
    pub(super) upload: Upload,
}

impl Machine {
    pub(super) fn place(&self) -> Option<(Place, u32)> {
        let owner = self.owner.as_ref()?;
        match owner.logical_id {
            LogicalId::Instance(place) => Some((place, owner.incarnation)),
            LogicalId::Bucket | LogicalId::SecurityGroup(_) | LogicalId::TargetGroup(_) | LogicalId::Rule(_) => None,
        }
    }

    /// Whether a request to it is answered well.
    pub(super) fn answers(&self) -> bool {
        let up = matches!(self.phase, Some(BootPhase::Up | BootPhase::Ready));
        self.state == InstanceState::Running && up && self.app == App::Well
    }
}

impl State {
    /// A member of a group as registration leaves it.
    pub(super) fn new_member(&self, group: &GroupId, machine: &str, place: Option<(Place, u32)>) -> Member {
        let used = self.use_of(group);
        let health = Health::registered(used);
        let next = (used == GroupUse::Named).then(|| self.age + self.settings.pace.first_check);
        Member {
            machine: machine.to_owned(),
            place,
            health,
            next,
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.moment(self.age)
    }

    /// A point of the world's age as a time of day.
    pub(super) fn moment(&self, age: Duration) -> Timestamp {
        self.settings.start.checked_add(age).unwrap_or(Timestamp::MAX)
    }

    /// A name that was never given before in this world.
    pub(super) fn new_name(&mut self, kind: &str) -> String {
        self.numbers += 1;
        format!("world:{kind}-{:04}", self.numbers)
    }

    pub(super) fn new_address(&self) -> SocketAddr {
        let [.., high, low] = self.numbers.to_be_bytes();
        SocketAddr::from((Ipv4Addr::new(10, 0, high, low), 8080))
    }

    pub(super) fn rules(&self) -> &Arc<Vec<Rule>> {
        &self.rules
    }

    pub(super) fn named(&self) -> &BTreeSet<GroupId> {
        &self.named
    }

    /// Puts other rules on the listener, and begins or ends the health checks that follow from them.
    pub(super) fn set_rules(&mut self, mut rules: Vec<Rule>) {
        rules.sort_by_key(|rule| rule.priority);
        let spread = self.settings.pace.rule_spread;
        let (age, first_check) = (self.age, self.settings.pace.first_check);
        self.earlier_rules.retain(|(until, _)| *until > age);
        if !spread.is_zero() {
            self.earlier_rules.push((age + spread, Arc::clone(&self.rules)));
        }
        self.rules = Arc::new(rules);
        self.named = Arc::new(named_groups(&self.rules));
        for (id, group) in &mut self.groups {
            let used = if self.named.contains(id) {
                GroupUse::Named
            } else {
                GroupUse::Unnamed
            };
            for member in &mut group.members {
                let before = member.health.clone();
                member.health = before.clone().after_use(used);
                if member.health != before {
                    member.next = (used == GroupUse::Named).then_some(age + first_check);
                }
            }
        }
    }

    pub(super) fn use_of(&self, group: &GroupId) -> GroupUse {
        if self.named.contains(group) {
            GroupUse::Named
        } else {
            GroupUse::Unnamed
        }
    }

    /// Our group for an arm, by its tags.
    pub(super) fn group_of(&self, deployment: &DeploymentId, arm: Arm) -> Option<(&GroupId, &Group)> {
        self.groups
            .iter()
            .find(|(_, group)| is(group.owner.as_ref(), deployment, LogicalId::TargetGroup(arm)))
    }

    pub(super) fn rule_of(&self, deployment: &DeploymentId, kind: RuleKind) -> Option<&Rule> {
        self.rules
            .iter()
            .find(|rule| is(rule.owner.as_ref(), deployment, LogicalId::Rule(kind)))
    }

    pub(super) fn bucket_of(&self, deployment: &DeploymentId) -> Option<&Bucket> {
        self.buckets
            .iter()
            .find(|bucket| bucket.owner.deployment == *deployment)
    }

    pub(super) fn bucket_mut(&mut self, deployment: &DeploymentId) -> Option<&mut Bucket> {
        self.buckets
            .iter_mut()
            .find(|bucket| bucket.owner.deployment == *deployment)
    }

    pub(super) fn security_groups_of(&self, deployment: &DeploymentId) -> impl Iterator<Item = SecurityGroupKind> {
        let ours = self.security_groups.iter().filter(|o| o.deployment == *deployment);
        ours.filter_map(|owner| match owner.logical_id {
            LogicalId::SecurityGroup(kind) => Some(kind),
            LogicalId::Bucket | LogicalId::TargetGroup(_) | LogicalId::Instance(_) | LogicalId::Rule(_) => None,
        })
    }

    pub(super) fn machines_of(&self, deployment: &DeploymentId) -> impl Iterator<Item = &Machine> {
        let ours = |machine: &&Machine| machine.owner.as_ref().is_some_and(|o| o.deployment == *deployment);
        self.machines.iter().filter(ours)
    }

    /// The fillings of a place that are listed; more than one with an incarnation is a twin.
    pub(super) fn machines_at(
        &mut self,
        deployment: DeploymentId,
        place: Place,
        incarnation: u32,
    ) -> impl Iterator<Item = &mut Machine> {
        self.machines.iter_mut().filter(move |machine| {
            machine.place() == Some((place, incarnation))
                && machine.owner.as_ref().is_some_and(|o| o.deployment == deployment)
        })
    }

    pub(super) fn owners(&self) -> impl Iterator<Item = &Owner> {
        let living = self.machines.iter().filter(|m| m.state != InstanceState::Terminated);
        let rules = self.rules.iter().filter_map(|rule| rule.owner.as_ref());
        let groups = self.groups.values().filter_map(|group| group.owner.as_ref());
        self.buckets
            .iter()
            .map(|bucket| &bucket.owner)
            .chain(&self.security_groups)
            .chain(groups)
            .chain(living.filter_map(|machine| machine.owner.as_ref()))
            .chain(rules)
    }

    pub(super) fn journal(&self) -> &[Entry] {
        &self.journal
    }

    pub(super) fn take_journal(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.journal)
    }
}

/// Whether tags say that a thing fills that place of that deployment.
pub(super) fn is(owner: Option<&Owner>, deployment: &DeploymentId, logical_id: LogicalId) -> bool {
    owner.is_some_and(|owner| owner.deployment == *deployment && owner.logical_id == logical_id)
}

/// The tags of a place's filling.
pub(super) fn owner(desired: &Desired, logical_id: LogicalId, incarnation: u32) -> Owner {
    Owner {
        installation: desired.installation,
        deployment: desired.id,
        logical_id,
        incarnation,
    }
}
