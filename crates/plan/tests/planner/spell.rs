//! The A/A spell: the baseline alone has users beside production before the canary has any.

use std::time::Duration;

use arya_plan::confounder::{Confounder, confounder};
use arya_plan::desired::{Change, Spell};
use arya_plan::identity::{Arm, RuleKind};
use arya_plan::listener::Action;
use arya_plan::listener::shares::CanaryPercent;
use arya_plan::observed::TargetState;
use arya_plan::phase::Phase;
use arya_plan::plan::{Step, WaitReason};

use crate::paper::{Paper, files, make_preview, site, spec};

/// Far longer than what a test needs to see that nothing moves meanwhile.
const SPELL: Duration = Duration::from_secs(3600);

fn asked() -> Paper {
    Paper::with(|spec| {
        spec.analysis.aa_spell_s = SPELL.as_secs_f64();
        spec.canary_percent = CanaryPercent::new(20.0).unwrap();
    })
}

fn in_a_spell() -> Paper {
    let mut paper = asked();
    paper.run_until_quiet();
    paper
}

/// Parts of the matching traffic, in percent: production, baseline, canary.
#[track_caller]
fn users_are(paper: &Paper, expected: [f64; 3]) {
    let rule = paper.world.our_rule(&paper.desired.id, RuleKind::Main).unwrap();
    let Some(Action::Forward(forward)) = rule.actions.last() else {
        panic!("the main rule forwards")
    };
    let weights: Vec<f64> = forward.groups.iter().map(|group| f64::from(group.weight)).collect();
    let total: f64 = weights.iter().sum();
    for (weight, expected) in weights.iter().zip(expected) {
        let percent = 100.0 * weight / total;
        assert!((percent - expected).abs() < 0.1, "{weights:?}, not {expected}");
    }
}

#[test]
fn the_baseline_alone_has_its_whole_share_until_the_spell_is_over() {
    let mut paper = in_a_spell();
    assert_eq!(paper.phase(), Phase::Serving);
    users_are(&paper, [80.0, 20.0, 0.0]);
    let waiting = paper.look().waiting;
    assert!(
        waiting
            .iter()
            .any(|waiting| matches!(waiting.reason, WaitReason::Spell { .. })),
        "{waiting:?}"
    );
    let said = confounder(&paper.desired, &paper.world).unwrap().to_string();
    assert!(
        said.starts_with("A/A spell: until about ") && said.contains("the canary none yet"),
        "{said}"
    );
    paper.pass_time(SPELL);
    let steps = paper.round();
    assert!(
        matches!(
            steps[..],
            [Step::ModifyRule {
                kind: RuleKind::Main,
                ..
            }]
        ),
        "{steps:?}"
    );
    assert!(matches!(
        confounder(&paper.desired, &paper.world),
        Some(Confounder::Spell { until: None })
    ));
    paper.run_until_quiet();
    users_are(&paper, [60.0, 20.0, 20.0]);
    assert_eq!((paper.desired.spell, paper.phase()), (Spell::Over, Phase::Serving));
    assert_eq!(confounder(&paper.desired, &paper.world), None);
    assert_eq!(paper.main_rules_created, 1);
}

#[test]
fn a_share_of_a_half_leaves_production_its_half_in_the_spell() {
    let mut paper = Paper::with(|spec| {
        spec.analysis.aa_spell_s = SPELL.as_secs_f64();
        spec.canary_percent = CanaryPercent::MAX;
        spec.acknowledged = vec!["production_zero".into()];
    });
    paper.run_until_quiet();
    users_are(&paper, [50.0, 50.0, 0.0]);
    paper.pass_time(SPELL);
    paper.run_until_quiet();
    users_are(&paper, [0.0, 50.0, 50.0]);
}

#[test]
fn users_who_were_taken_away_come_back_to_the_baseline_alone() {
    let mut paper = in_a_spell();
    paper.pass_time(SPELL / 2);
    paper.target_health(Arm::Baseline, TargetState::Unhealthy);
    paper.run_until_quiet();
    assert_eq!((paper.phase(), paper.desired.spell), (Phase::Held, Spell::Asked));
    paper.target_health(Arm::Baseline, TargetState::Healthy);
    paper.change(Change::SetShare {
        canary_percent: CanaryPercent::new(10.0).unwrap(),
    });
    paper.run_until_quiet();
    users_are(&paper, [90.0, 10.0, 0.0]);
    paper.pass_time(SPELL);
    paper.run_until_quiet();
    users_are(&paper, [80.0, 10.0, 10.0]);
}

#[test]
fn the_canarys_users_wait_while_an_arm_is_not_healthy() {
    let mut paper = Paper::with(|spec| {
        spec.analysis.aa_spell_s = SPELL.as_secs_f64();
        spec.instances.per_arm = 2;
    });
    paper.run_until_quiet();
    paper.one_target_health(Arm::Canary, TargetState::Unhealthy);
    paper.pass_time(SPELL);
    assert!(paper.round().is_empty());
    paper.one_target_health(Arm::Canary, TargetState::Healthy);
    paper.run_until_quiet();
    users_are(&paper, [90.0, 5.0, 5.0]);
}

#[test]
fn a_rule_that_somebody_edits_in_the_spell_is_taken_away() {
    let mut paper = in_a_spell();
    paper.edit_main_weights(|weights| weights[2] = 1);
    paper.run_until_quiet();
    assert_eq!(paper.phase(), Phase::Held);
}

#[test]
fn the_plan_shows_the_listener_after_the_spell_and_names_it() {
    let mut spec = spec();
    spec.analysis.aa_spell_s = 90.0;
    let plan = make_preview(&spec, &[site()], &files());
    let ours = plan
        .rules_after
        .iter()
        .find(|rule| rule.ours.as_deref() == Some("main"))
        .unwrap();
    let plain = make_preview(&crate::paper::spec(), &[site()], &files());
    assert!(plain.rules_after.contains(ours));
    let named = |line: &String| line.contains("the baseline alone for 1.5 min");
    assert!(plan.checklist.iter().any(named), "{:?}", plan.checklist);
    assert!(!plain.checklist.iter().any(named));
    spec.lifetime_h = 0.02;
    assert!(
        spec.problems()
            .iter()
            .any(|problem| problem.name == "spec:analysis.aa_spell_s")
    );
}
