//! The URLs that instances are given, at a server that lets in only what AWS's own Python library would have signed: for one
//! method, one object and a while.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use arya_plan::phase::Phase;
use ureq::http::Request;

use crate::account::credentials;
use crate::agent;
use crate::common::told;
use crate::contract::Ground as _;
use crate::stage::Stage;

/// How long a URL holds beyond the deployment.
const LONGER_S: i64 = 24 * 3600;
/// Between signing and asking, on a busy machine.
const MEANWHILE_S: i64 = 600;

struct Doorkeeper {
    server: Child,
    address: String,
}

impl Doorkeeper {
    fn start() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let key = credentials();
        let mut server = Command::new(root.join("target/moto/bin/python"))
            .arg(root.join("tests/aws/doorkeeper.py"))
            .args([key.access_key_id(), key.secret_access_key()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut port = String::new();
        BufReader::new(server.stdout.take().unwrap())
            .read_line(&mut port)
            .unwrap();
        let address = format!("127.0.0.1:{}", port.trim());
        Self { server, address }
    }

    /// The same request as the URL is for, but to this server. The host is signed, so it goes along.
    fn ask(&self, method: &str, url: &str, body: &str) -> (u16, String) {
        let (host, path) = url.split_once("://").unwrap().1.split_once('/').unwrap();
        let request = Request::builder().method(method).header("Host", host);
        self.send(
            request
                .uri(format!("http://{}/{path}", self.address))
                .body(body.to_owned())
                .unwrap(),
        )
    }

    /// What needs no signature here.
    fn tell(&self, what: &str, body: &str) {
        let request = Request::post(format!("http://{}/{what}", self.address)).body(body.to_owned());
        assert_eq!(self.send(request.unwrap()).0, 200, "{what}");
    }

    fn send(&self, request: Request<String>) -> (u16, String) {
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        let agent: ureq::Agent = config.allow_non_standard_methods(true).build().into();
        let mut answer = agent.run(request).unwrap();
        (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
    }
}

impl Drop for Doorkeeper {
    fn drop(&mut self) {
        // It may be gone already; then there is nothing to end.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// What the user data of an instance of ours says.
async fn user_data(stage: &Stage) -> String {
    let admin = &stage.account.admin;
    let listed = admin
        .ec2
        .describe_instances()
        .send()
        .await
        .unwrap()
        .reservations
        .unwrap();
    for instance in listed.into_iter().flat_map(|one| one.instances.unwrap_or_default()) {
        if let Some(told) = agent::user_data(admin, instance.instance_id().unwrap()).await {
            return told;
        }
    }
    panic!("there is no instance of ours");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_opens_one_object_for_one_method_until_it_ends() {
    let mut stage = Stage::set().await;
    for _ in 0..200 {
        if stage.round().await.0.phase == Phase::Serving {
            break;
        }
        stage.wait().await;
    }
    let user_data = user_data(&stage).await;
    let life = stage
        .desired
        .expires_at
        .duration_since(stage.desired.created_at)
        .as_secs();
    let checked = tokio::task::spawn_blocking(move || {
        let doorkeeper = Doorkeeper::start();
        let (get, put) = (
            told::value(&user_data, "SETTINGS_URL"),
            told::value(&user_data, "STATUS_URL"),
        );
        let path = |url: &str| {
            url.split_once("://")
                .unwrap()
                .1
                .split_once('/')
                .unwrap()
                .1
                .split('?')
                .next()
                .unwrap()
                .to_owned()
        };
        doorkeeper.tell(&format!("put/{}", path(get)), "settings");
        assert_eq!(doorkeeper.ask("GET", get, ""), (200, "settings".into()));
        assert_eq!(doorkeeper.ask("PUT", put, "{\"phase\":\"ready\"}").0, 200);
        let refused = |method: &str, url: &str| {
            let (status, why) = doorkeeper.ask(method, url, "");
            assert_eq!(status, 403, "{method} {url}: {why}");
            why
        };
        // The other method, another object, another signature, none, another key.
        for (method, url) in [("PUT", get), ("DELETE", get), ("GET", put), ("DELETE", put)] {
            assert!(refused(method, url).contains("something else"));
        }
        assert!(refused("GET", &get.replacen("/settings/", "/once/", 1)).contains("something else"));
        assert!(refused("PUT", &put.replacen("/status/", "/files/", 1)).contains("something else"));
        let longer = get.replacen("X-Amz-Expires=", "X-Amz-Expires=9", 1);
        assert!(refused("GET", &longer).contains("something else"));
        let (unsigned, _) = get.split_once('?').unwrap();
        assert!(refused("GET", unsigned).contains("not signed"));
        assert!(refused("GET", &get.replacen("testing", "somebody", 1)).contains("nobody has"));
        // As long as the deployment may live and a day, and no longer.
        doorkeeper.tell(&format!("clock?{}", life + LONGER_S - MEANWHILE_S), "");
        assert_eq!(doorkeeper.ask("GET", get, "").0, 200);
        doorkeeper.tell(&format!("clock?{}", life + LONGER_S + 1), "");
        assert!(refused("GET", get).contains("expired") && refused("PUT", put).contains("expired"));
    });
    checked.await.unwrap();
}
