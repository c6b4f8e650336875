//! The store and those who listen to it: whatever is written as an event is told in the same order.

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

/// Events that wait for a slow listener. One that falls behind by more reads the rest from the store.
pub const EVENTS_BUFFERED: usize = 1_024;

#[derive(Debug)]
pub(crate) struct Journal {
    pub(crate) store: Arc<Store>,
    pub(crate) clock: Clock,
    listeners: broadcast::Sender<RecordedEvent>,
    /// Held from writing to telling, so that listeners hear sequence numbers rise.
    order: Mutex<()>,
}

impl Journal {
    pub(crate) fn new(store: Arc<Store>, clock: Clock) -> Self {
        Self {
            store,
            clock,
            listeners: broadcast::Sender::new(EVENTS_BUFFERED),
            order: Mutex::new(()),
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

    fn tell(&self, event: RecordedEvent) {
        tracing::info!(deployment = %event.deployment, seq = event.seq, "{}", event.sentence);
        // Nobody listening is no error.
        let _ = self.listeners.send(event);
    }

    fn in_order(&self) -> MutexGuard<'_, ()> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
