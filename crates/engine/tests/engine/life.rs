//! Whole lives without trouble.

use std::time::Duration;

use arya_judge::Outcome;
use arya_plan::desired::{Change, MainRule};
use arya_plan::phase::Phase;

use crate::rig::Rig;
use crate::world::set_share;

#[tokio::test(start_paused = true)]
async fn a_whole_life_ends_with_production_exactly_as_before() {
    let rig = Rig::new();
    let judged = rig
        .until(|r| r.verdict.as_ref().is_some_and(|v| v.outcome == Outcome::NoWorse))
        .await;
    assert!(!judged.tracks[0].points.is_empty());
    rig.submit(&set_share(25.0)).unwrap();
    rig.tick().await;
    rig.submit(&Change::Destroy).unwrap();
    let last = rig.until_phase(Phase::Destroyed).await;
    assert!(last.closed_at.is_some());
    assert_eq!(last.restore_proof.unwrap().differences, vec![]);
    assert!(rig.world.is_restored());
    assert_eq!(
        rig.feed().last().unwrap(),
        "Production is exactly as before: 0 differences."
    );
}

#[tokio::test(start_paused = true)]
async fn a_serving_deployment_is_quiet() {
    let rig = Rig::new();
    rig.until_judged().await;
    rig.world.take_applied();
    for _ in 0..10 {
        rig.tick().await;
    }
    assert_eq!(rig.world.take_applied(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_closed_deployment_is_not_touched_again() {
    let rig = Rig::new();
    rig.submit(&Change::Destroy).unwrap();
    rig.until_phase(Phase::Destroyed).await;
    rig.world.take_applied();
    let again = rig.tick().await;
    assert_eq!((again.phase, rig.world.take_applied().len()), (Phase::Destroyed, 0));
    assert!(rig.submit(&Change::Destroy).is_ok());
    assert!(
        rig.submit(&set_share(5.0))
            .unwrap_err()
            .to_string()
            .contains("destroyed already")
    );
}

#[tokio::test(start_paused = true)]
async fn a_new_share_reaches_the_rule_in_the_next_look() {
    let rig = Rig::new();
    rig.until_judged().await;
    rig.world.take_applied();
    rig.submit(&set_share(25.0)).unwrap();
    rig.tick().await;
    assert_eq!(rig.world.take_applied(), ["change the weights of the main rule"]);
}

#[tokio::test(start_paused = true)]
async fn share_zero_removes_the_rule_in_the_next_look_and_says_no_verdict() {
    let rig = Rig::new();
    rig.until(|r| r.verdict.as_ref().is_some_and(|v| v.outcome == Outcome::NoWorse))
        .await;
    rig.submit(&set_share(0.0)).unwrap();
    let report = rig.tick().await;
    assert!(!rig.world.main_rule_stands(&rig.desired));
    let verdict = report.verdict.unwrap();
    assert_eq!(verdict.outcome, Outcome::Inconclusive, "{}", verdict.sentence());
    assert_eq!(
        verdict.paused.unwrap().why,
        "The share is 0: users get production only."
    );
    assert_eq!(rig.until_phase(Phase::Held).await.desired.main_rule, MainRule::Away);
}

#[tokio::test(start_paused = true)]
async fn evidence_goes_on_across_weights_and_the_minimum_bake_starts_again() {
    let rig = Rig::new();
    let no_worse = rig
        .until(|r| r.verdict.as_ref().is_some_and(|v| v.outcome == Outcome::NoWorse))
        .await;
    let before = no_worse.verdict.unwrap().metrics[0].canary.exposure;
    rig.submit(&set_share(25.0)).unwrap();
    let report = rig.tick().await;
    let verdict = report.verdict.unwrap();
    assert_eq!(verdict.outcome, Outcome::Inconclusive, "{}", verdict.sentence());
    assert!(verdict.metrics[0].canary.exposure >= before);
    rig.until(|r| r.verdict.as_ref().is_some_and(|v| v.outcome == Outcome::NoWorse))
        .await;
}

#[tokio::test(start_paused = true)]
async fn each_block_is_asked_for_once() {
    let rig = Rig::new();
    rig.until_judged().await;
    for _ in 0..60 {
        rig.tick().await;
    }
    let windows = rig.world.windows();
    assert!(
        windows.len() <= 16,
        "{} questions in a minute of 5 s blocks",
        windows.len()
    );
    for pair in windows.windows(2) {
        assert!(
            pair[0].start() <= pair[1].start() && pair[0].end() < pair[1].end(),
            "{pair:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_lifetime_ends_it() {
    let rig = Rig::new();
    rig.until_judged().await;
    rig.hand.advance(Duration::from_secs(4 * 3600));
    rig.until_phase(Phase::Destroyed).await;
    assert_eq!(
        rig.told("The deployment's lifetime is over: everything of ours is to be removed."),
        1
    );
    assert!(rig.world.is_restored());
}
