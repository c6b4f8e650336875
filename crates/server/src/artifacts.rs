//! Uploaded files: kept under the digest of their bytes, described once, whole or not at all.
//!
//! A file that is there under its digest is complete; what is still arriving has another name and is gone when its
//! request is. It must never know deployments or routes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arya_bundle::{BundleError, Description, Digest, Kind, Limits};
use arya_plan::preview::{FileFacts, Files};
use arya_plan::spec::limits;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt as _;

use crate::api::documents::ArtifactDocument;
use crate::api::text::limit;
use crate::patience::UPLOAD_QUIET_AT_MOST;

/// The largest file that is taken, in bytes: an image of a model server is about 10 GiB, and the disk is the user's.
pub(crate) const SIZE_LIMIT: u64 = 20 * 1024 * 1024 * 1024;
/// All files together, in bytes: five of the largest, or years of ordinary ones.
pub(crate) const TOTAL_LIMIT: u64 = 5 * SIZE_LIMIT;
/// A file that nobody planned with or uploaded for this long, and that no open deployment names, is removed: a week
/// covers the pipeline that runs every Monday.
pub(crate) const KEPT_UNUSED: Duration = Duration::from_secs(7 * 24 * 3600);
/// Longer names are cut; they are only shown.
const FILENAME_LIMIT: usize = 200;
/// What an unfinished file is called.
const ARRIVING: &str = ".arriving-";
/// Read buffer for describing a file.
const READ_BUFFER: usize = 256 * 1024;

/// What an upload is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Meant {
    /// An image archive or a compose file; anything else is refused.
    #[default]
    Described,
    /// Of the app's configuration: an env file, or one of `files`. It is not looked into.
    File,
}

/// Why a file is not there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArtifactError {
    #[error("The file is larger than {}. Nothing of it was kept.", limit(SIZE_LIMIT))]
    TooLarge,
    #[error(
        "A file of an app's configuration has at most {}. Nothing of this one was kept.",
        limit(limits::CONFIGURATION_BYTES)
    )]
    NotForALaunch,
    #[error(
        "The uploaded files would take more than {TOTAL_LIMIT} bytes together. Nothing of this one was kept; files that no deployment needs are removed 7 days after their last use."
    )]
    NoRoom,
    #[error("The disk of the data directory takes no more. Nothing of the file was kept.")]
    DiskFull,
    #[error("The upload ended before the file was whole. Nothing of it was kept.")]
    Interrupted { what: String },
    #[error("The upload stood still: no byte came for {} s. Nothing of it was kept.", UPLOAD_QUIET_AT_MOST.as_secs())]
    Stalled,
    #[error("The file could not be written below the data directory. Nothing of it was kept.")]
    Write(#[source] io::Error),
    #[error(transparent)]
    Unusable(#[from] BundleError),
}

impl From<io::Error> for ArtifactError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => Self::DiskFull,
            _ => Self::Write(error),
        }
    }
}

/// The uploaded files; cheap to clone.
#[derive(Clone)]
pub(crate) struct Artifacts(Arc<Inner>);

struct Inner {
    dir: PathBuf,
    /// What was read; `None` = it cannot be described, so it counts as absent.
    described: Mutex<BTreeMap<Digest, Option<Described>>>,
    /// Held while a file is read, so that many who ask for the same large file read it once.
    reading: Mutex<()>,
    /// Bytes of all files, those on their way included.
    held: AtomicU64,
    total_limit: u64,
}

impl Inner {
    /// Others may have changed the directory, so that less is held than was counted.
    fn free(&self, bytes: u64) {
        let less = |held: u64| Some(held.saturating_sub(bytes));
        let _ = self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }
}

#[derive(Clone)]
struct Described {
    document: ArtifactDocument,
    description: Description,
}

impl std::fmt::Debug for Artifacts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Artifacts")
            .field("dir", &self.0.dir)
            .finish_non_exhaustive()
    }
}

