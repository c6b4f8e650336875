//! Who may speak to this server: hashes of tokens, never the tokens.

use std::fmt;

use arya_judge::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use super::{Store, StoreError, nanoseconds, rows, timestamp, unreadable};

/// The most tokens that are remembered; beyond it the oldest sessions end.
pub const TOKENS_MAX: usize = 1_000;

/// What a token opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// A browser's session cookie.
    Session,
    /// The API, for scripts.
    Api,
}

impl TokenKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Api => "api",
        }
    }
}

/// One token. Its hash is not shown: it is as good as a name for brute force.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    pub hash: String,
    pub kind: TokenKind,
    /// Who it was given to.
    pub name: String,
    pub created_at: Timestamp,
    /// `None` = until it is removed.
    pub expires_at: Option<Timestamp>,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("kind", &self.kind)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// # Errors
    /// When it cannot be written.
    pub fn put_token(&self, token: &Token) -> Result<(), StoreError> {
        let db = self.db();
        db.execute(
            "INSERT OR REPLACE INTO tokens (hash, kind, name, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                token.hash,
                token.kind.as_str(),
                token.name,
                nanoseconds(token.created_at),
                token.expires_at.map(nanoseconds),
            ],
        )?;
        db.execute(
            "DELETE FROM tokens WHERE hash IN (SELECT hash FROM tokens ORDER BY kind = 'api' DESC, created_at DESC LIMIT -1 OFFSET ?1)",
            [TOKENS_MAX as i64],
        )?;
        Ok(())
    }

    /// The token with this hash, if it is not over.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn token(&self, hash: &str, now: Timestamp) -> Result<Option<Token>, StoreError> {
        let row = self
            .db()
            .prepare_cached(
                "SELECT hash, kind, name, created_at, expires_at FROM tokens \
                 WHERE hash = ?1 AND (expires_at IS NULL OR expires_at > ?2)",
            )?
            .query_row(params![hash, nanoseconds(now)], columns)
            .optional()?;
        row.map(read).transpose()
    }

    /// Every token, newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn tokens(&self) -> Result<Vec<Token>, StoreError> {
        let db = self.db();
        let mut statement = db.prepare_cached(
            "SELECT hash, kind, name, created_at, expires_at FROM tokens ORDER BY created_at DESC LIMIT ?1",
        )?;
        let rows = statement
            .query_map([rows(TOKENS_MAX)], columns)?
            .collect::<Result<Vec<_>, _>>()?;
        rows.into_iter().map(read).collect()
    }

    /// # Errors
    /// When it cannot be written.
    pub fn remove_token(&self, hash: &str) -> Result<(), StoreError> {
        self.db().execute("DELETE FROM tokens WHERE hash = ?1", [hash])?;
        Ok(())
    }

    /// Forgets tokens that are over; returns how many.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn remove_expired_tokens(&self, now: Timestamp) -> Result<usize, StoreError> {
        Ok(self
            .db()
            .execute("DELETE FROM tokens WHERE expires_at <= ?1", [nanoseconds(now)])?)
    }
}

type Columns = (String, String, String, i64, Option<i64>);

fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
}

fn read((hash, kind, name, created_at, expires_at): Columns) -> Result<Token, StoreError> {
    let kind = match kind.as_str() {
        "session" => TokenKind::Session,
        "api" => TokenKind::Api,
        other => return Err(unreadable(format!("a token's kind \"{other}\""))),
    };
    Ok(Token {
        hash,
        kind,
        name,
        created_at: timestamp(created_at),
        expires_at: expires_at.map(timestamp),
    })
}
