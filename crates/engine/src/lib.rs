//! One loop per deployment, the store, the events: what is desired is stored, what is seen leads to steps, and every
//! other part only reads. It must never know an adapter, a web framework or a page.

mod clock;
mod event;
mod journal;
mod kept;
mod reconciler;
mod report;
mod running;
mod settings;
mod store;
mod unsaved;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arya_judge::{JudgeConfig, MetricSource, Timestamp};
use arya_plan::cloud::Cloud;
use arya_plan::desired::{Actor, Change, Desired};
use arya_plan::identity::{DeploymentId, InstallationId};
use arya_plan::listener::Site;
use arya_plan::phase::Phase;
use arya_plan::preview::HarmfulPair;
use arya_plan::timing::Timing;
use tokio::sync::{broadcast, watch};
use uuid::Uuid;

pub use clock::Clock;
pub use event::{Event, RecordedEvent};
pub use journal::EVENTS_BUFFERED;
pub use kept::Kept;
#[cfg(feature = "simulation")]
pub use reconciler::Moment;
pub use reconciler::{
    BACK_OFF_AT_LEAST, BACK_OFF_AT_MOST, CATCH_UP_AT_MOST, CHANGES_PER_LOOK, CHOSEN_WITHIN, EVIDENCE_AT_MOST,
    OBSERVE_AT_MOST, REFUSALS_PER_EVENT, Reconciler, STEP_AT_MOST, STUCK_AFTER, TickError, UPLOADS_PER_EVENT,
};
pub use report::{Report, Track};
pub use settings::EngineSettings;
pub use store::{
    BLOCKS_KEPT, CreateError, EVENTS_AT_ONCE, EVENTS_KEPT, Edited, Meanwhile, OPEN_MAX, PAUSES_KEPT, Pauses, ROWS_MAX,
    Store, StoreError, StoredDeployment, StoredPause, StoredVerdict, SubmitError, VERDICTS_KEPT,
};

use journal::Journal;
use running::Running;

/// How long loops are given to finish the look they are in. What is cut off is done by the next start.
const SHUTDOWN_AT_MOST: Duration = Duration::from_secs(3);
/// Ended loops whose last report stays at hand; older ones are read from the store.
const ENDED_AT_HAND: usize = 100;

/// A number that rises with every stored change of a deployment.
pub type Generation = u64;

/// One line of the list of deployments.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    pub id: DeploymentId,
    pub name: String,
    pub phase: Phase,
    pub created_at: Timestamp,
    pub closed_at: Option<Timestamp>,
    /// Fresh from the store.
    pub desired: Desired,
}

/// The running engine: a plain handle, cheap to clone.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    journal: Arc<Journal>,
    timing: Timing,
    /// What is judged by where nothing was chosen.
    judge: JudgeConfig,
    /// Starts a loop; hides which cloud and which source it runs on.
    begin: Box<dyn Fn(&StoredDeployment) -> Running + Send + Sync>,
    loops: Mutex<HashMap<DeploymentId, Running>>,
    closing: watch::Sender<bool>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

