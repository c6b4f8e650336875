//! What can be wrong with a compose file, in sentences. Must never know archives.

use crate::shown::{clause, list, name as shown};

/// Why a compose file was not understood, or a question about it has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ComposeError {
    #[error(
        "The compose file has more than {allowed} bytes (limit `compose_bytes`). It was not read. Upload the compose file alone."
    )]
    TooLarge { allowed: u64 },
    #[error("The compose file is not UTF-8 text (byte {at}). It was not used. Save it as UTF-8.")]
    NotText { at: usize },
    #[error(
        "The compose file is not valid YAML: {} (line {line}, column {column}). It was not used. Correct that line.",
        clause(reason)
    )]
    NotYaml { reason: String, line: u64, column: u64 },
    #[error(
        "The file is YAML or text, but no compose file: it has no `services`. It was not used. Upload a compose file, or \
         an image archive made by `docker save`."
    )]
    NoServices,
    #[error(
        "In the compose file `{}` {}. The file was not used. Correct that entry.",
        shown(at),
        clause(problem)
    )]
    Invalid { at: String, problem: String },
    #[error(
        "No service of the compose file publishes port {port}; {}. Give the app's service `ports: [\"{port}:…\"]`, or choose another `app.port`.",
        clause(published)
    )]
    NoAppService { port: u16, published: String },
    #[error("Several services of the compose file publish port {port}: {}. Only one can be the app. Remove the port from the others.", list(services.iter().map(String::as_str)))]
    SeveralAppServices { port: u16, services: Vec<String> },
    #[error(
        "The compose file has no service named `{}`. It has: {}. Choose one of these.",
        shown(name),
        clause(present)
    )]
    NoSuchService { name: String, present: String },
}

impl ComposeError {
    pub(super) fn invalid(at: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Invalid {
            at: at.into(),
            problem: problem.into(),
        }
    }
}
