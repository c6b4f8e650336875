//! What instances would do if any ran: read their user data, fetch their files by the URLs in it, write their status.

use std::collections::BTreeSet;

use arya_plan::desired::Desired;
use arya_plan::identity::{LogicalId, Owner, resource_name};
use arya_plan::spec::Digest;
use aws_sdk_ec2::types::{InstanceAttributeName, InstanceStateName};
use serde_json::json;

use crate::account::{Admin, OWNER};
use crate::common::told;

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

/// `None` where there is none of ours.
pub(crate) async fn user_data(admin: &Admin, id: &str) -> Option<String> {
    let request = admin.ec2.describe_instance_attribute().instance_id(id);
    let answer = request.attribute(InstanceAttributeName::UserData).send().await.unwrap();
    Some(told::unpacked(&answer.user_data?.value?))
}

/// Fetches what is there, and says how far it is; whether that is `ready`.
fn boot(user_data: &str) -> bool {
    let settings = fetched(user_data, "SETTINGS").expect("they are there before the launch");
    let settings = String::from_utf8(settings).unwrap();
    let has_compose = told::url(&settings, "COMPOSE").is_none() || fetched(&settings, "COMPOSE").is_some();
    let ready = has_compose && has_image(&settings);
    if let Some(secret) = fetched(&settings, "ENV_FILE") {
        assert!(!secret.is_empty());
        let removed = ureq::delete(told::value(&settings, "ENV_FILE_REMOVE_URL")).call();
        assert!(removed.is_ok(), "{removed:?}");
    }
    let status = json!({
        "role": told::value(user_data, "ROLE"),
        "phase": if ready { "ready" } else { "docker_ready" },
        "at": "2026-01-01T00:00:00Z",
        "fingerprint": {"kernel": "6.12"},
    });
    let put = ureq::put(told::value(user_data, "STATUS_URL")).send(status.to_string());
    assert!(put.is_ok(), "{put:?}");
    ready
}

/// Whether all pieces of the image are there, which make up the archive.
fn has_image(settings: &str) -> bool {
    let pieces: Option<Vec<Vec<u8>>> = told::pieces(settings).into_iter().map(got).collect();
    let Some(pieces) = pieces.filter(|pieces| !pieces.is_empty()) else {
        return told::pieces(settings).is_empty();
    };
    let digest = told::value(settings, "IMAGE_SHA256");
    assert_eq!(Digest::of(&pieces.concat()).hex(), digest, "they are the archive");
    true
}

fn got(url: &str) -> Option<Vec<u8>> {
    let mut answer = ureq::get(url).call().ok()?;
    Some(answer.body_mut().with_config().limit(1 << 30).read_to_vec().unwrap())
}

/// An object that a block names, if it is there by now.
fn fetched(block: &str, name: &str) -> Option<Vec<u8>> {
    let bytes = got(told::url(block, name)?)?;
    let digest = told::value(block, &format!("{name}_SHA256"));
    assert_eq!(Digest::of(&bytes).hex(), digest, "the bytes are those of the digest");
    Some(bytes)
}
