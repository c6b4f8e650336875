//! Applies the entries of layers to a directory and never leaves it. Must never know archives or digests.
//!
//! Two rules make that so. No directory on the way to a written path may be a symbolic link, whoever made it. And a
//! symbolic link is made only if its target climbs with leading `..` alone, no higher than the root: its own parents are
//! real directories, so by induction nobody who follows links inside the tree can come out of it.

use std::cell::Cell;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::Skipped;
use crate::error::BundleError;
use crate::limits::Limits;
use crate::tarball::{Entry, EntryKind};

/// Skipped entries that are listed; a base image has a dozen at most.
const SKIPPED_LISTED: usize = 100;
/// Copied at a time.
const CHUNK_BYTES: usize = 64 * 1024;
const PERMISSIONS: u32 = 0o777;
const OWNER_ALL: u32 = 0o700;
const WHITEOUT: &[u8] = b".wh.";
const WHITEOUT_OPAQUE: &[u8] = b".wh..wh..opq";
/// Notes of an old storage driver to itself.
const WHITEOUT_META: &[u8] = b".wh..wh.";

pub(super) struct Tree {
    root: PathBuf,
    /// What errors name, since the root is a passing place.
    target: PathBuf,
    limits: Limits,
    entries: u64,
    bytes: u64,
    skipped: Vec<Skipped>,
    /// What the layer being applied has made: whiteouts of that layer do not touch it, and nothing comes twice.
    made: HashMap<PathBuf, Made>,
    /// Bytes of the paths in `made`.
    made_bytes: u64,
    /// Questions to the file system so far.
    lookups: Cell<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Made {
    Directory,
    /// A directory that holds nothing of lower layers any more, so that no further mark needs to look through it.
    SweptDirectory,
    /// A file, a link, or a mark that removed something.
    Leaf,
}

impl Tree {
    pub(super) fn new(root: &Path, target: &Path, limits: &Limits) -> Self {
        Self {
            root: root.to_owned(),
            target: target.to_owned(),
            limits: limits.clone(),
            entries: 0,
            bytes: 0,
            skipped: Vec::new(),
            made: HashMap::new(),
            made_bytes: 0,
            lookups: Cell::new(0),
        }
    }

    pub(super) fn begin_layer(&mut self) {
        self.made.clear();
        self.made_bytes = 0;
    }

    /// Entries, bytes, and what was left out.
    pub(super) fn finish(self) -> (u64, u64, Vec<Skipped>) {
        (self.entries, self.bytes, self.skipped)
    }

    /// Applies one entry, whose content is read from `content`.
    pub(super) fn apply(&mut self, entry: &Entry, content: &mut impl Read) -> Result<(), BundleError> {
        self.count_entry(entry)?;
        let parts = parts(&entry.path).map_err(|reason| entry.escape(reason))?;
        check(
            "path_parts",
            parts.len() as u64,
            self.limits.path_parts,
            "names in one path",
            entry,
        )?;
        let Some((name, parents)) = parts.split_last() else {
            return match entry.kind {
                EntryKind::Directory => Ok(()),
                _ => Err(entry.escape("it stands for the root itself and is no directory")),
            };
        };
        if name.as_bytes().starts_with(WHITEOUT) {
            return self.whiteout(entry, parents, name);
        }
        let path: PathBuf = parts.iter().collect();
        if let EntryKind::Special(what) = entry.kind {
            if self.skipped.len() < SKIPPED_LISTED {
                self.skipped.push(Skipped {
                    path: entry.name(),
                    what,
                });
            }
            return Ok(());
        }
        self.make_parents(entry, parents)?;
        let directory = entry.kind == EntryKind::Directory;
        match self.made.get(&path) {
            None => {}
            Some(Made::Directory | Made::SweptDirectory) if directory => return self.change_mode(entry, &path),
            Some(_) => return Err(BundleError::DuplicateEntry { entry: entry.name() }),
        }
        // Looked up before anything is removed: a link to its own path would remove its target.
        let link_target = match entry.kind {
            EntryKind::HardLink => Some(self.hard_link_target(entry, &path)?),
            _ => None,
        };
        self.clear_the_way(entry, &path)?;
        let full = self.root.join(&path);
        match entry.kind {
            EntryKind::File => self.write_file(entry, &full, content)?,
            EntryKind::Directory => self.make_directory(entry, &path)?,
            EntryKind::Symlink => {
                let target = symlink_target(&entry.link, parents.len()).map_err(|reason| entry.escape(reason))?;
                std::os::unix::fs::symlink(target, &full).map_err(|e| self.writing(entry, e))?;
            }
            EntryKind::HardLink | EntryKind::Special(_) => {
                let target = link_target.expect("looked up above for every hard link; special entries returned");
                fs::hard_link(self.root.join(target), &full).map_err(|e| self.writing(entry, e))?;
            }
        }
        self.note(entry, path, if directory { Made::Directory } else { Made::Leaf })
    }

