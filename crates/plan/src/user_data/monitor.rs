//! What the monitor is told: the files of its tools, rendered. Documents are written as JSON, which is YAML too, so that
//! nobody's text can end a line.
//!
//! Whom it watches is a file of its own, since instances come and go while it stands.

mod dashboards;
mod kayenta;
mod posting;
mod rules;

use std::net::IpAddr;
use std::time::Duration;

pub use posting::{PART_BYTES_MAX, evidence_key};

use serde_json::{Value, json};

use super::{Archive, Patience, PresignedUrl, Settings};
use crate::identity::{Arm, DeploymentId};
use crate::listener::Protocol;
use crate::spec::{App, Exporter, RefereeImage, WarmUp};

/// Where Prometheus reads whom to scrape, from its own folder.
pub const TARGETS_FILE: &str = "prometheus/targets.json";
/// Often enough for blocks of 15 s, seldom enough for two instances not to notice.
pub const SCRAPE_EVERY: Duration = Duration::from_secs(5);
/// Debian's node_exporter listens there.
pub const NODE_EXPORTER_PORT: u16 = 9100;
/// The one port in front of everything else, with TLS.
pub const DOOR_PORT: u16 = 8443;
const PROMETHEUS: &str = "prometheus";
const PROMETHEUS_PORT: u16 = 9090;
/// In place of an arm, and of a version that nobody told us.
const PRODUCTION: &str = "production";
/// Started when it is ready, and waited for by nobody.
const LATER: [&str; 3] = ["grafana", "redis", "kayenta"];
const REFEREE: &str = "referee";
/// What the compose file calls its image.
pub(crate) const REFEREE_IMAGE: &str = "REFEREE_IMAGE";
/// What an archive of Referee's is called on the monitor, whatever its own name; `boot.sh` calls it so.
const REFEREE_LOADED: &str = "arya/referee:archive";

const IMAGES: &str = include_str!("../../../../provisioning/monitor/images.env");

/// Files that are the same for every deployment, by their path beside the compose file.
const FIXED: [(&str, &str); 6] = [
    (
        "compose.yaml",
        include_str!("../../../../provisioning/monitor/compose.yaml"),
    ),
    ("export.sh", include_str!("../../../../provisioning/monitor/export.sh")),
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
    pub referee: RefereeImage,
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
    /// What its instance is told. `image` is an archive for `docker load`, where no registry is reached.
    pub fn settings(&self, patience: Patience, image: Option<Archive>, urls: PresignedUrl) -> Settings {
        let files = self.files().into_iter();
        Settings {
            app: App {
                port: PROMETHEUS_PORT,
                protocol: Protocol::Http,
                health_check_path: "/-/ready".into(),
                warm_up: WarmUp {
                    paths: vec![],
                    ..WarmUp::default()
                },
                version_path: None,
            },
            patience,
            image,
            compose: None,
            written: files.map(|(path, text)| (path.to_owned(), text)).collect(),
            app_service: PROMETHEUS.into(),
            services: vec![PROMETHEUS.into()],
            env_file: None,
            env_from: vec![],
            aws_endpoint: None,
            files: vec![],
            later: self.later().map(str::to_owned).collect(),
            urls,
            referee: None,
        }
    }

    /// Services that come once it is ready.
    fn later(&self) -> impl Iterator<Item = &'static str> {
        let referee = (self.referee != RefereeImage::Off).then_some(REFEREE);
        LATER.into_iter().chain(referee)
    }

    /// Everything but the targets, by path beside the compose file.
    pub fn files(&self) -> Vec<(&'static str, String)> {
        let fixed = FIXED.map(|(path, text)| (path, text.to_owned()));
        let rendered = [
            (".env", self.environment()),
            ("prometheus/prometheus.yml", written(&self.prometheus())),
            ("prometheus/rules.yml", written(&rules::all())),
            ("grafana/dashboards/canary.json", written(&dashboards::canary())),
            ("grafana/dashboards/node.json", written(&dashboards::node())),
            ("export.queries", dashboards::queries()),
            ("kayenta/standard.json", written(&kayenta::standard())),
            ("proxy/users", format!("{}\n", self.user)),
        ];
        fixed.into_iter().chain(rendered).collect()
    }

    /// For [`TARGETS_FILE`]: each instance's node_exporter, and every exporter of the spec; the same of production's machines
    /// that are looked at beside them. One that nobody answers at is a gap in its panels, and no more.
    pub fn targets(&self, scraped: &[Scraped], production: &[IpAddr]) -> String {
        let node = ("node", NODE_EXPORTER_PORT, "/metrics");
        let asked = self.exporters.iter().map(|e| (e.job.as_str(), e.port, e.path.as_str()));
        // Whoever names it too gets it once.
        let asked = asked.filter(|(_, port, path)| (*port, *path) != (node.1, node.2));
        let jobs: Vec<_> = std::iter::once(node).chain(asked).collect();
        let of = |address: IpAddr, arm: &str, instance: &str, version: &str| -> Vec<Value> {
            let group = |(job, port, path): &(&str, u16, &str)| {
                json!({
                    "targets": [std::net::SocketAddr::new(address, *port).to_string()],
                    "labels": {
                        "job": job,
                        "__metrics_path__": path,
                        "deployment": self.deployment.to_string(),
                        "arm": arm,
                        "instance": instance,
                        "version": version,
                    },
                })
            };
            jobs.iter().map(group).collect()
        };
        let arms = scraped
            .iter()
            .flat_map(|one| of(one.address, one.arm.as_str(), &one.instance, &one.version));
        let beside = production
            .iter()
            .flat_map(|address| of(*address, PRODUCTION, &address.to_string(), PRODUCTION));
        written(&Value::Array(arms.chain(beside).collect()))
    }

    fn prometheus(&self) -> Value {
        let every = format!("{}s", SCRAPE_EVERY.as_secs());
        json!({
            "global": {"scrape_interval": every, "evaluation_interval": every},
            "rule_files": ["rules.yml"],
            "scrape_configs": [{
                "job_name": "arya",
                "file_sd_configs": [{"files": ["targets.json"], "refresh_interval": every}],
            }],
        })
    }

    /// What the compose file's `${…}` stand for.
    fn environment(&self) -> String {
        let mut text: String = tool_images(self.image_prefix.as_deref())
            .map(|(name, image)| match &self.referee {
                RefereeImage::Named(chosen) if name == REFEREE_IMAGE => format!("{name}={chosen}\n"),
                RefereeImage::Archive(_) if name == REFEREE_IMAGE => format!("{name}={REFEREE_LOADED}\n"),
                RefereeImage::Default | RefereeImage::Off | RefereeImage::Named(_) | RefereeImage::Archive(_) => {
                    format!("{name}={image}\n")
                }
            })
            .collect();
        // To the end of the deployment and somewhat on: what was measured is exported before the monitor goes.
        text.push_str(&format!("ARYA_RETENTION={}s\n", self.lifetime.as_secs() + 3600));
        text
    }
}

/// The monitor's images by their names in the compose file, as a mirror has them.
pub(crate) fn tool_images(mirror: Option<&str>) -> impl Iterator<Item = (&'static str, String)> {
    let prefix = mirror.map_or(String::new(), |prefix| format!("{}/", prefix.trim_end_matches('/')));
    let images = IMAGES.lines().filter(|line| !line.starts_with('#'));
    images
        .filter_map(|line| line.split_once('='))
        .map(move |(name, image)| (name, format!("{prefix}{image}")))
}

fn written(document: &Value) -> String {
    serde_json::to_string_pretty(document).expect("a document of ours is plain data")
}

#[cfg(test)]
mod tests;
