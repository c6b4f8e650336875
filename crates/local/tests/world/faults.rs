//! Every lie of the cloud, one by one: what it does to the world, and what the caller hears.

use arya_local::world::{Answer, At, CallKind, Effect, Fault, FaultKind, Settings, Tokens, World};
use arya_plan::cloud::{Cloud, ErrorKind};
use arya_plan::desired::Change;
use arya_plan::identity::{RuleKind, SecurityGroupKind};
use arya_plan::observed::UploadState;
use arya_plan::phase::Phase;
use arya_plan::plan::Step;
use futures_util::FutureExt;

use crate::contract::CANARY;
use crate::stage::Stage;

const LAUNCH: Step = Step::LaunchInstance {
    place: CANARY,
    incarnation: 1,
};

fn faulty(at: At, kind: FaultKind) -> impl FnOnce(&mut Settings) {
    move |settings| settings.faults.push(Fault { at, kind })
}

/// A bucket is created under a fault: what the caller hears, and whether it stands.
#[track_caller]
fn check(kind: FaultKind, heard: Option<Result<(), ErrorKind>>, stands: bool) {
    let stage = Stage::with(faulty(At::Nth(CallKind::CreateBucket, 0), kind));
    let answer = stage.world.apply(&stage.desired, &Step::CreateBucket).now_or_never();
    assert_eq!(
        answer.map(|answer| answer.map_err(|error| error.kind)),
        heard,
        "{kind:?}"
    );
    assert_eq!(stage.world.truth(&stage.desired).bucket, stands, "{kind:?}");
    assert_eq!(stage.world.faults_left(), []);
    let entry = stage.world.journal().remove(0);
    assert_eq!(entry.effect == Effect::Done, stands, "{kind:?}");
    let told = match heard {
        None => Answer::Silence,
        Some(Ok(())) => Answer::Yes,
        Some(Err(kind)) => Answer::No(kind),
    };
    assert_eq!(entry.answer, told, "{kind:?}");
}

#[test]
fn each_fault_is_heard_and_done_as_it_says() {
    check(FaultKind::Throttled, Some(Err(ErrorKind::Throttled)), false);
    check(FaultKind::Refused, Some(Err(ErrorKind::Refused)), false);
    check(FaultKind::LostBefore, Some(Err(ErrorKind::Unknown)), false);
    check(FaultKind::LostAfter, Some(Err(ErrorKind::Unknown)), true);
    check(FaultKind::HangsBefore, None, false);
    check(FaultKind::HangsAfter, None, true);
    check(FaultKind::DiesBefore, None, false);
    check(FaultKind::DiesAfter, None, true);
    check(FaultKind::Lags, Some(Ok(())), true);
}

#[test]
fn a_fault_hits_its_own_call_only() {
    let refused = Fault {
        at: At::Call(2),
        kind: FaultKind::Refused,
    };
    let stage = Stage::with(|settings| settings.faults.push(refused));
    assert_eq!(stage.apply(&Step::CreateBucket), Ok(()));
    stage.look();
    assert_eq!(stage.world.faults_left(), [refused]);
    let kind = SecurityGroupKind::App;
    assert!(stage.apply(&Step::CreateSecurityGroup { kind }).is_err());
    assert_eq!(stage.apply(&Step::CreateSecurityGroup { kind }), Ok(()));
    assert_eq!((stage.world.calls(), stage.world.calls_of(CallKind::Look)), (4, 1));
}

#[test]
fn a_fault_that_means_nothing_for_a_call_waits_for_one_that_fits() {
    let stage = Stage::with(faulty(At::Call(0), FaultKind::OtherParameters));
    assert_eq!(stage.apply(&Step::CreateBucket), Ok(()));
    assert_eq!(stage.world.faults_left().len(), 1);
    for kind in FaultKind::ALL {
        assert!(CallKind::ALL.into_iter().any(|call| kind.fits(call)), "{kind:?}");
    }
    for call in CallKind::ALL {
        assert_eq!(FaultKind::LostAfter.fits(call), call.is_step());
    }
}

