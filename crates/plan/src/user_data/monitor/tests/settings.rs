//! The tools' own settings, read by types of ours that know no other key: one that is misspelt is none.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{file, monitor};

fn read<T: DeserializeOwned>(path: &str) -> T {
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
    address: String,
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
    let at = format!("http://{}:{}/", server.address, server.port);
    assert!(
        file(&monitor(), "proxy/nginx.conf").contains(&format!("proxy_pass {at};")),
        "{at}"
    );
    assert_eq!(
        (redis.connection.as_str(), shown.as_str()),
        ("redis://127.0.0.1:6379", "health")
    );
    assert!(kayenta.prometheus.enabled && kayenta.memory.enabled && kayenta.standalone_canary_analysis.enabled);
    let [prometheus] = &kayenta.prometheus.accounts[..] else {
        panic!("one account")
    };
    let url = prometheus.endpoint.as_ref().map(|endpoint| endpoint.base_url.as_str());
    assert_eq!(
        (prometheus.name.as_str(), url),
        ("prometheus", Some("http://127.0.0.1:9090"))
    );
    assert_eq!(prometheus.supported_types, ["METRICS_STORE"]);
    let [memory] = &kayenta.memory.accounts[..] else {
        panic!("one account")
    };
    assert_eq!(memory.supported_types, ["OBJECT_STORE", "CONFIGURATION_STORE"]);
    assert!(memory.name == "memory" && memory.endpoint.is_none());
}
