mod grafana;
mod settings;

use arya_bundle::ComposeFile;
use arya_judge::kayenta::CanaryConfig;
use arya_judge::kayenta::validation::{MetricNames, check_stored};

use super::*;
use crate::spec::{Digest, is_reference};

fn monitor() -> Monitor {
    Monitor {
        deployment: "6f0c1d2e-0000-4000-8000-000000000001".parse().unwrap(),
        exporters: vec![Exporter {
            job: "app \"x\": y".into(),
            port: 8080,
            path: "/metrics".into(),
        }],
        lifetime: Duration::from_secs(4 * 3600),
        image_prefix: None,
        referee: RefereeImage::Default,
        user: "arya:$6$salt$hash".into(),
    }
}

fn file(monitor: &Monitor, path: &str) -> String {
    let files = monitor.files();
    let (_, text) = files.iter().find(|(found, _)| *found == path).unwrap();
    text.clone()
}

fn document(path: &str) -> Value {
    serde_json::from_str(&file(&monitor(), path)).unwrap()
}

#[test]
fn both_arms_are_scraped_with_the_labels_that_the_judge_asks_for() {
    let scraped = Arm::BOTH.map(|arm| Scraped {
        arm,
        instance: format!("i-{arm}"),
        address: "10.0.1.7".parse().unwrap(),
        version: "1.0".into(),
    });
    let targets: Value = serde_json::from_str(&monitor().targets(&scraped, &["10.0.2.8".parse().unwrap()])).unwrap();
    assert_eq!(targets.as_array().unwrap().len(), 6);
    assert_eq!(targets[2]["targets"], json!(["10.0.1.7:9100"]));
    let labels = json!({
        "job": "app \"x\": y",
        "__metrics_path__": "/metrics",
        "deployment": "6f0c1d2e-0000-4000-8000-000000000001",
        "arm": "canary",
        "instance": "i-canary",
        "version": "1.0",
    });
    assert_eq!(targets[3], json!({"targets": ["10.0.1.7:8080"], "labels": labels}));
    assert_eq!(targets[4]["targets"], json!(["10.0.2.8:9100"]));
    let beside = &targets[5]["labels"];
    assert_eq!(
        (&beside["arm"], &beside["instance"]),
        (&json!("production"), &json!("10.0.2.8"))
    );
}

#[test]
fn what_is_scraped_of_production_is_for_the_panels_alone() {
    // Its machines count all their traffic, the arms' only what the rule gives them.
    let asked = arya_judge::source::series_of("d", arya_judge::source::Whose::Arms, &[].into());
    assert!(!asked.contains(PRODUCTION), "{asked}");
}

#[test]
fn an_exporter_that_is_the_machines_own_is_scraped_once() {
    let exporters = vec![Exporter {
        job: "machine".into(),
        port: NODE_EXPORTER_PORT,
        path: "/metrics".into(),
    }];
    let monitor = Monitor { exporters, ..monitor() };
    let one = Scraped {
        arm: Arm::Canary,
        instance: "i-1".into(),
        address: "10.0.1.7".parse().unwrap(),
        version: "1.0".into(),
    };
    let targets: Value = serde_json::from_str(&monitor.targets(&[one], &[])).unwrap();
    assert_eq!(targets.as_array().unwrap().len(), 1);
    assert_eq!(targets[0]["labels"]["job"], "node");
}

#[test]
fn the_instance_is_told_every_file_and_waits_for_prometheus_alone() {
    let url = |text: &str| PresignedUrl::parse(format!("https://bucket/{text}")).unwrap();
    let settings = monitor().settings(Patience::AWS, None, url("urls"));
    assert_eq!(settings.written.len(), monitor().files().len());
    assert!(settings.written.iter().any(|(path, _)| path == "compose.yaml"));
    let compose = ComposeFile::parse(file(&monitor(), "compose.yaml").as_bytes()).unwrap();
    let mut started = [settings.services, settings.later].concat();
    started.sort();
    assert!(compose.services.keys().eq(&started), "{started:?}");
    assert!(file(&monitor(), "proxy/nginx.conf").contains(&format!("listen {DOOR_PORT} ssl;")));
}

#[test]
fn a_mirror_stands_in_front_of_every_image() {
    let mirrored = Monitor {
        image_prefix: Some("mirror.example.com/hub/".into()),
        ..monitor()
    };
    let lines = file(&mirrored, ".env");
    let images: Vec<&str> = lines.lines().filter(|line| line.contains("_IMAGE=")).collect();
    assert_eq!(images.len(), 5);
    assert!(
        images
            .iter()
            .all(|line| line.contains("_IMAGE=mirror.example.com/hub/")),
        "{images:?}"
    );
    assert!(lines.contains("ARYA_RETENTION=18000s"), "{lines}");
    for image in images.iter().map(|line| line.split_once('=').unwrap().1) {
        let pinned = image.split('@').next().unwrap().to_owned() + "@" + &Digest::of(b"").to_string();
        assert!(is_reference(image) && is_reference(&pinned), "{pinned}");
    }
}

