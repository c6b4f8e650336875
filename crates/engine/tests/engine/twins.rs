//! Both arms against production: the world's arms fail one request in a hundred each.

use arya_engine::Report;
use arya_judge::{Outcome, Reason};
use arya_plan::desired::{HoldReason, MainRule};
use arya_plan::phase::Phase;
use serde_json::json;

use crate::rig::Rig;
use crate::world::set_share;

/// More than five minutes of looks a second apart, from the first user on.
const LOOKS: usize = 330;

async fn looked_at(rig: &Rig, looks: usize) -> Report {
    rig.until_judged().await;
    let mut report = rig.tick().await;
    for _ in 0..looks {
        if report.phase == Phase::Held {
            break;
        }
        report = rig.tick().await;
    }
    report
}

#[tokio::test(start_paused = true)]
async fn arms_that_both_fail_as_production_does_not_lose_their_traffic() {
    let rig = Rig::new();
    rig.world.production_fails(0.1);
    let report = looked_at(&rig, 280).await;
    assert_eq!(
        report.phase,
        Phase::Serving,
        "a fault of less than five minutes may pass"
    );
    let held = looked_at(&rig, LOOKS).await;
    let hold = held.desired.hold.clone().unwrap();
    let HoldReason::TwinsUnfit { sentence } = &hold.reason else {
        panic!("{hold:?}");
    };
    assert!(sentence.contains("both fail far more than production"), "{sentence}");
    assert_eq!(
        (held.desired.main_rule, held.desired.harmful.clone()),
        (MainRule::Away, None)
    );
    assert!(!rig.world.main_rule_stands(&rig.desired));
    assert_eq!(rig.told("The twins are unfit: baseline and canary both fail"), 1);
    let stored = rig.store.last_verdict(&rig.desired.id, None).unwrap().unwrap().verdict;
    assert_eq!(
        (stored.outcome, &stored.metrics[0].reason),
        (Outcome::Inconclusive, &Reason::TwinsUnfit)
    );
}

#[tokio::test(start_paused = true)]
async fn production_that_fails_as_well_changes_nothing() {
    let rig = Rig::new();
    rig.world.production_fails(1.0);
    let report = looked_at(&rig, LOOKS).await;
    assert_eq!(report.phase, Phase::Serving);
    assert_eq!(report.verdict.unwrap().outcome, Outcome::NoWorse);
    assert_eq!(rig.told("unfit"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_person_who_raises_the_share_again_gives_the_twins_five_minutes_more() {
    let rig = Rig::new();
    rig.world.production_fails(0.1);
    assert_eq!(looked_at(&rig, LOOKS).await.phase, Phase::Held);
    rig.submit(&set_share(5.0)).unwrap();
    rig.until_phase(Phase::Serving).await;
    assert_eq!(looked_at(&rig, 200).await.phase, Phase::Serving);
    assert_eq!(looked_at(&rig, LOOKS).await.phase, Phase::Held);
}

#[tokio::test(start_paused = true)]
async fn where_only_a_person_may_act_it_is_only_said() {
    let rig = Rig::analysed(json!({"on_harmful": "alert"}));
    rig.world.production_fails(0.1);
    let report = looked_at(&rig, LOOKS).await;
    assert_eq!(report.phase, Phase::Serving);
    let verdict = report.verdict.unwrap();
    assert!(verdict.twins_unfit.is_some());
    assert!(
        verdict
            .sentence()
            .starts_with("Not enough evidence yet (errors): baseline and canary both fail")
    );
}

#[tokio::test(start_paused = true)]
async fn a_restart_finds_the_same_verdict_in_what_is_stored() {
    let rig = Rig::analysed(json!({"on_harmful": "alert"}));
    rig.world.production_fails(0.1);
    let before = looked_at(&rig, LOOKS).await.verdict.unwrap();
    let after = rig.crash().tick().await.verdict.unwrap();
    assert_eq!(before.twins_unfit.unwrap().since, after.twins_unfit.unwrap().since);
    assert_eq!(before.metrics[0].dispersion_from, after.metrics[0].dispersion_from);
}

#[tokio::test(start_paused = true)]
async fn no_pass_is_said_while_it_may_turn_out_that_the_twins_are_unfit() {
    let rig = Rig::new();
    rig.world.production_fails(0.1);
    let report = looked_at(&rig, 280).await;
    assert_eq!(report.phase, Phase::Serving);
    let passed = rig.store.last_verdict(&rig.desired.id, Some(Outcome::NoWorse)).unwrap();
    assert_eq!(passed, None);
    let verdict = report.verdict.unwrap();
    assert_eq!(
        (verdict.outcome, &verdict.metrics[0].reason, &verdict.twins_unfit),
        (Outcome::Inconclusive, &Reason::TwinsUnfit, &None)
    );
}
