//! What a desired state tells of users who came, and where it tells nothing.

use arya_plan::desired::{Change, MainRule};
use arya_plan::listener::shares::CanaryPercent;
use arya_plan::phase::{Users, users};

use crate::paper::Paper;

/// A deployment that never left `main_rule`, as nothing else tells of it.
fn check(main_rule: MainRule, expected: Users) {
    let mut paper = Paper::new();
    paper.desired.main_rule = main_rule;
    assert_eq!(users(&paper.desired), expected, "{main_rule:?}");
}

#[test]
fn nobody_came_before_a_main_rule_was_wanted() {
    check(MainRule::NotYet, Users::NobodyCame);
}

#[test]
fn a_rule_that_is_to_be_made_may_be_the_first_or_the_next() {
    check(MainRule::Wanted, Users::NotKnown);
}

#[test]
fn users_came_once_the_cloud_said_that_it_made_the_rule() {
    let since = Paper::new().desired.created_at;
    check(MainRule::Made { since }, Users::Came);
}

#[test]
fn users_came_once_the_rule_was_seen() {
    check(MainRule::Seen, Users::Came);
}

#[test]
fn a_rule_that_is_away_may_have_stood() {
    check(MainRule::Away, Users::NotKnown);
}

#[test]
fn what_had_users_and_was_given_up_is_never_said_to_have_had_none() {
    let mut paper = Paper::serving();
    paper.change(Change::GiveUp { why: "lost".into() });
    assert_eq!(users(&paper.desired), Users::Came);
    paper.change(Change::Destroy);
    assert_eq!(users(&paper.desired), Users::Came);

    let mut paper = Paper::serving();
    paper.change(Change::SetShare {
        canary_percent: CanaryPercent::ZERO,
    });
    paper.change(Change::GiveUp { why: "lost".into() });
    assert_eq!(users(&paper.desired), Users::NotKnown);
}

#[test]
fn harm_and_a_begun_spell_were_shown_by_users() {
    let mut paper = Paper::with(|spec| spec.analysis.aa_spell_s = 90.0);
    paper.desired.main_rule = MainRule::Away;
    assert_eq!(users(&paper.desired), Users::NotKnown);
    paper.desired.spell = arya_plan::desired::Spell::Over;
    assert_eq!(users(&paper.desired), Users::Came);

    let mut paper = Paper::serving();
    paper.change(Change::SetShare {
        canary_percent: CanaryPercent::ZERO,
    });
    paper.change(Change::LatchHarmful {
        sentence: "Harmful: errors.".into(),
    });
    assert_eq!(users(&paper.desired), Users::Came);
}
