//! The outer archive: bombs, counts, names, and headers that lie.

use std::io::Read;

use arya_bundle::Limits;

use crate::make::{
    BLOCK, Tar, both_layouts, describe_within, gzip, header, layer_refused, not_unpacked, octal, packed, refused, zstd,
    zstd_zeros,
};
use crate::measure::aside;

/// More than `expansion_grace`.
const BOMB_BYTES: u64 = 80 << 20;

/// A file in an archive that is larger than what it is packed into may be.
fn large_file() -> Vec<u8> {
    let header = header(b'0', b"x", "", &octal(BOMB_BYTES as usize));
    aside(|| [&header[..], &vec![0; BOMB_BYTES as usize]].concat())
}

#[test]
fn bombs_are_stopped_by_their_ratio() {
    refused(&zstd_zeros(BOMB_BYTES), &["holds no image"]);
    let one_large_file = large_file();
    refused(&zstd(&one_large_file), &["expansion_ratio", "200", "make it smaller"]);
    refused(&gzip(&one_large_file), &["expansion_ratio"]);
}

#[test]
fn bombs_within_layers_wait_until_the_layer_is_unpacked() {
    let large = large_file();
    for layer in [zstd(&large), gzip(&large)] {
        for archive in both_layouts(&layer, &large) {
            describe_within(&archive[..], &Limits::default()).expect("a layer is not looked into");
            not_unpacked(&archive, &Limits::default(), &["expansion_ratio", "layer `"]);
        }
    }
}

#[test]
fn archives_compressed_twice_are_refused() {
    let archive = &packed(&[&Tar::new().end()])[0];
    refused(&gzip(&zstd(archive)), &["compressed twice"]);
    refused(&zstd(&gzip(&gzip(archive))), &["compressed twice"]);
}

#[test]
fn a_window_that_would_fill_the_memory_is_refused() {
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(27).unwrap();
    std::io::copy(&mut &packed(&[&Tar::new().end()])[0][..], &mut encoder).unwrap();
    let archive = encoder.finish().unwrap();
    refused(&archive, &["window above 32 MiB", "zstd -19"]);
    for layout in both_layouts(&archive, b"") {
        not_unpacked(&layout, &Limits::default(), &["window above 32 MiB"]);
    }
}

#[test]
fn compressed_streams_may_be_concatenated_and_end_where_they_end() {
    let archive = &packed(&[&Tar::new().end()])[0];
    let (one, two) = archive.split_at(700);
    for whole in [[gzip(one), gzip(two)].concat(), [zstd(one), zstd(two)].concat()] {
        assert!(describe_within(&whole[..], &Limits::default()).is_ok());
        refused(&[&whole[..], b"garbage garbage garbage"].concat(), &["damaged"]);
        refused(&whole[..whole.len() - 3], &["ends in the middle"]);
    }
    // Somebody's notes before the first frame, as parallel compressors write them.
    let noted = [&b"\x50\x2a\x4d\x18\x04\0\0\0note"[..], &zstd(archive)].concat();
    assert!(describe_within(&noted[..], &Limits::default()).is_ok());
    // Docker stops at the end mark; tapes have zeros after it.
    assert!(describe_within(&[&archive[..], &[7; 2000]].concat()[..], &Limits::default()).is_ok());
}

/// Entries made while they are read, so that only the reader needs memory.
struct Entries {
    kind: u8,
    left: usize,
    block: Vec<u8>,
}

impl Read for Entries {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.block.is_empty() && self.left > 0 {
            self.left -= 1;
            self.block
                .extend(header(self.kind, format!("a/{}", self.left).as_bytes(), "x", &octal(0)));
        }
        let count = self.block.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.block[..count]);
        self.block.drain(..count);
        Ok(count)
    }
}

#[test]
fn a_million_entries_are_not_read() {
    for kind in *b"012356" {
        let million = Entries {
            kind,
            left: 1_000_000,
            block: Vec::new(),
        };
        let text = describe_within(million, &Limits::default()).unwrap_err().to_string();
        crate::make::check_message(&text, &["archive_entries", "20000"]);
    }
}

