//! One service of a compose file, as far as Arya cares. Must never know other services.

use std::fmt;
use std::ops::RangeInclusive;

use serde_json::Value;

use super::error::ComposeError;
use super::fields::{Fields, kind, scalar};
use super::mounts::Mount;
use super::ports::{self, PortMapping};

/// One service. What is `None` or empty is not said by the file; the image decides then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    pub name: String,
    pub image: Option<String>,
    pub build: Option<Build>,
    /// The words of the command; `Some` and empty takes the image's command away.
    pub command: Option<Vec<String>>,
    pub entrypoint: Option<Vec<String>>,
    pub environment: Environment,
    pub env_files: Vec<EnvFile>,
    pub ports: Vec<PortMapping>,
    /// Ports open to other services only. Ranges stay ranges: a few bytes of them may name every port a thousand times.
    pub expose: Vec<RangeInclusive<u16>>,
    pub mounts: Vec<Mount>,
    pub depends_on: Vec<DependsOn>,
    pub platform: Option<String>,
    pub restart: Option<String>,
    pub user: Option<String>,
    pub working_dir: Option<String>,
    /// `host` publishes every port of the process, whatever `ports` says.
    pub network_mode: Option<String>,
    pub healthcheck: Option<Healthcheck>,
    /// Compose starts the service only if one of these is asked for; empty = always.
    pub profiles: Vec<String>,
    pub secrets: Vec<String>,
    pub configs: Vec<String>,
    /// Another service's definition that this one builds upon: the file's own name if none is given.
    pub extends: Option<String>,
}

/// Where and how Compose would build the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    pub context: String,
    pub dockerfile: Option<String>,
}

/// A file with environment variables that must lie beside the compose file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvFile {
    pub path: String,
    pub required: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DependsOn {
    pub service: String,
    /// Such as `service_started` (Compose's default) or `service_completed_successfully`.
    pub condition: String,
    /// Compose starts without a service that is not required.
    pub required: bool,
}

/// How the container says that it is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Healthcheck {
    /// First `CMD` or `CMD-SHELL`, then the words; empty if only times are changed.
    pub test: Vec<String>,
    pub disabled: bool,
}

/// The value of one environment variable.
#[derive(Clone, PartialEq, Eq)]
pub enum EnvironmentValue {
    Set(String),
    /// A name without a value: taken from where Compose runs.
    FromOutside,
}

impl fmt::Debug for EnvironmentValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if matches!(self, Self::Set(_)) {
            "…"
        } else {
            "FromOutside"
        })
    }
}

/// Environment variables of a service. Values may be secret, so `Debug` shows names only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment(Vec<(String, EnvironmentValue)>);

impl Environment {
    /// Names and values. Hand the values to the process, never to a log.
    #[must_use]
    pub fn pairs(&self) -> &[(String, EnvironmentValue)] {
        &self.0
    }

    /// Names whose value comes from where Compose runs.
    pub fn from_outside(&self) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(|(_, value)| *value == EnvironmentValue::FromOutside)
            .map(|(name, _)| name.as_str())
    }
}

impl Service {
    /// The service, and the paths of keys that were not understood.
    pub(super) fn read(name: String, value: Value, at: &str) -> Result<(Self, Vec<String>), ComposeError> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if name.is_empty() || !name.chars().all(is_part) {
            let problem = "has a service name with other characters than letters, digits, `.`, `_` and `-`";
            return Err(ComposeError::invalid(at, problem));
        }
        let mut fields = Fields::of(value, at)?;
        // A name that is empty for want of a variable's value is a finding, and not an error of the file.
        if !["image", "build", "extends"].iter().any(|key| fields.has(key)) {
            return Err(ComposeError::invalid(at, "names no `image`"));
        }
        let service = Self {
            image: fields.text("image")?.filter(|image| !image.is_empty()),
            build: fields
                .take("build")
                .map(|value| Build::read(value, &format!("{at}.build")))
                .transpose()?,
            command: words(&mut fields, "command")?,
            entrypoint: words(&mut fields, "entrypoint")?,
            environment: environment(&mut fields)?,
            env_files: env_files(&mut fields)?,
            ports: fields.list("ports", port)?,
            expose: fields.list("expose", expose)?,
            mounts: fields.list("volumes", mount)?,
            depends_on: depends_on(&mut fields)?,
            platform: fields.text("platform")?,
            restart: fields.text("restart")?,
            user: fields.text("user")?,
            working_dir: fields.text("working_dir")?,
            network_mode: fields.text("network_mode")?,
            healthcheck: healthcheck(&mut fields)?,
            profiles: fields.texts("profiles")?,
            secrets: fields.list("secrets", source_name)?,
            configs: fields.list("configs", source_name)?,
            extends: extends(&mut fields)?,
            name,
        };
        Ok((service, fields.rest()))
    }

    /// The container's port behind a published port of the host, for TCP.
    #[must_use]
    pub fn container_port(&self, host_port: u16) -> Option<u16> {
        self.ports.iter().find_map(|mapping| mapping.behind(host_port))
    }

    /// Whether it publishes any port of the host.
    #[must_use]
    pub fn publishes_ports(&self) -> bool {
        !self.ports.is_empty() || self.network_mode.as_deref() == Some("host")
    }
}