impl Engine {
    /// Starts a loop for every open deployment. Call it inside a tokio runtime, on which the loops then run.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn start<C: Cloud, M: MetricSource>(
        store: Arc<Store>,
        cloud: C,
        source: M,
        settings: EngineSettings,
    ) -> Result<Self, StoreError> {
        let journal = Arc::new(Journal::new(store, settings.clock.clone()));
        let (timing, judge) = (settings.timing.clone(), settings.judge.clone());
        let abandon_open = settings.abandon_open;
        let reconciler = Arc::new(Reconciler::telling(journal.clone(), cloud, source, settings));
        let closing = watch::Sender::new(false);
        let begin = running::starter(
            reconciler,
            tokio::runtime::Handle::current(),
            closing.clone(),
            judge.minimum_bake_s,
        );
        let inner = Inner {
            journal,
            timing,
            judge,
            begin: Box::new(begin),
            loops: Mutex::default(),
            closing,
        };
        let engine = Self { inner: Arc::new(inner) };
        for stored in engine.store().open_deployments()? {
            if abandon_open {
                engine.abandon(&stored)?;
            }
            engine.begin(&stored.desired.id)?;
        }
        Ok(engine)
    }

    /// Takes in a deployment and starts its loop. `before` is the listener as the plan saw it.
    ///
    /// # Errors
    /// When the name is that of a live deployment, or nothing more can be taken in.
    pub fn create(&self, desired: &Desired, before: &Site, by: &Actor) -> Result<(), CreateError> {
        if *self.inner.closing.borrow() {
            return Err(CreateError::ShuttingDown);
        }
        self.inner.journal.create(desired, before, by)?;
        self.begin(&desired.id)?;
        Ok(())
    }

    /// An id whose short form no stored deployment has.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn new_id(&self) -> Result<DeploymentId, StoreError> {
        loop {
            let id = DeploymentId::new(Uuid::new_v4());
            // 50 random bits: a second round is a matter of principle.
            if self.store().find(&id.short())?.is_none() {
                return Ok(id);
            }
        }
    }

    /// Edits the desired state and wakes the loop. Destroying again is no error.
    ///
    /// # Errors
    /// When the edit is refused, or there is no such open deployment; nothing has changed then. When the store fails,
    /// a destroy and a lower share are followed all the same, and the generation stays as it was.
    pub fn submit(&self, id: &DeploymentId, change: &Change, by: &Actor) -> Result<Generation, SubmitError> {
        let desired = match self.inner.journal.edit(id, change, by) {
            Err(SubmitError::Store(problem)) => return self.submit_unsaved(id, change, by, problem),
            answer => answer?,
        };
        let generation = desired.generation;
        if let Some(running) = self.loops().get(id) {
            running.take(desired);
        }
        Ok(generation)
    }

    /// Has the loop follow what takes users away from the canary, although the store failed.
    fn submit_unsaved(
        &self,
        id: &DeploymentId,
        change: &Change,
        by: &Actor,
        problem: StoreError,
    ) -> Result<Generation, SubmitError> {
        let loops = self.loops();
        let running = loops.get(id).filter(|running| !running.has_ended());
        let (Some(running), Change::Destroy | Change::SetShare { .. }) = (running, change) else {
            return Err(problem.into());
        };
        let mut desired = running.reports().borrow().desired.clone();
        let generation = desired.generation;
        for earlier in self.inner.journal.unsaved(id) {
            unsaved::follow(&mut desired, &earlier.change, &earlier.by, self.now());
        }
        if !unsaved::does_not_raise(change, &desired) {
            return Err(problem.into());
        }
        desired.apply(change, by, self.now())?;
        self.inner.journal.keep_unsaved(id, change, by, &problem);
        running.wake();
        Ok(generation)
    }

    /// A deployment's latest report and those to come; `None` = there is no such deployment.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn report(&self, id: &DeploymentId) -> Result<Option<watch::Receiver<Arc<Report>>>, StoreError> {
        if let Some(running) = self.loops().get(id) {
            return Ok(Some(running.reports()));
        }
        let Some(stored) = self.store().deployment(id)? else {
            return Ok(None);
        };
        let verdict = self.final_verdict(&stored)?;
        let report = Report::unseen(&stored, verdict, &self.inner.timing, self.now());
        Ok(Some(watch::Sender::new(Arc::new(report)).subscribe()))
    }

    /// Open and closed deployments, open ones first, then newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn deployments(&self, limit: usize) -> Result<Vec<Summary>, StoreError> {
        Ok(self.summaries(self.store().deployments(limit)?))
    }

    /// Every deployment that is not closed, oldest first; at most [`OPEN_MAX`].
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn open_deployments(&self) -> Result<Vec<Summary>, StoreError> {
        Ok(self.summaries(self.store().open_deployments()?))
    }

    fn summaries(&self, stored: Vec<StoredDeployment>) -> Vec<Summary> {
        let loops = self.loops();
        let summary = |stored: StoredDeployment| {
            let id = stored.desired.id;
            let phase = loops.get(&id).map(Running::phase);
            Summary {
                id,
                name: stored.desired.spec.name.clone(),
                phase: phase.unwrap_or_else(|| Report::unseen(&stored, None, &self.inner.timing, self.now()).phase),
                created_at: stored.desired.created_at,
                closed_at: stored.closed_at,
                desired: stored.desired,
            }
        };
        stored.into_iter().map(summary).collect()
    }

    /// A deployment's events after a sequence number (0 = all), oldest first, at most [`EVENTS_AT_ONCE`].
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn events(&self, id: &DeploymentId, after: u64, limit: usize) -> Result<Vec<RecordedEvent>, StoreError> {
        self.store().events(id, after, limit)
    }

    /// A deployment's newest events, oldest of them first, at most [`EVENTS_AT_ONCE`].
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn latest_events(&self, id: &DeploymentId, limit: usize) -> Result<Vec<RecordedEvent>, StoreError> {
        self.store().latest_events(id, limit)
    }

    /// Every event from now on, of all deployments, in the order of their sequence numbers. A listener that lags by more
    /// than [`EVENTS_BUFFERED`] reads what it missed with [`Engine::events`].
    pub fn subscribe(&self) -> broadcast::Receiver<RecordedEvent> {
        self.inner.journal.subscribe()
    }

    /// Writes something that the world told into a deployment's feed, and has the loop look at once.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub fn note(&self, id: &DeploymentId, sentence: impl Into<String>) -> Result<(), SubmitError> {
        if self.store().deployment(id)?.is_none() {
            return Err(SubmitError::Unknown(*id));
        }
        self.inner.journal.record(
            id,
            Event::Noted {
                sentence: sentence.into(),
            },
        )?;
        self.look_now(id);
        Ok(())
    }

    /// Has the loop look at once instead of waiting for its turn.
    pub fn look_now(&self, id: &DeploymentId) {
        if let Some(running) = self.loops().get(id) {
            running.wake();
        }
    }

    /// Pairs of images that were *harmful* together and that nobody overruled.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn harmful_pairs(&self) -> Result<Vec<HarmfulPair>, StoreError> {
        let pair = |stored: StoredDeployment| HarmfulPair {
            baseline: stored.desired.spec.baseline.image,
            canary: stored.desired.spec.canary.image,
            deployment: stored.desired.id,
        };
        Ok(self.store().harmful_deployments()?.into_iter().map(pair).collect())
    }

    /// The store, for snapshots and its own health.
    pub fn store(&self) -> &Store {
        &self.inner.journal.store
    }

    pub fn installation(&self) -> InstallationId {
        self.store().installation()
    }

    /// The time, from the engine's clock.
    pub fn now(&self) -> Timestamp {
        self.inner.journal.clock.now()
    }

    /// Ends the loops after the look they are in. Nothing in the cloud is touched: the next start goes on.
    pub async fn shutdown(&self) {
        self.inner.closing.send_replace(true);
        let tasks: Vec<_> = self.loops().drain().map(|(_, running)| running.into_task()).collect();
        for mut task in tasks {
            if tokio::time::timeout(SHUTDOWN_AT_MOST, &mut task).await.is_err() {
                task.abort();
            }
        }
    }

    fn begin(&self, id: &DeploymentId) -> Result<(), StoreError> {
        let Some(stored) = self.store().deployment(id)? else {
            return Ok(());
        };
        let running = (self.inner.begin)(&stored);
        let mut loops = self.loops();
        while loops.values().filter(|running| running.has_ended()).count() > ENDED_AT_HAND {
            let Some(ended) = loops.iter().find(|(_, r)| r.has_ended()).map(|(id, _)| *id) else {
                break;
            };
            loops.remove(&ended);
        }
        loops.insert(*id, running);
        Ok(())
    }

    fn abandon(&self, stored: &StoredDeployment) -> Result<(), StoreError> {
        let id = &stored.desired.id;
        self.inner.journal.record(id, Event::Abandoned)?;
        match self.inner.journal.edit(id, &Change::Destroy, &Actor::Arya) {
            Ok(_) | Err(SubmitError::Unknown(_) | SubmitError::Closed | SubmitError::Refused(_)) => Ok(()),
            Err(SubmitError::Store(error)) => Err(error),
        }
    }

    /// The result of a deployment that no loop runs for.
    fn final_verdict(&self, stored: &StoredDeployment) -> Result<Option<arya_judge::Verdict>, StoreError> {
        let id = &stored.desired.id;
        let pauses = self.store().pauses(id)?;
        let bake_s = self.inner.judge.minimum_bake_s;
        report::verdict_to_say(stored, bake_s, None, pauses.open(), |outcome| {
            self.store().last_verdict(id, outcome)
        })
    }

    fn loops(&self) -> MutexGuard<'_, HashMap<DeploymentId, Running>> {
        self.inner.loops.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
