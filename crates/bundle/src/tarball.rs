//! Reads a tar stream entry by entry in constant memory. Must never know images, or write anything.
//!
//! The loop over entries is ours because that of the `tar` crate reads a long name into memory whatever its size, and
//! because names, sizes and the end of an archive must be taken exactly as Docker takes them, which means as Go's
//! `archive/tar` does: a reader that disagrees with the loader sees other files than the loader.

use std::io::{self, Read};

use crate::error::BundleError;
use crate::header::{BLOCK_BYTES, Header};
use crate::limits::Limits;
use crate::pax;

/// One extension record (long name, long link, pax). Go's reader, which Docker uses, has the same bound.
const EXTENSION_BYTES: u64 = 1024 * 1024;

/// Extension records before one entry. Tar writers need at most three.
const EXTENSIONS_PER_ENTRY: usize = 8;

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryKind {
    File,
    Directory,
    Symlink,
    HardLink,
    /// Character or block device, or a pipe.
    Special(&'static str),
}

/// One entry without its content, which is read from the `TarStream` itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) path: Vec<u8>,
    pub(crate) kind: EntryKind,
    /// The target of a link, else empty.
    pub(crate) link: Vec<u8>,
    pub(crate) size: u64,
    pub(crate) mode: u32,
}

impl Entry {
    /// The path as a person may read it.
    pub(crate) fn name(&self) -> String {
        String::from_utf8_lossy(&self.path).into_owned()
    }
}

/// Whether the stream must end with the two zero blocks that tar prescribes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// For the outer archive: nothing else tells a cut archive from a whole one.
    Marked,
    /// For a layer: its digest tells, and some builders leave the blocks out.
    MarkedOrEndOfStream,
}

