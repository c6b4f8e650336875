//! A local cloud with its samples, and a loop that does what the engine does: look, decide, plan, apply.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use arya_judge::Timestamp;
use arya_local::live::{DEFAULT_RULE, LISTENER, LiveCloud, LiveSettings};
use arya_local::samples::{Sample, Samples, write_samples};
use arya_plan::cloud::{Cloud, CloudError};
use arya_plan::decide::decide;
use arya_plan::desired::{Actor, Change, Desired, OurGroupSettings, Placement, ProbeSecret};
use arya_plan::identity::{DeploymentId, InstallationId};
use arya_plan::listener::compose::{in_front_of, site_digest, slots_before};
use arya_plan::listener::shares::CanaryPercent;
use arya_plan::listener::{Protocol, Rule, RuleId, Site};
use arya_plan::observed::Observed;
use arya_plan::phase::Phase;
use arya_plan::plan::{Plan, Step, plan};
use arya_plan::seen::Seen;
use arya_plan::spec::{Digest, Spec};
use arya_plan::timing::Timing;
use tempfile::TempDir;
use uuid::Uuid;

use crate::contract::Ground;

/// What a stage of a story may take on a machine that builds and tests beside it.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);
/// Between two looks; processes tell no one when they change.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(50);

pub(crate) struct Stage {
    pub(crate) dir: TempDir,
    pub(crate) cloud: LiveCloud,
}

fn scratch() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// Packed once for all tests; the samples hold the sample service's own program.
pub(crate) fn samples() -> &'static Samples {
    static SAMPLES: OnceLock<Samples> = OnceLock::new();
    SAMPLES.get_or_init(|| {
        let dir = scratch().join("samples");
        std::fs::create_dir_all(&dir).unwrap();
        write_samples(Path::new(env!("CARGO_BIN_EXE_arya-sample")), &dir).unwrap()
    })
}

/// Files as uploads leave them: named by their digests.
fn store(artifacts: &Path, sample: &Sample) {
    for (file, digest) in [
        (&sample.image, &sample.image_digest),
        (&sample.compose, &sample.compose_digest),
    ] {
        let stored = artifacts.join(digest.hex());
        if !stored.exists() {
            std::fs::hard_link(file, stored).unwrap();
        }
    }
}

pub(crate) fn settings(dir: &Path) -> LiveSettings {
    let artifacts = dir.join("artifacts");
    std::fs::create_dir_all(&artifacts).unwrap();
    let samples = samples().clone();
    for sample in [&samples.baseline, &samples.canary, &samples.canary_bad] {
        store(&artifacts, sample);
    }
    let installation = InstallationId::new(Uuid::from_u128(7));
    LiveSettings {
        load_per_s: 60,
        ..LiveSettings::new(dir.join("data"), artifacts, samples, installation)
    }
}

impl Stage {
    pub(crate) async fn set() -> Self {
        let dir = TempDir::new_in(scratch()).unwrap();
        let cloud = LiveCloud::start(settings(dir.path())).await.unwrap();
        cloud.production_ready(LIMIT).await.unwrap();
        Self { dir, cloud }
    }

    pub(crate) fn data(&self, name: &str) -> PathBuf {
        self.dir.path().join("data").join(name)
    }

    pub(crate) async fn site(&self) -> Site {
        self.cloud.discover().await.unwrap().remove(0)
    }

    /// A deployment in front of production's default rule.
    pub(crate) async fn story(&self, canary: &Sample, percent: f64) -> Story {
        let baseline = &samples().baseline;
        let spec = serde_json::json!({
            "name": "emr-next",
            "listener": LISTENER,
            "in_front_of": DEFAULT_RULE,
            "canary_percent": percent,
            "app": {"port": 8080, "health_check_path": "/health"},
            "baseline": {"image": baseline.image_digest, "compose": baseline.compose_digest},
            "canary": {"image": canary.image_digest, "compose": canary.compose_digest},
        });
        let spec: Spec = serde_json::from_value(spec).unwrap();
        let id = DeploymentId::new(Uuid::new_v4());
        let installation = InstallationId::new(Uuid::from_u128(7));
        let placement = placement(&self.site().await);
        let desired = Desired::begun(id, installation, spec, placement, Timestamp::now());
        Story {
            cloud: self.cloud.clone(),
            desired,
            seen: Seen::default(),
            timing: Timing::TRY,
        }
    }

    /// Answers with 5xx that the balancer gave by itself, because no target did: of all groups and rules that stand.
    pub(crate) fn own_failures(&self) -> u64 {
        let balancer = self.cloud.balancer();
        let ever = Timestamp::UNIX_EPOCH..Timestamp::MAX;
        let groups = balancer
            .group_states()
            .into_iter()
            .filter_map(|state| balancer.measured(&state.id, ever.clone()));
        let rules = balancer
            .rules()
            .into_iter()
            .filter_map(|rule| balancer.measured_rule(&rule.id, ever.clone()));
        groups.chain(rules).map(|counts| counts.elb[3] - counts.target[3]).sum()
    }

    /// Stores a file as an upload would, and gives its digest.
    pub(crate) fn store(&self, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        std::fs::write(self.dir.path().join("artifacts").join(digest.hex()), bytes).unwrap();
        digest
    }