impl Build {
    fn read(value: Value, at: &str) -> Result<Self, ComposeError> {
        if let Value::String(context) = value {
            return Ok(Self {
                context,
                dockerfile: None,
            });
        }
        let mut fields = Fields::of(value, at)?;
        let context = fields.text("context")?.unwrap_or_else(|| ".".to_owned());
        Ok(Self {
            context,
            dockerfile: fields.text("dockerfile")?,
        })
    }
}

/// A command as one line, split as a shell would, or as a list of words.
fn words(fields: &mut Fields, key: &str) -> Result<Option<Vec<String>>, ComposeError> {
    let at = fields.path(key);
    match fields.take(key) {
        None => Ok(None),
        Some(Value::String(line)) => {
            let words = shlex::split(&line);
            words
                .map(Some)
                .ok_or_else(|| ComposeError::invalid(at, "has a quote that does not end"))
        }
        Some(Value::Array(items)) => {
            let words = items
                .into_iter()
                .enumerate()
                .map(|(index, item)| scalar(item, &format!("{at}[{index}]")));
            words.collect::<Result<_, _>>().map(Some)
        }
        Some(other) => Err(ComposeError::invalid(
            at,
            format!("must be a text or a list, but is {}", kind(&other)),
        )),
    }
}

fn environment(fields: &mut Fields) -> Result<Environment, ComposeError> {
    const KEY: &str = "environment";
    let at = fields.path(KEY);
    let check = |name: &str| match name {
        "" => Err(ComposeError::invalid(&at, "has a variable without a name")),
        _ => Ok(name.to_owned()),
    };
    let pairs = match fields.take(KEY) {
        None => Vec::new(),
        Some(Value::Array(items)) => items
            .into_iter()
            .map(|item| {
                let line = scalar(item, &at)?;
                Ok(match line.split_once('=') {
                    Some((name, value)) => (check(name)?, EnvironmentValue::Set(value.to_owned())),
                    None => (check(&line)?, EnvironmentValue::FromOutside),
                })
            })
            .collect::<Result<_, ComposeError>>()?,
        Some(Value::Object(map)) => map
            .into_iter()
            .map(|(name, value)| {
                let value = match value {
                    Value::Null => EnvironmentValue::FromOutside,
                    value => EnvironmentValue::Set(scalar(value, &format!("{at}.{name}"))?),
                };
                Ok((check(&name)?, value))
            })
            .collect::<Result<_, ComposeError>>()?,
        Some(other) => {
            return Err(ComposeError::invalid(
                at,
                format!("must be a mapping or a list, but is {}", kind(&other)),
            ));
        }
    };
    Ok(Environment(pairs))
}

fn env_files(fields: &mut Fields) -> Result<Vec<EnvFile>, ComposeError> {
    const KEY: &str = "env_file";
    let at = fields.path(KEY);
    let one = |value: Value, at: &str| match value {
        Value::Object(_) => {
            let mut fields = Fields::of(value, at)?;
            let path = fields
                .text("path")?
                .ok_or_else(|| ComposeError::invalid(at, "names no `path`"))?;
            let required = !matches!(fields.take("required"), Some(Value::Bool(false)));
            Ok(EnvFile { path, required })
        }
        value => Ok(EnvFile {
            path: scalar(value, at)?,
            required: true,
        }),
    };
    match fields.take(KEY) {
        None => Ok(Vec::new()),
        Some(Value::Array(items)) => items.into_iter().map(|item| one(item, &at)).collect(),
        Some(value) => Ok(vec![one(value, &at)?]),
    }
}

