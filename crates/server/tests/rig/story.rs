//! The main job with everything real but AWS itself.

use std::time::{Duration, Instant};

use arya_local::load::{Load, LoadSettings};
use arya_plan::listener::WeightedGroup;
use serde_json::{Value, json};

use crate::secrets::Secrets;
use crate::served::Server;
use crate::world::{SERVING_WITHIN, World};

pub(crate) const SOON: Duration = Duration::from_secs(60);
/// Of a canary whose every answer takes 150 ms longer.
pub(crate) const JUDGED_WITHIN: Duration = Duration::from_secs(150);
/// Of the time of an instance, outside of packages, download and the app's own start.
const OWN_AT_MOST_S: f64 = 3.0;
/// Percent for each arm: an answer in four seconds at 5 % would take a quarter of an hour to judge.
const CANARY_PERCENT: f64 = 40.0;
/// Requests a second: enough to be seen, little beside what boots.
const RATE: u32 = 20;

pub(crate) fn is(phase: &'static str) -> impl Fn(&Value) -> bool {
    move |document| document["phase"] == phase
}

#[tokio::test(flavor = "multi_thread")]
async fn story_an_account_whose_instances_are_machines() {
    let world = World::build().await;
    let users = users(&world);
    let server = Server::start(&world.home).await;
    let spec = world.spec(&server, &["SAMPLE_EXTRA_LATENCY_MS=150"]).await;
    let id = begun(&server, spec).await;
    let began = Instant::now();
    let serving = world
        .until(&server, &id, "serving", SERVING_WITHIN, is("serving"))
        .await;
    eprintln!("created to serving: {:.1} s", began.elapsed().as_secs_f64());
    both_arms_answer(&world, &serving);
    everything_is_scraped(&world);
    let secrets = Secrets::of(&world, &server, &id).await;
    secrets.are_told_to_nobody(&world, &server, &id).await;
    let serving = world.until(&server, &id, "ready", SOON, booted).await;
    the_page_tells_the_boot(&server, &id, &serving).await;

    divided(&world, &server, &id).await;
    let judged = world.until(&server, &id, "judged", JUDGED_WITHIN, |document| {
        document["verdict"]["outcome"] == "harmful"
    });
    let judged = judged.await;
    eprintln!(
        "created to harmful: {:.1} s; {:#}",
        began.elapsed().as_secs_f64(),
        judged["verdict"]
    );
    world.until(&server, &id, "held", SOON, is("held")).await;
    world
        .until_so("nobody is sent to the canary", SOON, || shares(&world).is_empty())
        .await;
    destroyed(&world, &server, &id, SOON).await;
    secrets.stay_with_the_server(&world, &server, &id).await;
    let counts = users.counts();
    eprintln!("{counts:?}");
    let lost = [counts.status_5xx, counts.failed, counts.reset, counts.timed_out];
    assert_eq!(lost, [0; 4], "{counts:?}");
}

/// Bounded by the test's own time.
pub(crate) fn users(world: &World) -> Load {
    let to = LoadSettings::to(world.balanced.balancer.address());
    Load::start(LoadSettings { rate: RATE, ..to }).unwrap()
}

/// Raises the canary's share, and waits until the load balancer divides so.
pub(crate) async fn divided(world: &World, server: &Server, id: &str) {
    let path = format!("/api/v1/deployments/{id}/weight");
    let (status, answer) = server.post(&path, &json!({"canary_percent": CANARY_PERCENT})).await;
    assert_eq!(status, 200, "{answer}");
    let at_forty = |document: &Value| document["weights"]["applied"]["canary"] == CANARY_PERCENT;
    world.until(server, id, "at the new weights", SOON, at_forty).await;
    let divided = || shares(world).first() == Some(&vec![20.0, 40.0, 40.0]);
    world
        .until_so("the load balancer divides as asked", SOON, divided)
        .await;
}

/// Destroyed, the account is as it was, and no machine runs.
pub(crate) async fn destroyed(world: &World, server: &Server, id: &str, within: Duration) {
    let path = format!("/api/v1/deployments/{id}/destroy");
    let (status, answer) = server.post(&path, &json!({})).await;
    assert_eq!(status, 202, "{answer}");
    let destroyed = world.until(server, id, "destroyed", within, is("destroyed")).await;
    assert_eq!(destroyed["restore_proof"]["differences"], json!([]));
    let gone = || world.fleet.ours().is_empty();
    world.until_so("its machines are gone", SOON, gone).await;
    world.is_as_before().await;
}

