//! What each finding means, for a person. Must never decide what is found.

use super::Finding;
use crate::shown::name as shown;

const HAND_OVER: &str = ", which must be handed over with the compose file";
const NOT_MERGED: &str = ", which is not merged here; `docker compose config` writes one complete file";
const NOT_READ: &str = ", which is not here; `docker compose config` writes one complete file";
const HOST_NETWORK: &str = "uses the host's network; which ports it opens cannot be told from the file";
const STARTS_TOO: &str = "would start beside the app in both twins and publishes ports";
const RUNS_TWICE_MORE: &str = "would start beside the app in both twins and publishes no port: a worker, schedule or \
                               migration would run twice more";

impl Finding {
    /// What it means, for a person.
    #[must_use]
    pub fn sentence(&self) -> String {
        let subject = self.subject();
        match self.clause() {
            (clause, None, _) => format!("{subject} {clause}."),
            (before, Some(name), after) => format!("{subject} {before} `{}`{after}.", shown(name)),
        }
    }

    fn subject(&self) -> String {
        match self {
            Self::Include { .. } => "The file".to_owned(),
            Self::Variable { name, .. } => format!("The variable `{}`,", shown(name)),
            Self::NamedVolume { service, .. }
            | Self::AnonymousVolume { service, .. }
            | Self::Database { service, .. }
            | Self::Build { service, .. }
            | Self::EnvFile { service, .. }
            | Self::BindMount { service, .. }
            | Self::File { service, .. }
            | Self::Extends { service, .. }
            | Self::HostNetwork { service }
            | Self::OtherService { service, .. }
            | Self::MissingDependency { service, .. } => format!("Service `{}`", shown(service)),
        }
    }

    /// What the subject does: words, a name from the file, and words after it.
    fn clause(&self) -> (&'static str, Option<&str>, &'static str) {
        match self {
            Self::NamedVolume { volume, .. } => (
                "keeps data in the volume",
                Some(volume),
                "; each twin starts with an empty one and loses it at the end",
            ),
            Self::AnonymousVolume { target, .. } => (
                "keeps data in an unnamed volume at",
                Some(target),
                ", which is lost with its container",
            ),
            Self::Database { image, .. } => (
                "runs the database image",
                Some(image),
                "; each twin would have its own, without production's data",
            ),
            Self::Build { context, .. } => (
                "is built from",
                Some(context),
                ", which is not here; the twins need a finished image",
            ),
            Self::EnvFile { path, required, .. } => match required {
                true => ("reads its variables from", Some(path), HAND_OVER),
                false => (
                    "would read variables from",
                    Some(path),
                    ", but starts without that file too",
                ),
            },
            Self::BindMount { path, .. } => ("mounts", Some(path), " from its host; the twins' hosts do not have it"),
            Self::File { path, .. } => ("needs the file", Some(path), HAND_OVER),
            Self::Variable { used_at, .. } => (
                "used at",
                Some(used_at),
                ", has no value; Compose takes an empty text or refuses to start",
            ),
            Self::Extends { of, .. } => ("extends", Some(of), NOT_MERGED),
            Self::Include { path } => ("includes", Some(path), NOT_READ),
            Self::HostNetwork { .. } => (HOST_NETWORK, None, ""),
            Self::OtherService { publishes_ports, .. } => match publishes_ports {
                true => (STARTS_TOO, None, ""),
                false => (RUNS_TWICE_MORE, None, ""),
            },
            Self::MissingDependency { needs, .. } => ("waits for", Some(needs), ", which is not going to run"),
        }
    }
}
