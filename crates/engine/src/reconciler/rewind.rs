//! Going back to a moment: what is stored of one deployment and what its loop remembers, for simulations that follow many
//! lives from the same beginning. Compiled only for them.

use std::sync::{Arc, PoisonError};

use arya_judge::MetricSource;
use arya_plan::cloud::Cloud;
use arya_plan::identity::DeploymentId;
use rusqlite::params;

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
        let (row, (last_event, last_block, last_verdict)) = db
            .prepare_cached(
                "SELECT desired, harmful, evidence_from, share_since, closed_at, restore_proof, \
                 (SELECT coalesce(max(seq), 0) FROM events WHERE deployment = ?1), \
                 (SELECT max(ends_at) FROM blocks WHERE deployment = ?1), \
                 (SELECT max(id) FROM verdicts WHERE deployment = ?1) FROM deployments WHERE id = ?1",
            )?
            .query_row([&key], |row| {
                let last: (i64, Option<i64>, Option<i64>) = (row.get(6)?, row.get(7)?, row.get(8)?);
                Ok((first_columns(row)?, last))
            })?;
        let read_verdict = |id: i64| {
            db.prepare_cached("SELECT id, at, outcome, verdict, evidence_digest FROM verdicts WHERE id = ?1")?
                .query_row([id], |row| LastVerdict::try_from(row))
        };
        Ok(Moment {
            id: *id,
            row,
            last_event,
            last_block,
            last_verdict: last_verdict.map(read_verdict).transpose()?,
            memory,
        })
    }

    fn rewind(&self, moment: &Moment) -> Result<(), StoreError> {
        let (mut db, key) = (self.db(), moment.id.to_string());
        let transaction = db.transaction()?;
        let (desired, harmful, evidence_from, share_since, closed_at, proof) = &moment.row;
        transaction
            .prepare_cached(
                "UPDATE deployments SET desired = ?2, harmful = ?3, evidence_from = ?4, share_since = ?5, \
                 closed_at = ?6, restore_proof = ?7 WHERE id = ?1",
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
        transaction
            .prepare_cached("DELETE FROM events WHERE deployment = ?1 AND seq > ?2")?
            .execute(params![key, moment.last_event])?;
        transaction
            .prepare_cached("DELETE FROM blocks WHERE deployment = ?1 AND ends_at > ?2")?
            .execute(params![key, moment.last_block.unwrap_or(i64::MIN)])?;
        let kept = moment.last_verdict.as_ref().map_or(0, |(id, ..)| *id);
        transaction
            .prepare_cached("DELETE FROM verdicts WHERE deployment = ?1 AND id > ?2")?
            .execute(params![key, kept])?;
        if let Some((id, at, outcome, verdict, digest)) = &moment.last_verdict {
            transaction
                .prepare_cached(
                    "UPDATE verdicts SET at = ?2, outcome = ?3, verdict = ?4, evidence_digest = ?5 WHERE id = ?1",
                )?
                .execute(params![id, at, outcome, verdict, digest])?;
        }
        transaction.commit()?;
        Ok(())
    }
}

fn first_columns(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok((
        row.get(0)?,
        row.get(1)?,
        row.get(2)?,
        row.get(3)?,
        row.get(4)?,
        row.get(5)?,
    ))
}
