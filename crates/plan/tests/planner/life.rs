//! A deployment's whole life on paper: the planner against a world in which every step works, and against people and
//! accidents in between.

use std::time::Duration;

use arya_plan::decide::forbids;
use arya_plan::desired::{Change, HoldReason, MainRule, Refusal};
use arya_plan::identity::{Arm, Place, Role, RuleKind};
use arya_plan::listener::shares::CanaryPercent;
use arya_plan::listener::{Forward, RuleId};
use arya_plan::observed::{BootPhase, InstanceState, TargetState};
use arya_plan::phase::Phase;
use arya_plan::plan::{Step, WaitReason};

use crate::paper::Paper;

fn share(percent: f64) -> CanaryPercent {
    CanaryPercent::new(percent).unwrap()
}

fn main_forward(paper: &Paper) -> Option<Forward> {
    paper
        .world
        .our_rule(&paper.desired.id, RuleKind::Main)
        .and_then(|rule| rule.forward().cloned())
}

#[test]
fn a_deployment_reaches_serving_and_then_nothing_is_left_to_do() {
    let mut paper = Paper::new();
    paper.run_until_quiet();
    assert_eq!(paper.phase(), Phase::Serving);
    let weights: Vec<u16> = main_forward(&paper).unwrap().groups.iter().map(|g| g.weight).collect();
    assert_eq!(weights, [18, 1, 1]);
    assert_eq!(paper.look().steps, []);
    assert_eq!(paper.look().waiting, []);
}

#[test]
fn no_user_reaches_our_groups_before_both_arms_are_healthy_twice() {
    let mut paper = Paper::new();
    for _ in 0..20 {
        let before = paper.both_healthy();
        let steps = paper.round();
        let creates_main = steps.iter().any(|s| {
            matches!(
                s,
                Step::CreateRule {
                    kind: RuleKind::Main,
                    ..
                }
            )
        });
        assert!(
            !creates_main || before,
            "the main rule was made before both arms were healthy"
        );
    }
    assert_eq!(paper.phase(), Phase::Serving);
}

#[test]
fn a_share_of_zero_makes_no_main_rule_and_waits_for_a_person() {
    let mut paper = Paper::with(|spec| spec.canary_percent = share(0.0));
    paper.run_until_quiet();
    assert_eq!(paper.phase(), Phase::Held);
    assert_eq!(main_forward(&paper), None);
    assert!(matches!(paper.look().waiting[0].reason, WaitReason::Person { .. }));
    paper.change(Change::SetShare {
        canary_percent: share(10.0),
    });
    paper.run_until_quiet();
    assert_eq!(paper.phase(), Phase::Serving);
}

#[test]
fn the_share_of_a_live_canary_changes_in_place_and_zero_removes_the_rule() {
    let mut paper = Paper::serving();
    for (percent, weights) in [(25.0, [2, 1, 1]), (5.0, [18, 1, 1])] {
        paper.change(Change::SetShare {
            canary_percent: share(percent),
        });
        assert!(matches!(paper.round()[..], [Step::ModifyRule { .. }]));
        let found: Vec<u16> = main_forward(&paper).unwrap().groups.iter().map(|g| g.weight).collect();
        assert_eq!(found, weights);
    }
    paper.change(Change::SetShare {
        canary_percent: share(0.0),
    });
    assert_eq!(paper.round(), [Step::DeleteRule { kind: RuleKind::Main }]);
    assert_eq!(paper.phase(), Phase::Held);
}

#[test]
fn with_one_target_of_two_sick_the_share_can_be_lowered_but_not_raised() {
    let mut paper = Paper::with(|spec| spec.instances.per_arm = 2);
    paper.run_until_quiet();
    paper.one_target_health(Arm::Canary, TargetState::Unhealthy);
    assert_eq!(paper.phase(), Phase::Serving, "one healthy target is enough to go on");
    paper.change(Change::SetShare {
        canary_percent: share(25.0),
    });
    assert_eq!(paper.round(), []);
    paper.change(Change::SetShare {
        canary_percent: share(1.0),
    });
    assert!(matches!(paper.round()[..], [Step::ModifyRule { .. }]));
}

#[test]
fn a_rule_below_that_changes_during_provisioning_holds_and_a_person_can_go_on_once_it_is_back() {
    let mut paper = Paper::new();
    paper.run_steps(5);
    let before = paper.world.site.clone();
    paper.swap_production();
    paper.run_until_quiet();
    assert_eq!(paper.phase(), Phase::Held);
    paper.world.site.clone_from(&before);
    paper.change(Change::SetShare {
        canary_percent: share(5.0),
    });
    paper.run_until_quiet();
    assert_eq!(paper.phase(), Phase::Serving);
}