#[test]
fn a_dead_process_hears_and_does_nothing_until_it_starts_anew() {
    let mut stage = Stage::with(faulty(At::Nth(CallKind::LaunchInstance, 1), FaultKind::DiesBefore));
    while !stage.world.is_dead() {
        stage.pass(1);
        let observed = stage.look();
        for step in stage.plan(&observed).steps {
            let _ = stage.world.apply(&stage.desired, &step).now_or_never();
        }
    }
    let before = (stage.world.truth(&stage.desired), stage.world.calls());
    assert!(stage.world.is_silent());
    let running = |world: &World| {
        let uploads = world.truth(&stage.desired).uploads;
        uploads.values().filter(|u| u.state == UploadState::Running).count()
    };
    assert!(stage.world.apply(&stage.desired, &LAUNCH).now_or_never().is_none());
    assert!(stage.world.discover().now_or_never().is_none());
    assert_eq!((stage.world.truth(&stage.desired), stage.world.calls()), before);
    assert_eq!(running(&stage.world), 3);
    stage.world.restart();
    assert!(!stage.world.is_silent());
    // Nobody sends them any more.
    assert_eq!(running(&stage.world), 0);
    stage.until_phase(Phase::Serving);
}

#[test]
fn a_created_thing_is_listed_late_and_a_deleted_one_for_too_long() {
    let lagging = |call| Fault {
        at: At::Nth(call, 0),
        kind: FaultKind::Lags,
    };
    let stage = Stage::with(|settings| {
        settings.faults = vec![lagging(CallKind::CreateBucket), lagging(CallKind::DeleteBucket)];
    });
    let listed = |stage: &Stage| (stage.look().bucket, stage.world.truth(&stage.desired).bucket);
    assert_eq!(stage.apply(&Step::CreateBucket), Ok(()));
    assert_eq!(listed(&stage), (false, true));
    assert_eq!(stage.world.list().now_or_never(), Some(Ok(vec![])));
    stage.pass(4);
    assert_eq!(listed(&stage), (false, true));
    stage.pass(1);
    assert_eq!(listed(&stage), (true, true));
    assert_eq!(stage.world.list().now_or_never(), Some(Ok(vec![stage.desired.id])));
    assert_eq!(stage.apply(&Step::DeleteBucket), Ok(()));
    assert_eq!(listed(&stage), (true, false));
    stage.pass(5);
    assert_eq!(listed(&stage), (false, false));
}

/// Everything that a step can make, change or end is shown as it was before, and right once the lag is over.
#[test]
fn every_listing_can_lag() {
    let mut checked = std::collections::BTreeSet::new();
    let mut stage = Stage::new();
    let mut destroying = false;
    loop {
        let observed = stage.look();
        let plan = stage.plan(&observed);
        for step in &plan.steps {
            let call = CallKind::of(step);
            let fork = stage.fork();
            let mut before = fork.look();
            before.security_groups.sort();
            if call == CallKind::DeleteBucket {
                // Of what lay in it nothing can be read, although it is listed.
                before.uploads.clear();
                before.instances.iter_mut().for_each(|instance| instance.report = None);
            }
            let at = At::Nth(call, fork.world.calls_of(call));
            let kind = FaultKind::Lags;
            fork.world.fault(Fault { at, kind });
            if kind.fits(call) && fork.apply(step) == Ok(()) {
                let truth = fork.world.truth(&fork.desired);
                assert_ne!(truth, before, "{step} does something");
                let mut shown = fork.look();
                // A listing has no order.
                shown.security_groups.sort();
                // What is used and healthy is told by others than the listing of the changed thing.
                shown.groups.clone_from(&before.groups);
                if let (Some(site), Some(before)) = (&mut shown.site, &before.site) {
                    site.groups.clone_from(&before.groups);
                }
                assert_eq!(shown, before, "{step}");
                fork.pass(5);
                assert_eq!(fork.look(), fork.world.truth(&fork.desired), "{step}");
                checked.insert(call);
            }
            let _ = stage.apply(step);
        }
        if plan.phase == Phase::Serving && !destroying {
            stage.change(&Change::Destroy);
            destroying = true;
        }
        if plan.phase == Phase::Destroyed {
            break;
        }
        stage.pass(2);
    }
    let all = CallKind::ALL.into_iter().filter(|call| FaultKind::Lags.fits(*call));
    let missing: Vec<_> = all.filter(|call| !checked.contains(call)).collect();
    assert_eq!(
        missing,
        [CallKind::ModifyRule],
        "only a change of weights is not part of this life"
    );
}

