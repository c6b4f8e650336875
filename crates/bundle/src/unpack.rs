//! Unpacks one image of an archive into a directory, all of it or nothing.
//!
//! Layers can lie in the archive in any order, and a compressed archive cannot be sought in. So the caller gives a way
//! to open the archive anew; it is read twice, whatever its order: once to describe it, and once to apply its layers. One
//! that comes before its turn waits in a file without a name. Must never know what the files are for.

#[cfg(test)]
mod tests;
mod tree;

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::catalogue;
use crate::describe::{ARCHIVE, FoundImage, open_archive, survey};
use crate::description::ImageDescription;
use crate::digest::{Digest, HashingReader};
use crate::error::BundleError;
use crate::limits::Limits;
use crate::reference::names_same_image;
use crate::stream::{self, Magic, Peeked};
use crate::tarball::{End, Entry, EntryKind, TarStream};
use tree::Tree;

/// Which image of the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted<'a> {
    /// The only one; an archive with several is refused.
    TheOnly,
    /// By a name, as Docker compares names.
    Named(&'a str),
    /// By image id.
    Id(&'a Digest),
}

/// What was unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpacked {
    pub image: ImageDescription,
    /// Entries of all layers, and the directories that they imply.
    pub entries: u64,
    /// Bytes of all files of all layers, also of those that a later layer replaced.
    pub bytes: u64,
    /// Entries that were left out: devices and pipes, at most the first hundred.
    pub skipped: Vec<Skipped>,
}

/// An entry that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    pub path: String,
    /// Such as `character device`.
    pub what: &'static str,
}

/// Applies the layers of one image, lowest first, into `target`, which must not exist while its parent must.
///
/// Whiteouts are obeyed; owners are those of this process; of modes the nine permission bits are kept, so no file is
/// setuid; directories stay accessible to their owner. Absolute symbolic links are rewritten to lead to the same place
/// below `target`, so that none leads out of it. Devices and pipes are skipped and named. Everything is built in a
/// sibling of `target` and renamed at the end; on an error the sibling is removed. `open` must give the same bytes each
/// time; every layer is checked against the digest in the image's config.
///
/// # Errors
/// Anything `describe` can say of an archive, `NoSuchImage`, `TargetExists`, `Write`, and `PathEscape` or
/// `DuplicateEntry` for entries of a layer.
pub fn unpack_layers<R: Read>(
    mut open: impl FnMut() -> io::Result<R>,
    wanted: Wanted<'_>,
    target: &Path,
    limits: &Limits,
) -> Result<Unpacked, BundleError> {
    if target.symlink_metadata().is_ok() {
        return Err(BundleError::TargetExists {
            path: target.to_owned(),
        });
    }
    let (magic, stream) = start(&mut open)?;
    let image = choose(survey(magic, stream, limits)?, wanted)?;
    let writing = |source| BundleError::Write {
        path: target.to_owned(),
        entry: ".".to_owned(),
        source,
    };
    let parent = target
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let staging = tempfile::Builder::new()
        .prefix(".unpacking-")
        .tempdir_in(parent)
        .map_err(writing)?;
    let layers = Layers {
        image: &image,
        tree: Tree::new(staging.path(), target, limits),
        limits,
        expanded: 0,
        waiting: HashMap::new(),
        next: 0,
    };
    let (entries, bytes, skipped) = layers.apply(&mut open, parent, target)?.finish();
    std::fs::set_permissions(staging.path(), std::fs::Permissions::from_mode(0o755)).map_err(writing)?;
    std::fs::rename(staging.path(), target).map_err(writing)?;
    // Renamed away, so there is nothing left for it to remove.
    let _ = staging.keep();
    Ok(Unpacked {
        image: image.description,
        entries,
        bytes,
        skipped,
    })
}

fn start<R: Read>(open: &mut impl FnMut() -> io::Result<R>) -> Result<(Magic, Peeked<R>), BundleError> {
    let (magic, stream) = open()
        .and_then(stream::peek)
        .map_err(|e| BundleError::reading(ARCHIVE, e))?;
    match magic {
        Magic::Tar | Magic::Gzip | Magic::Zstd => Ok((magic, stream)),
        Magic::Nothing => Err(BundleError::Empty),
        Magic::Text => Err(BundleError::Unrecognised {
            looks_like: "text, which cannot be unpacked",
        }),
        Magic::Foreign(looks_like) => Err(BundleError::Unrecognised { looks_like }),
        Magic::Binary => Err(BundleError::Unrecognised {
            looks_like: "binary data of no known format",
        }),
    }
}

fn choose(mut images: Vec<FoundImage>, wanted: Wanted<'_>) -> Result<FoundImage, BundleError> {
    let is_it = |image: &ImageDescription| match wanted {
        Wanted::TheOnly => true,
        Wanted::Named(name) => image
            .references
            .iter()
            .any(|reference| names_same_image(reference, name)),
        Wanted::Id(id) => image.image_id == *id,
    };
    let found = images.iter().position(|image| is_it(&image.description));
    match found {
        Some(at) if wanted != Wanted::TheOnly || images.len() == 1 => Ok(images.swap_remove(at)),
        _ => {
            let present: Vec<_> = images.iter().map(|image| image.description.display_name()).collect();
            let wanted = match wanted {
                Wanted::TheOnly => "alone, so one must be named".to_owned(),
                Wanted::Named(name) => format!("named `{name}`"),
                Wanted::Id(id) => format!("with the id {id}"),
            };
            Err(BundleError::NoSuchImage {
                wanted,
                present: present.join(", "),
            })
        }
    }
}

