//! The store: one SQLite file that holds what is desired, what happened, and the evidence; never what can be observed.
//!
//! Calls are synchronous and take microseconds (a disk's flush for edits), so they run where they are asked for; the lock
//! inside is never held across an await. It must never know a cloud, a page or a loop.

mod beside;
mod deployments;
mod error;
mod events;
mod evidence;
mod in_flight;
mod metrics;
mod pauses;

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use arya_judge::Timestamp;
use arya_plan::identity::InstallationId;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

#[cfg(feature = "simulation")]
pub(crate) use deployments::Columns;
pub use deployments::{Edited, OPEN_MAX, StoredDeployment};
pub(crate) use deployments::{Known, epoch};
pub use error::{CreateError, StoreError, SubmitError};
pub use events::{EVENTS_AT_ONCE, EVENTS_KEPT};
pub use evidence::{BLOCKS_KEPT, StoredVerdict, VERDICTS_KEPT};
pub(crate) use pauses::Joined;
pub use pauses::{Meanwhile, PAUSES_KEPT, Pauses, StoredPause};

/// The newest format that this version reads; a new one gets the next number and a migration from each older one.
const SCHEMA_VERSION: i64 = 5;
const SCHEMA: &str = include_str!("store/schema.sql");
/// What each version changed, from the first one on: version 2 keeps blocks of every kind, version 3 the chosen metrics,
/// version 4 the pauses of judging and the steps that are being carried out, version 5 production beside the blocks.
const MIGRATIONS: [&str; 4] = [
    "ALTER TABLE blocks ADD COLUMN wide TEXT",
    "CREATE TABLE judged_by (deployment TEXT NOT NULL REFERENCES deployments (id), epoch INTEGER NOT NULL, \
     metrics TEXT NOT NULL, PRIMARY KEY (deployment, epoch)) STRICT",
    "CREATE TABLE pauses (deployment TEXT PRIMARY KEY REFERENCES deployments (id), pauses TEXT NOT NULL) STRICT;
     CREATE TABLE in_flight (deployment TEXT PRIMARY KEY REFERENCES deployments (id), steps TEXT NOT NULL) STRICT;",
    "CREATE TABLE beside (deployment TEXT NOT NULL REFERENCES deployments (id), metric TEXT NOT NULL, \
     epoch INTEGER NOT NULL, ends_at INTEGER NOT NULL, production TEXT NOT NULL, \
     PRIMARY KEY (deployment, metric, epoch, ends_at)) STRICT, WITHOUT ROWID",
];
const DATABASE_FILE: &str = "arya.sqlite";
/// All statements of the store; the library's 16 would have a look parse its SQL anew.
const STATEMENTS_KEPT: usize = 64;
const LOCK_FILE: &str = "arya.lock";
/// The most rows that any list answers: more does not fit a page, and a script can ask again.
pub const ROWS_MAX: usize = 1_000;

/// Everything Arya remembers, behind one lock.
#[derive(Debug)]
pub struct Store {
    db: Mutex<Connection>,
    installation: InstallationId,
    /// Held for as long as the store is open; the system releases it when the process ends, however it ends. `None` = the
    /// store lives in memory.
    lock: Option<File>,
    /// The state that the deployments are in: a number for each edit, never given twice. Nobody else writes, so whoever read
    /// them at this number need not read them again.
    edition: AtomicU64,
    editions_given: AtomicU64,
}

