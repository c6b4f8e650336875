//! Without a server: its data directory is gone, and tags are all that is left.

use serde_json::{Value, json};

use crate::account::REGION;
use crate::limited;
use crate::served::Server;
use crate::world::World;

async fn deploy(world: &World, server: &Server, name: &str, in_front_of: &str) -> String {
    let spec = world.spec(server, name, in_front_of).await;
    let (spec, _) = world.accepted(server, &spec).await;
    let (status, created) = server.post("/api/v1/deployments", &spec).await;
    assert_eq!(status, 201, "{created:#}");
    created["id"].as_str().unwrap().to_owned()
}

/// The rule for images of the account.
async fn another_rule(server: &Server) -> String {
    let (_, listeners) = server.get("/api/v1/cloud/listeners").await;
    let rules = &listeners["load_balancers"][0]["listeners"][0]["rules"];
    let rules = rules.as_array().unwrap();
    let rule = rules.iter().find(|rule| rule["priority"] == "20").unwrap();
    rule["id"].as_str().unwrap().to_owned()
}

async fn rules(world: &World) -> usize {
    let account = &world.account;
    let listed = account.admin.elb.describe_rules().listener_arn(&account.listener);
    listed.send().await.unwrap().rules().len()
}

fn ids(found: &Value) -> Vec<&str> {
    let found = found.as_array().unwrap().iter();
    let mut ids: Vec<&str> = found.map(|one| one["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn destroy_and_sweep_need_nothing_but_tags() {
    let world = World::build().await;
    let server = Server::start(&world.home).await;
    let serving = deploy(&world, &server, "shop-next", "default").await;
    let other = another_rule(&server).await;
    let half_built = deploy(&world, &server, "images-next", &other).await;
    world
        .until(&server, &serving, "serving", |document| document["phase"] == "serving")
        .await;
    server.kill();
    std::fs::remove_dir_all(&world.home.data).unwrap();

    let (code, swept) = world.home.json(&["sweep"]).await;
    let mut both = [serving.as_str(), half_built.as_str()];
    both.sort_unstable();
    assert_eq!((code, ids(&swept["found"])), (Some(0), both.to_vec()), "{swept:#}");
    assert_eq!(swept["removed"], json!([]), "it is only shown");

    let (code, destroyed) = world.home.json(&["destroy", &serving]).await;
    assert_eq!(
        (code, &destroyed["removed"]),
        (Some(0), &json!([serving])),
        "{destroyed:#}"
    );
    assert_eq!(destroyed["left"], json!([]));

    let (code, again) = world.home.json(&["destroy", &serving]).await;
    assert_eq!(
        (code, &again["found"]),
        (Some(0), &json!([])),
        "destroying again is no error"
    );
    let said = again["sentence"].as_str().unwrap();
    assert!(said.contains(&format!("region {REGION} (connection `shop`)")), "{said}");

    // A connection that does not answer holds up no other.
    world.with_a_dead_connection();
    let (code, swept) = world.home.json(&["sweep", "--yes"]).await;
    assert_eq!((code, &swept["removed"]), (Some(3), &json!([half_built])), "{swept:#}");
    assert_eq!(swept["left"], json!([]));
    assert_eq!(swept["not_asked"][0]["connection"], "away", "{swept:#}");
    world.is_as_before().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_is_printed_without_asking_anybody() {
    let world = World::build().await;
    let listener = world.account.listener.as_str();
    let output = world.home.run(&["iam", "--json", "--listener", listener]).await;
    assert_eq!(output.status.code(), Some(0));
    let parts: Value = serde_json::from_slice(&output.stdout).unwrap();
    let names: Vec<&String> = parts.as_object().unwrap().keys().collect();
    assert_eq!(names, ["discover", "emergency_stop", "operate"]);
    let creates = |part: &str| parts[part].to_string().contains("elasticloadbalancing:CreateRule");
    assert_eq!(
        ["discover", "emergency_stop", "operate"].map(creates),
        [false, false, true]
    );
    assert!(parts["operate"].to_string().contains(listener));
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_taken_away_where_the_rest_of_the_account_says_no() {
    let mut world = World::build().await;
    let server = Server::start(&world.home).await;
    let id = deploy(&world, &server, "shop-next", "default").await;
    let serves = |document: &Value| document["phase"] == "serving";
    world.until(&server, &id, "serving", serves).await;
    server.kill();
    let both = rules(&world).await;

    // The load balancers answer; instances and buckets are not even shown.
    let (key, secret) = limited::user(&world.moto, &["elasticloadbalancing:*", "sts:*"]).await;
    world.home.variables = vec![("AWS_ACCESS_KEY_ID", key), ("AWS_SECRET_ACCESS_KEY", secret)];
    world.moto.check_after(0).await;
    let (code, destroyed) = world.home.json(&["destroy", &id]).await;
    world.moto.check_after(u32::MAX).await;
    assert_eq!(
        (code, ids(&destroyed["found"])),
        (Some(3), vec![id.as_str()]),
        "{destroyed:#}"
    );
    assert_eq!(destroyed["removed"], json!([]), "{destroyed:#}");
    assert_eq!(destroyed["not_whole"][0]["connection"], "shop", "{destroyed:#}");
    assert_eq!(rules(&world).await, both - 1, "{destroyed:#}");

    world.home.variables.clear();
    let (code, destroyed) = world.home.json(&["destroy", &id]).await;
    assert_eq!((code, &destroyed["removed"]), (Some(0), &json!([id])), "{destroyed:#}");
    world.is_as_before().await;
}
