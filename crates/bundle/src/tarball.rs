//! Reads a tar stream entry by entry in constant memory. Must never know images, or write anything.
//!
//! The header's fields are parsed by the `tar` crate. The loop over entries is ours because that crate's own reads a
//! long name into memory whatever its size, and because both the end of an archive and the size of an entry must be
//! taken exactly as Docker takes them: a reader that disagrees with the loader sees other files than the loader.

use std::io::{self, Read};

use tar::{EntryType, Header, PaxExtensions};

use crate::error::BundleError;
use crate::limits::Limits;

const BLOCK_BYTES: usize = 512;

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
    paths_total_bytes: u64,
}

/// What extension records say about the entry that follows them.
#[derive(Default)]
struct Extensions {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
}

impl<R: Read> TarStream<R> {
    pub(crate) fn new(inner: R, end: End, place: &str, limits: &Limits) -> Self {
        let entries_allowed = match end {
            End::Marked => ("archive_entries", limits.archive_entries),
            End::MarkedOrEndOfStream => ("layer_entries", limits.layer_entries),
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
            paths_left: limits.paths_total_bytes,
            paths_total_bytes: limits.paths_total_bytes,
        }
    }

    /// The next entry, or `None` after the last. Content of the entry before that was not read is skipped.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>, BundleError> {
        let mut extensions = Extensions::default();
        for _ in 0..=EXTENSIONS_PER_ENTRY {
            self.skip_rest()?;
            let Some(header) = self.header()? else { return Ok(None) };
            match header.entry_type() {
                EntryType::GNULongName => extensions.path = Some(self.long_text(&header)?),
                EntryType::GNULongLink => extensions.link = Some(self.long_text(&header)?),
                EntryType::XHeader => self.pax(&header, &mut extensions)?,
                EntryType::XGlobalHeader => self.pax_for_all(&header)?,
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
        let path = extensions.path.unwrap_or_else(|| header.path_bytes().into_owned());
        let link = extensions
            .link
            .or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned))
            .unwrap_or_default();
        if path.len().max(link.len()) as u64 > self.path_bytes {
            return Err(self.limit("path_bytes", self.path_bytes, "bytes in one path"));
        }
        let Some(left) = self.paths_left.checked_sub((path.len() + link.len()) as u64) else {
            return Err(self.limit("paths_total_bytes", self.paths_total_bytes, "bytes in all paths"));
        };
        self.paths_left = left;
        if path.contains(&0) || link.contains(&0) {
            return Err(BundleError::damaged(&self.place, "a path contains a zero byte"));
        }
        let kind = self.kind(header, &path)?;
        // Only files have content; whatever size another kind claims, Go's reader takes it as zero.
        let size = match kind {
            EntryKind::File => self.size(header, extensions.size)?,
            EntryKind::Directory | EntryKind::Symlink | EntryKind::HardLink | EntryKind::Special(_) => 0,
        };
        self.expect_content(size);
        let mode = header
            .mode()
            .map_err(|e| BundleError::damaged(&self.place, e.to_string()))?;
        Ok(Entry {
            path,
            kind,
            link,
            size,
            mode,
        })
    }

    fn kind(&self, header: &Header, path: &[u8]) -> Result<EntryKind, BundleError> {
        Ok(match header.entry_type() {
            EntryType::Regular if path.ends_with(b"/") => EntryKind::Directory,
            EntryType::Regular | EntryType::Continuous => EntryKind::File,
            EntryType::Directory => EntryKind::Directory,
            EntryType::Symlink => EntryKind::Symlink,
            EntryType::Link => EntryKind::HardLink,
            EntryType::Char => EntryKind::Special("character device"),
            EntryType::Block => EntryKind::Special("block device"),
            EntryType::Fifo => EntryKind::Special("named pipe"),
            EntryType::GNUSparse => return Err(self.unsupported(path, "it is a sparse file".to_owned())),
            other => {
                let reason = format!("tar entries of type {:#04x} are not known", other.as_byte());
                return Err(self.unsupported(path, reason));
            }
        })
    }

    fn size(&self, header: &Header, from_pax: Option<u64>) -> Result<u64, BundleError> {
        match from_pax {
            Some(size) => Ok(size),
            None => header
                .entry_size()
                .map_err(|e| BundleError::damaged(&self.place, e.to_string())),
        }
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
        if !has_right_checksum(&block) {
            return Err(BundleError::damaged(&self.place, "a tar header has a wrong checksum"));
        }
        let mut header = Header::new_old();
        header.as_mut_bytes().copy_from_slice(&block);
        Ok(Some(header))
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
        let size = self.size(header, None)?;
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

    fn pax(&mut self, header: &Header, extensions: &mut Extensions) -> Result<(), BundleError> {
        let bytes = self.extension(header)?;
        for record in PaxExtensions::new(&bytes) {
            let record = record.map_err(|e| BundleError::damaged(&self.place, e.to_string()))?;
            let value = record.value_bytes();
            match record.key_bytes() {
                b"path" => extensions.path = Some(value.to_vec()),
                b"linkpath" => extensions.link = Some(value.to_vec()),
                b"size" => {
                    let size = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                    let reason = "a pax record gives a size that is not a number";
                    extensions.size = Some(size.ok_or_else(|| BundleError::damaged(&self.place, reason))?);
                }
                key if key.starts_with(b"GNU.sparse.") => {
                    return Err(self.unsupported(b"a sparse file", "sparse files are not read".to_owned()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Records for all later entries: comments are common there, names and sizes exist only to confuse readers.
    fn pax_for_all(&mut self, header: &Header) -> Result<(), BundleError> {
        let bytes = self.extension(header)?;
        for record in PaxExtensions::new(&bytes) {
            let record = record.map_err(|e| BundleError::damaged(&self.place, e.to_string()))?;
            if matches!(record.key_bytes(), b"path" | b"linkpath" | b"size") {
                return Err(BundleError::damaged(
                    &self.place,
                    "a global pax record renames or resizes every entry",
                ));
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

    fn unsupported(&self, path: &[u8], reason: String) -> BundleError {
        BundleError::Unsupported {
            entry: format!("{} in {}", String::from_utf8_lossy(path), self.place),
            reason,
            next: "Write it with `docker save`, which makes no such entries.",
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

/// Whether a header block carries the sum of its own bytes, its checksum field counted as spaces.
pub(crate) fn has_right_checksum(block: &[u8]) -> bool {
    const FIELD: std::ops::Range<usize> = 148..156;
    let sum = |(at, &byte): (usize, &u8)| u32::from(if FIELD.contains(&at) { b' ' } else { byte });
    let mut header = Header::new_old();
    if block.len() != BLOCK_BYTES {
        return false;
    }
    header.as_mut_bytes().copy_from_slice(block);
    header
        .cksum()
        .is_ok_and(|claimed| claimed == block.iter().enumerate().map(sum).sum::<u32>())
}
