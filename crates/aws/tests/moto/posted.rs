//! What instances send by URLs, and a monitor that nothing reaches: what it is told, that nobody is let in, and what it puts
//! into the bucket.

use arya_aws::{AwsCloud, AwsSettings, ConnectionSettings};
use arya_judge::source::posted::PLACES;
use arya_plan::identity::{LogicalId, Place, Role, SecurityGroupKind, resource_name};
use arya_plan::observed::{Instance, InstanceState};
use arya_plan::phase::Phase;
use arya_plan::plan::Step;
use arya_plan::spec::Reach;
use arya_plan::user_data::monitor::{PART_BYTES_MAX, evidence_key};
use arya_plan::user_data::urls_key;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;

use crate::account::OWNER;
use crate::common::told;
use crate::contract::Ground as _;
use crate::stage::{Stage, settings};

const EVIDENCE: &str = "evidence";

/// The first word of each line.
fn names(urls: &str) -> Vec<&str> {
    urls.lines().filter_map(|line| line.split(' ').next()).collect()
}

fn bucket(stage: &Stage) -> String {
    format!("{}-{OWNER}", resource_name(&stage.desired.id, LogicalId::Bucket))
}

async fn lies_there(stage: &Stage, key: &str) -> bool {
    let request = stage.account.admin.s3.get_object().bucket(bucket(stage)).key(key);
    request.send().await.is_ok()
}

async fn object(stage: &Stage, key: &str) -> String {
    let request = stage.account.admin.s3.get_object().bucket(bucket(stage)).key(key);
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
    let arms = object(&stage, "settings/instance-canary-0-1").await;
    assert!(!arms.contains("'evidence.sh'"));
    for (told, key) in [
        (&told, "urls/instance-monitor-0-1"),
        (&arms, "urls/instance-canary-0-1"),
    ] {
        let first = told::value(told, "URLS_URL");
        assert!(first.contains(&format!("/{key}?")), "{first}");
    }
    let urls = object(&stage, "urls/instance-canary-0-1").await;
    assert_eq!(names(&urls), ["these", "status", "logs", "end"]);

    let urls = object(&stage, "urls/instance-monitor-0-1").await;
    let expected = ["these", "status", "logs", "targets", "export"];
    let expected = expected.into_iter().chain([EVIDENCE; PLACES]).chain(["end"]);
    assert!(names(&urls).into_iter().eq(expected), "{urls}");
    let places: Vec<&str> = urls.lines().filter_map(|line| line.strip_prefix("evidence ")).collect();
    let place = 7;
    assert!(places[place].contains(&format!("/{}?", evidence_key(place))));
    assert_eq!(stage.cloud.posted(&stage.desired, place).await, Ok(None));
    put(places[place], b"packed".to_vec()).await;
    let read = stage.cloud.posted(&stage.desired, place).await.unwrap();
    assert_eq!(read.as_deref(), Some(&b"packed"[..]));
    put(places[place], vec![b'x'; PART_BYTES_MAX + 1]).await;
    let read = stage.cloud.posted(&stage.desired, place).await.unwrap();
    assert_eq!(read.map(|read| read.len()), Some(PART_BYTES_MAX), "no more is read");
}

#[tokio::test(flavor = "multi_thread")]
async fn urls_are_signed_anew_when_the_credentials_are_others() {
    let mut stage = Stage::set().await;
    stage.desired.spec.monitor.reach = Reach::Bucket;
    let apply = arya_plan::cloud::Cloud::apply(&stage.cloud, &stage.desired, &Step::CreateBucket);
    apply.await.unwrap();
    let standing = |role: Role, incarnation: u32, state: InstanceState| Instance {
        place: Place { role, index: 0 },
        incarnation,
        id: format!("i-{incarnation}"),
        state,
        address: None,
        report: None,
        ended_because: None,
        console: None,
    };
    let standing = [
        standing(Role::Monitor, 1, InstanceState::Running),
        standing(Role::Canary, 1, InstanceState::Terminated),
        standing(Role::Canary, 2, InstanceState::Running),
    ];
    let key_of = |one: &Instance| urls_key(one.place, one.incarnation);
    stage.cloud.renew_urls(&stage.desired, &standing).await.unwrap();
    let monitors = object(&stage, &key_of(&standing[0])).await;
    let signed_with = |text: &str, key: &str| text.matches(&format!("X-Amz-Credential={key}%2F")).count();
    assert_eq!(signed_with(&monitors, "testing"), 5 + PLACES);
    assert_eq!(signed_with(&object(&stage, &key_of(&standing[2])).await, "testing"), 3);
    assert!(!lies_there(&stage, &key_of(&standing[1])).await, "it ended");

    // The same key signs nothing again, whatever lies there.
    let bucket = bucket(&stage);
    for one in [&standing[0], &standing[2]] {
        let request = stage.account.admin.s3.delete_object().bucket(&bucket).key(key_of(one));
        request.send().await.unwrap();
    }
    stage.cloud.renew_urls(&stage.desired, &standing).await.unwrap();
    assert!(!lies_there(&stage, &key_of(&standing[0])).await && !lies_there(&stage, &key_of(&standing[2])).await);

    let theirs = Credentials::new("another", "testing", None, None, "tests");
    let settings = settings(stage.moto.endpoint(), stage.dir.path());
    let later = AwsCloud::connect(AwsSettings {
        connection: ConnectionSettings {
            credentials: Some(SharedCredentialsProvider::new(theirs)),
            ..settings.connection
        },
        ..settings
    });
    later
        .await
        .unwrap()
        .renew_urls(&stage.desired, &standing)
        .await
        .unwrap();
    let after = object(&stage, &key_of(&standing[0])).await;
    assert_eq!(
        (signed_with(&after, "another"), signed_with(&after, "testing")),
        (5 + PLACES, 0)
    );
    assert!(lies_there(&stage, &key_of(&standing[2])).await);
}
