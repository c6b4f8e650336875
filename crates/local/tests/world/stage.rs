//! One deployment on a simulated world, and a loop that does what the engine does: look, decide, plan, apply.

use std::time::Duration;

use arya_local::world::{Pace, Settings, World, ground};
use arya_plan::cloud::{Cloud, CloudError};
use arya_plan::decide::decide;
use arya_plan::desired::{Actor, Change, Desired};
use arya_plan::identity::InstallationId;
use arya_plan::listener::RuleId;
use arya_plan::observed::Observed;
use arya_plan::phase::Phase;
use arya_plan::plan::{Plan, Step, plan};
use arya_plan::seen::Seen;
use arya_plan::timing::Timing;
use futures_util::FutureExt;
use serde_json::json;
use uuid::Uuid;

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

    pub(crate) fn serving() -> Self {
        let mut stage = Self::new();
        stage.until_phase(Phase::Serving);
        stage
    }

    pub(crate) fn try_look(&self) -> Result<Observed, CloudError> {
        let looked = self.world.observe(&self.desired, self.world.now()).now_or_never();
        looked.expect("the world answers")
    }

    pub(crate) fn look(&self) -> Observed {
        self.try_look().unwrap()
    }

    pub(crate) fn apply(&self, step: &Step) -> Result<(), CloudError> {
        let applied = self.world.apply(&self.desired, step).now_or_never();
        applied.expect("the world answers")
    }

    /// One round of the engine with its effects; then time passes until the next look.
    pub(crate) fn round(&mut self) -> Plan {
        let mut next = self.timing.look_moving;
        let observed = match self.try_look() {
            Ok(observed) => observed,
            Err(_) => {
                self.world.advance(next);
                return self.plan(&Observed::nothing(self.world.now()));
            }
        };
        let plan = self.plan(&observed);
        for step in &plan.steps {
            let _ = self.world.apply(&self.desired, step).now_or_never();
        }
        next = next.max(plan.look_again_in);
        self.world.advance(next);
        plan
    }

    fn plan(&mut self, observed: &Observed) -> Plan {
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

    pub(crate) fn change(&mut self, change: &Change) {
        let by = Actor::Person("Ana".into());
        assert_eq!(self.desired.apply(change, &by, self.world.now()), Ok(true));
    }

    pub(crate) fn pass(&self, seconds: u64) {
        self.world.advance(Duration::from_secs(seconds));
    }
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
