//! The two dashboards that Grafana opens with: requests, errors and durations on top, use of the machine below, both arms on
//! the same axes.

use serde_json::{Value, json};

use super::rules::{CPU, ERROR_SHARE, LATENCY_P95, MACHINE_CPU, MEMORY, REQUESTS};

/// A panel's title, its unit in Grafana's words, and what it asks.
type Panel = (&'static str, &'static str, String);

pub(super) fn canary() -> Value {
    dashboard("arya-canary", "Canary vs baseline", &canary_panels())
}

pub(super) fn node() -> Value {
    dashboard("arya-node", "Node", &node_panels())
}

/// What every panel asks, for `export.sh`: a line each, a name for a file and the query.
pub(super) fn queries() -> String {
    let named = |board: &'static str, panels: [Panel; 6]| {
        panels.map(|(title, _, query)| {
            let words = title.split(|c: char| !c.is_ascii_alphanumeric());
            let words: Vec<String> = words.filter(|word| !word.is_empty()).map(str::to_lowercase).collect();
            format!("{board}-{}\t{query}\n", words.join("-"))
        })
    };
    [named("canary", canary_panels()), named("node", node_panels())]
        .concat()
        .concat()
}

fn canary_panels() -> [Panel; 6] {
    let by_arm = |what: &str, record: &str| format!("{what} by (arm) ({record})");
    [
        ("Requests", "reqps", by_arm("sum", REQUESTS)),
        ("Share of errors", "percentunit", by_arm("avg", ERROR_SHARE)),
        ("Latency, 95th percentile", "s", by_arm("max", LATENCY_P95)),
        ("Processor of the app", "none", by_arm("avg", CPU)),
        ("Memory of the app", "bytes", by_arm("avg", MEMORY)),
        ("Processor of the machine", "percentunit", by_arm("avg", MACHINE_CPU)),
    ]
}

fn node_panels() -> [Panel; 6] {
    let of = |expression: &str| format!("sum by (arm, instance) ({expression})");
    [
        ("Processor", "percentunit", of(MACHINE_CPU)),
        ("Load of a minute", "none", of("node_load1")),
        (
            "Memory in use",
            "bytes",
            of("node_memory_MemTotal_bytes - node_memory_MemAvailable_bytes"),
        ),
        (
            "Disk left",
            "bytes",
            "min by (arm, instance) (node_filesystem_avail_bytes{fstype!~\"tmpfs|ramfs|overlay|squashfs\"})".into(),
        ),
        (
            "Network, received",
            "Bps",
            of("rate(node_network_receive_bytes_total{device!=\"lo\"}[1m])"),
        ),
        (
            "Network, sent",
            "Bps",
            of("rate(node_network_transmit_bytes_total{device!=\"lo\"}[1m])"),
        ),
    ]
}

fn dashboard(uid: &str, title: &str, panels: &[Panel]) -> Value {
    let placed = panels.iter().enumerate();
    let panels: Vec<Value> = placed.map(|(at, panel)| drawn(at, panel)).collect();
    json!({
        "uid": uid,
        "title": title,
        "tags": ["arya"],
        "schemaVersion": 39,
        "templating": {"list": []},
        "annotations": {"list": []},
        "editable": true,
        "refresh": "5s",
        "time": {"from": "now-15m", "to": "now"},
        "panels": panels,
    })
}

/// Grafana's grid is 24 wide; three panels a row.
fn drawn(at: usize, (title, unit, query): &Panel) -> Value {
    let source = json!({"type": "prometheus", "uid": "arya"});
    let legend = if query.contains("instance)") {
        "{{arm}} {{instance}}"
    } else {
        "{{arm}}"
    };
    json!({
        "id": at + 1,
        "type": "timeseries",
        "title": title,
        "datasource": source,
        "gridPos": {"h": 9, "w": 8, "x": at % 3 * 8, "y": at / 3 * 9},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "options": {
            "tooltip": {"mode": "multi", "sort": "none"},
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": []},
        },
        "targets": [{"refId": "A", "datasource": source, "expr": query, "range": true, "legendFormat": legend}],
    })
}
