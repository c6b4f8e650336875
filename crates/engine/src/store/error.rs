//! Why the store cannot be used, as a person reads it: what happened, how the world is now, what to do.

use std::path::PathBuf;

use arya_plan::desired::Refusal;
use arya_plan::identity::DeploymentId;
use rusqlite::ErrorCode;

/// What the store answers when it cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(
        "Another Arya already uses the data directory {}. It goes on undisturbed; this one has changed nothing. Stop the \
         other one, or choose another directory with --data-dir.",
        dir.display()
    )]
    InUse { dir: PathBuf },
    #[error(
        "The data directory {} cannot be written. Nothing was started and nothing was changed. Give this user write \
         permission there, or choose another directory with --data-dir.",
        dir.display()
    )]
    NotWritable {
        dir: PathBuf,
        #[source]
        source: Option<std::io::Error>,
    },
    #[error(
        "There is a file where the data directory {} should be. Nothing was started and nothing was changed. Choose \
         another directory with --data-dir.",
        dir.display()
    )]
    NotADirectory { dir: PathBuf },
    #[error(
        "The disk of the data directory is full. What was stored before is intact, this edit was not stored, and nothing \
         in the cloud was changed for it. Free some space; Arya goes on by itself."
    )]
    DiskFull,
    #[error(
        "The data directory {} was written by a newer Arya (its format is {found}, this version knows up to {known}). \
         Nothing was read or changed. Start the newer version, or choose another directory with --data-dir.",
        dir.display()
    )]
    Newer { dir: PathBuf, found: i64, known: i64 },
    #[error(
        "The database cannot be read: {what}. Nothing in the cloud was changed for it. Restore the data directory from a \
         backup; `arya destroy` and `arya sweep` also work without it, from the tags."
    )]
    Unreadable { what: String },
    #[error("The database did not answer as expected. This edit was not stored; it will be tried again.")]
    Database(#[source] rusqlite::Error),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::DiskFull,
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Self::Unreadable {
                what: error.to_string(),
            },
            Some(_) | None => Self::Database(error),
        }
    }
}

/// Why an edit of the desired state was not stored.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    #[error("There is no deployment {0}. Nothing was changed; the list of deployments names those there are.")]
    Unknown(DeploymentId),
    #[error("The deployment was destroyed already and cannot be changed. Start a new one instead.")]
    Closed,
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for SubmitError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Why a deployment was not taken in.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    #[error(
        "A deployment named \"{name}\" is already live. Nothing was created; choose another name, or destroy that one \
         first."
    )]
    NameTaken { name: String },
    #[error(
        "The open deployment \"{name}\" stands in front of the same rule of this listener already. Nothing was created and \
         the other one goes on; destroy it first, or choose another rule."
    )]
    InFrontTaken { name: String },
    #[error("The short id of this deployment is taken by an older one. Nothing was created; try again.")]
    IdTaken,
    #[error("{limit} deployments are open, which is the limit. Nothing was created; destroy one first.")]
    TooMany { limit: usize },
    #[error("This Arya is shutting down. Nothing was created; try again once it runs again.")]
    ShuttingDown,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for CreateError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}