#[test]
fn referee_comes_from_where_the_spec_says() {
    let chosen = |image: &str| {
        let monitor = Monitor {
            image_prefix: Some("mirror.example.com".into()),
            referee: RefereeImage::try_from(image.to_owned()).unwrap(),
            ..monitor()
        };
        let environment = file(&monitor, ".env");
        let named = environment.lines().find_map(|line| line.strip_prefix("REFEREE_IMAGE="));
        let is_started = monitor.later().any(|service| service == "referee");
        (named.unwrap().to_owned(), is_started)
    };
    assert!(
        chosen("default")
            .0
            .starts_with("mirror.example.com/caleblayneheath/referee_aria:")
    );
    assert_eq!(
        chosen("example.com/referee:1.4.1"),
        ("example.com/referee:1.4.1".into(), true)
    );
    assert_eq!(chosen(&Digest::of(b"").to_string()), (REFEREE_LOADED.into(), true));
    assert!(!chosen("none").1);
    let script = include_str!("../../../../../provisioning/boot/monitor.sh");
    assert!(script.contains(REFEREE_LOADED));
}

#[test]
fn every_service_of_the_compose_file_takes_its_image_from_the_one_place() {
    let compose = file(&monitor(), "compose.yaml");
    let environment = file(&monitor(), ".env");
    for line in compose.lines().filter_map(|line| line.trim().strip_prefix("image: ")) {
        let name = line.trim_start_matches("${").trim_end_matches('}');
        assert!(environment.contains(&format!("{name}=")), "{line}");
    }
    // Nothing that others reach: the proxy is the machine's own.
    let parsed = ComposeFile::parse(compose.as_bytes()).unwrap();
    assert_eq!(parsed.services.len(), 5);
    for published in compose.lines().filter(|line| line.contains("ports:")) {
        assert!(published.contains("\"127.0.0.1:"), "{published}");
    }
}

#[test]
fn panels_ask_for_what_is_recorded_or_scraped() {
    let rules = document("prometheus/rules.yml");
    let recorded: Vec<&str> = rules["groups"][0]["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| rule["record"].as_str().unwrap())
        .collect();
    for path in ["grafana/dashboards/canary.json", "grafana/dashboards/node.json"] {
        for panel in document(path)["panels"].as_array().unwrap() {
            let query = panel["targets"][0]["expr"].as_str().unwrap();
            assert_eq!(panel["targets"][0]["datasource"]["uid"], "arya");
            let known = query.contains("node_") || recorded.iter().any(|record| query.contains(record));
            assert!(known && query.contains("(arm"), "{query}");
        }
    }
}

#[test]
fn rules_name_each_library_once() {
    let rules = document("prometheus/rules.yml");
    let requests = rules["groups"][0]["rules"][0]["expr"].as_str().unwrap();
    assert_eq!(requests.matches("(http_requests_total[1m])").count(), 1, "{requests}");
    assert!(
        requests.contains("(http_server_requests_seconds_count[1m])"),
        "{requests}"
    );
}

#[test]
fn the_canary_config_is_one_that_kayenta_takes() {
    let config: CanaryConfig = serde_json::from_value(document("kayenta/standard.json")).unwrap();
    assert_eq!(config.rest, serde_json::Map::new(), "keys that Kayenta does not have");
    assert_eq!(check_stored(&config, MetricNames::Unique), vec![]);
    assert_eq!(config.metrics.len(), 4);
}

#[test]
fn only_the_hash_of_the_password_is_there() {
    assert_eq!(file(&monitor(), "proxy/users"), "arya:$6$salt$hash\n");
}

#[test]
fn the_export_asks_what_every_panel_asks_under_names_that_are_files() {
    let (monitor, queries) = (monitor(), file(&monitor(), "export.queries"));
    let lines: Vec<(&str, &str)> = queries.lines().map(|line| line.split_once('\t').unwrap()).collect();
    let of_file = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let mut names: Vec<&str> = lines.iter().map(|(name, _)| *name).collect();
    assert!(names.iter().all(|name| name.chars().all(of_file)), "{names:?}");
    names.sort_unstable();
    names.dedup();
    let dashboards = ["grafana/dashboards/canary.json", "grafana/dashboards/node.json"];
    let panels: Vec<Value> = dashboards
        .iter()
        .flat_map(|path| {
            let dashboard: Value = serde_json::from_str(&file(&monitor, path)).unwrap();
            dashboard["panels"].as_array().unwrap().clone()
        })
        .collect();
    assert_eq!((names.len(), lines.len()), (panels.len(), panels.len()));
    for panel in panels {
        let asked = panel["targets"][0]["expr"].as_str().unwrap();
        assert!(lines.iter().any(|(_, query)| *query == asked), "{asked}");
    }
}
