//! Lives in which nothing goes wrong but time.

use arya_plan::desired::Change;
use arya_plan::identity::RuleKind;
use arya_plan::listener::shares::CanaryPercent;

use crate::common::Files;
use crate::common::told::{unpacked, value};
use crate::endpoint::{Fault, When};
use crate::life::Life;

/// Each change that a deployment of two arms and a monitor needs, and how often.
const CHANGES: &[(&str, usize)] = &[
    ("AuthorizeSecurityGroupIngress", 2),
    ("CreateBucket", 1),
    ("CreateRule", 2),
    ("CreateSecurityGroup", 2),
    ("CreateTargetGroup", 2),
    ("ModifyTargetGroupAttributes", 2),
    ("PutBucketLifecycleConfiguration", 1),
    ("PutBucketTagging", 1),
    // Two images and one compose file, which both versions share; URLs, settings and user data of three instances; whom the
    // monitor watches, with each registration.
    ("PutObject", 3 + 9 + 2),
    ("RegisterTargets", 2),
    ("RunInstances", 3),
];
/// Describe calls of a look at a deployment that serves: those that all deployments share, and its own.
const READS_OF_A_LOOK: usize = 2 + 5;
/// In the first minute strangers' tags are asked for in every look, since they may only be late; afterwards never.
const IN_THE_FIRST_MINUTE: &str = "DescribeTags";

pub(crate) fn is_read(operation: &str) -> bool {
    ["Describe", "Get", "Head", "List"]
        .iter()
        .any(|verb| operation.starts_with(verb))
}

