//! Credentials that end, or are another account's; and what is sick or does not answer.

use std::time::{Duration, SystemTime};

use arya_aws::calls::Call;
use arya_judge::Timestamp;
use arya_plan::desired::{Change, HoldReason};
use arya_plan::identity::Arm;
use arya_plan::listener::shares::CanaryPercent;
use arya_plan::phase::Phase;
use aws_credential_types::Credentials;

use crate::account::OWNER;
use crate::common::Files;
use crate::endpoint::{Fault, When};
use crate::life::Life;

fn ending_in(time: Duration) -> Credentials {
    let end = SystemTime::from(Timestamp::now()) + time;
    Credentials::new("session", "testing", Some("token".into()), Some(end), "tests")
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_taken_away_before_a_session_ends_and_come_back_after_a_login() {
    let mut life = Life::begin(Files::Small, 0).await;
    life.log_in(ending_in(Duration::from_secs(3600))).await;
    let serving = life.serving().await;
    let end = serving.observed.unwrap().credentials_end.unwrap();
    let held = life.until("held", |report| report.phase == Phase::Held).await;
    let hold = held.desired.hold.unwrap();
    assert_eq!(hold.reason, HoldReason::CredentialsEnd { at: end });
    let minutes = end.duration_since(hold.since).as_secs_f64() / 60.0;
    assert!((14.0..=15.0).contains(&minutes), "{minutes} minutes before the end");
    assert!(life.feed().contains("The credentials end at"), "{}", life.feed());
    let rules = life.endpoint.read(|account| account.rules.len());
    assert_eq!(rules, 4 + 1, "the probe rule sends no users");
    life.log_in(ending_in(Duration::from_secs(8 * 3600))).await;
    let canary_percent = CanaryPercent::new(5.0).unwrap();
    life.submit(&Change::SetShare { canary_percent });
    life.serving().await;
    life.destroyed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_accounts_credentials_close_nothing() {
    let mut life = Life::begin(Files::Small, 0).await;
    life.serving().await;
    life.submit(&Change::Destroy);
    life.endpoint.read(|account| account.caller = "210987654321");
    life.log_in(ending_in(Duration::from_secs(3600))).await;
    for _ in 0..20 {
        let report = life.look().await;
        assert_ne!(report.phase, Phase::Destroyed);
        let error = report.cloud_error.unwrap();
        assert!(error.contains("210987654321") && error.contains(OWNER), "{error}");
    }
    assert_ne!(life.endpoint.read(|account| account.left()), Vec::<String>::new());
    life.endpoint.read(|account| account.caller = OWNER);
    life.log_in(ending_in(Duration::from_secs(8 * 3600))).await;
    life.destroyed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_leave_in_the_look_that_sees_an_arm_sick() {
    let life = Life::begin(Files::Small, 0).await;
    life.serving().await;
    let sick = life.endpoint.read(|account| {
        let canary = account
            .groups
            .iter()
            .find(|one| one.asked.text("Name").ends_with("-canary"));
        let arn = canary.unwrap().arn.clone();
        account.sick.push(arn.clone());
        arn
    });
    assert!(life.endpoint.read(|account| account.sends_users_nowhere()));
    let report = life.look().await;
    assert_eq!(
        report.desired.hold.unwrap().reason,
        HoldReason::ArmUnhealthy { arm: Arm::Canary }
    );
    assert!(!life.endpoint.read(|account| account.sends_users_nowhere()));
    life.endpoint.read(|account| account.sick.retain(|one| *one != sick));
    life.destroyed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_of_ours_that_vanishes_while_it_is_looked_at_is_no_strangers() {
    let mut life = Life::begin(Files::Small, 0).await;
    life.serving().await;
    life.endpoint.read(|account| {
        let main = account
            .rules
            .iter()
            .find(|rule| rule.tags.values().any(|value| value == "rule-main"));
        account.vanishing = vec![main.unwrap().arn.clone()];
    });
    // Nothing is remembered of who owns what.
    life.log_in(ending_in(Duration::from_secs(8 * 3600))).await;
    let report = life.look().await;
    assert_eq!(report.desired.hold.unwrap().reason, HoldReason::OurRuleRemoved);
    life.endpoint.read(|account| account.vanishing.clear());
    life.destroyed().await;
}

/// Part of AWS is silent when a person takes everything away: our rule goes all the same.
async fn rule_goes_without(operations: &[Call]) {
    let life = Life::begin(Files::Small, 0).await;
    life.serving().await;
    life.script(
        operations
            .iter()
            .map(|call| (call.name(), When::Always, Fault::Denied))
            .collect(),
    );
    life.submit(&Change::Destroy);
    life.look().await;
    let main = life.endpoint.read(|account| {
        let tagged = |rule: &&crate::account::Rule| rule.tags.values().any(|value| value == "rule-main");
        account.rules.iter().filter(tagged).count()
    });
    assert_eq!(main, 0, "{}", life.feed());
    assert!(!life.endpoint.read(|account| account.sends_users_nowhere()));
    let report = life.look().await;
    assert_ne!(report.phase, Phase::Destroyed);
    life.script(vec![]);
    life.destroyed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn our_rule_goes_also_while_ec2_does_not_answer() {
    rule_goes_without(&[Call::DescribeInstances, Call::TerminateInstances]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn our_rule_goes_also_while_s3_does_not_answer() {
    rule_goes_without(&[Call::ListObjectsV2, Call::HeadBucket, Call::DeleteBucket]).await;
}
