//! Layers that want out, want more than they are, or want to be walked through for ever.

use std::cell::Cell;
use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::rc::Rc;

use arya_bundle::{Limits, Wanted, unpack_layers};

use crate::make::{Tar, both_layouts, layer_refused, not_unpacked, packed, repeated, unpack, unpacked, zstd};
use crate::measure::{UNPACKING, within};

#[test]
fn paths_that_lead_out_are_refused_however_they_are_spelled() {
    let pax = |path: &[u8]| Tar::new().pax(&[("path", path)]).file("x", b"x").end();
    let long = |path: &[u8]| Tar::new().entry(b'L', b"l", "", path).file("x", b"x").end();
    for path in [&b"../out"[..], b"a/../../out", b"/out", b"//out", b"..", b"./../out"] {
        layer_refused(&pax(path), &["cannot be used safely"]);
        layer_refused(&long(path), &["cannot be used safely"]);
    }
    let link = |kind: u8, to: &[u8]| Tar::new().pax(&[("linkpath", to)]).entry(kind, b"l", "", b"").end();
    for to in [&b"../out"[..], b"a/../../../out"] {
        layer_refused(&link(b'1', to), &["cannot be used safely"]);
        layer_refused(&link(b'2', to), &["cannot be used safely"]);
    }
}

#[test]
fn links_are_not_a_way_out_even_in_chains_and_loops() {
    let loops = Tar::new().entry(b'2', b"a", "b", b"").entry(b'2', b"b", "a", b"");
    unpacked(&[&loops.clone().end()], |root| assert!(root.join("a").is_symlink()));
    layer_refused(&loops.file("a/x", b"").end(), &["symbolic link `a`"]);
    let stairs = Tar::new()
        .entry(b'2', b"d/up", "..", b"")
        .entry(b'2', b"up", "d/up/up", b"");
    layer_refused(&stairs.file("up/x", b"").end(), &["symbolic link `up`"]);
    let hard = Tar::new()
        .entry(b'2', b"s", "/etc/passwd", b"")
        .entry(b'1', b"h", "s", b"");
    layer_refused(&hard.end(), &["symbolic link `s`"]);
    let chain = Tar::new()
        .file("a", b"x")
        .entry(b'1', b"b", "a", b"")
        .entry(b'1', b"c", "b", b"");
    unpacked(&[&chain.end()], |root| {
        assert_eq!(fs::read(root.join("c")).unwrap(), b"x")
    });
    // The upper layer writes to a name that the lower one linked; the other name keeps its content.
    let (below, above) = (
        Tar::new().file("a", b"1").entry(b'1', b"b", "a", b"").end(),
        Tar::new().file("b", b"2").end(),
    );
    unpacked(&[&below, &above], |root| {
        assert_eq!(fs::read(root.join("a")).unwrap(), b"1")
    });
}

#[test]
fn names_may_be_any_bytes() {
    let layer = Tar::new()
        .entry(b'0', b"\xff\xfe", "", b"1")
        .entry(b'0', b"a\nb", "", b"2")
        .end();
    unpacked(&[&layer], |root| {
        assert_eq!(
            fs::read(root.join(std::ffi::OsStr::from_bytes(b"\xff\xfe"))).unwrap(),
            b"1"
        );
        assert_eq!(fs::read(root.join("a\nb")).unwrap(), b"2");
    });
}

#[test]
fn attributes_and_privileges_are_left_out() {
    let capability = b"\x01\0\0\x02\x0a\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let layer = Tar::new()
        .pax(&[
            ("SCHILY.xattr.security.capability", capability),
            ("SCHILY.xattr.user.note", b"a\nb"),
        ])
        .file("ping", b"x")
        .end();
    unpacked(&[&layer], |root| assert_eq!(fs::read(root.join("ping")).unwrap(), b"x"));
}

#[test]
fn a_million_entries_are_not_unpacked() {
    // A frame of a thousand directories, a thousand times.
    let directory = |tar: Tar, number: usize| tar.entry(b'5', format!("d{number}").as_bytes(), "", b"");
    let thousand = (0..1000).fold(Tar::new(), directory).cut();
    let million = zstd(&thousand).repeat(1000);
    let limits = Limits {
        expansion_ratio: u64::MAX,
        layer_entries: 20_000,
        ..Limits::default()
    };
    for archive in both_layouts(&million, b"") {
        not_unpacked(&archive, &limits, &["layer_entries", "20000"]);
        not_unpacked(&archive, &Limits::default(), &["`"]);
    }
}

#[test]
fn directories_that_paths_imply_count_as_entries() {
    let deep = |number: usize| format!("{number}{}", "/a".repeat(200));
    let tar = (0..400).fold(Tar::new(), |tar, number| {
        tar.entry(b'L', b"l", "", deep(number).as_bytes()).file("x", b"")
    });
    let archive = &packed(&[&tar.end()])[0];
    let entries = Limits {
        image_entries: 5000,
        ..Limits::default()
    };
    not_unpacked(archive, &entries, &["image_entries", "5000"]);
    let paths = Limits {
        layer_paths_bytes: 1 << 20,
        ..Limits::default()
    };
    not_unpacked(archive, &paths, &["layer_paths_bytes"]);
    let lookups = Limits {
        lookups: 5000,
        ..Limits::default()
    };
    not_unpacked(archive, &lookups, &["lookups"]);
}

