//! Unpacks one image of an archive into a directory, all of it or nothing.
//!
//! Layers can lie in the archive in any order, and a compressed archive cannot be sought in. So the caller gives a way
//! to open the archive anew, and each pass over it applies as many layers as come in the right order: at best one pass
//! after the describing one, at worst one for each layer. Must never know what the files are for.

#[cfg(test)]
mod tests;
mod tree;

use std::io::{self, Read};
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
    /// Entries of all layers.
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
    let mut tree = Tree::new(staging.path(), target, limits);
    let mut applied = 0;
    while applied < image.layer_paths.len() {
        let before = applied;
        pass(&mut open, &image, &mut applied, &mut tree, limits)?;
        if applied == before {
            return Err(BundleError::damaged(ARCHIVE, "it changed while it was read"));
        }
    }
    let (entries, bytes, skipped) = tree.finish();
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

/// Reads the archive once and applies the next layer wherever it comes, then the one after it if it comes later.
fn pass<R: Read>(
    open: &mut impl FnMut() -> io::Result<R>,
    image: &FoundImage,
    applied: &mut usize,
    tree: &mut Tree,
    limits: &Limits,
) -> Result<(), BundleError> {
    let (magic, stream) = start(open)?;
    let mut archive = open_archive(magic, stream, limits)?;
    while let Some(wanted) = image.layer_paths.get(*applied) {
        let Some(entry) = archive.next()? else { return Ok(()) };
        if entry.kind != EntryKind::File || catalogue::normalise(&entry.name()).as_ref() != Ok(wanted) {
            continue;
        }
        apply_layer(
            &mut archive,
            wanted,
            &image.description.layers[*applied].diff_id,
            tree,
            limits,
        )?;
        *applied += 1;
        // The same layer twice in a row is one file in the archive, and applying it again changes nothing.
        while image.layer_paths.get(*applied) == Some(wanted) {
            *applied += 1;
        }
    }
    Ok(())
}

fn apply_layer(
    content: impl Read,
    name: &str,
    diff_id: &Digest,
    tree: &mut Tree,
    limits: &Limits,
) -> Result<(), BundleError> {
    let place = format!("layer `{name}`");
    let opened = stream::peek(content).and_then(|(magic, stream)| stream::expand(magic, stream, limits, &place));
    let expanded = opened.map_err(|e| BundleError::reading(&place, e))?;
    let mut layer = TarStream::new(HashingReader::new(expanded), End::MarkedOrEndOfStream, &place, limits);
    tree.begin_layer();
    while let Some(entry) = layer.next()? {
        tree.apply(&entry, &mut layer)?;
    }
    let (actual, _) = layer.drain()?.finish();
    if actual == *diff_id {
        Ok(())
    } else {
        Err(BundleError::WrongDigest {
            entry: name.to_owned(),
            expected: diff_id.clone(),
            actual,
        })
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