/// A tar archive being read forward. Reading from it reads the content of the entry that `next` gave last.
pub(crate) struct TarStream<R> {
    inner: R,
    end: End,
    place: String,
    content_left: u64,
    padding: u64,
    entries: u64,
    entries_allowed: (&'static str, u64),
    path_bytes: u64,
    paths_left: u64,
    paths_allowed: (&'static str, u64),
}

/// What extension records say about the entry that follows them; what is empty says nothing.
#[derive(Default)]
struct Extensions {
    /// GNU's names win over those of pax, whichever came last.
    long_path: Vec<u8>,
    long_link: Vec<u8>,
    pax: Pax,
}

/// The records of one pax header. A second header before the same entry replaces the first.
#[derive(Default)]
struct Pax {
    path: Vec<u8>,
    link: Vec<u8>,
    size: Option<u64>,
}

impl<R: Read> TarStream<R> {
    pub(crate) fn new(inner: R, end: End, place: &str, limits: &Limits) -> Self {
        let (entries_allowed, paths_allowed) = match end {
            End::Marked => (
                ("archive_entries", limits.archive_entries),
                ("archive_paths_bytes", limits.archive_paths_bytes),
            ),
            End::MarkedOrEndOfStream => (
                ("layer_entries", limits.layer_entries),
                ("layer_paths_bytes", limits.layer_paths_bytes),
            ),
        };
        Self {
            inner,
            end,
            place: place.to_owned(),
            content_left: 0,
            padding: 0,
            entries: 0,
            entries_allowed,
            path_bytes: limits.path_bytes,
            paths_left: paths_allowed.1,
            paths_allowed,
        }
    }

    /// The next entry, or `None` after the last. Content of the entry before that was not read is skipped.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>, BundleError> {
        let mut extensions = Extensions::default();
        for _ in 0..=EXTENSIONS_PER_ENTRY {
            self.skip_rest()?;
            let Some(header) = self.header()? else { return Ok(None) };
            match header.kind() {
                b'L' => extensions.long_path = self.long_text(&header)?,
                b'K' => extensions.long_link = self.long_text(&header)?,
                b'x' => extensions.pax = self.pax(&header)?,
                // To Go this is an entry of its own, so what stood before it concerns no other.
                b'g' => {
                    self.pax_for_all(&header)?;
                    extensions = Extensions::default();
                }
                _ => return self.entry(&header, extensions).map(Some),
            }
        }
        Err(BundleError::damaged(
            &self.place,
            "an entry has too many extension records",
        ))
    }

    /// Reads to the very end of the stream, so that checks which a decoder makes only there are made.
    pub(crate) fn drain(mut self) -> Result<R, BundleError> {
        io::copy(&mut self.inner, &mut io::sink()).map_err(|e| BundleError::reading(&self.place, e))?;
        Ok(self.inner)
    }

    fn entry(&mut self, header: &Header, extensions: Extensions) -> Result<Entry, BundleError> {
        self.entries += 1;
        let (limit, allowed) = self.entries_allowed;
        if self.entries > allowed {
            return Err(self.limit(limit, allowed, "entries"));
        }
        let Extensions {
            long_path,
            long_link,
            pax,
        } = extensions;
        let path = first_filled(long_path, pax.path, || header.path());
        let link = first_filled(long_link, pax.link, || header.link());
        if path.len().max(link.len()) as u64 > self.path_bytes {
            return Err(self.limit("path_bytes", self.path_bytes, "bytes in one path"));
        }
        let Some(left) = self.paths_left.checked_sub((path.len() + link.len()) as u64) else {
            let (limit, allowed) = self.paths_allowed;
            return Err(self.limit(limit, allowed, "bytes in all paths"));
        };
        self.paths_left = left;
        if path.contains(&0) || link.contains(&0) {
            return Err(BundleError::damaged(&self.place, "a path contains a zero byte"));
        }
        let kind = self.kind(header, &path)?;
        // Only files have content; whatever size another kind claims, Go's reader takes it as zero.
        let size = match kind {
            EntryKind::File => pax.size.map_or_else(|| self.size(header), Ok)?,
            EntryKind::Directory | EntryKind::Symlink | EntryKind::HardLink | EntryKind::Special(_) => 0,
        };
        self.expect_content(size);
        let mode = header.mode().map_err(|e| BundleError::damaged(&self.place, e))?;
        Ok(Entry {
            path,
            kind,
            link,
            size,
            mode,
        })
    }

    fn kind(&self, header: &Header, path: &[u8]) -> Result<EntryKind, BundleError> {
        Ok(match header.kind() {
            // Only the type of 1979 says directory by a slash. A file of the other type keeps its content.
            0 if path.ends_with(b"/") => EntryKind::Directory,
            0 | b'0' | b'7' => EntryKind::File,
            b'1' => EntryKind::HardLink,
            b'2' => EntryKind::Symlink,
            b'3' => EntryKind::Special("character device"),
            b'4' => EntryKind::Special("block device"),
            b'5' => EntryKind::Directory,
            b'6' => EntryKind::Special("named pipe"),
            b'S' => return Err(self.sparse(path)),
            other => return Err(self.unknown_kind(path, other)),
        })
    }

    fn size(&self, header: &Header) -> Result<u64, BundleError> {
        header.size().map_err(|e| BundleError::damaged(&self.place, e))
    }

    /// The next header block, or `None` at the end of the archive.
    fn header(&mut self) -> Result<Option<Header>, BundleError> {
        let Some(block) = self.block()? else {
            return match self.end {
                End::MarkedOrEndOfStream => Ok(None),
                End::Marked => Err(BundleError::Truncated {
                    place: self.place.clone(),
                }),
            };
        };
        if is_zero(&block) {
            return match (self.block()?, self.end) {
                (Some(second), _) if is_zero(&second) => Ok(None),
                (Some(_), _) => Err(BundleError::damaged(&self.place, "there is data after its end mark")),
                (None, End::MarkedOrEndOfStream) => Ok(None),
                (None, End::Marked) => Err(BundleError::Truncated {
                    place: self.place.clone(),
                }),
            };
        }
        let wrong = || BundleError::damaged(&self.place, "a tar header has a wrong checksum");
        Header::of(block).map(Some).ok_or_else(wrong)
    }

    /// One block, or `None` if the stream ends exactly before it.
    fn block(&mut self) -> Result<Option<[u8; BLOCK_BYTES]>, BundleError> {
        let mut block = [0; BLOCK_BYTES];
        let mut filled = 0;
        while filled < BLOCK_BYTES {
            match self.inner.read(&mut block[filled..]) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => {
                    return Err(BundleError::Truncated {
                        place: self.place.clone(),
                    });
                }
                Ok(count) => filled += count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(BundleError::reading(&self.place, e)),
            }
        }
        Ok(Some(block))
    }

    fn expect_content(&mut self, size: u64) {
        self.content_left = size;
        self.padding = size.wrapping_neg() % BLOCK_BYTES as u64;
    }