#[test]
fn marks_are_not_walked_for_ever() {
    const DEPTH: usize = 60;
    const FILES: usize = 3000;
    let below: String = (0..DEPTH).map(|_| "a/").collect();
    let long = |tar: Tar, path: &str| tar.entry(b'L', b"l", "", path.as_bytes()).file("x", b"");
    let mut tar = (0..FILES).fold(Tar::new(), |tar, number| long(tar, &format!("{below}{number}")));
    // Each of these marks would look at all the files again.
    for depth in 0..DEPTH {
        tar = long(tar, &format!("{}.wh..wh..opq", "a/".repeat(depth)));
        tar = long(tar, &format!("{}.wh.a", "a/".repeat(depth)));
    }
    let layer = tar.clone().end();
    let limits = Limits {
        lookups: 20_000,
        ..Limits::default()
    };
    for archive in packed(&[&layer]) {
        let (done, _) = unpack(&archive, &limits, |root| {
            assert_eq!(fs::read_dir(root.join(&below)).unwrap().count(), FILES);
        });
        done.unwrap();
    }
    let twice = Tar::new()
        .file("d/x", b"")
        .file("d/.wh..wh..opq", b"")
        .file("d/./.wh..wh..opq", b"");
    layer_refused(&twice.end(), &["twice"]);
}

#[test]
fn marks_remove_only_what_is_below_them() {
    let below = Tar::new().file("d/a", b"1").file("e", b"1").end();
    for mark in [".wh..", ".wh...", ".wh.", "../.wh.e", "d/../.wh.e"] {
        layer_refused(&Tar::new().file(mark, b"").end(), &["cannot be used safely"]);
    }
    // Marks of marks, and marks of what never was.
    let odd = Tar::new()
        .file(".wh..wh.e", b"")
        .file(".wh.gone", b"")
        .file("gone/.wh..wh..opq", b"")
        .end();
    unpacked(&[&below, &odd], |root| {
        assert_eq!(fs::read(root.join("e")).unwrap(), b"1")
    });
    let parent = Tar::new().file("d/new", b"2").file(".wh.d", b"").end();
    unpacked(&[&below, &parent], |root| {
        assert!(root.join("d/new").exists() && !root.join("d/a").exists());
    });
}

#[test]
fn layers_in_reverse_order_are_read_twice_and_not_once_for_each() {
    let layers: Vec<Vec<u8>> = (0..40_u8)
        .map(|number| Tar::new().file("a", &[number; 3000]).end())
        .collect();
    let digests: Vec<_> = layers.iter().map(|layer| arya_bundle::Digest::of(layer)).collect();
    let config = serde_json::json!({"os": "linux", "rootfs": {"type": "layers", "diff_ids": digests}});
    let names: Vec<_> = (0..layers.len()).map(|number| number.to_string()).collect();
    let list = serde_json::json!([{"Config": "c.json", "RepoTags": [], "Layers": names}]);
    let tar = Tar::new().json("manifest.json", &list).json("c.json", &config);
    let archive = layers
        .iter()
        .zip(&names)
        .rev()
        .fold(tar, |tar, (layer, name)| tar.file(name, layer))
        .end();
    let read = Rc::new(Cell::new(0));
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("root");
    let open = || Ok(Counted(&archive[..], Rc::clone(&read)));
    within(UNPACKING, || {
        unpack_layers(open, Wanted::TheOnly, &target, &Limits::default())
    })
    .unwrap();
    assert_eq!(fs::read(target.join("a")).unwrap(), [39; 3000]);
    assert!(
        read.get() <= 2 * archive.len(),
        "{} of {} bytes",
        read.get(),
        archive.len()
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

struct Counted<'a>(&'a [u8], Rc<Cell<usize>>);

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read(buffer)?;
        self.1.set(self.1.get() + count);
        Ok(count)
    }
}

#[test]
fn all_layers_together_are_bounded() {
    // Directories have no bytes of their own, but a layer of them has.
    let directory = |tar: Tar, number: usize| tar.entry(b'5', format!("d{number}").as_bytes(), "", b"");
    let empty = (0..1000).fold(Tar::new(), directory).end();
    let other = (1000..2000).fold(Tar::new(), directory).end();
    let limits = |unpacked_bytes| Limits {
        unpacked_bytes,
        ..Limits::default()
    };
    for archive in packed(&[&empty, &other]) {
        let (done, _) = unpack(&archive, &limits(1_200_000), |_| ());
        done.expect("both layers are within the limit");
    }
    let (one, two) = (zstd(&empty), zstd(&other));
    for archive in repeated(&one, &empty, 1) {
        let (done, _) = unpack(&archive, &limits(900_000), |_| ());
        done.expect("one layer is within the limit");
    }
    let diff_ids = [&empty, &other].map(|layer| arya_bundle::Digest::of(layer));
    let config = serde_json::json!({"rootfs": {"diff_ids": diff_ids}});
    let list = serde_json::json!([{"Config": "c.json", "RepoTags": [], "Layers": ["1", "2"]}]);
    let tar = Tar::new().json("manifest.json", &list).json("c.json", &config);
    let archive = tar.file("1", &one).file("2", &two).end();
    not_unpacked(&archive, &limits(900_000), &["unpacked_bytes", "layer `2`"]);
}

#[test]
fn a_layer_may_end_without_its_mark_and_not_within_an_entry() {
    let whole = Tar::new().file("a", b"12345").end();
    unpacked(&[&whole[..1024]], |root| {
        assert_eq!(fs::read(root.join("a")).unwrap(), b"12345")
    });
    for length in [1, 511, 513, 515, 1023] {
        layer_refused(&whole[..length], &["ends in the middle"]);
    }
}
