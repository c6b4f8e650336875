//! Instances set themselves up, for real: cloud-init, systemd, Docker and compose in containers of Debian 13, each with its
//! own user data. Run by `cargo xtask rig`, which makes the images; `cargo xtask rig-all` runs every fault too.
// A test fails by panicking, and says on its way what it measured.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

mod bucket;
mod configured;
mod deployed;
mod faults;
mod grpc;
#[allow(dead_code, reason = "the story on an account uses more of it")]
mod machine;
mod monitor;
mod posted;
mod proxied;
mod sample;
mod ubuntu;

use std::time::Duration;

use arya_plan::observed::BootPhase;
use arya_plan::user_data::Urls;
use serde_json::Value;

use bucket::Version;
use deployed::{LOGS, Order, PORT, STATUS, URLS, compose_file};
use machine::{Image, Machine};

/// From `docker run` to healthy, on two cores.
const HEALTHY_WITHIN: Duration = Duration::from_secs(60);
/// Three of them at once, on the same two cores.
const THREE_WITHIN: Duration = Duration::from_secs(120);
/// Of the time of one, outside of packages, download and the app's own start.
const OWN_AT_MOST_S: f64 = 3.0;

#[test]
fn story_an_instance_sets_itself_up() {
    let mut order = Order::new();
    // Beside the app a service that writes a line and ends: what it says of its wrong port.
    let talker =
        "  talker: {image: \"charthealth/records:1.0\", environment: {PORT: \"GET /patients/4711?name=Anna 500\"}}";
    order.compose(&format!("{}{talker}\n", compose_file()));
    order.settings.services.push("talker".into());
    let machine = Machine::launch(Image::Fresh, &order.user_data());
    order.wait_for(BootPhase::Booting, Duration::from_secs(30));
    // Instances boot while the archive is still on its way.
    assert!(order.phases().iter().all(|phase| *phase <= BootPhase::DockerReady));
    order.wait_for(BootPhase::DockerReady, Duration::from_secs(240));
    order.upload_image();
    let (ready_at, report) = order.wait_for(BootPhase::Ready, HEALTHY_WITHIN);

    let expected = [
        BootPhase::Booting,
        BootPhase::DockerReady,
        BootPhase::Fetched,
        BootPhase::Loaded,
        BootPhase::Up,
        BootPhase::Ready,
    ];
    assert_eq!(order.phases(), expected);
    let took = ready_at - machine.started;
    let own = own_seconds(&report);
    eprintln!(
        "docker run to ready: {:.1} s, of it our own: {own:.2} s; {}",
        took.as_secs_f64(),
        report["timeline"]
    );
    assert!(took <= HEALTHY_WITHIN, "{took:?}");
    assert!(own <= OWN_AT_MOST_S, "{own} s");
    assert_eq!(report["role"], "canary");
    assert_eq!(report["instance"], machine.id());
    let images = report["fingerprint"]["images"].as_array().unwrap();
    assert_eq!(images[0], arya_plan::spec::Digest::of(&order.image).as_str());
    assert_eq!(images.len(), 2, "the file's digest and the image's id: {images:?}");

    let app = format!("http://{}:{PORT}", machine.address());
    assert_eq!(ureq::get(format!("{app}/health")).call().unwrap().status(), 200);
    let metrics = ureq::get(format!("http://{}:9100/metrics", machine.address()))
        .call()
        .unwrap();
    assert!(
        metrics
            .into_body()
            .read_to_string()
            .unwrap()
            .contains("node_cpu_seconds_total")
    );

    logs_come_masked(&order);
    what_it_sends_by_is_read_again(&order, &machine);
    nothing_secret_is_told(&order, &machine);
}

#[test]
fn three_instances_set_themselves_up_together() {
    let orders = [Order::new(), Order::new(), Order::new()];
    orders.iter().for_each(Order::upload_image);
    let machines: Vec<Machine> = orders
        .iter()
        .map(|order| Machine::launch(Image::Fresh, &order.user_data()))
        .collect();
    let took: Vec<Duration> = orders
        .iter()
        .zip(&machines)
        .map(|(order, machine)| order.wait_for(BootPhase::Ready, Duration::from_secs(240)).0 - machine.started)
        .collect();
    eprintln!("three together, docker run to ready: {took:.1?}");
    assert!(took.iter().all(|took| *took <= THREE_WITHIN), "{took:?}");
}

/// What no phase of somebody else's accounts for: from the log's own timeline, `docker load` and the reports counted as ours.
fn own_seconds(report: &Value) -> f64 {
    let after = |phase: &str| {
        let timeline = report["timeline"].as_array().unwrap();
        let step = timeline.iter().find(|step| step["phase"] == phase).unwrap();
        step["after_s"].as_f64().unwrap()
    };
    // `booting` to `docker_ready` installs packages, to `fetched` downloads; `loaded` to `ready` the app starts and warms up.
    after("booting") + (after("loaded") - after("fetched"))
}

fn logs_come_masked(order: &Order) {
    let logs = order.bucket.wait_for(LOGS, Duration::from_secs(40), |versions| {
        versions.iter().map(Version::text).find(|text| text.contains("GET"))
    });
    let logs = logs.expect("the logs did not come");
    assert!(logs.contains("GET /patients/…?… 500"), "{logs}");
}

/// URLs that the server wrote later, as it does with each new session.
fn what_it_sends_by_is_read_again(order: &Order, machine: &Machine) {
    const NEWER_LOGS: &str = "logs/newer.txt";
    let newer = Urls {
        logs: order.bucket.sign("PUT", NEWER_LOGS),
        ..order.urls.clone()
    };
    order.bucket.store(URLS, newer.bytes());
    let arrived = (0..12).any(|_| {
        // Logs that stayed the same are not sent again; this one writes its line once more.
        machine.run("docker start app-talker-1");
        let within = Duration::from_secs(5);
        order
            .bucket
            .wait_for(NEWER_LOGS, within, |versions| versions.first().cloned())
            .is_some()
    });
    assert!(arrived, "the logs did not come by the newer URL");
}

/// Nobody who reads the console, the journal or the reports can use the bucket.
fn nothing_secret_is_told(order: &Order, machine: &Machine) {
    let told = machine.journal() + &order.bucket.versions(STATUS).last().unwrap().text();
    assert!(told.contains("arya: ready after"), "{told}");
    assert!(!told.contains("X-Amz-Signature"), "{told}");
    assert_eq!(order.bucket.refused(), Vec::<String>::new());
}
