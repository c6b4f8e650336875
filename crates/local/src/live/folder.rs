//! A bucket as a folder: `files/<hex>` by digest, `status/<instance>.json`, `logs/<instance>`. Copies files in, checks them,
//! keeps what is left behind, removes all.
//!
//! Blocking; the callers run it beside the async runtime. Knows no deployment and no phase.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use arya_plan::left;
use arya_plan::spec::Digest;
use sha2::{Digest as _, Sha256};

/// One read and write: large enough to be fast, small enough that progress moves and a stop is prompt.
const CHUNK: usize = 256 * 1024;

static COPIES: AtomicU64 = AtomicU64::new(0);

/// A folder that stands for a bucket.
#[derive(Debug, Clone)]
pub(super) struct Folder(PathBuf);

/// Whether a copy goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Go {
    On,
    Stop,
}

impl Folder {
    pub(super) fn at(path: PathBuf) -> Self {
        Self(path)
    }

    pub(super) fn create(&self) -> io::Result<()> {
        fs::create_dir_all(self.0.join("files"))?;
        fs::create_dir_all(self.0.join("status"))?;
        fs::create_dir_all(self.0.join(left::LOGS))
    }

    pub(super) fn file(&self, digest: &Digest) -> PathBuf {
        self.0.join("files").join(digest.hex())
    }

    /// Copies a file in and checks that its bytes are what its digest says. `progress` gets the bytes so far.
    ///
    /// On an error or a stop nothing of it stays; the sentence is for the person who uploads.
    pub(super) fn copy_in(
        &self,
        artifact: &Path,
        digest: &Digest,
        mut progress: impl FnMut(u64) -> Go,
    ) -> Result<(), String> {
        // A copy that was stopped may still be ending when the next one of the same file begins.
        let turn = COPIES.fetch_add(1, Ordering::Relaxed);
        let part = self.0.join("files").join(format!("{}.{turn}.part", digest.hex()));
        let copied = copy_checked(artifact, &part, digest, &mut progress).and_then(|()| {
            fs::rename(&part, self.file(digest)).map_err(|error| sentence("Writing into the bucket failed", &error))
        });
        if copied.is_err() {
            // It may never have been made, and goes with the bucket in any case.
            let _ = fs::remove_file(&part);
        }
        copied
    }

    /// Writes an instance's status document. A bucket that is gone takes none, as a URL to a deleted bucket would not.
    pub(super) fn write_status(&self, name: &str, document: &[u8]) -> io::Result<()> {
        self.write(&format!("status/{name}.json"), document)
    }

    /// Writes an object whole.
    pub(super) fn write(&self, key: &str, bytes: &[u8]) -> io::Result<()> {
        let part = self.0.join(format!("{key}.part"));
        fs::write(&part, bytes)?;
        fs::rename(&part, self.0.join(key))
    }

    /// The logs of those that ended.
    pub(super) fn logs(&self) -> io::Result<Vec<left::Log>> {
        let mut logs = Vec::new();
        for entry in fs::read_dir(self.0.join(left::LOGS))? {
            let entry = entry?;
            let key = format!("{}/{}", left::LOGS, entry.file_name().to_string_lossy());
            if let Some((place, incarnation)) = left::log_of(&key) {
                logs.push(left::Log {
                    place,
                    incarnation,
                    bytes: fs::read(entry.path())?,
                });
            }
        }
        Ok(logs)
    }

    /// Copies what outlives the bucket into another folder.
    pub(super) fn keep(&self, folder: &Path) -> io::Result<()> {
        for log in self.logs()? {
            let path = folder.join(left::log_key(log.place, log.incarnation));
            fs::create_dir_all(path.parent().unwrap_or(folder))?;
            fs::write(path, log.bytes)?;
        }
        Ok(())
    }

    /// Removes everything; a folder that is not there is fine.
    pub(super) fn remove(&self) -> io::Result<()> {
        remove_folder(&self.0)
    }
}

/// Removes a folder with all in it; one that is not there is fine.
pub(super) fn remove_folder(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn sentence(what: &str, error: &io::Error) -> String {
    format!("{what}: {error}.")
}

fn copy_checked(from: &Path, to: &Path, digest: &Digest, progress: &mut impl FnMut(u64) -> Go) -> Result<(), String> {
    let mut source = File::open(from).map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            format!("The file {digest} is not stored here (any more). Nothing was sent. Upload it again.")
        }
        _ => sentence("The stored file cannot be opened", &error),
    })?;
    let writing = |error: io::Error| sentence("Writing into the bucket failed", &error);
    let mut target = File::create(to).map_err(writing)?;
    let mut hash = Sha256::new();
    let (mut sent, mut chunk) = (0, vec![0; CHUNK]);
    loop {
        let read = match source.read(&mut chunk) {
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(sentence("The stored file cannot be read", &error)),
        };
        let bytes = &chunk[..read];
        if bytes.is_empty() {
            break;
        }
        hash.update(bytes);
        target.write_all(bytes).map_err(writing)?;
        sent += bytes.len() as u64;
        if progress(sent) == Go::Stop {
            return Err("The upload was stopped; what had been sent was removed.".into());
        }
    }
    let found: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if found != digest.hex() {
        return Err(format!(
            "The stored file {digest} has other bytes now (sha256:{found}). Nothing of it was sent. Upload it again."
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Copies `stored` under the digest of `meant`; the names that lie in the bucket afterwards.
    fn check(stored: Option<&[u8]>, meant: &[u8], go: Go, expected: Result<(), &str>) {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::at(dir.path().join("bucket"));
        folder.create().unwrap();
        let artifact = dir.path().join("artifact");
        if let Some(stored) = stored {
            fs::write(&artifact, stored).unwrap();
        }
        let (digest, mut seen) = (Digest::of(meant), 0);
        let copied = folder.copy_in(&artifact, &digest, |sent| {
            seen = sent;
            go
        });
        let left: Vec<_> = fs::read_dir(dir.path().join("bucket/files")).unwrap().collect();
        match expected {
            Ok(()) => {
                assert_eq!(copied, Ok(()));
                assert_eq!(fs::read(folder.file(&digest)).unwrap(), meant);
                assert_eq!((seen, left.len()), (meant.len() as u64, 1));
            }
            Err(words) => {
                assert!(copied.as_ref().unwrap_err().contains(words), "{copied:?}");
                assert!(left.is_empty());
            }
        }
        folder.remove().unwrap();
        folder.remove().unwrap();
    }

    #[test]
    fn a_file_arrives_whole_and_by_its_digest() {
        check(Some(b"an archive"), b"an archive", Go::On, Ok(()));
        check(Some(&vec![7; CHUNK * 2 + 1]), &vec![7; CHUNK * 2 + 1], Go::On, Ok(()));
    }

    #[test]
    fn nothing_stays_of_a_copy_that_does_not_end_well() {
        check(None, b"an archive", Go::On, Err("not stored here"));
        check(Some(b"other bytes"), b"an archive", Go::On, Err("other bytes now"));
        check(Some(b"an archive"), b"an archive", Go::Stop, Err("was stopped"));
    }
}
