//! The promises that hold after every look of every life: one small function each, and the sentence it fails with.

mod beside;
mod going;
mod keeping;
pub(crate) mod serving;

use std::any::Any;
use std::fmt;

use arya_engine::Report;
use arya_local::world::{Answer, Effect, Entry};
use arya_plan::desired::Desired;
use arya_plan::identity::RuleKind;
use arya_plan::listener::Rule;
use arya_plan::observed::Observed;
use arya_plan::plan::Step;

use crate::life::Life;
use crate::watch::Watch;

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    /// Which checker says so.
    pub(crate) checker: &'static str,
    pub(crate) sentence: String,
}

impl Violation {
    pub(crate) fn new(checker: &'static str, sentence: impl Into<String>) -> Self {
        Self {
            checker,
            sentence: sentence.into(),
        }
    }

    /// The world's guard against touching strangers, and whatever else panics, speaks by panicking.
    pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Self::new("nothing_panics", text.unwrap_or_default())
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.checker, self.sentence)
    }
}

/// What checkers look at: one look, and how the world was before and after it.
pub(crate) struct Scene<'s> {
    pub(crate) life: &'s Life,
    pub(crate) before: &'s Observed,
    pub(crate) after: &'s Observed,
    /// The steps that arrived in the look.
    pub(crate) entries: &'s [Entry],
    /// `None` = the process died.
    pub(crate) report: Option<&'s Report>,
}

impl Scene<'_> {
    pub(crate) fn desired(&self) -> &Desired {
        &self.life.now.desired
    }

    pub(crate) fn watch(&self) -> &Watch {
        &self.life.now.watch
    }

    pub(crate) fn look(&self) -> u16 {
        self.life.now.look
    }

    /// Whether the look was shown the world as it is.
    pub(crate) fn was_told_the_truth(&self) -> bool {
        let observed = self.report.filter(|report| report.cloud_error.is_none());
        observed.is_some_and(|report| report.observed.as_ref() == Some(self.before))
    }

    /// The steps that changed the world.
    pub(crate) fn done(&self) -> impl Iterator<Item = &Step> {
        let done = self.entries.iter().filter(|entry| entry.effect == Effect::Done);
        done.map(|entry| &*entry.step)
    }

    /// The main rule that this look left standing although it saw the world as it is and every call worked: there is no
    /// excuse for it.
    pub(crate) fn main_rule_without_excuse(&self) -> Option<Rule> {
        let all_worked = || self.entries.iter().all(|entry| entry.answer == Answer::Yes);
        let stands = self.after.our_rule(&self.desired().id, RuleKind::Main)?;
        (all_worked() && self.was_told_the_truth()).then(|| stands.clone())
    }
}

/// A checker: its name, which is its promise, and what it does.
pub(crate) type Checker = (&'static str, fn(&Scene<'_>) -> Result<(), String>);

/// Every checker, in the order of the invariants that they keep.
pub(crate) const CHECKERS: [Checker; 26] = [
    ("everything_carries_our_tags", keeping::everything_carries_our_tags),
    (
        "every_change_is_stored_with_its_event",
        keeping::every_change_is_stored_with_its_event,
    ),
    (
        "every_effect_was_stored_before",
        keeping::every_effect_was_stored_before,
    ),
    ("nothing_stands_twice", keeping::nothing_stands_twice),
    ("quiet_is_stable", keeping::quiet_is_stable),
    ("progress_is_bounded", going::progress_is_bounded),
    (
        "the_main_rule_stands_on_healthy_groups",
        serving::the_main_rule_stands_on_healthy_groups,
    ),
    (
        "the_main_rule_goes_when_what_is_below_changes",
        serving::the_main_rule_goes_when_what_is_below_changes,
    ),
    ("no_share_is_no_main_rule", serving::no_share_is_no_main_rule),
    (
        "users_come_by_decisions_of_people",
        serving::users_come_by_decisions_of_people,
    ),
    (
        "users_come_after_two_healthy_looks",
        serving::users_come_after_two_healthy_looks,
    ),
    (
        "main_rules_are_as_many_as_decisions",
        serving::main_rules_are_as_many_as_decisions,
    ),
    ("harmful_stays_until_overruled", serving::harmful_stays_until_overruled),
    (
        "what_was_overruled_stays_overruled",
        serving::what_was_overruled_stays_overruled,
    ),
    (
        "a_pass_is_said_only_while_users_are_there",
        serving::a_pass_is_said_only_while_users_are_there,
    ),
    ("a_lifetime_ends", going::a_lifetime_ends),
    ("strangers_are_untouched", keeping::strangers_are_untouched),
    (
        "the_rule_goes_first_and_settles",
        going::the_rule_goes_first_and_settles,
    ),
    ("targets_drain_before_they_end", going::targets_drain_before_they_end),
    (
        "nobody_is_sent_to_what_we_took_away",
        going::nobody_is_sent_to_what_we_took_away,
    ),
    (
        "destroyed_is_nothing_left_and_proven",
        going::destroyed_is_nothing_left_and_proven,
    ),
    ("whoever_waits_says_why", keeping::whoever_waits_says_why),
    ("unfit_twins_lose_their_users", beside::unfit_twins_lose_their_users),
    (
        "an_arm_that_lacks_a_machine_is_not_waited_for_without_end",
        beside::an_arm_that_lacks_a_machine_is_not_waited_for_without_end,
    ),
    ("the_canary_waits_for_its_spell", beside::the_canary_waits_for_its_spell),
    (
        "nothing_is_judged_before_the_canary_has_users",
        beside::nothing_is_judged_before_the_canary_has_users,
    ),
];

pub(crate) fn check(scene: &Scene<'_>) -> Result<(), Violation> {
    CHECKERS
        .iter()
        .try_for_each(|(name, check)| check(scene).map_err(|sentence| Violation::new(name, sentence)))
}
