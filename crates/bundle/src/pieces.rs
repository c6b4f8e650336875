//! Where an archive can be cut so that what two versions share is in pieces of its own. Must never know who stores them.

use std::cell::RefCell;
use std::io::{self, Read};
use std::rc::Rc;

use sha2::{Digest as _, Sha256};

use crate::describe::ARCHIVE;
use crate::digest::Digest;
use crate::limits::Limits;
use crate::stream::{self, Magic};
use crate::tarball::{End, TarStream};

/// Smaller entries of an archive stay with what is around them, in bytes: each piece costs whoever stores it a call.
const LEAST: u64 = 1024 * 1024;
/// Archives that would have more stay whole. Docker's images have at most 127 layers, and each is between two others' headers.
const PIECES_MAX: usize = 2 * 127 + 1;

/// A part of a file. All of them, one after the other, are the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Bytes, at least one.
    pub size: u64,
    pub digest: Digest,
}

/// A file, and where it can be cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pieces {
    /// Of the whole file.
    pub digest: Digest,
    /// In their order; each large entry of a plain tar archive (a layer) is one, and what lies between two of them is one.
    /// A file that is no such archive, or holds no large entry, is one piece.
    pub pieces: Vec<Piece>,
}

impl Pieces {
    /// Reads a file once from start to end, in constant memory. It is not checked: whatever it is, its pieces are its bytes.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of(reader: impl Read) -> io::Result<Self> {
        let cutter = Cutter::default();
        let knife = Rc::new(RefCell::new(cutter));
        let (magic, stream) = stream::peek(reader)?;
        let mut cut = Cut {
            inner: stream,
            knife: Rc::clone(&knife),
        };
        if magic == Magic::Tar {
            let mut tar = TarStream::new(&mut cut, End::Marked, ARCHIVE, &Limits::default());
            // What cannot be read as an archive is cut no further.
            while let Ok(Some(entry)) = tar.next() {
                if entry.size >= LEAST {
                    knife.borrow_mut().cut();
                    match io::copy(&mut tar, &mut io::sink()) {
                        Ok(_) => knife.borrow_mut().cut(),
                        Err(_) => break,
                    }
                }
            }
        }
        io::copy(&mut cut, &mut io::sink())?;
        drop(cut);
        let cutter = Rc::into_inner(knife)
            .expect("its only other holder is gone")
            .into_inner();
        Ok(cutter.finish())
    }
}

/// Hashes what is read, as a whole and piece by piece.
#[derive(Default)]
struct Cutter {
    whole: Sha256,
    piece: Sha256,
    size: u64,
    total: u64,
    pieces: Vec<Piece>,
}

impl Cutter {
    fn read(&mut self, bytes: &[u8]) {
        self.whole.update(bytes);
        self.piece.update(bytes);
        self.size += bytes.len() as u64;
        self.total += bytes.len() as u64;
    }

    /// A new piece begins here.
    fn cut(&mut self) {
        if self.size > 0 {
            self.pieces.push(Piece {
                size: std::mem::take(&mut self.size),
                digest: Digest::finish(std::mem::take(&mut self.piece)),
            });
        }
    }

    fn finish(mut self) -> Pieces {
        self.cut();
        let digest = Digest::finish(self.whole);
        let whole = Piece {
            size: self.total,
            digest: digest.clone(),
        };
        let pieces = if self.pieces.len() > PIECES_MAX {
            vec![whole]
        } else {
            self.pieces
        };
        Pieces { digest, pieces }
    }
}

struct Cut<R> {
    inner: R,
    knife: Rc<RefCell<Cutter>>,
}

impl<R: Read> Read for Cut<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.knife.borrow_mut().read(&buffer[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Tar;

    fn cut(bytes: &[u8]) -> Vec<&[u8]> {
        let pieces = Pieces::of(bytes).unwrap();
        assert_eq!(pieces.digest, Digest::of(bytes));
        let mut rest = bytes;
        let mut cut = Vec::new();
        for piece in &pieces.pieces {
            let (this, after) = rest.split_at(usize::try_from(piece.size).unwrap());
            assert_eq!(piece.digest, Digest::of(this));
            cut.push(this);
            rest = after;
        }
        assert_eq!(rest, b"", "all of it is in a piece");
        cut
    }

    fn layer(fill: u8, size: u64) -> Vec<u8> {
        vec![fill; usize::try_from(size).unwrap()]
    }

    #[test]
    fn each_large_entry_is_a_piece_wherever_it_lies() {
        let (base, app, small) = (layer(1, LEAST), layer(2, LEAST + 7), layer(3, LEAST - 1));
        let one = Tar::new()
            .file("a", b"x")
            .file("base", &base)
            .file("app", &app)
            .file("m", b"{}")
            .end();
        let two = Tar::new().file("other", &small).file("elsewhere/base", &base).end();
        let (one, two) = (cut(&one), cut(&two));
        assert_eq!(one.len(), 5);
        assert_eq!((one[1], one[3]), (&base[..], &app[..]));
        assert_eq!(two.len(), 3, "what is small stays with what is around it");
        assert_eq!(two[1], &base[..]);
    }

    #[test]
    fn what_is_no_plain_archive_is_one_piece() {
        let large = layer(b'a', 3 * LEAST);
        let archive = Tar::new().file("layer", &large).end();
        for whole in [&large[..], b"x", &crate::testing::gzip(&archive)] {
            assert_eq!(cut(whole).len(), 1);
        }
        assert_eq!(cut(b"").len(), 0);
    }

    #[test]
    fn an_archive_that_breaks_off_or_lies_keeps_all_its_bytes() {
        let archive = Tar::new()
            .file("base", &layer(1, LEAST))
            .file("app", &layer(2, LEAST))
            .end();
        for at in [10, 513, archive.len() / 2, archive.len() - 600] {
            cut(&archive[..at]);
        }
        let mut wrong = archive.clone();
        let second = 512 + usize::try_from(LEAST).unwrap();
        wrong[second] ^= 1;
        assert_eq!(cut(&wrong).len(), 3, "up to the header that is wrong");
        let after = [&archive[..], b"more"].concat();
        assert!(cut(&after).last().unwrap().ends_with(b"more"));
    }

    #[test]
    fn an_archive_of_very_many_layers_stays_whole() {
        let base = layer(1, LEAST);
        let many = (0..130).fold(Tar::new(), |tar, number| tar.file(&number.to_string(), &base));
        assert_eq!(cut(&many.end()).len(), 1);
    }
}