    pub(crate) async fn end(self) {
        self.cloud.stop().await;
    }
}

fn placement(site: &Site) -> Placement {
    let chosen = site.rule(&RuleId::new(DEFAULT_RULE)).unwrap();
    let composed = in_front_of(chosen, &[]).unwrap();
    Placement {
        chosen: chosen.id.clone(),
        slots: slots_before(site, chosen).unwrap(),
        site_digest: site_digest(site, chosen, &composed),
        production: chosen.forward().unwrap().groups.clone(),
        composed,
        group: OurGroupSettings {
            protocol: Protocol::Http,
            port: 8080,
            health_check_path: "/health".into(),
            deregistration_delay_s: 5,
        },
        probe_secret: ProbeSecret::new("a-secret-for-tests"),
    }
}

pub(crate) struct Story {
    pub(crate) cloud: LiveCloud,
    pub(crate) desired: Desired,
    pub(crate) seen: Seen,
    pub(crate) timing: Timing,
}

impl Story {
    pub(crate) async fn observe(&self) -> Observed {
        self.cloud.observe(&self.desired, Timestamp::now()).await.unwrap()
    }

    pub(crate) async fn apply(&self, step: &Step) -> Result<(), CloudError> {
        self.cloud.apply(&self.desired, step).await
    }

    pub(crate) fn set_share(&mut self, percent: f64) {
        self.change(Change::SetShare {
            canary_percent: CanaryPercent::new(percent).unwrap(),
        });
    }

    pub(crate) fn change(&mut self, change: Change) {
        self.desired
            .apply(&change, &Actor::Person("test".into()), Timestamp::now())
            .unwrap();
    }

    /// One round of the engine: every step is applied twice, which must be as good as once.
    pub(crate) async fn round(&mut self) -> (Plan, Observed) {
        let observed = self.observe().await;
        self.seen.look(&self.desired, &observed);
        while let Some((change, by)) = decide(&self.desired, &observed, &self.seen, &self.timing, None) {
            assert!(
                self.desired.apply(&change, &by, observed.at).unwrap(),
                "{change:?} changes nothing"
            );
        }
        let plan = plan(&self.desired, &observed, &self.seen, &self.timing);
        self.seen.note_waiting(&plan);
        for step in &plan.steps {
            for _ in 0..2 {
                if let Err(error) = self.apply(step).await {
                    assert_ne!(error.kind, arya_plan::cloud::ErrorKind::Refused, "{step}: {error}");
                }
            }
        }
        (plan, observed)
    }

    /// Goes round until `done`.
    #[track_caller]
    pub(crate) fn until<F>(&mut self, what: &'static str, done: F) -> impl Future<Output = (Plan, Observed)>
    where
        F: Fn(&Plan, &Observed) -> bool,
    {
        let at = std::panic::Location::caller();
        async move {
            let end = tokio::time::Instant::now() + LIMIT;
            loop {
                let (plan, observed) = self.round().await;
                if done(&plan, &observed) {
                    return (plan, observed);
                }
                assert_eq!(self.desired.failed, None, "{at}");
                assert!(
                    tokio::time::Instant::now() < end,
                    "{at}: not {what}: {plan:#?}\n{observed:#?}"
                );
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
    }

    pub(crate) async fn until_phase(&mut self, phase: Phase) -> (Plan, Observed) {
        self.until("in the phase asked for", move |plan, _| plan.phase == phase)
            .await
    }

    /// Looks, without acting, until `done`.
    #[track_caller]
    pub(crate) fn watch<F>(&self, what: &'static str, done: F) -> impl Future<Output = Observed>
    where
        F: Fn(&Observed) -> bool,
    {
        let at = std::panic::Location::caller();
        async move {
            let end = tokio::time::Instant::now() + LIMIT;
            loop {
                let observed = self.observe().await;
                if done(&observed) {
                    return observed;
                }
                assert!(tokio::time::Instant::now() < end, "{at}: not {what}: {observed:#?}");
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
    }
}

/// A story with its stage, for the facts that every world keeps.
pub(crate) struct Grounded {
    stage: Stage,
    story: Story,
}

impl Grounded {
    pub(crate) async fn set() -> Self {
        let stage = Stage::set().await;
        let story = stage.story(&samples().canary, 5.0).await;
        Self { stage, story }
    }
}

impl Ground for Grounded {
    type Cloud = LiveCloud;

    fn cloud(&self) -> &LiveCloud {
        &self.stage.cloud
    }

    fn desired(&self) -> &Desired {
        &self.story.desired
    }

    fn change(&mut self, change: Change) {
        self.story.change(change);
    }

    async fn add_rule(&self, rule: Rule) {
        let added = self.stage.cloud.edit_rules(|rules| {
            rules.push(rule);
            Ok("Somebody added a rule.".into())
        });
        added.unwrap();
    }

    async fn look(&self) -> Observed {
        self.story.observe().await
    }

    async fn round(&mut self) -> (Plan, Observed) {
        self.story.round().await
    }

    async fn wait(&self) {
        tokio::time::sleep(LOOK_EVERY).await;
    }

    async fn end(self) {
        self.stage.end().await;
    }
}
