//! Whole lives in which every change goes wrong once, in one way after the other: no twin, nothing left behind, and no
//! change that a lost answer made is made again.

mod proxy;

use std::collections::BTreeSet;

use arya_aws::calls::{Call, Part};
use arya_plan::desired::Change;
use arya_plan::listener::shares::CanaryPercent;
use arya_plan::observed::InstanceState;
use arya_plan::phase::Phase;

use crate::moto::Moto;
use crate::stage::Stage;
use crate::story::Story;
use proxy::{Fault, Proxy};

/// Calls that nothing goes wrong for here: what is not needed in a life without unfinished parts, and what the file that is
/// small enough does without.
const NOT_CALLED: [&str; 2] = ["AbortMultipartUpload", "ListMultipartUploads"];

async fn check(fault: Fault) {
    let moto = Moto::start().await;
    let proxy = Proxy::start(&moto.endpoint()).await;
    let stage = Stage::asking(moto, proxy.endpoint()).await;
    let story = Story::begin(stage).await;
    let before = story.stage.account.admin.dump().await;
    proxy.spoil(fault);
    let serving = story.until("serving", |report| report.phase == Phase::Serving).await;
    let seen = serving.observed.unwrap();
    let standing = seen.instances.iter().filter(|one| one.state == InstanceState::Running);
    assert_eq!(standing.count(), 3, "no instance has a twin: {:#?}", seen.instances);
    let rules = seen.site.unwrap().rules;
    assert_eq!(
        rules.iter().filter(|rule| rule.owner.is_some()).count(),
        2,
        "no rule has a twin: {rules:#?}"
    );

    let canary_percent = CanaryPercent::new(20.0).unwrap();
    story.submit(&Change::SetShare { canary_percent });
    story.until("changed", |_| proxy.spoiled().contains("ModifyRule")).await;
    story.submit(&Change::Destroy);
    story
        .until("destroyed", |report| report.phase == Phase::Destroyed)
        .await;
    story.is_as_before(&before).await;

    let changes = Call::ALL.iter().filter(|call| call.row().part != Part::Discover);
    let wanted: BTreeSet<String> = changes.map(|call| call.name().to_owned()).collect();
    let mut spoiled = proxy.spoiled();
    spoiled.extend(NOT_CALLED.map(str::to_owned));
    assert_eq!(spoiled, wanted, "each change went wrong once");
}

/// What a look may ask while it serves, on top of the two questions that all deployments share.
const QUESTIONS_A_LOOK: u32 = 2 + 5;

#[tokio::test(flavor = "multi_thread")]
async fn a_life_asks_no_more_than_it_must() {
    let moto = Moto::start().await;
    let proxy = Proxy::start(&moto.endpoint()).await;
    let story = Story::begin(Stage::asking(moto, proxy.endpoint()).await).await;
    proxy.asked();
    story.until("serving", |report| report.phase == Phase::Serving).await;
    story
        .until("seen", |report| {
            report.plan.as_ref().is_some_and(|plan| plan.steps.is_empty())
        })
        .await;
    let built = proxy.asked();
    let once = |operation: &str| built.get(operation).copied().unwrap_or(0);
    // As few as the call sequence has, and a second rule: one that only probes match.
    for (operation, times) in [
        ("CreateBucket", 1),
        ("PutBucketLifecycleConfiguration", 1),
        ("CreateSecurityGroup", 2),
        ("AuthorizeSecurityGroupIngress", 2),
        ("CreateTargetGroup", 2),
        ("ModifyTargetGroupAttributes", 2),
        ("RunInstances", 3),
        ("RegisterTargets", 2),
        ("CreateRule", 2),
        ("ModifyRule", 0),
    ] {
        assert!(once(operation) <= times, "{operation}: {built:?}");
    }
    story.tick().await;
    let mut steady = proxy.asked();
    // Strangers' rules are asked for tags in their first minute only.
    steady.remove("DescribeTags");
    assert!(steady.values().sum::<u32>() <= QUESTIONS_A_LOOK, "{steady:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_throttled_once() {
    check(Fault::Throttled).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_fails_once_before_it_is_done() {
    check(Fault::FailsBefore).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_done_once_without_an_answer() {
    check(Fault::LostAfter).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_done_once_and_answered_with_an_error() {
    check(Fault::FailsAfter).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_denied_once() {
    check(Fault::Denied).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_end_once_at_every_change() {
    check(Fault::Expired).await;
}
