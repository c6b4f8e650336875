//! A cloud in memory with one listener, and a source that measures it.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard};

use arya_engine::Store;
use arya_judge::source::Origin;
use arya_judge::{
    ArmCount, Beside, Block, CountBlock, Evidence, Machines, MetricConfig, MetricSource, Shown, SourceError, Timestamp,
};
use arya_plan::assume::assume;
use arya_plan::cloud::{Cloud, CloudError};
use arya_plan::desired::{Actor, Change, Desired, OurGroupSettings, Placement, ProbeSecret};
use arya_plan::identity::{Arm, DeploymentId, RuleKind};
use arya_plan::listener::compose::{in_front_of, site_digest, slots_before};
use arya_plan::listener::shares::CanaryPercent;
use arya_plan::listener::{
    Action, Forward, GroupHealth, GroupId, GroupSettings, ListenerId, LoadBalancerId, Priority, Protocol, Rule, RuleId,
    Site, SiteGroup, TargetStickiness, TargetType, WeightedGroup,
};
use arya_plan::observed::{BootPhase, Observed, TargetState};
use arya_plan::plan::Step;
use arya_plan::spec::Spec;
use serde_json::json;
use tokio::sync::Notify;

/// Length of a block of the source.
pub(crate) const BLOCK_S: i64 = 5;

pub(crate) fn start() -> Timestamp {
    Timestamp::from_second(1_900_000_000).unwrap()
}

pub(crate) fn percent(share: f64) -> CanaryPercent {
    CanaryPercent::new(share).unwrap()
}

pub(crate) fn ana() -> Actor {
    Actor::Person("Ana".into())
}

pub(crate) fn set_share(share: f64) -> Change {
    Change::SetShare {
        canary_percent: percent(share),
    }
}

pub(crate) fn production() -> GroupId {
    GroupId::new("production")
}

pub(crate) fn site() -> Site {
    let settings = GroupSettings {
        name: "production".into(),
        target_type: TargetType::Instance,
        protocol: Protocol::Http,
        port: 80,
        deregistration_delay_s: 2,
        stickiness: TargetStickiness::Off,
    };
    let health = GroupHealth {
        registered: 2,
        healthy: 2,
    };
    let forward = Forward {
        groups: vec![WeightedGroup {
            group: production(),
            weight: 1,
        }],
        stickiness_s: None,
    };
    Site {
        listener: ListenerId::new("web"),
        load_balancer: LoadBalancerId::new("shop"),
        load_balancer_name: "shop".into(),
        address: "http://127.0.0.1".into(),
        port: 80,
        rules: vec![Rule {
            id: RuleId::new("default"),
            priority: Priority::Default,
            conditions: vec![],
            actions: vec![Action::Forward(forward)],
            transforms: vec![],
            owner: None,
        }],
        groups: BTreeMap::from([(production(), SiteGroup { settings, health })]),
    }
}

pub(crate) fn desired_of(store: &Store, number: u128, name: &str, analysis: serde_json::Value) -> Desired {
    desired_with(store, number, name, &json!({"analysis": analysis}))
}

/// With further keys of the spec.
pub(crate) fn desired_with(store: &Store, number: u128, name: &str, keys: &serde_json::Value) -> Desired {
    let digest = |digit: &str| format!("sha256:{}", digit.repeat(64));
    let mut document = json!({
        "name": name,
        "listener": "web",
        "app": {"port": 8080, "health_check_path": "/health"},
        "baseline": {"image": digest("a"), "compose": digest("c")},
        "canary": {"image": digest("b"), "compose": digest("c")},
    });
    let keys = keys.as_object().unwrap().clone();
    document.as_object_mut().unwrap().extend(keys);
    let spec = Spec::parse(&document).unwrap();
    let site = site();
    let chosen = site.default_rule().unwrap();
    let composed = in_front_of(chosen, &spec.conditions).unwrap();
    let placement = Placement {
        chosen: chosen.id.clone(),
        slots: slots_before(&site, chosen).unwrap(),
        site_digest: site_digest(&site, chosen, &composed),
        composed,
        production: vec![WeightedGroup {
            group: production(),
            weight: 1,
        }],
        group: OurGroupSettings {
            protocol: Protocol::Http,
            port: 8080,
            health_check_path: "/health".into(),
            deregistration_delay_s: 2,
        },
        probe_secret: ProbeSecret::new("only-for-probes"),
    };
    let id = DeploymentId::new(uuid::Uuid::from_u128(number << 100));
    Desired::begun(id, store.installation(), spec, placement, start())
}