async fn whole_life(life: &Life) {
    life.serving().await;
    let canary_percent = CanaryPercent::new(20.0).unwrap();
    life.submit(&Change::SetShare { canary_percent });
    life.until("at the new weights", |report| {
        let rule = report
            .observed
            .as_ref()
            .and_then(|seen| seen.our_rule(&report.desired.id, RuleKind::Main));
        let forward = rule.and_then(|rule| rule.forward());
        let mut weights: Vec<u16> = forward
            .into_iter()
            .flat_map(|one| &one.groups)
            .map(|one| one.weight)
            .collect();
        weights.sort_unstable();
        weights.len() == 3 && weights[0] == weights[1] && weights[2] == 3 * weights[0]
    })
    .await;
    life.destroyed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_life_makes_each_change_once() {
    let life = Life::begin(Files::Small, 0).await;
    life.serving().await;
    let made: Vec<(String, usize)> = life
        .endpoint
        .calls()
        .into_iter()
        .filter(|(name, _)| !is_read(name))
        .collect();
    let made: Vec<(&str, usize)> = made.iter().map(|(name, count)| (name.as_str(), *count)).collect();
    assert_eq!(made, CHANGES);
    whole_life(&life).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_at_what_serves_costs_few_calls() {
    let life = Life::begin(Files::Small, 0).await;
    // As AWS has it, all of this listener's rules are one page.
    life.endpoint.read(|account| account.page = 100);
    life.serving().await;
    let reads = || -> usize {
        life.endpoint
            .calls()
            .into_iter()
            .filter(|(name, _)| is_read(name) && name != IN_THE_FIRST_MINUTE)
            .map(|(_, count)| count)
            .sum()
    };
    for _ in 0..3 {
        life.look().await;
    }
    let before = reads();
    let looks = 20;
    for _ in 0..looks {
        life.look().await;
    }
    let each = (reads() - before) as f64 / f64::from(looks);
    println!("{each:.1} reads a look");
    assert!(
        each <= READS_OF_A_LOOK as f64,
        "{each} reads a look: {:#?}",
        life.endpoint.calls()
    );
    life.destroyed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_arms_stand_in_productions_network_and_the_monitor_does_not() {
    let life = Life::begin(Files::Small, 0).await;
    life.serving().await;
    let ours = life.endpoint.read(|account| {
        let ours = account.instances.iter().filter(|one| !one.tags.is_empty());
        ours.map(|one| one.groups.iter().any(|group| group == "sg-web"))
            .collect::<Vec<bool>>()
    });
    assert_eq!(ours.iter().filter(|shared| **shared).count(), 2);
    assert_eq!(ours.len(), 3);
    life.destroyed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn disks_are_encrypted_targets_are_checked_as_productions_are_and_what_is_forgotten_ends() {
    let life = Life::begin(Files::Small, 0).await;
    life.serving().await;
    life.endpoint.read(|account| {
        let launches = account.instances.iter().filter(|one| !one.tags.is_empty());
        let launches: Vec<_> = launches.map(|one| &one.asked).collect();
        assert_eq!(launches.len(), 3);
        for launch in launches {
            assert_eq!(launch.text("InstanceInitiatedShutdownBehavior"), "terminate");
            let [disk] = launch.list("BlockDeviceMapping")[..] else {
                panic!("{launch:?}")
            };
            assert_eq!(disk.text("DeviceName"), "/dev/xvda", "the image's own");
            let of_disk = ["VolumeType", "Encrypted", "DeleteOnTermination"];
            let of_disk = of_disk.map(|name| disk.text(&format!("Ebs.{name}")));
            assert_eq!(of_disk, ["gp3", "true", "true"]);
        }
        let groups = account.groups.iter().filter(|group| !group.tags.is_empty());
        let matchers: Vec<_> = groups.map(|group| group.asked.text("Matcher.HttpCode")).collect();
        assert_eq!(matchers, ["200-204"; 2]);
        let lifecycle = &account.buckets.values().next().unwrap().lifecycle;
        for part in [
            "<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation>",
            // Longer than the longest life of a deployment, seven days.
            "<Expiration><Days>9</Days></Expiration>",
            "<Filter><Prefix></Prefix></Filter>",
            "<Status>Enabled</Status>",
        ] {
            assert!(lifecycle.contains(part), "{part} in {lifecycle}");
        }
        assert_eq!(lifecycle.matches("<Rule>").count(), 1, "{lifecycle}");
    });
    life.destroyed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn listings_that_lag_make_no_twins() {
    let life = Life::begin(Files::Small, 25).await;
    whole_life(&life).await;
    let launched = life
        .endpoint
        .read(|account| account.instances.iter().filter(|one| !one.tags.is_empty()).count());
    assert_eq!(launched, 3, "{}", life.feed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_launch_is_repeated_with_the_same_words_also_after_a_new_log_in() {
    let mut life = Life::begin(Files::Small, 25).await;
    let launched = |life: &Life| life.endpoint.calls().get("RunInstances").copied().unwrap_or(0);
    while launched(&life) == 0 {
        life.look().await;
    }
    // What was launched is not listed yet, so it is launched again: with other words EC2 would refuse.
    let before = launched(&life);
    life.restart("somebody").await;
    life.look().await;
    assert!(launched(&life) > before, "{}", life.feed());
    life.serving().await;
    assert!(!life.feed().contains("IdempotentParameterMismatch"), "{}", life.feed());
    life.destroyed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_launch_is_tried_later_with_urls_of_the_new_log_in() {
    let mut life = Life::begin(Files::Small, 0).await;
    life.script(vec![("RunInstances", When::Always, Fault::Expired)]);
    let refused = |life: &Life| life.endpoint.calls().get("RunInstances").copied().unwrap_or(0);
    while refused(&life) == 0 {
        life.look().await;
    }
    life.endpoint.read(|account| account.is_aged = true);
    life.script(vec![]);
    life.restart("somebody").await;
    while life
        .endpoint
        .read(|account| account.instances.iter().all(|one| one.tags.is_empty()))
    {
        life.look().await;
    }
    let signed = life.endpoint.read(|account| {
        let ours = account.instances.iter().filter(|one| !one.tags.is_empty());
        ours.map(|one| unpacked(&one.user_data)).collect::<Vec<_>>()
    });
    for user_data in signed {
        assert!(
            value(&user_data, "STATUS_URL").contains("X-Amz-Credential=somebody"),
            "{user_data}"
        );
    }
    life.endpoint.read(|account| account.is_aged = false);
    life.destroyed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_image_goes_in_parts() {
    let life = Life::begin(Files::InParts, 0).await;
    life.serving().await;
    let sizes = life.endpoint.read(|account| {
        let objects = account.buckets.values().flat_map(|bucket| bucket.objects.values());
        objects.map(|(size, _)| *size).max()
    });
    assert_eq!(sizes, Some(9 * 1024 * 1024));
    assert_eq!(life.endpoint.calls()["UploadPart"], 2);
    life.destroyed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_that_never_speak_are_given_up_with_the_end_of_their_consoles() {
    let life = Life::begin(Files::Small, 0).await;
    life.endpoint.read(|account| account.is_mute = true);
    let report = life.until("given up", |report| report.desired.failed.is_some()).await;
    let why = format!("{:?}", report.desired.failed);
    assert!(why.contains("did not report ready within 1200 s of its start. It said nothing; its console ends: cloud-init: no route to GET /secret?…"), "{why}");
    assert!(!why.contains("X-Amz-Signature"), "{why}");
    // Once a minute at most, by the true clock: of two arms and a monitor, as of now and as it was once refused.
    assert_eq!(life.endpoint.calls()["GetConsoleOutput"], 2 * 3);
    life.destroyed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_that_is_not_answered_holds_up_one_look_for_a_moment() {
    let life = Life::begin(Files::Small, 0).await;
    life.endpoint.read(|account| account.is_mute = true);
    life.script(vec![("GetConsoleOutput", When::Always, Fault::DoneAndHangs)]);
    let report = life.until("given up", |report| report.desired.failed.is_some()).await;
    let why = format!("{:?}", report.desired.failed);
    assert!(!why.contains("console"), "{why}");
    // Nobody waited for so long that it was asked again.
    assert_eq!(life.endpoint.calls()["GetConsoleOutput"], 3);
    life.script(vec![]);
    life.destroyed().await;
}
