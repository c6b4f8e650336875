//! Judging pauses while the arms do not differ by their version alone: it says so, keeps the last numbers with their time,
//! leaves out what was measured meanwhile, and goes on by itself.

use arya_engine::Report;
use arya_judge::{Outcome, Timestamp, Verdict};
use arya_plan::desired::{Change, HoldReason};
use arya_plan::identity::{Arm, Role};
use arya_plan::observed::{BootPhase, TargetState};
use arya_plan::phase::Phase;

use crate::rig::{MANY_LOOKS, Rig};
use crate::world::{BLOCK_S, set_share};

fn verdict(report: &Report) -> &Verdict {
    report.verdict.as_ref().unwrap()
}

fn is_no_worse(report: &Report) -> bool {
    report.verdict.as_ref().is_some_and(|v| v.outcome == Outcome::NoWorse)
}

/// Requests of the canary that were judged.
fn judged(report: &Report) -> f64 {
    verdict(report).metrics[0].canary.exposure
}

/// Blocks that are stored, whether or not they are judged.
fn stored(rig: &Rig) -> usize {
    let metric = &crate::rig::usual_judge().metrics[0];
    rig.store
        .evidence(&rig.desired.id, 0, metric)
        .unwrap()
        .unwrap()
        .blocks
        .len()
}

/// The canary's process starts anew inside its instance.
fn restart_canary(rig: &Rig) {
    rig.world.change(|seen| {
        let canary = seen
            .instances
            .iter_mut()
            .find(|instance| instance.place.role == Role::Canary);
        canary.unwrap().report.as_mut().unwrap().phase = BootPhase::Booting;
    });
}

/// Looks once a minute until something is so.
async fn until_after_minutes(rig: &Rig, wanted: impl Fn(&Report) -> bool) -> Report {
    rig.until_judged().await;
    rig.until(|report| {
        rig.hand.advance(std::time::Duration::from_secs(60));
        wanted(report)
    })
    .await
}

/// Every block of the deployment beside its pauses: none that was judged touches one.
fn assert_no_pause_was_judged(rig: &Rig, report: &Report) {
    let metric = &crate::rig::usual_judge().metrics[0];
    let pauses = rig.store.pauses(&rig.desired.id).unwrap();
    let all = rig.store.evidence(&rig.desired.id, 0, metric).unwrap().unwrap();
    let outside = all
        .blocks
        .iter()
        .filter(|block| !pauses.all().any(|pause| pause.covers(block, BLOCK_S as f64)));
    assert_eq!(judged(report), 10_000.0 * outside.count() as f64);
}

#[tokio::test(start_paused = true)]
async fn a_warm_up_in_the_middle_pauses_judging_and_it_goes_on_by_itself() {
    let rig = Rig::new();
    let before = judged(&rig.until(is_no_worse).await);
    restart_canary(&rig);
    let paused = rig.tick().await;
    assert_eq!(
        (paused.phase, verdict(&paused).outcome),
        (Phase::Serving, Outcome::Inconclusive)
    );
    let sentence = verdict(&paused).sentence();
    assert!(
        sentence.contains("judging is paused since") && sentence.contains("starts anew (booting) and has to warm up."),
        "{sentence}"
    );
    assert!(sentence.contains("Last measured at") && sentence.contains("the canary fails 1 % of requests"));
    assert!(judged(&paused) >= before);
    let back = rig.until(is_no_worse).await;
    assert_eq!(rig.told("Judging pauses. The canary instance starts anew"), 1);
    assert_eq!(rig.told("Judging goes on after a pause of"), 1);
    let later = rig.until(|report| judged(report) > judged(&back)).await;
    assert!(stored(&rig) as f64 * 10_000.0 > judged(&later), "no block was left out");
    assert_no_pause_was_judged(&rig, &later);
}

#[tokio::test(start_paused = true)]
async fn what_is_measured_in_a_pause_is_no_evidence_however_bad_it_is() {
    let rig = Rig::new();
    rig.until_judged().await;
    rig.world.canary_fails(50.0);
    for _ in 0..40 {
        restart_canary(&rig);
        let report = rig.tick().await;
        assert!(!report.desired.is_harmful());
    }
    assert!(stored(&rig) > 6, "the blocks of the pause are kept");
    rig.world.canary_fails(1.0);
    let mut rig = rig;
    for crash in [false, true] {
        if crash {
            rig = rig.crash();
        }
        let report = rig.until(is_no_worse).await;
        assert_no_pause_was_judged(&rig, &report);
    }
    // What comes after the pause is judged as ever.
    rig.world.canary_fails(50.0);
    rig.until(|report| report.desired.is_harmful()).await;
}