    fn count_entry(&mut self, entry: &Entry) -> Result<(), BundleError> {
        self.entries += 1;
        let allowed = self.limits.image_entries;
        check("image_entries", self.entries, allowed, "entries in all layers", entry)
    }

    /// Remembers what the layer made. A path of many names implies as many directories, each of which is remembered too:
    /// their paths together are far longer than those of the entries.
    fn note(&mut self, entry: &Entry, path: PathBuf, what: Made) -> Result<(), BundleError> {
        self.made_bytes = self.made_bytes.saturating_add(path.as_os_str().len() as u64);
        let allowed = self.limits.layer_paths_bytes;
        check(
            "layer_paths_bytes",
            self.made_bytes,
            allowed,
            "bytes in all paths",
            entry,
        )?;
        self.made.insert(path, what);
        Ok(())
    }

    fn write_file(&mut self, entry: &Entry, full: &Path, content: &mut impl Read) -> Result<(), BundleError> {
        self.bytes = self.bytes.saturating_add(entry.size);
        check(
            "unpacked_bytes",
            self.bytes,
            self.limits.unpacked_bytes,
            "bytes in all layers",
            entry,
        )?;
        let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(full);
        let mut file = created.map_err(|e| self.writing(entry, e))?;
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let count = match content.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(BundleError::reading(&format!("`{}`", entry.name()), e)),
            };
            file.write_all(&chunk[..count]).map_err(|e| self.writing(entry, e))?;
        }
        self.set_mode(entry, &file, entry.mode & PERMISSIONS)
    }

    fn make_directory(&self, entry: &Entry, path: &Path) -> Result<(), BundleError> {
        let full = self.root.join(path);
        if !full.is_dir() {
            fs::create_dir(full).map_err(|e| self.writing(entry, e))?;
        }
        self.change_mode(entry, path)
    }

    fn change_mode(&self, entry: &Entry, path: &Path) -> Result<(), BundleError> {
        let directory = File::open(self.root.join(path)).map_err(|e| self.writing(entry, e))?;
        self.set_mode(entry, &directory, (entry.mode & PERMISSIONS) | OWNER_ALL)
    }

    fn set_mode(&self, entry: &Entry, file: &File, mode: u32) -> Result<(), BundleError> {
        file.set_permissions(fs::Permissions::from_mode(mode))
            .map_err(|e| self.writing(entry, e))
    }

    /// Makes the directories above an entry; layers may leave them out.
    fn make_parents(&mut self, entry: &Entry, parents: &[&OsStr]) -> Result<(), BundleError> {
        // Most entries follow one in the same directory; without this a deep tree costs a system call for every name.
        let known = (1..=parents.len())
            .rev()
            .find(|&length| self.is_made_directory(&parents[..length].iter().collect::<PathBuf>()))
            .unwrap_or(0);
        let mut path: PathBuf = parents[..known].iter().collect();
        for part in &parents[known..] {
            path.push(part);
            match self.kind_of(entry, &path)? {
                Some(Found::Directory) => {}
                Some(found) => return Err(entry.escape(found.in_the_way(&path))),
                None => {
                    self.count_entry(entry)?;
                    fs::create_dir(self.root.join(&path)).map_err(|e| self.writing(entry, e))?;
                }
            }
            // Also if a lower layer made it: whiteouts of this layer must spare what is about to go in.
            self.note(entry, path.clone(), Made::Directory)?;
        }
        Ok(())
    }

    /// Nothing in the same layer can take such a directory away again.
    fn is_made_directory(&self, path: &Path) -> bool {
        matches!(self.made.get(path), Some(Made::Directory | Made::SweptDirectory))
    }

    /// Removes what a lower layer left at the path, unless both are directories.
    fn clear_the_way(&mut self, entry: &Entry, path: &Path) -> Result<(), BundleError> {
        match (self.kind_of(entry, path)?, entry.kind) {
            (None, _) | (Some(Found::Directory), EntryKind::Directory) => Ok(()),
            (Some(_), _) => self.prune(entry, path),
        }
    }

    fn hard_link_target(&self, entry: &Entry, path: &Path) -> Result<PathBuf, BundleError> {
        let parts = parts(&entry.link).map_err(|reason| entry.escape(format!("the target of the link: {reason}")))?;
        let target: PathBuf = parts.iter().collect();
        if target == path {
            return Err(entry.escape("it is a link to itself"));
        }
        let mut at = PathBuf::new();
        for (index, part) in parts.iter().enumerate() {
            at.push(part);
            let last = index + 1 == parts.len();
            match self.kind_of(entry, &at)? {
                Some(Found::Directory) if !last => {}
                Some(Found::File) if last => return Ok(target),
                Some(found) => return Err(entry.escape(found.in_the_way(&at))),
                None => {
                    return Err(BundleError::damaged(
                        &format!("`{}`", entry.name()),
                        "it is a link to nothing",
                    ));
                }
            }
        }
        Err(entry.escape("it is a link to the root itself"))
    }

    fn whiteout(&mut self, entry: &Entry, parents: &[&OsStr], name: &OsStr) -> Result<(), BundleError> {
        let mut folder = PathBuf::new();
        for part in parents {
            folder.push(part);
            match self.kind_of(entry, &folder)? {
                Some(Found::Directory) => {}
                Some(found) => return Err(entry.escape(found.in_the_way(&folder))),
                None => return Ok(()),
            }
        }
        let mark = folder.join(name);
        if self.made.contains_key(&mark) {
            return Err(BundleError::DuplicateEntry { entry: entry.name() });
        }
        self.note(entry, mark, Made::Leaf)?;
        let name = name.as_bytes();
        if name == WHITEOUT_OPAQUE {
            return self.prune_children(entry, &folder);
        }
        if name.starts_with(WHITEOUT_META) {
            return Ok(());
        }
        match &name[WHITEOUT.len()..] {
            b"" | b"." | b".." => Err(entry.escape("it marks no file as removed")),
            hidden => self.prune(entry, &folder.join(OsStr::from_bytes(hidden))),
        }
    }

    /// Removes what is at the path and below it, but for what the current layer made.
    fn prune(&mut self, entry: &Entry, path: &Path) -> Result<(), BundleError> {
        match self.made.get(path) {
            Some(Made::Leaf) => return Ok(()),
            Some(Made::Directory | Made::SweptDirectory) => return self.prune_children(entry, path),
            None => {}
        }
        let full = self.root.join(path);
        let removed = match self.kind_of(entry, path)? {
            None => return Ok(()),
            Some(Found::Directory) => fs::remove_dir_all(full),
            Some(Found::File | Found::Symlink) => fs::remove_file(full),
        };
        removed.map_err(|e| self.writing(entry, e))
    }

    fn prune_children(&mut self, entry: &Entry, path: &Path) -> Result<(), BundleError> {
        match self.made.get_mut(path) {
            Some(Made::SweptDirectory) => return Ok(()),
            Some(made) => *made = Made::SweptDirectory,
            None => {}
        }
        let children = fs::read_dir(self.root.join(path)).map_err(|e| self.writing(entry, e))?;
        for child in children {
            let child = child.map_err(|e| self.writing(entry, e))?;
            self.prune(entry, &path.join(child.file_name()))?;
        }
        Ok(())
    }

    fn kind_of(&self, entry: &Entry, path: &Path) -> Result<Option<Found>, BundleError> {
        self.lookups.set(self.lookups.get() + 1);
        let allowed = self.limits.lookups;
        check(
            "lookups",
            self.lookups.get(),
            allowed,
            "questions to the file system",
            entry,
        )?;
        match fs::symlink_metadata(self.root.join(path)) {
            Ok(found) if found.is_dir() => Ok(Some(Found::Directory)),
            Ok(found) if found.is_symlink() => Ok(Some(Found::Symlink)),
            Ok(_) => Ok(Some(Found::File)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(self.writing(entry, e)),
        }
    }

    fn writing(&self, entry: &Entry, source: io::Error) -> BundleError {
        BundleError::Write {
            path: self.target.clone(),
            entry: entry.name(),
            source,
        }
    }
}

