//! An account whose instances are machines, and a server on it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arya_aws::{AwsCloud, AwsSettings, ConnectionSettings, DoorKey};
use arya_plan::identity::InstallationId;
use aws_credential_types::provider::SharedCredentialsProvider;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::account::{Account, OWNER, REGION, credentials};
use crate::balanced::Balanced;
use crate::fleet::{Fleet, QUIET};
use crate::moto::Moto;
use crate::network::{HERE, Network};
use crate::sample;
use crate::secrets::ENV_SECRET;
use crate::served::{Home, Server};

/// Three machines at once on two cores, packages of the monitor included.
pub(crate) const SERVING_WITHIN: Duration = Duration::from_secs(120);
/// Between two looks of the world at the account, and of the story at the server.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// What the server signs with. moto takes any; here it is one that can be found again.
pub(crate) const SDK_SECRET: &str = "rig/sdk+secret/0123456789abcdefABCDEFwx";

// In the order in which they are dropped: machines before their network.
pub(crate) struct World {
    watching: tokio::task::JoinHandle<()>,
    pub(crate) fleet: Fleet,
    pub(crate) balanced: Arc<Balanced>,
    pub(crate) account: Account,
    pub(crate) home: Home,
    pub(crate) before: BTreeMap<String, String>,
    pub(crate) moto: Moto,
    _network: Network,
    _folder: TempDir,
}

impl World {
    pub(crate) async fn build() -> Self {
        Self::of_timing("emulator").await
    }

    /// With the server's `timing`: how much patience it has.
    pub(crate) async fn of_timing(timing: &str) -> Self {
        let network = Network::create();
        let moto = Moto::start_on(HERE).await;
        let account = Account::build(&moto).await;
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let home = home(folder.path().to_owned(), timing, &moto.endpoint());
        let fleet = Fleet::new(account.admin.clone(), folder.path());
        let log = folder.path().join("access.log");
        let balanced = Balanced::start(onlooker(&moto, folder.path()).await, account.admin.clone(), log).await;
        let balanced = Arc::new(balanced);
        let before = account.admin.dump().await;
        let watching = tokio::spawn(watch(fleet.clone(), Arc::clone(&balanced)));
        let world = Self {
            watching,
            fleet,
            balanced,
            account,
            home,
            before,
            moto,
            _network: network,
            _folder: folder,
        };
        world
            .until_so("production answers", Duration::from_secs(60), || {
                world.balanced.healthy(&world.account.production_group) == 2
            })
            .await;
        world
    }

    /// A spec of two versions of the sample service, uploaded as a person would. `canary` are variables of the new one's.
    pub(crate) async fn spec(&self, server: &Server, canary: &[&str]) -> Value {
        let mut sides = Vec::new();
        for (version, more) in [("1.0", &[][..]), ("1.1", canary)] {
            let image = self.home.folder.join(format!("{version}.tar"));
            let variables = [&QUIET[..], more].concat();
            std::fs::write(&image, sample::image(version, &variables)).unwrap();
            let compose = self.home.folder.join(format!("{version}.yaml"));
            std::fs::write(&compose, sample::compose_file(version)).unwrap();
            let (image, compose) = (server.upload(&image).await, server.upload(&compose).await);
            sides.push(json!({"image": image, "compose": compose}));
        }
        let env_file = self.home.folder.join("canary.env");
        std::fs::write(&env_file, format!("DATABASE_PASSWORD={ENV_SECRET}\n")).unwrap();
        sides[1]["env_file"] = server.upload_file(&env_file).await;
        json!({
            "name": "records-next",
            "connection": "shop",
            "listener": self.account.listener,
            "canary_percent": 5,
            "app": {"port": sample::PORT, "health_check_path": "/health"},
            "exporters": [{"job": "app", "port": sample::PORT}],
            "monitor": {"allow_cidrs": ["10.0.0.0/16"]},
            "baseline": sides[0],
            "canary": sides[1],
        })
    }

    /// Waits until a deployment is as wanted.
    pub(crate) async fn until(
        &self,
        server: &Server,
        id: &str,
        what: &str,
        within: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        let began = tokio::time::Instant::now();
        loop {
            let (status, document) = server.get(&format!("/api/v1/deployments/{id}")).await;
            assert_eq!(status, 200, "{document}");
            if wanted(&document) {
                return document;
            }
            assert!(!self.watching.is_finished(), "the world broke down");
            if began.elapsed() > within {
                let (_, feed) = server.get(&format!("/api/v1/deployments/{id}/events")).await;
                panic!("not {what}: {document:#}\n{feed}\n{}", self.shown());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The same of something that no document of the server says.
    pub(crate) async fn until_so(&self, what: &str, within: Duration, is_so: impl Fn() -> bool) {
        let began = tokio::time::Instant::now();
        while !is_so() {
            assert!(!self.watching.is_finished(), "the world broke down");
            assert!(began.elapsed() < within, "not so: {what}\n{}", self.shown());
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// For whoever reads why a wait was in vain: what the load balancer last saw of each target, the network, the machines.
    fn shown(&self) -> String {
        format!(
            "{:#?}\n{}{}",
            self.balanced.balancer.group_states(),
            Network::shown(),
            self.fleet.journals()
        )
    }

    /// Thing by thing and field by field, what AWS lists.
    pub(crate) async fn is_as_before(&self) {
        self.account.admin.is_as(&self.before).await;
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

/// The account's own life: machines come and go as it says, and the load balancer does what its rules say.
async fn watch(fleet: Fleet, balanced: Arc<Balanced>) {
    loop {
        let listed = fleet.listed().await;
        let running = listed
            .iter()
            .filter_map(|(id, address)| Some((id.clone(), (*address)?)));
        // Rules first: nobody is sent to a machine that goes.
        balanced.follow(&running.collect()).await;
        fleet.follow(&listed).await;
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn home(folder: PathBuf, timing: &str, endpoint: &str) -> Home {
    let config = folder.join("serve.yaml");
    let text = format!(
        "timing: {timing}\nconnections:\n- {{name: shop, region: {REGION}, endpoint: '{endpoint}', image_owner: '{OWNER}'}}\n"
    );
    std::fs::write(&config, text).unwrap();
    Home {
        config,
        data: folder.join("data"),
        log: Some(folder.join("server.log")),
        variables: vec![
            ("AWS_SECRET_ACCESS_KEY", SDK_SECRET.into()),
            ("ARYA_LOG", "debug".into()),
        ],
        folder,
    }
}

/// Reads the account's rules for the load balancer; it makes nothing.
async fn onlooker(moto: &Moto, folder: &std::path::Path) -> AwsCloud {
    let settings = AwsSettings {
        connection: ConnectionSettings {
            region: Some(REGION.into()),
            endpoint: Some(moto.endpoint()),
            credentials: Some(SharedCredentialsProvider::new(credentials())),
            ..ConnectionSettings::default()
        },
        installation: InstallationId::new(uuid::Uuid::nil()),
        artifacts_dir: folder.to_owned(),
        left_dir: None,
        image_owner: Some(OWNER.into()),
        door_key: DoorKey::new([0; 32]),
    };
    AwsCloud::connect(settings).await.unwrap()
}
