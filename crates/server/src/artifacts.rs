//! Uploaded files: kept under the digest of their bytes, described once, whole or not at all.
//!
//! A file that is there under its digest is complete; what is still arriving has another name and is gone when its
//! request is. It must never know deployments or routes.

use std::collections::BTreeMap;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arya_bundle::{BundleError, Description, Digest, Limits};
use arya_plan::preview::{FileFacts, Files};
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt as _;

use crate::api::documents::ArtifactDocument;

/// The largest file that is taken, in bytes: an image of a model server is about 10 GiB, and the disk is the user's.
pub(crate) const SIZE_LIMIT: u64 = 20 * 1024 * 1024 * 1024;
/// Longer names are cut; they are only shown.
const FILENAME_LIMIT: usize = 200;
/// What an unfinished file is called.
const ARRIVING: &str = ".arriving-";
/// Read buffer for describing a file.
const READ_BUFFER: usize = 256 * 1024;

/// Why a file is not there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArtifactError {
    #[error("The file is larger than {SIZE_LIMIT} bytes. Nothing of it was kept.")]
    TooLarge,
    #[error("The disk of the data directory is full. Nothing of the file was kept.")]
    DiskFull,
    #[error("The upload ended before the file was whole. Nothing of it was kept.")]
    Interrupted { what: String },
    #[error("The file could not be written below the data directory. Nothing of it was kept.")]
    Write(#[source] io::Error),
    #[error(transparent)]
    Unusable(#[from] BundleError),
}

impl From<io::Error> for ArtifactError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull,
            _ => Self::Write(error),
        }
    }
}

/// The uploaded files; cheap to clone.
#[derive(Clone)]
pub(crate) struct Artifacts(Arc<Inner>);

struct Inner {
    dir: PathBuf,
    described: Mutex<BTreeMap<Digest, Described>>,
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
        std::fs::create_dir_all(dir)?;
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(ARRIVING) {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(Self(Arc::new(Inner {
            dir: dir.to_owned(),
            described: Mutex::default(),
        })))
    }

    /// Where files lie, named by the 64 digits of their digest.
    pub(crate) fn dir(&self) -> &Path {
        &self.0.dir
    }

    /// Begins to take a file.
    pub(crate) fn arrive(&self) -> Result<Arrival, ArtifactError> {
        let file = tempfile::Builder::new().prefix(ARRIVING).tempfile_in(&self.0.dir)?;
        let writing = tokio::fs::File::from_std(file.reopen()?);
        Ok(Arrival {
            file,
            writing,
            hasher: Sha256::new(),
            size: 0,
        })
    }

