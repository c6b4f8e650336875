//! Evidence from CloudWatch as moto stores it. moto has no trimmed counts, so times are read elsewhere.

use arya_aws::AwsCloud;
use arya_judge::source::pack::error_share_of_clients;
use arya_judge::{MetricSource as _, Timestamp};
use arya_plan::cloud::Cloud as _;
use arya_plan::identity::Arm;
use arya_plan::phase::Phase;

use crate::account::REGION;
use crate::bridge::bridge;
use crate::contract::Ground as _;
use crate::stage::{Stage, settings};

/// What moto is told in one call.
pub(crate) struct Put(Vec<(String, String)>);

impl Put {
    pub(crate) fn new() -> Self {
        let pairs = [
            ("Action", "PutMetricData"),
            ("Version", "2010-08-01"),
            ("Namespace", "AWS/ApplicationELB"),
        ];
        Self(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
    }

    /// A number of one target group in the minute that begins then.
    pub(crate) fn number(&mut self, balancer: &str, group: &str, metric: &str, begins: Timestamp, value: f64) {
        let member = format!("MetricData.member.{}", self.0.len() / 8 + 1);
        let pairs = [
            ("MetricName", metric.to_owned()),
            ("Timestamp", begins.to_string()),
            ("Value", value.to_string()),
            ("Unit", "Count".to_owned()),
            ("Dimensions.member.1.Name", "LoadBalancer".to_owned()),
            ("Dimensions.member.1.Value", balancer.to_owned()),
            ("Dimensions.member.2.Name", "TargetGroup".to_owned()),
            ("Dimensions.member.2.Value", group.to_owned()),
        ];
        self.0
            .extend(pairs.map(|(name, value)| (format!("{member}.{name}"), value)));
    }

    pub(crate) async fn send(self, endpoint: String) {
        let sent = tokio::task::spawn_blocking(move || {
            let scope = format!(
                "AWS4-HMAC-SHA256 Credential=testing/20260101/{REGION}/monitoring/aws4_request, SignedHeaders=host, Signature=0"
            );
            ureq::post(&endpoint)
                .header("Authorization", scope)
                .send_form(self.0)
                .unwrap();
        });
        sent.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_that_another_cloudwatch_stores_become_evidence_of_both_arms_and_production() {
    let mut stage = Stage::set().await;
    for _ in 0..200 {
        if stage.round().await.0.phase == Phase::Serving {
            break;
        }
        stage.wait().await;
    }
    let cloud = AwsCloud::connect(settings(bridge(&stage.moto).await, stage.dir.path()))
        .await
        .unwrap();
    let seen = cloud.observe(&stage.desired, Timestamp::now()).await.unwrap();
    let dimension = |arn: &str, kind: &str| arn[arn.rfind(kind).unwrap() + kind.len()..].to_owned();
    let balancer = dimension(seen.site.as_ref().unwrap().load_balancer.as_str(), ":loadbalancer/");
    let group = |arn: &str| format!("targetgroup/{}", dimension(arn, ":targetgroup/"));
    let groups = [
        group(seen.groups[&Arm::Baseline].id.as_str()),
        group(seen.groups[&Arm::Canary].id.as_str()),
        group(&stage.account.production_group),
    ];
    let from = Timestamp::from_second(seen.at.as_second() / 60 * 60 - 3_600).unwrap();
    let minute = |minute: i64| Timestamp::from_second(from.as_second() + minute * 60).unwrap();
    for place in 0..4 {
        let mut put = Put::new();
        for (group, failed) in groups.iter().zip([1.0, 7.0, 2.0]) {
            put.number(&balancer, group, "RequestCount", minute(place), 100.0);
            put.number(
                &balancer,
                group,
                "HTTPCode_Target_2XX_Count",
                minute(place),
                100.0 - failed,
            );
            put.number(&balancer, group, "HTTPCode_Target_5XX_Count", minute(place), failed);
        }
        // Somebody else's group on the same load balancer.
        put.number(
            &balancer,
            "targetgroup/other/1",
            "HTTPCode_Target_5XX_Count",
            minute(place),
            50.0,
        );
        put.send(stage.moto.endpoint()).await;
    }
    let (id, metric) = (stage.desired.id.to_string(), error_share_of_clients());
    let evidence = cloud.evidence(&id, &metric, from..=minute(30)).await.unwrap();
    let counts = evidence.blocks.iter().map(|block| block.counts().unwrap());
    let counts: Vec<_> = counts
        .map(|block| {
            (
                block.ends_at,
                block.baseline_events,
                block.canary_events,
                block.canary_exposure,
            )
        })
        .collect();
    assert_eq!(counts, [1, 2, 3, 4].map(|ends| (minute(ends), 1.0, 7.0, 100.0)));
    // Other rules lead to production's group too, so its numbers are of other requests.
    assert_eq!(evidence.production.len(), 0);
}
