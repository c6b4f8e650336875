//! Groups, their targets and the listener's rules, as changes and health checks see them. One lock, which no request
//! takes: every change ends by handing requests a new table or a new list of receivers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use arya_plan::listener::{GroupHealth, GroupId, Protocol, Rule, named_groups};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio_util::task::AbortOnDropHandle;

use super::alb::{
    CheckResult, GroupUse, Health, HealthCheckSettings, TargetState, after_check, group_health, receivers,
};
use super::health::keep_checking;
use super::settings::{GroupSettings, Target};
use super::table::{Group, Route, Table};
use super::target::Endpoint;

/// A change that was refused; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BalancerError {
    #[error("target group {0} exists already; nothing was changed")]
    GroupExists(GroupId),
    #[error("there is no target group {0}; nothing was changed, create it first")]
    UnknownGroup(GroupId),
    #[error("target group {0} is still named by a rule; nothing was deleted, change that rule first")]
    GroupInUse(GroupId),
    #[error("the local balancer speaks http to targets only, not {1:?} as target group {0} asks; nothing was created")]
    UnsupportedProtocol(GroupId, Protocol),
    #[error("health check path `{1}` of target group {0} is no path that starts with /; nothing was created")]
    BadHealthCheckPath(GroupId, String),
}

/// A group as one would see it in AWS's console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupState {
    pub id: GroupId,
    /// Whether a rule names it; only then it is checked.
    pub in_use: bool,
    pub targets: Vec<TargetStatus>,
}

impl GroupState {
    pub fn health(&self) -> GroupHealth {
        group_health(self.targets.iter().map(|target| &target.state))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetStatus {
    pub target: Target,
    pub state: TargetState,
    /// Requests that it has not finished; an open WebSocket counts.
    pub in_flight: u64,
}

/// Which targets of a group to check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    All,
    /// Those that were never well or unwell.
    New,
}

#[derive(Debug)]
pub(super) struct Control {
    table: Arc<ArcSwap<Table>>,
    groups: Mutex<BTreeMap<GroupId, Entry>>,
    version: watch::Sender<u64>,
    /// Where checks and drains run, so that a change may come from any thread.
    runtime: Handle,
}

#[derive(Debug)]
struct Entry {
    group: Arc<Group>,
    members: Vec<Member>,
    checker: Option<Checker>,
}

#[derive(Debug)]
struct Member {
    endpoint: Arc<Endpoint>,
    health: Health,
}

#[derive(Debug)]
struct Checker {
    look_now: Arc<Notify>,
    _task: AbortOnDropHandle<()>,
}

impl Entry {
    const fn in_use(&self) -> GroupUse {
        if self.checker.is_some() {
            GroupUse::Named
        } else {
            GroupUse::Unnamed
        }
    }

    fn refresh(&self) {
        let at = receivers(self.members.iter().map(|member| &member.health.state));
        self.group.set_receivers(
            at.into_iter()
                .map(|at| Arc::clone(&self.members[at].endpoint))
                .collect(),
        );
    }

    fn state(&self) -> GroupState {
        let targets = self.members.iter().map(|member| TargetStatus {
            target: member.endpoint.target.clone(),
            state: member.health.state.clone(),
            in_flight: member.endpoint.in_flight(),
        });
        GroupState {
            id: self.group.id.clone(),
            in_use: self.in_use() == GroupUse::Named,
            targets: targets.collect(),
        }
    }

    fn set_use(&mut self, control: &Arc<Control>, now: GroupUse) {
        if self.in_use() == now {
            return;
        }
        self.checker = (now == GroupUse::Named).then(|| {
            let look_now = Arc::new(Notify::new());
            let (id, settings) = (self.group.id.clone(), self.group.settings.health_check.clone());
            let task = control
                .runtime
                .spawn(keep_checking(Arc::clone(control), id, settings, Arc::clone(&look_now)));
            Checker {
                look_now,
                _task: AbortOnDropHandle::new(task),
            }
        });
        for member in &mut self.members {
            member.health = member.health.clone().after_use(now);
        }
        self.refresh();
    }
}

impl Control {
    pub(super) fn new(table: Arc<ArcSwap<Table>>, runtime: Handle) -> Self {
        Self {
            table,
            groups: Mutex::default(),
            version: watch::Sender::new(0),
            runtime,
        }
    }

