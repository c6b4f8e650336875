//! A monitor that nothing reaches: what is judged comes through the bucket, by URLs that outlive the session that signed them.

use serde_json::{Value, json};

use crate::fleet::Circumstance;
use crate::network::HERE;
use crate::served::Server;
use crate::story::{JUDGED_WITHIN, SOON, begun, booted, destroyed, divided, is, users};
use crate::world::{SERVING_WITHIN, World};

/// The credentials that a later session brings.
const LATER_KEY: &str = "another";

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_is_judged_through_the_bucket_and_over_the_end_of_a_session() {
    let mut world = World::build().await;
    let shut = Circumstance {
        at_once: Some(format!(
            "iptables --insert INPUT --source {HERE} --protocol tcp --syn --jump DROP"
        )),
        ..Circumstance::default()
    };
    world.fleet.meets("monitor", shut);
    let users = users(&world);
    let server = Server::start(&world.home).await;
    let mut spec = world.spec(&server, &["SAMPLE_EXTRA_LATENCY_MS=150"]).await;
    spec["monitor"] = json!({"reach": "bucket"});
    let id = begun(&server, spec).await;
    let serving = world.until(&server, &id, "serving", SERVING_WITHIN, is("serving"));
    let links = &serving.await["links"];
    for tool in ["grafana", "prometheus", "kayenta", "referee"] {
        assert_eq!(links[tool], Value::Null);
        let why = links["off"][tool].as_str().unwrap_or_default();
        assert!(why.contains("`monitor.reach: bucket`"), "{links:#}");
    }

    world.until(&server, &id, "ready", SOON, booted).await;

    // The next session: the same account by another key.
    server.kill();
    world.home.variables.push(("AWS_ACCESS_KEY_ID", LATER_KEY.into()));
    let server = Server::start(&world.home).await;
    let signed = format!("X-Amz-Credential={LATER_KEY}%2F");
    let all_have_them = || {
        let ours = world.fleet.ours();
        let has = |urls: &str| {
            urls.lines()
                .filter(|line| *line != "end")
                .all(|line| line.contains(&signed))
        };
        ours.len() == 3 && ours.iter().all(|one| has(&one.machine.run("cat /var/lib/arya/urls")))
    };
    world
        .until_so("each has URLs of the new session", SOON, all_have_them)
        .await;

    divided(&world, &server, &id).await;
    let judged = world.until(&server, &id, "judged", JUDGED_WITHIN, |document| {
        document["verdict"]["outcome"] == "harmful"
    });
    let sentence = judged.await["verdict"]["sentence"].clone();
    eprintln!("through the bucket: {sentence}");
    assert!(sentence.as_str().unwrap().contains("(latency)"), "{sentence}");
    world.until(&server, &id, "held", SOON, is("held")).await;
    destroyed(&world, &server, &id, SOON).await;
    let (status, report) = server.get(&format!("/api/v1/deployments/{id}/report")).await;
    assert_eq!(status, 200, "{report}");
    assert!(
        report["export"].is_string(),
        "its recordings did not arrive: {report:#}"
    );
    let counts = users.counts();
    let lost = [counts.status_5xx, counts.failed, counts.reset, counts.timed_out];
    assert_eq!(lost, [0; 4], "{counts:?}");
}
