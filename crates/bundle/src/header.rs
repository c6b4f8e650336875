//! The fields of one tar header block, read exactly as Go's `archive/tar` reads them, because Docker is written in Go: a
//! header that two readers take differently hides a file from one of them. Must never know entries or streams.

use std::ops::Range;

pub(crate) const BLOCK_BYTES: usize = 512;

// Where the fields lie: POSIX.1-2017, `pax`, "ustar Interchange Format"; the GNU and star ones as Go has them.
const NAME: Range<usize> = 0..100;
const MODE: Range<usize> = 100..108;
const SIZE: Range<usize> = 124..136;
const CHECKSUM: Range<usize> = 148..156;
const TYPE: usize = 156;
const LINK: Range<usize> = 157..257;
const MAGIC: Range<usize> = 257..263;
const VERSION: Range<usize> = 263..265;
const PREFIX: Range<usize> = 345..500;
const STAR_PREFIX: Range<usize> = 345..476;
const STAR_TRAILER: Range<usize> = 508..512;
const GNU_TIMES: [Range<usize>; 2] = [345..357, 357..369];

/// A header whose checksum is right.
pub(crate) struct Header([u8; BLOCK_BYTES]);

/// Which fields beyond those of 1979 there are.
enum Format {
    Old,
    Ustar,
    Star,
    Gnu,
}

impl Header {
    /// `None` if the block does not carry the sum of its own bytes.
    pub(crate) fn of(block: [u8; BLOCK_BYTES]) -> Option<Self> {
        has_right_checksum(&block).then_some(Self(block))
    }

    pub(crate) fn kind(&self) -> u8 {
        self.0[TYPE]
    }

    /// In bytes; the reason if the field is none or negative.
    pub(crate) fn size(&self) -> Result<u64, &'static str> {
        let size = number(&self.0[SIZE]).ok_or("the size of an entry is not a number")?;
        u64::try_from(size).map_err(|_| "the size of an entry is negative")
    }

    /// The twelve bits that Unix knows.
    pub(crate) fn mode(&self) -> Result<u32, &'static str> {
        let mode = number(&self.0[MODE]).ok_or("the mode of an entry is not a number")?;
        Ok(u32::try_from(mode & 0o7777).expect("twelve bits fit"))
    }

    pub(crate) fn link(&self) -> Vec<u8> {
        text(&self.0[LINK]).to_vec()
    }

    pub(crate) fn path(&self) -> Vec<u8> {
        let name = text(&self.0[NAME]);
        let prefix = match self.format() {
            Format::Old => b"",
            Format::Ustar => text(&self.0[PREFIX]),
            Format::Star => text(&self.0[STAR_PREFIX]),
            Format::Gnu => self.gnu_prefix(),
        };
        if prefix.is_empty() {
            name.to_vec()
        } else {
            [prefix, b"/", name].concat()
        }
    }

    fn format(&self) -> Format {
        match (&self.0[MAGIC], &self.0[VERSION], &self.0[STAR_TRAILER]) {
            (b"ustar\0", _, b"tar\0") => Format::Star,
            (b"ustar\0", _, _) => Format::Ustar,
            (b"ustar ", b" \0", _) => Format::Gnu,
            _ => Format::Old,
        }
    }

    /// GNU has times where ustar has the prefix. Writers before Go 1.8 put a prefix there all the same, and readers
    /// since then take it as one if it is no time.
    fn gnu_prefix(&self) -> &[u8] {
        let is_time = |field: &Range<usize>| {
            let field = &self.0[field.clone()];
            field[0] == 0 || number(field).is_some()
        };
        let prefix = text(&self.0[PREFIX]);
        if GNU_TIMES.iter().all(is_time) || !prefix.is_ascii() {
            b""
        } else {
            prefix
        }
    }
}

/// Whether a header block carries the sum of its own bytes, its checksum field counted as spaces. Old writers added the
/// bytes as signed numbers.
pub(crate) fn has_right_checksum(block: &[u8]) -> bool {
    if block.len() != BLOCK_BYTES {
        return false;
    }
    let counted = |(at, &byte): (usize, &u8)| if CHECKSUM.contains(&at) { b' ' } else { byte };
    let bytes = || block.iter().enumerate().map(counted);
    let unsigned: i64 = bytes().map(i64::from).sum();
    let signed: i64 = bytes().map(|byte| i64::from(byte.cast_signed())).sum();
    octal(&block[CHECKSUM]).is_some_and(|claimed| claimed == unsigned || claimed == signed)
}

