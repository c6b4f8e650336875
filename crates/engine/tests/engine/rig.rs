//! One deployment on the small world, looked at when a test says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use arya_engine::{Clock, EngineSettings, Reconciler, RecordedEvent, Report, Store, SubmitError};
use arya_judge::{JudgeConfig, MetricConfig, Timestamp};
use arya_plan::desired::{Change, Desired};
use arya_plan::phase::Phase;
use arya_plan::timing::Timing;
use serde_json::json;

use crate::world::{World, ana, desired_with, site, start};

/// Far more looks than any life here needs.
pub(crate) const MANY_LOOKS: usize = 200;

/// A clock that only its owner moves.
#[derive(Debug, Clone)]
pub(crate) struct Hand(Arc<AtomicI64>);

impl Hand {
    pub(crate) fn now(&self) -> Timestamp {
        start()
            .checked_add(Duration::from_millis(self.0.load(Ordering::SeqCst).unsigned_abs()))
            .unwrap()
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.0
            .fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }

    /// Somebody corrects the machine's clock.
    pub(crate) fn set_back(&self, by: Duration) {
        self.0
            .fetch_sub(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

/// What deployments are judged by here.
pub(crate) fn usual_judge() -> JudgeConfig {
    JudgeConfig {
        minimum_bake_s: 30.0,
        metrics: vec![MetricConfig {
            known_dispersion: Some(1.0),
            ..MetricConfig::error_share("errors", "errors")
        }],
        ..JudgeConfig::default()
    }
}

pub(crate) fn settings(clock: Clock) -> EngineSettings {
    EngineSettings {
        clock,
        ..EngineSettings::new(Timing::TRY, usual_judge())
    }
}

/// One deployment, looked at when a test says so.
pub(crate) struct Rig {
    pub(crate) world: World,
    pub(crate) store: Arc<Store>,
    pub(crate) desired: Desired,
    pub(crate) hand: Hand,
    reconciler: Reconciler<World, World>,
    /// Where the store's file lies, if it has one.
    dir: Option<tempfile::TempDir>,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::analysed(json!({}))
    }

    /// With the spec's `analysis` part.
    pub(crate) fn analysed(analysis: serde_json::Value) -> Self {
        Self::asked(&json!({"analysis": analysis}))
    }

    /// With these keys of the spec.
    pub(crate) fn asked(keys: &serde_json::Value) -> Self {
        Self::with_store(Store::in_memory().unwrap(), None, keys)
    }

    pub(crate) fn on_disk() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self::with_store(Store::open(dir.path()).unwrap(), Some(dir), &json!({}))
    }

    fn with_store(store: Store, dir: Option<tempfile::TempDir>, keys: &serde_json::Value) -> Self {
        let store = Arc::new(store);
        let desired = desired_with(&store, 7, "emr", keys);
        let hand = Hand(Arc::default());
        store.create(&desired, &site(), &ana(), hand.now()).unwrap();
        Self::started(World::new(), store, desired, hand, dir)
    }

    /// The process starts.
    fn started(world: World, store: Arc<Store>, desired: Desired, hand: Hand, dir: Option<tempfile::TempDir>) -> Self {
        let reconciler = reconciler_of(&store, &world, &hand);
        Self {
            world,
            store,
            desired,
            hand,
            reconciler,
            dir,
        }
    }

    /// The process dies and starts again: only what is stored and the cloud remain.
    pub(crate) fn crash(self) -> Self {
        let Self {
            world,
            mut store,
            desired,
            hand,
            reconciler,
            dir,
        } = self;
        drop(reconciler);
        if let Some(dir) = &dir {
            drop(store);
            store = Arc::new(Store::open(dir.path()).unwrap());
        }
        Self::started(world, store, desired, hand, dir)
    }

    /// One look; the clock then moves on to the next one.
    pub(crate) async fn tick(&self) -> Report {
        let report = self.reconciler.tick(&self.desired.id).await.unwrap();
        self.hand.advance(
            report
                .plan
                .as_ref()
                .map_or(Duration::from_millis(300), |plan| plan.look_again_in),
        );
        report
    }

    /// One look in which the process may die; `None` = it did.
    pub(crate) async fn tick_or_die(&self) -> Option<Report> {
        let frozen = self.world.frozen();
        tokio::select! {
            biased;
            () = frozen.notified() => None,
            report = self.tick() => Some(report),
        }
    }

    pub(crate) async fn until(&self, wanted: impl Fn(&Report) -> bool) -> Report {
        for _ in 0..MANY_LOOKS {
            let report = self.tick().await;
            if wanted(&report) {
                return report;
            }
        }
        panic!("it did not come to that; the feed:\n{}", self.feed().join("\n"));
    }

    pub(crate) async fn until_phase(&self, phase: Phase) -> Report {
        self.until(|report| report.phase == phase).await
    }

    /// Serving, with the main rule seen.
    pub(crate) async fn until_judged(&self) -> Report {
        self.until(|report| report.phase == Phase::Serving && report.verdict.is_some())
            .await
    }

    pub(crate) fn submit(&self, change: &Change) -> Result<Desired, SubmitError> {
        self.store
            .edit(&self.desired.id, change, &ana(), self.hand.now())
            .map(|edited| edited.desired)
    }

    /// The store's file.
    pub(crate) fn database(&self) -> std::path::PathBuf {
        self.dir.as_ref().unwrap().path().join("arya.sqlite")
    }

    pub(crate) fn events(&self) -> Vec<RecordedEvent> {
        self.store.events(&self.desired.id, 0, 1_000).unwrap()
    }

    pub(crate) fn feed(&self) -> Vec<String> {
        self.events().into_iter().map(|event| event.sentence).collect()
    }

    pub(crate) fn told(&self, part: &str) -> usize {
        self.feed().iter().filter(|sentence| sentence.contains(part)).count()
    }
}

fn reconciler_of(store: &Arc<Store>, world: &World, hand: &Hand) -> Reconciler<World, World> {
    let clock = hand.clone();
    let settings = settings(Clock::driven(move || clock.now()));
    Reconciler::new(store.clone(), world.clone(), world.clone(), settings)
}
