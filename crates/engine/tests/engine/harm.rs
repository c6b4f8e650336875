//! The safety case: what the judge and the watchdog do by themselves, and what only a person may do.

use arya_judge::Outcome;
use arya_plan::desired::{Change, HoldReason, MainRule};
use arya_plan::observed::TargetState;
use arya_plan::phase::Phase;
use serde_json::json;

use crate::rig::Rig;
use crate::world::{production, set_share};

fn is_harmful(report: &arya_engine::Report) -> bool {
    report
        .verdict
        .as_ref()
        .is_some_and(|verdict| verdict.outcome == Outcome::Harmful)
}

async fn harmed() -> Rig {
    let rig = Rig::new();
    rig.world.canary_fails(20.0);
    rig.until(is_harmful).await;
    rig
}

#[tokio::test(start_paused = true)]
async fn harm_removes_traffic_in_the_look_that_shows_it() {
    let rig = harmed().await;
    assert!(!rig.world.main_rule_stands(&rig.desired));
    assert_eq!(
        rig.told("The judge removed the canary's traffic (before: 5 %). Harmful:"),
        1
    );
    assert_eq!(rig.world.seen().instances.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn the_verdict_stays_harmful_when_traffic_is_gone_and_after_a_restart() {
    let mut rig = harmed().await;
    rig.world.canary_fails(1.0);
    for _ in 0..20 {
        assert!(is_harmful(&rig.tick().await));
    }
    rig = rig.crash();
    let report = rig.tick().await;
    assert!(is_harmful(&report));
    assert_eq!(report.phase, Phase::Held);
    assert_eq!(rig.told("Harmful:"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_harmful_canary_refuses_a_raise_until_a_person_overrules_it() {
    let rig = harmed().await.crash();
    let refused = rig.submit(&set_share(5.0)).unwrap_err().to_string();
    assert!(refused.contains("overrules it with a reason"), "{refused}");
    rig.submit(&Change::Overrule {
        reason: "a known flaky endpoint".into(),
    })
    .unwrap();
    rig.submit(&set_share(5.0)).unwrap();
    rig.until_phase(Phase::Serving).await;
    assert_eq!(
        rig.told("Ana overruled the harmful verdict: \"a known flaky endpoint\"."),
        1
    );
    // The evidence still says harmful; the overruled latch does not close again by itself.
    let report = rig.until_judged().await;
    assert!(is_harmful(&report));
    rig.tick().await;
    assert!(rig.world.main_rule_stands(&rig.desired));
}

#[tokio::test(start_paused = true)]
async fn destroying_keeps_the_harmful_verdict() {
    let rig = harmed().await;
    rig.submit(&Change::Destroy).unwrap();
    assert!(is_harmful(&rig.until_phase(Phase::Destroyed).await));
    assert_eq!(rig.store.harmful_deployments().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn on_harmful_alert_leaves_traffic_and_keeps_saying_harmful() {
    let rig = Rig::analysed(json!({"on_harmful": "alert"}));
    rig.world.canary_fails(20.0);
    rig.until(is_harmful).await;
    for _ in 0..10 {
        assert!(is_harmful(&rig.tick().await));
    }
    assert!(rig.world.main_rule_stands(&rig.desired));
    assert_eq!(rig.told("The judge raised the alarm."), 1);
}

#[tokio::test(start_paused = true)]
async fn on_harmful_destroy_destroys() {
    let rig = Rig::analysed(json!({"on_harmful": "destroy"}));
    rig.world.canary_fails(20.0);
    assert!(is_harmful(&rig.until_phase(Phase::Destroyed).await));
    assert!(rig.world.is_restored());
}

/// Something happens to a serving deployment; the very next look removes our main rule, for that reason.
async fn check_watchdog(happens: impl Fn(&Rig), expected: HoldReason) {
    let rig = Rig::new();
    rig.until_judged().await;
    happens(&rig);
    let report = rig.tick().await;
    assert!(!rig.world.main_rule_stands(&rig.desired), "{expected}");
    assert_eq!(report.desired.hold.map(|hold| hold.reason), Some(expected.clone()));
    assert_eq!(report.desired.main_rule, MainRule::Away);
    let told = if matches!(expected, HoldReason::OurRuleRemoved) {
        "by hand"
    } else {
        "The watchdog took the canary share to 0 %"
    };
    assert_eq!(rig.told(told), 1, "{:?}", rig.feed());
    for _ in 0..5 {
        rig.tick().await;
    }
    assert!(!rig.world.main_rule_stands(&rig.desired));
    assert_eq!(rig.until_phase(Phase::Held).await.verdict, None);
}

#[tokio::test(start_paused = true)]
async fn production_without_a_healthy_target_removes_our_rule_in_the_same_look() {
    let unhealthy = |rig: &Rig| {
        rig.world.change(|seen| {
            let site = seen.site.as_mut().unwrap();
            site.groups.get_mut(&production()).unwrap().health.healthy = 0;
        });
    };
    check_watchdog(unhealthy, HoldReason::ProductionUnhealthy { group: production() }).await;
}

#[tokio::test(start_paused = true)]
async fn a_production_deploy_below_us_removes_our_rule_in_the_same_look() {
    let swapped = |rig: &Rig| {
        rig.world
            .change(|seen| seen.site.as_mut().unwrap().rules.last_mut().unwrap().actions.clear())
    };
    check_watchdog(swapped, HoldReason::RuleBelowChanged).await;
}

#[tokio::test(start_paused = true)]
async fn our_rule_removed_by_hand_is_not_put_back() {
    check_watchdog(delete_main_rule, HoldReason::OurRuleRemoved).await;
}

fn delete_main_rule(rig: &Rig) {
    rig.world.change(|seen| {
        let rules = &mut seen.site.as_mut().unwrap().rules;
        rules.retain(|rule| rule.priority != arya_plan::listener::Priority::At(50_000));
    });
}

#[tokio::test(start_paused = true)]
async fn an_arm_without_a_healthy_target_removes_our_rule_in_the_same_look() {
    let arm = arya_plan::identity::Arm::Canary;
    let sick = |rig: &Rig| {
        rig.world
            .change(|seen| seen.groups.get_mut(&arm).unwrap().targets[0].health.state = TargetState::Unhealthy);
    };
    check_watchdog(sick, HoldReason::ArmUnhealthy { arm }).await;
}

#[tokio::test(start_paused = true)]
async fn our_rule_removed_before_a_look_has_shown_it_is_not_put_back() {
    let mut rig = Rig::new();
    rig.until(|report| matches!(report.desired.main_rule, MainRule::Made { .. }))
        .await;
    delete_main_rule(&rig);
    rig = rig.crash();
    let held = rig.until_phase(Phase::Held).await;
    assert_eq!(held.desired.hold.unwrap().reason, HoldReason::OurRuleRemoved);
    assert_eq!(rig.told("Arya created the main rule"), 1);
}
