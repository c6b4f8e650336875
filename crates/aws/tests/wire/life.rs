//! A deployment's life on the endpoint, by the engine's own reconciler on a clock that the test turns.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use arya_aws::{AwsCloud, AwsSettings, ConnectionSettings, DoorKey};
use arya_engine::{Clock, EngineSettings, Reconciler, Report, Store};
use arya_judge::{JudgeConfig, Timestamp};
use arya_plan::cloud::Cloud as _;
use arya_plan::desired::{Actor, Change};
use arya_plan::identity::DeploymentId;
use arya_plan::observed::UploadState;
use arya_plan::phase::Phase;
use arya_plan::spec::Spec;
use arya_plan::timing::Timing;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use tempfile::TempDir;

use crate::account::{LISTENER, OWNER, REGION};
use crate::common::{self, Files, Silence};
use crate::endpoint::{Endpoint, Line};

/// Looks are further apart than the engine asks, which it must bear, and which makes a life some 40 looks long.
const LOOK_AT_LEAST: Duration = Duration::from_secs(6);
/// More than the slowest life needs.
const LOOKS_MAX: usize = 400;
/// An upload goes on in real time, also one that hangs for twenty seconds.
const WHILE_UPLOADING: Duration = Duration::from_millis(100);

pub(crate) struct Life {
    pub(crate) endpoint: Endpoint,
    pub(crate) cloud: AwsCloud,
    store: Arc<Store>,
    reconciler: Reconciler<AwsCloud, Silence>,
    id: DeploymentId,
    clock: Arc<AtomicI64>,
    began: Timestamp,
    files: TempDir,
}

pub(crate) fn settings(endpoint: &Endpoint, files: &Path, store: &Store) -> AwsSettings {
    settings_of("testing", endpoint, files, store)
}

fn settings_of(who: &str, endpoint: &Endpoint, files: &Path, store: &Store) -> AwsSettings {
    let credentials = Credentials::new(who, "testing", None, None, "tests");
    AwsSettings {
        connection: ConnectionSettings {
            region: Some(REGION.into()),
            endpoint: Some(endpoint.address()),
            credentials: Some(SharedCredentialsProvider::new(credentials)),
            ..ConnectionSettings::default()
        },
        installation: store.installation(),
        artifacts_dir: files.to_owned(),
        left_dir: Some(files.join("left")),
        image_owner: Some(OWNER.into()),
        door_key: DoorKey::new([7; 32]),
    }
}

/// Its time is the test's.
pub(crate) fn engine(began: Timestamp, clock: &Arc<AtomicI64>) -> EngineSettings {
    let passed = clock.clone();
    let driven = Clock::driven(move || {
        let passed = Duration::from_millis(passed.load(Ordering::SeqCst).unsigned_abs());
        began.checked_add(passed).unwrap()
    });
    EngineSettings {
        clock: driven,
        ..EngineSettings::new(Timing::AWS, JudgeConfig::default())
    }
}

impl Life {
    /// A deployment is planned and stored; nothing of it stands. `lag` is what EC2's listings lag behind, in seconds.
    pub(crate) async fn begin(files: Files, lag: u64) -> Self {
        Self::begin_by(files, lag, |_| ()).await
    }

    /// The same over a connection that is set otherwise.
    pub(crate) async fn begin_by(files: Files, lag: u64, set: impl FnOnce(&mut ConnectionSettings)) -> Self {
        let clock: Arc<AtomicI64> = Arc::default();
        let endpoint = Endpoint::start(lag, clock.clone()).await;
        let store = Arc::new(Store::in_memory().unwrap());
        let dir = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mut settings = settings(&endpoint, dir.path(), &store);
        set(&mut settings.connection);
        let cloud = AwsCloud::connect(settings).await.unwrap();
        let spec = cloud.resolve(&common::spec(dir.path(), LISTENER, files)).await.unwrap();
        let site = cloud.discover().await.unwrap().remove(0);
        let mut desired = common::desired(spec, &site);
        desired.installation = store.installation();
        let (id, began) = (desired.id, desired.created_at);
        store
            .create(&desired, &site, &Actor::Person("Ana".into()), began)
            .unwrap();
        let reconciler = Reconciler::new(store.clone(), cloud.clone(), Silence, engine(began, &clock));
        Self {
            endpoint,
            cloud,
            store,
            reconciler,
            id,
            clock,
            began,
            files: dir,
        }
    }

