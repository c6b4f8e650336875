//! What a compose file would start, need or lose beside a fresh twin. Must never decide what blocks a deployment.

mod sentence;

use super::{ComposeFile, MountSource, Service};

/// Repositories whose images keep other people's data; a twin of them starts empty and diverges.
const DATABASES: [&str; 24] = [
    "cassandra",
    "clickhouse-server",
    "cockroach",
    "couchbase",
    "couchdb",
    "elasticsearch",
    "etcd",
    "influxdb",
    "kafka",
    "mariadb",
    "memcached",
    "minio",
    "mongo",
    "mssql",
    "mysql",
    "neo4j",
    "opensearch",
    "percona",
    "postgis",
    "postgres",
    "rabbitmq",
    "redis",
    "timescaledb",
    "valkey",
];

/// One thing that a person should know, and maybe acknowledge by name, before two fresh twins start.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// A named volume: its data is not in the twins.
    NamedVolume { volume: String, service: String },
    /// A volume without a name: data goes with its container.
    AnonymousVolume { service: String, target: String },
    /// A service that is a database by its image.
    Database { service: String, image: String },
    /// Something to be built, where an image must be given.
    Build { service: String, context: String },
    /// A file with variables that must be handed over.
    EnvFile {
        path: String,
        service: String,
        required: bool,
    },
    /// A path of the host that the twins do not have.
    BindMount { path: String, service: String },
    /// A secret's or config's file that must be handed over.
    File { path: String, service: String },
    /// A variable that the file uses and nothing gives a value.
    Variable { name: String, used_at: String },
    /// A definition that builds upon another one, which was not merged.
    Extends { service: String, of: String },
    /// Another compose file that was not read.
    Include { path: String },
    /// The service shares the host's network, so its ports are not named.
    HostNetwork { service: String },
    /// A service that would start beside the app: a worker, a scheduler, a migration.
    OtherService { service: String, publishes_ports: bool },
    /// A service that another one waits for and that is not going to run.
    MissingDependency { service: String, needs: String },
}

impl Finding {
    /// A stable name, such as `volume:pgdata`, under which a spec acknowledges it.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::NamedVolume { volume, .. } => format!("volume:{volume}"),
            Self::AnonymousVolume { service, target } => format!("volume:{service}:{target}"),
            Self::Database { service, .. } => format!("database:{service}"),
            Self::Build { service, .. } => format!("build:{service}"),
            Self::EnvFile { path, .. } => format!("env_file:{path}"),
            Self::BindMount { path, .. } => format!("bind:{path}"),
            Self::File { path, .. } => format!("file:{path}"),
            Self::Variable { name, .. } => format!("variable:{name}"),
            Self::Extends { service, .. } => format!("extends:{service}"),
            Self::Include { path } => format!("include:{path}"),
            Self::HostNetwork { service } => format!("host_network:{service}"),
            Self::OtherService { service, .. } => format!("service:{service}"),
            Self::MissingDependency { service, needs } => format!("dependency:{service}:{needs}"),
        }
    }
}

impl ComposeFile {
    /// What there is to know before these services start. `services_to_run[0]` is the app; names that the file does not
    /// have are passed over (`service` says so). Sorted, without duplicates.
    #[must_use]
    pub fn findings(&self, services_to_run: &[&str]) -> Vec<Finding> {
        let running: Vec<_> = services_to_run
            .iter()
            .filter_map(|name| self.services.get(*name))
            .collect();
        let mut findings: Vec<Finding> = running.iter().flat_map(|service| self.findings_of(service)).collect();
        let app = services_to_run.first().copied().unwrap_or_default();
        findings.extend(
            running
                .iter()
                .filter(|service| service.name != app)
                .map(|service| Finding::OtherService {
                    service: service.name.clone(),
                    publishes_ports: service.publishes_ports(),
                }),
        );
        for service in &running {
            let missing = service
                .depends_on
                .iter()
                .filter(|on| on.required && !services_to_run.contains(&on.service.as_str()));
            findings.extend(missing.map(|on| Finding::MissingDependency {
                service: service.name.clone(),
                needs: on.service.clone(),
            }));
        }
        findings.extend(self.missing_variables.iter().filter_map(|variable| {
            let used_at = variable.used_at.iter().find(|at| concerns(at, services_to_run))?;
            Some(Finding::Variable {
                name: variable.name.clone(),
                used_at: used_at.clone(),
            })
        }));
        findings.extend(self.includes.iter().map(|path| Finding::Include { path: path.clone() }));
        findings.sort();
        findings.dedup();
        findings
    }

    fn findings_of(&self, service: &Service) -> Vec<Finding> {
        let name = || service.name.clone();
        let mut findings = Vec::new();
        findings.extend(service.mounts.iter().filter_map(|mount| match &mount.source {
            MountSource::Named(volume) => Some(Finding::NamedVolume {
                volume: volume.clone(),
                service: name(),
            }),
            MountSource::Anonymous => Some(Finding::AnonymousVolume {
                service: name(),
                target: mount.target.clone(),
            }),
            MountSource::Bind(path) => Some(Finding::BindMount {
                path: path.clone(),
                service: name(),
            }),
            MountSource::Tmpfs | MountSource::Other(_) => None,
        }));
        if let Some(image) = service.image.as_ref().filter(|image| is_database(image)) {
            findings.push(Finding::Database {
                service: name(),
                image: image.clone(),
            });
        }
        if let Some(build) = &service.build {
            findings.push(Finding::Build {
                service: name(),
                context: build.context.clone(),
            });
        }
        if let Some(of) = &service.extends {
            findings.push(Finding::Extends {
                service: name(),
                of: of.clone(),
            });
        }
        if service.network_mode.as_deref() == Some("host") {
            findings.push(Finding::HostNetwork { service: name() });
        }
        findings.extend(service.env_files.iter().map(|file| Finding::EnvFile {
            path: file.path.clone(),
            service: name(),
            required: file.required,
        }));
        let secrets = service.secrets.iter().filter_map(|secret| self.secrets.get(secret));
        let configs = service.configs.iter().filter_map(|config| self.configs.get(config));
        let files = secrets.chain(configs).flatten();
        findings.extend(files.map(|path| Finding::File {
            path: path.clone(),
            service: name(),
        }));
        let outside = service.environment.from_outside();
        findings.extend(outside.map(|variable| Finding::Variable {
            name: variable.to_owned(),
            used_at: format!("services.{}.environment", service.name),
        }));
        findings
    }
}

/// Whether a place in the file belongs to one of these services, or to no service at all.
fn concerns(used_at: &str, services: &[&str]) -> bool {
    let Some(below) = used_at.strip_prefix("services.") else {
        return true;
    };
    let is_in = |name: &&str| {
        below
            .strip_prefix(*name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    services.iter().any(is_in)
}

/// Whether an image is a database by the last part of its repository: `bitnami/postgresql:16` counts, `postgres-exporter` does not.
fn is_database(image: &str) -> bool {
    let name = image.split('@').next().unwrap_or_default();
    let last = name.rsplit('/').next().unwrap_or_default();
    let repository = last.split(':').next().unwrap_or_default();
    const OTHER_SPELLINGS: [&str; 4] = ["postgresql", "mongodb", "mongodb-community-server", "mysql-server"];
    let stem = repository.strip_suffix("-stack-server").unwrap_or(repository);
    let of_microsoft = name.contains("mssql/server");
    DATABASES.contains(&stem) || OTHER_SPELLINGS.contains(&stem) || of_microsoft
}
