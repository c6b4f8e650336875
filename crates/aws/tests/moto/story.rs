//! A whole life with the engine's own reconciler: serving, other weights, destroyed, and the account as it was before.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use arya_aws::AwsCloud;
use arya_engine::{Clock, EngineSettings, Reconciler, Report, Store};
use arya_judge::JudgeConfig;
use arya_plan::cloud::Cloud as _;
use arya_plan::desired::{Actor, Change};
use arya_plan::identity::RuleKind;
use arya_plan::listener::shares::CanaryPercent;
use arya_plan::phase::Phase;
use arya_plan::timing::Timing;

use crate::common::Silence;
use crate::stage::Stage;

const TICKS_MAX: usize = 300;

pub(crate) struct Story {
    pub(crate) stage: Stage,
    store: Arc<Store>,
    reconciler: Reconciler<AwsCloud, Silence>,
    /// Milliseconds since the story began, as the engine's clock has it.
    passed: Arc<AtomicI64>,
}

impl Story {
    pub(crate) async fn begin(stage: Stage) -> Self {
        let store = Arc::new(Store::in_memory().unwrap());
        let mut desired = stage.desired.clone();
        desired.installation = store.installation();
        let began = desired.created_at;
        let site = stage.site().await;
        store
            .create(&desired, &site, &Actor::Person("Ana".into()), began)
            .unwrap();
        let passed: Arc<AtomicI64> = Arc::default();
        let since = passed.clone();
        let clock = Clock::driven(move || {
            let passed = Duration::from_millis(since.load(Ordering::SeqCst).unsigned_abs());
            began.checked_add(passed).unwrap()
        });
        let settings = EngineSettings {
            clock,
            ..EngineSettings::new(Timing::AWS, JudgeConfig::default())
        };
        let reconciler = Reconciler::new(store.clone(), stage.cloud.clone(), Silence, settings);
        Self {
            stage,
            store,
            reconciler,
            passed,
        }
    }

    /// One look on the engine's clock, which then moves on to the next.
    pub(crate) async fn tick(&self) -> Report {
        let report = self.reconciler.tick(&self.stage.desired.id).await.unwrap();
        let next = report
            .plan
            .as_ref()
            .map_or(Duration::from_secs(2), |plan| plan.look_again_in);
        self.passed
            .fetch_add(i64::try_from(next.as_millis()).unwrap(), Ordering::SeqCst);
        self.stage.agent().await;
        report
    }

    pub(crate) async fn until(&self, what: &str, wanted: impl Fn(&Report) -> bool) -> Report {
        for _ in 0..TICKS_MAX {
            let report = self.tick().await;
            if wanted(&report) {
                return report;
            }
        }
        let feed: Vec<String> = self
            .store
            .events(&self.stage.desired.id, 0, 1_000)
            .unwrap()
            .into_iter()
            .map(|event| event.sentence)
            .collect();
        panic!("not {what}; the feed:\n{}", feed.join("\n"));
    }

    pub(crate) fn submit(&self, change: &Change) {
        let at = self.stage.desired.created_at;
        self.store
            .edit(&self.stage.desired.id, change, &Actor::Person("Ana".into()), at)
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_serves_changes_weights_and_leaves_the_account_as_it_was() {
    let story = Story::begin(Stage::set().await).await;
    let before = story.stage.account.admin.dump().await;
    let serving = story.until("serving", |report| report.phase == Phase::Serving).await;
    assert_eq!(serving.observed.as_ref().unwrap().instances.len(), 3);

    story.submit(&Change::SetShare {
        canary_percent: CanaryPercent::new(20.0).unwrap(),
    });
    let wanted = [60, 20, 20];
    story
        .until("at the new weights", |report| {
            let rule = report
                .observed
                .as_ref()
                .and_then(|seen| seen.our_rule(&report.desired.id, RuleKind::Main));
            let forward = rule.and_then(|rule| rule.forward());
            let weights: Vec<u32> = forward
                .into_iter()
                .flat_map(|one| &one.groups)
                .map(|one| u32::from(one.weight))
                .collect();
            let total: u32 = weights.iter().sum();
            total > 0 && weights.iter().map(|weight| 100 * weight / total).eq(wanted)
        })
        .await;

    story.submit(&Change::Destroy);
    let destroyed = story
        .until("destroyed", |report| report.phase == Phase::Destroyed)
        .await;
    let proof = destroyed.restore_proof.unwrap();
    assert!(proof.holds() && proof.differences.is_empty(), "{proof:?}");
    assert_eq!(story.stage.cloud.list().await.unwrap(), vec![]);
    story.stage.account.admin.is_as(&before).await;
}