#[test]
fn a_used_token_with_other_parameters_is_refused_and_says_that_there_is_an_instance() {
    let stage = Stage::with(faulty(At::Nth(CallKind::LaunchInstance, 1), FaultKind::OtherParameters));
    stage.ready_to_launch();
    assert_eq!(stage.apply(&LAUNCH), Ok(()));
    let error = stage.apply(&LAUNCH).unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotYet);
    assert!(error.what.contains("IdempotentParameterMismatch"), "{error}");
    assert_eq!(stage.apply(&LAUNCH), Ok(()));
    assert_eq!(stage.look().instances.len(), 1);
}

#[test]
fn a_dead_instances_token_is_answered_or_refused_and_without_tokens_there_are_twins() {
    let check = |tokens, instances, refused| {
        let stage = Stage::with(|settings| settings.tokens = tokens);
        stage.ready_to_launch();
        assert_eq!(stage.apply(&LAUNCH), Ok(()));
        let terminate = Step::TerminateInstance {
            place: CANARY,
            incarnation: 1,
        };
        assert_eq!(stage.apply(&terminate), Ok(()));
        stage.pass(10);
        let again = stage.apply(&LAUNCH);
        let said = again.map_err(|error| error.what.contains("IdempotentInstanceTerminated"));
        assert_eq!(said, if refused { Err(true) } else { Ok(()) }, "{tokens:?}");
        assert_eq!(stage.look().instances.len(), instances, "{tokens:?}");
    };
    check(Tokens::AnsweredWithTheDead, 1, false);
    check(Tokens::RefusedForTheDead, 1, true);
    check(Tokens::Ignored, 2, false);
}

/// A life that is destroyed once it serves, with one fault at one call; gives the number of its calls.
fn lives_with(fault: Option<Fault>, tokens: Tokens) -> u32 {
    let mut stage = Stage::with(|settings| {
        settings.faults.extend(fault);
        settings.tokens = tokens;
    });
    let before = stage.world.site();
    stage.until_phase(Phase::Serving);
    stage.change(&Change::Destroy);
    stage.until_phase(Phase::Destroyed);
    assert_eq!(stage.world.owners(), [], "{fault:?}");
    assert_eq!(stage.world.site(), before, "{fault:?}");
    let main = |step: &Step| {
        matches!(
            step,
            Step::CreateRule {
                kind: RuleKind::Main,
                ..
            }
        )
    };
    let journal = stage.world.journal();
    let created = journal.iter().filter(|e| e.effect == Effect::Done && main(&e.step));
    assert_eq!(created.count(), 1, "{fault:?}");
    stage.world.calls()
}

#[test]
fn any_one_fault_at_any_call_is_lived_through() {
    let calls = lives_with(None, Tokens::AnsweredWithTheDead);
    assert!(calls > 50, "{calls}");
    for kind in FaultKind::ALL {
        for call in 0..calls {
            let at = At::Call(call);
            lives_with(Some(Fault { at, kind }), Tokens::AnsweredWithTheDead);
            if matches!(kind, FaultKind::DiesAfter | FaultKind::Lags) {
                lives_with(Some(Fault { at, kind }), Tokens::RefusedForTheDead);
            }
        }
    }
}
