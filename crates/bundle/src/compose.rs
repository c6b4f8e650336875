//! Compose files: parsed within limits, variables filled in, and the questions that a plan asks of them.
//! Must never know archives (only descriptions), a file system, or this process's environment.

mod error;
mod fields;
mod findings;
mod interpolate;
mod mounts;
mod ports;
mod service;
#[cfg(test)]
mod tests;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

pub use error::ComposeError;
use fields::Fields;
pub use findings::Finding;
use interpolate::Interpolation;
pub use interpolate::Variable;
pub use mounts::{Mount, MountSource};
pub use ports::{PortMapping, Transport};
pub use service::{Build, DependsOn, EnvFile, Environment, EnvironmentValue, Healthcheck, Service};

use crate::description::ImageDescription;
use crate::limits::Limits;
use crate::reference::names_same_image;
use crate::shown::list;

/// A parsed compose file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComposeFile {
    /// The project's name, if the file gives one.
    pub name: Option<String>,
    /// In alphabetical order, by name; at least one.
    pub services: BTreeMap<String, Service>,
    /// Names of the declared volumes.
    pub volumes: BTreeSet<String>,
    /// Declared secrets and the files that they come from, if from files.
    pub secrets: BTreeMap<String, Option<String>>,
    /// Declared configs and the files that they come from, if from files.
    pub configs: BTreeMap<String, Option<String>>,
    /// Variables that nothing gives a value.
    pub missing_variables: Vec<Variable>,
    /// Other compose files that this one includes and that were not read.
    pub includes: Vec<String>,
    /// Keys that Arya does not look at, such as `services.web.deploy`. Compose itself still does.
    pub unhandled: Vec<String>,
}

impl ComposeFile {
    /// Parses a compose file with no variable given and the default limits.
    ///
    /// # Errors
    /// The file is too large, not UTF-8, not YAML, has no services, or contradicts the compose specification.
    pub fn parse(text: &[u8]) -> Result<Self, ComposeError> {
        Self::parse_with(text, &BTreeMap::new(), &Limits::default())
    }

    /// As `parse`, with limits (`compose_bytes` is the one that counts).
    ///
    /// # Errors
    /// As `parse`.
    pub fn parse_within(text: &[u8], limits: &Limits) -> Result<Self, ComposeError> {
        Self::parse_with(text, &BTreeMap::new(), limits)
    }

    /// As `parse`, with values for `${…}` as an `.env` file beside the compose file would give them.
    ///
    /// # Errors
    /// As `parse`.
    pub fn parse_with(text: &[u8], given: &BTreeMap<String, String>, limits: &Limits) -> Result<Self, ComposeError> {
        let mut tree = yaml::parse(text, limits)?;
        if !matches!(tree.get("services"), Some(Value::Object(services)) if !services.is_empty()) {
            return Err(ComposeError::NoServices);
        }
        let mut interpolation = Interpolation::new(given, yaml::text_bytes(limits));
        interpolation.tree(&mut tree, "")?;

        let mut fields = Fields::of(tree, "")?;
        fields.take("version");
        let read = fields.named("services", Service::read)?;
        let mut unhandled: Vec<String> = read.iter().flat_map(|(_, rest)| rest.clone()).collect();
        let file = Self {
            name: fields.text("name")?,
            services: read
                .into_iter()
                .map(|(service, _)| (service.name.clone(), service))
                .collect(),
            volumes: fields.named("volumes", |name, _, _| Ok(name))?.into_iter().collect(),
            secrets: fields.named("secrets", declared)?.into_iter().collect(),
            configs: fields.named("configs", declared)?.into_iter().collect(),
            missing_variables: interpolation.missing(),
            includes: includes(&mut fields)?,
            unhandled: Vec::new(),
        };
        unhandled.extend(fields.rest());
        let file = Self { unhandled, ..file };
        file.check_names()?;
        Ok(file)
    }

