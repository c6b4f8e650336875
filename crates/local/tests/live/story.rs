//! Whole lives, from the first step to nothing left.

use std::time::{Duration, Instant};

use arya_local::live::ControlError;
use arya_plan::cloud::Cloud;
use arya_plan::desired::{Change, HoldReason};
use arya_plan::identity::{Arm, RuleKind};
use arya_plan::listener::{Condition, RuleId};
use arya_plan::observed::{InstanceState, Traffic};
use arya_plan::phase::Phase;

use crate::stage::{Stage, samples};

/// Names of what lies in a folder.
fn listing(path: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(path).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_lives_from_plan_to_destroyed_and_leaves_nothing() {
    let stage = Stage::set().await;
    let before = stage.site().await;
    let mut story = stage.story(&samples().canary, 20.0).await;
    let began = Instant::now();
    story.until_phase(Phase::Serving).await;
    println!("serving after {:?}", began.elapsed());

    let (_, observed) = story
        .until("measured", |_, observed| {
            observed.traffic.as_ref().is_some_and(|t| t.canary.requests > 60)
        })
        .await;
    let traffic = observed.traffic.unwrap();
    let all = traffic.production.requests + traffic.baseline.requests + traffic.canary.requests;
    let share = traffic.canary.requests as f64 / all as f64;
    assert!((0.08..0.32).contains(&share), "{traffic:?}");
    assert!(
        traffic.production.requests > traffic.canary.requests && traffic.canary.p95_ms.is_some(),
        "{traffic:?}"
    );
    let documents = listing(
        &stage
            .data("buckets")
            .join(listing(&stage.data("buckets")).remove(0))
            .join("status"),
    );
    for name in ["baseline-0-1.json", "canary-0-1.json", "monitor-0-1.json"] {
        assert!(documents.contains(&name.to_owned()), "{documents:?}");
    }

    let began = Instant::now();
    story.change(Change::Destroy);
    story.until_phase(Phase::Destroyed).await;
    println!("destroyed after {:?}", began.elapsed());
    assert!(story.round().await.0.steps.is_empty(), "quiet is stable");
    assert_eq!(stage.cloud.list().await.unwrap(), vec![]);
    assert_eq!(stage.site().await.rules, before.rules);
    assert_eq!(listing(&stage.data("buckets")), Vec::<String>::new());
    assert_eq!(listing(&stage.data("instances")).len(), 2, "only production's are left");
    let ended = story.observe().await.instances;
    assert!(
        ended.len() == 3 && ended.iter().all(|i| i.state == InstanceState::Terminated),
        "{ended:?}"
    );
    nothing_was_lost(&stage);
    stage.end().await;
}

/// The sample fails two requests in a thousand in any release; the balancer itself fails none.
#[track_caller]
fn nothing_was_lost(stage: &Stage) {
    let load = stage.cloud.load_counts().unwrap();
    assert_eq!(
        (load.failed, load.reset, load.timed_out, load.skipped),
        (0, 0, 0, 0),
        "{load:?}"
    );
    assert!(load.status_5xx * 50 < load.sent.max(500), "{load:?}");
    assert_eq!(stage.own_failures(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn shares_come_and_go_and_no_request_is_lost() {
    let stage = Stage::set().await;
    stage.cloud.set_load(300);
    let mut story = stage.story(&samples().canary, 5.0).await;
    story.desired.spec.instances.per_arm = 2;
    story.until_phase(Phase::Serving).await;
    for percent in [25.0, 0.0, 10.0] {
        story.set_share(percent);
        let wanted = if percent == 0.0 { Phase::Held } else { Phase::Serving };
        let (_, observed) = story
            .until("settled", |plan, _| plan.phase == wanted && plan.steps.is_empty())
            .await;
        assert_eq!(
            observed.our_rule(&story.desired.id, RuleKind::Main).is_some(),
            percent > 0.0
        );
        let users = if percent == 0.0 {
            |t: &Traffic| t.production.requests > 50
        } else {
            |t: &Traffic| t.canary.requests > 5
        };
        story
            .until("measured", |_, observed| observed.traffic.as_ref().is_some_and(users))
            .await;
        nothing_was_lost(&stage);
    }
    story.change(Change::Destroy);
    // Counts go with their groups, so they are looked at while these still stand.
    story
        .until("on its way out", |plan, _| plan.phase != Phase::Serving)
        .await;
    nothing_was_lost(&stage);
    story.until_phase(Phase::Destroyed).await;
    nothing_was_lost(&stage);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_of_the_rule_below_takes_our_rule_away() {
    let stage = Stage::set().await;
    let mut story = stage.story(&samples().canary, 10.0).await;
    story.until_phase(Phase::Serving).await;
    let below = story.desired.placement.chosen.clone();
    let narrower = Condition::HttpRequestMethod {
        values: vec!["GET".into()],
    };
    stage
        .cloud
        .edit_rule(&below, |rule| rule.conditions.push(narrower))
        .unwrap();
    story.until_phase(Phase::Held).await;
    assert_eq!(
        story.desired.hold.as_ref().unwrap().reason,
        HoldReason::RuleBelowChanged
    );
    let unknown = RuleId::new("local:rule-of-nobody");
    assert!(matches!(
        stage.cloud.edit_rule(&unknown, |_| {}),
        Err(ControlError::NoRule { .. })
    ));
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_that_is_destroyed_half_way_leaves_nothing() {
    let stage = Stage::set().await;
    let mut story = stage.story(&samples().canary, 5.0).await;
    story
        .until("launched", |_, observed| observed.instances.len() == 3)
        .await;
    story.change(Change::Destroy);
    story.until_phase(Phase::Destroyed).await;
    assert_eq!(stage.cloud.list().await.unwrap(), vec![]);
    assert_eq!(listing(&stage.data("buckets")), Vec::<String>::new());
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn production_deploys_while_a_canary_serves_and_our_rule_goes() {
    let stage = Stage::set().await;
    let mut story = stage.story(&samples().canary, 10.0).await;
    story.until_phase(Phase::Serving).await;
    let old = story.desired.placement.production[0].group.clone();

    let cloud = stage.cloud.clone();
    let deploying = tokio::spawn(async move { cloud.production_deploys_now().await });
    let other = stage.cloud.clone();
    let refused = tokio::spawn(async move { other.production_deploys_now().await });
    let id = story.desired.id;
    let changed = Instant::now();
    story
        .until("held", |plan, observed| {
            plan.phase == Phase::Held && observed.our_rule(&id, RuleKind::Main).is_none()
        })
        .await;
    println!("our rule went {:?} after the deploy began", changed.elapsed());
    assert_eq!(
        story.desired.hold.as_ref().unwrap().reason,
        HoldReason::RuleBelowChanged
    );

    // Whichever of the two came second was refused.
    let (first, second) = (deploying.await.unwrap(), refused.await.unwrap());
    assert_eq!(
        [&first, &second]
            .into_iter()
            .filter(|r| **r == Err(ControlError::DeployRuns))
            .count(),
        1
    );
    let sentence = first.or(second).unwrap();
    assert!(sentence.starts_with("Production deployed"), "{sentence}");
    let gone = |observed: &arya_plan::observed::Observed| {
        observed
            .site
            .as_ref()
            .is_some_and(|site| site.groups.keys().all(|group| *group != old))
    };
    story.until("rid of the old group", |_, observed| gone(observed)).await;
    story.change(Change::Destroy);
    story.until_phase(Phase::Destroyed).await;
    nothing_was_lost(&stage);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_canary_takes_its_instance_with_it_and_our_rule_goes() {
    let stage = Stage::set().await;
    let mut story = stage.story(&samples().canary, 10.0).await;
    story.until_phase(Phase::Serving).await;
    let place = story.desired.places_of(Arm::Canary).next().unwrap();
    stage.cloud.kill_instance(&story.desired.id, place).unwrap();
    let (_, observed) = story.until("held", |plan, _| plan.phase == Phase::Held).await;
    let hold = story.desired.hold.clone().unwrap().reason;
    assert!(
        matches!(hold, HoldReason::InstanceLost { .. } | HoldReason::ArmUnhealthy { .. }),
        "{hold:?}"
    );
    let canary = observed.instance(place, 1).unwrap();
    assert!(canary.state.is_ending(), "{canary:?}");
    story
        .watch("ended", |o| {
            o.instance(place, 1)
                .unwrap()
                .report
                .as_ref()
                .is_some_and(|r| r.tail.is_some())
        })
        .await;
    // No process, no folder, no place in the group; a request it had may have been lost with it.
    let emptied = |o: &arya_plan::observed::Observed| o.groups[&Arm::Canary].targets.is_empty();
    story.watch("out of its group", emptied).await;
    tokio::time::timeout(Duration::from_secs(10), stage.end())
        .await
        .unwrap();
}
