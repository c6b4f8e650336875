//! The monitor sets itself up and watches a real instance: Debian's Prometheus under the compose file's name, nginx with a key of
//! its own, and every query of the dashboards. Grafana, Kayenta, Redis and Referee cannot be had without a registry: that
//! they are missing must not delay anything, and no more is said of them here.

use std::process::Command;
use std::time::Duration;

use arya_plan::identity::{Arm, Role};
use arya_plan::left::EXPORT_BYTES_MAX;
use arya_plan::observed::BootPhase;
use arya_plan::spec::{Digest, Exporter, RefereeImage};
use arya_plan::user_data::monitor::{Monitor, Scraped};
use serde_json::{Value, json};

use crate::deployed::{Order, PATIENCE, PORT, STATUS};
use crate::machine::{Image, Machine, prometheus_image};
use crate::posted::{posting, what_is_posted_is_what_is_answered};
use crate::sample;

/// Where it puts what it recorded.
const EXPORT: &str = "export/instance-monitor-0-1.tar.gz";
const PASSWORD: &str = "not-a-secret-of-anyone";

fn monitor() -> Monitor {
    let hashing = Command::new("openssl")
        .args(["passwd", "-6", "-salt", "rig", PASSWORD])
        .output()
        .unwrap();
    let hash = String::from_utf8(hashing.stdout).unwrap();
    Monitor {
        deployment: "6f0c1d2e-0000-4000-8000-000000000001".parse().unwrap(),
        exporters: vec![Exporter {
            job: "app".into(),
            port: PORT,
            path: "/metrics".into(),
        }],
        lifetime: Duration::from_secs(3600),
        image_prefix: None,
        referee: RefereeImage::Archive(Digest::of(b"a stand-in")),
        user: format!("arya:{}", hash.trim()),
    }
}

/// The monitor's order, on a bucket of its own, watching one address as both arms.
fn order(watched: &Machine) -> Order {
    let (monitor, mut order) = (monitor(), Order::new());
    let scraped = Arm::BOTH.map(|arm| Scraped {
        arm,
        instance: format!("i-{arm}"),
        address: watched.address(),
        version: "1.0".into(),
    });
    let bucket = &order.bucket;
    // The same machine once more as production.
    bucket.store("targets", monitor.targets(&scraped, &[watched.address()]));
    let image = prometheus_image();
    bucket.store("image", image.clone());
    let image = Some(bucket.object("image", &image).into());
    order.settings = monitor.settings(PATIENCE, image, order.settings.urls);
    order.urls.targets = Some(bucket.sign("GET", "targets"));
    order.urls.export = Some(bucket.sign("PUT", EXPORT));
    let referee = sample::image("referee", &[]);
    bucket.store("referee", referee.clone());
    order.settings.referee = Some(bucket.object("referee", &referee));
    for (_, text) in order.settings.written.iter_mut().filter(|(path, _)| path == ".env") {
        *text = without_digests(text);
    }
    order.role = Role::Monitor;
    order
}

