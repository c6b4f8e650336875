//! The loop's body: one look at one deployment, what it leads to, and the steps that follow. It must never know an
//! adapter or a page, and keeps nothing that a crash may not lose.

mod judging;
mod memory;
#[cfg(feature = "simulation")]
mod planted;
#[cfg(feature = "simulation")]
mod rewind;
mod stepping;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arya_judge::{MetricSource, Timestamp, Verdict};
use arya_plan::cloud::{Cloud, CloudError, ErrorKind};
use arya_plan::decide::decide;
use arya_plan::desired::{Actor, Change, Goal, MainRule};
use arya_plan::identity::{DeploymentId, RuleKind};
use arya_plan::observed::Observed;
use arya_plan::phase::Phase;
use arya_plan::plan::{Plan, Step, WaitReason, Waiting, plan};
use arya_plan::proof::{Whose, restore_proof};
use tokio::time::timeout;
use tracing::{error, warn};

use crate::EngineSettings;
use crate::event::Event;
use crate::journal::Journal;
use crate::report::Report;
use crate::store::{Store, StoreError, StoredDeployment, SubmitError};
use crate::unsaved::{self, Unsaved, does_not_raise};
pub(crate) use judging::of_its_protocol;
pub use judging::{CATCH_UP_AT_MOST, CHOSEN_WITHIN, EVIDENCE_AT_MOST};
use memory::Memory;
pub use memory::{BACK_OFF_AT_LEAST, BACK_OFF_AT_MOST};
#[cfg(feature = "simulation")]
pub use rewind::Moment;
use stepping::MadeRule;
pub use stepping::{REFUSALS_PER_EVENT, STEP_AT_MOST, STUCK_AFTER, UPLOADS_PER_EVENT};

/// A look that takes longer is given up; the next one starts anew.
pub const OBSERVE_AT_MOST: Duration = Duration::from_secs(15);
/// Changes that one look may lead to. A life needs at most three in a row (seen, latched, removed); more is a loop.
pub const CHANGES_PER_LOOK: usize = 8;

/// Why a look led to nothing.
#[derive(Debug, thiserror::Error)]
pub enum TickError {
    #[error("There is no deployment {0}.")]
    Unknown(DeploymentId),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Looks at deployments of one cloud and acts.
#[derive(Debug)]
pub struct Reconciler<C, M> {
    cloud: C,
    source: M,
    journal: Arc<Journal>,
    settings: EngineSettings,
    memories: Mutex<HashMap<DeploymentId, Arc<tokio::sync::Mutex<Memory>>>>,
}

impl<C: Cloud, M: MetricSource> Reconciler<C, M> {
    /// A reconciler without loops, for whoever decides when to look: simulations, and tests of single looks.
    pub fn new(store: Arc<Store>, cloud: C, source: M, settings: EngineSettings) -> Self {
        let journal = Arc::new(Journal::new(store, settings.clock.clone()));
        Self::telling(journal, cloud, source, settings)
    }

    /// One that tells a journal's listeners.
    pub(crate) fn telling(journal: Arc<Journal>, cloud: C, source: M, settings: EngineSettings) -> Self {
        Self {
            cloud,
            source,
            journal,
            settings,
            memories: Mutex::default(),
        }
    }

