//! Where requests go: weights, fail-open, 503, stickiness, slow nodes.

use std::collections::BTreeMap;

use arya_local::world::{Edit, Happened, Mishap, Node, Part, To, Visit, World, ground};
use arya_plan::desired::{Change, Desired};
use arya_plan::identity::{Arm, RuleKind};
use arya_plan::listener::GroupId;
use arya_plan::listener::shares::CanaryPercent;
use arya_plan::phase::Phase;
use arya_plan::plan::Step;

use crate::contract::CANARY;
use crate::stage::Stage;

fn happens(stage: &Stage, mishap: Mishap) {
    assert_eq!(stage.world.mishap(&stage.desired, mishap), Happened::Yes, "{mishap:?}");
}

fn group_of(world: &World, desired: &Desired, arm: Arm) -> GroupId {
    world.truth(desired).groups[&arm].id.clone()
}

/// Which share of users goes where, and how much of it is served, by group; 0 to 1.
fn by_group(parts: &[Part]) -> BTreeMap<String, (f64, f64)> {
    let mut groups = BTreeMap::new();
    for part in parts {
        let group = match &part.to {
            To::Target { group, .. } | To::Nobody { group } => group.to_string(),
            To::Rule { .. } | To::Nowhere => "none".to_owned(),
        };
        let (all, served) = groups.entry(group).or_insert((0.0, 0.0));
        *all += part.share;
        *served += if part.is_served() { part.share } else { 0.0 };
    }
    groups
}

#[track_caller]
fn check(stage: &Stage, visit: Visit<'_>, canary: (f64, f64)) {
    let groups = by_group(&stage.world.shares(&visit));
    let found = groups[group_of(&stage.world, &stage.desired, Arm::Canary).as_str()];
    assert!(
        (found.0 - canary.0).abs() < 1e-9 && (found.1 - canary.1).abs() < 1e-9,
        "{groups:?}"
    );
    let all: f64 = groups.values().map(|(all, _)| all).sum();
    assert!((all - 1.0).abs() < 1e-9, "{groups:?}");
}

#[test]
fn a_sick_group_fails_open_and_keeps_its_share() {
    let stage = Stage::serving();
    check(&stage, Visit::get("/"), (0.05, 0.05));
    happens(&stage, Mishap::ArmSickens(Arm::Canary));
    // Two failed checks in a row come first; users notice at once.
    check(&stage, Visit::get("/"), (0.05, 0.0));
    stage.pass(10);
    check(&stage, Visit::get("/"), (0.05, 0.0));
    happens(&stage, Mishap::ArmRecovers(Arm::Canary));
    check(&stage, Visit::get("/"), (0.05, 0.05));
}

#[test]
fn a_group_whose_instance_ended_or_left_answers_503_for_its_share() {
    let stage = Stage::serving();
    let nobody = |stage: &Stage| {
        let parts = stage.world.shares(&Visit::get("/"));
        let lost = parts.iter().filter(|part| matches!(part.to, To::Nobody { .. }));
        lost.map(|part| part.share).sum::<f64>()
    };
    let fork = stage.fork();
    happens(&stage, Mishap::InstanceDies(CANARY));
    stage.pass(10);
    assert!((nobody(&stage) - 0.05).abs() < 1e-9);
    assert_eq!(
        fork.world.edit(&fork.desired, Edit::DeregisterOurs(Arm::Canary)),
        Happened::Yes
    );
    assert!((nobody(&fork) - 0.05).abs() < 1e-9);
}

#[test]
fn a_sticky_client_stays_until_the_rule_is_gone() {
    let mut stage = Stage::new();
    stage.desired.spec.stickiness_s = 60;
    stage.until_phase(Phase::Serving);
    let canary = group_of(&stage.world, &stage.desired, Arm::Canary);
    let sticky = Visit {
        cookie: Some(&canary),
        ..Visit::get("/")
    };
    check(&stage, sticky, (1.0, 1.0));
    let kind = RuleKind::Main;
    assert_eq!(stage.apply(&Step::DeleteRule { kind }), Ok(()));
    assert!(stage.world.shares(&sticky).iter().all(|part| !part.is_ours()));
}

#[test]
fn a_rule_change_reaches_the_slowest_node_late() {
    let mut stage = Stage::serving();
    let slowest = Visit::get("/").at(Node::Slowest);
    stage.pass(30);
    check(&stage, slowest, (0.05, 0.05));
    let canary_percent = CanaryPercent::new(25.0).unwrap();
    stage.change(&Change::SetShare { canary_percent });
    stage.round();
    check(&stage, Visit::get("/"), (0.25, 0.25));
    check(&stage, slowest, (0.05, 0.05));
    stage.pass(8);
    check(&stage, slowest, (0.25, 0.25));
    // Rules that are gone still send users there, so their targets must stay for a while.
    let kind = RuleKind::Main;
    assert_eq!(stage.apply(&Step::DeleteRule { kind }), Ok(()));
    check(&stage, slowest, (0.25, 0.25));
    stage.pass(10);
    assert!(stage.world.shares(&slowest).iter().all(|part| !part.is_ours()));
}

#[test]
fn production_that_is_sick_empty_or_gone_shows() {
    let whole = |stage: &Stage| {
        let parts = stage.world.shares(&Visit::get("/"));
        parts
            .iter()
            .filter(|part| part.is_served())
            .map(|part| part.share)
            .sum::<f64>()
    };
    let stage = Stage::new();
    assert!((whole(&stage) - 1.0).abs() < 1e-9);
    let healthy = |stage: &Stage| stage.look().site.unwrap().groups[&GroupId::new(ground::PRODUCTION)].health;
    assert_eq!(healthy(&stage).healthy, 2);
    happens(&stage, Mishap::ProductionSickens);
    stage.pass(10);
    assert_eq!((healthy(&stage).registered, healthy(&stage).healthy), (2, 0));
    assert!(whole(&stage).abs() < 1e-9);
    happens(&stage, Mishap::ProductionRecovers);
    stage.pass(10);
    assert_eq!(healthy(&stage).healthy, 2);
    happens(&stage, Mishap::ProductionEmpties);
    assert_eq!(healthy(&stage).registered, 0);
    assert!(matches!(stage.world.shares(&Visit::get("/"))[0].to, To::Nobody { .. }));
    let _ = stage.world.edit(&stage.desired, Edit::DeleteListener);
    assert_eq!(stage.world.shares(&Visit::get("/"))[0].to, To::Nowhere);
    assert_eq!(stage.look().site, None);
}