#[tokio::test(start_paused = true)]
async fn a_pause_outlives_the_process() {
    let rig = Rig::new();
    rig.until_judged().await;
    restart_canary(&rig);
    let since = verdict(&rig.tick().await).paused.clone().unwrap().since;
    restart_canary(&rig);
    let rig = rig.crash();
    restart_canary(&rig);
    let again = rig.tick().await;
    assert_eq!(verdict(&again).paused.clone().unwrap().since, since);
    assert_eq!(rig.told("Judging pauses."), 1);
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_nobody_saw_begin_covers_all_that_was_not_judged_yet() {
    let rig = Rig::new();
    let judged_at = rig.until_judged().await.as_of;
    let rig = rig.crash();
    rig.hand.advance(std::time::Duration::from_secs(60));
    restart_canary(&rig);
    let since = verdict(&rig.tick().await).paused.clone().unwrap().since;
    assert!(since <= judged_at, "{since} {judged_at}");
    let later = rig.until(is_no_worse).await;
    assert_no_pause_was_judged(&rig, &later);
}

/// A held deployment says its last numbers and why, before and after a restart and at the end; then a person goes on.
#[tokio::test(start_paused = true)]
async fn after_the_watchdog_the_last_numbers_stay_with_their_time() {
    let rig = Rig::new();
    let before = rig.until(is_no_worse).await;
    rig.world.canary_is(TargetState::Unhealthy);
    let held = rig.until_phase(Phase::Held).await;
    let expected = (judged(&held), verdict(&held).as_of);
    assert!(expected.0 >= judged(&before) && expected.1.is_some());
    let why = HoldReason::ArmUnhealthy { arm: Arm::Canary }.to_string();
    for report in [rig.tick().await, rig.tick().await] {
        check_last_numbers(&report, expected, &why);
    }
    let rig = rig.crash();
    check_last_numbers(&rig.tick().await, expected, &why);
    rig.hand.advance(std::time::Duration::from_secs(600));
    // An hour without users later everything goes on where it was, and nothing of that time is judged.
    rig.world.canary_is(TargetState::Healthy);
    rig.submit(&set_share(5.0)).unwrap();
    let back = rig.until(is_no_worse).await;
    assert_no_pause_was_judged(&rig, &back);
    assert_eq!(
        rig.told("Judging goes on after a pause of 10 min."),
        1,
        "{:?}",
        rig.feed()
    );
    rig.submit(&set_share(0.0)).unwrap();
    let last = rig.until_phase(Phase::Held).await;
    let expected = (judged(&last), verdict(&last).as_of);
    rig.submit(&Change::Destroy).unwrap();
    let end = rig.until_phase(Phase::Destroyed).await;
    check_last_numbers(&end, expected, "The share is 0: users get production only.");
    check_last_numbers(
        &rig.crash().tick().await,
        expected,
        "The share is 0: users get production only.",
    );
}

fn check_last_numbers(report: &Report, expected: (f64, Option<Timestamp>), why: &str) {
    let verdict = verdict(report);
    assert_eq!((judged(report), verdict.as_of), expected);
    assert_eq!(verdict.outcome, Outcome::Inconclusive);
    assert_eq!(verdict.metrics[0].outcome, Outcome::Inconclusive);
    let sentence = verdict.sentence();
    assert!(
        sentence.contains(why) && sentence.contains("Last measured at"),
        "{sentence}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_overruled_alarm_is_not_said_again_among_the_last_numbers() {
    let rig = Rig::new();
    rig.world.canary_fails(20.0);
    rig.until(|report| report.desired.is_harmful()).await;
    rig.submit(&Change::Overrule {
        reason: "a known flaky endpoint".into(),
    })
    .unwrap();
    for report in [rig.tick().await, rig.crash().tick().await] {
        assert_eq!(verdict(&report).outcome, Outcome::Inconclusive);
        assert!(!verdict(&report).sentence().contains("Harmful"));
        assert!(verdict(&report).sentence().contains("Last measured at"));
    }
}

#[tokio::test(start_paused = true)]
async fn an_uneven_split_pauses_the_pass_and_it_goes_on_by_itself() {
    let rig = Rig::new();
    rig.world.canary_gets(0.4);
    let doubted = until_after_minutes(&rig, |report| verdict(report).paused.is_some()).await;
    let sentence = verdict(&doubted).sentence();
    assert!(
        sentence.contains("Comparison unsound: the canary receives") && sentence.contains("Harm is still looked for."),
        "{sentence}"
    );
    assert_eq!(rig.told("Judging pauses. Comparison unsound:"), 1);
    // Even again for long enough, it goes on by itself, and the pass needs the minimum bake again.
    rig.world.canary_gets(1.0);
    let back = until_after_minutes(&rig, |report| verdict(report).paused.is_none()).await;
    assert_eq!(
        verdict(&back).outcome,
        Outcome::Inconclusive,
        "{}",
        verdict(&back).sentence()
    );
    rig.until(is_no_worse).await;
    assert_eq!(rig.told("Judging goes on after a pause of"), 1);
}

#[tokio::test(start_paused = true)]
async fn harm_is_shown_while_the_split_is_uneven() {
    let rig = Rig::new();
    rig.world.canary_gets(0.4);
    until_after_minutes(&rig, |report| verdict(report).paused.is_some()).await;
    rig.world.canary_fails(30.0);
    rig.until(|report| report.desired.is_harmful()).await;
    assert!(!rig.world.main_rule_stands(&rig.desired));
}

#[tokio::test(start_paused = true)]
async fn a_replaced_instance_begins_the_evidence_anew() {
    let rig = Rig::new();
    rig.until(is_no_worse).await;
    let place = rig.desired.places_of(Arm::Canary).next().unwrap();
    rig.submit(&Change::Replace { place }).unwrap();
    rig.world.change(|seen| {
        let canary = seen.instances.iter_mut().find(|instance| instance.place == place);
        canary.unwrap().incarnation = 2;
        seen.groups.get_mut(&Arm::Canary).unwrap().targets[0].incarnation = 2;
    });
    let replaced_at = rig.hand.now();
    let anew = rig.tick().await;
    assert_eq!(verdict(&anew).outcome, Outcome::Inconclusive);
    assert_eq!(anew.evidence_from, Some(replaced_at));
    let again = rig.until(is_no_worse).await;
    let seconds = again.as_of.duration_since(replaced_at).as_secs();
    // The world answers with blocks that end after a moment, so that the first one may have begun before it.
    assert!(judged(&again) <= 10_000.0 * (seconds / BLOCK_S + 1) as f64);
    assert_eq!(rig.crash().until(is_no_worse).await.evidence_from, Some(replaced_at));
}

/// Two machines an arm, judged, of which the canary's first is not healthy any more.
async fn with_a_part_away() -> Rig {
    let rig = Rig::asked(&serde_json::json!({"instances": {"per_arm": 2}}));
    rig.until_judged().await;
    rig.world.canary_is(TargetState::Unhealthy);
    rig
}

#[tokio::test(start_paused = true)]
async fn a_canary_whose_machines_fall_out_is_not_spared_its_harm() {
    let rig = with_a_part_away().await;
    rig.world.canary_fails(30.0);
    let harmful = rig.until(|report| report.desired.is_harmful()).await;
    assert_eq!(harmful.desired.hold.unwrap().reason, HoldReason::Harmful);
    assert_eq!(rig.told("Judging pauses. The canary does not take its whole share"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_part_of_the_canary_that_stays_away_earns_no_pass_and_is_held_in_the_end() {
    let rig = with_a_part_away().await;
    let held = rig.until_phase(Phase::Held).await;
    let passed = rig.store.last_verdict(&rig.desired.id, Some(Outcome::NoWorse)).unwrap();
    assert_eq!(passed, None);
    let hold = held.desired.hold.unwrap().reason;
    let HoldReason::ArmDisturbed { arm: Arm::Canary, .. } = &hold else {
        panic!("{hold:?}");
    };
    let why = hold.to_string();
    assert!(
        why.contains("the canary instance is unhealthy") && why.contains("It has been so for 60 s"),
        "{why}"
    );
    assert!(!rig.world.main_rule_stands(&rig.desired));
}

#[tokio::test(start_paused = true)]
async fn a_part_that_comes_back_in_time_needs_the_minimum_bake_again() {
    let rig = with_a_part_away().await;
    for _ in 0..40 {
        assert_ne!(verdict(&rig.tick().await).outcome, Outcome::NoWorse);
    }
    rig.world.canary_is(TargetState::Healthy);
    let back = rig.hand.now();
    let passed = rig.until(is_no_worse).await;
    let bake = passed.as_of.duration_since(back).as_secs();
    assert!((30..=45).contains(&bake), "{bake} s");
    // Harm was looked for all the time, so all of it is evidence.
    assert_eq!(judged(&passed), 10_000.0 * stored(&rig) as f64);
    assert_eq!(rig.told("Judging goes on after a pause of"), 1);
}

#[tokio::test(start_paused = true)]
async fn an_app_that_starts_again_and_again_is_held_in_the_end() {
    let rig = Rig::new();
    rig.until_judged().await;
    let mut looks = 0;
    while rig.world.main_rule_stands(&rig.desired) {
        restart_canary(&rig);
        rig.tick().await;
        looks += 1;
        assert!(looks < 80, "{:?}", rig.feed());
    }
    assert_eq!(
        rig.told("The canary instance starts anew (booting) and has to warm up. It has been so for 60 s"),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn an_app_that_falls_and_comes_back_again_and_again_earns_no_pass() {
    let rig = Rig::new();
    rig.until_judged().await;
    // Ready between two falls for less than the minimum bake of 30 s, but for many times that in sum.
    for _ in 0..20 {
        restart_canary(&rig);
        for _ in 0..20 {
            assert_ne!(verdict(&rig.tick().await).outcome, Outcome::NoWorse, "{:?}", rig.feed());
        }
    }
    // Whoever stays up passes.
    rig.until(is_no_worse).await;
}

#[tokio::test(start_paused = true)]
async fn no_pass_is_said_in_the_look_in_which_a_split_is_even_again() {
    let rig = Rig::new();
    rig.world.canary_gets(0.4);
    until_after_minutes(&rig, |report| verdict(report).paused.is_some()).await;
    let said = |rig: &Rig| rig.store.last_verdict(&rig.desired.id, Some(Outcome::NoWorse)).unwrap();
    // Before the split was known to be uneven.
    let before = said(&rig);
    rig.world.canary_gets(1.0);
    let mut even_at = None;
    for _ in 0..MANY_LOOKS {
        let report = rig.tick().await;
        if even_at.is_none() && verdict(&report).paused.is_none() {
            even_at = Some(report.as_of);
        }
        if even_at.is_none_or(|at| report.as_of.duration_since(at).as_secs() < 30) {
            assert_eq!(said(&rig), before, "{}", verdict(&report).sentence());
        }
        if is_no_worse(&report) {
            break;
        }
        if even_at.is_none() {
            rig.hand.advance(std::time::Duration::from_secs(30));
        }
    }
    assert_ne!(said(&rig), before);
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_begins_before_what_was_judged_takes_it_back() {
    let rig = Rig::new();
    rig.until(is_no_worse).await;
    rig.hand.set_back(std::time::Duration::from_secs(20));
    restart_canary(&rig);
    let paused = rig.tick().await;
    assert!(verdict(&paused).paused.is_some());
    let later = rig.until(is_no_worse).await;
    assert_no_pause_was_judged(&rig, &later);
    let again = rig.crash().until(is_no_worse).await;
    assert!(judged(&again) >= judged(&later));
}

#[tokio::test(start_paused = true)]
async fn a_pass_of_another_share_is_not_the_result_of_a_canary_that_ends() {
    for crash in [false, true] {
        let mut rig = Rig::new();
        rig.until(is_no_worse).await;
        rig.submit(&set_share(25.0)).unwrap();
        if crash {
            rig = rig.crash();
        }
        rig.submit(&Change::Destroy).unwrap();
        let end = rig.until_phase(Phase::Destroyed).await;
        assert_eq!(
            verdict(&end).outcome,
            Outcome::Inconclusive,
            "{}",
            verdict(&end).sentence()
        );
        let later = rig.crash().tick().await;
        assert_eq!(verdict(&later).outcome, Outcome::Inconclusive);
    }
    // Without a change of the share it is.
    let rig = Rig::new();
    rig.until(is_no_worse).await;
    rig.submit(&Change::Destroy).unwrap();
    assert!(is_no_worse(&rig.until_phase(Phase::Destroyed).await));
    assert!(is_no_worse(&rig.crash().tick().await));
}
