//! Going back to a moment: what is stored of one deployment and what its loop remembers, for simulations that follow many
//! lives from the same beginning. Compiled only for them.

use std::sync::{Arc, PoisonError};

use arya_judge::MetricSource;
use arya_plan::cloud::Cloud;
use arya_plan::identity::DeploymentId;
use rusqlite::{OptionalExtension, params};

use super::Reconciler;
use super::memory::Memory;
use crate::store::{Store, StoreError};

/// The deployment's row but for what never changes: desired, harmful, evidence_from, share_since, closed_at, proof.
type Row = (String, i64, Option<i64>, Option<i64>, Option<i64>, Option<String>);
/// The newest verdict: id, at, outcome, verdict, digest of its evidence. Older ones are never touched again.
type LastVerdict = (i64, i64, String, String, String);

/// One deployment as it was.
#[derive(Debug, Clone)]
pub struct Moment {
    id: DeploymentId,
    row: Row,
    last_event: i64,
    last_block: Option<i64>,
    last_verdict: Option<LastVerdict>,
    memory: Option<Memory>,
}

impl Moment {
    /// The same moment for a process that starts anew: what is stored, and no memory.
    #[must_use]
    pub fn after_a_crash(mut self) -> Self {
        self.memory = None;
        self
    }
}

impl<C: Cloud, M: MetricSource> Reconciler<C, M> {
    /// What is stored of a deployment and what is remembered of it, to go back to.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn moment(&self, id: &DeploymentId) -> Result<Moment, StoreError> {
        let memories = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        let memory = memories.get(id).and_then(|memory| memory.try_lock().ok());
        self.journal.store.moment(id, memory.map(|memory| memory.clone()))
    }

    /// Goes back to a moment. Later events are gone, as if they had not been.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn rewind(&self, id: &DeploymentId, moment: &Moment) -> Result<(), StoreError> {
        self.journal.store.rewind(moment)?;
        self.forget(id);
        if let Some(memory) = moment.memory.clone() {
            let mut memories = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
            memories.insert(*id, Arc::new(tokio::sync::Mutex::new(memory)));
        }
        Ok(())
    }
}

impl Store {
    fn moment(&self, id: &DeploymentId, memory: Option<Memory>) -> Result<Moment, StoreError> {
        let (db, key) = (self.db(), id.to_string());
        let row = db
            .prepare_cached(
                "SELECT desired, harmful, evidence_from, share_since, closed_at, restore_proof FROM deployments \
                 WHERE id = ?1",
            )?
            .query_row([&key], |row| Row::try_from(row))?;
        let last_event = db
            .prepare_cached("SELECT coalesce(max(seq), 0) FROM events WHERE deployment = ?1")?
            .query_row([&key], |row| row.get(0))?;
        let last_block = db
            .prepare_cached("SELECT max(ends_at) FROM blocks WHERE deployment = ?1")?
            .query_row([&key], |row| row.get(0))?;
        let last_verdict = db
            .prepare_cached(
                "SELECT id, at, outcome, verdict, evidence_digest FROM verdicts WHERE deployment = ?1 ORDER BY id DESC \
                 LIMIT 1",
            )?
            .query_row([&key], |row| LastVerdict::try_from(row))
            .optional()?;
        Ok(Moment {
            id: *id,
            row,
            last_event,
            last_block,
            last_verdict,
            memory,
        })
    }

    fn rewind(&self, moment: &Moment) -> Result<(), StoreError> {
        let (db, key) = (self.db(), moment.id.to_string());
        let (desired, harmful, evidence_from, share_since, closed_at, proof) = &moment.row;
        db.prepare_cached(
            "UPDATE deployments SET desired = ?2, harmful = ?3, evidence_from = ?4, share_since = ?5, closed_at = ?6, \
             restore_proof = ?7 WHERE id = ?1",
        )?
        .execute(params![
            key,
            desired,
            harmful,
            evidence_from,
            share_since,
            closed_at,
            proof
        ])?;
        db.prepare_cached("DELETE FROM events WHERE deployment = ?1 AND seq > ?2")?
            .execute(params![key, moment.last_event])?;
        db.prepare_cached("DELETE FROM blocks WHERE deployment = ?1 AND ends_at > ?2")?
            .execute(params![key, moment.last_block.unwrap_or(i64::MIN)])?;
        let kept = moment.last_verdict.as_ref().map_or(0, |(id, ..)| *id);
        db.prepare_cached("DELETE FROM verdicts WHERE deployment = ?1 AND id > ?2")?
            .execute(params![key, kept])?;
        if let Some((id, at, outcome, verdict, digest)) = &moment.last_verdict {
            db.prepare_cached(
                "UPDATE verdicts SET at = ?2, outcome = ?3, verdict = ?4, evidence_digest = ?5 WHERE id = ?1",
            )?
            .execute(params![id, at, outcome, verdict, digest])?;
        }
        Ok(())
    }
}
