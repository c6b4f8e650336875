//! An account, a home for servers on it, and what instances would do.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::account::{Account, OWNER, REGION};
use crate::agent;
use crate::files::{self, PORT};
use crate::moto::Moto;
use crate::served::{Home, Server};

/// A machine that does much else still gets there.
const WITHIN: Duration = Duration::from_secs(90);
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(150);

pub(crate) struct World {
    pub(crate) account: Account,
    pub(crate) home: Home,
    pub(crate) before: BTreeMap<String, String>,
    ready: tokio::sync::Mutex<BTreeSet<String>>,
    pub(crate) moto: Moto,
    _folder: TempDir,
}

impl World {
    /// An account, and a configuration with it and with one that cannot be reached.
    pub(crate) async fn build() -> Self {
        let moto = Moto::start().await;
        let account = Account::build(&moto).await;
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let home = Home {
            folder: folder.path().to_owned(),
            config: folder.path().join("serve.yaml"),
            data: folder.path().join("data"),
            variables: vec![],
            log: None,
        };
        let config = format!(
            "timing: emulator\nconnections:\n- {{name: shop, region: {REGION}, endpoint: '{}', image_owner: '{OWNER}'}}\n",
            moto.endpoint()
        );
        std::fs::write(&home.config, config).unwrap();
        Self {
            before: account.admin.dump().await,
            account,
            home,
            ready: tokio::sync::Mutex::default(),
            moto,
            _folder: folder,
        }
    }

    /// Adds a connection to an address where nobody answers.
    pub(crate) fn with_a_dead_connection(&self) {
        let mut config = std::fs::read_to_string(&self.home.config).unwrap();
        config.push_str(&format!(
            "- {{name: away, region: {REGION}, endpoint: 'http://127.0.0.1:9'}}\n"
        ));
        std::fs::write(&self.home.config, config).unwrap();
    }

    /// A spec of two versions whose files are uploaded.
    pub(crate) async fn spec(&self, server: &Server, name: &str, in_front_of: &str) -> Value {
        let mut side = Vec::new();
        for number in [1, 2] {
            let version = files::write(&self.home.folder, number);
            let (image, compose) = (
                server.upload(&version.image).await,
                server.upload(&version.compose).await,
            );
            side.push(json!({"image": image, "compose": compose}));
        }
        json!({
            "name": name,
            "connection": "shop",
            "listener": self.account.listener,
            "in_front_of": in_front_of,
            "canary_percent": 5,
            "app": {"port": PORT, "health_check_path": "/health"},
            "monitor": {"allow_cidrs": ["10.0.0.0/8"]},
            "baseline": side[0],
            "canary": side[1],
        })
    }

    /// The plan for a spec, and the spec with everything accepted that a person may accept: nothing of moto's networks
    /// leads out.
    pub(crate) async fn accepted(&self, server: &Server, spec: &Value) -> (Value, Value) {
        let (status, plan) = server.post("/api/v1/plans", spec).await;
        assert_eq!(status, 200, "{plan:#}");
        let problems = plan["problems"].as_array().unwrap().iter();
        let names = problems.filter(|problem| problem["acknowledgeable"] == true);
        let mut accepted = spec.clone();
        accepted["acknowledged"] = names.map(|problem| problem["name"].clone()).collect();
        let (status, plan) = server.post("/api/v1/plans", &accepted).await;
        assert_eq!(
            (status, &plan["applicable"]),
            (200, &json!(true)),
            "{:#}",
            plan["problems"]
        );
        accepted["plan_digest"] = plan["digest"].clone();
        (accepted, plan)
    }

    /// Waits until a deployment is as wanted, while its instances boot.
    pub(crate) async fn until(&self, server: &Server, id: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let began = tokio::time::Instant::now();
        loop {
            self.boot().await;
            let (status, document) = server.get(&format!("/api/v1/deployments/{id}")).await;
            assert_eq!(status, 200, "{document}");
            if wanted(&document) {
                return document;
            }
            if began.elapsed() > WITHIN {
                let feed = server.get(&format!("/api/v1/deployments/{id}/events")).await;
                panic!("not {what}: {document:#}\n{feed:?}");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn boot(&self) {
        agent::act(&self.account.admin, &mut *self.ready.lock().await).await;
    }

    /// Thing by thing and field by field, what AWS lists.
    pub(crate) async fn is_as_before(&self) {
        self.account.admin.is_as(&self.before).await;
    }
}
