//! The process may die at any look and at any call; the next start finishes the job.

use arya_plan::desired::Change;
use arya_plan::phase::Phase;

use crate::rig::{MANY_LOOKS, Rig};
use crate::world::{Freeze, When};

/// Looks after which a person asks to destroy, in the lives below.
const DESTROY_AT: usize = 16;

/// A life in which Ana destroys after some looks; the process dies after `crash_at` looks.
async fn live(mut rig: Rig, crash_at: usize) -> usize {
    for look in 0..MANY_LOOKS {
        if look == crash_at {
            rig = rig.crash();
        }
        if look == DESTROY_AT {
            rig.submit(&Change::Destroy).unwrap();
        }
        if rig.tick().await.closed_at.is_some() {
            assert!(rig.world.is_restored(), "crash at look {crash_at}");
            assert_eq!(
                rig.told("the canary gets 5 % of matching traffic"),
                1,
                "crash at look {crash_at}"
            );
            assert_eq!(rig.told("Production is exactly as before: 0 differences."), 1);
            return look;
        }
    }
    panic!(
        "crash at look {crash_at}: not destroyed; the feed:\n{}",
        rig.feed().join("\n")
    );
}

#[tokio::test(start_paused = true)]
async fn a_crash_after_any_look_is_only_a_pause() {
    let looks = live(Rig::new(), usize::MAX).await;
    for crash_at in 0..=looks {
        live(Rig::new(), crash_at).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_with_the_store_on_disk_is_only_a_pause() {
    for crash_at in [1, DESTROY_AT - 2, DESTROY_AT + 2] {
        live(Rig::on_disk(), crash_at).await;
    }
}

#[tokio::test(start_paused = true)]
async fn destroy_at_any_look_leaves_nothing() {
    for destroy_at in 0..=DESTROY_AT {
        let rig = Rig::new();
        for _ in 0..destroy_at {
            rig.tick().await;
        }
        rig.submit(&Change::Destroy).unwrap();
        let last = rig.until(|report| report.closed_at.is_some()).await;
        assert_eq!(last.phase, Phase::Destroyed);
        assert!(rig.world.is_restored(), "destroyed after {destroy_at} looks");
    }
}

/// The process dies in the n-th call, before or after its effect; `false` = the life had fewer calls.
async fn die_in_call(calls_left: usize, when: When) -> bool {
    let mut rig = Rig::new();
    rig.world.freeze(Some(Freeze { calls_left, when }));
    let mut died = false;
    let mut looks = 0;
    loop {
        looks += 1;
        assert!(
            looks < MANY_LOOKS,
            "call {calls_left}, {when:?}: not destroyed;\n{}",
            rig.feed().join("\n")
        );
        if looks == DESTROY_AT {
            rig.submit(&Change::Destroy).unwrap();
        }
        match rig.tick_or_die().await {
            None => {
                died = true;
                rig.world.freeze(None);
                rig = rig.crash();
            }
            Some(report) if report.closed_at.is_some() => break,
            Some(_) => {}
        }
    }
    assert!(rig.world.is_restored(), "call {calls_left}, {when:?}");
    // What the process was doing is told by the next one, whether or not it took effect.
    let told = rig.told("Arya stopped in the middle of this: ");
    assert_eq!(told, usize::from(died), "call {calls_left}, {when:?}");
    died
}

#[tokio::test(start_paused = true)]
async fn a_crash_in_any_call_leaves_nothing_behind() {
    for when in [When::BeforeTheEffect, When::AfterTheEffect] {
        let mut calls = 0;
        while die_in_call(calls, when).await {
            calls += 1;
        }
        assert!(calls >= 20, "a life has more than {calls} calls");
    }
}
