//! The sentences of the feed, and that each event survives its JSON.

use super::*;
use arya_plan::desired::HoldReason;
use arya_plan::identity::{Arm, Role, RuleKind};

fn check(event: Event, expected: &str) {
    assert_eq!(event.to_string(), expected);
    let json = serde_json::to_string(&event).unwrap();
    assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), event);
}

fn share(percent: f64) -> CanaryPercent {
    CanaryPercent::new(percent).unwrap()
}

fn changed(by: Actor, change: Change, before: f64, after: f64) -> Event {
    Event::Changed {
        by,
        change,
        before: share(before),
        after: share(after),
    }
}

#[test]
fn a_change_of_share_names_both_shares() {
    let set = |percent, before| {
        let change = Change::SetShare {
            canary_percent: share(percent),
        };
        changed(Actor::Person("Ana".into()), change, before, percent)
    };
    check(set(25.0, 5.0), "Ana set the canary share to 25 % (before: 5 %).");
    check(set(25.0, 25.0), "Ana set the canary share to 25 % again.");
    check(
        set(0.0, 2.5),
        "Ana set the canary share to 0 % (before: 2.5 %); our main rule goes.",
    );
}

#[test]
fn an_answer_that_is_missing_is_no_refusal() {
    let unanswered = |times| Event::Unanswered {
        step: "create the probe rule at priority 49999".into(),
        what: "The connection broke".into(),
        times,
    };
    check(
        unanswered(1),
        "No answer to \"create the probe rule at priority 49999\": The connection broke. The next look shows what was \
         done.",
    );
    check(
        unanswered(10),
        "No answer to \"create the probe rule at priority 49999\" 10 times in a row: The connection broke. The next look \
         shows what was done.",
    );
}

#[test]
fn what_happens_by_itself_says_who_and_why() {
    let latch = || Change::LatchHarmful {
        sentence: "Harmful: 10 % against 0.2 %.".into(),
    };
    check(
        changed(Actor::Judge, latch(), 20.0, 0.0),
        "The judge removed the canary's traffic (before: 20 %). Harmful: 10 % against 0.2 %.",
    );
    check(
        changed(Actor::Judge, latch(), 20.0, 20.0),
        "The judge raised the alarm. Harmful: 10 % against 0.2 %.",
    );
    check(
        changed(
            Actor::Watchdog,
            Change::RemoveTraffic {
                reason: HoldReason::ListenerGone,
            },
            5.0,
            0.0,
        ),
        "The watchdog took the canary share to 0 % (before: 5 %): The listener is gone. A person decides.",
    );
    check(
        changed(Actor::Arya, Change::MainRuleSeen, 2.5, 2.5),
        "Our main rule stands on the listener: canary and baseline get 2.5 % each.",
    );
    check(
        changed(Actor::Deadline, Change::Destroy, 5.0, 0.0),
        "The deployment's lifetime is over: everything of ours is to be removed.",
    );
    check(
        changed(
            Actor::Arya,
            Change::GiveUp {
                why: "The canary instance failed to start. exit 1".into(),
            },
            5.0,
            0.0,
        ),
        "Arya gave up: The canary instance failed to start. exit 1. Users stay on production; what stands waits for \
         destroy.",
    );
}

#[test]
fn steps_read_in_the_past_tense() {
    let check = |step: Step, expected: &str| assert_eq!(done(&step).to_string(), expected);
    let (arm, place, incarnation) = (
        Arm::Canary,
        Place {
            role: Role::Canary,
            index: 0,
        },
        1,
    );
    check(Step::CreateTargetGroup { arm }, "Arya created the canary target group.");
    check(Step::DeleteRule { kind: RuleKind::Main }, "Arya deleted the main rule.");
    check(
        Step::ModifyRule {
            kind: RuleKind::Main,
            actions: vec![],
        },
        "Arya changed the weights of the main rule.",
    );
    check(
        Step::LaunchInstance { place, incarnation },
        "Arya launched the canary instance.",
    );
    check(
        Step::LaunchInstance { place, incarnation: 2 },
        "Arya launched the canary instance again (try 2).",
    );
    check(
        Step::TerminateInstance { place, incarnation },
        "Arya terminated the canary instance.",
    );
    check(
        Step::RegisterTarget {
            arm,
            place,
            incarnation,
        },
        "Arya registered the canary instance in the canary target group.",
    );
    check(
        Step::DeregisterTarget {
            arm,
            place,
            incarnation,
        },
        "Arya took the canary instance out of the canary target group.",
    );
    check(Step::CancelUploads, "Arya stopped the uploads.");
    check(Step::DeleteBucket, "Arya emptied and deleted the temporary bucket.");
}

#[test]
fn the_proof_says_whose_differences_there_are() {
    check(
        Event::Restored { ours: 0, others: 0 },
        "Production is exactly as before: 0 differences.",
    );
    check(
        Event::Restored { ours: 0, others: 2 },
        "Everything of ours is gone. Others changed production meanwhile: 2 differences.",
    );
}

#[test]
fn an_instance_says_how_long_it_took() {
    let up = |after_s| Event::InstanceReported {
        place: Place {
            role: Role::Canary,
            index: 0,
        },
        incarnation: 1,
        phase: BootPhase::Up,
        after_s,
    };
    check(up(Some(2.125)), "The canary instance is up (2.1 s after its start).");
    check(up(None), "The canary instance is up.");
}

#[test]
fn a_pause_says_why_and_how_long() {
    let why = "The canary instance starts anew (booting) and has to warm up.".to_owned();
    check(
        Event::JudgingPaused { why },
        "Judging pauses. The canary instance starts anew (booting) and has to warm up. What is measured meanwhile is kept \
         and is no evidence for a pass.",
    );
    let resumed = |paused_s| Event::JudgingResumed { paused_s };
    check(resumed(42.4), "Judging goes on after a pause of 42 s.");
    check(resumed(600.0), "Judging goes on after a pause of 10 min.");
    check(resumed(9000.0), "Judging goes on after a pause of 2.5 h.");
}

#[test]
fn steps_that_a_process_died_in_are_named() {
    let steps = ["create the main rule at priority 50000", "launch the canary instance"];
    check(
        Event::Interrupted {
            steps: steps.map(str::to_owned).to_vec(),
        },
        "Arya stopped in the middle of this: create the main rule at priority 50000, launch the canary instance. The next \
         look shows what was done.",
    );
}
