//! One deployment on a simulated world, and a loop that does what the engine does: look, decide, plan, apply.

use std::time::Duration;

use arya_local::world::{Answer, Pace, Settings, World, ground};
use arya_plan::cloud::{Cloud, CloudError, ErrorKind};
use arya_plan::decide::decide;
use arya_plan::desired::{Actor, Change, Desired};
use arya_plan::identity::{InstallationId, SecurityGroupKind};
use arya_plan::listener::{Rule, RuleId};
use arya_plan::observed::Observed;
use arya_plan::phase::Phase;
use arya_plan::plan::{Plan, Step, plan};
use arya_plan::seen::Seen;
use arya_plan::timing::Timing;
use futures_util::FutureExt;
use serde_json::json;
use uuid::Uuid;

use crate::contract::Ground;

/// Far more looks than any life here needs.
const LOOKS_MAX: usize = 300;

pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) desired: Desired,
    pub(crate) seen: Seen,
    pub(crate) timing: Timing,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(edit: impl FnOnce(&mut Settings)) -> Self {
        Self::before("default", edit)
    }

    /// In front of a rule of the ground's.
    pub(crate) fn before(chosen: &str, edit: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::default();
        edit(&mut settings);
        let world = World::new(settings);
        let desired = desired(&world, 7, chosen);
        Self {
            world,
            desired,
            seen: Seen::default(),
            timing: Timing::AWS,
        }
    }

    /// The same stage with a world that goes its own way.
    pub(crate) fn fork(&self) -> Self {
        Self {
            world: self.world.fork(),
            desired: self.desired.clone(),
            seen: self.seen.clone(),
            timing: self.timing.clone(),
        }
    }

    /// What a launch needs stands.
    pub(crate) fn ready_to_launch(&self) {
        let kind = SecurityGroupKind::App;
        for step in [Step::CreateBucket, Step::CreateSecurityGroup { kind }] {
            assert_eq!(self.apply(&step), Ok(()));
        }
    }

    pub(crate) fn serving() -> Self {
        let mut stage = Self::new();
        stage.until_phase(Phase::Serving);
        stage
    }

    pub(crate) fn look(&self) -> Observed {
        self.try_look().expect("the world answers")
    }

    fn try_look(&self) -> Option<Observed> {
        let looked = self.world.observe(&self.desired, self.world.now());
        looked.now_or_never()?.ok()
    }

    pub(crate) fn apply(&self, step: &Step) -> Result<(), CloudError> {
        let applied = self.world.apply(&self.desired, step).now_or_never();
        applied.expect("the world answers")
    }

    /// One round of the engine with its effects; then time passes until the next look. A look without an answer is made
    /// again, and a process that died starts anew.
    pub(crate) fn round(&mut self) -> Plan {
        let observed = loop {
            if let Some(observed) = self.try_look() {
                break observed;
            }
            self.world.restart();
            self.world.advance(self.timing.look_moving);
        };
        let plan = self.plan(&observed);
        for step in &plan.steps {
            // What goes wrong is planned again.
            let _ = self.world.apply(&self.desired, step).now_or_never();
        }
        if self.world.is_silent() {
            self.world.restart();
        }
        self.world.advance(plan.look_again_in);
        plan
    }

    /// One round in which every step is applied twice.
    pub(crate) fn round_twice(&mut self) -> (Plan, Observed) {
        let observed = self.look();
        let plan = self.plan(&observed);
        for step in plan.steps.iter().chain(&plan.steps) {
            // What is not possible yet is tried again in the next round.
            let _ = self.world.apply(&self.desired, step).now_or_never();
        }
        (plan, observed)
    }

    pub(crate) fn plan(&mut self, observed: &Observed) -> Plan {
        self.seen.look(&self.desired, observed);
        while let Some((change, by)) = decide(&self.desired, observed, &self.seen, &self.timing, None) {
            assert_eq!(self.desired.apply(&change, &by, observed.at), Ok(true), "{change:?}");
        }
        plan(&self.desired, observed, &self.seen, &self.timing)
    }

    #[track_caller]
    pub(crate) fn until(&mut self, done: impl Fn(&Plan, &World) -> bool) -> Plan {
        for _ in 0..LOOKS_MAX {
            let plan = self.round();
            if done(&plan, &self.world) {
                return plan;
            }
        }
        panic!(
            "it did not come to that: {:#?}\n{:#?}",
            self.look(),
            self.world.journal()
        );
    }

    #[track_caller]
    pub(crate) fn until_phase(&mut self, phase: Phase) -> Plan {
        self.until(|plan, _| plan.phase == phase)
    }

    /// A rule of the plan is refused with these words.
    #[track_caller]
    pub(crate) fn until_rule_refused(&mut self, words: &str) {
        let plan = self.until(|plan, world| {
            let refused = world.journal().last().map(|entry| entry.answer) == Some(Answer::No(ErrorKind::Refused));
            refused && plan.steps.iter().any(|step| matches!(step, Step::CreateRule { .. }))
        });
        let rule = plan.steps.last().expect("it has a step that was refused");
        let error = self.apply(rule).unwrap_err();
        assert!(error.what.contains(words), "{error}");
    }

    pub(crate) fn change(&mut self, change: &Change) {
        let by = Actor::Person("Ana".into());
        assert_eq!(self.desired.apply(change, &by, self.world.now()), Ok(true));
    }

    pub(crate) fn pass(&self, seconds: u64) {
        self.world.advance(Duration::from_secs(seconds));
    }
}

impl Ground for Stage {
    type Cloud = World;

    fn cloud(&self) -> &World {
        &self.world
    }

    fn desired(&self) -> &Desired {
        &self.desired
    }

    fn change(&mut self, change: Change) {
        Self::change(self, &change);
    }

    async fn add_rule(&self, rule: Rule) {
        self.world.edit_rules(|rules| rules.push(rule));
    }

    async fn look(&self) -> Observed {
        Self::look(self)
    }

    async fn round(&mut self) -> (Plan, Observed) {
        self.round_twice()
    }

    async fn wait(&self) {
        self.pass(1);
    }

    async fn end(self) {}
}

pub(crate) fn installation() -> InstallationId {
    InstallationId::new(Uuid::from_u128(7))
}

pub(crate) fn desired(world: &World, number: u64, chosen: &str) -> Desired {
    let site = world.site().unwrap();
    let (spec, at) = (ground::spec(&json!({})), world.now());
    ground::desired(number, installation(), spec, &site, &RuleId::new(chosen), at).unwrap()
}

pub(crate) fn aws(settings: &mut Settings) {
    settings.pace = Pace::AWS;
}
