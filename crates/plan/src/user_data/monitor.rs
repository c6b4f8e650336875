//! What the monitor is told: the files of its tools, rendered. Documents are written as JSON, which is YAML too, so that
//! nobody's text can end a line.
//!
//! Whom it watches is a file of its own, since instances come and go while it stands.

mod dashboards;
mod kayenta;
mod rules;

use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Value, json};

use crate::identity::{Arm, DeploymentId};
use crate::spec::Exporter;

/// Where Prometheus reads whom to scrape, from its own folder.
pub const TARGETS_FILE: &str = "prometheus/targets.json";
/// Often enough for blocks of 15 s, seldom enough for two instances not to notice.
const SCRAPE_EVERY: &str = "5s";
/// Debian's node_exporter listens there.
const NODE_EXPORTER_PORT: u16 = 9100;

const IMAGES: &str = include_str!("../../../../provisioning/monitor/images.env");

/// Files that are the same for every deployment, by their path beside the compose file.
const FIXED: [(&str, &str); 5] = [
    (
        "compose.yaml",
        include_str!("../../../../provisioning/monitor/compose.yaml"),
    ),
    (
        "grafana/provisioning/datasources/arya.yaml",
        include_str!("../../../../provisioning/monitor/grafana/provisioning/datasources/arya.yaml"),
    ),
    (
        "grafana/provisioning/dashboards/arya.yaml",
        include_str!("../../../../provisioning/monitor/grafana/provisioning/dashboards/arya.yaml"),
    ),
    (
        "kayenta/kayenta.yml",
        include_str!("../../../../provisioning/monitor/kayenta/kayenta.yml"),
    ),
    (
        "proxy/nginx.conf",
        include_str!("../../../../provisioning/monitor/proxy/nginx.conf"),
    ),
];

/// One deployment's monitor.
#[derive(Debug, Clone, PartialEq)]
pub struct Monitor {
    pub deployment: DeploymentId,
    pub exporters: Vec<Exporter>,
    /// Series are kept so long.
    pub lifetime: Duration,
    /// In front of every image, where only a mirror of the registries is reached.
    pub image_prefix: Option<String>,
    /// A line of the proxy's list of users: a name, and a hash that `crypt` reads. The password stays with the server.
    pub user: String,
}

/// An instance to scrape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scraped {
    pub arm: Arm,
    /// Its name in the series.
    pub instance: String,
    pub address: IpAddr,
    /// What runs there, for people.
    pub version: String,
}

impl Monitor {
    /// Everything but the targets, by path beside the compose file.
    pub fn files(&self) -> Vec<(&'static str, Vec<u8>)> {
        let fixed = FIXED.map(|(path, text)| (path, text.as_bytes().to_vec()));
        let rendered = [
            (".env", self.environment().into_bytes()),
            ("prometheus/prometheus.yml", written(&self.prometheus())),
            ("prometheus/rules.yml", written(&rules::all())),
            ("grafana/dashboards/canary.json", written(&dashboards::canary())),
            ("grafana/dashboards/node.json", written(&dashboards::node())),
            ("kayenta/standard.json", written(&kayenta::standard())),
            ("proxy/users", format!("{}\n", self.user).into_bytes()),
        ];
        fixed.into_iter().chain(rendered).collect()
    }

    /// For [`TARGETS_FILE`]: each instance's node_exporter, and every exporter of the spec.
    pub fn targets(&self, scraped: &[Scraped]) -> Vec<u8> {
        let node = ("node", NODE_EXPORTER_PORT, "/metrics");
        let asked = self.exporters.iter().map(|e| (e.job.as_str(), e.port, e.path.as_str()));
        let jobs: Vec<_> = std::iter::once(node).chain(asked).collect();
        let of = |one: &Scraped| -> Vec<Value> {
            let group = |(job, port, path): &(&str, u16, &str)| {
                json!({
                    "targets": [std::net::SocketAddr::new(one.address, *port).to_string()],
                    "labels": {
                        "job": job,
                        "__metrics_path__": path,
                        "deployment": self.deployment.to_string(),
                        "arm": one.arm.as_str(),
                        "instance": one.instance,
                        "version": one.version,
                    },
                })
            };
            jobs.iter().map(group).collect()
        };
        written(&Value::Array(scraped.iter().flat_map(of).collect()))
    }

    fn prometheus(&self) -> Value {
        json!({
            "global": {"scrape_interval": SCRAPE_EVERY, "evaluation_interval": SCRAPE_EVERY},
            "rule_files": ["rules.yml"],
            "scrape_configs": [{
                "job_name": "arya",
                "file_sd_configs": [{"files": ["targets.json"], "refresh_interval": SCRAPE_EVERY}],
            }],
        })
    }

    /// What the compose file's `${…}` stand for.
    fn environment(&self) -> String {
        let prefix = self
            .image_prefix
            .as_deref()
            .map_or(String::new(), |prefix| format!("{}/", prefix.trim_end_matches('/')));
        let images = IMAGES.lines().filter(|line| !line.starts_with('#'));
        let images = images.filter_map(|line| line.split_once('='));
        let mut text: String = images
            .map(|(name, image)| format!("{name}={prefix}{image}\n"))
            .collect();
        // To the end of the deployment and somewhat on: what was measured is exported before the monitor goes.
        text.push_str(&format!("ARYA_RETENTION={}s\n", self.lifetime.as_secs() + 3600));
        text
    }
}

fn written(document: &Value) -> Vec<u8> {
    serde_json::to_vec_pretty(document).expect("a document of ours is plain data")
}

#[cfg(test)]
mod tests;
