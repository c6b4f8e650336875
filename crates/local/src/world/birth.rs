//! How a world begins: the user's listener with production behind it, which was there long before.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arya_plan::listener::{GroupId, GroupSettings, Site};
use arya_plan::observed::{BootPhase, InstanceState};

use super::calls::Calls;
use super::evidence::Measures;
use super::settings::Settings;
use super::state::{App, Boot, Group, Machine, State};
use crate::balancer::alb::TargetState;

impl State {
    pub(super) fn new(settings: Settings) -> Self {
        let site = settings.site.clone();
        let mut state = Self {
            age: Duration::ZERO,
            numbers: 0,
            calls: Calls::with(settings.faults.clone()),
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
            measures: Measures::default(),
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
}
