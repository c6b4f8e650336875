//! One deployment's life: the real reconciler and the real store on a world whose time the life moves.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use arya_engine::{Clock, Moment, Reconciler, RecordedEvent, Report, Store, TickError};
use arya_local::world::{At, CallKind, Effect, Entry, Fault, Happened, State, World, ground};
use arya_plan::desired::{Actor, Change, Desired};
use arya_plan::identity::DeploymentId;
use arya_plan::listener::shares::CanaryPercent;
use arya_plan::observed::Observed;

use crate::act::{Act, Person, Script};
use crate::checkers::{self, Scene, Violation};
use crate::process::{self, Looked};
use crate::setting::{Setting, TIMING};
use crate::watch::{Heard, Watch};

/// Longer than any life that is not cut short by it, and no longer: time passes health check by health check.
const LIFETIME: Duration = Duration::from_secs(900);
/// How long a process that died stays away.
const RESTART: Duration = Duration::from_secs(2);
/// How late after its end a lifetime is noticed here.
const PAST_THE_END: Duration = Duration::from_secs(1);

/// One deployment, looked at when the life says so.
pub(crate) struct Life {
    pub(crate) world: World,
    pub(crate) setting: Setting,
    pub(crate) destroyed_at: u16,
    store: Arc<Store>,
    reconciler: Reconciler<World, World>,
    id: DeploymentId,
    runtime: tokio::runtime::Runtime,
    pub(crate) now: Present,
    /// The calls of the latest look, in their order.
    pub(crate) calls: Vec<CallKind>,
    /// Looks of all lives that this one lent its reconciler to.
    pub(crate) looks_made: u64,
    /// The saved point at which it is, unless something was done since.
    at: Option<u64>,
    points_saved: u64,
}

/// What moves on with each look.
#[derive(Debug, Clone)]
pub(crate) struct Present {
    /// The number of the next look.
    pub(crate) look: u16,
    pub(crate) desired: Arc<Desired>,
    pub(crate) watch: Watch,
    pub(crate) ended: bool,
}

/// A life at one point, to come back to.
pub(crate) struct Saved {
    point: u64,
    state: State,
    moment: Moment,
    now: Present,
}

fn ana() -> Actor {
    Actor::Person("Ana".into())
}

impl Life {
    pub(crate) fn new(setting: Setting, destroyed_at: u16) -> Self {
        let world = World::new(setting.world());
        let store = Arc::new(Store::in_memory().expect("memory for a store"));
        let site = world.site().expect("a world begins with a listener");
        let (chosen, at) = (setting.chosen(), world.now());
        let spec = ground::spec(&setting.spec());
        let mut desired =
            ground::desired(1, store.installation(), spec, &site, &chosen, at).expect("the ground takes it");
        desired.expires_at = at.checked_add(LIFETIME).expect("a world begins in our century");
        store
            .create(&desired, &site, &ana(), at)
            .expect("an empty store takes it");
        let clock = world.clone();
        let engine = setting.engine(Clock::driven(move || clock.now()));
        let reconciler = Reconciler::new(store.clone(), world.clone(), world.clone(), engine);
        Self {
            now: Present {
                look: 0,
                watch: Watch::new(&desired, &site),
                desired: Arc::new(desired.clone()),
                ended: false,
            },
            id: desired.id,
            world,
            setting,
            destroyed_at,
            store,
            reconciler,
            runtime: process::runtime(),
            calls: Vec::new(),
            looks_made: 0,
            at: None,
            points_saved: 0,
        }
    }

    pub(crate) fn save(&mut self) -> Saved {
        self.points_saved += 1;
        self.at = Some(self.points_saved);
        Saved {
            point: self.points_saved,
            state: self.world.snapshot(),
            moment: self.reconciler.moment(&self.id).expect("a store in memory answers"),
            now: self.now.clone(),
        }
    }

    pub(crate) fn restore(&mut self, saved: &Saved) {
        if self.at.replace(saved.point) == Some(saved.point) {
            return;
        }
        self.world.reset(saved.state.clone());
        self.reconciler
            .rewind(&self.id, &saved.moment)
            .expect("a store in memory answers");
        self.now = saved.now.clone();
    }

    /// Has something happen before the next look, or in one of its calls.
    pub(crate) fn happen(&mut self, act: Act) -> Happened {
        self.at = None;
        let desired = self.now.desired.clone();
        let happened = match act {
            Act::Person(person) => self.ask(person),
            Act::Edit(edit) => self.world.edit(&desired, edit),
            Act::Mishap(mishap) => self.world.mishap(&desired, mishap),
            Act::Call(nth, kind) => {
                let at = At::Call(self.world.calls() + u32::from(nth));
                self.world.fault(Fault { at, kind });
                Happened::Yes
            }
            Act::Deadline => self.outlive(),
        };
        if happened == Happened::Yes {
            self.now.watch.note(act, self.now.look);
        }
        happened
    }

    fn ask(&mut self, person: Person) -> Happened {
        let change = match person {
            Person::Destroy => Change::Destroy,
            Person::Share(percent) => Change::SetShare {
                canary_percent: CanaryPercent::new(f64::from(percent)).expect("a share in range"),
            },
            Person::Overrule => Change::Overrule {
                reason: "seen before".into(),
            },
        };
        match self.store.edit(&self.id, &change, &ana(), self.world.now()) {
            Ok(edited) if edited.event.is_some() => {
                self.now.desired = Arc::new(edited.desired);
                Happened::Yes
            }
            Ok(_) | Err(_) => Happened::No,
        }
    }

