//! A cloud or a source that says no, does not answer, or says yes and does nothing.

use std::time::Duration;

use arya_engine::{BACK_OFF_AT_MOST, EVIDENCE_AT_MOST, OBSERVE_AT_MOST, STEP_AT_MOST};
use arya_judge::{Outcome, SourceError};
use arya_plan::cloud::{CloudError, ErrorKind};
use arya_plan::desired::{Change, MainRule};
use arya_plan::observed::UploadState;
use arya_plan::phase::Phase;
use arya_plan::plan::WaitReason;
use tokio::time::Instant;

use crate::rig::Rig;
use crate::world::{Question, production, set_share};

const CREATE_GROUP: &str = "create the canary target group";

fn throttled() -> CloudError {
    CloudError::new(ErrorKind::Throttled, "Rate exceeded.", "")
}

fn pause(report: &arya_engine::Report) -> Duration {
    report.plan.as_ref().unwrap().look_again_in
}

fn waits(report: &arya_engine::Report, wanted: impl Fn(&WaitReason) -> bool) -> bool {
    report
        .plan
        .as_ref()
        .is_some_and(|plan| plan.waiting.iter().any(|waiting| wanted(&waiting.reason)))
}

#[tokio::test(start_paused = true)]
async fn a_throttled_look_backs_off_doubling_up_to_the_limit() {
    let rig = Rig::new();
    rig.world.fail_looks(Some(throttled()));
    let mut pauses = Vec::new();
    for _ in 0..8 {
        let report = rig.tick().await;
        assert!(waits(&report, |reason| matches!(reason, WaitReason::Cloud { .. })));
        assert_eq!(report.cloud_error.as_deref(), Some("Rate exceeded."));
        pauses.push(pause(&report).as_secs());
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30, 30]);
    assert_eq!(BACK_OFF_AT_MOST.as_secs(), 30);
    rig.world.fail_looks(None);
    let report = rig.tick().await;
    assert_eq!(report.cloud_error, None);
    assert!(pause(&report) <= Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_throttled_step_backs_off_and_is_no_news() {
    let rig = Rig::new();
    rig.world.refuse(CREATE_GROUP, throttled());
    let pauses = [rig.tick().await, rig.tick().await, rig.tick().await].map(|report| pause(&report).as_secs());
    assert_eq!(pauses, [1, 2, 4]);
    assert_eq!(rig.told("The cloud said no"), 0);
    rig.world.refuse_nothing();
    rig.until_phase(Phase::Serving).await;
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_does_not_answer_decides_and_destroys_nothing() {
    let rig = Rig::new();
    rig.until_judged().await;
    rig.world.take_applied();
    rig.world
        .fail_looks(Some(CloudError::new(ErrorKind::Unknown, "No answer.", "")));
    let before = rig.feed();
    for _ in 0..30 {
        let report = rig.tick().await;
        assert_eq!(report.phase, Phase::Serving);
        assert!(report.observed.is_some());
    }
    assert_eq!((rig.world.take_applied(), rig.feed()), (vec![], before));
}

#[tokio::test(start_paused = true)]
async fn a_refused_step_is_told_once_and_then_each_tenth_time() {
    let rig = Rig::new();
    rig.world.refuse(
        CREATE_GROUP,
        CloudError::refused("The role lacks a permission.", "Add it."),
    );
    rig.until(|_| rig.told("10 times in a row") == 1).await;
    assert_eq!(rig.told("The cloud said no"), 2);
    let first = "The cloud said no to \"create the canary target group\": The role lacks a permission. Add it. It will be tried again.";
    assert_eq!(rig.told(first), 1, "{:?}", rig.feed());
    rig.world.refuse_nothing();
    rig.until_phase(Phase::Serving).await;
    assert_eq!(rig.told("Arya created the canary target group."), 1);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_changes_nothing_five_times_shows_as_stuck_and_is_still_tried() {
    let rig = Rig::new();
    rig.world.ignore(CREATE_GROUP);
    let stuck = |report: &arya_engine::Report| {
        waits(
            report,
            |reason| matches!(reason, WaitReason::Stuck { step, .. } if step == CREATE_GROUP),
        )
    };
    rig.until(stuck).await;
    rig.world.take_applied();
    for _ in 0..100 {
        assert!(stuck(&rig.tick().await));
    }
    let tries = rig.world.take_applied().len();
    assert!((2..20).contains(&tries), "{tries} tries in half a minute");
    assert_eq!(rig.told("Arya created the canary target group."), 1);
}

#[tokio::test(start_paused = true)]
async fn taking_our_rule_away_is_never_put_off() {
    let rig = Rig::new();
    rig.until_judged().await;
    rig.world
        .refuse("delete the main rule", CloudError::refused("Not allowed.", ""));
    rig.submit(&set_share(0.0)).unwrap();
    for _ in 0..12 {
        rig.tick().await;
    }
    rig.world.take_applied();
    for _ in 0..5 {
        rig.tick().await;
    }
    assert_eq!(rig.world.take_applied().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_failed_source_is_a_reason_and_never_a_verdict() {
    let rig = Rig::new();
    rig.world.fail_source(Some(SourceError::Unreachable {
        what: "connection refused".into(),
    }));
    let report = rig.until_judged().await;
    let verdict = report.verdict.unwrap();
    assert_eq!(verdict.outcome, Outcome::Inconclusive);
    assert!(
        verdict.sentence().contains("connection refused"),
        "{}",
        verdict.sentence()
    );
    assert!(rig.world.main_rule_stands(&rig.desired));
    rig.world.fail_source(None);
    rig.until(|r| r.verdict.as_ref().is_some_and(|v| v.outcome == Outcome::NoWorse))
        .await;
}

#[tokio::test(start_paused = true)]
async fn others_changes_meanwhile_are_listed_and_do_not_block() {
    let rig = Rig::new();
    rig.until_judged().await;
    rig.world.change(|seen| seen.site.as_mut().unwrap().port = 81);
    rig.submit(&Change::Destroy).unwrap();
    let last = rig.until_phase(Phase::Destroyed).await;
    assert_eq!(last.restore_proof.unwrap().differences.len(), 1);
    assert_eq!(rig.told("Others changed production meanwhile: 1 difference."), 1);
}

/// Makes every edit fail as a broken disk would.
fn break_the_disk(rig: &Rig, broken: bool) {
    break_writing(rig, "UPDATE ON deployments", broken);
}

/// Makes one kind of write fail, e.g. `INSERT ON blocks`.
fn break_writing(rig: &Rig, what: &str, broken: bool) {
    let db = rusqlite::Connection::open(rig.database()).unwrap();
    let name = what.to_lowercase().replace(' ', "_");
    let sql = if broken {
        format!("CREATE TRIGGER {name} BEFORE {what} BEGIN SELECT RAISE(FAIL, 'broken'); END")
    } else {
        format!("DROP TRIGGER {name}")
    };
    db.execute_batch(&sql).unwrap();
}

fn is_no_worse(report: &arya_engine::Report) -> bool {
    report.verdict.as_ref().is_some_and(|v| v.outcome == Outcome::NoWorse)
}

#[tokio::test(start_paused = true)]
async fn harm_is_seen_even_when_neither_blocks_nor_verdicts_can_be_stored() {
    for broken in [&["INSERT ON blocks"][..], &["INSERT ON verdicts", "UPDATE ON verdicts"]] {
        let rig = Rig::on_disk();
        rig.until(is_no_worse).await;
        for what in broken {
            break_writing(&rig, what, true);
        }
        rig.world.canary_fails(50.0);
        rig.until(|report| report.desired.harmful.is_some()).await;
        assert!(!rig.world.main_rule_stands(&rig.desired));
    }
}

#[tokio::test(start_paused = true)]
async fn evidence_that_cannot_be_read_is_inconclusive_with_a_reason_and_never_the_old_verdict() {
    let rig = Rig::on_disk();
    rig.until(is_no_worse).await;
    let db = rusqlite::Connection::open(rig.database()).unwrap();
    db.execute_batch("ALTER TABLE series RENAME TO away").unwrap();
    // What is in memory is trusted; an engine that starts anew has only what is stored.
    let rig = rig.crash();
    let verdict = rig.until(|report| !is_no_worse(report)).await.verdict.unwrap();
    assert_eq!(verdict.outcome, Outcome::Inconclusive);
    assert!(verdict.sentence().contains("database"), "{}", verdict.sentence());
    db.execute_batch("ALTER TABLE away RENAME TO series").unwrap();
    rig.until(is_no_worse).await;
}

#[tokio::test(start_paused = true)]
async fn a_canary_is_judged_even_when_it_cannot_be_stored_that_its_rule_was_seen() {
    let rig = Rig::on_disk();
    rig.until(|report| matches!(report.desired.main_rule, MainRule::Made { .. }))
        .await;
    break_the_disk(&rig, true);
    rig.world.canary_fails(20.0);
    rig.until(|report| report.desired.harmful.is_some()).await;
    assert!(!rig.world.main_rule_stands(&rig.desired));
    break_the_disk(&rig, false);
    rig.tick().await;
    assert_eq!(rig.told("Harmful:"), 1);
    assert!(rig.crash().tick().await.desired.harmful.is_some());
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_fails_again_and_again_is_told_once_and_then_each_tenth_time() {
    let rig = Rig::new();
    // Each second look sees a new upload run, so that its step leaves the plan in between.
    for look in 0..60 {
        rig.tick().await;
        let state = if look % 2 == 0 {
            UploadState::Running
        } else {
            UploadState::Failed("The connection broke.".into())
        };
        rig.world.change(|seen| {
            seen.uploads
                .values_mut()
                .for_each(|upload| upload.state = state.clone())
        });
    }
    let files = rig.world.seen().uploads.len();
    let told = rig.told("Arya began to upload");
    assert!((2 * files..=4 * files).contains(&told), "{told}: {:?}", rig.feed());
}

#[tokio::test(start_paused = true)]
async fn users_leave_a_doubtful_canary_even_when_nothing_can_be_stored() {
    let rig = Rig::on_disk();
    rig.until_judged().await;
    break_the_disk(&rig, true);
    rig.world.canary_fails(20.0);
    let report = rig.until(|_| !rig.world.main_rule_stands(&rig.desired)).await;
    assert!(waits(
        &report,
        |reason| matches!(reason, WaitReason::Stuck { step, .. } if step == "store a change")
    ));
    for _ in 0..5 {
        rig.tick().await;
    }
    assert_eq!(rig.told("Harmful:"), 0);
    break_the_disk(&rig, false);
    let report = rig.tick().await;
    assert_eq!((report.phase, rig.told("Harmful:")), (Phase::Held, 1));
    assert!(!waits(&report, |reason| matches!(reason, WaitReason::Stuck { .. })));
    assert!(rig.crash().tick().await.desired.harmful.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_silent_source_does_not_hold_back_the_watchdog() {
    let rig = Rig::new();
    rig.until_judged().await;
    rig.world.hang(Question::Evidence);
    rig.world.change(|seen| {
        let site = seen.site.as_mut().unwrap();
        site.groups.get_mut(&production()).unwrap().health.healthy = 0;
    });
    let began = Instant::now();
    rig.tick().await;
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert!(!rig.world.main_rule_stands(&rig.desired));
}

#[tokio::test(start_paused = true)]
async fn a_silent_source_is_given_up_for_this_look() {
    let rig = Rig::new();
    rig.world.hang(Question::Evidence);
    let report = rig.until_judged().await;
    assert!(report.verdict.unwrap().sentence().contains("no answer within 5 s"));
    let began = Instant::now();
    rig.tick().await;
    assert!(began.elapsed() <= EVIDENCE_AT_MOST);
}

#[tokio::test(start_paused = true)]
async fn a_silent_step_is_given_up_and_the_others_are_done() {
    let rig = Rig::new();
    rig.world.hang(Question::Step(CREATE_GROUP.into()));
    let began = Instant::now();
    let report = rig.tick().await;
    assert_eq!(began.elapsed(), STEP_AT_MOST);
    assert!(waits(&report, |reason| matches!(reason, WaitReason::Cloud { .. })));
    assert!(rig.world.seen().bucket);
    assert_eq!(
        rig.told("did not answer \"create the canary target group\" within 15 s"),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn a_silent_cloud_is_given_up_for_this_look() {
    let rig = Rig::new();
    rig.world.hang(Question::Look);
    let began = Instant::now();
    let report = rig.tick().await;
    assert_eq!(began.elapsed(), OBSERVE_AT_MOST);
    assert!(report.cloud_error.unwrap().contains("did not answer a look"));
    assert_eq!(report.phase, Phase::Uploading);
}

#[tokio::test(start_paused = true)]
async fn who_shall_reach_nobody_loses_our_rule_although_nothing_can_be_seen() {
    let rig = Rig::new();
    let serving = rig.until_phase(Phase::Serving).await;
    rig.world.fail_looks(Some(throttled()));
    rig.tick().await;
    assert!(rig.world.main_rule_stands(&serving.desired));
    rig.submit(&Change::Destroy).unwrap();
    rig.tick().await;
    assert!(!rig.world.main_rule_stands(&serving.desired));
    rig.world.fail_looks(None);
    rig.until_phase(Phase::Destroyed).await;
}
