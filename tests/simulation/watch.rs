//! What checkers remember of a life: what people decided, what was told, and since when things are as they are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arya_engine::{Event, RecordedEvent};
use arya_judge::Timestamp;
use arya_local::world::{Answer, BLOCK_S, Edit, Effect, Entry, Mishap};
use arya_plan::desired::{Actor, Change, Desired, HoldReason};
use arya_plan::identity::{Place, RuleKind};
use arya_plan::listener::shares::CanaryPercent;
use arya_plan::listener::{Action, GroupId, Site};
use arya_plan::observed::{Observed, TargetState};
use arya_plan::plan::Step;

use crate::act::Act;
use crate::checkers::serving::arms_are_healthy;
use crate::setting::SPELL_S;

/// An instance: its place and which filling of it.
pub(crate) type Who = (Place, u32);

/// Whether the process lived to the end of a look, and so could keep what it heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    Yes,
    No,
}

/// The memory of a life's checkers. It knows nothing of the engine's.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    /// As of the latest events heard.
    pub(crate) generation: u64,
    /// The sequence number of the latest event heard.
    pub(crate) heard: u64,
    /// How many events told of a change.
    pub(crate) changes: u64,
    /// The share that a person asked for last, or what others lowered it to since.
    pub(crate) approved: CanaryPercent,
    /// How often a person asked for a share above 0.
    pub(crate) decisions: u32,
    /// How often our main rule came to be,
    pub(crate) creations: u32,
    /// and how often of those nobody lived to hear of it: such a creation may be repeated, for it cannot be told from one
    /// that never was.
    pub(crate) unheard_creations: u32,
    /// *Harmful*, and nobody overruled it.
    pub(crate) latched: bool,
    /// When a person last overruled an alarm,
    overruled_at: Option<Timestamp>,
    /// and what raised it again without a block that was measured since.
    pub(crate) latched_by_old_evidence: Option<String>,
    /// What nobody may do and was done, in the words of the feed.
    pub(crate) raised_by_nobody: Option<String>,
    pub(crate) raised_while_harmful: Option<String>,
    /// Our main rule is no longer what we wrote.
    pub(crate) edited_by_hand: bool,
    /// The chosen rule, its groups or an earlier rule are no longer what the plan showed.
    pub(crate) below_changed: bool,
    /// The look of the latest happening.
    pub(crate) disturbed_at: u16,
    /// Since when it should go, if it should.
    pub(crate) going_since: Option<u16>,
    /// When our main rule was first seen to be away, if it ever stood.
    pub(crate) main_gone_at: Option<Timestamp>,
    main_stands: bool,
    /// Since which look it stands, and when it came to.
    pub(crate) main_since: u16,
    main_came_at: Option<Timestamp>,
    /// The latest look before which all machines of both arms were healthy.
    pub(crate) whole_at: u16,
    /// Both arms fail as production does not.
    pub(crate) unfit: bool,
    /// The canary may have users: its spell was told to be over,
    pub(crate) spell_is_over: bool,
    /// and what ended it before its time.
    pub(crate) spell_cut_short: Option<String>,
    /// In how many looks in a row both arms were healthy, up to the one before this, and whether that was told the truth.
    pub(crate) healthy_looks: u32,
    pub(crate) told_the_truth: bool,
    pub(crate) draining: BTreeMap<Who, Timestamp>,
    pub(crate) ended_by_us: BTreeSet<Who>,
    /// The steps to which the cloud said no when they were tried last.
    pub(crate) refused: Vec<Arc<Step>>,
    /// When something was last done, in looks.
    pub(crate) acted_at: u16,
    production: Arc<BTreeSet<GroupId>>,
}