    fn groups(&self) -> MutexGuard<'_, BTreeMap<GroupId, Entry>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.version.send_modify(|version| *version += 1);
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    pub(super) fn set_rules(self: &Arc<Self>, mut rules: Vec<Rule>) -> Result<(), BalancerError> {
        rules.sort_by_key(|rule| rule.priority);
        let mut groups = self.groups();
        let named = named_groups(&rules);
        if let Some(unknown) = named.iter().find(|id| !groups.contains_key(*id)) {
            return Err(BalancerError::UnknownGroup(unknown.clone()));
        }
        let before = self.table.load();
        let routes = rules.into_iter().map(|rule| {
            // A changed rule keeps its counters.
            let known = before.routes().iter().find(|route| route.rule.id == rule.id);
            let series = known.map(|route| Arc::clone(&route.series)).unwrap_or_default();
            let ids = rule
                .forward()
                .into_iter()
                .flat_map(|forward| &forward.groups)
                .map(|weighted| &weighted.group);
            let entries = ids.filter_map(|id| Some((id.clone(), Arc::clone(&groups.get(id)?.group))));
            let groups = entries.collect();
            Arc::new(Route { rule, groups, series })
        });
        let table = Table::new(before.version() + 1, routes.collect());
        // New groups get their receivers before the first request can be sent to them, old ones lose them after the last.
        self.set_uses(&mut groups, &named, GroupUse::Named);
        self.table.store(Arc::new(table));
        self.set_uses(&mut groups, &named, GroupUse::Unnamed);
        drop(groups);
        self.changed();
        Ok(())
    }

    fn set_uses(self: &Arc<Self>, groups: &mut BTreeMap<GroupId, Entry>, named: &BTreeSet<GroupId>, to: GroupUse) {
        for (id, entry) in groups.iter_mut() {
            if named.contains(id) == (to == GroupUse::Named) {
                entry.set_use(self, to);
            }
        }
    }

    pub(super) fn create_group(&self, id: GroupId, settings: GroupSettings) -> Result<(), BalancerError> {
        let check = &settings.health_check;
        if check.protocol != Protocol::Http {
            return Err(BalancerError::UnsupportedProtocol(id, check.protocol));
        }
        if !check.path.starts_with('/') || check.path.parse::<http::Uri>().is_err() {
            return Err(BalancerError::BadHealthCheckPath(id, check.path.clone()));
        }
        let mut groups = self.groups();
        if groups.contains_key(&id) {
            return Err(BalancerError::GroupExists(id));
        }
        let group = Arc::new(Group::new(id.clone(), settings));
        groups.insert(
            id,
            Entry {
                group,
                members: Vec::new(),
                checker: None,
            },
        );
        drop(groups);
        self.changed();
        Ok(())
    }

    pub(super) fn delete_group(&self, id: &GroupId) -> Result<(), BalancerError> {
        let mut groups = self.groups();
        let Some(entry) = groups.get(id) else {
            return Err(BalancerError::UnknownGroup(id.clone()));
        };
        if entry.in_use() == GroupUse::Named {
            return Err(BalancerError::GroupInUse(id.clone()));
        }
        for member in &entry.members {
            member.endpoint.close();
        }
        groups.remove(id);
        drop(groups);
        self.changed();
        Ok(())
    }

    pub(super) fn register(&self, id: &GroupId, target: Target) -> Result<(), BalancerError> {
        let mut groups = self.groups();
        let Some(entry) = groups.get_mut(id) else {
            return Err(BalancerError::UnknownGroup(id.clone()));
        };
        let known = entry
            .members
            .iter()
            .position(|member| member.endpoint.target.id == target.id);
        if let Some(at) = known {
            let member = &entry.members[at];
            if member.endpoint.target == target && member.health.state != TargetState::Draining {
                return Ok(());
            }
        }
        let member = Member {
            endpoint: Arc::new(Endpoint::new(target)),
            health: Health::registered(entry.in_use()),
        };
        let replaced = match known {
            Some(at) => Some(std::mem::replace(&mut entry.members[at], member)),
            None => {
                entry.members.push(member);
                None
            }
        };
        entry.refresh();
        // Only now: whoever finds it closed looks for receivers again, and must not find it there.
        if let Some(replaced) = replaced {
            replaced.endpoint.close();
        }
        if let Some(checker) = &entry.checker {
            checker.look_now.notify_one();
        }
        drop(groups);
        self.changed();
        Ok(())
    }