/// The layers of an image on their way into the tree.
struct Layers<'a> {
    image: &'a FoundImage,
    tree: Tree,
    limits: &'a Limits,
    /// Bytes that the layers so far had after decompression.
    expanded: u64,
    /// Layers that came before their turn, by their path in the archive.
    waiting: HashMap<&'a str, File>,
    /// The layer whose turn it is.
    next: usize,
}

impl<'a> Layers<'a> {
    /// Reads the archive once and applies every layer, lowest first.
    fn apply<R: Read>(
        mut self,
        open: &mut impl FnMut() -> io::Result<R>,
        beside: &Path,
        target: &Path,
    ) -> Result<Tree, BundleError> {
        let (magic, stream) = start(open)?;
        let mut archive = open_archive(magic, stream, self.limits)?;
        let paths = &self.image.layer_paths;
        self.apply_waiting(target)?;
        while self.next < paths.len() {
            let Some(entry) = archive.next()? else {
                return Err(BundleError::damaged(ARCHIVE, "it changed while it was read"));
            };
            let Ok(path) = catalogue::normalise(&entry.name()) else {
                continue;
            };
            let Some(path) = paths[self.next..].iter().find(|wanted| **wanted == path) else {
                continue;
            };
            if entry.kind != EntryKind::File {
                continue;
            }
            let again = paths[self.next + 1..].iter().any(|later| later == path);
            if paths[self.next] == *path && !again {
                self.apply_one(&mut archive)?;
            } else {
                let place = format!("layer `{path}`");
                let kept = keep(&mut archive, beside, &place, target)?;
                self.waiting.insert(path, kept);
            }
            self.apply_waiting(target)?;
        }
        Ok(self.tree)
    }

    /// Applies those whose turn has come since; a layer may have several turns.
    fn apply_waiting(&mut self, target: &Path) -> Result<(), BundleError> {
        let image = self.image;
        while let Some(path) = image.layer_paths.get(self.next) {
            let Some(mut kept) = self.waiting.remove(path.as_str()) else {
                return Ok(());
            };
            kept.seek(SeekFrom::Start(0)).map_err(|source| BundleError::Write {
                path: target.to_owned(),
                entry: path.clone(),
                source,
            })?;
            self.apply_one(&mut kept)?;
            if image.layer_paths[self.next..].contains(path) {
                self.waiting.insert(path, kept);
            }
        }
        Ok(())
    }

    /// Applies the layer whose turn it is.
    fn apply_one(&mut self, content: &mut impl Read) -> Result<(), BundleError> {
        let name = &self.image.layer_paths[self.next];
        let diff_id = &self.image.description.layers[self.next].diff_id;
        let place = format!("layer `{name}`");
        let opened =
            stream::peek(content).and_then(|(magic, stream)| stream::expand(magic, stream, self.limits, &place));
        let expanded = opened
            .map_err(|e| BundleError::reading(&place, e))?
            .after(self.expanded);
        let hashed = HashingReader::new(expanded);
        let mut layer = TarStream::new(hashed, End::MarkedOrEndOfStream, &place, self.limits);
        self.tree.begin_layer();
        while let Some(entry) = layer.next()? {
            self.tree.apply(&entry, &mut layer)?;
        }
        let (actual, bytes) = layer.drain()?.finish();
        if actual != *diff_id {
            return Err(BundleError::WrongDigest {
                entry: name.clone(),
                expected: diff_id.clone(),
                actual,
            });
        }
        self.expanded = self.expanded.saturating_add(bytes);
        self.next += 1;
        Ok(())
    }
}

/// Copies a layer into a file that no folder lists, so that it is gone with this process at the latest.
fn keep(content: &mut impl Read, beside: &Path, place: &str, target: &Path) -> Result<File, BundleError> {
    const CHUNK_BYTES: usize = 64 * 1024;
    let writing = |source| BundleError::Write {
        path: target.to_owned(),
        entry: place.to_owned(),
        source,
    };
    let mut file = tempfile::tempfile_in(beside).map_err(writing)?;
    let mut chunk = vec![0; CHUNK_BYTES];
    // Not `io::copy`: an error in reading and one in writing have different sentences.
    loop {
        match content.read(&mut chunk) {
            Ok(0) => return Ok(file),
            Ok(count) => io::Write::write_all(&mut file, &chunk[..count]).map_err(writing)?,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(BundleError::reading(place, e)),
        }
    }
}

impl Entry {
    fn escape(&self, reason: impl Into<String>) -> BundleError {
        BundleError::PathEscape {
            entry: self.name(),
            reason: reason.into(),
        }
    }
}
