//! What the sample service is told by its environment. Must never read anything but the variables it is handed.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Everything the sample service is configured with; see [`SampleConfig::from_env`] for the variables.
#[derive(Debug, Clone)]
pub struct SampleConfig {
    /// What `/version` answers.
    pub version: String,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The bound address is written here once the service listens.
    pub address_file: Option<PathBuf>,
    /// `/health` answers 503 for this long.
    pub start_up: Duration,
    /// Share of requests (0–1) that fail in any release, as in real life.
    pub base_error_share: f64,
    /// Middle of the jittered time that an ordinary answer takes.
    pub base_latency: Duration,
    /// Share of requests (0–1) that fail on top, because this release is bad.
    pub error_share: f64,
    /// Time that every answer takes on top, because this release is slow.
    pub extra_latency: Duration,
    /// Whether the end of the control channel ends the service.
    pub lifeline: Lifeline,
}

/// What the service's life hangs on besides signals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifeline {
    /// The control channel: its end means that the parent is gone.
    Control,
    /// Nothing: in a container standard input is closed from the start.
    None,
}

/// A variable that cannot be used; the service does not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}={value} cannot be used. The sample service has not started. Set {name} to {expected}.")]
pub struct ConfigError {
    /// The variable.
    pub name: &'static str,
    /// What it was set to.
    pub value: String,
    /// What it may be.
    pub expected: &'static str,
}

/// A record service answers from memory in single milliseconds.
const BASE_LATENCY: Duration = Duration::from_millis(5);
/// Two in a thousand: low enough to be healthy, high enough that a comparison of zeros is never the demo.
const BASE_ERROR_SHARE: f64 = 0.002;
/// No delay that is longer makes sense before a load balancer gives up (60 s).
const LONGEST_DELAY_MS: u64 = 60_000;

impl SampleConfig {
    /// Version `version` on `listen`, healthy, ready at once, not tied to a parent.
    #[must_use]
    pub fn healthy(version: &str, listen: SocketAddr) -> Self {
        Self {
            version: version.to_owned(),
            listen,
            address_file: None,
            start_up: Duration::ZERO,
            base_error_share: BASE_ERROR_SHARE,
            base_latency: BASE_LATENCY,
            error_share: 0.0,
            extra_latency: Duration::ZERO,
            lifeline: Lifeline::None,
        }
    }

    /// Reads the process environment.
    ///
    /// `SAMPLE_VERSION`, `PORT` (all interfaces), `SAMPLE_LISTEN` (address and port, set by a runtime that publishes
    /// ports; wins over `PORT` and ties the service's life to its standard input), `SAMPLE_ADDRESS_FILE`,
    /// `SAMPLE_STARTUP_MS`, `SAMPLE_ERROR_SHARE`, `SAMPLE_EXTRA_LATENCY_MS`, `SAMPLE_BASE_LATENCY_MS`,
    /// `SAMPLE_BASE_ERROR_SHARE`.
    ///
    /// # Errors
    /// A variable is set to something that it cannot mean.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    /// As [`SampleConfig::from_env`], from any source of variables.
    ///
    /// # Errors
    /// A variable is set to something that it cannot mean.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let set = &|name: &str| variable(name).filter(|value| !value.is_empty());
        let port: u16 = parsed(set, "PORT", "a port number")?.unwrap_or(8080);
        let listen: Option<SocketAddr> = parsed(set, "SAMPLE_LISTEN", "an address with a port, as 127.0.0.1:0")?;
        let mut config = Self::healthy("dev", listen.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], port))));
        if listen.is_some() {
            config.lifeline = Lifeline::Control;
        }
        if let Some(version) = set("SAMPLE_VERSION") {
            config.version = version;
        }
        config.address_file = set("SAMPLE_ADDRESS_FILE").map(PathBuf::from);
        config.start_up = delay(set, "SAMPLE_STARTUP_MS")?.unwrap_or_default();
        config.extra_latency = delay(set, "SAMPLE_EXTRA_LATENCY_MS")?.unwrap_or_default();
        config.base_latency = delay(set, "SAMPLE_BASE_LATENCY_MS")?.unwrap_or(config.base_latency);
        config.error_share = share(set, "SAMPLE_ERROR_SHARE")?.unwrap_or_default();
        config.base_error_share = share(set, "SAMPLE_BASE_ERROR_SHARE")?.unwrap_or(config.base_error_share);
        Ok(config)
    }
}

fn parsed<T: std::str::FromStr>(
    set: impl Fn(&str) -> Option<String>,
    name: &'static str,
    expected: &'static str,
) -> Result<Option<T>, ConfigError> {
    set(name)
        .map(|value| value.trim().parse().map_err(|_| ConfigError { name, value, expected }))
        .transpose()
}

fn delay(set: impl Fn(&str) -> Option<String>, name: &'static str) -> Result<Option<Duration>, ConfigError> {
    const EXPECTED: &str = "milliseconds between 0 and 60000";
    match parsed::<u64>(set, name, EXPECTED)? {
        Some(ms) if ms > LONGEST_DELAY_MS => Err(ConfigError {
            name,
            value: ms.to_string(),
            expected: EXPECTED,
        }),
        other => Ok(other.map(Duration::from_millis)),
    }
}

fn share(set: impl Fn(&str) -> Option<String>, name: &'static str) -> Result<Option<f64>, ConfigError> {
    const EXPECTED: &str = "a number between 0 and 1";
    match parsed::<f64>(set, name, EXPECTED)? {
        Some(share) if !(0.0..=1.0).contains(&share) => Err(ConfigError {
            name,
            value: share.to_string(),
            expected: EXPECTED,
        }),
        other => Ok(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(variables: &[(&str, &str)]) -> Result<SampleConfig, ConfigError> {
        SampleConfig::from_variables(|name| {
            variables
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn nothing_set_is_a_healthy_service_on_port_8080() {
        let config = config(&[]).unwrap();
        assert_eq!(config.listen.to_string(), "0.0.0.0:8080");
        assert_eq!(config.lifeline, Lifeline::None);
        assert!(config.error_share == 0.0 && config.extra_latency.is_zero());
    }

    #[test]
    fn a_runtime_that_publishes_ports_ties_the_life_to_standard_input() {
        let config = config(&[("PORT", "9000"), ("SAMPLE_LISTEN", "127.0.0.1:0")]).unwrap();
        assert_eq!(
            (config.listen.to_string().as_str(), config.lifeline),
            ("127.0.0.1:0", Lifeline::Control)
        );
    }

    #[test]
    fn faults_come_from_the_image() {
        let config = config(&[("SAMPLE_ERROR_SHARE", "0.1"), ("SAMPLE_EXTRA_LATENCY_MS", "150")]).unwrap();
        assert_eq!((config.error_share, config.extra_latency.as_millis()), (0.1, 150));
    }

    #[test]
    fn a_variable_that_makes_no_sense_is_refused_by_name() {
        let refused = |name, value| assert_eq!(config(&[(name, value)]).unwrap_err().name, name);
        refused("SAMPLE_ERROR_SHARE", "1.5");
        refused("SAMPLE_ERROR_SHARE", "NaN");
        refused("SAMPLE_BASE_ERROR_SHARE", "-0.1");
        refused("SAMPLE_STARTUP_MS", "soon");
        refused("SAMPLE_EXTRA_LATENCY_MS", "60001");
        refused("PORT", "70000");
        refused("SAMPLE_LISTEN", "localhost");
    }
}
