//! The tools' own settings, read by types of ours that know no other key: one that is misspelt is none.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{file, monitor};

pub(super) fn read<T: DeserializeOwned>(path: &str) -> T {
    serde_saphyr::from_str(&file(&monitor(), path)).unwrap()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kayenta {
    server: Listening,
    redis: Redis,
    kayenta: Parts,
    #[serde(rename = "management.endpoints.web.exposure.include")]
    shown: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listening {
    port: u16,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Redis {
    connection: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Parts {
    prometheus: Part,
    memory: Part,
    standalone_canary_analysis: Enabled,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    enabled: bool,
    accounts: Vec<Account>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Account {
    name: String,
    endpoint: Option<Endpoint>,
    supported_types: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Endpoint {
    base_url: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Enabled {
    enabled: bool,
}

#[test]
fn kayenta_judges_alone_on_the_prometheus_beside_it_and_keeps_everything_in_memory() {
    let Kayenta {
        server,
        redis,
        kayenta,
        shown,
    } = read("kayenta/kayenta.yml");
    let at = format!("http://127.0.0.1:{}/", server.port);
    assert!(
        file(&monitor(), "proxy/nginx.conf").contains(&format!("proxy_pass {at};")),
        "{at}"
    );
    assert_eq!(
        (redis.connection.as_str(), shown.as_str()),
        ("redis://redis:6379", "health")
    );
    assert!(kayenta.prometheus.enabled && kayenta.memory.enabled && kayenta.standalone_canary_analysis.enabled);
    let [prometheus] = &kayenta.prometheus.accounts[..] else {
        panic!("one account")
    };
    let url = prometheus.endpoint.as_ref().map(|endpoint| endpoint.base_url.as_str());
    assert_eq!(
        (prometheus.name.as_str(), url),
        ("prometheus", Some("http://prometheus:9090"))
    );
    assert_eq!(prometheus.supported_types, ["METRICS_STORE"]);
    let [memory] = &kayenta.memory.accounts[..] else {
        panic!("one account")
    };
    assert_eq!(memory.supported_types, ["OBJECT_STORE", "CONFIGURATION_STORE"]);
    assert!(memory.name == "memory" && memory.endpoint.is_none());
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Compose {
    services: BTreeMap<String, Service>,
    networks: BTreeMap<String, ()>,
    volumes: BTreeMap<String, ()>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Service {
    #[serde(rename = "image")]
    _image: String,
    #[serde(default)]
    networks: BTreeSet<String>,
    network_mode: Option<String>,
    #[serde(default)]
    ports: Vec<String>,
    #[serde(default, rename = "command")]
    _command: Vec<String>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    #[serde(default, rename = "volumes")]
    _volumes: Vec<String>,
    restart: String,
    #[serde(default)]
    depends_on: BTreeMap<String, Condition>,
    healthcheck: Option<Healthcheck>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Condition {
    condition: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Healthcheck {
    #[serde(rename = "test")]
    _test: Vec<String>,
    #[serde(rename = "interval")]
    _interval: String,
    #[serde(rename = "timeout")]
    _timeout: String,
    #[serde(rename = "retries")]
    _retries: u32,
}

#[test]
fn services_reach_those_alone_that_they_ask_and_wait_for_their_health() {
    let Compose {
        services,
        networks,
        volumes,
    } = read("compose.yaml");
    let shared = |one: &str, other: &str| !services[one].networks.is_disjoint(&services[other].networks);
    assert!(shared("kayenta", "prometheus") && shared("kayenta", "redis") && shared("referee", "kayenta"));
    assert!(!shared("referee", "prometheus") && !shared("referee", "redis"));
    for (name, service) in &services {
        assert!(service.networks.iter().all(|network| networks.contains_key(network)));
        // Grafana alone, which the proxy signs people in at by a header: nobody else may come from its loopback address.
        assert_eq!(service.network_mode.is_some(), name == "grafana", "{name}");
        assert!(
            service.ports.iter().all(|port| port.starts_with("127.0.0.1:")),
            "{name}"
        );
        assert_eq!(service.restart, "unless-stopped");
        for (other, needed) in &service.depends_on {
            assert_eq!(needed.condition, "service_healthy");
            assert!(services[other].healthcheck.is_some(), "{other}");
        }
    }
    assert_eq!(
        services["referee"].environment["KAYENTA_BASE_URL"],
        "http://kayenta:8090"
    );
    assert_eq!(volumes.len(), 1);
}