    /// Checks and describes what arrived, and keeps it. The same file twice is one file.
    pub(crate) async fn keep(
        &self,
        arrival: Arrival,
        filename: Option<&str>,
    ) -> Result<ArtifactDocument, ArtifactError> {
        let Arrival {
            file,
            mut writing,
            hasher,
            size,
        } = arrival;
        writing.flush().await?;
        writing.sync_all().await?;
        drop(writing);
        let digest = hex_digest(hasher);
        if let Some(known) = self.known(&digest) {
            return Ok(known.document);
        }
        let (files, filename) = (self.clone(), filename.map(shortened));
        let work = tokio::task::spawn_blocking(move || {
            let description = describe(file.path())?;
            file.persist(files.path(&digest))
                .map_err(|error| ArtifactError::from(error.error))?;
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
        std::fs::copy(path, unfinished.path())?;
        unfinished.persist(target)?;
        Ok(())
    }

    /// What is known of the files that a spec names; absent ones are left out. Reads files: not on an async thread.
    pub(crate) fn facts<'d>(&self, wanted: impl Iterator<Item = &'d Digest>) -> Files {
        let mut files = Files::new();
        for digest in wanted {
            if let Some(described) = self.find(digest) {
                let facts = FileFacts {
                    size: described.document.size,
                    description: Some(described.description),
                };
                files.insert(digest.clone(), facts);
            }
        }
        files
    }

    /// Describes one file. Reads it unless it was read before: not on an async thread.
    pub(crate) fn document(&self, digest: &Digest) -> Option<ArtifactDocument> {
        self.find(digest).map(|described| described.document)
    }

    fn find(&self, digest: &Digest) -> Option<Described> {
        if let Some(known) = self.known(digest) {
            return Some(known);
        }
        let path = self.path(digest);
        let size = std::fs::metadata(&path).ok()?.len();
        match describe(&path) {
            Ok(description) => Some(self.remember(digest, size, None, description)),
            Err(error) => {
                tracing::warn!(%digest, error = %error, "a kept file cannot be described; it counts as absent");
                None
            }
        }
    }

    fn known(&self, digest: &Digest) -> Option<Described> {
        self.described().get(digest).cloned()
    }

    fn remember(&self, digest: &Digest, size: u64, filename: Option<String>, description: Description) -> Described {
        let document = ArtifactDocument::of(digest.clone(), size, filename, &description);
        let described = Described { document, description };
        self.described().insert(digest.clone(), described.clone());
        described
    }

    fn described(&self) -> std::sync::MutexGuard<'_, BTreeMap<Digest, Described>> {
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
    size: u64,
}

impl Arrival {
    /// Takes the next bytes.
    pub(crate) async fn push(&mut self, chunk: &[u8]) -> Result<(), ArtifactError> {
        self.size += chunk.len() as u64;
        if self.size > SIZE_LIMIT {
            return Err(ArtifactError::TooLarge);
        }
        self.hasher.update(chunk);
        Ok(self.writing.write_all(chunk).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPOSE: &[u8] = b"services:\n  web:\n    image: emr:1.0\n    ports: ['8080:8080']\n";

    fn open() -> (tempfile::TempDir, Artifacts) {
        let dir = tempfile::tempdir().unwrap();
        let artifacts = Artifacts::open(&dir.path().join("artifacts")).unwrap();
        (dir, artifacts)
    }

    async fn upload(artifacts: &Artifacts, bytes: &[u8]) -> Result<ArtifactDocument, ArtifactError> {
        let mut arrival = artifacts.arrive().unwrap();
        for chunk in bytes.chunks(7) {
            arrival.push(chunk).await?;
        }
        artifacts.keep(arrival, Some("compose.yaml")).await
    }

    fn names(artifacts: &Artifacts) -> Vec<String> {
        let entries = std::fs::read_dir(artifacts.dir()).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[tokio::test]
    async fn a_file_is_kept_under_its_digest_once() {
        let (_dir, artifacts) = open();
        let first = upload(&artifacts, COMPOSE).await.unwrap();
        let second = upload(&artifacts, COMPOSE).await.unwrap();
        assert_eq!(first, second);
        assert_eq!(names(&artifacts), [Digest::of(COMPOSE).hex()]);
        assert_eq!(first.services[0].name, "web");
    }

    #[tokio::test]
    async fn what_is_neither_leaves_nothing_behind() {
        let (_dir, artifacts) = open();
        for bad in [&b"\x7fELF\x02\x01\x01"[..], b"", b"a: [1", b"just words"] {
            assert!(
                matches!(upload(&artifacts, bad).await, Err(ArtifactError::Unusable(_))),
                "{bad:?}"
            );
        }
        assert!(names(&artifacts).is_empty());
    }

    #[tokio::test]
    async fn an_upload_that_stops_leaves_nothing_behind() {
        let (_dir, artifacts) = open();
        let mut arrival = artifacts.arrive().unwrap();
        arrival.push(COMPOSE).await.unwrap();
        assert_eq!(names(&artifacts).len(), 1);
        drop(arrival);
        assert!(names(&artifacts).is_empty());
    }

    #[tokio::test]
    async fn a_restart_forgets_unfinished_files_and_knows_the_others() {
        let (dir, artifacts) = open();
        let document = upload(&artifacts, COMPOSE).await.unwrap();
        std::fs::write(artifacts.dir().join(".arriving-old"), b"half").unwrap();
        let again = Artifacts::open(&dir.path().join("artifacts")).unwrap();
        assert_eq!(names(&again), [document.digest.hex()]);
        let found = again.facts([document.digest.clone(), Digest::of(b"absent")].iter());
        assert_eq!(found.len(), 1);
        assert!(found[&document.digest].description.is_some());
    }
}