#[test]
fn destroy_at_any_step_leaves_nothing_and_strangers_alone() {
    for steps_before in 0..40 {
        let mut paper = Paper::new();
        let strangers = paper.strangers();
        paper.run_steps(steps_before);
        paper.change(Change::Destroy);
        paper.run_until_quiet();
        assert_eq!(paper.phase(), Phase::Destroyed, "after {steps_before} steps");
        assert!(paper.nothing_of_ours(), "after {steps_before} steps: {:?}", paper.world);
        assert_eq!(paper.strangers(), strangers, "after {steps_before} steps");
        assert!(paper.proof().differences.is_empty(), "after {steps_before} steps");
    }
}

#[test]
fn destroy_takes_the_rules_first_and_instances_only_when_drained() {
    let mut paper = Paper::serving();
    paper.change(Change::Destroy);
    let first = paper.look().steps;
    assert!(first.iter().all(|s| matches!(s, Step::DeleteRule { .. })), "{first:?}");
    paper.round();
    paper.pass_time(paper.timing.settle);
    let second = paper.look().steps;
    let terminated: Vec<_> = second
        .iter()
        .filter(|s| matches!(s, Step::TerminateInstance { .. }))
        .collect();
    let monitor = Place {
        role: Role::Monitor,
        index: 0,
    };
    assert_eq!(
        terminated,
        [&Step::TerminateInstance {
            place: monitor,
            incarnation: 1
        }]
    );
    assert!(second.iter().any(|s| matches!(s, Step::DeregisterTarget { .. })));
}

#[test]
fn the_rule_goes_in_the_same_look_when_the_rule_below_changes() {
    let mut paper = Paper::serving();
    paper.swap_production();
    let steps = paper.round();
    assert_eq!(steps, [Step::DeleteRule { kind: RuleKind::Main }]);
    assert_eq!(
        paper.desired.hold.as_ref().unwrap().reason,
        HoldReason::RuleBelowChanged
    );
    paper.run_until_quiet();
    assert_eq!(paper.phase(), Phase::Held);
    assert_eq!(main_forward(&paper), None);
}

#[test]
fn raising_the_share_over_a_changed_rule_below_is_undone_before_any_user_sees_it() {
    let mut paper = Paper::serving();
    paper.swap_production();
    paper.run_until_quiet();
    paper.change(Change::SetShare {
        canary_percent: share(5.0),
    });
    let steps = paper.round();
    assert!(
        !steps.iter().any(|s| matches!(
            s,
            Step::CreateRule {
                kind: RuleKind::Main,
                ..
            }
        )),
        "{steps:?}"
    );
    assert_eq!(
        paper.desired.hold.as_ref().unwrap().reason,
        HoldReason::RuleBelowChanged
    );
}

#[test]
fn the_rule_goes_when_any_weighted_group_has_no_healthy_target() {
    let mut paper = Paper::serving();
    paper.production_health(0);
    assert_eq!(paper.round(), [Step::DeleteRule { kind: RuleKind::Main }]);
    assert!(matches!(
        paper.desired.hold.as_ref().unwrap().reason,
        HoldReason::ProductionUnhealthy { .. }
    ));

    let mut paper = Paper::serving();
    paper.target_health(Arm::Baseline, TargetState::Unhealthy);
    assert_eq!(paper.round(), [Step::DeleteRule { kind: RuleKind::Main }]);
    assert_eq!(
        paper.desired.hold.as_ref().unwrap().reason,
        HoldReason::ArmUnhealthy { arm: Arm::Baseline }
    );
}

#[test]
fn a_lost_instance_is_replaced_before_users_come_and_never_after() {
    let canary = Place {
        role: Role::Canary,
        index: 0,
    };
    let mut paper = Paper::new();
    paper.run_steps(11);
    paper.end_instance(canary);
    paper.run_until_quiet();
    assert_eq!(paper.desired.incarnation(canary), 2);
    assert_eq!(paper.phase(), Phase::Serving);
    let targets = &paper.world.groups[&Arm::Canary].targets;
    assert_eq!(targets.iter().map(|t| t.incarnation).collect::<Vec<_>>(), [2]);

    paper.end_instance(canary);
    paper.run_until_quiet();
    assert_eq!(paper.desired.incarnation(canary), 2);
    assert_eq!(
        paper.desired.hold.as_ref().unwrap().reason,
        HoldReason::InstanceLost { place: canary }
    );
    assert_eq!(paper.phase(), Phase::Held);
}

