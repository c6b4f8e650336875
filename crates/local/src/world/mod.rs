//! A whole account and region in memory, on simulated time: the second face of the local cloud.
//!
//! Time moves only when the caller moves it, nothing is left to chance, and a world can be forked at any point. Faults are
//! data ([`Fault`]), and so are the people and the accidents ([`Edit`], [`Mishap`]). Traffic is answered by the same
//! semantics as in the live balancer. A world panics when a stranger's resource would be touched.
//!
//! Must never read a clock, start a task, or decide: it carries out what the planner says, as AWS would.

mod acting;
mod birth;
mod calls;
mod edits;
mod evidence;
mod fault;
pub mod ground;
mod happening;
mod journal;
mod looking;
mod mishaps;
mod routing;
mod settings;
mod state;
mod time;

use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arya_judge::{Evidence, MetricConfig, MetricSource, SourceError, Timestamp};
use arya_plan::cloud::{Cloud, CloudError};
use arya_plan::desired::Desired;
use arya_plan::identity::{DeploymentId, Owner};
use arya_plan::listener::{Rule, Site};
use arya_plan::observed::Observed;
use arya_plan::plan::Step;

pub use evidence::BLOCK_S;
pub use fault::{At, CallKind, Fault, FaultKind};
pub use happening::{BASELINE, CANARY, Edit, Happened, MONITOR, Mishap};
pub use journal::{Answer, Effect, Entry};
pub use routing::{Node, Part, To, Visit};
pub use settings::{Counted, Pace, Quotas, Settings, Tokens};
pub use state::State;

/// A handle to a world. Clones speak of the same world; [`World::fork`] makes another one.
#[derive(Debug, Clone)]
pub struct World(Arc<Mutex<State>>);

impl Default for World {
    fn default() -> Self {
        Self::new(Settings::default())
    }
}

impl From<State> for World {
    fn from(state: State) -> Self {
        Self(Arc::new(Mutex::new(state)))
    }
}

impl World {
    pub fn new(settings: Settings) -> Self {
        State::new(settings).into()
    }

    /// A world that is the same until now and goes its own way from here.
    pub fn fork(&self) -> Self {
        self.snapshot().into()
    }

    /// The whole state as a value.
    pub fn snapshot(&self) -> State {
        self.state().clone()
    }

    /// Goes back to a state, whoever holds a handle.
    pub fn reset(&self, to: State) {
        *self.state() = to;
    }

    /// The world's time of day.
    pub fn now(&self) -> Timestamp {
        self.state().now()
    }

    /// Lets time pass, and with it whatever is due: boots, health checks, drains, uploads, ends.
    pub fn advance(&self, by: Duration) {
        self.state().advance(by);
    }

    /// A call will go wrong.
    pub fn fault(&self, fault: Fault) {
        self.state().add_fault(fault);
    }

    /// The faults that no call has used up.
    pub fn faults_left(&self) -> Vec<Fault> {
        self.state().faults_left().to_vec()
    }

    /// A person does something.
    pub fn edit(&self, desired: &Desired, edit: Edit) -> Happened {
        self.state().edit(desired, edit)
    }

    /// Somebody edits the list of rules by hand, in any way.
    pub fn edit_rules(&self, edit: impl FnOnce(&mut Vec<Rule>)) {
        self.state().edit_rules(edit);
    }

    /// Something breaks, or is well again.
    pub fn mishap(&self, desired: &Desired, mishap: Mishap) -> Happened {
        self.state().mishap(desired, mishap)
    }

    /// How many calls have been made: the number of the next one.
    pub fn calls(&self) -> u32 {
        self.state().calls()
    }

    /// How many calls of a kind have been made.
    pub fn calls_of(&self, kind: CallKind) -> u32 {
        self.state().calls_of(kind)
    }

    /// Every step that arrived, oldest first.
    pub fn journal(&self) -> Vec<Entry> {
        self.state().journal().to_vec()
    }

    /// Every step that arrived since the last time it was asked, oldest first; they are forgotten.
    pub fn take_journal(&self) -> Vec<Entry> {
        self.state().take_journal()
    }

    /// Whether some call will never be answered: it hangs, or the asking process is dead.
    pub fn is_silent(&self) -> bool {
        self.state().is_silent()
    }

    /// Whether the asking process is dead; then nothing is answered until [`World::restart`].
    pub fn is_dead(&self) -> bool {
        self.state().is_dead()
    }

    /// The asking process starts anew: calls that hung are forgotten, and uploads that it was sending are gone.
    pub fn restart(&self) {
        self.state().restart();
    }

    /// How things are, without lag and without a call.
    pub fn truth(&self, desired: &Desired) -> Observed {
        self.state().truth(desired)
    }

    /// The listener as it is, without lag and without a call.
    pub fn site(&self) -> Option<Site> {
        self.state().site()
    }

    /// The rules that nobody of ours owns, in order.
    pub fn strangers_rules(&self) -> Vec<Rule> {
        let state = self.state();
        state
            .rules()
            .iter()
            .filter(|rule| rule.owner.is_none())
            .cloned()
            .collect()
    }

    /// The tags of everything that stands, terminated instances apart. A place that is filled twice is there twice.
    pub fn owners(&self) -> Vec<Owner> {
        self.state().owners().cloned().collect()
    }

    /// Where such a request goes now, in parts that add up to 1.
    pub fn shares(&self, visit: &Visit<'_>) -> Vec<Part> {
        self.state().shares(visit)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A guard that panicked leaves a world that a shrinking search still wants to print.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a caller gets.
#[derive(Debug)]
enum Told<T> {
    Answer(T),
    /// Nothing, ever.
    Silence,
}

impl<T> Told<T> {
    async fn heard(self) -> T {
        match self {
            Self::Answer(answer) => answer,
            Self::Silence => std::future::pending().await,
        }
    }
}

impl Cloud for World {
    async fn discover(&self) -> Result<Vec<Site>, CloudError> {
        let told = self.state().discover();
        told.heard().await
    }

    async fn list(&self) -> Result<Vec<DeploymentId>, CloudError> {
        let told = self.state().list();
        told.heard().await
    }

    async fn observe(&self, desired: &Desired, now: Timestamp) -> Result<Observed, CloudError> {
        let told = self.state().observe(desired, now);
        told.heard().await
    }

    async fn apply(&self, desired: &Desired, step: &Step) -> Result<(), CloudError> {
        let told = self.state().apply(desired, step);
        told.heard().await
    }
}

impl MetricSource for World {
    async fn evidence(
        &self,
        deployment: &str,
        metric: &MetricConfig,
        window: RangeInclusive<Timestamp>,
    ) -> Result<Evidence, SourceError> {
        let told = self.state().evidence(deployment, metric, &window);
        told.heard().await
    }
}