#[test]
fn many_long_names_are_not_kept() {
    let long = |number: usize| format!("{number}{}", "/long-name-long-name".repeat(190));
    let mut tar = Tar::new();
    for number in 0..1500 {
        tar = tar.entry(b'L', b"long", "", long(number).as_bytes()).file("x", b"");
    }
    refused(&tar.end(), &["archive_paths_bytes"]);
    refused(
        &Tar::new().entry(b'L', b"l", "", &[b'a'; 5000]).file("x", b"").end(),
        &["path_bytes", "4096"],
    );
    refused(
        &Tar::new()
            .entry(b'L', b"l", "", &vec![b'a'; 1 << 21])
            .file("x", b"")
            .end(),
        &["tar extension"],
    );
}

#[test]
fn sparse_files_are_refused_in_every_form() {
    let sentence = ["sparse", "Dockerfile"];
    let old = Tar::new().entry(b'S', b"disk", "", b"").end();
    let first = Tar::new()
        .pax(&[("GNU.sparse.size", b"9"), ("GNU.sparse.numblocks", b"1")])
        .file("disk", b"x")
        .end();
    let map = Tar::new()
        .pax(&[("GNU.sparse.map", b"0,1"), ("GNU.sparse.size", b"9")])
        .file("disk", b"x")
        .end();
    let newest = Tar::new()
        .pax(&[
            ("GNU.sparse.major", b"1"),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.realsize", b"9"),
        ])
        .file("disk", b"x")
        .end();
    for archive in [old, first, map, newest] {
        refused(&archive, &sentence);
        layer_refused(&archive, &sentence);
    }
}

#[test]
fn sizes_that_lie_are_refused() {
    let with = |size: &[u8]| {
        let content = [&b"[]"[..], &[b' '; BLOCK - 2]].concat();
        Tar::new()
            .raw(&header(b'0', b"manifest.json", "", size))
            .raw(&content)
            .end()
    };
    let binary = |top: u8, low: u8| {
        let mut size = [0; 12];
        (size[0], size[11]) = (top, low);
        size
    };
    refused(&with(&octal(5000)), &["ends in the middle"]);
    refused(&with(b"77777777777\0"), &["ends in the middle"]);
    refused(&with(&binary(0x80, 0xff)), &["lists no image"]);
    refused(&with(&[0xff; 12]), &["size of an entry is negative"]);
    refused(&with(&binary(0xff, 0)), &["size of an entry is"]);
    refused(
        &with(&[&[0x80, 0, 0, 0, 0x7f][..], &[0xff; 7]].concat()),
        &["ends in the middle"],
    );
    refused(
        &with(&[&[0x80, 0, 0, 0, 0xff][..], &[0xff; 7]].concat()),
        &["size of an entry is not a number"],
    );
    refused(&with(b"-0000000001\0"), &["size of an entry is not a number"]);
    refused(&with(b"1e3"), &["size of an entry is not a number"]);
}

#[test]
fn content_that_a_directory_claims_is_none() {
    // Go reads no content of a directory, so the next header stands right behind it.
    for kind in *b"123456" {
        let claims = Tar::new().raw(&header(kind, b"d", "x", &octal(BLOCK)));
        refused(&claims.file("../x", b"").end(), &["`../x`", "cannot be used safely"]);
    }
    // A file of today's type keeps its content even if its name ends in a slash.
    let hidden = header(b'0', b"../x", "", &octal(0));
    refused(&Tar::new().entry(b'0', b"d/", "", &hidden).end(), &["holds no image"]);
    refused(
        &Tar::new().raw(&header(0, b"d/", "", &octal(BLOCK))).raw(&hidden).end(),
        &["`../x`"],
    );
}

