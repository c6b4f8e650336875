//! What stands in a world: plain data, cheap to clone.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use arya_judge::Timestamp;
use arya_plan::cloud::{CloudError, ErrorKind};
use arya_plan::desired::Desired;
use arya_plan::identity::{Arm, DeploymentId, LogicalId, Owner, Place, RuleKind, SecurityGroupKind};
use arya_plan::listener::{GroupId, GroupSettings, Rule, Site};
use arya_plan::observed::{BootPhase, InstanceState, Upload, UploadState};
use arya_plan::spec::Digest;

use super::fault::{At, CallKind, Fault, FaultKind};
use super::journal::Entry;
use super::looking::{Frozen, Stale};
use super::settings::Settings;
use crate::balancer::alb::{self, GroupUse, Health, TargetState};

/// A world at one moment.
#[derive(Debug, Clone)]
pub struct State {
    pub(super) settings: Arc<Settings>,
    /// How long the world has existed. All points in time below are of this clock.
    pub(super) age: Duration,
    pub(super) numbers: u32,
    calls: [u32; CallKind::ALL.len()],
    faults: Vec<Fault>,
    process: Process,
    pub(super) throttled_until: Duration,
    /// The listener without its rules and groups; `None` = it was deleted.
    pub(super) listener: Option<Arc<Site>>,
    rules: Arc<Vec<Rule>>,
    /// The groups that rules name.
    named: Arc<BTreeSet<GroupId>>,
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

/// Whoever asks the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Process {
    Lives,
    /// It waits for an answer that will not come.
    Waits,
    Dead,
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
    pub(super) fn new(settings: Settings) -> Self {
        let site = settings.site.clone();
        let mut state = Self {
            age: Duration::ZERO,
            numbers: 0,
            calls: [0; CallKind::ALL.len()],
            faults: settings.faults.clone(),
            process: Process::Lives,
            throttled_until: Duration::ZERO,
            rules: Arc::default(),
            named: Arc::default(),
            earlier_rules: vec![],
            groups: BTreeMap::new(),
            machines: vec![],
            buckets: vec![],
            security_groups: vec![],
            tokens: BTreeMap::new(),
            stale: vec![],
            frozen: None,
            journal: vec![],
            measures: super::evidence::Measures::default(),
            listener: Some(Arc::new(Site {
                rules: vec![],
                groups: BTreeMap::new(),
                ..site.clone()
            })),
            settings: Arc::new(settings),
        };
        for (id, group) in site.groups {
            state.add_production_group(id, group.settings, group.health.registered, group.health.healthy);
        }
        state.set_rules(site.rules);
        state.earlier_rules.clear();
        // Production was there long before: whoever is well has been found so.
        let machines = &state.machines;
        for member in state.groups.values_mut().flat_map(|group| &mut group.members) {
            let well = machines.iter().any(|m| m.id == member.machine && m.answers());
            if well && matches!(member.health.state, TargetState::Initial { .. }) {
                member.health = TargetState::Healthy.into();
            }
        }
        state
    }

    /// A group of production's with so many instances, the first of them well.
    pub(super) fn add_production_group(&mut self, id: GroupId, settings: GroupSettings, registered: u32, healthy: u32) {
        let group = Group {
            owner: None,
            settings: Arc::new(settings),
            members: vec![],
        };
        self.groups.insert(id.clone(), group);
        for number in 0..registered {
            self.add_production_instance(&id, if number < healthy { App::Well } else { App::Sick });
        }
    }

    pub(super) fn add_production_instance(&mut self, group: &GroupId, app: App) {
        let machine = Machine {
            id: self.new_name("i"),
            owner: None,
            state: InstanceState::Running,
            next: None,
            address: self.new_address(),
            boot: Boot::Goes,
            phase: Some(BootPhase::Ready),
            reports: vec![],
            app,
            files: Arc::default(),
        };
        let member = self.new_member(group, &machine.id, None);
        self.machines.push(machine);
        if let Some(group) = self.groups.get_mut(group) {
            group.members.push(member);
        }
    }

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
        self.named = Arc::new(alb::named_groups(&self.rules));
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