impl Artifacts {
    /// Uses a directory, making it if need be. What an earlier run left unfinished is removed.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        Self::open_with(dir, TOTAL_LIMIT)
    }

    fn open_with(dir: &Path, total_limit: u64) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let mut held = 0;
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(ARRIVING) {
                std::fs::remove_file(entry.path())?;
            } else {
                held += entry.metadata()?.len();
            }
        }
        Ok(Self(Arc::new(Inner {
            dir: dir.to_owned(),
            described: Mutex::default(),
            reading: Mutex::default(),
            held: AtomicU64::new(held),
            total_limit,
        })))
    }

    /// Where files lie, named by the 64 digits of their digest.
    pub(crate) fn dir(&self) -> &Path {
        &self.0.dir
    }

    /// Bytes of all files, those on their way included.
    pub(crate) fn held(&self) -> u64 {
        self.0.held.load(Ordering::Relaxed)
    }

    /// Begins to take a file.
    pub(crate) fn arrive(&self) -> Result<Arrival, ArtifactError> {
        let file = tempfile::Builder::new().prefix(ARRIVING).tempfile_in(&self.0.dir)?;
        let writing = tokio::fs::File::from_std(file.reopen()?);
        Ok(Arrival {
            file,
            writing,
            hasher: Sha256::new(),
            room: Room {
                files: Arc::clone(&self.0),
                bytes: 0,
            },
        })
    }

    /// Checks and describes what arrived, and keeps it. The same file twice is one file.
    pub(crate) async fn keep(
        &self,
        arrival: Arrival,
        filename: Option<&str>,
        meant: Meant,
        now: SystemTime,
    ) -> Result<ArtifactDocument, ArtifactError> {
        let Arrival {
            file,
            mut writing,
            hasher,
            room,
        } = arrival;
        writing.flush().await?;
        writing.sync_all().await?;
        drop(writing);
        if meant == Meant::File && room.bytes > limits::CONFIGURATION_BYTES {
            return Err(ArtifactError::NotForALaunch);
        }
        let digest = hex_digest(hasher);
        if let Some(Some(known)) = self.known(&digest)
            && (meant == Meant::File || known.description.kind != Kind::File)
            && self.use_at(&digest, now)
        {
            return Ok(known.document);
        }
        let (files, filename) = (self.clone(), filename.map(shortened));
        let work = tokio::task::spawn_blocking(move || {
            let description = match meant {
                Meant::Described => describe(file.path())?,
                Meant::File => Description::FILE,
            };
            let (target, size) = (files.path(&digest), room.bytes);
            let new = !target.exists();
            file.persist(target).map_err(|error| ArtifactError::from(error.error))?;
            if new {
                room.keep();
            }
            files.use_at(&digest, now);
            Ok(files.remember(&digest, size, filename, description).document)
        });
        work.await
            .unwrap_or_else(|panic| Err(ArtifactError::Write(io::Error::other(panic))))
    }

    /// Takes over a file that lies on this disk already, whose digest is known.
    pub(crate) fn adopt(&self, path: &Path, digest: &Digest) -> io::Result<()> {
        let target = self.path(digest);
        if target.exists() {
            return Ok(());
        }
        let unfinished = tempfile::Builder::new().prefix(ARRIVING).tempfile_in(&self.0.dir)?;
        let size = std::fs::copy(path, unfinished.path())?;
        unfinished.persist(target)?;
        self.0.held.fetch_add(size, Ordering::Relaxed);
        Ok(())
    }

    /// Removes what was not used for [`KEPT_UNUSED`] and is not needed. Reads the directory: not on an async thread.
    pub(crate) fn remove_unused(&self, needed: &BTreeSet<Digest>, now: SystemTime) -> io::Result<usize> {
        let mut removed = 0;
        for entry in std::fs::read_dir(&self.0.dir)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            // Only what has a digest for a name is an upload; a file on its way has none.
            let Ok(digest) = format!("sha256:{name}").parse::<Digest>() else {
                continue;
            };
            let metadata = entry.metadata()?;
            let unused = now.duration_since(metadata.modified()?).unwrap_or_default();
            if needed.contains(&digest) || unused < KEPT_UNUSED {
                continue;
            }
            self.described().remove(&digest);
            std::fs::remove_file(entry.path())?;
            self.0.free(metadata.len());
            removed += 1;
        }
        Ok(removed)
    }

    /// Notes that a file is used, so that it is kept for another while; whether it is there.
    fn use_at(&self, digest: &Digest, now: SystemTime) -> bool {
        let file = std::fs::File::options().append(true).open(self.path(digest));
        file.and_then(|file| file.set_modified(now)).is_ok()
    }

    /// What is known of the files that a spec names, which are used by that; absent ones are left out. Reads files: not
    /// on an async thread.
    pub(crate) fn facts<'d>(&self, wanted: impl Iterator<Item = &'d Digest>, now: SystemTime) -> Files {
        let mut files = Files::new();
        for digest in wanted {
            if let Some(described) = self.find(digest) {
                self.use_at(digest, now);
                let facts = FileFacts {
                    size: described.document.size,
                    description: Some(described.description),
                };
                files.insert(digest.clone(), facts);
            }
        }
        files
    }

    /// Describes files; absent ones are left out. What was not read before is read on a thread that may block.
    pub(crate) async fn documents(&self, wanted: Vec<Digest>) -> BTreeMap<Digest, ArtifactDocument> {
        let files = self.clone();
        let work = move || {
            let described = wanted
                .into_iter()
                .filter_map(|digest| Some((files.find(&digest)?.document, digest)));
            described.map(|(document, digest)| (digest, document)).collect()
        };
        // A file that cannot be read now is shown by its digest.
        tokio::task::spawn_blocking(work).await.unwrap_or_default()
    }

    fn find(&self, digest: &Digest) -> Option<Described> {
        if let Some(known) = self.known(digest) {
            return known;
        }
        let _alone = self.0.reading.lock().unwrap_or_else(PoisonError::into_inner);
        // Somebody else may have read it meanwhile.
        if let Some(known) = self.known(digest) {
            return known;
        }
        let path = self.path(digest);
        let size = std::fs::metadata(&path).ok()?.len();
        match describe(&path) {
            Ok(description) => Some(self.remember(digest, size, None, description)),
            // What is whole and nothing else was kept as a file of some app's configuration.
            Err(ArtifactError::Unusable(_)) if size <= limits::CONFIGURATION_BYTES && is_whole(&path, digest) => {
                Some(self.remember(digest, size, None, Description::FILE))
            }
            Err(error) => {
                tracing::warn!(%digest, error = %error, "a kept file cannot be described; it counts as absent");
                self.described().insert(digest.clone(), None);
                None
            }
        }
    }

    fn known(&self, digest: &Digest) -> Option<Option<Described>> {
        self.described().get(digest).cloned()
    }

    fn remember(&self, digest: &Digest, size: u64, filename: Option<String>, description: Description) -> Described {
        let document = ArtifactDocument::of(digest.clone(), size, filename, &description);
        let described = Described { document, description };
        self.described().insert(digest.clone(), Some(described.clone()));
        described
    }

    fn described(&self) -> std::sync::MutexGuard<'_, BTreeMap<Digest, Option<Described>>> {
        self.0.described.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.0.dir.join(digest.hex())
    }
}

