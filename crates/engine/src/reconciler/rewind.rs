//! Going back to a moment: what is stored of one deployment and what its loop remembers, for simulations that follow many
//! lives from the same beginning. Compiled only for them.

use std::sync::{Arc, PoisonError};

use arya_judge::MetricSource;
use arya_plan::cloud::Cloud;
use arya_plan::identity::DeploymentId;
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::Reconciler;
use super::memory::Memory;
use crate::store::{Columns, Store, StoreError};

/// The newest verdict: id, at, outcome, verdict, digest of its evidence. Older ones are never touched again.
type LastVerdict = (i64, i64, String, String, String);

/// One deployment as it was.
#[derive(Debug, Clone)]
pub struct Moment {
    id: DeploymentId,
    edition: u64,
    row: Arc<Columns>,
    harmful: bool,
    last_event: i64,
    /// The steps that a process died in.
    in_flight: Option<String>,
    /// `None` = nothing is measured, so there is nothing to go back to.
    judged: Option<JudgedThen>,
    memory: Option<Memory>,
}

#[derive(Debug, Clone)]
struct JudgedThen {
    last_block: Option<i64>,
    last_verdict: Option<LastVerdict>,
    pauses: Option<String>,
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
        let memory = memory.map(|memory| memory.clone());
        let (store, key) = (&self.journal.store, id.to_string());
        let (db, edition) = (store.db(), store.edition());
        let (row, harmful) = match memory.as_ref().and_then(|memory| memory.known.row(edition)) {
            Some(known) => known,
            None => row(&db, &key)?,
        };
        let last_event = db
            .prepare_cached("SELECT coalesce(max(seq), 0) FROM events WHERE deployment = ?1")?
            .query_row([&key], |row| row.get(0))?;
        let in_flight = db
            .prepare_cached("SELECT steps FROM in_flight WHERE deployment = ?1")?
            .query_row([&key], |row| row.get(0))
            .optional()?;
        let measured = !self.settings.judge.metrics.is_empty();
        Ok(Moment {
            id: *id,
            edition,
            row,
            harmful,
            last_event,
            in_flight,
            judged: measured.then(|| JudgedThen::read(&db, &key)).transpose()?,
            memory,
        })
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
    fn rewind(&self, moment: &Moment) -> Result<(), StoreError> {
        let (mut db, key) = (self.db(), moment.id.to_string());
        let transaction = db.transaction()?;
        if self.edition() != moment.edition {
            let (desired, _, evidence_from, share_since, closed_at, proof) = &*moment.row;
            let harmful = moment.harmful;
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
        }
        transaction
            .prepare_cached("DELETE FROM events WHERE deployment = ?1 AND seq > ?2")?
            .execute(params![key, moment.last_event])?;
        match &moment.in_flight {
            Some(steps) => transaction
                .prepare_cached("INSERT OR REPLACE INTO in_flight (deployment, steps) VALUES (?1, ?2)")?
                .execute(params![key, steps])?,
            None => transaction
                .prepare_cached("DELETE FROM in_flight WHERE deployment = ?1")?
                .execute([&key])?,
        };
        if let Some(judged) = &moment.judged {
            judged.write(&transaction, &key)?;
        }
        transaction.commit()?;
        self.is_again(moment.edition);
        Ok(())
    }
}

impl JudgedThen {
    fn read(db: &Connection, key: &str) -> Result<Self, StoreError> {
        let (last_block, last_verdict): (Option<i64>, Option<i64>) = db
            .prepare_cached(
                "SELECT (SELECT max(ends_at) FROM blocks WHERE deployment = ?1), \
                 (SELECT max(id) FROM verdicts WHERE deployment = ?1)",
            )?
            .query_row([key], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let read = |id: i64| {
            db.prepare_cached("SELECT id, at, outcome, verdict, evidence_digest FROM verdicts WHERE id = ?1")?
                .query_row([id], |row| LastVerdict::try_from(row))
        };
        Ok(Self {
            last_block,
            last_verdict: last_verdict.map(read).transpose()?,
            pauses: db
                .prepare_cached("SELECT pauses FROM pauses WHERE deployment = ?1")?
                .query_row([key], |row| row.get(0))
                .optional()?,
        })
    }

    fn write(&self, transaction: &Transaction<'_>, key: &str) -> Result<(), StoreError> {
        for later in [
            "DELETE FROM blocks WHERE deployment = ?1 AND ends_at > ?2",
            "DELETE FROM beside WHERE deployment = ?1 AND ends_at > ?2",
        ] {
            transaction
                .prepare_cached(later)?
                .execute(params![key, self.last_block.unwrap_or(i64::MIN)])?;
        }
        transaction
            .prepare_cached("DELETE FROM pauses WHERE deployment = ?1")?
            .execute([key])?;
        if let Some(pauses) = &self.pauses {
            transaction
                .prepare_cached("INSERT INTO pauses (deployment, pauses) VALUES (?1, ?2)")?
                .execute(params![key, pauses])?;
        }
        let kept = self.last_verdict.as_ref().map_or(0, |(id, ..)| *id);
        transaction
            .prepare_cached("DELETE FROM verdicts WHERE deployment = ?1 AND id > ?2")?
            .execute(params![key, kept])?;
        if let Some((id, at, outcome, verdict, digest)) = &self.last_verdict {
            transaction
                .prepare_cached(
                    "UPDATE verdicts SET at = ?2, outcome = ?3, verdict = ?4, evidence_digest = ?5 WHERE id = ?1",
                )?
                .execute(params![id, at, outcome, verdict, digest])?;
        }
        Ok(())
    }
}

fn row(db: &Connection, key: &str) -> Result<(Arc<Columns>, bool), StoreError> {
    let read = |row: &rusqlite::Row<'_>| {
        let columns = (
            row.get(0)?,
            row.get(1)?,
            row.get(2)?,
            row.get(3)?,
            row.get(4)?,
            row.get(5)?,
        );
        Ok((Arc::new(columns), row.get(6)?))
    };
    Ok(db
        .prepare_cached(
            "SELECT desired, before, evidence_from, share_since, closed_at, restore_proof, harmful FROM deployments \
             WHERE id = ?1",
        )?
        .query_row([key], read)?)
}
