//! Recognises a stream by its first bytes and expands it under a guard against bombs. Must never know tar or YAML.

use std::cell::Cell;
use std::io::{self, BufReader, Chain, Cursor, Read};
use std::rc::Rc;

use flate2::bufread::MultiGzDecoder;

use crate::error::BundleError;
use crate::limits::Limits;

/// One tar header: enough for every magic number that we know.
const PEEK_BYTES: u64 = 512;

/// Frames that need a larger window than 32 MiB are refused, because the decoder holds all of it in memory. The levels of
/// Docker's and BuildKit's writers, and those of the zstd tool up to 20, stay within.
const ZSTD_WINDOW_LOG: u32 = 25;

/// Layers hold many small files, each with a header of 512 bytes: without a buffer each would be a system call.
const PLAIN_BUFFER_BYTES: usize = 64 * 1024;

const GZIP: &[u8] = b"\x1f\x8b";
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";

/// What the first bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Magic {
    Nothing,
    Tar,
    Gzip,
    Zstd,
    /// A format that we recognise in order to name it.
    Foreign(&'static str),
    /// No magic number, and no byte that text cannot have.
    Text,
    Binary,
}

/// A stream whose first bytes have been looked at and are still there.
pub(crate) type Peeked<R> = Chain<Cursor<Vec<u8>>, R>;

/// Looks at the first bytes and gives the stream back as if it had not been touched.
pub(crate) fn peek<R: Read>(mut reader: R) -> io::Result<(Magic, Peeked<R>)> {
    let mut start = Vec::new();
    reader.by_ref().take(PEEK_BYTES).read_to_end(&mut start)?;
    Ok((magic(&start), Cursor::new(start).chain(reader)))
}

fn magic(start: &[u8]) -> Magic {
    const FOREIGN: [(&[u8], &str); 9] = [
        (b"\xff\xfe", "text in UTF-16 (save it as UTF-8)"),
        (b"\xfe\xff", "text in UTF-16 (save it as UTF-8)"),
        (b"BZh", "a bzip2 file (only gzip and zstd are read)"),
        (b"\xfd7zXZ\0", "an xz file (only gzip and zstd are read)"),
        (b"\x04\x22\x4d\x18", "an lz4 file (only gzip and zstd are read)"),
        (b"PK\x03\x04", "a zip file"),
        (b"\x7fELF", "a program"),
        (b"%PDF", "a PDF"),
        (b"SQLite format 3\0", "a database file"),
    ];
    // A short file may be a cut archive, but it may also be a short compose file: text decides below.
    if start.is_empty() {
        Magic::Nothing
    } else if start.starts_with(GZIP) {
        Magic::Gzip
    } else if is_zstd(start) {
        Magic::Zstd
    } else if start.get(257..262) == Some(b"ustar") || is_old_tar(start) {
        Magic::Tar
    } else if let Some((_, name)) = FOREIGN.iter().find(|(bytes, _)| start.starts_with(bytes)) {
        Magic::Foreign(name)
    } else if start
        .iter()
        .all(|&b| b >= b' ' || matches!(b, b'\t' | b'\n' | b'\r' | b'\x0c'))
    {
        Magic::Text
    } else {
        Magic::Binary
    }
}

/// A zstd stream may begin with a frame of somebody's notes: parallel compressors write one (RFC 8878, 3.1.2).
fn is_zstd(start: &[u8]) -> bool {
    start.starts_with(ZSTD) || matches!(start, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

/// Whether a stream that begins so has another content than its bytes.
pub(crate) fn is_compressed(start: &[u8]) -> bool {
    start.starts_with(GZIP) || is_zstd(start)
}

/// Tar from before POSIX has no magic number, only a sum over the header. An empty archive is zeros.
fn is_old_tar(start: &[u8]) -> bool {
    start.len() == 512 && (start.iter().all(|&b| b == 0) || crate::header::has_right_checksum(start))
}

/// A stream after decompression, if any was needed.
pub(crate) enum Expanded<R: Read> {
    Plain(BufReader<Counted<Peeked<R>>>),
    Gzip(Box<MultiGzDecoder<BufReader<Counted<Peeked<R>>>>>),
    Zstd(Box<zstd::stream::read::Decoder<'static, BufReader<Counted<Peeked<R>>>>>),
}

impl<R: Read> Read for Expanded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(reader) => reader.read(buffer),
            Self::Gzip(reader) => reader.read(buffer),
            Self::Zstd(reader) => reader.read(buffer).map_err(zstd_error),
        }
    }
}

