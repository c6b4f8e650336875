//! Whole lives: the world is a place where a deployment comes up, serves and goes, and leaves nothing.

use arya_local::world::{Effect, Node, Visit};
use arya_plan::desired::Change;
use arya_plan::phase::Phase;
use arya_plan::plan::Step;
use arya_plan::proof::restore_proof;

use crate::stage::{Stage, aws};

fn lives_and_goes(mut stage: Stage) {
    let before = stage.world.site().unwrap();
    stage.until_phase(Phase::Serving);
    let parts = stage.world.shares(&Visit::get("/"));
    let ours: f64 = parts.iter().filter(|part| part.is_ours()).map(|part| part.share).sum();
    assert!((ours - 0.1).abs() < 1e-9, "{parts:?}");
    assert!(parts.iter().all(|part| part.is_served()), "{parts:?}");
    stage.change(&Change::Destroy);
    stage.until(|plan, world| {
        for node in Node::ALL {
            let parts = world.shares(&Visit::get("/").at(node));
            assert!(parts.iter().all(|part| part.is_served()), "{node:?} {parts:?}");
        }
        plan.phase == Phase::Destroyed
    });
    assert_eq!(stage.world.owners(), []);
    assert_eq!(stage.world.site(), Some(before.clone()));
    assert!(
        restore_proof(&stage.desired.id, &before, stage.world.site().as_ref())
            .differences
            .is_empty()
    );
    assert!(stage.round().steps.is_empty());
}

#[test]
fn a_deployment_lives_and_leaves_nothing() {
    lives_and_goes(Stage::new());
}

#[test]
fn at_the_pace_of_aws_as_well() {
    lives_and_goes(Stage::with(aws));
}

#[test]
fn in_front_of_any_rule() {
    lives_and_goes(Stage::before("default", |_| {}));
    let mut stage = Stage::before("images", |_| {});
    stage.until_phase(Phase::Serving);
    let to_ours = |path| stage.world.shares(&Visit::get(path)).iter().any(|part| part.is_ours());
    assert!(to_ours("/images/1") && !to_ours("/"));
}

#[test]
fn what_is_applied_twice_is_done_once() {
    let mut stage = Stage::new();
    while stage.round().phase != Phase::Serving {
        let (before, calls) = (stage.world.truth(&stage.desired), stage.world.journal());
        for entry in calls.iter().filter(|entry| entry.effect == Effect::Done) {
            // What was undone since is another matter.
            let undone = matches!(*entry.step, Step::StartUpload { .. });
            assert!(undone || stage.apply(&entry.step) == Ok(()), "{}", entry.step);
        }
        assert_eq!(stage.world.truth(&stage.desired), before);
    }
}

#[test]
fn a_fork_goes_its_own_way() {
    let mut stage = Stage::serving();
    let fork = stage.world.fork();
    let before = fork.truth(&stage.desired);
    stage.change(&Change::Destroy);
    stage.until_phase(Phase::Destroyed);
    assert_eq!(fork.truth(&stage.desired), before);
    stage.pass(1);
    assert_ne!(fork.now(), stage.world.now());
}
