//! One `arya try` as a child process, and its API as a script would use it.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A page that is not up by then never will be.
const START_MAX: Duration = Duration::from_secs(20);
/// Time for a file of gigabytes on a busy disk.
const UPLOAD_MAX: Duration = Duration::from_secs(300);
/// How often a wait looks again.
const LOOK: Duration = Duration::from_millis(50);

/// The root of the checkout.
pub fn workspace_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ lies in the workspace")
        .to_path_buf()
}

/// The program under test: `ARYA_BIN`, or the release build.
pub fn arya_binary() -> PathBuf {
    let built = workspace_root().join("target/release/arya");
    let path = std::env::var_os("ARYA_BIN").map_or(built, PathBuf::from);
    assert!(
        path.exists(),
        "{} is missing: run these tests by `cargo xtask test`, which builds it",
        path.display()
    );
    path
}

/// A running `arya try`. Ends with the value.
pub struct Arya {
    child: Child,
    pub ready: Value,
    pub up_after: Duration,
    agent: ureq::Agent,
    _data: Option<tempfile::TempDir>,
}

impl Arya {
    /// Starts on free ports with a fresh data directory.
    pub fn start(extra: &[&str]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut arya = Self::start_in(data.path(), extra);
        arya._data = Some(data);
        arya
    }

    /// Starts with a data directory that the caller keeps.
    pub fn start_in(data: &Path, extra: &[&str]) -> Self {
        let begun = Instant::now();
        let mut child = Command::new(arya_binary())
            .args(["try", "--json", "--no-browser", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data)
            .args(extra)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = child.stderr.take().unwrap();
        // Read on, so that the child never blocks on a full pipe; the text is shown only when a test fails.
        std::thread::spawn(move || {
            BufReader::new(stderr)
                .lines()
                .map_while(Result::ok)
                .for_each(|l| eprintln!("{l}"))
        });
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e} in the first line: {line:?}"));
        std::thread::spawn(move || stdout.read_to_end(&mut Vec::new()));
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(START_MAX))
            .build();
        Self {
            child,
            ready,
            up_after: begun.elapsed(),
            agent: config.into(),
            _data: None,
        }
    }

    pub fn ui(&self) -> &str {
        self.ready["ui"].as_str().unwrap()
    }

    /// Scheme, host and port of the pages, without the login path.
    pub fn origin(&self) -> String {
        self.ui().splitn(4, '/').take(3).collect::<Vec<_>>().join("/")
    }

    pub fn balancer(&self) -> &str {
        self.ready["load_balancer"].as_str().unwrap()
    }

    pub fn token(&self) -> &str {
        self.ready["token"].as_str().unwrap()
    }

    pub fn sample(&self, name: &str, what: &str) -> PathBuf {
        self.ready["samples"][name][what]
            .as_str()
            .map(PathBuf::from)
            .unwrap_or_else(|| panic!("no sample {name}.{what}"))
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn url(&self, path: &str) -> String {
        format!("{}/api/v1{path}", self.origin())
    }

    fn answer(response: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> (u16, Value) {
        let mut response = response.unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        (
            response.status().as_u16(),
            serde_json::from_str(&text).unwrap_or(Value::String(text)),
        )
    }

    pub fn get(&self, path: &str) -> (u16, Value) {
        let call = self
            .agent
            .get(self.url(path))
            .header("authorization", self.bearer())
            .header("accept", "application/json");
        Self::answer(call.call())
    }

    pub fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        Self::answer(
            self.agent
                .post(self.url(path))
                .header("authorization", self.bearer())
                .send_json(body),
        )
    }

    pub fn put_file(&self, path: &Path) -> (u16, Value) {
        let name = path.file_name().unwrap().to_string_lossy();
        let call = self.agent.put(self.url(&format!("/artifacts?filename={name}")));
        let patient = call.config().timeout_global(Some(UPLOAD_MAX)).build();
        Self::answer(
            patient
                .header("authorization", self.bearer())
                .send(std::fs::File::open(path).unwrap()),
        )
    }

    pub fn put_bytes(&self, name: &str, bytes: &[u8]) -> (u16, Value) {
        let call = self.agent.put(self.url(&format!("/artifacts?filename={name}")));
        Self::answer(call.header("authorization", self.bearer()).send(bytes))
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token())
    }

    /// Uploads both sides' samples and returns a spec for them.
    pub fn spec(&self, name: &str, canary: &str, percent: f64) -> Value {
        let digest = |sample: &str, what: &str| {
            let (status, artifact) = self.put_file(&self.sample(sample, what));
            assert!(status < 300, "{artifact}");
            artifact["digest"].clone()
        };
        json!({
            "name": name, "listener": "local:web", "canary_percent": percent,
            "app": {"port": 8080, "health_check_path": "/health"},
            "baseline": {"image": digest("baseline", "image"), "compose": digest("baseline", "compose")},
            "canary": {"image": digest(canary, "image"), "compose": digest(canary, "compose")},
        })
    }

    /// Deploys and returns at once.
    pub fn deploy(&self, spec: &Value) -> Deployment<'_> {
        let (status, deployment) = self.post("/deployments", spec);
        assert_eq!(status, 201, "{deployment}");
        Deployment {
            arya: self,
            id: deployment["id"].as_str().unwrap().to_owned(),
        }
    }

    /// Runs the same program as a client of this server.
    pub fn cli(&self, args: &[&str]) -> Output {
        Command::new(arya_binary())
            .args(args)
            .env("ARYA_SERVER", self.origin())
            .env("ARYA_TOKEN", self.token())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Kills it as a power cut would.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end, as Ctrl-C does, and waits.
    pub fn stop(&mut self) {
        let asked = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(asked.success());
        let begun = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < START_MAX, "arya did not end after SIGTERM");
            pause();
        }
    }
}

