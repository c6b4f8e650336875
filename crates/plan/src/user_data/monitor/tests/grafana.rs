//! Dashboards and their provisioning, read by strict types made after Grafana's own schemas (`dashboard`, `timeseries` and
//! `prometheus` of its foundation SDK): a key that those do not have, one that they require and is missing, or a word that
//! is none of theirs is an error here, where Grafana would show an empty panel.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::settings::read;
use super::*;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Dashboard {
    uid: String,
    title: String,
    tags: Vec<String>,
    schema_version: u32,
    templating: List,
    annotations: List,
    editable: bool,
    refresh: String,
    time: Range,
    panels: Vec<Panel>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    list: [(); 0],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Range {
    from: String,
    to: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Panel {
    id: u32,
    #[serde(rename = "type")]
    _kind: Kind,
    title: String,
    datasource: Source,
    grid_pos: Place,
    field_config: Fields,
    options: Options,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Timeseries,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    #[serde(rename = "type")]
    kind: String,
    uid: String,
}

/// Of a grid 24 wide.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    h: u32,
    w: u32,
    x: u32,
    y: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    defaults: Defaults,
    overrides: [(); 0],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Defaults {
    #[serde(rename = "unit")]
    _unit: Unit,
    min: f64,
}

/// Ids of Grafana's list of units.
#[derive(Deserialize)]
enum Unit {
    #[serde(rename = "reqps")]
    Requests,
    #[serde(rename = "percentunit")]
    Share,
    #[serde(rename = "s")]
    Seconds,
    #[serde(rename = "bytes")]
    Bytes,
    #[serde(rename = "Bps")]
    BytesASecond,
    #[serde(rename = "none")]
    Plain,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    #[serde(rename = "tooltip")]
    _tooltip: Tooltip,
    legend: Legend,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tooltip {
    #[serde(rename = "mode")]
    _mode: TooltipMode,
    #[serde(rename = "sort")]
    _sort: Sort,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum TooltipMode {
    Single,
    Multi,
    None,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Sort {
    Asc,
    Desc,
    None,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Legend {
    #[serde(rename = "displayMode")]
    _display_mode: LegendMode,
    #[serde(rename = "placement")]
    _placement: Placement,
    show_legend: bool,
    #[serde(rename = "calcs")]
    _calcs: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum LegendMode {
    List,
    Table,
    Hidden,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Placement {
    Bottom,
    Right,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Target {
    ref_id: String,
    datasource: Source,
    expr: String,
    range: bool,
    legend_format: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Sources {
    api_version: u32,
    datasources: Vec<Provisioned>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Provisioned {
    #[serde(rename = "name")]
    _name: String,
    uid: String,
    #[serde(rename = "type")]
    kind: String,
    access: String,
    url: String,
    is_default: bool,
    json_data: Interval,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Interval {
    time_interval: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Folders {
    api_version: u32,
    providers: Vec<Folder>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Folder {
    #[serde(rename = "name")]
    _name: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(rename = "updateIntervalSeconds")]
    _update_interval_seconds: u32,
    options: FolderOptions,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FolderOptions {
    path: String,
}

#[test]
fn dashboards_are_as_grafana_reads_them() {
    let sources: Sources = read("grafana/provisioning/datasources/arya.yaml");
    let source = &sources.datasources[0];
    let mut uids = BTreeSet::new();
    for path in ["grafana/dashboards/canary.json", "grafana/dashboards/node.json"] {
        let dashboard: Dashboard = serde_json::from_value(document(path)).unwrap();
        // Its addresses are made of it: 40 characters at most.
        assert!((1..=40).contains(&dashboard.uid.len()) && uids.insert(dashboard.uid.clone()));
        assert!(!dashboard.title.is_empty() && dashboard.editable && dashboard.tags == ["arya"]);
        assert!(dashboard.schema_version >= 36 && dashboard.refresh == "5s");
        assert_eq!(
            (dashboard.time.from.as_str(), dashboard.time.to.as_str()),
            ("now-15m", "now")
        );
        let nothing = [dashboard.templating, dashboard.annotations].map(|list| list.list.len());
        assert_eq!(nothing, [0, 0]);
        let mut cells = BTreeSet::new();
        for (at, panel) in dashboard.panels.iter().enumerate() {
            assert!(panel.id as usize == at + 1 && !panel.title.is_empty());
            let Place { h, w, x, y } = panel.grid_pos;
            assert!(x + w <= 24, "{}", panel.title);
            let mut taken = (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y)));
            assert!(taken.all(|cell| cells.insert(cell)), "{} lies on another", panel.title);
            assert!(panel.field_config.defaults.min == 0.0 && panel.field_config.overrides.is_empty());
            assert!(panel.options.legend.show_legend);
            let [target] = &panel.targets[..] else {
                panic!("one query a panel")
            };
            assert!(target.ref_id == "A" && target.range && target.expr.contains("(arm"));
            // Names that fit on the screen: whose line it is.
            assert!(target.legend_format.contains("{{arm}}"), "{}", target.legend_format);
            for used in [&panel.datasource, &target.datasource] {
                assert_eq!((&used.kind, &used.uid), (&source.kind, &source.uid));
            }
        }
    }
    // Where the deployment's page sends a person.
    assert!(uids.contains("arya-canary"));
}

#[test]
fn grafana_finds_prometheus_and_the_dashboards_by_itself() {
    let sources: Sources = read("grafana/provisioning/datasources/arya.yaml");
    let [source] = &sources.datasources[..] else {
        panic!("one source")
    };
    assert_eq!((sources.api_version, source.kind.as_str()), (1, "prometheus"));
    // Grafana asks, not the browser, and it has the machine's own network.
    assert_eq!(
        (source.access.as_str(), source.url.as_str()),
        ("proxy", "http://127.0.0.1:9090")
    );
    assert!(source.is_default && source.json_data.time_interval == format!("{}s", SCRAPE_EVERY.as_secs()));
    let folders: Folders = read("grafana/provisioning/dashboards/arya.yaml");
    let [folder] = &folders.providers[..] else {
        panic!("one folder")
    };
    assert_eq!((folders.api_version, folder.kind.as_str()), (1, "file"));
    let mounted = format!("./grafana/dashboards:{}:ro", folder.options.path);
    assert!(file(&monitor(), "compose.yaml").contains(&mounted), "{mounted}");
}
