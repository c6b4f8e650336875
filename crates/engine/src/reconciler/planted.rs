//! The engine's part of the bugs that a simulation can switch on. Compiled for the simulation alone.

use std::sync::Arc;

use arya_judge::MetricSource;
use arya_plan::cloud::{Cloud, ErrorKind};
use arya_plan::desired::{Actor, Change};
use arya_plan::identity::DeploymentId;
use arya_plan::plan::Step;
use arya_plan::planted::{Bug, is_planted};

use super::Reconciler;
use super::memory::Memory;
use crate::store::StoredDeployment;
use crate::unsaved;

impl<C: Cloud, M: MetricSource> Reconciler<C, M> {
    /// Whether a change is followed now and stored after its effect.
    pub(super) fn puts_off(
        stored: &mut Arc<StoredDeployment>,
        memory: &mut Memory,
        change: &Change,
        by: &Actor,
    ) -> bool {
        let planted = is_planted(Bug::ActsBeforeStoring);
        if planted {
            let now = stored.desired.created_at;
            unsaved::follow(&mut Arc::make_mut(stored).desired, change, by, now);
            memory.put_off.push((change.clone(), by.clone()));
        }
        planted
    }

    /// Stores what was put off, and takes a launch without an answer for one that failed.
    pub(super) fn spoil_after_steps(&self, id: &DeploymentId, stored: &mut Arc<StoredDeployment>, memory: &mut Memory) {
        for (change, by) in std::mem::take(&mut memory.put_off) {
            let _ = self.journal.edit(id, &change, &by);
        }
        if let Ok(now) = self.load(id, memory) {
            *stored = now;
        }
        if is_planted(Bug::LostAnswerIsFailure) {
            for step in memory.attempts.without_answer(ErrorKind::Unknown) {
                if let Step::LaunchInstance { place, .. } = step {
                    let _ = self.journal.edit(id, &Change::Replace { place }, &Actor::Arya);
                }
            }
        }
    }
}