    /// The server ends and starts anew, as somebody else to AWS.
    pub(crate) async fn restart(&mut self, who: &str) {
        let settings = settings_of(who, &self.endpoint, self.files.path(), &self.store);
        let cloud = AwsCloud::connect(settings).await.unwrap();
        self.reconciler = Reconciler::new(self.store.clone(), cloud, Silence, engine(self.began, &self.clock));
    }

    /// The server ends and starts anew with these credentials.
    pub(crate) async fn log_in(&mut self, credentials: Credentials) {
        let mut settings = settings(&self.endpoint, self.files.path(), &self.store);
        settings.connection.credentials = Some(SharedCredentialsProvider::new(credentials));
        let cloud = AwsCloud::connect(settings).await.unwrap();
        self.reconciler = Reconciler::new(self.store.clone(), cloud, Silence, engine(self.began, &self.clock));
    }

    pub(crate) fn spec(&self) -> Spec {
        self.store.deployment(&self.id).unwrap().unwrap().desired.spec
    }

    pub(crate) fn script(&self, lines: Vec<Line>) {
        self.endpoint.script(lines);
    }

    /// One look at the distance that the engine asks for, with how much time had passed at its beginning.
    pub(crate) async fn look_as_asked(&self) -> (Duration, Report) {
        let at = Duration::from_millis(self.clock.load(Ordering::SeqCst).unsigned_abs());
        let report = self.reconciler.tick(&self.id).await.unwrap();
        let next = report.plan.as_ref().map_or(LOOK_AT_LEAST, |plan| plan.look_again_in);
        self.clock
            .fetch_add(i64::try_from(next.as_millis()).unwrap(), Ordering::SeqCst);
        let mut uploads = report.observed.iter().flat_map(|seen| seen.uploads.values());
        if uploads.any(|upload| upload.state == UploadState::Running) {
            tokio::time::sleep(WHILE_UPLOADING).await;
        }
        (at, report)
    }

    /// One look, after which the clock moves on.
    pub(crate) async fn look(&self) -> Report {
        let report = self.reconciler.tick(&self.id).await.unwrap();
        let next = report
            .plan
            .as_ref()
            .map_or(LOOK_AT_LEAST, |plan| plan.look_again_in.max(LOOK_AT_LEAST));
        self.clock
            .fetch_add(i64::try_from(next.as_millis()).unwrap(), Ordering::SeqCst);
        let mut uploads = report.observed.iter().flat_map(|seen| seen.uploads.values());
        if uploads.any(|upload| upload.state == UploadState::Running) {
            tokio::time::sleep(WHILE_UPLOADING).await;
        }
        report
    }

    pub(crate) async fn until(&self, what: &str, wanted: impl Fn(&Report) -> bool) -> Report {
        let mut last = None;
        for _ in 0..LOOKS_MAX {
            let report = self.look().await;
            if wanted(&report) {
                return report;
            }
            last = report.cloud_error.or(last);
        }
        panic!("not {what}; the last error: {last:?}; the feed:\n{}", self.feed());
    }

    pub(crate) async fn serving(&self) -> Report {
        self.until("serving", |report| report.phase == Phase::Serving).await
    }

    /// Destroyed, with the listener as it was and nothing of ours left.
    pub(crate) async fn destroyed(&self) {
        self.submit(&Change::Destroy);
        let report = self.until("destroyed", |report| report.phase == Phase::Destroyed).await;
        let proof = report.restore_proof.unwrap();
        assert!(proof.holds() && proof.differences.is_empty(), "{proof:?}");
        assert_eq!(
            self.endpoint.read(|account| account.left()),
            Vec::<String>::new(),
            "{}",
            self.feed()
        );
    }

    pub(crate) fn submit(&self, change: &Change) {
        self.store
            .edit(&self.id, change, &Actor::Person("Ana".into()), self.began)
            .unwrap();
    }

    pub(crate) fn feed(&self) -> String {
        let events = self.store.events(&self.id, 0, 1_000).unwrap();
        events
            .into_iter()
            .map(|event| event.sentence)
            .collect::<Vec<_>>()
            .join("\n")
    }
}