/// Percent for each group, the least first, of the rule that divides users between production and both arms.
pub(crate) fn shares(world: &World) -> Vec<Vec<f64>> {
    let rules = world.balanced.balancer.rules();
    let forwards = rules.iter().filter_map(|rule| rule.forward());
    let of = |groups: &[WeightedGroup]| {
        let sum: f64 = groups.iter().map(|one| f64::from(one.weight)).sum();
        let mut shares: Vec<f64> = groups
            .iter()
            .map(|one| (f64::from(one.weight) / sum * 100.0).round())
            .collect();
        shares.sort_unstable_by(f64::total_cmp);
        shares
    };
    let divided = forwards.filter(|forward| forward.groups.len() > 2);
    divided.map(|forward| of(&forward.groups)).collect()
}

/// Arms and monitor, of which the users need not wait for the last.
pub(crate) fn booted(document: &Value) -> bool {
    instances(document).all(|one| one["report"]["phase"] == "ready")
}

fn instances(document: &Value) -> impl Iterator<Item = &Value> {
    document["instances"].as_array().unwrap().iter()
}

/// Second by second, for each of the three.
async fn the_page_tells_the_boot(server: &Server, id: &str, serving: &Value) {
    let (status, page) = server.get(&format!("/deployments/{id}")).await;
    assert_eq!(status, 200, "{page}");
    let page = page.as_str().unwrap();
    for part in ["packages and Docker", "files", "images", "app", "warm-up"] {
        let told = page.matches(&format!("{part} ")).count();
        assert!(told >= 3, "{part} is told {told} times");
    }
    for instance in instances(serving) {
        let timeline = instance["report"]["timeline"].as_array().unwrap();
        let after = |phase: &str| {
            let reached = timeline.iter().find(|reached| reached["phase"] == phase);
            reached.unwrap_or_else(|| panic!("no {phase}: {instance:#}"))["after_s"]
                .as_f64()
                .unwrap()
        };
        let own = after("booting") + after("loaded") - after("fetched");
        eprintln!(
            "{}: ready after {:.1} s, of it our own {own:.2} s",
            instance["role"],
            after("ready")
        );
        assert!(own <= OWN_AT_MOST_S, "{own} s: {instance:#}");
    }
}

/// Plans, accepts what may be accepted, and starts.
pub(crate) async fn begun(server: &Server, mut spec: Value) -> String {
    let (status, plan) = server.post("/api/v1/plans", &spec).await;
    assert_eq!(status, 200, "{plan:#}");
    let problems = plan["problems"].as_array().unwrap().iter();
    let names = problems.filter(|problem| problem["acknowledgeable"] == true);
    spec["acknowledged"] = names.map(|problem| problem["name"].clone()).collect();
    let (_, plan) = server.post("/api/v1/plans", &spec).await;
    assert_eq!(plan["applicable"], true, "{:#}", plan["problems"]);
    spec["plan_digest"] = plan["digest"].clone();
    let (status, created) = server.post("/api/v1/deployments", &spec).await;
    assert_eq!(status, 201, "{created:#}");
    created["id"].as_str().unwrap().to_owned()
}

/// By the load balancer's own checks, not by what moto says of every target.
fn both_arms_answer(world: &World, serving: &Value) {
    let groups = world.balanced.balancer.group_states();
    let healthy: Vec<usize> = groups
        .iter()
        .map(|group| world.balanced.healthy(group.id.as_str()))
        .collect();
    let mut counts = healthy.clone();
    counts.sort_unstable();
    assert_eq!(
        counts,
        [1, 1, 2],
        "production's two and one of each arm: {groups:#?}\n{serving:#}"
    );
}

/// Both arms' apps and both node_exporters, by the monitor's own Prometheus.
fn everything_is_scraped(world: &World) {
    let monitor = world.fleet.of_role("monitor");
    let asking = "for i in $(seq 30); do curl --silent 'http://127.0.0.1:9090/api/v1/query?query=count(up==1)' >/tmp/up; \
                  grep --quiet '\"4\"' /tmp/up && break; sleep 1; done; \
                  curl --silent 'http://127.0.0.1:9090/api/v1/query?query=up'";
    let said: Value = serde_json::from_str(&monitor.machine.run(asking)).unwrap();
    let series = said["data"]["result"].as_array().unwrap().iter();
    let mut up: Vec<[&str; 3]> = series
        .map(|one| {
            let label = |name: &str| one["metric"][name].as_str().unwrap_or_default();
            [label("arm"), label("job"), one["value"][1].as_str().unwrap()]
        })
        .collect();
    up.sort_unstable();
    let expected = [
        ["baseline", "app", "1"],
        ["baseline", "node", "1"],
        ["canary", "app", "1"],
        ["canary", "node", "1"],
    ];
    assert_eq!(up, expected, "{said:#}");
}
