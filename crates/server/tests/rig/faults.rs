//! What a person sees of an instance that fails, and that nothing of it stays.

use std::time::Duration;

use serde_json::{Value, json};

use crate::sample;
use crate::served::Server;
use crate::story::{SOON, begun, is, shares};
use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn fault_an_app_that_ends_is_explained_on_the_page_and_goes_with_everything() {
    let world = World::build().await;
    let server = Server::start(&world.home).await;
    let mut spec = world.spec(&server, &[]).await;
    let compose = world.home.folder.join("once.yaml");
    let once = sample::compose_file("1.1").replace("restart: unless-stopped", "environment: {PORT: none}");
    std::fs::write(&compose, once).unwrap();
    spec["canary"]["compose"] = server.upload(&compose).await;
    let id = begun(&server, spec).await;
    let told = |document: &Value| {
        let instances = document["instances"].as_array().unwrap();
        instances.iter().any(|one| one["report"]["phase"] == "failed") && document["phase"] == "failed"
    };
    world
        .until(&server, &id, "failed", Duration::from_secs(120), told)
        .await;

    let (_, page) = server.get(&format!("/deployments/{id}")).await;
    let page = page.as_str().unwrap();
    for said in [
        "The app ended before its health path /health answered.",
        "PORT=none cannot be used.",
    ] {
        assert!(page.contains(said), "the page does not say {said:?}: {page}");
    }
    assert!(shares(&world).is_empty(), "nobody was ever sent there");

    let (status, answer) = server
        .post(&format!("/api/v1/deployments/{id}/destroy"), &json!({}))
        .await;
    assert_eq!(status, 202, "{answer}");
    world.until(&server, &id, "destroyed", SOON, is("destroyed")).await;
    world
        .until_so("its machines are gone", SOON, || world.fleet.ours().is_empty())
        .await;
    world.is_as_before().await;
}
