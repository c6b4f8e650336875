//! The safety case: what the judge and the watchdog do by themselves, and what only a person may do.

use arya_judge::Outcome;
use arya_plan::desired::{Change, HoldReason, MainRule};
use arya_plan::observed::TargetState;
use arya_plan::phase::Phase;
use serde_json::json;

use crate::rig::Rig;
use crate::world::{BLOCK_S, production, set_share};

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
}

#[tokio::test(start_paused = true)]
async fn what_was_overruled_does_not_raise_the_alarm_again() {
    let mut rig = overruled(1.0).await;
    let anew = rig.until_judged().await.verdict.unwrap();
    assert_eq!(anew.outcome, Outcome::Inconclusive, "{}", anew.sentence());
    let passed = |report: &arya_engine::Report| report.verdict.as_ref().unwrap().outcome == Outcome::NoWorse;
    rig.until(passed).await;
    // Nor does a process that starts anew take up the old evidence again.
    rig = rig.crash();
    for _ in 0..10 {
        assert!(passed(&rig.until_judged().await));
    }
    assert!(rig.world.main_rule_stands(&rig.desired));
    assert_eq!(rig.told("Harmful:"), 1);
}

#[tokio::test(start_paused = true)]
async fn harm_that_is_shown_anew_after_an_override_latches_again() {
    let rig = overruled(20.0).await;
    let overruled_at = rig.hand.now();
    let latched = |report: &arya_engine::Report| report.desired.is_harmful();
    let harmful = rig.until(latched).await;
    assert!(!rig.world.main_rule_stands(&rig.desired));
    assert_eq!(rig.told("The judge removed the canary's traffic"), 2);
    let again = harmful.desired.harmful.clone().unwrap();
    assert!(again.at.duration_since(overruled_at).as_secs() >= BLOCK_S, "{again:?}");
    // It rests on what came after the override alone, also for a process that starts anew.
    let counted = |report: &arya_engine::Report| report.verdict.as_ref().unwrap().metrics[0].canary.exposure;
    let seconds = again.at.duration_since(overruled_at).as_secs();
    assert!(counted(&harmful) <= 10_000.0 * (seconds / BLOCK_S) as f64);
    let later = rig.crash().tick().await;
    assert!(is_harmful(&later) && later.desired.harmful == harmful.desired.harmful);
    assert_eq!(counted(&later), counted(&harmful));
}

#[tokio::test(start_paused = true)]
async fn under_an_alert_an_override_begins_the_evidence_anew_in_the_same_look() {
    let rig = Rig::analysed(json!({"on_harmful": "alert"}));
    rig.world.canary_fails(20.0);
    rig.until(is_harmful).await;
    rig.world.canary_fails(1.0);
    rig.submit(&Change::Overrule {
        reason: "a known flaky endpoint".into(),
    })
    .unwrap();
    let report = rig.tick().await;
    assert!(!is_harmful(&report) && !report.desired.is_harmful());
    rig.until(|report| report.verdict.as_ref().unwrap().outcome == Outcome::NoWorse)
        .await;
    assert_eq!(rig.told("The judge raised the alarm."), 1);
    rig.world.canary_fails(20.0);
    rig.until(is_harmful).await;
    assert_eq!(rig.told("The judge raised the alarm."), 2);
    assert!(rig.world.main_rule_stands(&rig.desired));
}

/// A harmful canary that Ana overruled and gave its share again, with so many of its requests failing from then on.
async fn overruled(canary_fails: f64) -> Rig {
    let rig = harmed().await;
    rig.world.canary_fails(canary_fails);
    rig.submit(&Change::Overrule {
        reason: "a known flaky endpoint".into(),
    })
    .unwrap();
    rig.submit(&set_share(5.0)).unwrap();
    rig
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
    // Nothing is done by itself up to the end, and the result is not forgotten by it.
    rig.hand.advance(std::time::Duration::from_secs(4 * 3600));
    let end = rig.until_phase(Phase::Destroyed).await;
    assert_eq!(rig.told("The deployment's lifetime is over"), 1);
    assert!(is_harmful(&end) && end.restore_proof.unwrap().holds());
}

#[tokio::test(start_paused = true)]
async fn on_harmful_destroy_destroys() {
    let rig = Rig::analysed(json!({"on_harmful": "destroy"}));
    rig.world.canary_fails(20.0);
    let end = rig.until_phase(Phase::Destroyed).await;
    assert!(is_harmful(&end) && rig.world.is_restored());
    assert_eq!(end.restore_proof.unwrap().differences, []);
    assert_eq!(rig.told("Production is exactly as before: 0 differences."), 1);
    let order = [
        "The judge removed the canary's traffic (before: 5 %). Harmful:",
        "Arya deleted the main rule.",
        "Production is exactly as before",
    ];
    let feed = rig.feed();
    let place = |part: &str| feed.iter().position(|sentence| sentence.starts_with(part)).unwrap();
    assert!(order.map(place).is_sorted(), "{feed:?}");
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
    let held = rig.until_phase(Phase::Held).await.verdict.unwrap();
    let paused = held.paused.as_ref().unwrap();
    assert_eq!(
        (held.outcome, paused.why.clone()),
        (Outcome::Inconclusive, expected.to_string())
    );
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