impl Watch {
    pub(crate) fn new(desired: &Desired, site: &Site) -> Self {
        Self {
            generation: desired.generation,
            heard: 0,
            changes: 0,
            approved: desired.share(),
            decisions: 1,
            creations: 0,
            unheard_creations: 0,
            latched: false,
            overruled_at: None,
            latched_by_old_evidence: None,
            raised_by_nobody: None,
            raised_while_harmful: None,
            edited_by_hand: false,
            below_changed: false,
            disturbed_at: 0,
            going_since: None,
            main_gone_at: None,
            main_stands: false,
            main_since: 0,
            main_came_at: None,
            whole_at: 0,
            unfit: false,
            spell_is_over: false,
            spell_cut_short: None,
            healthy_looks: 0,
            told_the_truth: false,
            draining: BTreeMap::new(),
            ended_by_us: BTreeSet::new(),
            refused: Vec::new(),
            acted_at: 0,
            production: Arc::new(site.groups.keys().cloned().collect()),
        }
    }

    /// Something happened before a look, or will in it.
    pub(crate) fn note(&mut self, act: Act, look: u16) {
        self.disturbed_at = look;
        match act {
            Act::Edit(
                Edit::ReweighOurRule | Edit::EmptyOurRule | Edit::NarrowOurRule | Edit::MoveOurRule(RuleKind::Main),
            ) => {
                self.edited_by_hand = true;
            }
            Act::Edit(
                Edit::ReweighChosen
                | Edit::SwapProduction
                | Edit::MoveChosen
                | Edit::DeleteChosen
                | Edit::AddRuleBefore
                | Edit::DeleteListener,
            ) => self.below_changed = true,
            Act::Mishap(Mishap::TwinsTurnUnfit) => self.unfit = true,
            Act::Mishap(Mishap::CanaryTurnsBad | Mishap::CanaryTurnsGood | Mishap::SourceFails) => self.unfit = false,
            Act::Edit(_) | Act::Person(_) | Act::Mishap(_) | Act::Call(..) | Act::Deadline => {}
        }
    }

    /// Ana destroys as planned.
    pub(crate) fn begins_to_go(&mut self, look: u16) {
        self.going_since.get_or_insert(look);
    }

    /// What the feed tells of changes.
    pub(crate) fn hear(&mut self, news: &[RecordedEvent]) {
        for told in news {
            self.heard = told.seq;
            if let Event::Changed {
                by,
                change,
                before,
                after,
            } = &told.event
            {
                self.changes += 1;
                self.generation += 1;
                self.take(by, change, *before, *after, &told.sentence);
                self.note_override(change, told);
                if *change == Change::EndSpell {
                    self.note_end_of_spell(told);
                }
            }
        }
    }

    /// The main rule stands for at least as long as it was seen to.
    fn note_end_of_spell(&mut self, told: &RecordedEvent) {
        self.spell_is_over = true;
        let alone = self.main_came_at.map(|at| told.at.duration_since(at).as_secs());
        if alone.is_none_or(|seconds| seconds < SPELL_S) {
            self.spell_cut_short = Some(told.sentence.clone());
        }
    }

    /// After an override harm takes at least one whole block.
    fn note_override(&mut self, change: &Change, told: &RecordedEvent) {
        match change {
            Change::Overrule { .. } => self.overruled_at = Some(told.at),
            Change::LatchHarmful { .. } => {
                let since = self.overruled_at.map(|at| told.at.duration_since(at).as_secs());
                if since.is_some_and(|seconds| seconds < BLOCK_S) {
                    self.latched_by_old_evidence = Some(told.sentence.clone());
                }
            }
            Change::SetShare { .. }
            | Change::RemoveTraffic { .. }
            | Change::MainRuleMade { .. }
            | Change::BeginServing
            | Change::MainRuleSeen
            | Change::EndSpell
            | Change::Replace { .. }
            | Change::GiveUp { .. }
            | Change::Destroy => {}
        }
    }