    /// One attempt; the loop is the retry. The plan in the report says when to look again.
    ///
    /// # Errors
    /// When the store cannot be read. A cloud that does not answer is no error but a reason to wait.
    pub async fn tick(&self, id: &DeploymentId) -> Result<Report, TickError> {
        let memory = self.memory(id)?;
        let mut memory = memory.lock().await;
        let stored = self.load(id, &mut memory)?;
        if stored.closed_at.is_some() {
            return Ok(self.report(&stored, &memory));
        }
        let now = self.journal.clock.now();
        let observed = match timeout(OBSERVE_AT_MOST, self.cloud.observe(&stored.desired, now)).await {
            Ok(Ok(observed)) => Arc::new(observed),
            Ok(Err(error)) => return Ok(self.unsighted(&stored, &mut memory, &error).await),
            Err(_) => {
                let error = no_answer("a look", OBSERVE_AT_MOST);
                return Ok(self.unsighted(&stored, &mut memory, &error).await);
            }
        };
        // What a person asked while the cloud was answering counts already.
        let stored = self.load(id, &mut memory)?;
        memory.seen.look(&stored.desired, &observed);
        self.tell_of_instances(id, &observed, &mut memory);
        // The watchdog first: a slow source of evidence must not hold back what the look alone forbids.
        let mut stored = self.follow(stored, &observed, &mut memory, None)?;
        self.note_confounder(&stored, &observed, &mut memory);
        if stored.desired.main_rule == MainRule::Seen && matches!(stored.desired.goal, Goal::Serve { .. }) {
            let verdict = self.judge(&stored, now, &mut memory).await;
            let judged = self.load(id, &mut memory)?;
            stored = self.follow(judged, &observed, &mut memory, verdict.as_ref())?;
        }
        let mut plan = plan(&stored.desired, &observed, &memory.seen, &self.settings.timing);
        self.tell_phase(id, plan.phase, &mut memory);
        memory.seen.note_waiting(&plan);
        let made = self.carry_out(&stored.desired, &observed, &mut plan, &mut memory).await;
        #[cfg(feature = "simulation")]
        self.spoil_after_steps(id, &mut stored, &mut memory);
        if let Some(made) = made {
            self.main_rule_made(&mut stored, &mut memory, &made)?;
        }
        plan.waiting
            .extend(self.journal.unsaved(id).first().map(Unsaved::waiting));
        if plan.phase == Phase::Destroyed {
            self.close(&mut stored, &observed, &mut memory)?;
        }
        memory.observed = Some(observed);
        memory.plan = Some(plan);
        memory.cloud_error = None;
        Ok(self.report(&stored, &memory))
    }

    /// What can be said of a deployment before its first look.
    pub(crate) fn first_report(&self, stored: &StoredDeployment) -> Report {
        self.report(stored, &Memory::default())
    }

