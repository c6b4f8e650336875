//! `arya` as a process: a server that is killed with the test, and commands that end by themselves.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

/// Longer than any answer takes, an upload included.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// Where a test keeps what its servers and commands share.
pub(crate) struct Home {
    pub(crate) folder: PathBuf,
    pub(crate) config: PathBuf,
    pub(crate) data: PathBuf,
    /// More of the environment, or other values.
    pub(crate) variables: Vec<(&'static str, String)>,
    /// Where a server's standard error goes; `None` = where the test's goes.
    pub(crate) log: Option<PathBuf>,
}

impl Home {
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_arya"));
        command
            .args(args)
            // Nothing of whoever runs the test: no profile, no server of theirs.
            .env_clear()
            .env("HOME", &self.folder)
            .env("AWS_ACCESS_KEY_ID", "testing")
            .env("AWS_SECRET_ACCESS_KEY", "testing")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) async fn run(&self, args: &[&str]) -> Output {
        let mut command = self.command(args);
        tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap()
    }

    /// Runs a command with `--config` and `--json`, and reads what it says.
    pub(crate) async fn json(&self, args: &[&str]) -> (Option<i32>, Value) {
        let mut all = args.to_vec();
        all.extend(["--json", "--config", self.config.to_str().unwrap()]);
        let output = self.run(&all).await;
        let said = String::from_utf8_lossy(&output.stdout);
        let value = serde_json::from_str(&said);
        let value = value.unwrap_or_else(|_| panic!("{said}{}", String::from_utf8_lossy(&output.stderr)));
        (output.status.code(), value)
    }
}

/// A running `arya serve`.
pub(crate) struct Server {
    child: Child,
    ui: String,
    token: String,
    agent: ureq::Agent,
}

impl Server {
    pub(crate) async fn start(home: &Home) -> Self {
        let data = home.data.to_str().unwrap();
        let config = home.config.to_str().unwrap();
        let mut command = home.command(&["serve", "--json", "--listen", "127.0.0.1:0", "--config", config]);
        command.args(["--data-dir", data]).stdout(Stdio::piped());
        if let Some(log) = &home.log {
            command.stderr(std::fs::File::create(log).unwrap());
        }
        let started = move || {
            let mut child = command.spawn().unwrap();
            let mut stdout = BufReader::new(child.stdout.take().unwrap());
            let mut line = String::new();
            stdout.read_line(&mut line).unwrap();
            std::thread::spawn(move || stdout.read_to_end(&mut Vec::new()));
            (child, line)
        };
        let (child, line) = tokio::task::spawn_blocking(started).await.unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        let token = std::fs::read_to_string(ready["token_file"].as_str().unwrap()).unwrap();
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(ANSWER_WITHIN))
            .build();
        Self {
            child,
            ui: ready["ui"].as_str().unwrap().to_owned(),
            token: token.trim().to_owned(),
            agent: config.into(),
        }
    }

    /// As a crash would: nothing is said, nothing is finished.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    async fn call(&self, work: impl FnOnce(&ureq::Agent, &str, &str) -> Answered + Send + 'static) -> (u16, Value) {
        let (agent, ui) = (self.agent.clone(), self.ui.clone());
        let bearer = format!("Bearer {}", self.token);
        let answered = tokio::task::spawn_blocking(move || {
            let mut answer = work(&agent, &ui, &bearer).unwrap();
            (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
        });
        let (status, text) = answered.await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        let path = path.to_owned();
        self.call(move |agent, ui, bearer| {
            let asked = agent.get(format!("{ui}{path}")).header("authorization", bearer);
            // A feed that is asked for without it never ends.
            asked.header("accept", "application/json").call()
        })
        .await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let (path, body) = (path.to_owned(), body.clone());
        self.call(move |agent, ui, bearer| {
            agent
                .post(format!("{ui}{path}"))
                .header("authorization", bearer)
                .send_json(body)
        })
        .await
    }

    /// Uploads an image archive or a compose file, and answers its digest.
    pub(crate) async fn upload(&self, file: &Path) -> Value {
        self.upload_to("/api/v1/artifacts", file).await
    }

    /// The same for a file of the app's configuration.
    pub(crate) async fn upload_file(&self, file: &Path) -> Value {
        self.upload_to("/api/v1/artifacts?kind=file", file).await
    }

    async fn upload_to(&self, path: &'static str, file: &Path) -> Value {
        let bytes = std::fs::read(file).unwrap();
        let (status, stored) = self
            .call(move |agent, ui, bearer| {
                agent
                    .put(format!("{ui}{path}"))
                    .header("authorization", bearer)
                    .send(&bytes[..])
            })
            .await;
        assert!(status < 300, "{stored}");
        stored["digest"].clone()
    }
}

type Answered = Result<ureq::http::Response<ureq::Body>, ureq::Error>;

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