#[test]
fn names_come_from_where_docker_takes_them() {
    let file = |tar: Tar| tar.file("manifest.json", b"[]").end();
    let no_image = ["holds no image"];
    let lists_none = ["lists no image"];
    refused(&file(Tar::new()), &lists_none);
    // GNU's long name wins over pax, whichever came last.
    refused(
        &file(
            Tar::new()
                .entry(b'L', b"l", "", b"other\0")
                .pax(&[("path", b"manifest.json")]),
        ),
        &no_image,
    );
    refused(
        &file(
            Tar::new()
                .pax(&[("path", b"other")])
                .entry(b'L', b"l", "", b"manifest.json\0"),
        ),
        &lists_none,
    );
    // A second pax header replaces the first, an empty value says nothing, and the last of two values counts.
    refused(
        &file(Tar::new().pax(&[("path", b"other")]).pax(&[("comment", b"x")])),
        &lists_none,
    );
    refused(&file(Tar::new().pax(&[("path", b"")])), &lists_none);
    refused(
        &file(Tar::new().pax(&[("path", b"manifest.json"), ("path", b"other")])),
        &no_image,
    );
    // What stands before a global header concerns no other entry.
    let global = Tar::new()
        .pax(&[("path", b"other")])
        .entry(b'g', b"g", "", b"12 comment=\n");
    refused(&file(global), &lists_none);
    refused(
        &file(Tar::new().pax(&[("path", b"../../etc/passwd")])),
        &["cannot be used safely"],
    );
    refused(&file(Tar::new().pax(&[("path", b"a\0b")])), &["zero byte"]);
    refused(&file(Tar::new().pax(&[("size", b"-2")])), &["size that is none"]);
    refused(&file(Tar::new().pax(&[("size", b"1025")])), &["ends in the middle"]);
}

#[test]
fn pax_headers_are_bounded() {
    let one = |value: &[u8]| Tar::new().pax(&[("comment", value)]).file("manifest.json", b"[]").end();
    refused(&one(&vec![b'x'; 2 << 20]), &["tar extension"]);
    refused(&one(b"line\n99 path=../x\nend"), &["lists no image"]);
    let many = (0..200_000_u32)
        .flat_map(|number| crate::make::pax_record(&format!("k{number}"), b""))
        .take(1 << 20);
    let many: Vec<u8> = many.collect();
    refused(
        &Tar::new().entry(b'x', b"p", "", &many).file("x", b"").end(),
        &["damaged"],
    );
}

#[test]
fn things_that_are_no_files_do_not_stand_for_documents() {
    for kind in *b"3456" {
        refused(
            &Tar::new().entry(kind, b"manifest.json", "", b"").end(),
            &["holds no image"],
        );
    }
    let names = [&b"../../x"[..], b"/dev/null", b"manifest.json", b"gone"];
    for link in names.map(|name| std::str::from_utf8(name).unwrap()) {
        for kind in *b"12" {
            let archive = Tar::new().entry(kind, b"manifest.json", link, b"").end();
            let text = describe_within(&archive[..], &Limits::default())
                .unwrap_err()
                .to_string();
            crate::make::check_message(&text, &["archive"]);
        }
    }
    let chain = (0..20).fold(Tar::new(), |tar, number| {
        tar.entry(b'1', format!("l{number}").as_bytes(), &format!("l{}", number + 1), b"")
    });
    refused(
        &chain.entry(b'2', b"manifest.json", "l0", b"").file("l20", b"[]").end(),
        &["does not contain `manifest.json`"],
    );
}

#[test]
fn names_that_act_on_a_terminal_are_written_out() {
    refused(
        &Tar::new().file("../\x1b[2J\u{202e}x\n", b"").end(),
        &["../\\u{1b}[2J\\u{202e}x\\u{a}"],
    );
    refused(
        &Tar::new()
            .entry(b'0', b"\xff\xfe", "", b"")
            .entry(b'0', b"\xff\xff", "", b"")
            .end(),
        &["twice"],
    );
}