impl Drop for Arya {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The processes that this one started, read from /proc.
pub fn children_of(pid: u32) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let parent = |child: u32| -> Option<u32> {
        let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).ok()?;
        stat.rsplit(") ").next()?.split(' ').nth(1)?.parse().ok()
    };
    processes.filter(|child| parent(*child) == Some(pid)).collect()
}

/// The one place where a test waits for another process: bounded, and only between looks.
fn pause() {
    let (_keep, never) = std::sync::mpsc::channel::<()>();
    let _ = never.recv_timeout(LOOK);
}

/// One deployment on a running server.
pub struct Deployment<'a> {
    arya: &'a Arya,
    pub id: String,
}

impl Deployment<'_> {
    pub fn look(&self) -> Value {
        let (status, deployment) = self.arya.get(&format!("/deployments/{}", self.id));
        assert_eq!(status, 200, "{deployment}");
        deployment
    }

    pub fn phase(&self) -> String {
        self.look()["phase"].as_str().unwrap().to_owned()
    }

    /// Waits until the deployment looks as asked; returns how long it took.
    pub fn wait(&self, what: &str, limit: Duration, ready: impl Fn(&Value) -> bool) -> Duration {
        let begun = Instant::now();
        loop {
            let deployment = self.look();
            if ready(&deployment) {
                return begun.elapsed();
            }
            assert!(
                begun.elapsed() < limit,
                "not {what} within {limit:?}:\n{deployment:#}\n{}",
                self.sentences().join("\n")
            );
            pause();
        }
    }

    pub fn wait_phase(&self, phase: &str, limit: Duration) -> Duration {
        self.wait(phase, limit, |deployment| deployment["phase"] == phase)
    }

    pub fn weight(&self, percent: f64) -> (u16, Value) {
        self.arya.post(
            &format!("/deployments/{}/weight", self.id),
            &json!({"canary_percent": percent}),
        )
    }

    /// Sets a share and waits until the load balancer has it.
    pub fn set_share(&self, percent: f64) {
        let (status, answer) = self.weight(percent);
        assert!(status < 300, "{answer}");
        self.wait(&format!("at {percent} %"), Duration::from_secs(15), |deployment| {
            let applied = deployment["weights"]["applied"]["canary"].as_f64().unwrap_or(0.0);
            (applied - percent).abs() < 0.2
        });
    }

    pub fn destroy(&self) -> (u16, Value) {
        self.arya.post(&format!("/deployments/{}/destroy", self.id), &json!({}))
    }

    /// Destroys, waits, and checks the restore proof.
    pub fn destroy_and_prove(&self, limit: Duration) -> Duration {
        let (status, answer) = self.destroy();
        assert_eq!(status, 202, "{answer}");
        let took = self.wait_phase("destroyed", limit);
        let proof = self.look()["restore_proof"].clone();
        assert_eq!(proof["differences"], json!([]), "{proof}");
        took
    }

    pub fn events(&self) -> Vec<Value> {
        let (status, events) = self.arya.get(&format!("/deployments/{}/events", self.id));
        assert_eq!(status, 200, "{events}");
        events
            .as_array()
            .or_else(|| events["events"].as_array())
            .unwrap()
            .clone()
    }

    pub fn sentences(&self) -> Vec<String> {
        self.events()
            .iter()
            .map(|event| event["sentence"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    pub fn verdict(&self) -> Value {
        self.arya.get(&format!("/deployments/{}/verdict", self.id)).1
    }
}
