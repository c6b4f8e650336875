//! What instances would do if any ran: read their user data, fetch their files by the URLs in it, write their status.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use arya_aws::{Boot, Launch};
use arya_plan::desired::Desired;
use arya_plan::identity::{LogicalId, Owner, resource_name};
use arya_plan::spec::Digest;
use aws_sdk_ec2::types::{InstanceAttributeName, InstanceStateName};
use serde_json::{Value, json};

use crate::account::{Admin, OWNER};

/// User data that this agent reads.
#[derive(Debug)]
pub(crate) struct Script;

impl Boot for Script {
    fn user_data(&self, launch: &Launch<'_>) -> Result<Vec<u8>, String> {
        let files: BTreeMap<&str, &String> = launch
            .files
            .iter()
            .map(|(digest, url)| (digest.as_str(), url))
            .collect();
        let document = json!({
            "role": launch.place.role.as_str(),
            "files": files,
            "status": launch.status,
            "arms": launch.arms.len(),
        });
        Ok(document.to_string().into_bytes())
    }
}

/// Carries every running instance on; `done` are those that have nothing more to do.
pub(crate) async fn act(admin: &Admin, done: &mut BTreeSet<String>) {
    let listed = admin.ec2.describe_instances().send().await.unwrap();
    let instances = listed
        .reservations
        .unwrap_or_default()
        .into_iter()
        .flat_map(|one| one.instances.unwrap_or_default());
    for instance in instances {
        let running = instance.state().and_then(|state| state.name()) == Some(&InstanceStateName::Running);
        let id = instance.instance_id.unwrap_or_default();
        if !running || done.contains(&id) {
            continue;
        }
        let Some(document) = user_data(admin, &id).await else {
            // One of production's.
            done.insert(id);
            continue;
        };
        let ready = tokio::task::spawn_blocking(move || boot(&document)).await.unwrap();
        if ready {
            done.insert(id);
        }
    }
}

/// The same where presigned URLs cannot be used, because moto answers them with 500 once it checks who asks: the status
/// documents are written with the administrator's own keys.
pub(crate) async fn act_as_admin(admin: &Admin, desired: &Desired) {
    let bucket = format!("{}-{OWNER}", resource_name(&desired.id, LogicalId::Bucket));
    let listed = admin.ec2.describe_instances().send().await.unwrap();
    let reservations = listed.reservations.unwrap_or_default().into_iter();
    for instance in reservations.flat_map(|one| one.instances.unwrap_or_default()) {
        let pairs = instance
            .tags()
            .iter()
            .filter_map(|tag| Some((tag.key()?, tag.value()?)));
        let Some(owner) = Owner::from_tags(pairs) else { continue };
        let status = json!({"phase": "ready", "at": "2026-01-01T00:00:00Z"}).to_string();
        let key = format!("status/{}-{}.json", owner.logical_id, owner.incarnation);
        let request = admin.s3.put_object().bucket(&bucket).key(key);
        // The bucket goes before the last look.
        let _ = request.body(status.into_bytes().into()).send().await;
    }
}

pub(crate) async fn user_data(admin: &Admin, id: &str) -> Option<Value> {
    let request = admin.ec2.describe_instance_attribute().instance_id(id);
    let answer = request.attribute(InstanceAttributeName::UserData).send().await.unwrap();
    let encoded = answer.user_data?.value?;
    let packed = aws_smithy_types::base64::decode(encoded).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(&packed[..])
        .read_to_string(&mut text)
        .unwrap();
    Some(serde_json::from_str(&text).unwrap())
}

/// Fetches what is there, and says how far it is; whether that is `ready`.
fn boot(document: &Value) -> bool {
    let files = document["files"].as_object().unwrap();
    let ready = files.iter().all(|(digest, url)| fetched(digest, url.as_str().unwrap()));
    let status = json!({
        "role": document["role"],
        "phase": if ready { "ready" } else { "docker_ready" },
        "at": "2026-01-01T00:00:00Z",
        "fingerprint": {"kernel": "6.12"},
    });
    let put = ureq::put(document["status"].as_str().unwrap()).send(status.to_string());
    assert!(put.is_ok(), "{put:?}");
    ready
}

fn fetched(digest: &str, url: &str) -> bool {
    let Ok(mut answer) = ureq::get(url).call() else {
        return false;
    };
    let bytes = answer.body_mut().with_config().limit(1 << 30).read_to_vec().unwrap();
    assert_eq!(Digest::of(&bytes).as_str(), digest, "the bytes are those of the digest");
    true
}