    fn skip_rest(&mut self) -> Result<(), BundleError> {
        let content = self.content_left;
        // Two steps, not their sum: a size near the largest number must not overflow into a small one.
        for left in [content, self.padding] {
            let skipped = io::copy(&mut self.inner.by_ref().take(left), &mut io::sink())
                .map_err(|e| BundleError::reading(&self.place, e))?;
            if skipped < left {
                return Err(BundleError::Truncated {
                    place: self.place.clone(),
                });
            }
        }
        self.expect_content(0);
        Ok(())
    }

    fn extension(&mut self, header: &Header) -> Result<Vec<u8>, BundleError> {
        let size = self.size(header)?;
        if size > EXTENSION_BYTES {
            return Err(self.limit("tar extension", EXTENSION_BYTES, "bytes in one extension record"));
        }
        self.expect_content(size);
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes)
            .map_err(|e| BundleError::reading(&self.place.clone(), e))?;
        Ok(bytes)
    }

    fn long_text(&mut self, header: &Header) -> Result<Vec<u8>, BundleError> {
        let mut text = self.extension(header)?;
        let end = text.iter().position(|&b| b == 0).unwrap_or(text.len());
        text.truncate(end);
        Ok(text)
    }

    fn pax(&mut self, header: &Header) -> Result<Pax, BundleError> {
        let bytes = self.extension(header)?;
        let mut found = Pax::default();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (key, value, after) = pax::record(rest).map_err(|e| BundleError::damaged(&self.place, e))?;
            rest = after;
            match key {
                b"path" => found.path = value.to_vec(),
                b"linkpath" => found.link = value.to_vec(),
                b"size" if !value.is_empty() => found.size = Some(self.pax_size(value)?),
                key if key.starts_with(b"GNU.sparse.") => return Err(self.sparse(&header.path())),
                // Times, owners and extended attributes: nothing of them is kept when an image is unpacked.
                _ => {}
            }
        }
        Ok(found)
    }

    fn pax_size(&self, value: &[u8]) -> Result<u64, BundleError> {
        let number = std::str::from_utf8(value)
            .ok()
            .and_then(|text| text.parse::<i64>().ok());
        number
            .and_then(|number| u64::try_from(number).ok())
            .ok_or_else(|| BundleError::damaged(&self.place, "a pax record gives a size that is none"))
    }

    /// Records for all later entries: comments are common there, names and sizes exist only to confuse readers.
    fn pax_for_all(&mut self, header: &Header) -> Result<(), BundleError> {
        let bytes = self.extension(header)?;
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (key, _, after) = pax::record(rest).map_err(|e| BundleError::damaged(&self.place, e))?;
            rest = after;
            if matches!(key, b"path" | b"linkpath" | b"size") {
                let reason = "a global pax record renames or resizes every entry";
                return Err(BundleError::damaged(&self.place, reason));
            }
        }
        Ok(())
    }

    fn limit(&self, limit: &'static str, allowed: u64, unit: &'static str) -> BundleError {
        BundleError::LimitReached {
            limit,
            allowed,
            unit,
            place: self.place.clone(),
        }
    }

    fn unknown_kind(&self, path: &[u8], kind: u8) -> BundleError {
        BundleError::Unsupported {
            entry: format!("{} in {}", String::from_utf8_lossy(path), self.place),
            reason: format!("tar entries of type {kind:#04x} are not known"),
            next: "Write it with `docker save`, which makes no such entries.",
        }
    }

    fn sparse(&self, path: &[u8]) -> BundleError {
        BundleError::Unsupported {
            entry: format!("{} in {}", String::from_utf8_lossy(path), self.place),
            reason: "it is a sparse file, which only GNU tar writes and Docker's own builder never does".to_owned(),
            next: "Build the image anew from a Dockerfile that copies the file: its holes are filled then.",
        }
    }
}

impl<R: Read> Read for TarStream<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.content_left == 0 || buffer.is_empty() {
            return Ok(0);
        }
        let wanted = usize::try_from(self.content_left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let count = self.inner.read(&mut buffer[..wanted])?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.content_left -= count as u64;
        Ok(count)
    }
}

fn is_zero(block: &[u8]) -> bool {
    block.iter().all(|&b| b == 0)
}

fn first_filled(first: Vec<u8>, second: Vec<u8>, otherwise: impl FnOnce() -> Vec<u8>) -> Vec<u8> {
    match (first.is_empty(), second.is_empty()) {
        (false, _) => first,
        (true, false) => second,
        (true, true) => otherwise(),
    }
}