    fn outlive(&mut self) -> Happened {
        let left = self.now.desired.expires_at.duration_since(self.world.now());
        match Duration::try_from(left) {
            Ok(left) => {
                self.world.advance(left + PAST_THE_END);
                Happened::Yes
            }
            Err(_) => Happened::No,
        }
    }

    /// One look with all checkers; time then moves on to the next one.
    pub(crate) fn look(&mut self) -> Result<(), Violation> {
        self.at = None;
        self.looks_made += 1;
        let before = self.world.truth(&self.now.desired);
        let called = self.world.calls();
        let looked =
            catch_unwind(AssertUnwindSafe(|| self.tick())).unwrap_or_else(|panic| Err(Violation::panicked(&*panic)))?;
        let entries = self.world.take_journal();
        self.calls = calls_of(&entries, called, self.world.calls());
        // A look that did nothing left the world as it was.
        let done = entries.iter().any(|entry| entry.effect == Effect::Done);
        let changed = (done || self.world.now() != before.at).then(|| self.world.truth(&self.now.desired));
        let after = changed.as_ref().unwrap_or(&before);
        let report = match looked {
            Looked::Report(report) => Some(*report),
            Looked::Died => None,
        };
        let desired = match &report {
            Some(report) if report.desired.generation == self.now.desired.generation => self.now.desired.clone(),
            Some(report) => Arc::new(report.desired.clone()),
            None => {
                let stored = self.store.deployment(&self.id).expect("a store in memory answers");
                Arc::new(stored.expect("a deployment is never forgotten").desired)
            }
        };
        let news = self.news(&desired);
        self.now.watch.hear(&news);
        self.now.desired = desired;
        let scene = Scene {
            life: self,
            before: &before,
            after,
            entries: &entries,
            report: report.as_ref(),
        };
        checkers::check(&scene)?;
        let told_the_truth = scene.was_told_the_truth();
        self.now.watch.saw(&before, told_the_truth);
        self.now.watch.saw_arms(&before, self.now.look);
        self.move_on(report.as_ref(), after, &entries);
        Ok(())
    }

    /// The events of changes that are new since the last look.
    fn news(&self, desired: &Desired) -> Vec<RecordedEvent> {
        if desired.generation == self.now.watch.generation {
            return Vec::new();
        }
        self.store
            .events(&self.id, self.now.watch.heard, arya_engine::EVENTS_AT_ONCE)
            .expect("a store in memory answers")
    }

    fn move_on(&mut self, report: Option<&Report>, after: &Observed, entries: &[Entry]) {
        let (desired, look) = (self.now.desired.clone(), self.now.look);
        let heard = if report.is_some() { Heard::Yes } else { Heard::No };
        self.now.watch.see(after, &desired, entries, heard, look);
        self.now.look = look + 1;
        let pause = match report {
            Some(report) => {
                self.now.ended = report.closed_at.is_some();
                let plan = report.plan.as_ref();
                plan.map_or(TIMING.look_moving, |plan| plan.look_again_in)
            }
            None => {
                self.reconciler.forget(&self.id);
                self.world.restart();
                RESTART
            }
        };
        self.world.advance(pause);
    }

    fn tick(&self) -> Result<Looked, Violation> {
        process::look(&self.runtime, &self.reconciler, &self.world, &self.id).map_err(|error| match error {
            TickError::Unknown(_) | TickError::Store(_) => Violation::new("the_store_answers", "The look failed."),
        })
    }

    /// Goes on until the end, with Ana destroying at her time.
    pub(crate) fn run_to_the_end(&mut self) -> Result<(), Violation> {
        while !self.now.ended {
            self.begin_look();
            self.look()?;
        }
        Ok(())
    }

    /// What happens before a look without anybody's choice.
    pub(crate) fn begin_look(&mut self) {
        if self.now.look == self.destroyed_at {
            self.at = None;
            self.now.watch.begins_to_go(self.now.look);
            let _ = self.ask(Person::Destroy);
        }
    }

    /// The feed so far.
    pub(crate) fn feed(&self) -> Vec<String> {
        let start = self.setting.world().start;
        let events = self
            .store
            .events(&self.id, 0, arya_engine::EVENTS_AT_ONCE)
            .unwrap_or_default();
        let line = |event: RecordedEvent| {
            format!(
                "{:>6.1} s  {}",
                event.at.duration_since(start).as_secs_f64(),
                event.sentence
            )
        };
        events.into_iter().map(line).collect()
    }
}

/// The kinds of a look's calls: steps are in the journal, the first call is the look, and what is missing asked for
/// evidence.
fn calls_of(entries: &[Entry], from: u32, to: u32) -> Vec<CallKind> {
    let kind = |call: u32| {
        let step = entries.iter().find(|entry| entry.call == call);
        match step {
            Some(entry) => CallKind::of(&entry.step),
            None if call == from => CallKind::Look,
            None => CallKind::Evidence,
        }
    };
    (from..to).map(kind).collect()
}

/// Lives through a script; the life as it ended, and the promise that was broken, if one was. What cannot happen when its
/// time comes is left out.
pub(crate) fn live(script: &Script) -> (Life, Result<(), Violation>) {
    let mut life = Life::new(script.setting, script.destroyed_at);
    while !life.now.ended {
        life.begin_look();
        let here = life.now.look;
        for happening in script.happenings.iter().filter(|happening| happening.look == here) {
            let _ = life.happen(happening.act);
        }
        if let Err(violation) = life.look() {
            return (life, Err(violation));
        }
    }
    (life, Ok(()))
}