    /// Forgets a deployment's memory, as a crash would.
    pub fn forget(&self, id: &DeploymentId) {
        self.memories.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    fn memory(&self, id: &DeploymentId) -> Result<Arc<tokio::sync::Mutex<Memory>>, TickError> {
        let mut memories = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(memory) = memories.get(id) {
            return Ok(memory.clone());
        }
        self.tell_interrupted(id)?;
        let recalled = Memory::recall(&self.journal.store.latest_events(id, crate::store::EVENTS_AT_ONCE)?);
        let memory = Arc::new(tokio::sync::Mutex::new(recalled));
        memories.insert(*id, memory.clone());
        Ok(memory)
    }

    fn load(&self, id: &DeploymentId, memory: &mut Memory) -> Result<Arc<StoredDeployment>, TickError> {
        let stored = self.journal.store.deployment_again(id, &mut memory.known)?;
        stored.ok_or(TickError::Unknown(*id))
    }

    /// Stores what the look asks for, one change after the other, all by the same observation.
    fn follow(
        &self,
        mut stored: Arc<StoredDeployment>,
        observed: &Observed,
        memory: &mut Memory,
        verdict: Option<&Verdict>,
    ) -> Result<Arc<StoredDeployment>, TickError> {
        let id = stored.desired.id;
        for unsaved in self.journal.unsaved(&id) {
            if does_not_raise(&unsaved.change, &stored.desired) {
                self.change(&mut stored, memory, &unsaved.change, &unsaved.by)?;
            } else {
                // A later change that was stored went further already.
                self.journal.settle(&id, &unsaved.change);
            }
        }
        for _ in 0..CHANGES_PER_LOOK {
            let timing = &self.settings.timing;
            let Some((change, by)) = decide(&stored.desired, observed, &memory.seen, timing, verdict) else {
                return Ok(stored);
            };
            if !self.change(&mut stored, memory, &change, &by)? {
                return Ok(stored);
            }
        }
        error!(deployment = %id, "a look led to {CHANGES_PER_LOOK} changes; the rest waits for the next look");
        Ok(stored)
    }

    /// Makes one change; says whether there may be more to decide.
    fn change(
        &self,
        stored: &mut Arc<StoredDeployment>,
        memory: &mut Memory,
        change: &Change,
        by: &Actor,
    ) -> Result<bool, TickError> {
        let id = stored.desired.id;
        #[cfg(feature = "simulation")]
        if Self::puts_off(stored, memory, change, by) {
            return Ok(true);
        }
        let answer = self.journal.edit(&id, change, by);
        match answer {
            // Failing towards production's own rule does not wait for a disk.
            Err(SubmitError::Store(problem)) if does_not_raise(change, &stored.desired) => {
                // That our rule stands is seen anew by each look; kept, it could be told of a later share.
                if matches!(change, Change::MainRuleSeen | Change::MainRuleMade { .. }) {
                    error!(deployment = %id, error = %problem, "that our main rule stands could not be stored");
                } else {
                    self.journal.keep_unsaved(&id, change, by, &problem);
                }
                return Ok(unsaved::follow(
                    &mut Arc::make_mut(stored).desired,
                    change,
                    by,
                    self.journal.clock.now(),
                ));
            }
            Err(SubmitError::Store(problem)) => return Err(problem.into()),
            Ok(_) | Err(SubmitError::Refused(_) | SubmitError::Unknown(_) | SubmitError::Closed) => {
                self.journal.settle(&id, change);
            }
        }
        if let Err(SubmitError::Refused(refusal)) = &answer {
            warn!(deployment = %id, "{by} asked for {change:?}, which is refused: {refusal}");
        }
        *stored = self.load(&id, memory)?;
        for earlier in self.journal.unsaved(&id) {
            if does_not_raise(&earlier.change, &stored.desired) {
                unsaved::follow(
                    &mut Arc::make_mut(stored).desired,
                    &earlier.change,
                    &earlier.by,
                    self.journal.clock.now(),
                );
            }
        }
        Ok(answer.is_ok())
    }

    /// The cloud said that our main rule was created: kept, so that a person who deletes it before a look has shown it
    /// does not see it come back.
    fn main_rule_made(
        &self,
        stored: &mut Arc<StoredDeployment>,
        memory: &mut Memory,
        made: &MadeRule,
    ) -> Result<(), TickError> {
        let (id, generation) = (stored.desired.id, stored.desired.generation);
        let change = Change::MainRuleMade {
            priority: made.priority,
        };
        self.change(stored, memory, &change, &Actor::Arya)?;
        // The change tells it; where there was nothing to change any more, the feed still says what was done.
        if stored.desired.generation == generation {
            self.journal.mention(&id, made.event.clone());
        }
        Ok(())
    }

    /// Without a look nothing is decided, and one thing is done: where no user is to reach the arms any more, our rule goes.
    /// Part of a cloud may be silent for long, and taking our rule away needs only the load balancer's part.
    async fn unsighted(&self, stored: &StoredDeployment, memory: &mut Memory, error: &CloudError) -> Report {
        let desired = &stored.desired;
        if !desired.wants_traffic() && !matches!(desired.main_rule, MainRule::NotYet | MainRule::Away) {
            let kind = RuleKind::Main;
            // What comes of it the next look tells.
            let _ = timeout(STEP_AT_MOST, self.cloud.apply(desired, &Step::DeleteRule { kind })).await;
        }
        self.blind(stored, memory, error)
    }

    /// The cloud did not answer: nothing is decided, and everybody can see it.
    fn blind(&self, stored: &StoredDeployment, memory: &mut Memory, error: &CloudError) -> Report {
        let now = self.journal.clock.now();
        let timing = &self.settings.timing;
        let mut look_again_in = memory
            .plan
            .as_ref()
            .map_or(timing.look_moving, |plan| plan.look_again_in);
        if error.kind == ErrorKind::Throttled {
            look_again_in = look_again_in.max(memory.throttled(timing));
        }
        let phase = memory
            .phase
            .unwrap_or_else(|| Report::unseen(stored, None, timing, now).phase);
        let since = *memory.blind_since.get_or_insert(now);
        let waiting = vec![Waiting {
            reason: WaitReason::Cloud {
                error: error.to_string(),
            },
            since,
        }];
        memory.plan = Some(Plan {
            phase,
            steps: Vec::new(),
            waiting,
            look_again_in,
        });
        memory.cloud_error = Some(error.clone());
        self.report(stored, memory)
    }

    fn tell_phase(&self, id: &DeploymentId, phase: Phase, memory: &mut Memory) {
        memory.blind_since = None;
        let told = memory.phase.replace(phase);
        // The restore proof says the end better than its word, and what follows draining was told before it.
        let known = match phase {
            Phase::Destroyed => true,
            Phase::Destroying => told == Some(Phase::Draining),
            Phase::Uploading
            | Phase::Provisioning
            | Phase::WarmingUp
            | Phase::Serving
            | Phase::Held
            | Phase::Draining
            | Phase::Failed => false,
        };
        if told != Some(phase) && !known {
            self.journal.mention(id, Event::PhaseChanged { to: phase });
        }
    }

    fn tell_of_instances(&self, id: &DeploymentId, observed: &Observed, memory: &mut Memory) {
        for instance in &observed.instances {
            let Some(report) = &instance.report else { continue };
            let (place, incarnation) = (instance.place, instance.incarnation);
            if memory.reported.get(&(place, incarnation)) == Some(&report.phase) {
                continue;
            }
            memory.reported.insert((place, incarnation), report.phase);
            let launched = memory.launched.get(&(place, incarnation));
            let after_s = launched
                .map(|at| report.at.duration_since(*at).as_secs_f64())
                .filter(|s| *s >= 0.0);
            self.journal.mention(
                id,
                Event::InstanceReported {
                    place,
                    incarnation,
                    phase: report.phase,
                    after_s,
                },
            );
        }
    }

    /// Nothing of ours is left: proves it and closes. A proof that fails closes nothing, and the next look removes on.
    fn close(
        &self,
        stored: &mut Arc<StoredDeployment>,
        observed: &Observed,
        memory: &mut Memory,
    ) -> Result<(), TickError> {
        let id = stored.desired.id;
        let proof = restore_proof(&id, &stored.before, observed.site.as_ref());
        let count = |whose: Whose| proof.differences.iter().filter(|d| d.whose == whose).count();
        let event = Event::Restored {
            ours: count(Whose::Ours),
            others: count(Whose::Others),
        };
        if proof.holds() {
            self.journal.close(&id, &proof, event)?;
            *stored = self.load(&id, memory)?;
        } else {
            if memory.is_news(&proof) {
                self.journal.mention(&id, event);
            }
            Arc::make_mut(stored).restore_proof = Some(proof);
        }
        Ok(())
    }

    fn report(&self, stored: &StoredDeployment, memory: &Memory) -> Report {
        let now = self.journal.clock.now();
        let verdict = self.verdict_to_report(stored, memory);
        let unseen = match &memory.plan {
            Some(plan) => Report::in_phase(plan.phase, stored, verdict, now),
            None => Report::unseen(stored, verdict, &self.settings.timing, now),
        };
        Report {
            observed: memory.observed.as_deref().cloned(),
            plan: memory.plan.clone(),
            tracks: memory.judged.tracks.clone(),
            cloud_error: memory.cloud_error.as_ref().map(ToString::to_string),
            cloud_said: memory.cloud_error.as_ref().map(|error| error.kind),
            ..unseen
        }
    }
}

fn no_answer(to: &str, limit: Duration) -> CloudError {
    let what = format!(
        "The cloud did not answer {to} within {} s; what it did is not known.",
        limit.as_secs()
    );
    CloudError::new(ErrorKind::Unknown, what, "")
}

/// A point in time as far ahead as a duration says.
fn after(at: Timestamp, duration: Duration) -> Timestamp {
    at.checked_add(duration).unwrap_or(at)
}
