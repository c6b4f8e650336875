//! The configuration file of `arya serve`: where it listens, and its connections.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use arya_aws::MeasuredBy;
use arya_plan::timing::Timing;
use serde::Deserialize;
use serde_json::Value;

use crate::api::input::yaml;
use crate::tools::ToolsUrl;

/// The configuration file of `arya serve`.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    pub(crate) listen: Option<SocketAddr>,
    /// Where the monitors' tools are shown; without it nowhere.
    pub(crate) tools_listen: Option<SocketAddr>,
    /// How browsers reach that, where something stands in front of it.
    #[serde(deserialize_with = "address")]
    pub(crate) tools_url: Option<ToolsUrl>,
    pub(crate) data_dir: Option<PathBuf>,
    /// Accounts and regions; without any the environment's.
    pub(crate) connections: Vec<ConnectionConfig>,
    pub(crate) timing: Pace,
}

/// One account and region, and as whom. No key is written here: a profile of the standard files names one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConnectionConfig {
    /// What specs call it.
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) profile: Option<String>,
    #[serde(default)]
    pub(crate) role_arn: Option<String>,
    #[serde(default)]
    pub(crate) region: Option<String>,
    /// Another endpoint than AWS's.
    #[serde(default)]
    pub(crate) endpoint: Option<String>,
    /// The account that publishes the image which `instances.ami: default` means; without it Debian's own.
    #[serde(default)]
    pub(crate) image_owner: Option<String>,
    /// Where the load balancer's numbers are read.
    #[serde(default)]
    pub(crate) measured_by: Measuring,
}

/// One place for a connection, so that no metric mixes two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Measuring {
    /// By the minute, within four minutes.
    #[default]
    Cloudwatch,
    /// Where the load balancer writes them: every answer, within ten minutes.
    AccessLogs,
}

impl From<Measuring> for MeasuredBy {
    fn from(measuring: Measuring) -> Self {
        match measuring {
            Measuring::Cloudwatch => Self::CloudWatch,
            Measuring::AccessLogs => Self::AccessLogs,
        }
    }
}

/// How long a cloud is given before it is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Pace {
    #[default]
    Aws,
    /// An endpoint whose rules hold at once and whose listings do not lag. On AWS requests would be lost.
    Emulator,
}

/// Every key of the file, and of a connection in it.
const KEYS: [&str; 6] = [
    "listen",
    "tools_listen",
    "tools_url",
    "data_dir",
    "connections",
    "timing",
];
const CONNECTION_KEYS: [&str; 7] = [
    "name",
    "profile",
    "role_arn",
    "region",
    "endpoint",
    "image_owner",
    "measured_by",
];
/// A known key counts as meant when it is at most this many edits away.
const NEAR: usize = 3;
/// The variables that send every call elsewhere, as the SDK reads them.
const ENDPOINT: &str = "AWS_ENDPOINT_URL";

impl Config {
    /// Reads and checks it.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let name = path.display();
        let text = std::fs::read(path)
            .with_context(|| format!("The configuration {name} cannot be read. Nothing was started. Check --config"))?;
        let elsewhere = std::env::var_os(ENDPOINT).is_some_and(|value| !value.is_empty());
        let config = Self::parse(&text).and_then(|config| config.checked(elsewhere));
        config.map_err(|what| anyhow::anyhow!("The configuration {name}: {what} Nothing was started. Correct it."))
    }

    fn parse(text: &[u8]) -> Result<Self, String> {
        let document = yaml(text).map_err(|problem| problem.detail)?;
        // An empty file says nothing, and so nothing else than the usual.
        if document.is_null() {
            return Ok(Self::default());
        }
        unknown_key(&document, &KEYS, "")?;
        let connections = document.get("connections").and_then(Value::as_array);
        for (index, connection) in connections.into_iter().flatten().enumerate() {
            unknown_key(connection, &CONNECTION_KEYS, &format!("connections[{index}]."))?;
        }
        serde_path_to_error::deserialize(&document)
            .map_err(|error| format!("`{}` cannot be read: {}.", error.path(), error.inner()))
    }

    /// What each value alone does not show. `elsewhere`: the environment names another endpoint than AWS's.
    fn checked(self, elsewhere: bool) -> Result<Self, String> {
        let mut names = BTreeSet::new();
        for connection in &self.connections {
            if connection.name.trim().is_empty() {
                return Err("a connection has an empty name.".into());
            }
            if !names.insert(&connection.name) {
                return Err(format!("two connections are called `{}`.", connection.name));
            }
        }
        let all_elsewhere = !self.connections.is_empty() && self.connections.iter().all(|one| one.endpoint.is_some());
        if self.timing == Pace::Emulator && !elsewhere && !all_elsewhere {
            return Err(format!(
                "`timing: emulator` is only for endpoints that are not AWS; name one in every connection or in {ENDPOINT}."
            ));
        }
        Ok(self)
    }

    /// The connections, or the environment's as the only one.
    pub(crate) fn connections_or_environment(connections: Vec<ConnectionConfig>) -> Vec<ConnectionConfig> {
        if connections.is_empty() {
            vec![ConnectionConfig::of_environment()]
        } else {
            connections
        }
    }
}