#[test]
fn an_instance_that_keeps_ending_ends_the_deployment() {
    let canary = Place {
        role: Role::Canary,
        index: 0,
    };
    let mut paper = Paper::new();
    for _ in 0..60 {
        paper.round();
        if paper.desired.failed.is_some() {
            break;
        }
        paper.end_instance(canary);
    }
    assert_eq!(paper.phase(), Phase::Failed);
    let failed = paper.desired.failed.clone().unwrap();
    assert!(
        failed.contains("3 times") && failed.contains("no room in the zone"),
        "{failed}"
    );
}

#[test]
fn a_failed_boot_is_told_with_its_log_and_takes_no_traffic() {
    let mut paper = Paper::new();
    paper.run_steps(11);
    paper.boot(
        Place {
            role: Role::Canary,
            index: 0,
        },
        BootPhase::Failed,
        Some("exec format error"),
    );
    paper.run_until_quiet();
    assert_eq!(paper.phase(), Phase::Failed);
    assert!(paper.desired.failed.as_ref().unwrap().contains("exec format error"));
    assert_eq!(main_forward(&paper), None);
    let refused = paper.try_change(Change::SetShare {
        canary_percent: share(5.0),
    });
    assert!(matches!(refused, Err(Refusal::Failed { .. })));
}

#[test]
fn what_a_person_deleted_by_hand_is_not_put_back() {
    let mut paper = Paper::serving();
    paper.delete_our_rule(RuleKind::Main);
    paper.run_until_quiet();
    assert_eq!(paper.desired.hold.as_ref().unwrap().reason, HoldReason::OurRuleRemoved);
    assert_eq!(main_forward(&paper), None);
    paper.change(Change::SetShare {
        canary_percent: share(5.0),
    });
    paper.run_until_quiet();
    assert_eq!(paper.phase(), Phase::Serving);
}

#[test]
fn weights_that_a_person_changed_by_hand_are_not_put_back() {
    let mut paper = Paper::serving();
    paper.edit_main_weights(|weights| weights[1..].fill(0));
    assert_eq!(paper.round(), [Step::DeleteRule { kind: RuleKind::Main }]);
    assert_eq!(paper.desired.hold.as_ref().unwrap().reason, HoldReason::OurRuleEdited);
    paper.change(Change::SetShare {
        canary_percent: share(5.0),
    });
    paper.run_until_quiet();
    assert_eq!(paper.phase(), Phase::Serving);
}

#[test]
fn an_instance_lost_long_after_its_files_came_is_replaced_and_not_given_up() {
    let canary = Place {
        role: Role::Canary,
        index: 0,
    };
    let mut paper = Paper::with(|spec| spec.canary_percent = share(0.0));
    paper.run_until_quiet();
    paper.pass_time(paper.timing.boot_at_most * 2);
    paper.end_instance(canary);
    paper.run_until_quiet();
    assert_eq!(paper.desired.failed, None);
    assert_eq!(paper.desired.incarnation(canary), 2);
}

#[test]
fn one_sick_moment_of_a_long_healthy_arm_is_not_the_end() {
    let mut paper = Paper::with(|spec| spec.canary_percent = share(0.0));
    paper.run_until_quiet();
    paper.pass_time(paper.timing.healthy_at_most * 2);
    paper.target_health(Arm::Canary, TargetState::Unhealthy);
    paper.run_steps(3);
    assert_eq!(paper.desired.failed, None);
    paper.pass_time(paper.timing.healthy_at_most);
    paper.run_steps(1);
    assert!(paper.desired.failed.as_ref().unwrap().contains("not healthy"));
}

#[test]
fn an_arm_that_waits_for_the_other_is_not_taken_for_sick() {
    let baseline = Place {
        role: Role::Baseline,
        index: 0,
    };
    let mut paper = Paper::new();
    paper.run_steps(11);
    paper.boot(baseline, BootPhase::DockerReady, None);
    for _ in 0..3 {
        paper.round();
    }
    assert!(!paper.world.groups[&Arm::Canary].targets.is_empty());
    paper.pass_time(paper.timing.healthy_at_most * 2);
    paper.look();
    assert_eq!(paper.desired.failed, None);
    paper.boot(baseline, BootPhase::Ready, None);
    paper.run_until_quiet();
    assert_eq!(paper.phase(), Phase::Serving);
}

#[test]
fn an_instance_that_never_reports_ready_ends_the_deployment_after_its_limit() {
    let mut paper = Paper::new();
    paper.run_steps(11);
    paper.boot(
        Place {
            role: Role::Baseline,
            index: 0,
        },
        BootPhase::Up,
        None,
    );
    paper.run_steps(2);
    assert_eq!(paper.desired.failed, None);
    paper.pass_time(paper.timing.boot_at_most);
    paper.run_steps(1);
    assert!(paper.desired.failed.as_ref().unwrap().contains("did not report ready"));
}