    pub(super) fn add_fault(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    pub(super) fn faults_left(&self) -> &[Fault] {
        &self.faults
    }

    pub(super) fn calls(&self) -> u32 {
        self.calls.iter().sum()
    }

    pub(super) const fn calls_of(&self, kind: CallKind) -> u32 {
        self.calls[kind as usize]
    }

    pub(super) fn journal(&self) -> &[Entry] {
        &self.journal
    }

    pub(super) fn take_journal(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.journal)
    }

    pub(super) fn is_silent(&self) -> bool {
        self.process != Process::Lives
    }

    pub(super) fn is_dead(&self) -> bool {
        self.process == Process::Dead
    }

    pub(super) fn restart(&mut self) {
        self.process = Process::Lives;
        // The asking process was sending them; a multipart upload that was not completed is no object.
        for bucket in &mut self.buckets {
            bucket
                .uploads
                .retain(|_, sending| sending.upload.state != UploadState::Running);
        }
    }

    /// Counts a call, and says what becomes of it; `None` = a dead process cannot have made it.
    pub(super) fn begin(&mut self, kind: CallKind) -> Option<Fate> {
        if self.process == Process::Dead {
            return None;
        }
        let (number, nth) = (self.calls(), self.calls_of(kind));
        self.calls[kind as usize] += 1;
        let hit = |fault: &Fault| {
            let here = match fault.at {
                At::Call(call) => call == number,
                At::Nth(of, wanted) => of == kind && wanted == nth,
            };
            here && fault.kind.fits(kind)
        };
        let fault = self.faults.iter().position(hit).map(|at| self.faults.remove(at).kind);
        match fault {
            Some(FaultKind::HangsBefore | FaultKind::HangsAfter) => self.process = Process::Waits,
            Some(FaultKind::DiesBefore | FaultKind::DiesAfter) => self.process = Process::Dead,
            Some(
                FaultKind::Throttled
                | FaultKind::Refused
                | FaultKind::LostBefore
                | FaultKind::LostAfter
                | FaultKind::Lags
                | FaultKind::OtherParameters,
            )
            | None => {}
        }
        let throttled = (self.throttled_until > self.age).then_some(FaultKind::Throttled);
        Some(Fate {
            number,
            fault: fault.or(throttled),
        })
    }
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fate {
    pub(super) number: u32,
    pub(super) fault: Option<FaultKind>,
}

impl Fate {
    /// What a call without effect gets: nothing, a *no*, or its own answer.
    pub(super) fn ask<T>(self, answer: impl FnOnce() -> T) -> super::Told<Result<T, CloudError>> {
        match self.fault {
            Some(fault) if is_silence(fault) => super::Told::Silence,
            Some(fault) => super::Told::Answer(said(fault).map_or_else(|| Ok(answer()), Err)),
            None => super::Told::Answer(Ok(answer())),
        }
    }
}

pub(super) const fn is_silence(fault: FaultKind) -> bool {
    matches!(
        fault,
        FaultKind::HangsBefore | FaultKind::HangsAfter | FaultKind::DiesBefore | FaultKind::DiesAfter
    )
}

/// The *no* that a fault puts in the place of an answer.
pub(super) fn said(fault: FaultKind) -> Option<CloudError> {
    match fault {
        FaultKind::Throttled => Some(CloudError::new(ErrorKind::Throttled, "Throttling: Rate exceeded.", "")),
        FaultKind::Refused => Some(CloudError::refused(
            "UnauthorizedOperation: the role may not do this. Nothing was changed.",
            "Allow it, and wait for the next try.",
        )),
        FaultKind::LostBefore | FaultKind::LostAfter => Some(CloudError::new(
            ErrorKind::Unknown,
            "The connection broke before the answer; what was done is not known.",
            "",
        )),
        FaultKind::HangsBefore
        | FaultKind::HangsAfter
        | FaultKind::DiesBefore
        | FaultKind::DiesAfter
        | FaultKind::Lags
        | FaultKind::OtherParameters => None,
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
