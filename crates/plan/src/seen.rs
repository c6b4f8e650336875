//! Since when each fact has been continuously true. Kept by the engine, made here; lost in a crash, which only starts
//! the timers again.

use std::collections::BTreeMap;
use std::time::Duration;

use arya_judge::Timestamp;

use crate::confounder::disturbed_arm;
use crate::desired::{Desired, Goal};
use crate::identity::{Arm, Place, RuleKind};
use crate::observed::Observed;
use crate::plan::{Plan, WaitReason};
use crate::{provision, remove, route};

/// A fact that must hold for a while, or in two looks, before it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fact {
    /// All targets of both arms are healthy.
    ArmsHealthy,
    /// Neither of our rules is on the listener.
    RulesAway,
    /// The main rule is not on the listener.
    MainRuleAway,
    /// Some target of the arm is draining.
    Draining(Arm),
    /// The arm is registered and not healthy, although its health is checked.
    Unwell(Arm),
    /// Users come, and an arm's own state disturbs the comparison: it starts anew, or takes not its whole share.
    ArmDisturbed(Arm),
    /// Some file is not in the bucket.
    FilesMissing,
    /// That filling of a place has all the files it waits for, and is not ready.
    NotReady(Place, u32),
    /// Nothing with our tags is listed, and nothing more will be created.
    NothingLeft,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sighting {
    first: Timestamp,
    looks: u32,
}

/// The memory between looks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    facts: BTreeMap<Fact, Sighting>,
    waiting: BTreeMap<WaitReason, Timestamp>,
    now: Option<Timestamp>,
}

impl Seen {
    /// Takes in a look: facts that still hold keep their start, others are forgotten.
    pub fn look(&mut self, desired: &Desired, observed: &Observed) {
        let mut facts = BTreeMap::new();
        for fact in facts_of(desired, observed) {
            let before = self.facts.get(&fact);
            let first = before.map_or(observed.at, |s| s.first);
            facts.insert(
                fact,
                Sighting {
                    first,
                    looks: before.map_or(0, |s| s.looks).saturating_add(1),
                },
            );
        }
        self.facts = facts;
        self.now = Some(observed.at);
    }

    /// Remembers since when the plan waits for what.
    pub fn note_waiting(&mut self, plan: &Plan) {
        self.waiting = plan.waiting.iter().map(|w| (w.reason.clone(), w.since)).collect();
    }

    pub(crate) fn waiting_since(&self, reason: &WaitReason) -> Option<Timestamp> {
        self.waiting.get(reason).copied()
    }

    /// For how long a fact has held; `None` = it does not hold.
    pub fn held_for(&self, fact: Fact) -> Option<Duration> {
        let first = self.facts.get(&fact)?.first;
        // A clock that was set back must not make a fact older.
        self.now
            .map(|now| Duration::try_from(now.duration_since(first)).unwrap_or(Duration::ZERO))
    }

    /// In how many looks in a row a fact has held.
    pub fn looks(&self, fact: Fact) -> u32 {
        self.facts.get(&fact).map_or(0, |s| s.looks)
    }
}

fn facts_of(desired: &Desired, observed: &Observed) -> Vec<Fact> {
    let mut facts = Vec::new();
    if route::arms_healthy(desired, observed) {
        facts.push(Fact::ArmsHealthy);
    }
    let stands = |kind| observed.our_rule(&desired.id, kind).is_some();
    let rules_away = !stands(RuleKind::Main) && !stands(RuleKind::Probe);
    if !stands(RuleKind::Main) {
        facts.push(Fact::MainRuleAway);
    }
    if rules_away {
        facts.push(Fact::RulesAway);
    }
    for arm in Arm::BOTH {
        if remove::draining(observed, arm) > 0 {
            facts.push(Fact::Draining(arm));
        }
        // Nobody checks an arm that waits for the other, whose files may take an hour longer.
        if !rules_away && route::unwell(desired, observed, arm) {
            facts.push(Fact::Unwell(arm));
        }
    }
    facts.extend(disturbed_arm(desired, observed).map(Fact::ArmDisturbed));
    if provision::files_there(desired, observed) {
        let waiting = desired
            .places()
            .filter(|place| !provision::ready(desired, observed, *place));
        facts.extend(waiting.map(|place| Fact::NotReady(place, desired.incarnation(place))));
    } else {
        facts.push(Fact::FilesMissing);
    }
    // A quiet look from before destroy says nothing of what was created after it.
    if desired.goal == Goal::Absent && remove::nothing_left(desired, observed) {
        facts.push(Fact::NothingLeft);
    }
    facts
}
