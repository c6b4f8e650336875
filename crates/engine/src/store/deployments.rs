//! Desired states and their edits: each edit is one transaction with its event, before any effect.

use std::sync::Arc;

use arya_judge::Timestamp;
use arya_plan::desired::{Actor, Change, Desired, Goal, MainRule};
use arya_plan::identity::{Arm, DeploymentId};
use arya_plan::listener::Site;
use arya_plan::proof::RestoreProof;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    CreateError, Store, StoreError, SubmitError, events, from_json, nanoseconds, rows, timestamp, to_json, unreadable,
};
use crate::event::{Event, RecordedEvent};

/// Open deployments at the same time. Each has a loop and looks at the cloud every few seconds.
pub const OPEN_MAX: usize = 64;

/// One deployment as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredDeployment {
    pub desired: Desired,
    /// The listener when the plan was made.
    pub before: Site,
    /// When users first reached the instances that are compared; evidence starts here.
    pub evidence_from: Option<Timestamp>,
    /// Since when the share is what it is.
    pub share_since: Option<Timestamp>,
    pub closed_at: Option<Timestamp>,
    pub restore_proof: Option<RestoreProof>,
}

/// What came of an edit. Without an event nothing had to change.
#[derive(Debug, Clone, PartialEq)]
pub struct Edited {
    pub desired: Desired,
    pub event: Option<RecordedEvent>,
}

const COLUMNS: &str = "desired, before, evidence_from, share_since, closed_at, restore_proof";
const SELECT_ONE: &str =
    "SELECT desired, before, evidence_from, share_since, closed_at, restore_proof FROM deployments WHERE id = ?1";

impl Store {
    /// Takes in a deployment with its first event. [`crate::Engine::create`] also starts its loop.
    ///
    /// # Errors
    /// When its name or short id is taken, or too many are open.
    pub fn create(
        &self,
        desired: &Desired,
        before: &Site,
        by: &Actor,
        at: Timestamp,
    ) -> Result<RecordedEvent, CreateError> {
        self.durably(|db| create(db, desired, before, by, at))
    }

    /// A deployment, open or closed.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn deployment(&self, id: &DeploymentId) -> Result<Option<StoredDeployment>, StoreError> {
        load(&self.db(), id)
    }

    /// A deployment as it is stored now, for whoever looks every second: it is read anew only after an edit, and its JSON
    /// parsed only where the row's text differs from what is known.
    pub(crate) fn deployment_again(
        &self,
        id: &DeploymentId,
        known: &mut Known,
    ) -> Result<Option<Arc<StoredDeployment>>, StoreError> {
        let db = self.db();
        let edition = self.edition();
        if let Some(read) = &known.0
            && read.edition == edition
            && read.stored.desired.id == *id
        {
            return Ok(Some(read.stored.clone()));
        }
        let mut statement = db.prepare_cached(SELECT_ONE)?;
        let mut rows = statement.query([id.to_string()])?;
        let Some(row) = rows.next()? else {
            return Ok(None);
        };
        if let Some(read) = &mut known.0
            && says(row, &read.columns)?
        {
            read.edition = edition;
            return Ok(Some(read.stored.clone()));
        }
        let columns = Columns::try_from(row)?;
        let stored = Arc::new(read(columns.clone())?);
        known.0 = Some(LastRead {
            edition,
            columns: Arc::new(columns),
            stored: stored.clone(),
        });
        Ok(Some(stored))
    }

    /// Deployments, open ones first, then newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn deployments(&self, limit: usize) -> Result<Vec<StoredDeployment>, StoreError> {
        let sql =
            format!("SELECT {COLUMNS} FROM deployments ORDER BY closed_at IS NOT NULL, created_at DESC, id LIMIT ?1");
        self.read_deployments(&sql, rows(limit))
    }

    /// Every deployment that is not closed, oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn open_deployments(&self) -> Result<Vec<StoredDeployment>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM deployments WHERE closed_at IS NULL ORDER BY created_at, id LIMIT ?1");
        self.read_deployments(&sql, OPEN_MAX as i64)
    }

    /// Deployments that were *harmful* and not overruled, newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn harmful_deployments(&self) -> Result<Vec<StoredDeployment>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM deployments WHERE harmful = 1 ORDER BY created_at DESC, id LIMIT ?1");
        self.read_deployments(&sql, rows(super::ROWS_MAX))
    }

    fn read_deployments(&self, sql: &str, limit: i64) -> Result<Vec<StoredDeployment>, StoreError> {
        let db = self.db();
        let mut statement = db.prepare_cached(sql)?;
        let rows = statement
            .query_map([limit], |row| Columns::try_from(row))?
            .collect::<Result<Vec<_>, _>>()?;
        rows.into_iter().map(read).collect()
    }

    /// The deployment that a person means: by id, by short id, or by the name of a live one.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn find(&self, word: &str) -> Result<Option<DeploymentId>, StoreError> {
        let id = word
            .parse::<DeploymentId>()
            .map_or_else(|_| String::new(), |id| id.to_string());
        let found: Option<String> = self
            .db()
            .query_row(
                "SELECT id FROM deployments WHERE id = ?1 OR short = ?2 OR (name = ?2 AND closed_at IS NULL) \
                 ORDER BY closed_at IS NOT NULL LIMIT 1",
                [id.as_str(), word],
                |row| row.get(0),
            )
            .optional()?;
        found
            .map(|id| id.parse().map_err(|_| unreadable("the id of a deployment")))
            .transpose()
    }

    /// Edits the desired state: the new state and its event in one transaction. [`crate::Engine::submit`] also wakes
    /// the loop and tells listeners.
    ///
    /// # Errors
    /// When the edit is refused; nothing has changed then.
    pub fn edit(&self, id: &DeploymentId, change: &Change, by: &Actor, at: Timestamp) -> Result<Edited, SubmitError> {
        self.durably(|db| edit(db, id, change, by, at))
    }

    /// Closes a deployment with its proof.
    pub(crate) fn close(
        &self,
        id: &DeploymentId,
        at: Timestamp,
        proof: &RestoreProof,
        event: Event,
    ) -> Result<RecordedEvent, StoreError> {
        self.durably(|db| {
            let transaction = db.transaction()?;
            transaction
                .prepare_cached("UPDATE deployments SET closed_at = ?2, restore_proof = ?3 WHERE id = ?1")?
                .execute(params![id.to_string(), nanoseconds(at), to_json(proof)?])?;
            let event = events::insert(&transaction, id, at, event)?;
            transaction.commit()?;
            Ok(event)
        })
    }
}

