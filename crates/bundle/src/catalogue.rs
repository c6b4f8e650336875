//! One forward pass over an archive: what lies where, with digests, and the small JSON documents kept.
//! Must never know what the documents mean.

use std::collections::BTreeMap;
use std::io::{self, Read};

use crate::digest::{Digest, HashingReader};
use crate::error::BundleError;
use crate::keys;
use crate::limits::Limits;
use crate::manifest::Document;
use crate::stream;
use crate::tarball::{EntryKind, TarStream};

/// Links followed from one name. Docker writes one.
const LINKS_FOLLOWED: usize = 8;

const BLOBS: &str = "blobs/sha256/";

/// What an archive holds.
#[derive(Debug, Default)]
pub(crate) struct Catalogue {
    files: BTreeMap<String, File>,
    links: BTreeMap<String, String>,
    root_folders: u32,
    kept_bytes: u64,
}

/// One file of an archive.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    /// Whether it starts like gzip or zstd, so that its digest is not the one of its content.
    pub(crate) compressed: bool,
    /// The content, if it looks like JSON and is small enough.
    json: Option<Vec<u8>>,
}

impl Catalogue {
    /// Reads the archive once, from its first entry to its end mark.
    pub(crate) fn read<R: Read>(tar: &mut TarStream<R>, limits: &Limits) -> Result<Self, BundleError> {
        let mut catalogue = Self::default();
        loop {
            match tar.next() {
                Ok(Some(entry)) => {
                    let name = entry.name();
                    let path = normalise(&name).map_err(|reason| BundleError::PathEscape {
                        entry: name.clone(),
                        reason: reason.to_owned(),
                    })?;
                    catalogue.note_folder(&path);
                    match entry.kind {
                        EntryKind::File => catalogue.add_file(path, entry.size, tar, limits)?,
                        EntryKind::Symlink => catalogue.add_link(path, &entry.link, LinkBase::OwnFolder)?,
                        EntryKind::HardLink => catalogue.add_link(path, &entry.link, LinkBase::Root)?,
                        // Nothing of the outer archive is ever created on disk, so these are only names.
                        EntryKind::Directory | EntryKind::Special(_) => {}
                    }
                }
                Ok(None) => break,
                // A container's files are many more than an image's; say the useful thing then.
                Err(BundleError::LimitReached {
                    limit: "archive_entries" | "archive_paths_bytes",
                    ..
                }) if catalogue.is_container() => {
                    return Err(BundleError::DockerExport);
                }
                Err(error) => return Err(error),
            }
        }
        if catalogue.has("manifest.json") || catalogue.has("index.json") {
            Ok(catalogue)
        } else if catalogue.is_container() {
            Err(BundleError::DockerExport)
        } else {
            Err(BundleError::NoManifest)
        }
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        self.files.contains_key(path) || self.links.contains_key(path)
    }

    /// The path and the file that `path` leads to. `wanted_by` names the document that asks.
    pub(crate) fn file(&self, path: &str, wanted_by: &str) -> Result<(&str, &File), BundleError> {
        let missing = || BundleError::MissingEntry {
            entry: path.to_owned(),
            wanted_by: format!("`{wanted_by}`"),
        };
        let mut at = normalise(path).map_err(|reason| BundleError::PathEscape {
            entry: format!("{path} (named by {wanted_by})"),
            reason: reason.to_owned(),
        })?;
        for _ in 0..=LINKS_FOLLOWED {
            if let Some((path, file)) = self.files.get_key_value(&at) {
                return Ok((path, file));
            }
            at = self.links.get(&at).ok_or_else(missing)?.clone();
        }
        Err(missing())
    }

    /// The blob with this digest.
    pub(crate) fn blob(&self, digest: &Digest, wanted_by: &str) -> Result<(&str, &File), BundleError> {
        self.file(&format!("{BLOBS}{}", digest.hex()), wanted_by)
    }

    pub(crate) fn has_blob(&self, digest: &Digest) -> bool {
        self.has(&format!("{BLOBS}{}", digest.hex()))
    }

    /// The JSON document at a path that `file` gave.
    pub(crate) fn document<T: Document>(&self, path: &str, limits: &Limits) -> Result<T, BundleError> {
        let (path, file) = self.file(path, path)?;
        match &file.json {
            Some(bytes) => {
                keys::check(bytes, T::KEYS).map_err(|e| BundleError::bad_document(path, reason(&e)))?;
                serde_json::from_slice(bytes).map_err(|e| BundleError::bad_document(path, reason(&e)))
            }
            None if file.size > limits.json_bytes => Err(BundleError::LimitReached {
                limit: "json_bytes",
                allowed: limits.json_bytes,
                unit: "bytes in one JSON document",
                place: path.to_owned(),
            }),
            None if self.kept_bytes + file.size > limits.json_total_bytes => Err(BundleError::LimitReached {
                limit: "json_total_bytes",
                allowed: limits.json_total_bytes,
                unit: "bytes of JSON documents together",
                place: path.to_owned(),
            }),
            None => Err(BundleError::bad_document(path, "it is not JSON")),
        }
    }