fn describe(path: &Path) -> Result<Description, ArtifactError> {
    let file = std::fs::File::open(path)?;
    Ok(arya_bundle::describe(
        BufReader::with_capacity(READ_BUFFER, file),
        &Limits::default(),
    )?)
}

fn is_whole(path: &Path, digest: &Digest) -> bool {
    std::fs::read(path).is_ok_and(|bytes| Digest::of(&bytes) == *digest)
}

fn shortened(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(FILENAME_LIMIT).collect()
}

fn hex_digest(hasher: Sha256) -> Digest {
    let hex: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
        .parse()
        .expect("64 hexadecimal digits are a digest")
}

/// A file on its way. Dropped, it leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Arrival {
    file: NamedTempFile,
    writing: tokio::fs::File,
    hasher: Sha256,
    room: Room,
}

/// The bytes of a file on its way, as part of all that is held. Dropped, they are free again.
struct Room {
    files: Arc<Inner>,
    bytes: u64,
}

impl std::fmt::Debug for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Room")
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl Room {
    fn take(&mut self, bytes: u64) -> Result<(), ArtifactError> {
        self.bytes += bytes;
        let held = self.files.held.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if held > self.files.total_limit {
            return Err(ArtifactError::NoRoom);
        }
        Ok(())
    }
}

impl Room {
    /// From here on the bytes are those of a kept file.
    fn keep(mut self) {
        self.bytes = 0;
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.files.free(self.bytes);
    }
}

impl Arrival {
    /// Takes the next bytes.
    pub(crate) async fn push(&mut self, chunk: &[u8]) -> Result<(), ArtifactError> {
        self.room.take(chunk.len() as u64)?;
        if self.room.bytes > SIZE_LIMIT {
            return Err(ArtifactError::TooLarge);
        }
        self.hasher.update(chunk);
        Ok(self.writing.write_all(chunk).await?)
    }
}

#[cfg(test)]
mod tests;
