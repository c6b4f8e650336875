//! The feed: written with what it tells of, read in order from any point on.

use arya_judge::Timestamp;
use arya_plan::identity::DeploymentId;
use rusqlite::{Connection, params};

use super::{Store, StoreError, from_json, nanoseconds, timestamp, to_json};
use crate::event::{Event, RecordedEvent};

/// The newest events of a deployment that are kept. A quiet life has some fifty; a cloud that refuses for days has more.
pub const EVENTS_KEPT: usize = 5_000;
/// The most events that one question is answered with.
pub const EVENTS_AT_ONCE: usize = 1_000;
/// Old events are looked for once in so many new ones.
const PRUNE_EVERY: i64 = 64;

impl Store {
    /// Writes an event that changes nothing else.
    pub(crate) fn record(&self, id: &DeploymentId, at: Timestamp, event: Event) -> Result<RecordedEvent, StoreError> {
        insert(&self.db(), id, at, event)
    }

    /// A deployment's events after a sequence number (0 = from the beginning), oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn events(&self, id: &DeploymentId, after: u64, limit: usize) -> Result<Vec<RecordedEvent>, StoreError> {
        let sql = "SELECT seq, deployment, at, actor, event, sentence FROM events \
                   WHERE deployment = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let limit = limit.min(EVENTS_AT_ONCE) as i64;
        self.read_events(sql, params![id.to_string(), after, limit])
    }

    /// A deployment's newest events, oldest of them first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn latest_events(&self, id: &DeploymentId, limit: usize) -> Result<Vec<RecordedEvent>, StoreError> {
        let sql = "SELECT seq, deployment, at, actor, event, sentence FROM events \
                   WHERE deployment = ?1 ORDER BY seq DESC LIMIT ?2";
        let mut events = self.read_events(sql, params![id.to_string(), limit.min(EVENTS_AT_ONCE) as i64])?;
        events.reverse();
        Ok(events)
    }

    fn read_events(&self, sql: &str, params: impl rusqlite::Params) -> Result<Vec<RecordedEvent>, StoreError> {
        let db = self.db();
        let mut statement = db.prepare_cached(sql)?;
        let rows = statement
            .query_map(params, |row| Columns::try_from(row))?
            .collect::<Result<Vec<_>, _>>()?;
        rows.into_iter().map(read).collect()
    }
}

type Columns = (i64, String, i64, String, String, String);

fn read((seq, deployment, at, actor, event, sentence): Columns) -> Result<RecordedEvent, StoreError> {
    Ok(RecordedEvent {
        seq: u64::try_from(seq).unwrap_or_default(),
        at: timestamp(at),
        deployment: deployment
            .parse()
            .map_err(|_| super::unreadable("the deployment of an event"))?,
        actor: from_json(&actor, "the actor of an event")?,
        // An older version's kind of event is still its sentence.
        event: serde_json::from_str(&event).unwrap_or_else(|_| Event::Noted {
            sentence: sentence.clone(),
        }),
        sentence,
    })
}

/// Part of whatever transaction the connection is in.
pub(super) fn insert(
    db: &Connection,
    id: &DeploymentId,
    at: Timestamp,
    event: Event,
) -> Result<RecordedEvent, StoreError> {
    let (actor, sentence) = (event.actor(), event.to_string());
    db.prepare_cached("INSERT INTO events (deployment, at, actor, event, sentence) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![
            id.to_string(),
            nanoseconds(at),
            to_json(&actor)?,
            to_json(&event)?,
            sentence
        ])?;
    let seq = db.last_insert_rowid();
    if seq % PRUNE_EVERY == 0 {
        db.execute(
            "DELETE FROM events WHERE deployment = ?1 AND seq <= \
             (SELECT seq FROM events WHERE deployment = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2)",
            params![id.to_string(), EVENTS_KEPT as i64],
        )?;
    }
    Ok(RecordedEvent {
        seq: u64::try_from(seq).unwrap_or_default(),
        at,
        deployment: *id,
        actor,
        event,
        sentence,
    })
}
