//! What instances are told: everything that their script needs, and no secret where others could read it.

use std::collections::BTreeSet;

use arya_plan::cloud::Cloud as _;
use arya_plan::identity::{LogicalId, Owner, Role, resource_name};
use arya_plan::phase::Phase;
use arya_plan::spec::ProductionTargets;
use aws_sdk_ec2::types::Instance;
use serde_json::Value;

use crate::account::{Admin, OWNER};
use crate::agent;
use crate::common::{store, told};
use crate::contract::Ground as _;
use crate::stage::Stage;

const SECRET: &str = "DB_PASSWORD='s3cr3t-of-nobody'\n";

async fn serving() -> Stage {
    let mut stage = Stage::set().await;
    let secret = store(stage.dir.path(), SECRET.as_bytes());
    stage.desired.spec.canary.env_file = Some(secret.clone());
    stage.desired.spec.baseline.env_file = Some(secret);
    stage.desired.spec.monitor.production_targets = ProductionTargets::Instances;
    for _ in 0..200 {
        if stage.round().await.0.phase == Phase::Serving {
            return stage;
        }
        stage.wait().await;
    }
    panic!("not serving: {:#?}", stage.look().await);
}

fn role(instance: &Instance) -> Option<Role> {
    let pairs = instance
        .tags()
        .iter()
        .filter_map(|tag| Some((tag.key()?, tag.value()?)));
    match Owner::from_tags(pairs)?.logical_id {
        LogicalId::Instance(place) => Some(place.role),
        LogicalId::Bucket | LogicalId::SecurityGroup(_) | LogicalId::TargetGroup(_) | LogicalId::Rule(_) => None,
    }
}

async fn instances(admin: &Admin) -> impl Iterator<Item = Instance> {
    let listed = admin.ec2.describe_instances().send().await.unwrap();
    let reservations = listed.reservations.unwrap_or_default().into_iter();
    reservations.flat_map(|one| one.instances.unwrap_or_default())
}

async fn ours(admin: &Admin) -> Vec<(Role, Instance)> {
    let ours = instances(admin).await.filter_map(|one| Some((role(&one)?, one)));
    ours.collect()
}

/// Where a node_exporter of production's machines would be.
async fn production(admin: &Admin) -> BTreeSet<String> {
    let theirs = instances(admin).await.filter(|one| role(one).is_none());
    theirs
        .filter_map(|one| Some(format!("{}:9100", one.private_ip_address()?)))
        .collect()
}

/// Every object of the deployment's bucket.
async fn objects(stage: &Stage) -> Vec<(String, Vec<u8>)> {
    let (bucket, s3) = (bucket(stage), &stage.account.admin.s3);
    let listed = s3.list_objects_v2().bucket(&bucket).send().await.unwrap();
    let mut objects = Vec::new();
    for object in listed.contents.unwrap_or_default() {
        let key = object.key.unwrap();
        let answer = s3.get_object().bucket(&bucket).key(&key).send().await.unwrap();
        objects.push((key, answer.body.collect().await.unwrap().to_vec()));
    }
    objects
}

fn bucket(stage: &Stage) -> String {
    format!("{}-{OWNER}", resource_name(&stage.desired.id, LogicalId::Bucket))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_there_for_each_instance_until_it_has_it_and_nowhere_else() {
    let stage = serving().await;
    for (key, bytes) in objects(&stage).await {
        assert!(!key.starts_with("once/"), "{key} was not removed");
        assert!(!String::from_utf8_lossy(&bytes).contains("s3cr3t"), "{key}");
    }
    let ours = ours(&stage.account.admin).await;
    assert_eq!(ours.len(), 3);
    for (role, instance) in ours {
        let user_data = agent::user_data(&stage.account.admin, instance.instance_id().unwrap()).await;
        assert_eq!(told::value(user_data.as_ref().unwrap(), "ROLE"), role.as_str());
        let told = format!("{user_data:?} {instance:?}");
        assert!(!told.contains("s3cr3t"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_monitor_is_told_whom_to_watch_and_not_its_password() {
    let stage = serving().await;
    let instances = ours(&stage.account.admin).await;
    let objects = objects(&stage).await;
    let (_, targets) = objects.iter().find(|(key, _)| key == "targets.json").unwrap();
    let targets: Value = serde_json::from_slice(targets).unwrap();
    let watched = |role: Role| {
        let (_, instance) = instances.iter().find(|(of, _)| *of == role).unwrap();
        let node = format!("{}:9100", instance.private_ip_address().unwrap());
        let of_role = |one: &&Value| one["labels"]["arm"] == role.as_str() && one["targets"][0] == node.as_str();
        targets.as_array().unwrap().iter().filter(of_role).count()
    };
    assert_eq!((watched(Role::Baseline), watched(Role::Canary)), (1, 1), "{targets}");
    let beside = targets.as_array().unwrap().iter();
    let beside = beside.filter(|one| one["labels"]["arm"] == "production" && one["labels"]["job"] == "node");
    let beside: BTreeSet<&str> = beside.filter_map(|one| one["targets"][0].as_str()).collect();
    let theirs = production(&stage.account.admin).await;
    let theirs: BTreeSet<&str> = theirs.iter().map(String::as_str).collect();
    assert!(!theirs.is_empty() && beside == theirs, "{targets}");
    let door = arya_aws::DoorKey::new([7; 32]).door(&stage.desired.id);
    for (key, bytes) in &objects {
        let text = String::from_utf8_lossy(bytes);
        assert!(!text.contains(&door.password), "{key}");
    }
    let (_, settings) = objects
        .iter()
        .find(|(key, _)| key == "settings/instance-monitor-0-1")
        .unwrap();
    assert!(String::from_utf8_lossy(settings).contains("arya:{SSHA}"));
    let monitor = stage
        .cloud
        .observe(&stage.desired, stage.desired.created_at)
        .await
        .unwrap();
    let address = monitor
        .instances
        .iter()
        .find(|one| one.place.role == Role::Monitor)
        .unwrap()
        .address;
    assert_eq!(address.unwrap().port(), 8443);
}