    fn add_file<R: Read>(
        &mut self,
        path: String,
        size: u64,
        tar: &mut TarStream<R>,
        limits: &Limits,
    ) -> Result<(), BundleError> {
        let place = format!("`{path}`");
        let mut reader = HashingReader::new(tar);
        let (compressed, json) = self
            .content(&mut reader, size, limits)
            .map_err(|e| BundleError::reading(&place, e))?;
        let (digest, _) = reader.finish();
        if let Some(expected) = path.strip_prefix(BLOBS) {
            let expected: Digest = format!("sha256:{expected}")
                .parse()
                .map_err(|_| BundleError::bad_document(&path, "its name is not a SHA-256 digest"))?;
            if expected != digest {
                return Err(BundleError::WrongDigest {
                    entry: path,
                    expected,
                    actual: digest,
                });
            }
        }
        if self.has(&path) {
            return Err(BundleError::DuplicateEntry { entry: path });
        }
        self.kept_bytes += json.as_ref().map_or(0, |bytes| bytes.len() as u64);
        self.files.insert(
            path,
            File {
                digest,
                size,
                compressed,
                json,
            },
        );
        Ok(())
    }

    /// Reads a file to its end: whether it is compressed, and its content if it may be one of the documents.
    fn content(&self, mut reader: impl Read, size: u64, limits: &Limits) -> io::Result<(bool, Option<Vec<u8>>)> {
        const MAGIC_BYTES: u64 = 4;
        let mut content = Vec::new();
        reader.by_ref().take(MAGIC_BYTES).read_to_end(&mut content)?;
        let compressed = stream::is_compressed(&content);
        let fits = size <= limits.json_bytes && self.kept_bytes + size <= limits.json_total_bytes;
        let like_json = content
            .first()
            .is_some_and(|b| matches!(b, b'{' | b'[' | b' ' | b'\n' | b'\t' | b'\r'));
        let kept = if fits && like_json {
            reader.read_to_end(&mut content)?;
            Some(content)
        } else {
            None
        };
        io::copy(&mut reader, &mut io::sink())?;
        Ok((compressed, kept))
    }

    fn add_link(&mut self, path: String, target: &[u8], base: LinkBase) -> Result<(), BundleError> {
        if self.has(&path) {
            return Err(BundleError::DuplicateEntry { entry: path });
        }
        let target = String::from_utf8_lossy(target);
        let folder = match (base, path.rsplit_once('/')) {
            (LinkBase::OwnFolder, Some((folder, _))) => folder,
            _ => "",
        };
        // A container's files are full of links that lead nowhere here. One that matters is missed when it is needed.
        if let Some(target) = join(folder, &target) {
            self.links.insert(path, target);
        }
        Ok(())
    }

    fn note_folder(&mut self, path: &str) {
        const OF_A_ROOT: [&str; 8] = ["bin", "dev", "etc", "lib", "proc", "sbin", "usr", "var"];
        const DOCKER_MARK: &str = ".dockerenv";
        let first = path.split('/').next().unwrap_or_default();
        if let Some(at) = OF_A_ROOT.iter().position(|name| *name == first) {
            self.root_folders |= 1 << at;
        } else if path == DOCKER_MARK {
            self.root_folders = u32::MAX;
        }
    }

    /// Whether this is the root file system of a container instead of an image.
    fn is_container(&self) -> bool {
        const ENOUGH_ROOT_FOLDERS: u32 = 3;
        let has_manifest = self.has("manifest.json") || self.has("index.json");
        !has_manifest && self.root_folders.count_ones() >= ENOUGH_ROOT_FOLDERS
    }
}

#[derive(Debug, Clone, Copy)]
enum LinkBase {
    OwnFolder,
    Root,
}

/// What is wrong with a document, without the text that stands there: it may be a secret of the image's environment.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    if text.starts_with("invalid type: string") || text.starts_with("invalid value: string") {
        return format!(
            "there is a wrong text at line {} column {}",
            error.line(),
            error.column()
        );
    }
    text
}

/// An entry's path without `.` and doubled slashes; the reason if it leaves the archive.
pub(crate) fn normalise(path: &str) -> Result<String, &'static str> {
    if path.starts_with('/') {
        return Err("the path is absolute");
    }
    let parts: Vec<_> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") {
        Err("the path contains `..`")
    } else {
        Ok(parts.join("/"))
    }
}

/// Where a link leads from `folder`; `None` outside the archive.
fn join(folder: &str, target: &str) -> Option<String> {
    if target.starts_with('/') {
        return None;
    }
    let mut parts: Vec<_> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}
