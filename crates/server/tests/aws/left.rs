//! What stands without a deployment: a database that was put back from a copy knows less than the account.

use std::path::Path;

use serde_json::{Value, json};

use crate::served::Server;
use crate::world::{LOOK_EVERY, World};

fn copied(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copied(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

async fn settings(server: &Server) -> String {
    let (status, page) = server.get("/settings").await;
    assert_eq!(status, 200, "{page}");
    page.as_str().unwrap().to_owned()
}

async fn until_it_says(server: &Server, words: &str) -> String {
    for _ in 0..400 {
        let page = settings(server).await;
        if page.contains(words) {
            return page;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    panic!("it never said {words:?}: {}", settings(server).await);
}

async fn write_nothing(world: &World, key: &str) {
    let s3 = &world.account.admin.s3;
    for bucket in s3.list_buckets().send().await.unwrap().buckets() {
        let put = s3.put_object().bucket(bucket.name().unwrap()).key(key);
        put.send().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_deployment_needs_is_removed_by_a_button() {
    let world = World::build().await;
    Server::start(&world.home).await.kill();
    let copy = world.home.folder.join("copy");
    copied(&world.home.data, &copy);

    let server = Server::start(&world.home).await;
    let spec = world.spec(&server, "shop-next", "default").await;
    let (spec, _) = world.accepted(&server, &spec).await;
    let (status, created) = server.post("/api/v1/deployments", &spec).await;
    assert_eq!(status, 201, "{created:#}");
    let id = created["id"].as_str().unwrap().to_owned();
    let has_instances = |document: &Value| document["instances"].as_array().is_some_and(|all| all.len() == 3);
    world.until(&server, &id, "with instances", has_instances).await;
    // Whoever has the URL of a status document may write anything, nothing included.
    write_nothing(&world, "status/instance-canary-0-1.json").await;
    assert!(
        !settings(&server).await.contains(&id),
        "its own deployments are not left over"
    );
    let remove = format!("/settings/standing/{id}/remove");
    let (status, refused) = server.post(&remove, &json!({})).await;
    assert_eq!(status, 409, "{refused}");
    server.kill();

    std::fs::remove_dir_all(&world.home.data).unwrap();
    copied(&copy, &world.home.data);
    let server = Server::start(&world.home).await;
    let page = until_it_says(&server, &id).await;
    assert!(page.contains("no open deployment needs it"), "{page}");
    server.post(&remove, &json!({})).await;
    let gone = format!("Nothing of <span class=\"mono\">{id}</span> is left.");
    until_it_says(&server, &gone).await;
    world.is_as_before().await;
}