/// What is loaded from an archive has a tag only: here nothing can be asked for by the digest that a registry has.
fn without_digests(environment: &str) -> String {
    let lines = environment
        .lines()
        .map(|line| line.split('@').next().unwrap_or_default());
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn monitor_scrapes_both_arms_and_answers_every_panel() {
    let app = Order::new();
    app.upload_image();
    let watched = Machine::launch(Image::Prepared, &app.user_data());
    app.wait_for(BootPhase::Ready, Duration::from_secs(90));

    let order = posting(order(&watched), &monitor());
    let machine = Machine::launch(Image::Prepared, &order.user_data());
    let (at, report) = order.wait_for(BootPhase::Ready, Duration::from_secs(150));
    eprintln!(
        "monitor: docker run to ready {:.1} s",
        (at - machine.started).as_secs_f64()
    );

    nothing_is_open_but_the_door(&machine, &report);
    watched.run(&format!(
        "for i in $(seq 300); do curl --silent --output /dev/null http://127.0.0.1:{PORT}/; sleep 0.05; done"
    ));
    for (path, text) in monitor()
        .files()
        .iter()
        .filter(|(path, _)| path.starts_with("grafana/dashboards/"))
    {
        let dashboard: Value = serde_json::from_str(text).unwrap();
        for panel in dashboard["panels"].as_array().unwrap() {
            let query = panel["targets"][0]["expr"].as_str().unwrap();
            answers(&machine, path, query);
        }
    }
    what_is_posted_is_what_is_answered(&order, &machine, &monitor());
    tools_come_or_say_why_not(&order, &machine);
    exported_before_it_goes(&order, &machine);
    let checked = machine.run("docker exec app-prometheus-1 promtool check config /etc/prometheus/prometheus.yml");
    assert!(checked.contains("SUCCESS"), "{checked}");
}

/// An archive that was sent along runs as Referee, whatever its own name; what no registry gives is told in Docker's words.
/// The archive is a stand-in, and answers at Referee's addresses: no more is said of Referee here.
fn tools_come_or_say_why_not(order: &Order, machine: &Machine) {
    let told = order.bucket.wait_for(STATUS, Duration::from_secs(60), |versions| {
        let status: Value = serde_json::from_slice(&versions.last()?.bytes).unwrap();
        let whys = ["grafana", "redis", "kayenta"].map(|service| status["not_running"][service].is_string());
        (status["running"] == json!(["referee"]) && whys == [true; 3]).then_some(status)
    });
    let told = told.expect("the status document does not tell of the tools");
    eprintln!("not running: {}", told["not_running"]);
    let name = machine.run("docker inspect --format '{{.Config.Image}}' app-referee-1");
    assert_eq!(name.trim(), "arya/referee:archive");
    let asked = |path: &str| {
        machine.run(&format!(
            "curl --silent --insecure --user arya:{PASSWORD} https://127.0.0.1:8443{path}"
        ))
    };
    assert!(
        asked("/metrics").contains("http_request"),
        "Referee's address for counts"
    );
    assert!(!asked("/dashboard/").contains("Bad Gateway"), "Referee's pages");
    assert!(asked("/grafana/").contains("Bad Gateway"), "nobody is there");
}

/// The archive comes again and again, and once more when the machine is told to end; every panel's series are in it.
fn exported_before_it_goes(order: &Order, machine: &Machine) {
    machine.run("systemctl stop arya-watch.service");
    let export = order.bucket.versions(EXPORT).pop().expect("nothing was exported").bytes;
    assert!(export.len() < EXPORT_BYTES_MAX, "{}", export.len());
    let dir = tempfile::tempdir().unwrap();
    let archive = dir.path().join("export.tar.gz");
    std::fs::write(&archive, export).unwrap();
    let unpacked = Command::new("tar")
        .arg("xzf")
        .arg(&archive)
        .current_dir(dir.path())
        .status();
    assert!(unpacked.unwrap().success());
    let queries = monitor()
        .files()
        .into_iter()
        .find(|(path, _)| *path == "export.queries")
        .unwrap()
        .1;
    for (name, query) in queries.lines().filter_map(|line| line.split_once('\t')) {
        let text = std::fs::read_to_string(dir.path().join(format!("series/{name}.json"))).unwrap();
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert_ne!(answer["data"]["result"], serde_json::json!([]), "{name}: {query}");
    }
    let missing = std::fs::read_to_string(dir.path().join("left-out.txt")).unwrap();
    assert!(
        missing.contains("kayenta/configs.json"),
        "no registry has Kayenta here: {missing}"
    );
}

/// One port, nobody without the password, and the key that the report names.
fn nothing_is_open_but_the_door(machine: &Machine, report: &Value) {
    let listening = machine.run("ss --listening --tcp --numeric --no-header | awk '{print $4}'");
    // node_exporter and cloud's own name service apart, which the security group keeps closed.
    let open = listening
        .lines()
        .filter(|address| !address.starts_with("127.") && !address.ends_with(":9100"));
    assert_eq!(open.collect::<Vec<_>>(), ["0.0.0.0:8443"]);
    let asked = |more: &str| {
        let url = "https://127.0.0.1:8443/prometheus/-/ready";
        machine.run(&format!(
            "curl --silent --insecure --output /dev/null --write-out '%{{http_code}}' {more} {url}"
        ))
    };
    assert_eq!(asked(""), "401");
    assert_eq!(asked("--user arya:wrong"), "401");
    assert_eq!(asked(&format!("--user arya:{PASSWORD}")), "200");
    let shown = machine.run(
        "openssl s_client -connect 127.0.0.1:8443 </dev/null 2>/dev/null | openssl x509 -outform DER | sha256sum | cut -d' ' -f1",
    );
    assert_eq!(report["certificate_sha256"], shown.trim());
}

/// A panel that stays empty is a panel that nobody tried: it shows both arms and production.
#[track_caller]
fn answers(machine: &Machine, dashboard: &str, query: &str) {
    let asking = format!(
        "for i in $(seq 45); do \
         curl --silent --insecure --user arya:{PASSWORD} --get --data-urlencode query=\"$ASKED\" \
         https://127.0.0.1:8443/prometheus/api/v1/query >/tmp/answer; \
         grep -q '\"baseline\"' /tmp/answer && grep -q '\"canary\"' /tmp/answer && grep -q '\"production\"' /tmp/answer && exit 0; \
         sleep 1; done; \
         cat /tmp/answer; exit 1"
    );
    let quoted = query.replace('\'', "'\\''");
    let said = machine.try_run(&format!("ASKED='{quoted}'; {asking}"));
    assert!(
        said.status.success(),
        "{dashboard}: {query}: {}",
        String::from_utf8_lossy(&said.stdout)
    );
}