/// What stands at a path, links not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Directory,
    File,
    Symlink,
}

impl Found {
    fn in_the_way(self, path: &Path) -> String {
        let path = path.display();
        match self {
            Self::Symlink => format!("the way there leads through the symbolic link `{path}`"),
            Self::File => format!("`{path}` is a file and not a directory"),
            Self::Directory => format!("`{path}` is a directory and not a file"),
        }
    }
}

fn check(limit: &'static str, found: u64, allowed: u64, unit: &'static str, entry: &Entry) -> Result<(), BundleError> {
    if found <= allowed {
        return Ok(());
    }
    Err(BundleError::LimitReached {
        limit,
        allowed,
        unit,
        place: format!("`{}`", entry.name()),
    })
}

/// The names along a path; the reason if it is not one below the root.
fn parts(path: &[u8]) -> Result<Vec<&OsStr>, &'static str> {
    if path.starts_with(b"/") {
        return Err("the path is absolute");
    }
    let parts: Vec<_> = path
        .split(|&b| b == b'/')
        .filter(|part| !matches!(*part, b"" | b"."))
        .collect();
    if parts.contains(&&b".."[..]) {
        return Err("the path contains `..`");
    }
    Ok(parts.into_iter().map(OsStr::from_bytes).collect())
}

/// What to write into a symbolic link that lies `depth` directories below the root.
fn symlink_target(target: &[u8], depth: usize) -> Result<PathBuf, &'static str> {
    let parts: Vec<_> = target
        .split(|&b| b == b'/')
        .filter(|part| !matches!(*part, b"" | b"."))
        .collect();
    let up = parts.iter().take_while(|part| **part == b"..").count();
    if target.is_empty() {
        return Err("the link leads nowhere");
    }
    if parts[up..].contains(&&b".."[..]) {
        return Err("the target of the link contains `..` after a name, which another link could turn outwards");
    }
    let absolute = target.starts_with(b"/");
    // In the image the root is its own parent, so that `/..` stays there; here it would be a way out.
    if up > depth || (absolute && up > 0) {
        return Err("the link leads out of the image");
    }
    let climb = if absolute { depth } else { up };
    let mut out: PathBuf = std::iter::repeat_n(OsStr::new(".."), climb).collect();
    out.extend(parts[up..].iter().map(|part| OsStr::from_bytes(part)));
    Ok(if out.as_os_str().is_empty() {
        PathBuf::from(".")
    } else {
        out
    })
}
