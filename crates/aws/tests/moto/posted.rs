//! A monitor that nothing reaches: what it is told, that nobody is let in, and what it puts into the bucket.

use arya_aws::{AwsCloud, AwsSettings, ConnectionSettings};
use arya_judge::source::posted::PLACES;
use arya_plan::identity::{LogicalId, SecurityGroupKind, resource_name};
use arya_plan::phase::Phase;
use arya_plan::plan::Step;
use arya_plan::spec::Reach;
use arya_plan::user_data::monitor::{EVIDENCE_URLS, PART_BYTES_MAX, evidence_key};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;

use crate::account::OWNER;
use crate::common::told;
use crate::contract::Ground as _;
use crate::stage::{Stage, settings};

async fn object(stage: &Stage, key: &str) -> String {
    let bucket = format!("{}-{OWNER}", resource_name(&stage.desired.id, LogicalId::Bucket));
    let request = stage.account.admin.s3.get_object().bucket(bucket).key(key);
    let body = request.send().await.unwrap().body.collect().await.unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

/// What a monitor does with one of its URLs.
async fn put(url: &str, bytes: Vec<u8>) {
    let url = url.to_owned();
    let sent = tokio::task::spawn_blocking(move || ureq::put(&url).send(&bytes[..]).unwrap().status());
    assert_eq!(sent.await.unwrap(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_monitor_that_nothing_reaches_lets_nobody_in_and_is_told_where_to_put_what_it_scrapes() {
    let mut stage = Stage::set().await;
    stage.desired.spec.monitor.reach = Reach::Bucket;
    for _ in 0..200 {
        if stage.round().await.0.phase == Phase::Serving {
            break;
        }
        stage.wait().await;
    }
    let name = resource_name(&stage.desired.id, LogicalId::SecurityGroup(SecurityGroupKind::Monitor));
    let groups = stage.account.admin.ec2.describe_security_groups().send().await.unwrap();
    let groups = groups.security_groups.unwrap();
    let group = groups.iter().find(|group| group.group_name() == Some(&name)).unwrap();
    assert_eq!(group.ip_permissions(), []);

    let told = object(&stage, "settings/instance-monitor-0-1").await;
    assert!(told.contains("'evidence.sh'") && told.contains("|http_requests_total|"));
    let first = told::value(&told, "EVIDENCE_URL");
    assert!(first.contains(&format!("/{EVIDENCE_URLS}?")), "{first}");
    let arms = object(&stage, "settings/instance-canary-0-1").await;
    assert_eq!(told::value(&arms, "EVIDENCE_URL"), "");

    let urls = object(&stage, EVIDENCE_URLS).await;
    let lines: Vec<&str> = urls.lines().collect();
    assert_eq!(lines.len(), PLACES + 2);
    let place = 7;
    assert!(lines[place + 1].contains(&format!("/{}?", evidence_key(place))));
    assert_eq!(stage.cloud.posted(&stage.desired, place).await, Ok(None));
    put(lines[place + 1], b"packed".to_vec()).await;
    let read = stage.cloud.posted(&stage.desired, place).await.unwrap();
    assert_eq!(read.as_deref(), Some(&b"packed"[..]));
    put(lines[place + 1], vec![b'x'; PART_BYTES_MAX + 1]).await;
    let read = stage.cloud.posted(&stage.desired, place).await.unwrap();
    assert_eq!(read.map(|read| read.len()), Some(PART_BYTES_MAX), "no more is read");
}

#[tokio::test(flavor = "multi_thread")]
async fn urls_are_signed_anew_when_the_credentials_are_others() {
    let stage = Stage::set().await;
    let apply = arya_plan::cloud::Cloud::apply(&stage.cloud, &stage.desired, &Step::CreateBucket);
    apply.await.unwrap();
    stage.cloud.renew_evidence_urls(&stage.desired).await.unwrap();
    let before = object(&stage, EVIDENCE_URLS).await;
    let key = |text: &str, key: &str| text.matches(&format!("X-Amz-Credential={key}%2F")).count();
    assert_eq!(key(&before, "testing"), PLACES + 1);

    // The same key signs nothing again, whatever lies there.
    let bucket = format!("{}-{OWNER}", resource_name(&stage.desired.id, LogicalId::Bucket));
    let request = stage.account.admin.s3.delete_object().bucket(bucket).key(EVIDENCE_URLS);
    request.send().await.unwrap();
    stage.cloud.renew_evidence_urls(&stage.desired).await.unwrap();
    let bucket = format!("{}-{OWNER}", resource_name(&stage.desired.id, LogicalId::Bucket));
    let request = stage.account.admin.s3.get_object().bucket(bucket).key(EVIDENCE_URLS);
    assert!(request.send().await.is_err());

    let theirs = Credentials::new("another", "testing", None, None, "tests");
    let settings = settings(stage.moto.endpoint(), stage.dir.path());
    let later = AwsCloud::connect(AwsSettings {
        connection: ConnectionSettings {
            credentials: Some(SharedCredentialsProvider::new(theirs)),
            ..settings.connection
        },
        ..settings
    });
    later.await.unwrap().renew_evidence_urls(&stage.desired).await.unwrap();
    let after = object(&stage, EVIDENCE_URLS).await;
    assert_eq!((key(&after, "another"), key(&after, "testing")), (PLACES + 1, 0));
}