impl ConnectionConfig {
    pub(crate) fn of_environment() -> Self {
        Self {
            name: "default".into(),
            profile: None,
            role_arn: None,
            region: None,
            endpoint: None,
            image_owner: None,
            measured_by: Measuring::default(),
        }
    }
}

impl Pace {
    pub(crate) const fn timing(self) -> Timing {
        match self {
            Self::Aws => Timing::AWS,
            Self::Emulator => Timing::TRY,
        }
    }
}

fn address<'d, D: serde::Deserializer<'d>>(read: D) -> Result<Option<ToolsUrl>, D::Error> {
    let text = Option::<String>::deserialize(read)?;
    text.map(|text| text.parse().map_err(serde::de::Error::custom))
        .transpose()
}

fn unknown_key(document: &Value, known: &[&str], at: &str) -> Result<(), String> {
    let Some(given) = document.as_object() else {
        return Ok(());
    };
    let Some(key) = given.keys().find(|key| !known.contains(&key.as_str())) else {
        return Ok(());
    };
    let distance = |candidate: &&&str| strsim::damerau_levenshtein(candidate, key);
    let near = known.iter().min_by_key(distance).filter(|one| distance(one) <= NEAR);
    Err(match near {
        Some(near) => format!("there is no key `{at}{key}`; the nearest known one is `{near}`."),
        None => format!("there is no key `{at}{key}`; there are {}.", known.join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str, elsewhere: bool) -> String {
        Config::parse(text.as_bytes())
            .and_then(|config| config.checked(elsewhere))
            .unwrap_err()
    }

    #[test]
    fn connections_are_read_with_what_each_says() {
        let text = "listen: 0.0.0.0:7070\nconnections:\n- {name: live, profile: prod, measured_by: access_logs}\n- {name: other}\n";
        let config = Config::parse(text.as_bytes()).unwrap().checked(false).unwrap();
        let profiles: Vec<_> = config.connections.iter().map(|one| one.profile.as_deref()).collect();
        assert_eq!(profiles, [Some("prod"), None]);
        let measured: Vec<_> = config.connections.iter().map(|one| one.measured_by).collect();
        assert_eq!(measured, [Measuring::AccessLogs, Measuring::Cloudwatch]);
        assert_eq!(config.timing, Pace::Aws);
    }

    #[test]
    fn an_empty_file_is_the_environments_connection() {
        let config = Config::parse(b"").unwrap();
        assert_eq!(config, Config::default());
        let connections = Config::connections_or_environment(config.connections);
        assert_eq!(connections, [ConnectionConfig::of_environment()]);
    }

    #[test]
    fn an_unknown_key_is_named_with_the_nearest() {
        assert!(refused("lisen: 1", false).contains("`lisen`; the nearest known one is `listen`"));
        let said = refused("connections: [{name: a}, {name: b, role: c}]", false);
        assert!(said.contains("`connections[1].role`"), "{said}");
        assert!(refused("connections: [{name: a, profil: c}]", false).contains("`profile`"));
    }

    #[test]
    fn the_tools_address_is_one() {
        let config = Config::parse(b"tools_url: https://tools.example.com").unwrap();
        assert_eq!(config.tools_url, "https://tools.example.com".parse().ok());
        let said = refused("tools_url: tools.example.com/grafana", false);
        assert!(said.contains("`tools_url`") && said.contains("no path"), "{said}");
    }

    #[test]
    fn names_are_there_and_unique() {
        assert!(refused("connections: [{name: a}, {name: a}]", false).contains("two connections"));
        assert!(refused("connections: [{name: ' '}]", false).contains("empty name"));
        assert!(refused("connections: [{profile: a}]", false).contains("name"));
    }

    #[test]
    fn aws_is_never_believed_as_fast_as_an_emulator() {
        assert!(refused("timing: emulator", false).contains("not AWS"));
        assert!(refused("timing: emulator\nconnections: [{name: a}]", false).contains("not AWS"));
        let text = "timing: emulator\nconnections: [{name: a, endpoint: 'http://127.0.0.1:1'}]";
        assert!(Config::parse(text.as_bytes()).unwrap().checked(false).is_ok());
        assert!(Config::parse(b"timing: emulator").unwrap().checked(true).is_ok());
    }
}
