//! The store and those who listen to it: whatever is written as an event is told in the same order.

use std::collections::HashMap;
use std::mem::discriminant;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arya_plan::desired::{Actor, Change, Desired};
use arya_plan::identity::DeploymentId;
use arya_plan::listener::Site;
use arya_plan::proof::RestoreProof;
use tokio::sync::broadcast;
use tracing::error;

use crate::clock::Clock;
use crate::event::{Event, RecordedEvent};
use crate::store::{CreateError, Store, StoreError, SubmitError};
use crate::unsaved::Unsaved;

/// Events that wait for a slow listener. One that falls behind by more reads the rest from the store.
pub const EVENTS_BUFFERED: usize = 1_024;

#[derive(Debug)]
pub(crate) struct Journal {
    pub(crate) store: Arc<Store>,
    pub(crate) clock: Clock,
    listeners: broadcast::Sender<RecordedEvent>,
    /// Held from writing to telling, so that listeners hear sequence numbers rise.
    order: Mutex<()>,
    /// What is followed without being stored: of each deployment at most one change of each kind, in the order of asking.
    unsaved: Mutex<HashMap<DeploymentId, Vec<Unsaved>>>,
}

impl Journal {
    pub(crate) fn new(store: Arc<Store>, clock: Clock) -> Self {
        Self {
            store,
            clock,
            listeners: broadcast::Sender::new(EVENTS_BUFFERED),
            order: Mutex::new(()),
            unsaved: Mutex::default(),
        }
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<RecordedEvent> {
        self.listeners.subscribe()
    }

    pub(crate) fn create(&self, desired: &Desired, before: &Site, by: &Actor) -> Result<(), CreateError> {
        let _order = self.in_order();
        let event = self.store.create(desired, before, by, self.clock.now())?;
        self.tell(event);
        Ok(())
    }

    pub(crate) fn edit(&self, id: &DeploymentId, change: &Change, by: &Actor) -> Result<Desired, SubmitError> {
        let _order = self.in_order();
        let edited = self.store.edit(id, change, by, self.clock.now())?;
        if let Some(event) = edited.event {
            self.tell(event);
        }
        Ok(edited.desired)
    }

    pub(crate) fn close(&self, id: &DeploymentId, proof: &RestoreProof, event: Event) -> Result<(), StoreError> {
        let _order = self.in_order();
        let event = self.store.close(id, self.clock.now(), proof, event)?;
        self.all_unsaved().remove(id);
        self.tell(event);
        Ok(())
    }

    pub(crate) fn record(&self, id: &DeploymentId, event: Event) -> Result<RecordedEvent, StoreError> {
        let _order = self.in_order();
        let event = self.store.record(id, self.clock.now(), event)?;
        self.tell(event.clone());
        Ok(event)
    }

    /// Records what was already done. A feed that cannot be written must not stop a teardown.
    pub(crate) fn mention(&self, id: &DeploymentId, event: Event) {
        let sentence = event.to_string();
        if let Err(error) = self.record(id, event) {
            error!(deployment = %id, %error, "an event could not be stored: {sentence}");
        }
    }

    /// The changes of a deployment that are followed without being stored.
    pub(crate) fn unsaved(&self, id: &DeploymentId) -> Vec<Unsaved> {
        self.all_unsaved().get(id).cloned().unwrap_or_default()
    }

    /// Has the looks follow a change that could not be stored. It takes the place of one of its kind.
    pub(crate) fn keep_unsaved(&self, id: &DeploymentId, change: &Change, by: &Actor, problem: &StoreError) {
        error!(deployment = %id, error = %problem, "{by} asked for {change:?}, which is followed without being stored");
        let mut all = self.all_unsaved();
        let known = all.entry(*id).or_default();
        if known.iter().any(|unsaved| unsaved.change == *change) {
            return;
        }
        known.retain(|unsaved| discriminant(&unsaved.change) != discriminant(change));
        known.push(Unsaved {
            change: change.clone(),
            by: by.clone(),
            since: self.clock.now(),
            problem: problem.to_string(),
        });
    }

    /// A change was stored after all, or counts no longer.
    pub(crate) fn settle(&self, id: &DeploymentId, change: &Change) {
        let mut all = self.all_unsaved();
        if let Some(known) = all.get_mut(id) {
            known.retain(|unsaved| unsaved.change != *change);
            if known.is_empty() {
                all.remove(id);
            }
        }
    }

    fn all_unsaved(&self) -> MutexGuard<'_, HashMap<DeploymentId, Vec<Unsaved>>> {
        self.unsaved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, event: RecordedEvent) {
        tracing::info!(deployment = %event.deployment, seq = event.seq, "{}", event.sentence);
        // Nobody listening is no error.
        let _ = self.listeners.send(event);
    }

    fn in_order(&self) -> MutexGuard<'_, ()> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