    fn take(&mut self, by: &Actor, change: &Change, before: CanaryPercent, after: CanaryPercent, sentence: &str) {
        let raised = after > before;
        match (by, change) {
            (Actor::Person(_), Change::SetShare { .. }) => {
                self.approved = after;
                self.decisions += u32::from(!after.is_zero());
                if raised && self.latched {
                    self.raised_while_harmful = Some(sentence.to_owned());
                }
            }
            (_, _) => {
                self.approved = self.approved.min(after);
                if raised {
                    self.raised_by_nobody = Some(sentence.to_owned());
                }
            }
        }
        match change {
            Change::LatchHarmful { .. }
            | Change::RemoveTraffic {
                reason: HoldReason::Harmful,
            } => self.latched = true,
            Change::Overrule { .. } => self.latched = false,
            Change::SetShare { .. }
            | Change::RemoveTraffic { .. }
            | Change::MainRuleMade { .. }
            | Change::BeginServing
            | Change::MainRuleSeen
            | Change::EndSpell
            | Change::Replace { .. }
            | Change::GiveUp { .. }
            | Change::Destroy => {}
        }
    }

    /// How the world was when a look began, and whether the look was shown it.
    pub(crate) fn saw(&mut self, before: &Observed, told_the_truth: bool) {
        self.healthy_looks = if arms_are_healthy(before) {
            self.healthy_looks + 1
        } else {
            0
        };
        self.told_the_truth = told_the_truth;
    }

    /// Which look it was that saw the arms whole.
    pub(crate) fn saw_arms(&mut self, before: &Observed, look: u16) {
        if arms_are_healthy(before) {
            self.whole_at = look;
        }
    }

    /// How the world is after a look, and what the look did.
    pub(crate) fn see(&mut self, after: &Observed, desired: &Desired, entries: &[Entry], heard: Heard, look: u16) {
        let stands = after.our_rule(&desired.id, RuleKind::Main).is_some();
        if stands && !self.main_stands {
            (self.main_since, self.main_came_at) = (look, Some(after.at));
        }
        if stands {
            self.main_gone_at = None;
        } else if self.main_stands {
            self.main_gone_at = Some(after.at);
        }
        self.main_stands = stands;
        if desired.goal == arya_plan::desired::Goal::Absent {
            self.begins_to_go(look);
        }
        for entry in entries {
            self.refused.retain(|step| *step != entry.step);
            if matches!(entry.answer, Answer::No(_)) {
                self.refused.push(entry.step.clone());
            }
        }
        for entry in entries.iter().filter(|entry| entry.effect == Effect::Done) {
            self.acted_at = look;
            match &*entry.step {
                Step::CreateRule {
                    kind: RuleKind::Main, ..
                } => {
                    self.creations += 1;
                    let was_heard = heard == Heard::Yes && entry.answer == Answer::Yes;
                    self.unheard_creations += u32::from(!was_heard);
                    self.edited_by_hand = false;
                }
                Step::TerminateInstance { place, incarnation } => {
                    self.ended_by_us.insert((*place, *incarnation));
                }
                _ => {}
            }
        }
        let targets = || after.groups.values().flat_map(|group| &group.targets);
        let drains =
            |who: &Who| targets().any(|t| (t.place, t.incarnation) == *who && t.health.state == TargetState::Draining);
        self.draining.retain(|who, _| drains(who));
        for target in targets().filter(|target| target.health.state == TargetState::Draining) {
            self.draining
                .entry((target.place, target.incarnation))
                .or_insert(after.at);
        }
    }

    /// The part of matching requests that a rule sends to our groups, 0 to 1.
    pub(crate) fn exposure(&self, actions: &[Action]) -> f64 {
        let Some(Action::Forward(forward)) = actions.last() else {
            return 0.0;
        };
        let sum = |ours: bool| -> f64 {
            let groups = forward.groups.iter();
            let chosen = groups.filter(|g| self.production.contains(&g.group) != ours);
            chosen.map(|g| f64::from(g.weight)).sum()
        };
        let (ours, production) = (sum(true), sum(false));
        if ours > 0.0 { ours / (ours + production) } else { 0.0 }
    }
}
