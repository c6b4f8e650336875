//! How much traffic production has, for a plan: from CloudWatch, or by rule from the load balancer's own log.

use std::time::Duration;

use arya_aws::AwsCloud;
use arya_judge::Timestamp;
use arya_plan::listener::{ListenerId, Priority};
use arya_plan::surroundings::Traffic;

use crate::account::Account;
use crate::bridge::bridge;
use crate::logged::{packed, put, switch_on};
use crate::measured::Put;
use crate::stage::{Stage, settings};

/// By a cloud that remembers nothing.
async fn traffic(stage: &Stage, endpoint: &str) -> Traffic {
    let cloud = AwsCloud::connect(settings(endpoint.to_owned(), stage.dir.path()))
        .await
        .unwrap();
    let site = stage.site().await;
    cloud.surroundings(&stage.desired.spec, &site).await.unwrap().traffic
}

/// All requests, and why they are not told by rule.
fn together(traffic: Traffic) -> (u64, u32, String) {
    match traffic {
        Traffic::Together {
            requests,
            span,
            why_not_by_way,
        } => (requests, span.seconds, why_not_by_way),
        other => panic!("{other:?}"),
    }
}

fn ago(seconds: u64) -> Timestamp {
    Timestamp::now() - Duration::from_secs(seconds)
}

async fn counted(stage: &Stage, balancer: &str, group: &str) {
    let dimension = |arn: &str, kind: &str| arn[arn.rfind(kind).unwrap() + kind.len()..].to_owned();
    let balancer = dimension(balancer, ":loadbalancer/");
    let group = format!("targetgroup/{}", dimension(group, ":targetgroup/"));
    let mut numbers = Put::new();
    // The last is too young to be whole, the first longer ago than what is asked about.
    for (seconds, requests) in [(5_400, 7.0), (1_800, 600.0), (1_200, 300.0), (20, 11.0)] {
        let minute = ago(seconds).as_second() / 60 * 60;
        let minute = Timestamp::from_second(minute).unwrap();
        numbers.number(&balancer, &group, "RequestCount", minute, requests);
    }
    numbers.send(stage.moto.endpoint()).await;
}

fn line(account: &Account, url: &str, rule: u16) -> String {
    let (time, group) = (ago(900), &account.production_group);
    format!(
        "http {time} app/shop/50dc 10.0.0.9:2817 10.0.1.7:8080 0.000 0.004 0.000 200 200 34 366 \"GET {url} HTTP/1.1\" \"curl\" \
         - - {group} \"Root=1-58\" \"-\" \"-\" {rule} {time} \"forward\" \"-\" \"-\" \"10.0.1.7:8080\" \"200\" \"-\" \"-\"\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn production_is_counted_together_and_by_rule_once_a_log_is_written() {
    let stage = Stage::set().await;
    let balancer = stage.site().await.load_balancer.to_string();
    counted(&stage, &balancer, &stage.account.production_group).await;
    let endpoint = bridge(&stage.moto).await;
    let (requests, seconds, why) = together(traffic(&stage, &endpoint).await);
    assert_eq!((requests, seconds), (900, 3_600));
    assert!(
        why.contains("writes no access log") && why.contains("arya iam --access-logs"),
        "{why}"
    );

    switch_on(&stage, &balancer).await;
    let (requests, _, why) = together(traffic(&stage, &endpoint).await);
    assert_eq!(requests, 900);
    assert!(why.contains("no file of the last minutes"), "{why}");

    let account = &stage.account;
    let mut lines = vec![line(account, "http://shop.example:80/", 0); 6];
    lines.extend(vec![line(account, "http://shop.example:80/images/a", 20); 3]);
    // Of a listener that is gone.
    lines.push(line(account, "http://shop.example:81/", 0));
    let ends = Timestamp::from_second(ago(600).as_second() / 300 * 300).unwrap();
    put(&stage, &balancer, ends, "10.0.0.1", packed(&lines)).await;
    put(&stage, &balancer, ends, "10.0.0.2", packed(&lines[..1])).await;
    // Its minutes are not over for every node.
    let young = Timestamp::from_second(ago(0).as_second() / 300 * 300).unwrap();
    put(&stage, &balancer, young, "10.0.0.1", packed(&lines)).await;
    let Traffic::ByWay { requests, span } = traffic(&stage, &endpoint).await else {
        panic!("not by way")
    };
    let listener = ListenerId::new(account.listener.clone());
    let wanted = [
        ((listener.clone(), Priority::At(20)), 3),
        ((listener, Priority::Default), 7),
    ];
    assert_eq!(
        (requests, span.seconds),
        (wanted.into(), 300),
        "a log that was switched on just now"
    );

    // It was on before.
    let earlier = ends - Duration::from_secs(1_500);
    put(&stage, &balancer, earlier, "10.0.0.1", packed(&[])).await;
    let Traffic::ByWay { span, .. } = traffic(&stage, &endpoint).await else {
        panic!("not by way")
    };
    assert_eq!(span.seconds, 900);

    put(&stage, &balancer, ends, "10.0.0.2", b"not packed".to_vec()).await;
    let (requests, _, why) = together(traffic(&stage, &endpoint).await);
    assert_eq!(requests, 900);
    assert!(why.contains("cannot be unpacked"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_that_nobody_tells_are_told_to_be_unknown_and_stop_no_plan() {
    let stage = Stage::set().await;
    // moto itself does not speak CloudWatch's newer protocol.
    let Traffic::Untold { why } = traffic(&stage, &stage.moto.endpoint()).await else {
        panic!("it was told")
    };
    assert!(!why.is_empty() && !why.ends_with('.'), "{why}");
}