/// A cloud that does at once what it is told, boots instances look by look, and can be told to misbehave.
#[derive(Debug, Clone)]
pub(crate) struct World(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    seen: Observed,
    applied: Vec<String>,
    refusals: BTreeMap<String, CloudError>,
    ignored: Vec<String>,
    /// Questions that are never answered.
    hanging: Vec<Question>,
    observe_error: Option<CloudError>,
    source_error: Option<SourceError>,
    /// What the source answers instead of its own numbers.
    script: Option<Script>,
    /// No monitor shows any series.
    no_series: bool,
    /// The metrics that the arms show.
    offered: Option<Vec<MetricConfig>>,
    /// Failed requests of the canary in percent; the baseline's are 1.
    canary_errors: f64,
    /// Requests of the canary for each of the baseline's.
    canary_requests: f64,
    /// Failed requests of production in percent, where the source counts them.
    production_errors: Option<f64>,
    windows: Vec<RangeInclusive<Timestamp>>,
    freeze: Option<Freeze>,
    frozen: Arc<Notify>,
}

/// An answer of the source's to a question.
pub(crate) type Script = fn(&MetricConfig, &RangeInclusive<Timestamp>) -> Result<Evidence, SourceError>;

/// What the world can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Question {
    Look,
    Evidence,
    Step(String),
}

/// The call at which the process dies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Freeze {
    pub(crate) calls_left: usize,
    pub(crate) when: When,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    BeforeTheEffect,
    AfterTheEffect,
}

