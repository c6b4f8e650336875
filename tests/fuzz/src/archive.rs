//! Whole archives. The first byte chooses the dress, so that mutation finds the tar within.

use crate::bundle::describe_and_unpack;

/// The headers get their right checksums; without it almost every mutation ends there.
const MENDED: u8 = 1;

pub(crate) fn run(bytes: &[u8]) {
    let Some((&mode, rest)) = bytes.split_first() else {
        return;
    };
    if mode & MENDED == 0 {
        describe_and_unpack(rest);
    } else {
        let mut archive = rest.to_vec();
        mend(&mut archive);
        describe_and_unpack(&archive);
    }
}

const BLOCK: usize = 512;
const SUM: std::ops::Range<usize> = 148..156;
const SIZE: std::ops::Range<usize> = 124..136;

/// Writes the right checksum into every header, found as a reader would find it.
pub(crate) fn mend(archive: &mut [u8]) {
    let mut at = 0;
    while let Some(block) = archive.get_mut(at..at + BLOCK) {
        at += BLOCK;
        if block.iter().all(|&byte| byte == 0) {
            continue;
        }
        block[SUM].fill(b' ');
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[SUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let without_content = matches!(block[156], b'1'..=b'6');
        let size = std::str::from_utf8(&block[SIZE])
            .ok()
            .and_then(|text| usize::from_str_radix(text.trim_matches(['\0', ' ']), 8).ok());
        if let Some(size) = size.filter(|_| !without_content) {
            at = at.saturating_add(size.next_multiple_of(BLOCK));
        }
    }
}
