//! The A/A spell: the baseline alone beside production before the canary has users. It teaches and judges nothing.

use arya_engine::Report;
use arya_judge::Outcome;
use arya_plan::desired::Spell;
use arya_plan::observed::TargetState;
use arya_plan::phase::Phase;
use serde_json::json;

use crate::rig::Rig;
use crate::world::set_share;

fn asked() -> Rig {
    let rig = Rig::analysed(json!({"aa_spell_s": 120}));
    rig.world.production_fails(1.0);
    rig
}

fn spell_is_over(report: &Report) -> bool {
    report.desired.spell == Spell::Over
}

fn is_no_worse(report: &Report) -> bool {
    report.verdict.as_ref().is_some_and(|v| v.outcome == Outcome::NoWorse)
}

async fn in_the_spell(rig: &Rig) -> Report {
    rig.until_phase(Phase::Serving).await;
    let mut last = rig.tick().await;
    for _ in 0..60 {
        last = rig.tick().await;
    }
    assert!(matches!(last.desired.spell, Spell::Since { .. }));
    last
}

#[tokio::test(start_paused = true)]
async fn a_spell_says_so_and_what_it_taught_is_said_with_the_verdict() {
    let rig = asked();
    let report = in_the_spell(&rig).await;
    let verdict = report.verdict.unwrap();
    assert_eq!(verdict.outcome, Outcome::Inconclusive);
    let sentence = verdict.sentence();
    assert!(
        sentence.contains("A/A spell: until about ") && sentence.contains("the canary none yet"),
        "{sentence}"
    );
    let mut rig = rig;
    for crash in [false, true] {
        if crash {
            rig = rig.crash();
        }
        let report = rig.until(is_no_worse).await;
        assert!(spell_is_over(&report));
        let metric = &report.verdict.as_ref().unwrap().metrics[0];
        let (beside, spell) = (metric.beside_s.unwrap(), metric.spell_s.unwrap());
        assert!((115.0..=130.0).contains(&spell) && beside > spell, "{spell} {beside}");
    }
    assert_eq!(rig.told("Judging pauses. A/A spell:"), 1);
    assert_eq!(
        rig.told("Arya ended the A/A spell, in which the baseline alone had users"),
        1
    );
    assert_eq!(rig.told("Judging goes on after a pause of"), 1);
    let kept = rig
        .store
        .kept(&rig.desired.id, &crate::rig::usual_judge())
        .unwrap()
        .unwrap();
    assert_eq!(kept.run.judged_by(&kept.run.config).outcome, Outcome::NoWorse);
}

#[tokio::test(start_paused = true)]
async fn what_a_probe_made_of_the_canary_in_the_spell_is_no_harm() {
    let rig = asked();
    rig.world.canary_fails(90.0);
    let report = in_the_spell(&rig).await;
    assert_eq!((report.phase, report.desired.is_harmful()), (Phase::Serving, false));
    // The canary's own users are another matter.
    rig.until(|report| report.desired.is_harmful()).await;
    assert!(!rig.world.main_rule_stands(&rig.desired));
}

#[tokio::test(start_paused = true)]
async fn a_machine_of_the_canary_that_falls_out_in_the_spell_changes_nothing() {
    let rig = Rig::asked(&json!({"instances": {"per_arm": 2}, "analysis": {"aa_spell_s": 120}}));
    rig.world.production_fails(1.0);
    rig.world.canary_fails(90.0);
    in_the_spell(&rig).await;
    rig.world.canary_is(TargetState::Unhealthy);
    for _ in 0..30 {
        let report = rig.tick().await;
        assert!(!report.desired.is_harmful(), "{:?}", rig.feed());
    }
    rig.world.canary_is(TargetState::Healthy);
    rig.world.canary_fails(1.0);
    let report = rig.until(is_no_worse).await;
    assert!(spell_is_over(&report));
    // One pause, from the first user of the baseline to the canary's.
    assert_eq!(rig.told("Judging pauses."), 1);
    let spell = report.verdict.unwrap().metrics[0].spell_s.unwrap();
    assert!((115.0..=130.0).contains(&spell), "{spell}");
}

#[tokio::test(start_paused = true)]
async fn a_spell_that_was_interrupted_is_begun_anew_and_all_of_it_teaches() {
    let rig = asked();
    in_the_spell(&rig).await;
    rig.submit(&set_share(0.0)).unwrap();
    rig.until_phase(Phase::Held).await;
    rig.hand.advance(std::time::Duration::from_secs(60));
    rig.submit(&set_share(5.0)).unwrap();
    let again = in_the_spell(&rig).await;
    let Spell::Since { at } = again.desired.spell else {
        unreachable!()
    };
    let report = rig.until(spell_is_over).await;
    assert!(report.as_of.duration_since(at).as_secs() >= 120);
    let report = rig.until(is_no_worse).await;
    let metric = &report.verdict.as_ref().unwrap().metrics[0];
    assert!(metric.spell_s.unwrap() > 150.0, "{:?}", metric.spell_s);
}