fn create(
    db: &mut Connection,
    desired: &Desired,
    before: &Site,
    by: &Actor,
    at: Timestamp,
) -> Result<RecordedEvent, CreateError> {
    let transaction = db.transaction()?;
    let count = |sql: &str, text: &str| transaction.query_row(sql, [text], |row| row.get::<_, i64>(0));
    let name = &desired.spec.name;
    if count(
        "SELECT count(*) FROM deployments WHERE closed_at IS NULL AND ?1 = ?1",
        "",
    )? >= OPEN_MAX as i64
    {
        return Err(CreateError::TooMany { limit: OPEN_MAX });
    }
    if count(
        "SELECT count(*) FROM deployments WHERE closed_at IS NULL AND name = ?1",
        name,
    )? > 0
    {
        return Err(CreateError::NameTaken { name: name.clone() });
    }
    if count("SELECT count(*) FROM deployments WHERE short = ?1", &desired.id.short())? > 0 {
        return Err(CreateError::IdTaken);
    }
    if let Some(name) = in_front_of_the_same(&transaction, desired)? {
        return Err(CreateError::InFrontTaken { name });
    }
    transaction.execute(
        "INSERT INTO deployments (id, short, name, desired, before, harmful, created_at) VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6)",
        params![
            desired.id.to_string(),
            desired.id.short(),
            name,
            to_json(desired)?,
            to_json(before)?,
            nanoseconds(at)
        ],
    )?;
    let event = Event::Created {
        by: by.clone(),
        name: name.clone(),
        canary: desired.share(),
    };
    let event = events::insert(&transaction, &desired.id, at, event)?;
    transaction.commit()?;
    Ok(event)
}

/// The open deployment, if any, that stands in front of the same rule of the same listener.
fn in_front_of_the_same(db: &Connection, wanted: &Desired) -> Result<Option<String>, StoreError> {
    let mut statement = db.prepare_cached("SELECT desired FROM deployments WHERE closed_at IS NULL")?;
    let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
    for json in rows {
        let open: Desired = from_json(&json?, "a desired state")?;
        if open.placement.chosen == wanted.placement.chosen && open.spec.listener == wanted.spec.listener {
            return Ok(Some(open.spec.name));
        }
    }
    Ok(None)
}

