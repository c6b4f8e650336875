//! The command line's side of the HTTP API. It must never know what a document means, only how to get it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::artifacts::Meant;

/// A server that takes longer to begin an answer is given up on; starting a deployment looks at the cloud first.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Whether anybody is there is known within this: it is this machine, and the answer costs one small query.
const THERE_WITHIN: Duration = Duration::from_secs(3);
/// The longest answer that is read, in bytes; a report with a thousand events is about one megabyte.
const ANSWER_LIMIT: u64 = 64 * 1024 * 1024;
/// Where a running server says how to reach it.
const CONNECTION_FILE: &str = "connection.json";

/// Where a server is, and what opens it.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Connection {
    pub(crate) server: String,
    pub(crate) token: String,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// Writes it where commands of the same user find it; nobody else may read it.
    pub(crate) fn remember(&self, data_dir: &Path) -> io::Result<()> {
        let unfinished = tempfile::NamedTempFile::new_in(data_dir)?;
        serde_json::to_writer(unfinished.as_file(), self)?;
        unfinished.persist(data_dir.join(CONNECTION_FILE))?;
        Ok(())
    }

    /// The server that runs on a data directory, if one does.
    pub(crate) fn recall(data_dir: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(data_dir.join(CONNECTION_FILE)).ok()?).ok()
    }

    /// The server ends.
    pub(crate) fn forget(data_dir: &Path) {
        // A file that stays only leads to "no server answers".
        let _ = std::fs::remove_file(data_dir.join(CONNECTION_FILE));
    }
}

/// Why a call brought nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error(
        "No server answers at {server}: {what}. Nothing is known of what it did. Start one with `arya try`, or say where it is with --server."
    )]
    Unreachable { server: String, what: String },
    #[error("{server} is no address of a server, e.g. http://127.0.0.1:7070. Nothing was asked. Correct --server.")]
    Address { server: String },
    #[error(
        "The server does not know this token. Nothing was changed. Give the one that it printed at its start: --token, or ARYA_TOKEN."
    )]
    Token,
    #[error("{}", in_words(.0))]
    Refused(Refusal),
    #[error("The server answered {status} with something that is not Arya's. Check --server.")]
    Foreign { status: u16 },
    #[error("The file {} cannot be read. Nothing was uploaded from it. Check the path.", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// What is read of a problem document.
#[derive(Debug, Deserialize)]
pub(crate) struct Refusal {
    detail: String,
    next: Option<String>,
}

fn in_words(problem: &Refusal) -> String {
    match &problem.next {
        Some(next) => format!("{} {next}", problem.detail),
        None => problem.detail.clone(),
    }
}

/// Calls one server.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    connection: Connection,
    agent: ureq::Agent,
}

impl Client {
    pub(crate) fn new(connection: Connection) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_WITHIN))
            .timeout_recv_response(Some(ANSWER_WITHIN))
            .build();
        Self {
            connection,
            agent: config.into(),
        }
    }

    /// Whether anybody is there. Nothing secret is sent.
    pub(crate) fn answers(&self) -> bool {
        let asked = self.agent.get(self.url("/healthz")).config();
        asked.timeout_global(Some(THERE_WITHIN)).build().call().is_ok()
    }

    pub(crate) fn get(&self, path: &str) -> Result<Value, ClientError> {
        let request = self.agent.get(self.url(path)).header("authorization", self.bearer());
        self.json(request.header("accept", "application/json").call())
    }

    /// The body as it is, for HTML.
    pub(crate) fn get_text(&self, path: &str) -> Result<String, ClientError> {
        let request = self.agent.get(self.url(path)).header("authorization", self.bearer());
        self.text(request.header("accept", "text/html").call())
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value, ClientError> {
        let request = self.agent.post(self.url(path)).header("authorization", self.bearer());
        self.json(request.send_json(body))
    }

    /// Sends a file as it is read.
    pub(crate) fn upload(&self, path: &Path, meant: Meant) -> Result<Value, ClientError> {
        let file = File::open(path).map_err(|source| ClientError::File {
            path: path.to_owned(),
            source,
        })?;
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let request = self.agent.put(self.url("/api/v1/artifacts")).query("filename", name);
        let request = match meant {
            Meant::Described => request,
            Meant::File => request.query("kind", "file"),
        };
        let request = request
            .header("authorization", self.bearer())
            .header("content-type", "application/octet-stream");
        self.json(request.send(&file))
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.connection.server.trim_end_matches('/'))
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.connection.token)
    }

    fn json(&self, answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Value, ClientError> {
        let mut answer = answer.map_err(|error| self.unreachable(&error))?;
        let status = answer.status();
        let body = answer.body_mut().with_config().limit(ANSWER_LIMIT).read_json::<Value>();
        let body = body.map_err(|_| ClientError::Foreign {
            status: status.as_u16(),
        })?;
        if status.is_success() {
            Ok(body)
        } else {
            Err(refused(status.as_u16(), body))
        }
    }

    fn text(&self, answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<String, ClientError> {
        let mut answer = answer.map_err(|error| self.unreachable(&error))?;
        let status = answer.status();
        let body = answer.body_mut().with_config().limit(ANSWER_LIMIT).read_to_string();
        let body = body.map_err(|_| ClientError::Foreign {
            status: status.as_u16(),
        })?;
        if status.is_success() {
            return Ok(body);
        }
        Err(refused(
            status.as_u16(),
            serde_json::from_str(&body).unwrap_or_default(),
        ))
    }

    fn unreachable(&self, error: &ureq::Error) -> ClientError {
        let server = self.connection.server.clone();
        let what = match error {
            ureq::Error::Http(_) | ureq::Error::BadUri(_) => return ClientError::Address { server },
            // Its own words without the library's name for them.
            ureq::Error::Io(error) => error.to_string(),
            error => error.to_string(),
        };
        ClientError::Unreachable { server, what }
    }
}

fn refused(status: u16, body: Value) -> ClientError {
    match serde_json::from_value::<Refusal>(body) {
        // What the API answers speaks of headers.
        Ok(_) if status == 401 => ClientError::Token,
        Ok(problem) => ClientError::Refused(problem),
        Err(_) => ClientError::Foreign { status },
    }
}