fn port(value: Value, at: &str) -> Result<PortMapping, ComposeError> {
    let mapping = match value {
        Value::Object(map) => PortMapping::long(&map),
        value => PortMapping::short(&scalar(value, at)?),
    };
    mapping.map_err(|problem| ComposeError::invalid(at, problem))
}

fn expose(value: Value, at: &str) -> Result<RangeInclusive<u16>, ComposeError> {
    let text = scalar(value, at)?;
    let ports = text.strip_suffix("/tcp").or(text.strip_suffix("/udp")).unwrap_or(&text);
    ports::range(ports).map_err(|problem| ComposeError::invalid(at, problem))
}

fn mount(value: Value, at: &str) -> Result<Mount, ComposeError> {
    let mount = match value {
        Value::Object(map) => Mount::long(&map),
        value => Mount::short(&scalar(value, at)?),
    };
    mount.map_err(|problem| ComposeError::invalid(at, problem))
}

fn depends_on(fields: &mut Fields) -> Result<Vec<DependsOn>, ComposeError> {
    const KEY: &str = "depends_on";
    const STARTED: &str = "service_started";
    let at = fields.path(KEY);
    match fields.take(KEY) {
        None => Ok(Vec::new()),
        Some(Value::Array(items)) => items
            .into_iter()
            .map(|item| {
                Ok(DependsOn {
                    service: scalar(item, &at)?,
                    condition: STARTED.to_owned(),
                    required: true,
                })
            })
            .collect(),
        Some(Value::Object(map)) => map
            .into_iter()
            .map(|(service, value)| {
                let mut fields = Fields::of(value, &format!("{at}.{service}"))?;
                let condition = fields.text("condition")?.unwrap_or_else(|| STARTED.to_owned());
                let required = !matches!(fields.take("required"), Some(Value::Bool(false)));
                Ok(DependsOn {
                    service,
                    condition,
                    required,
                })
            })
            .collect(),
        Some(other) => Err(ComposeError::invalid(
            at,
            format!("must be a list or a mapping, but is {}", kind(&other)),
        )),
    }
}

fn healthcheck(fields: &mut Fields) -> Result<Option<Healthcheck>, ComposeError> {
    const KEY: &str = "healthcheck";
    let at = fields.path(KEY);
    let Some(value) = fields.take(KEY) else { return Ok(None) };
    let mut fields = Fields::of(value, &at)?;
    let test = match fields.take("test") {
        None => Vec::new(),
        Some(Value::String(line)) => vec!["CMD-SHELL".to_owned(), line],
        Some(Value::Array(items)) => items
            .into_iter()
            .map(|item| scalar(item, &at))
            .collect::<Result<_, _>>()?,
        Some(other) => {
            return Err(ComposeError::invalid(
                at,
                format!("has a `test` that is {}", kind(&other)),
            ));
        }
    };
    let disabled =
        matches!(fields.take("disable"), Some(Value::Bool(true))) || test.first().is_some_and(|word| word == "NONE");
    Ok(Some(Healthcheck { test, disabled }))
}

/// The name of a secret or config, alone or as `source` of a mapping.
fn source_name(value: Value, at: &str) -> Result<String, ComposeError> {
    match value {
        Value::Object(_) => {
            let source = Fields::of(value, at)?.text("source")?;
            source.ok_or_else(|| ComposeError::invalid(at, "names no `source`"))
        }
        value => scalar(value, at),
    }
}

fn extends(fields: &mut Fields) -> Result<Option<String>, ComposeError> {
    const KEY: &str = "extends";
    let at = fields.path(KEY);
    match fields.take(KEY) {
        None => Ok(None),
        Some(value @ Value::Object(_)) => {
            let mut fields = Fields::of(value, &at)?;
            let service = fields.text("service")?.unwrap_or_default();
            let file = fields.text("file")?;
            Ok(Some(file.map_or(service.clone(), |file| format!("{file}:{service}"))))
        }
        Some(value) => scalar(value, &at).map(Some),
    }
}