fn edit(
    db: &mut Connection,
    id: &DeploymentId,
    change: &Change,
    by: &Actor,
    at: Timestamp,
) -> Result<Edited, SubmitError> {
    let transaction = db.transaction()?;
    let mut stored = load(&transaction, id)?.ok_or(SubmitError::Unknown(*id))?;
    if stored.closed_at.is_some() {
        // Destroy is idempotent in every state.
        let desired = stored.desired;
        return if *change == Change::Destroy {
            Ok(Edited { desired, event: None })
        } else {
            Err(SubmitError::Closed)
        };
    }
    let before = stored.desired.clone();
    if !stored.desired.apply(change, by, at)? {
        return Ok(Edited {
            desired: before,
            event: None,
        });
    }
    stored.follow(&before, at);
    write(&transaction, &stored)?;
    #[cfg(feature = "simulation")]
    if arya_plan::planted::is_planted(arya_plan::planted::Bug::TellsNobody) {
        transaction.commit()?;
        return Ok(Edited {
            desired: stored.desired,
            event: None,
        });
    }
    let event = Event::Changed {
        by: by.clone(),
        change: change.clone(),
        before: before.share(),
        after: stored.desired.share(),
    };
    let event = events::insert(&transaction, id, at, event)?;
    transaction.commit()?;
    Ok(Edited {
        desired: stored.desired,
        event: Some(event),
    })
}

impl StoredDeployment {
    /// Keeps the two instants that judging needs in step with an edit.
    fn follow(&mut self, before: &Desired, at: Timestamp) {
        let now = &self.desired;
        let began = before.main_rule == MainRule::NotYet && now.main_rule == MainRule::Wanted;
        if began || (self.evidence_from.is_some() && epoch(before) != epoch(now)) {
            self.evidence_from = Some(at);
        }
        // The end takes the share away for good: what was said last is about the one before it.
        if began || (before.share() != now.share() && now.goal != Goal::Absent) {
            self.share_since = Some(at);
        }
    }
}

/// Which filling of the arms the evidence is about: it starts anew with a replaced instance.
pub(crate) fn epoch(desired: &Desired) -> u32 {
    let places = Arm::BOTH.into_iter().flat_map(|arm| desired.places_of(arm));
    places.map(|place| desired.incarnation(place).saturating_sub(1)).sum()
}

pub(crate) type Columns = (String, String, Option<i64>, Option<i64>, Option<i64>, Option<String>);

/// A deployment as it was read last.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known(Option<LastRead>);

#[derive(Debug, Clone)]
struct LastRead {
    /// The latest edition of the store of which it is known to be true.
    edition: u64,
    columns: Arc<Columns>,
    stored: Arc<StoredDeployment>,
}

#[cfg(feature = "simulation")]
impl Known {
    /// The row, if it is known to be true of an edition of the store, and whether it says *harmful*.
    pub(crate) fn row(&self, edition: u64) -> Option<(Arc<Columns>, bool)> {
        let last = self.0.as_ref().filter(|last| last.edition == edition)?;
        Some((last.columns.clone(), is_harmful(&last.stored.desired)))
    }
}

/// Whether a row still says what it said.
fn says(row: &Row<'_>, known: &Columns) -> rusqlite::Result<bool> {
    let (desired, before, evidence_from, share_since, closed_at, proof) = known;
    Ok(row.get_ref(0)?.as_str()? == desired
        && row.get_ref(1)?.as_str()? == before
        && row.get::<_, Option<i64>>(2)? == *evidence_from
        && row.get::<_, Option<i64>>(3)? == *share_since
        && row.get::<_, Option<i64>>(4)? == *closed_at
        && row.get_ref(5)?.as_str_or_null()? == proof.as_deref())
}

fn read(
    (desired, before, evidence_from, share_since, closed_at, proof): Columns,
) -> Result<StoredDeployment, StoreError> {
    Ok(StoredDeployment {
        desired: from_json(&desired, "a desired state")?,
        before: from_json(&before, "a listener's snapshot")?,
        evidence_from: evidence_from.map(timestamp),
        share_since: share_since.map(timestamp),
        closed_at: closed_at.map(timestamp),
        restore_proof: proof.map(|json| from_json(&json, "a restore proof")).transpose()?,
    })
}

fn load(db: &Connection, id: &DeploymentId) -> Result<Option<StoredDeployment>, StoreError> {
    let row = db
        .prepare_cached(SELECT_ONE)?
        .query_row([id.to_string()], |row| Columns::try_from(row))
        .optional()?;
    row.map(read).transpose()
}

fn is_harmful(desired: &Desired) -> bool {
    desired.harmful.as_ref().is_some_and(|h| h.overruled.is_none())
}

fn write(db: &Connection, stored: &StoredDeployment) -> Result<(), StoreError> {
    let desired = &stored.desired;
    db.prepare_cached(
        "UPDATE deployments SET desired = ?2, harmful = ?3, evidence_from = ?4, share_since = ?5 WHERE id = ?1",
    )?
    .execute(params![
        desired.id.to_string(),
        to_json(desired)?,
        is_harmful(desired),
        stored.evidence_from.map(nanoseconds),
        stored.share_since.map(nanoseconds),
    ])?;
    Ok(())
}
