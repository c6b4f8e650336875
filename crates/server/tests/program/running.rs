//! A running `arya try`, and how to speak to it.

use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

pub(crate) const ARYA: &str = env!("CARGO_BIN_EXE_arya");
/// Nothing that is waited for here takes longer, unless it hangs.
pub(crate) const AT_MOST: Duration = Duration::from_secs(120);

/// Ends with the test, and its children with it.
pub(crate) struct Running {
    child: Child,
    pub(crate) dir: TempDir,
    /// The line that it printed.
    pub(crate) said: Value,
    agent: ureq::Agent,
}

/// An answer with its body read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: ureq::http::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// A refusal as the contract has it: problem, status, a sentence, what to do.
    pub(crate) fn problem(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text);
        let problem = self.json();
        assert_eq!(problem["status"], status);
        assert!(
            problem["detail"].as_str().is_some_and(|detail| detail.ends_with('.')),
            "{problem}"
        );
        assert!(problem["type"].is_string() && problem["title"].is_string(), "{problem}");
        problem
    }
}

/// A request to be.
pub(crate) struct Call<'r> {
    running: &'r Running,
    method: &'static str,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Call<'_> {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn without_token(mut self) -> Self {
        self.headers.retain(|(name, _)| name != "authorization");
        self
    }

    pub(crate) fn body(mut self, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("content-type", media_type)
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    pub(crate) fn send(self) -> Answer {
        let mut response = self.open();
        Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response
                .body_mut()
                .with_config()
                .limit(1 << 30)
                .read_to_string()
                .unwrap(),
        }
    }

    fn open(self) -> ureq::http::Response<ureq::Body> {
        let mut request = ureq::http::Request::builder()
            .method(self.method)
            .uri(self.running.url(&self.path));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        self.running.agent.run(request.body(self.body).unwrap()).unwrap()
    }

    /// The events of a stream, one JSON document each.
    pub(crate) fn stream(self) -> impl Iterator<Item = Value> {
        let response = self.header("accept", "text/event-stream").open();
        assert_eq!(response.status().as_u16(), 200);
        let lines = BufReader::new(response.into_body().into_reader()).lines();
        lines.filter_map(|line| Some(serde_json::from_str(line.unwrap().strip_prefix("data:")?).unwrap()))
    }
}

impl Running {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        Self::start_as(Command::new(ARYA), arguments)
    }

    /// Starts it by another program, which is told the path.
    pub(crate) fn start_by(by: impl FnOnce(&str) -> Command) -> Self {
        Self::start_as(by(ARYA), &["--load", "0"])
    }

    fn start_as(mut command: Command, arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut child = command
            .args(["try", "--json", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(dir.path().join("data"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        let said = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            // Some tests send heads that are larger than any honest one.
            .output_buffer_size(1 << 20)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(AT_MOST))
            .build();
        Self {
            child,
            dir,
            said,
            agent: config.into(),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn ui(&self) -> &str {
        self.said["ui"].as_str().unwrap()
    }

    pub(crate) fn token(&self) -> &str {
        self.said["token"].as_str().unwrap()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// A sample's file: `image` or `compose`.
    pub(crate) fn sample(&self, version: &str, file: &str) -> &Path {
        Path::new(self.said["samples"][version][file].as_str().unwrap())
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.ui())
    }

    fn call(&self, method: &'static str, path: impl Into<String>) -> Call<'_> {
        let authorization = ("authorization".to_owned(), format!("Bearer {}", self.token()));
        Call {
            running: self,
            method,
            path: path.into(),
            headers: vec![authorization],
            body: Vec::new(),
        }
    }

    pub(crate) fn get(&self, path: impl Into<String>) -> Call<'_> {
        self.call("GET", path)
    }

    pub(crate) fn post(&self, path: impl Into<String>) -> Call<'_> {
        self.call("POST", path)
    }

    pub(crate) fn put(&self, path: impl Into<String>) -> Call<'_> {
        self.call("PUT", path)
    }

    pub(crate) fn other(&self, method: &'static str, path: impl Into<String>) -> Call<'_> {
        self.call(method, path)
    }

    /// A spec with files by path, as a person writes it, in a file.
    pub(crate) fn spec_file(&self, name: &str, canary: &str, percent: u32) -> PathBuf {
        let file = |version: &str, file: &str| self.sample(version, file).display().to_string();
        let text = format!(
            "name: {name}\nlistener: local:web\nin_front_of: default\ncanary_percent: {percent}\n\
             app: {{port: 8080, health_check_path: /health, warm_up: {{paths: [/api/records]}}}}\n\
             baseline: {{image: {}, compose: {}}}\ncanary: {{image: {}, compose: {}}}\n",
            file("baseline", "image"),
            file("baseline", "compose"),
            file(canary, "image"),
            file(canary, "compose"),
        );
        let path = self.dir.path().join(format!("{name}.yaml"));
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A command against this server.
    pub(crate) fn command(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(ARYA);
        command
            .args(arguments)
            .args(["--server", self.ui(), "--token", self.token()]);
        command.stdin(Stdio::null()).output().unwrap()
    }

    /// Ends it as a person does, and returns its exit code.
    pub(crate) fn terminate(mut self) -> Option<i32> {
        let kill = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(kill.success());
        let status = self.child.wait().unwrap();
        let mut rest = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut rest).unwrap();
        status.code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Its children see the end of their standard input and end as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