/// Up to the first zero byte.
fn text(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// Octal digits, or with the first bit set a two's complement number.
fn number(field: &[u8]) -> Option<i64> {
    match field.first() {
        Some(first) if first & 0x80 != 0 => binary(field),
        _ => octal(field),
    }
}

fn binary(field: &[u8]) -> Option<i64> {
    let negative = field[0] & 0x40 != 0;
    let mut value: u64 = 0;
    for (at, &byte) in field.iter().enumerate() {
        let byte = if negative { !byte } else { byte };
        let byte = if at == 0 { byte & 0x7f } else { byte };
        if value >> 56 > 0 {
            return None;
        }
        value = value << 8 | u64::from(byte);
    }
    let value = i64::try_from(value).ok()?;
    Some(if negative { !value } else { value })
}

/// An empty field is zero.
fn octal(field: &[u8]) -> Option<i64> {
    let is_padding = |byte: &u8| matches!(byte, b' ' | 0);
    let Some(start) = field.iter().position(|byte| !is_padding(byte)) else {
        return Some(0);
    };
    let end = field
        .iter()
        .rposition(|byte| !is_padding(byte))
        .map_or(start, |at| at + 1);
    let digits = text(&field[start..end]);
    if digits.is_empty() || !digits.iter().all(|byte| (b'0'..=b'7').contains(byte)) {
        return None;
    }
    digits.iter().try_fold(0_i64, |value, digit| {
        value.checked_mul(8)?.checked_add(i64::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(field: &[u8], expected: Option<i64>) {
        assert_eq!(number(field), expected, "{field:?}");
    }

    #[test]
    fn numbers_are_octal_or_binary() {
        check(b"0000644\0", Some(0o644));
        check(b" 644 \0\0\0", Some(0o644));
        check(b"\0\0\0\0\0\0\0\0", Some(0));
        check(b"644\0junk", Some(0o644));
        check(b"-0000001", None);
        check(b"+0000001", None);
        check(b"0000648\0", None);
        check(b"0x12\0\0\0\0", None);
        check(b"777777777777", Some(0o777_777_777_777));
        check(b"\x80\0\0\0\0\0\x01\0", Some(256));
        check(b"\xff\xff\xff\xff\xff\xff\xff\xff", Some(-1));
        check(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe", Some(-2));
        check(b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", Some(i64::MAX));
        check(b"\x80\0\0\0\x80\0\0\0\0\0\0\0", None);
        check(b"\x80\x01\0\0\0\0\0\0\0\0\0\0", None);
    }

    /// A block with these texts at these places and the right sum.
    fn header(parts: &[(usize, &[u8])]) -> Header {
        let mut block = [0; BLOCK_BYTES];
        for (at, bytes) in parts {
            block[*at..*at + bytes.len()].copy_from_slice(bytes);
        }
        block[CHECKSUM].fill(b' ');
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        Header::of(block).unwrap()
    }

    #[test]
    fn the_prefix_belongs_to_the_name_in_every_ustar() {
        let path = |magic: &[u8], more: (usize, &[u8])| header(&[(0, b"n"), (257, magic), (345, b"p"), more]).path();
        assert_eq!(path(b"ustar\x0000", (0, b"n")), b"p/n");
        // Another version is ustar to Go all the same.
        assert_eq!(path(b"ustar\0  ", (0, b"n")), b"p/n");
        assert_eq!(path(b"ustar\x0000", (508, b"tar\0")), b"p/n");
        assert_eq!(path(b"", (0, b"n")), b"n");
        assert_eq!(path(b"ustar  \0", (0, b"n")), b"p/n", "`p` is no time");
        assert_eq!(
            header(&[(0, b"n"), (257, b"ustar  \0"), (345, b"00000000017\0")]).path(),
            b"n"
        );
    }

    #[test]
    fn negative_sizes_are_refused() {
        assert!(header(&[(124, &[0xff; 12])]).size().unwrap_err().contains("negative"));
        assert!(header(&[(124, b"twelve")]).size().unwrap_err().contains("not a number"));
    }

    #[test]
    fn both_sums_are_right_and_no_other() {
        let mut block = header(&[(0, b"\xe9")]).0;
        assert!(has_right_checksum(&block));
        block[1] ^= 1;
        assert!(!has_right_checksum(&block));
        block[1] ^= 1;
        block[CHECKSUM].fill(b' ');
        let signed: i32 = block.iter().map(|&byte| i32::from(byte.cast_signed())).sum();
        block[CHECKSUM].copy_from_slice(format!("{signed:06o}\0 ").as_bytes());
        assert!(has_right_checksum(&block));
    }
}