impl World {
    pub(crate) fn new() -> Self {
        let mut seen = Observed::nothing(start());
        seen.site = Some(site());
        Self(Arc::new(Mutex::new(State {
            seen,
            applied: vec![],
            refusals: BTreeMap::new(),
            ignored: vec![],
            hanging: vec![],
            observe_error: None,
            source_error: None,
            script: None,
            no_series: false,
            offered: None,
            canary_errors: 1.0,
            canary_requests: 1.0,
            production_errors: None,
            windows: vec![],
            freeze: None,
            frozen: Arc::default(),
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// The health of the canary's first target.
    pub(crate) fn canary_is(&self, state: TargetState) {
        self.change(|seen| seen.groups.get_mut(&Arm::Canary).unwrap().targets[0].health.state = state);
    }

    /// What somebody else does to the world.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Observed)) {
        change(&mut self.state().seen);
    }

    pub(crate) fn seen(&self) -> Observed {
        self.state().seen.clone()
    }

    /// The steps since the last question, in their own words.
    pub(crate) fn take_applied(&self) -> Vec<String> {
        std::mem::take(&mut self.state().applied)
    }

    pub(crate) fn refuse(&self, step: &str, error: CloudError) {
        self.state().refusals.insert(step.to_owned(), error);
    }

    pub(crate) fn refuse_nothing(&self) {
        self.state().refusals.clear();
    }

    /// The cloud says yes to this step and does nothing.
    pub(crate) fn ignore(&self, step: &str) {
        self.state().ignored.push(step.to_owned());
    }

    /// Never answers a question from now on.
    pub(crate) fn hang(&self, question: Question) {
        self.state().hanging.push(question);
    }

    async fn answer_or_hang(&self, question: Question) {
        let hangs = self.state().hanging.contains(&question);
        if hangs {
            std::future::pending::<()>().await;
        }
    }

    pub(crate) fn fail_looks(&self, error: Option<CloudError>) {
        self.state().observe_error = error;
    }

    pub(crate) fn fail_source(&self, error: Option<SourceError>) {
        self.state().source_error = error;
    }

    pub(crate) fn answers_by(&self, script: Script) {
        self.state().script = Some(script);
    }

    pub(crate) fn offer(&self, metrics: Vec<MetricConfig>) {
        self.state().offered = Some(metrics);
    }

    pub(crate) fn shows_no_series(&self) {
        self.state().no_series = true;
    }

    pub(crate) fn canary_fails(&self, percent: f64) {
        self.state().canary_errors = percent;
    }

    pub(crate) fn canary_gets(&self, requests: f64) {
        self.state().canary_requests = requests;
    }

    pub(crate) fn production_fails(&self, percent: f64) {
        self.state().production_errors = Some(percent);
    }

    pub(crate) fn windows(&self) -> Vec<RangeInclusive<Timestamp>> {
        self.state().windows.clone()
    }

    pub(crate) fn freeze(&self, freeze: Option<Freeze>) {
        self.state().freeze = freeze;
    }

    pub(crate) fn frozen(&self) -> Arc<Notify> {
        self.state().frozen.clone()
    }

    pub(crate) fn main_rule_stands(&self, desired: &Desired) -> bool {
        self.seen().our_rule(&desired.id, RuleKind::Main).is_some()
    }

    /// Nothing of ours but dead instances, and the user's listener as it was.
    pub(crate) fn is_restored(&self) -> bool {
        let seen = self.seen();
        let ended = seen.instances.iter().all(|i| i.state.is_ending());
        !seen.bucket && seen.groups.is_empty() && seen.security_groups.is_empty() && ended && seen.site == Some(site())
    }

    /// Whether the process dies in this call, and on which side of its effect.
    fn dies(&self) -> Option<When> {
        let mut state = self.state();
        let freeze = state.freeze.as_mut()?;
        if freeze.calls_left > 0 {
            freeze.calls_left -= 1;
            return None;
        }
        Some(freeze.when)
    }

    async fn die(&self) -> ! {
        self.frozen().notify_one();
        std::future::pending().await
    }

    fn carry_out(&self, desired: &Desired, step: &Step) -> Result<(), CloudError> {
        let mut state = self.state();
        let words = step.to_string();
        state.applied.push(words.clone());
        if let Some(error) = state.refusals.get(&words) {
            return Err(error.clone());
        }
        if state.ignored.contains(&words) {
            return Ok(());
        }
        if let Step::DeregisterTarget { arm, place, .. } = step {
            let targets = state
                .seen
                .groups
                .get_mut(arm)
                .into_iter()
                .flat_map(|group| &mut group.targets);
            targets
                .filter(|t| t.place == *place)
                .for_each(|t| t.health.state = TargetState::Draining);
            return Ok(());
        }
        assume(desired, &mut state.seen, step);
        if let Step::LaunchInstance { .. } = step
            && let Some(report) = state.seen.instances.last_mut().and_then(|i| i.report.as_mut())
        {
            report.phase = BootPhase::Booting;
        }
        Ok(())
    }
}

impl Cloud for World {
    async fn discover(&self) -> Result<Vec<Site>, CloudError> {
        Ok(self.seen().site.into_iter().collect())
    }

    async fn list(&self) -> Result<Vec<DeploymentId>, CloudError> {
        Ok(vec![])
    }

    async fn observe(&self, _: &Desired, now: Timestamp) -> Result<Observed, CloudError> {
        self.answer_or_hang(Question::Look).await;
        let mut state = self.state();
        if let Some(error) = &state.observe_error {
            return Err(error.clone());
        }
        state.seen.at = now;
        let answer = state.seen.clone();
        for report in state.seen.instances.iter_mut().filter_map(|i| i.report.as_mut()) {
            report.phase = match report.phase {
                BootPhase::Booting => BootPhase::Up,
                BootPhase::Up => BootPhase::Ready,
                other => other,
            };
            report.at = now;
        }
        for group in state.seen.groups.values_mut() {
            group
                .targets
                .retain(|target| target.health.state != TargetState::Draining);
        }
        Ok(answer)
    }

    async fn apply(&self, desired: &Desired, step: &Step) -> Result<(), CloudError> {
        self.answer_or_hang(Question::Step(step.to_string())).await;
        match self.dies() {
            Some(When::BeforeTheEffect) => self.die().await,
            Some(When::AfterTheEffect) => {
                let _ = self.carry_out(desired, step);
                self.die().await
            }
            None => self.carry_out(desired, step),
        }
    }
}

impl MetricSource for World {
    async fn evidence(
        &self,
        _: &str,
        metric: &MetricConfig,
        window: RangeInclusive<Timestamp>,
    ) -> Result<Evidence, SourceError> {
        self.answer_or_hang(Question::Evidence).await;
        let mut state = self.state();
        state.windows.push(window.clone());
        if let Some(error) = &state.source_error {
            return Err(error.clone());
        }
        if state.no_series && matches!(metric.from, Origin::Series(_)) {
            let what = "no arm shows these series".into();
            return Err(SourceError::NoData { what });
        }
        if let Some(script) = state.script {
            return script(metric, &window);
        }
        let first = window.start().as_second().div_euclid(BLOCK_S) * BLOCK_S;
        let ends = (first..=window.end().as_second()).step_by(BLOCK_S as usize);
        let production = state.production_errors.into_iter().flat_map(|percent| {
            ends.clone().map(move |end| Beside {
                ends_at: Timestamp::from_second(end).unwrap(),
                shown: Shown::Counts(ArmCount {
                    events: 200.0 * percent,
                    exposure: 20_000.0,
                }),
                machines: Machines {
                    production: 2,
                    each_arm: 1,
                },
            })
        });
        let blocks = ends.clone().map(|end| {
            Block::Counts(CountBlock {
                ends_at: Timestamp::from_second(end).unwrap(),
                baseline_events: 100.0,
                canary_events: 100.0 * state.canary_errors * state.canary_requests,
                baseline_exposure: 10_000.0,
                canary_exposure: 10_000.0 * state.canary_requests,
            })
        });
        Ok(Evidence {
            query: "errors".into(),
            block_s: BLOCK_S as f64,
            production: production.collect(),
            ..Evidence::of(metric, "the world", blocks.collect())
        })
    }

    async fn metrics(&self, _: &str, _: Timestamp) -> Result<Option<Vec<MetricConfig>>, SourceError> {
        let state = self.state();
        state
            .source_error
            .clone()
            .map_or_else(|| Ok(state.offered.clone()), Err)
    }
}
