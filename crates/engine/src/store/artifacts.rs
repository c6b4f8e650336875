//! What was uploaded: names, sizes and descriptions. The bytes lie in files that the server keeps.

use arya_judge::Timestamp;
use rusqlite::{OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::{Store, StoreError, from_json, nanoseconds, rows, timestamp, to_json};

/// The most artifacts that are remembered; beyond it the oldest are forgotten.
pub const ARTIFACTS_MAX: usize = 10_000;

/// One uploaded file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredArtifact {
    /// `sha256:` and 64 hexadecimal digits, of the file's bytes.
    pub digest: String,
    pub filename: String,
    /// Bytes.
    pub size: u64,
    /// `image_archive` or `compose`.
    pub kind: String,
    /// What was found inside, in the words of whoever looked.
    pub description: serde_json::Value,
    pub created_at: Timestamp,
}

impl Store {
    /// Remembers an artifact; the same digest again replaces what was known.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put_artifact(&self, artifact: &StoredArtifact) -> Result<(), StoreError> {
        let db = self.db();
        db.execute(
            "INSERT OR REPLACE INTO artifacts (digest, filename, size, kind, description, created_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                artifact.digest,
                artifact.filename,
                i64::try_from(artifact.size).unwrap_or(i64::MAX),
                artifact.kind,
                to_json(&artifact.description)?,
                nanoseconds(artifact.created_at),
            ],
        )?;
        db.execute(
            "DELETE FROM artifacts WHERE digest IN (SELECT digest FROM artifacts ORDER BY created_at DESC, digest LIMIT -1 OFFSET ?1)",
            [ARTIFACTS_MAX as i64],
        )?;
        Ok(())
    }

    /// # Errors
    /// When the database cannot be read.
    pub fn artifact(&self, digest: &str) -> Result<Option<StoredArtifact>, StoreError> {
        let row = self
            .db()
            .query_row(
                "SELECT digest, filename, size, kind, description, created_at FROM artifacts WHERE digest = ?1",
                [digest],
                columns,
            )
            .optional()?;
        row.map(read).transpose()
    }

    /// Artifacts, newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn artifacts(&self, limit: usize) -> Result<Vec<StoredArtifact>, StoreError> {
        let db = self.db();
        let mut statement = db.prepare_cached(
            "SELECT digest, filename, size, kind, description, created_at FROM artifacts \
             ORDER BY created_at DESC, digest LIMIT ?1",
        )?;
        let rows = statement
            .query_map([rows(limit)], columns)?
            .collect::<Result<Vec<_>, _>>()?;
        rows.into_iter().map(read).collect()
    }

    /// # Errors
    /// When it cannot be written.
    pub fn remove_artifact(&self, digest: &str) -> Result<(), StoreError> {
        self.db().execute("DELETE FROM artifacts WHERE digest = ?1", [digest])?;
        Ok(())
    }
}

type Columns = (String, String, i64, String, String, i64);

fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok((
        row.get(0)?,
        row.get(1)?,
        row.get(2)?,
        row.get(3)?,
        row.get(4)?,
        row.get(5)?,
    ))
}

fn read((digest, filename, size, kind, description, created_at): Columns) -> Result<StoredArtifact, StoreError> {
    Ok(StoredArtifact {
        digest,
        filename,
        size: u64::try_from(size).unwrap_or_default(),
        kind,
        description: from_json(&description, "the description of an artifact")?,
        created_at: timestamp(created_at),
    })
}
