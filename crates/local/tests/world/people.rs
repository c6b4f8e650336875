//! What people do by hand, and what of it the cloud refuses to them as well.

use arya_local::world::{Edit, Happened, Mishap, World};
use arya_plan::desired::{Change, HoldReason};
use arya_plan::identity::{Arm, InstallationId, RuleKind};
use arya_plan::listener::{Action, Forward, GroupId, WeightedGroup};
use arya_plan::phase::Phase;
use arya_plan::plan::Step;
use arya_plan::proof::restore_proof;

use crate::stage::{Stage, aws};

/// Every edit and every mishap does something at some moment of a life: while it serves, at its start, or on its way out.
#[test]
fn whatever_can_happen_happens_somewhere_in_a_life() {
    let mut moments = vec![Stage::new(), Stage::before("images", |_| {})];
    let mut stage = Stage::with(aws);
    for _ in 0..20 {
        stage.round();
        moments.push(stage.fork());
    }
    stage.until_phase(Phase::Serving);
    moments.push(stage.fork());
    stage.change(&Change::Destroy);
    // Until the groups are of no use to any rule, and later the security groups to any instance.
    for _ in 0..60 {
        stage.round();
        moments.push(stage.fork());
    }
    for edit in Edit::ALL {
        let somewhere = |m: &Stage| {
            let fork = m.fork();
            let truth = (fork.world.site(), fork.world.truth(&fork.desired));
            let happened = fork.world.edit(&fork.desired, edit) == Happened::Yes;
            let changed = truth != (fork.world.site(), fork.world.truth(&fork.desired));
            assert_eq!(happened, changed, "{edit:?}");
            happened
        };
        assert!(moments.iter().any(somewhere), "{edit:?}");
    }
    let never = [
        Mishap::ArmRecovers(Arm::Baseline),
        Mishap::ArmRecovers(Arm::Canary),
        Mishap::ProductionRecovers,
        Mishap::CanaryTurnsGood,
        Mishap::SourceRecovers,
        Mishap::OneSickens(Arm::Baseline),
        Mishap::OneSickens(Arm::Canary),
    ];
    for mishap in Mishap::ALL {
        let found = moments.iter().any(|m| {
            let fork = m.fork();
            fork.world.mishap(&fork.desired, mishap) == Happened::Yes
        });
        // Only what is ill recovers, and here an arm has one machine.
        assert_eq!(found, !never.contains(&mishap), "{mishap:?}");
    }
}

/// Whatever people do, destroy leaves nothing of ours, and of theirs what they left.
#[test]
fn after_any_edit_destroy_leaves_nothing_of_ours() {
    for edit in Edit::ALL {
        for rounds in [1, 2, 4, 8, 12] {
            let mut stage = Stage::new();
            let before = stage.world.site().unwrap();
            (0..rounds).for_each(|_| drop(stage.round()));
            let _ = stage.world.edit(&stage.desired, edit);
            let strangers = stage.world.strangers_rules();
            (0..rounds).for_each(|_| drop(stage.round()));
            stage.change(&Change::Destroy);
            stage.until_phase(Phase::Destroyed);
            assert_eq!(stage.world.owners(), [], "{edit:?}");
            assert_eq!(stage.world.strangers_rules(), strangers, "{edit:?}");
            let proof = restore_proof(&stage.desired.id, &before, stage.world.site().as_ref());
            assert!(proof.holds(), "{edit:?} {proof:?}");
        }
    }
}

#[track_caller]
fn holds(edit: Edit, wanted: &HoldReason) {
    let mut stage = Stage::serving();
    stage.round();
    assert_eq!(stage.world.edit(&stage.desired, edit), Happened::Yes, "{edit:?}");
    stage.until(|plan, _| plan.phase == Phase::Held);
    let reason = stage.desired.hold.as_ref().map(|hold| &hold.reason);
    assert_eq!(reason, Some(wanted), "{edit:?}");
    assert!(
        stage
            .world
            .owners()
            .iter()
            .all(|owner| { owner.logical_id != arya_plan::identity::LogicalId::Rule(RuleKind::Main) })
    );
}

#[test]
fn what_people_change_under_us_takes_our_rule_away_with_its_reason() {
    holds(Edit::DeleteOurRule(RuleKind::Main), &HoldReason::OurRuleRemoved);
    holds(Edit::ReweighOurRule, &HoldReason::OurRuleEdited);
    holds(Edit::EmptyOurRule, &HoldReason::OurRuleEdited);
    holds(Edit::MoveOurRule(RuleKind::Main), &HoldReason::OurRuleEdited);
    holds(Edit::NarrowOurRule, &HoldReason::OurRuleEdited);
    holds(Edit::ReweighChosen, &HoldReason::RuleBelowChanged);
    holds(Edit::SwapProduction, &HoldReason::RuleBelowChanged);
    holds(Edit::AddRuleBefore, &HoldReason::RuleBelowChanged);
    holds(Edit::DeleteListener, &HoldReason::ListenerGone);
}

#[test]
fn what_does_not_concern_us_changes_nothing() {
    for edit in [Edit::AddOtherRule, Edit::ScaleProduction] {
        let mut stage = Stage::before("images", |_| {});
        stage.until_phase(Phase::Serving);
        stage.round();
        assert_eq!(stage.world.edit(&stage.desired, edit), Happened::Yes);
        stage.pass(30);
        let plan = stage.round();
        assert_eq!((plan.phase, plan.steps), (Phase::Serving, vec![]), "{edit:?}");
    }
}

#[test]
#[should_panic(expected = "neither ours nor the chosen rule's")]
fn a_rule_that_would_send_users_to_a_strangers_group_ends_the_run() {
    let stage = Stage::new();
    let _ = stage.world.edit(&stage.desired, Edit::SwapProduction);
    let groups = vec![WeightedGroup {
        group: GroupId::new("production-green"),
        weight: 1,
    }];
    let step = Step::CreateRule {
        kind: RuleKind::Main,
        priority: 1,
        conditions: vec![],
        actions: vec![Action::Forward(Forward {
            groups,
            stickiness_s: None,
        })],
    };
    let _ = stage.apply(&step);
}

#[test]
#[should_panic(expected = "would touch what it does not own")]
fn a_deployment_of_another_installation_is_not_ours_to_touch() {
    let mut stage = Stage::serving();
    stage.desired.installation = InstallationId::new(uuid::Uuid::from_u128(8));
    let _ = stage.apply(&Step::DeleteRule { kind: RuleKind::Main });
}

#[test]
fn a_priority_that_somebody_took_is_refused() {
    let mut stage = Stage::before("images", |_| {});
    let taken = Edit::TakeOurPriority(RuleKind::Probe);
    assert_eq!(stage.world.edit(&stage.desired, taken), Happened::Yes);
    stage.until_rule_refused("PriorityInUse");
    let world: &World = &stage.world;
    assert_eq!(world.strangers_rules().len(), 3);
}
