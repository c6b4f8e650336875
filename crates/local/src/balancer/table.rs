//! What a request looks up: the rules in order, each with its groups and counters, as one value that is swapped whole.
//!
//! A request reads it without a lock; a change builds the next one beside it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use arya_plan::listener::matching::{RequestFacts, first_match};
use arya_plan::listener::{Condition, GroupId, Rule};

use super::measured::Series;
use super::settings::GroupSettings;
use super::target::{Endpoint, InFlight};

/// A target group as requests see it.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) id: GroupId,
    pub(super) settings: GroupSettings,
    pub(super) series: Arc<Series>,
    receivers: ArcSwap<Vec<Arc<Endpoint>>>,
    turn: AtomicUsize,
}

impl Group {
    pub(super) fn new(id: GroupId, settings: GroupSettings) -> Self {
        Self {
            id,
            settings,
            series: Arc::default(),
            receivers: ArcSwap::default(),
            turn: AtomicUsize::new(0),
        }
    }

    pub(super) fn set_receivers(&self, receivers: Vec<Arc<Endpoint>>) {
        self.receivers.store(Arc::new(receivers));
    }

    /// The next target in turn, entered; `None` where no target may receive.
    pub(super) fn enter(&self) -> Option<InFlight> {
        // A target that closes between the look and the entering was swapped out before it closed: the second look
        // cannot find it again. One more for each further change in that same instant.
        const LOOKS: usize = 4;
        for _ in 0..LOOKS {
            let receivers = self.receivers.load();
            if receivers.is_empty() {
                return None;
            }
            let turn = self.turn.fetch_add(1, Ordering::Relaxed) % receivers.len();
            if let Some(entered) = receivers.get(turn).and_then(Endpoint::enter) {
                return Some(entered);
            }
        }
        None
    }
}

/// A rule with what its answer needs at hand.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) rule: Rule,
    /// The groups of its forward action.
    pub(super) groups: BTreeMap<GroupId, Arc<Group>>,
    pub(super) series: Arc<Series>,
}

/// All routes of the listener.
#[derive(Debug, Default)]
pub(super) struct Table {
    version: u64,
    rules: Vec<Rule>,
    routes: Vec<Arc<Route>>,
    /// Only then a request's headers are listed for matching.
    pub(super) looks_at_headers: bool,
}

impl Table {
    pub(super) fn new(version: u64, routes: Vec<Arc<Route>>) -> Self {
        let rules: Vec<Rule> = routes.iter().map(|route| route.rule.clone()).collect();
        let header = |condition: &Condition| matches!(condition, Condition::HttpHeader { .. });
        let looks_at_headers = rules.iter().any(|rule| rule.conditions.iter().any(header));
        Self {
            version,
            rules,
            routes,
            looks_at_headers,
        }
    }

    /// Grows with every change of rules.
    pub(super) const fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn rules(&self) -> &[Rule] {
        &self.rules
    }

    pub(super) fn routes(&self) -> &[Arc<Route>] {
        &self.routes
    }

    pub(super) fn find(&self, request: &RequestFacts<'_>) -> Option<&Arc<Route>> {
        let rule = first_match(&self.rules, request)?;
        let at = self.rules.iter().position(|candidate| std::ptr::eq(candidate, rule))?;
        self.routes.get(at)
    }
}
