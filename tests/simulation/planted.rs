//! Deliberate bugs, and the checker that finds each: a simulation that finds nothing must be able to find something.

use arya_plan::planted::{Bug, plant};

use crate::bounds;
use crate::explore::{Failure, explore_with};

/// A bug, the bound in which it is looked for, and the promise that it breaks.
pub(crate) type Row = (Bug, &'static str, &'static str);

pub(crate) const TABLE: [Row; 21] = [
    (Bug::OneHealthyLook, "ordinary", "users_come_after_two_healthy_looks"),
    (
        Bug::IgnoresAnEmptyGroup,
        "mishap",
        "the_main_rule_stands_on_healthy_groups",
    ),
    (
        Bug::IgnoresTheSite,
        "edit",
        "the_main_rule_goes_when_what_is_below_changes",
    ),
    (Bug::GroupsBeforeRules, "ordinary", "the_rule_goes_first_and_settles"),
    (Bug::SkipsSettling, "ordinary", "the_rule_goes_first_and_settles"),
    (Bug::SkipsDraining, "ordinary", "targets_drain_before_they_end"),
    (Bug::SameIncarnation, "rest", "quiet_is_stable"),
    (Bug::LostAnswerIsFailure, "lie", "nothing_stands_twice"),
    (Bug::PutsTheRuleBack, "edit", "main_rules_are_as_many_as_decisions"),
    (Bug::ForgetsHarm, "harm", "harmful_stays_until_overruled"),
    (
        Bug::TakesOldEvidence,
        "harm x overrule",
        "what_was_overruled_stays_overruled",
    ),
    (Bug::AlarmsOnce, "harm x overrule", "harmful_stays_until_overruled"),
    (Bug::IgnoresTheDeadline, "deadline", "a_lifetime_ends"),
    (
        Bug::OneQuietLook,
        "mishap x destroy",
        "destroyed_is_nothing_left_and_proven",
    ),
    (Bug::KeepsAnEmptyRule, "people", "no_share_is_no_main_rule"),
    (Bug::ActsBeforeStoring, "crash", "every_effect_was_stored_before"),
    (Bug::TellsNobody, "ordinary", "every_change_is_stored_with_its_event"),
    (Bug::LeavesUnfitTwins, "unfit", "unfit_twins_lose_their_users"),
    (
        Bug::WaitsForAMachineForEver,
        "part",
        "an_arm_that_lacks_a_machine_is_not_waited_for_without_end",
    ),
    (Bug::SkipsTheSpell, "spell", "the_canary_waits_for_its_spell"),
    (
        Bug::JudgesTheSpell,
        "spell",
        "nothing_is_judged_before_the_canary_has_users",
    ),
];

/// Looks for a bug; the first life that shows it. One thread, so that the number of cases before it is always the same.
pub(crate) fn look_for(bug: Bug, bound: &str) -> Option<Failure> {
    let bounds = bounds::small();
    let bound = bounds
        .iter()
        .find(|known| known.name == bound)
        .expect("the table names bounds that there are");
    let found = explore_with(bound, 1, || plant(Some(bug)));
    found.failures.into_iter().next()
}