    /// The service whose published TCP port of the host is `port`.
    ///
    /// # Errors
    /// No service, or more than one, publishes it.
    pub fn app_service(&self, port: u16) -> Result<&Service, ComposeError> {
        let publishing: Vec<_> = self
            .services
            .values()
            .filter(|s| s.container_port(port).is_some())
            .collect();
        match publishing[..] {
            [service] => Ok(service),
            [] => Err(ComposeError::NoAppService {
                port,
                published: self.published(),
            }),
            _ => {
                let services = publishing.iter().map(|service| format!("`{}`", service.name)).collect();
                Err(ComposeError::SeveralAppServices { port, services })
            }
        }
    }

    /// The service of that name.
    ///
    /// # Errors
    /// There is none.
    pub fn service(&self, name: &str) -> Result<&Service, ComposeError> {
        self.services.get(name).ok_or_else(|| ComposeError::NoSuchService {
            name: name.to_owned(),
            present: list(self.services.keys().map(String::as_str)),
        })
    }

    /// The services whose `image` Docker takes for this image, by any of its names or by its id.
    #[must_use]
    pub fn services_of(&self, image: &ImageDescription) -> Vec<&Service> {
        let is_it = |wanted: &str| {
            wanted == image.image_id.as_str() || image.references.iter().any(|name| names_same_image(name, wanted))
        };
        self.services
            .values()
            .filter(|service| service.image.as_deref().is_some_and(is_it))
            .collect()
    }

    /// Whether any service names this image.
    #[must_use]
    pub fn names_image(&self, image: &ImageDescription) -> bool {
        !self.services_of(image).is_empty()
    }

    /// What publishes which port, as a clause.
    fn published(&self) -> String {
        let publishing: Vec<_> = self
            .services
            .values()
            .filter(|service| !service.ports.is_empty())
            .map(|service| {
                let ports: Vec<_> = service.ports.iter().map(ToString::to_string).collect();
                format!(
                    "`{}` publishes {}",
                    service.name,
                    list(ports.iter().map(String::as_str))
                )
            })
            .collect();
        let host: Vec<_> = self
            .services
            .values()
            .filter(|s| s.network_mode.as_deref() == Some("host"))
            .collect();
        match (publishing.is_empty(), host.first()) {
            (false, _) => publishing.join("; "),
            (true, Some(service)) => format!(
                "`{}` uses the host's network, which publishes ports without naming them",
                service.name
            ),
            (true, None) => "none publishes any".to_owned(),
        }
    }

    /// Names that lead nowhere: Compose would refuse the file on the instance, which is too late.
    fn check_names(&self) -> Result<(), ComposeError> {
        for service in self.services.values() {
            let at = format!("services.{}", service.name);
            let undefined = |what: &str, name: &str| {
                Err(ComposeError::invalid(
                    &at,
                    format!("uses the {what} `{name}`, which the file does not declare"),
                ))
            };
            for mount in &service.mounts {
                if let MountSource::Named(name) = &mount.source
                    && !self.volumes.contains(name)
                {
                    return undefined("volume", name);
                }
            }
            // With other files included, their services, secrets and configs may be meant.
            if !self.includes.is_empty() {
                continue;
            }
            if let Some(name) = service.secrets.iter().find(|name| !self.secrets.contains_key(*name)) {
                return undefined("secret", name);
            }
            if let Some(name) = service.configs.iter().find(|name| !self.configs.contains_key(*name)) {
                return undefined("config", name);
            }
            let missing = |on: &&DependsOn| on.required && !self.services.contains_key(&on.service);
            if let Some(on) = service.depends_on.iter().find(missing) {
                return undefined("service", &on.service);
            }
        }
        Ok(())
    }
}

/// A declared secret or config, with its file if it has one.
fn declared(name: String, value: Value, at: &str) -> Result<(String, Option<String>), ComposeError> {
    let file = Fields::of(value, at)?.text("file")?;
    Ok((name, file))
}

fn includes(fields: &mut Fields) -> Result<Vec<String>, ComposeError> {
    let lists = fields.list("include", |value, at| match value {
        Value::Object(_) => Fields::of(value, at)?.texts("path"),
        value => Ok(vec![fields::scalar(value, at)?]),
    })?;
    Ok(lists.into_iter().flatten().collect())
}
