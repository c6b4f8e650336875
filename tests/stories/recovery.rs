//! Crashes and ends: nothing of ours outlives us, and the next start knows what happened.

use std::time::Duration;

use serde_json::json;
use tests::{Arya, children_of};

const SERVING_MAX: Duration = Duration::from_secs(15);
const CHILDREN_GONE_MAX: Duration = Duration::from_secs(5);

fn wait_gone(pids: &[u32]) {
    let begun = std::time::Instant::now();
    while pids
        .iter()
        .any(|pid| std::path::Path::new(&format!("/proc/{pid}")).exists())
    {
        assert!(
            begun.elapsed() < CHILDREN_GONE_MAX,
            "children outlived their server: {pids:?}"
        );
        std::thread::yield_now();
    }
}

#[test]
fn story_a_killed_server_leaves_no_process_and_the_next_start_finishes_the_job() {
    let data = tempfile::tempdir().unwrap();
    let mut arya = Arya::start_in(data.path(), &[]);
    let spec = arya.spec("crash", "canary", 5.0);
    let deployment = arya.deploy(&spec);
    deployment.wait_phase("serving", SERVING_MAX);
    let id = deployment.id.clone();
    let children = children_of(arya.pid());
    assert!(
        children.len() >= 4,
        "two of production, baseline and canary: {children:?}"
    );
    arya.kill();
    wait_gone(&children);

    let again = Arya::start_in(data.path(), &[]);
    let (_, old) = again.get(&format!("/deployments/{id}"));
    assert_eq!(old["goal"], json!("absent"), "{old:#}");
    let begun = std::time::Instant::now();
    let now = || again.get(&format!("/deployments/{id}")).1;
    while now()["phase"] != "destroyed" {
        assert!(begun.elapsed() < SERVING_MAX, "{:#}", now());
    }
    assert_eq!(now()["restore_proof"]["differences"], json!([]), "{:#}", now());
}

#[test]
fn story_destroy_works_from_half_way_through_provisioning() {
    let arya = Arya::start(&[]);
    for look in 0..4 {
        let deployment = arya.deploy(&arya.spec(&format!("early {look}"), "canary", 5.0));
        let begun = std::time::Instant::now();
        // Later each time: from the first look to almost serving.
        while begun.elapsed() < Duration::from_millis(250 * look) {
            deployment.look();
        }
        deployment.destroy_and_prove(SERVING_MAX);
    }
    assert_eq!(children_of(arya.pid()).len(), 2, "only production runs");
}

#[test]
fn story_ctrl_c_ends_every_process_it_started() {
    let mut arya = Arya::start(&[]);
    let deployment = arya.deploy(&arya.spec("stop", "canary", 5.0));
    deployment.wait_phase("serving", SERVING_MAX);
    let children = children_of(arya.pid());
    arya.stop();
    wait_gone(&children);
}
