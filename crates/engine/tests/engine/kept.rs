//! What is kept of a deployment gives the verdict that was said.

use arya_judge::Outcome;
use arya_plan::desired::Change;
use arya_plan::phase::Phase;

use crate::rig::{Rig, usual_judge};

async fn check(rig: Rig) {
    let id = rig.desired.id;
    let kept = rig.store.kept(&id, &usual_judge()).unwrap().unwrap();
    let said = rig.store.last_verdict(&id, None).unwrap().unwrap();
    assert_eq!(kept.run.judged_by(&kept.run.config), said.verdict);
    assert_eq!(kept.said, Some((said.at, said.verdict.outcome)));
    let mut head = rig.store.kept_head(&id, &usual_judge()).unwrap().unwrap();
    assert!(head.run.evidence.is_empty(), "a list needs no block");
    head.run.evidence.clone_from(&kept.run.evidence);
    assert_eq!(head, kept);
}

#[tokio::test(start_paused = true)]
async fn a_pass_is_found_again_in_what_is_kept() {
    let rig = Rig::new();
    rig.until(|r| r.verdict.as_ref().is_some_and(|v| v.outcome == Outcome::NoWorse))
        .await;
    check(rig).await;
}

#[tokio::test(start_paused = true)]
async fn it_outlives_the_deployment() {
    let rig = Rig::new();
    rig.until(|r| r.verdict.as_ref().is_some_and(|v| v.outcome == Outcome::NoWorse))
        .await;
    rig.submit(&Change::Destroy).unwrap();
    rig.until_phase(Phase::Destroyed).await;
    check(rig).await;
}

#[tokio::test(start_paused = true)]
async fn of_what_was_never_measured_nothing_is_kept() {
    let rig = Rig::new();
    assert_eq!(rig.store.kept(&rig.desired.id, &usual_judge()).unwrap(), None);
    assert_eq!(rig.store.kept_head(&rig.desired.id, &usual_judge()).unwrap(), None);
}