    pub(super) fn deregister(self: &Arc<Self>, id: &GroupId, target: &str) -> Result<(), BalancerError> {
        let mut groups = self.groups();
        let Some(entry) = groups.get_mut(id) else {
            return Err(BalancerError::UnknownGroup(id.clone()));
        };
        let leaving =
            |member: &&mut Member| member.endpoint.target.id == target && member.health.state != TargetState::Draining;
        // As in AWS, a target that is not there is none to deregister.
        let Some(member) = entry.members.iter_mut().find(leaving) else {
            return Ok(());
        };
        member.health = member.health.clone().deregistered();
        let endpoint = Arc::clone(&member.endpoint);
        let delay = entry.group.settings.deregistration_delay;
        entry.refresh();
        endpoint.close();
        drop(groups);
        self.changed();
        let (control, id) = (Arc::clone(self), id.clone());
        self.runtime.spawn(async move {
            // After the delay the target is gone for the balancer; a request still in flight ends when its target does.
            let _ = tokio::time::timeout(delay, endpoint.emptied()).await;
            if let Some(entry) = control.groups().get_mut(&id) {
                entry.members.retain(|member| !Arc::ptr_eq(&member.endpoint, &endpoint));
            }
            control.changed();
        });
        Ok(())
    }

    pub(super) fn group(&self, id: &GroupId) -> Option<Arc<Group>> {
        self.groups().get(id).map(|entry| Arc::clone(&entry.group))
    }

    pub(super) fn state(&self, id: &GroupId) -> Option<GroupState> {
        self.groups().get(id).map(Entry::state)
    }

    pub(super) fn states(&self) -> Vec<GroupState> {
        self.groups().values().map(Entry::state).collect()
    }

    /// `None` once the group is gone.
    pub(super) fn to_check(&self, id: &GroupId, which: Which) -> Option<Vec<Arc<Endpoint>>> {
        let groups = self.groups();
        let members = groups
            .get(id)?
            .members
            .iter()
            .filter(|member| match (&member.health.state, which) {
                (TargetState::Initial { .. }, _) => true,
                (TargetState::Healthy | TargetState::Unhealthy { .. }, which) => which == Which::All,
                (TargetState::Unused { .. } | TargetState::Draining, _) => false,
            });
        Some(members.map(|member| Arc::clone(&member.endpoint)).collect())
    }

    pub(super) fn checked(
        &self,
        id: &GroupId,
        endpoint: &Arc<Endpoint>,
        result: &CheckResult,
        settings: &HealthCheckSettings,
    ) {
        let mut groups = self.groups();
        let Some(entry) = groups.get_mut(id) else { return };
        // A target that was replaced meanwhile has nothing to do with this answer.
        let Some(member) = entry
            .members
            .iter_mut()
            .find(|member| Arc::ptr_eq(&member.endpoint, endpoint))
        else {
            return;
        };
        let next = after_check(&member.health, result, settings);
        let before = std::mem::replace(&mut member.health, next);
        if before.state == member.health.state {
            return;
        }
        let (target, state) = (&member.endpoint.target.id, &member.health.state);
        tracing::info!(group = %id, %target, %state, "target {target} of group {id} is now {state}");
        entry.refresh();
        drop(groups);
        self.changed();
    }

    pub(super) fn forget_old_connections(&self, max_idle: std::time::Duration) {
        for member in self.groups().values().flat_map(|entry| &entry.members) {
            member.endpoint.forget_old(max_idle);
        }
    }

    /// Ends all checks.
    pub(super) fn stop(&self) {
        for entry in self.groups().values_mut() {
            entry.checker = None;
        }
    }
}
