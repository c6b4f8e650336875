//! Evidence from access logs in a bucket, as the load balancer names and packs them.

use std::io::Write as _;
use std::time::Duration;

use arya_aws::{AwsCloud, MeasuredBy};
use arya_judge::source::pack::error_share_of_clients;
use arya_judge::{Evidence, MetricSource as _, Shown, SourceError, Timestamp};
use arya_plan::cloud::Cloud as _;
use arya_plan::identity::Arm;
use arya_plan::phase::Phase;
use aws_sdk_elasticloadbalancingv2::types::LoadBalancerAttribute;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::account::{OWNER, REGION};
use crate::contract::Ground as _;
use crate::slow::{PIECE, slow};
use crate::stage::{Stage, settings};

pub(crate) const BUCKET: &str = "logs-of-the-shop";

/// A deployment that serves, behind a load balancer that may write logs.
struct Logged {
    stage: Stage,
    cloud: AwsCloud,
    balancer: String,
    /// Baseline, canary, production.
    groups: [String; 3],
    from: Timestamp,
}

impl Logged {
    async fn begin() -> Self {
        let mut stage = Stage::set().await;
        for _ in 0..200 {
            if stage.round().await.0.phase == Phase::Serving {
                break;
            }
            stage.wait().await;
        }
        let mut settings = settings(stage.moto.endpoint(), stage.dir.path());
        settings.connection.measured_by = MeasuredBy::AccessLogs;
        let cloud = AwsCloud::connect(settings).await.unwrap();
        let seen = cloud.observe(&stage.desired, Timestamp::now()).await.unwrap();
        let of = |arm| seen.groups[&arm].id.to_string();
        Self {
            balancer: seen.site.as_ref().unwrap().load_balancer.to_string(),
            groups: [
                of(Arm::Baseline),
                of(Arm::Canary),
                stage.account.production_group.clone(),
            ],
            from: Timestamp::from_second(seen.at.as_second() / 300 * 300 - 3_600).unwrap(),
            cloud,
            stage,
        }
    }

    fn at(&self, seconds: i64) -> Timestamp {
        Timestamp::from_second(self.from.as_second() + seconds).unwrap()
    }

    async fn switch_on(&self) {
        switch_on(&self.stage, &self.balancer).await;
    }

    fn line(&self, second: i64, side: usize, status: u16, rule: u16) -> String {
        let (time, group) = (self.at(second), &self.groups[side]);
        format!(
            "http {time} app/shop/50dc 10.0.0.9:2817 10.0.1.7:8080 0.000 0.004 0.000 {status} {status} 34 366 \
             \"GET http://shop.example:80/ HTTP/1.1\" \"curl\" - - {group} \"Root=1-58\" \"-\" \"-\" {rule} {time} \"forward\" \
             \"-\" \"-\" \"10.0.1.7:8080\" \"{status}\" \"-\" \"-\"\n"
        )
    }

    /// A file of the five minutes that end then, in seconds from the beginning.
    async fn put(&self, ends: i64, node: &str, bytes: Vec<u8>) {
        put(&self.stage, &self.balancer, self.at(ends), node, bytes).await;
    }

    async fn evidence(&self, now: i64) -> Result<Evidence, SourceError> {
        let id = self.stage.desired.id.to_string();
        let window = self.from..=self.at(now);
        self.cloud.evidence(&id, &error_share_of_clients(), window).await
    }
}

/// Has the load balancer write its log into a bucket.
pub(crate) async fn switch_on(stage: &Stage, balancer: &str) {
    let admin = &stage.account.admin;
    let place = aws_sdk_s3::types::BucketLocationConstraint::from(REGION);
    let place = aws_sdk_s3::types::CreateBucketConfiguration::builder()
        .location_constraint(place)
        .build();
    let request = admin.s3.create_bucket().bucket(BUCKET);
    request.create_bucket_configuration(place).send().await.unwrap();
    let pair = |key: &str, value: &str| LoadBalancerAttribute::builder().key(key).value(value).build();
    let request = admin.elb.modify_load_balancer_attributes().load_balancer_arn(balancer);
    let request = request
        .attributes(pair("access_logs.s3.bucket", BUCKET))
        .attributes(pair("access_logs.s3.prefix", "shop"))
        .attributes(pair("access_logs.s3.enabled", "true"));
    request.send().await.unwrap();
}

/// Lays a file of one node into the bucket, as the load balancer names it.
pub(crate) async fn put(stage: &Stage, balancer: &str, ends: Timestamp, node: &str, bytes: Vec<u8>) {
    let name = balancer.split_once(":loadbalancer/").unwrap().1.replace('/', ".");
    let ends = ends.to_string();
    let (day, time) = (&ends[..10], ends[11..16].replace(':', ""));
    let (folder, day) = (day.replace('-', "/"), day.replace('-', ""));
    let key = format!(
        "shop/AWSLogs/{OWNER}/elasticloadbalancing/{REGION}/{folder}/{OWNER}_elasticloadbalancing_{REGION}_{name}_{day}T{time}Z_{node}_4f2a.log.gz"
    );
    let request = stage.account.admin.s3.put_object().bucket(BUCKET).key(key);
    request.body(bytes.into()).send().await.unwrap();
}

