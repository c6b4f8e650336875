//! What the planner does with an alarm: it latches, it is acted on as the spec says, and a person may overrule it.

use arya_judge::{JudgeConfig, Outcome, Timestamp, Together, Verdict, judge};
use arya_plan::desired::{Change, Refusal};
use arya_plan::identity::RuleKind;
use arya_plan::listener::shares::CanaryPercent;
use arya_plan::phase::Phase;
use arya_plan::plan::Step;
use arya_plan::spec::OnHarmful;

use crate::paper::Paper;

fn share(percent: f64) -> CanaryPercent {
    CanaryPercent::new(percent).unwrap()
}

fn harmful() -> Verdict {
    Verdict {
        outcome: Outcome::Harmful,
        ..judge(&JudgeConfig::default(), &[])
    }
}

#[test]
fn harmful_latches_until_a_person_overrules_it_with_a_reason() {
    let mut paper = Paper::serving();
    paper.verdict = Some(harmful());
    assert_eq!(paper.round(), [Step::DeleteRule { kind: RuleKind::Main }]);
    paper.verdict = None;
    assert_eq!(paper.phase(), Phase::Held);
    let raise = Change::SetShare {
        canary_percent: share(5.0),
    };
    assert!(matches!(paper.try_change(raise.clone()), Err(Refusal::Harmful { .. })));
    assert_eq!(
        paper.try_change(Change::Overrule { reason: " ".into() }),
        Err(Refusal::ReasonMissing)
    );
    paper.change(Change::Overrule {
        reason: "known and fixed upstream".into(),
    });
    assert_eq!(
        paper.try_change(Change::Overrule { reason: "again".into() }),
        Err(Refusal::NothingToOverrule)
    );
    paper.change(raise);
    paper.run_until_quiet();
    assert_eq!(paper.phase(), Phase::Serving);
    paper.verdict = Some(harmful());
    paper.run_until_quiet();
    assert_eq!(
        paper.phase(),
        Phase::Serving,
        "what a person overruled is not latched again by itself"
    );
    let shown_at = |at: Timestamp| Verdict {
        together: Some(Together { at, metrics: vec![] }),
        ..harmful()
    };
    let overruled_at = paper.desired.judged_from().unwrap();
    paper.verdict = Some(shown_at(overruled_at));
    paper.run_until_quiet();
    assert_eq!(paper.phase(), Phase::Serving);
    paper.verdict = Some(shown_at(paper.world.at));
    paper.run_until_quiet();
    assert_eq!(paper.phase(), Phase::Held, "harm that was shown after the override");
    let again = paper.desired.harmful.clone().unwrap();
    assert_eq!((again.overruled, again.after), (None, Some(overruled_at)));
}

#[test]
fn the_policy_on_harmful_is_followed() {
    let outcome = |policy| {
        let mut paper = Paper::with(|spec| spec.analysis.on_harmful = policy);
        paper.run_until_quiet();
        paper.verdict = Some(harmful());
        paper.run_until_quiet();
        paper.phase()
    };
    assert_eq!(outcome(OnHarmful::Alert), Phase::Serving);
    assert_eq!(outcome(OnHarmful::RemoveTraffic), Phase::Held);
    assert_eq!(outcome(OnHarmful::Destroy), Phase::Destroyed);
}

#[test]
fn a_raise_under_an_alert_needs_the_override_too_but_lowering_does_not() {
    let mut paper = Paper::with(|spec| spec.analysis.on_harmful = OnHarmful::Alert);
    paper.run_until_quiet();
    paper.verdict = Some(harmful());
    paper.round();
    assert!(
        paper
            .try_change(Change::SetShare {
                canary_percent: share(10.0)
            })
            .is_err()
    );
    assert_eq!(
        paper.try_change(Change::SetShare {
            canary_percent: share(1.0)
        }),
        Ok(true)
    );
}