#[test]
fn files_that_never_arrive_end_the_deployment_with_the_last_reason() {
    let mut paper = Paper::new();
    paper.run_steps(4);
    paper.fail_uploads("The disk is full.");
    assert!(
        paper
            .look()
            .waiting
            .iter()
            .any(|w| w.reason.to_string().contains("The disk is full."))
    );
    paper.pass_time(paper.timing.uploads_at_most);
    paper.fail_uploads("The disk is full.");
    paper.round();
    assert!(paper.desired.failed.as_ref().unwrap().contains("The disk is full."));
}

#[test]
fn a_raise_that_the_watchdog_would_undo_is_known_before() {
    let mut paper = Paper::serving();
    assert_eq!(forbids(&paper.desired, &paper.world, share(25.0)), None);
    paper.swap_production();
    paper.run_until_quiet();
    assert_eq!(
        forbids(&paper.desired, &paper.world, share(5.0)),
        Some(HoldReason::RuleBelowChanged)
    );
    assert_eq!(forbids(&paper.desired, &paper.world, share(0.0)), None);
}

#[test]
fn the_deadline_destroys() {
    let mut paper = Paper::serving();
    paper.pass_time(std::time::Duration::from_secs(5 * 3600));
    paper.run_until_quiet();
    assert_eq!(paper.phase(), Phase::Destroyed);
}

/// What was created in the last look before destroy may be listed a whole lag later.
#[test]
fn quiet_looks_from_before_destroy_do_not_prove_that_nothing_is_left() {
    let mut paper = Paper::new();
    paper.look();
    paper.pass_time(Duration::from_secs(30));
    paper.change(Change::Destroy);
    assert_eq!(paper.look().phase, Phase::Destroying);
    paper.pass_time(Duration::from_secs(30));
    assert_eq!(paper.phase(), Phase::Destroyed);
}

#[test]
fn destroy_cannot_be_taken_back_and_is_idempotent() {
    let mut paper = Paper::serving();
    paper.change(Change::Destroy);
    assert_eq!(paper.try_change(Change::Destroy), Ok(false));
    assert_eq!(
        paper.try_change(Change::SetShare {
            canary_percent: share(5.0)
        }),
        Err(Refusal::Destroying)
    );
}

#[test]
fn half_for_each_arm_needs_to_be_acknowledged() {
    let mut paper = Paper::serving();
    let half = Change::SetShare {
        canary_percent: share(50.0),
    };
    assert_eq!(paper.try_change(half.clone()), Err(Refusal::ProductionZero));
    paper.desired.spec.acknowledged.push("production_zero".into());
    paper.change(half);
    paper.run_until_quiet();
    let weights: Vec<u16> = main_forward(&paper).unwrap().groups.iter().map(|g| g.weight).collect();
    assert_eq!(weights, [0, 1, 1]);
}

#[test]
fn a_slow_drain_is_given_up_after_its_limit() {
    let mut paper = Paper::serving();
    paper.change(Change::Destroy);
    paper.round();
    paper.pass_time(paper.timing.settle);
    paper.stuck_draining();
    let instances = |paper: &Paper| {
        let app = paper.world.instances.iter().filter(|i| i.place.role != Role::Monitor);
        app.filter(|i| i.state == InstanceState::Running).count()
    };
    paper.round();
    assert_eq!(instances(&paper), 2, "targets that drain keep their instances");
    assert_eq!(paper.phase(), Phase::Draining);
    paper.pass_time(std::time::Duration::from_secs(121));
    paper.round();
    assert_eq!(instances(&paper), 0);
}

#[test]
fn the_proof_lists_what_others_changed_without_calling_it_ours() {
    let mut paper = Paper::serving();
    paper.swap_production();
    paper.change(Change::Destroy);
    paper.run_until_quiet();
    let proof = paper.proof();
    assert!(proof.holds());
    assert_eq!(proof.differences.len(), 2, "{proof:?}");
    assert!(
        proof.differences[0].sentence.contains("changed by others (actions)"),
        "{proof:?}"
    );
}

#[test]
fn main_rule_creations_equal_human_decisions() {
    let mut paper = Paper::new();
    paper.run_until_quiet();
    for percent in [0.0, 5.0, 25.0, 0.0, 10.0] {
        paper.change(Change::SetShare {
            canary_percent: share(percent),
        });
        paper.run_until_quiet();
    }
    assert_eq!(paper.main_rules_created, 3, "deploy, 0 → 5, 0 → 10");
    assert_eq!(paper.desired.main_rule, MainRule::Seen);
    assert_eq!(
        paper
            .world
            .site
            .as_ref()
            .unwrap()
            .rule(&RuleId::new("default"))
            .unwrap()
            .id,
        RuleId::new("default")
    );
}