/// The decoder calls damage `Other`, as if the disk had failed; our own limits pass through it in that kind too.
fn zstd_error(error: io::Error) -> io::Error {
    let ours = error.get_ref().is_some_and(|inner| inner.is::<BundleError>());
    if error.to_string().contains("requires too much memory") {
        let reason =
            "it was compressed with a window above 32 MiB; `zstd -19`, without `--long` or `--ultra`, stays below";
        io::Error::new(io::ErrorKind::InvalidData, reason)
    } else if error.kind() == io::ErrorKind::Other && !ours {
        io::Error::new(io::ErrorKind::InvalidData, error)
    } else {
        error
    }
}

/// Expands by magic number under the limits of `limits`; anything but gzip and zstd passes as it is.
/// `place` names the stream in errors, such as "the archive" or a layer's path.
pub(crate) fn expand<R: Read>(
    magic: Magic,
    peeked: Peeked<R>,
    limits: &Limits,
    place: &str,
) -> io::Result<Guarded<Expanded<R>>> {
    let taken = Rc::new(Cell::new(0));
    let counted = Counted {
        inner: peeked,
        bytes: Rc::clone(&taken),
    };
    let inner = match magic {
        Magic::Gzip => Expanded::Gzip(Box::new(MultiGzDecoder::new(BufReader::new(counted)))),
        Magic::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::new(counted)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG)?;
            Expanded::Zstd(Box::new(decoder))
        }
        Magic::Nothing | Magic::Tar | Magic::Foreign(_) | Magic::Text | Magic::Binary => {
            Expanded::Plain(BufReader::with_capacity(PLAIN_BUFFER_BYTES, counted))
        }
    };
    Ok(Guarded {
        inner,
        taken,
        given: 0,
        before: 0,
        limits: limits.clone(),
        place: place.to_owned(),
    })
}

/// Counts what is read, so that the guard on the other side of a decoder can compare.
pub(crate) struct Counted<R> {
    inner: R,
    bytes: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.bytes.set(self.bytes.get() + count as u64);
        Ok(count)
    }
}

/// Stops a stream that expands to too much, absolutely or for what it took in.
pub(crate) struct Guarded<R> {
    inner: R,
    taken: Rc<Cell<u64>>,
    given: u64,
    /// Bytes that other streams of the same image gave.
    before: u64,
    limits: Limits,
    place: String,
}

impl<R> Guarded<R> {
    /// Counts what other streams of the same image gave into the total.
    pub(crate) fn after(self, before: u64) -> Self {
        Self { before, ..self }
    }

    fn check(&self) -> Result<(), BundleError> {
        let (limit, allowed, unit) = if self.before.saturating_add(self.given) > self.limits.unpacked_bytes {
            (
                "unpacked_bytes",
                self.limits.unpacked_bytes,
                "bytes after decompression",
            )
        } else if self.given > self.limits.expansion_grace
            && self.given / self.limits.expansion_ratio.max(1) > self.taken.get()
        {
            (
                "expansion_ratio",
                self.limits.expansion_ratio,
                "expanded bytes for each compressed byte",
            )
        } else {
            return Ok(());
        };
        Err(BundleError::LimitReached {
            limit,
            allowed,
            unit,
            place: self.place.clone(),
        })
    }
}

impl<R: Read> Read for Guarded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.given += count as u64;
        self.check().map_err(io::Error::other)?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(start: &[u8], expected: Magic) {
        let (found, mut rest) = peek(start).unwrap();
        assert_eq!(found, expected);
        let mut all = Vec::new();
        rest.read_to_end(&mut all).unwrap();
        assert_eq!(all, start);
    }

    #[test]
    fn streams_are_known_by_their_first_bytes() {
        check(b"", Magic::Nothing);
        check(b"\x1f\x8b\x08", Magic::Gzip);
        check(b"\x28\xb5\x2f\xfd\0", Magic::Zstd);
        check(&[0; 1024], Magic::Tar);
        check(b"services:\n  web: {}\n", Magic::Text);
        check("# größer\nservices: {}".as_bytes(), Magic::Text);
        check(b"\x00\x01\x02", Magic::Binary);
        check(b"PK\x03\x04rest", Magic::Foreign("a zip file"));
    }

    #[test]
    fn a_bomb_is_stopped_by_its_ratio() {
        let limits = Limits {
            expansion_grace: 1 << 16,
            ..Limits::default()
        };
        let bomb = crate::testing::gzip(&vec![0; 4 << 20]);
        let (magic, peeked) = peek(&bomb[..]).unwrap();
        let mut reader = expand(magic, peeked, &limits, "the archive").unwrap();
        let error = io::copy(&mut reader, &mut io::sink()).unwrap_err();
        let text = BundleError::reading("x", error).to_string();
        assert!(text.contains("expansion_ratio"), "{text}");
    }
}
