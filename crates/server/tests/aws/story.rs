//! The main job on an account, with a server that dies in the middle of it.

use std::collections::BTreeMap;

use arya_plan::identity::TAG_DEPLOYMENT;
use serde_json::{Value, json};

use crate::account::REGION;
use crate::served::Server;
use crate::world::{LOOK_EVERY, World};

fn applied(document: &Value) -> [f64; 3] {
    ["production", "baseline", "canary"].map(|side| document["weights"]["applied"][side].as_f64().unwrap_or(-1.0))
}

#[tokio::test(flavor = "multi_thread")]
async fn from_archives_to_an_account_as_before_with_a_crash_between() {
    let world = World::build().await;
    world.with_a_dead_connection();
    let server = Server::start(&world.home).await;
    let listeners = listeners(&server).await;
    let balancer = &listeners["load_balancers"][0];
    assert_eq!(
        [&balancer["connection"], &balancer["account"], &balancer["region"]],
        [&json!("shop"), &json!("123456789012"), &json!(REGION)]
    );
    let rules = balancer["listeners"][0]["rules"].as_array().unwrap();
    assert_eq!(rules.len(), 4);

    let mut spec = world.spec(&server, "shop-next", "default").await;
    spec["instances"] = json!({"tags": "same_as_production"});
    let (spec, plan) = world.accepted(&server, &spec).await;
    assert!(plan["price_per_hour"].as_f64().unwrap() > 0.0);
    // Without names, and what differs from instance to instance.
    let tags = json!({"team": "blue", "cost": "42"});
    assert_eq!(plan["instances"]["tags"], tags);
    assert!(
        plan["resources"]
            .to_string()
            .contains("tagged cost=42 and team=blue beside ours"),
        "{plan:#}"
    );
    assert!(plan["problems"].to_string().contains("(cost, team)"), "{plan:#}");
    assert_eq!(world.account.admin.dump().await, world.before, "a plan touches nothing");
    let (status, created) = server.post("/api/v1/deployments", &spec).await;
    assert_eq!(status, 201, "{created:#}");
    // What *same as production* is was fixed when the deployment was taken in.
    let instances = &created["spec"]["instances"];
    assert_eq!(instances["type"], "m5.large");
    assert_eq!(
        instances["security_groups"],
        json!([world.account.shared_security_group])
    );
    assert_eq!(instances["tags"], tags);
    let id = created["id"].as_str().unwrap().to_owned();
    let is = |phase: &'static str| move |document: &Value| document["phase"] == phase;
    let serving = world.until(&server, &id, "serving", is("serving")).await;
    assert_eq!(applied(&serving), [90.0, 5.0, 5.0]);
    assert_eq!(serving["instances"].as_array().unwrap().len(), 3);

    is_tagged(&world, &id).await;
    let token = server.token().to_owned();
    server.kill();
    let server = Server::start(&world.home).await;
    assert_eq!(server.token(), token, "a pipeline's token outlives the server");
    let path = format!("/api/v1/deployments/{id}");
    let (status, answer) = server
        .post(&format!("{path}/weight"), &json!({"canary_percent": 20}))
        .await;
    assert_eq!(status, 200, "{answer}");
    let wanted = |document: &Value| document["phase"] == "serving" && applied(document) == [60.0, 20.0, 20.0];
    world.until(&server, &id, "at the new weights", wanted).await;

    let (status, answer) = server.post(&format!("{path}/destroy"), &json!({})).await;
    assert_eq!(status, 202, "{answer}");
    let destroyed = world.until(&server, &id, "destroyed", is("destroyed")).await;
    assert_eq!(destroyed["restore_proof"]["differences"], json!([]));
    world.is_as_before().await;
}

/// Ours carry production's tags and our own, with a name of ours.
async fn is_tagged(world: &World, id: &str) {
    let ec2 = &world.account.admin.ec2;
    let listed = ec2.describe_instances().send().await.unwrap().reservations.unwrap();
    let tags = listed.iter().flat_map(|one| one.instances()).map(|one| {
        let pairs = one.tags().iter().map(|tag| (tag.key().unwrap(), tag.value().unwrap()));
        pairs.collect::<BTreeMap<_, _>>()
    });
    let ours: Vec<_> = tags.filter(|tags| tags.get(TAG_DEPLOYMENT) == Some(&id)).collect();
    assert_eq!(ours.len(), 3);
    for tags in ours {
        assert_eq!((tags["team"], tags["cost"]), ("blue", "42"), "{tags:?}");
        assert!(
            tags["Name"].starts_with("arya-") && !tags.contains_key("made-in"),
            "{tags:?}"
        );
    }
}

/// Once the account was looked at. The connection that leads nowhere says so, and holds nobody up.
async fn listeners(server: &Server) -> Value {
    loop {
        let (status, listeners) = server.get("/api/v1/cloud/listeners").await;
        assert_eq!(status, 200, "{listeners}");
        let connections = listeners["connections"].as_array().unwrap();
        let of = |name: &str| connections.iter().find(|one| one["name"] == name).unwrap();
        if of("shop")["as_of"].is_string() && of("away")["error"].is_string() {
            assert!(of("shop")["error"].is_null(), "{listeners}");
            let why = of("away")["error"].to_string();
            assert!(why.contains("(Connection refused)"), "{why}");
            return listeners;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
