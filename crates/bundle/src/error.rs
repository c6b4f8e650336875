//! What can be wrong with a bundle, in sentences for the person who handed it over. Must never know who shows them.

use std::io;
use std::path::PathBuf;

use crate::compose::ComposeError;
use crate::digest::Digest;
use crate::shown::{clause, name};

/// Why a bundle was not described or not unpacked. Each text says what happened, how things are now, and what to do.
///
/// After any of these nothing of the bundle is in use, and an unpack target has not been created.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    #[error(
        "Reading {} failed. Nothing of the file is in use. Try again; the cause follows.",
        name(place)
    )]
    Read {
        place: String,
        #[source]
        source: io::Error,
    },
    #[error(
        "The file ends in the middle of {}. Nothing of it is in use. Upload it again; if it is short on your disk \
         too, write it again with `docker save`.",
        name(place)
    )]
    Truncated { place: String },
    #[error(
        "{} is damaged: {}. Nothing of the file is in use. Write it again with `docker save` and upload that.",
        name(place),
        clause(reason)
    )]
    Damaged { place: String, reason: String },
    #[error("The file is empty. Nothing is in use. Upload an image archive made by `docker save`, or a compose file.")]
    Empty,
    #[error(
        "The file is neither an image archive nor a compose file; it looks like {looks_like}. Nothing of it is in use. \
         Upload what `docker save` writes (plain, gzip or zstd), or a compose file in YAML."
    )]
    Unrecognised { looks_like: &'static str },
    #[error(
        "This looks like `docker export`: the files of a container, without the image's entrypoint, environment and \
         ports. Nothing of it is in use. Use `docker save IMAGE` instead."
    )]
    DockerExport,
    #[error(
        "The tar archive holds no image: it has neither `manifest.json` nor `index.json`. Nothing of it is in use. \
         Upload what `docker save IMAGE` writes."
    )]
    NoManifest,
    #[error(
        "The archive does not contain `{}`, which {} names. Nothing of it is in use. Write it again with `docker save`.",
        name(entry),
        name(wanted_by)
    )]
    MissingEntry { entry: String, wanted_by: String },
    #[error(
        "`{}` does not say what it must: {}. Nothing of the archive is in use. Write it again with `docker save`.",
        name(entry),
        clause(reason)
    )]
    BadDocument { entry: String, reason: String },
    #[error(
        "`{}` should have the digest {expected} but has {actual}. Nothing of the archive is in use. It was changed \
         or damaged after it was written; write it again with `docker save`.",
        name(entry)
    )]
    WrongDigest {
        entry: String,
        expected: Digest,
        actual: Digest,
    },
    #[error(
        "`{}` cannot be used safely: {}. Nothing was written there, and nothing of the archive is in use. \
         Images that Docker builds do without such entries; find out where this file comes from before you use it.",
        name(entry),
        clause(reason)
    )]
    PathEscape { entry: String, reason: String },
    #[error(
        "`{}` is in the archive twice, so that two readers may see two different files. Nothing of it is in use. \
         Write it again with `docker save`.",
        name(entry)
    )]
    DuplicateEntry { entry: String },
    #[error(
        "`{}` cannot be used: {}. Nothing of the archive is in use. {next}",
        name(entry),
        clause(reason)
    )]
    Unsupported {
        entry: String,
        reason: String,
        next: &'static str,
    },
    #[error(
        "`manifest.json` and `index.json` describe different images ({image} is only in the first). Nothing of the \
         archive is in use. Write it again with `docker save`."
    )]
    Disagreement { image: Digest },
    #[error(
        "Reading stopped at {}: more than {allowed} {unit} (limit `{limit}`). Nothing of the file is in use. If \
         the file is what you meant to use, make it smaller or raise that limit.",
        name(place)
    )]
    LimitReached {
        limit: &'static str,
        allowed: u64,
        unit: &'static str,
        place: String,
    },
    #[error(
        "The archive holds no image {}. Nothing was unpacked. It holds: {}. Choose one of these.",
        clause(wanted),
        clause(present)
    )]
    NoSuchImage { wanted: String, present: String },
    #[error("`{}` exists already. Nothing was unpacked and it was not touched. Choose a directory that does not exist.", path.display())]
    TargetExists { path: PathBuf },
    #[error(
        "Writing below `{}` failed at `{}`. What had been written was removed. See to the cause below and try again.",
        path.display(),
        name(entry)
    )]
    Write {
        path: PathBuf,
        entry: String,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Compose(#[from] ComposeError),
}

impl BundleError {
    /// Sorts an I/O error met while reading `place`: our own limits pass through, the rest is cut off, damaged or failed.
    pub(crate) fn reading(place: &str, error: io::Error) -> Self {
        let error = match error.downcast::<Self>() {
            Ok(ours) => return ours,
            Err(error) => error,
        };
        let place = place.to_owned();
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Truncated { place },
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => Self::Damaged {
                place,
                reason: error.to_string(),
            },
            _ => Self::Read { place, source: error },
        }
    }

    pub(crate) fn damaged(place: &str, reason: impl Into<String>) -> Self {
        Self::Damaged {
            place: place.to_owned(),
            reason: reason.into(),
        }
    }

    pub(crate) fn bad_document(entry: &str, reason: impl Into<String>) -> Self {
        Self::BadDocument {
            entry: entry.to_owned(),
            reason: reason.into(),
        }
    }
}