pub(crate) fn packed(lines: &[String]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(lines.concat().as_bytes()).unwrap();
    packer.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_of_all_nodes_become_evidence_of_both_arms_and_production() {
    let logged = Logged::begin().await;
    let said = logged.evidence(60).await.unwrap_err().to_string();
    assert!(said.contains("writes no access log"), "{said}");
    logged.switch_on().await;
    let slots = logged.stage.desired.placement.slots;
    let node = |failed: u16| {
        let mut lines: Vec<String> = (0..30).map(|second| logged.line(second, 0, 200, slots.main)).collect();
        lines.extend((0..30).map(|second| logged.line(second, 1, failed, slots.main)));
        lines.extend((0..30).map(|second| logged.line(second, 2, 200, slots.main)));
        // The probe, and requests of another rule.
        lines.push(logged.line(3, 1, 503, slots.probe));
        lines.push(logged.line(3, 2, 503, 20));
        packed(&lines)
    };
    logged.put(300, "10.0.0.1", node(200)).await;
    logged.put(300, "10.0.0.2", node(500)).await;
    // A minute later the load balancer is asked again where it writes.
    let early = logged.evidence(400).await.unwrap();
    assert_eq!(early.blocks, [], "files of the first minutes may still come");
    let evidence = logged.evidence(1_000).await.unwrap();
    let counts = evidence.blocks.iter().map(|block| *block.counts().unwrap());
    let counts: Vec<_> = counts
        .map(|block| {
            (
                block.ends_at,
                block.canary_events,
                block.canary_exposure,
                block.baseline_exposure,
            )
        })
        .collect();
    assert_eq!(counts, [15, 30].map(|ends| (logged.at(ends), 15.0, 30.0, 30.0)));
    let [one, _] = &evidence.production[..] else {
        panic!("{:?}", evidence.production)
    };
    let Shown::Counts(beside) = &one.shown else {
        panic!("{one:?}")
    };
    assert_eq!((beside.events, beside.exposure), (0.0, 30.0));
    // A file that comes later is read once, and those before are not read twice.
    logged
        .put(600, "10.0.0.1", packed(&[logged.line(310, 1, 200, slots.main)]))
        .await;
    let later = logged.evidence(1_300).await.unwrap();
    assert_eq!(later.blocks.len(), 3);
    assert_eq!(later.blocks[..2], evidence.blocks[..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_read_is_said_and_not_taken_for_silence() {
    let logged = Logged::begin().await;
    logged.switch_on().await;
    logged.put(300, "10.0.0.1", b"not packed at all".to_vec()).await;
    let said = logged.evidence(1_000).await.unwrap_err().to_string();
    assert!(said.contains("cannot be unpacked"), "{said}");
    for now in [1_010, 1_200] {
        assert_eq!(logged.evidence(now).await.unwrap_err().to_string(), said);
    }
    logged.put(300, "10.0.0.1", packed(&[logged.line(10, 1, 200, 1)])).await;
    assert_eq!(logged.evidence(1_300).await.unwrap().blocks.len(), 1);
}

/// Longer than a piece takes, shorter than a file.
const ASKED_FOR: Duration = Duration::from_millis(300);
const ASKED_AT_MOST: usize = 60;

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_takes_longer_than_anybody_waits_is_there_in_the_end() {
    let mut logged = Logged::begin().await;
    logged.switch_on().await;
    let slots = logged.stage.desired.placement.slots;
    let lines: String = (0..1_000)
        .map(|request| logged.line(request % 15, 1, 200, slots.main))
        .collect();
    let mut packer = GzEncoder::new(Vec::new(), Compression::none());
    packer.write_all(lines.as_bytes()).unwrap();
    let bytes = packer.finish().unwrap();
    assert!(bytes.len() > 4 * PIECE, "{}", bytes.len());
    logged.put(300, "10.0.0.1", bytes).await;

    let mut settings = settings(slow(&logged.stage.moto).await, logged.stage.dir.path());
    settings.connection.measured_by = MeasuredBy::AccessLogs;
    logged.cloud = AwsCloud::connect(settings).await.unwrap();
    logged
        .cloud
        .observe(&logged.stage.desired, Timestamp::now())
        .await
        .unwrap();
    for asked in 1.. {
        if let Ok(evidence) = tokio::time::timeout(ASKED_FOR, logged.evidence(1_000)).await {
            let blocks = evidence.unwrap().blocks;
            assert_eq!(blocks[0].counts().unwrap().canary_exposure, 1_000.0);
            assert!(asked > 4, "nobody waited {asked} times in vain");
            break;
        }
        assert!(asked < ASKED_AT_MOST, "what arrived was not kept");
    }
}