impl Store {
    /// Opens the store in a directory, which is made if it is missing.
    ///
    /// # Errors
    /// When another process has it open, when it cannot be written, or when a newer version wrote it.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let not_writable = |source| StoreError::NotWritable {
            dir: dir.to_owned(),
            source,
        };
        std::fs::create_dir_all(dir).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists | ErrorKind::NotADirectory => StoreError::NotADirectory { dir: dir.to_owned() },
            _ => not_writable(Some(error)),
        })?;
        let metadata = std::fs::metadata(dir).map_err(|error| not_writable(Some(error)))?;
        // Asked outright, because the superuser may write where everybody is asked not to.
        if metadata.permissions().readonly() {
            return Err(not_writable(None));
        }
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(dir.join(LOCK_FILE))
            .map_err(|error| not_writable(Some(error)))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::InUse { dir: dir.to_owned() }),
            Err(TryLockError::Error(error)) => return Err(not_writable(Some(error))),
        }
        let db = Connection::open(dir.join(DATABASE_FILE))?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "NORMAL")?;
        Self::prepared(db, dir, Some(lock))
    }

    /// A store that ends with the process, for tests.
    ///
    /// # Errors
    /// When SQLite has no memory for it.
    pub fn in_memory() -> Result<Self, StoreError> {
        Self::prepared(Connection::open_in_memory()?, Path::new("in memory"), None)
    }

    fn prepared(mut db: Connection, dir: &Path, lock: Option<File>) -> Result<Self, StoreError> {
        db.pragma_update(None, "foreign_keys", true)?;
        db.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
        // Else a statement is planned anew for each value that is bound to it, which takes longer than running it.
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        let found: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if found > SCHEMA_VERSION {
            return Err(StoreError::Newer {
                dir: dir.to_owned(),
                found,
                known: SCHEMA_VERSION,
            });
        }
        if found < SCHEMA_VERSION {
            let transaction = db.transaction()?;
            match usize::try_from(found).ok().and_then(|version| version.checked_sub(1)) {
                None => transaction.execute_batch(SCHEMA)?,
                Some(done) => MIGRATIONS[done..]
                    .iter()
                    .try_for_each(|one| transaction.execute_batch(one))?,
            }
            transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
            transaction.commit()?;
        }
        let installation = installation(&db)?;
        Ok(Self {
            db: Mutex::new(db),
            installation,
            lock,
            edition: AtomicU64::new(0),
            editions_given: AtomicU64::new(0),
        })
    }

    /// The id that tells this server's resources from another's in the same account.
    pub const fn installation(&self) -> InstallationId {
        self.installation
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// When it does not.
    pub fn check(&self) -> Result<(), StoreError> {
        Ok(self.db().query_row("SELECT 1", [], |_| Ok(()))?)
    }

    /// Runs an edit so that it is on disk, also when the power goes, before its effect is in the cloud. Everything else
    /// may lose its last moments then, and is spared the wait for the disk.
    fn durably<T, E: From<rusqlite::Error>>(&self, edit: impl FnOnce(&mut Connection) -> Result<T, E>) -> Result<T, E> {
        let mut db = self.db();
        let edition = self.editions_given.fetch_add(1, Ordering::Relaxed) + 1;
        self.edition.store(edition, Ordering::Relaxed);
        if self.lock.is_none() {
            // Memory outlives no power cut, however it is flushed.
            return edit(&mut db);
        }
        db.pragma_update(None, "synchronous", "FULL")?;
        let answer = edit(&mut db);
        db.pragma_update(None, "synchronous", "NORMAL")?;
        answer
    }

    /// The state that the deployments are in; says what it says while the connection is held.
    pub(crate) fn edition(&self) -> u64 {
        self.edition.load(Ordering::Relaxed)
    }

    /// The deployments are again as they were then.
    #[cfg(feature = "simulation")]
    pub(crate) fn is_again(&self, edition: u64) {
        self.edition.store(edition, Ordering::Relaxed);
    }

    /// A transaction that a panic left half done was rolled back, so the connection behind a poisoned lock is sound.
    pub(crate) fn db(&self) -> MutexGuard<'_, Connection> {
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn installation(db: &Connection) -> Result<InstallationId, StoreError> {
    let stored: Option<String> = db
        .query_row("SELECT value FROM meta WHERE key = 'installation'", [], |row| {
            row.get(0)
        })
        .optional()?;
    if let Some(text) = stored {
        return text.parse().map_err(|_| unreadable("the installation's id"));
    }
    let made = InstallationId::new(Uuid::new_v4());
    db.execute(
        "INSERT INTO meta (key, value) VALUES ('installation', ?1)",
        [made.to_string()],
    )?;
    Ok(made)
}

fn unreadable(what: impl Into<String>) -> StoreError {
    StoreError::Unreadable { what: what.into() }
}

/// Our own types are plain data and always serialise.
fn to_json(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| unreadable(format!("a value cannot be written ({error})")))
}

fn from_json<T: DeserializeOwned>(json: &str, what: &str) -> Result<T, StoreError> {
    serde_json::from_str(json).map_err(|error| unreadable(format!("{what} ({error})")))
}

/// Years beyond 2262 do not fit and are taken as the last instant that does.
fn nanoseconds(at: Timestamp) -> i64 {
    at.as_nanosecond().clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

fn timestamp(nanoseconds: i64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(nanoseconds)).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// A limit as SQLite wants it.
fn rows(limit: usize) -> i64 {
    limit.min(ROWS_MAX) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use arya_plan::identity::DeploymentId;

    #[test]
    fn a_full_disk_is_a_sentence_and_what_was_stored_stays() {
        let store = Store::in_memory().unwrap();
        store.db().pragma_update(None, "foreign_keys", false).unwrap();
        let id = DeploymentId::new(Uuid::nil());
        let note = |length: usize| Event::Noted {
            sentence: "x".repeat(length),
        };
        store.record(&id, Timestamp::UNIX_EPOCH, note(1)).unwrap();
        store.db().pragma_update(None, "max_page_count", 40).unwrap();
        let refused = store.record(&id, Timestamp::UNIX_EPOCH, note(1_000_000)).unwrap_err();
        assert!(matches!(refused, StoreError::DiskFull), "{refused}");
        assert_eq!(store.events(&id, 0, 10).unwrap().len(), 1);
    }

    #[test]
    fn times_survive_the_store() {
        let check = |at: Timestamp| assert_eq!(timestamp(nanoseconds(at)), at);
        check(Timestamp::UNIX_EPOCH);
        check(Timestamp::from_nanosecond(1_900_000_000_123_456_789).unwrap());
        assert_eq!(nanoseconds(Timestamp::MAX), i64::MAX);
    }
}
