//! Unpacking true and hostile layers, and what is left after a failure: nothing.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use proptest::prelude::*;
use serde_json::json;
use tar::EntryType;
use tempfile::TempDir;

use super::*;
use crate::testing::{Tar, classic, config, gzip, layer, oci, zstd};

fn unpack(archive: &[u8], target: &Path) -> Result<Unpacked, BundleError> {
    unpack_layers(|| Ok(archive), Wanted::TheOnly, target, &Limits::default())
}

/// Unpacks these layers; the folder lives as long as the first value.
#[track_caller]
fn unpacked(layers: &[Vec<u8>]) -> (TempDir, std::path::PathBuf, Unpacked) {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("root");
    let done = unpack(&classic(layers), &target).unwrap();
    (folder, target, done)
}

/// Every file and link below the target, with content or target.
#[track_caller]
fn check(layers: &[Vec<u8>], expected: &[(&str, &str)]) {
    let (_folder, target, _) = unpacked(layers);
    let mut found = Vec::new();
    list(&target, "", &mut found);
    found.sort();
    let expected: Vec<_> = expected
        .iter()
        .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
        .collect();
    assert_eq!(found, expected);
}

fn list(root: &Path, below: &str, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(root.join(below)).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{below}{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.push((format!("{path}/"), String::new()));
            list(root, &format!("{path}/"), found);
        } else if kind.is_symlink() {
            found.push((path, format!("-> {}", fs::read_link(entry.path()).unwrap().display())));
        } else {
            found.push((path, fs::read_to_string(entry.path()).unwrap()));
        }
    }
}

/// The layers are refused with these words, and neither the target nor anything beside it exists.
#[track_caller]
fn refused(layers: &[Vec<u8>], words: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let error = unpack(&classic(layers), &folder.path().join("root")).expect_err("must be refused");
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        0,
        "something is left behind"
    );
}

#[test]
fn both_layouts_unpack_to_the_same_files() {
    let layers = [layer(&[("a", "1"), ("d/b", "2")]), layer(&[("a", "3")])];
    for archive in [
        classic(&layers),
        oci(&layers),
        gzip(&classic(&layers)),
        zstd(&oci(&layers)),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("root");
        let done = unpack(&archive, &target).unwrap();
        assert_eq!(fs::read_to_string(target.join("a")).unwrap(), "3");
        assert_eq!(fs::read_to_string(target.join("d/b")).unwrap(), "2");
        assert_eq!(
            (done.entries, done.bytes),
            (4, 3),
            "three files and the directory that one implies"
        );
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            1,
            "only the target is left"
        );
    }
}

#[test]
fn layers_in_any_order_and_twice_are_applied_in_theirs() {
    let (one, two) = (layer(&[("a", "1")]), layer(&[("a", "2"), ("b", "2")]));
    let config = config("amd64", &[&one, &two, &two, &one]);
    let archive = Tar::new()
        .file("2", &gzip(&two))
        .file("1", &zstd(&one))
        .file("c.json", &config)
        .json(
            "manifest.json",
            &json!([{"Config": "c.json", "RepoTags": [], "Layers": ["1", "2", "2", "1"]}]),
        )
        .end();
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("root");
    unpack(&archive, &target).unwrap();
    assert_eq!(fs::read_to_string(target.join("a")).unwrap(), "1");
    assert_eq!(fs::read_to_string(target.join("b")).unwrap(), "2");
}

#[test]
fn whiteouts_remove_what_lower_layers_made() {
    let below = layer(&[("d/a", "1"), ("d/b", "1"), ("e", "1")]);
    check(
        &[below.clone(), Tar::new().file("d/.wh.a", b"").file(".wh.e", b"").end()],
        &[("d/", ""), ("d/b", "1")],
    );
    check(&[below.clone(), Tar::new().file(".wh.d", b"").end()], &[("e", "1")]);
    check(
        &[
            below.clone(),
            Tar::new().file("gone/.wh.x", b"").file(".wh.y", b"").end(),
        ],
        &[("d/", ""), ("d/a", "1"), ("d/b", "1"), ("e", "1")],
    );
    check(
        &[below, Tar::new().file(".wh..wh.plnk", b"").file(".wh.e", b"").end()],
        &[("d/", ""), ("d/a", "1"), ("d/b", "1")],
    );
}

#[test]
fn an_opaque_mark_hides_lower_layers_but_not_its_own() {
    let below = layer(&[("d/a", "1"), ("d/sub/x", "1")]);
    let mark_last = Tar::new()
        .dir("d/")
        .file("d/sub/new", b"2")
        .file("d/.wh..wh..opq", b"")
        .end();
    check(
        &[below.clone(), mark_last],
        &[("d/", ""), ("d/sub/", ""), ("d/sub/new", "2")],
    );
    let mark_first = Tar::new().file("d/.wh..wh..opq", b"").file("d/a", b"2").end();
    check(&[below.clone(), mark_first], &[("d/", ""), ("d/a", "2")]);
    check(&[below, Tar::new().file(".wh..wh..opq", b"").end()], &[]);
}

#[test]
fn an_upper_layer_replaces_whatever_stood_there() {
    let below = Tar::new().file("f", b"1").file("d/x", b"1").symlink("l", "f").end();
    let above = Tar::new()
        .dir("f/")
        .file("f/in", b"2")
        .file("d", b"2")
        .file("l", b"2")
        .end();
    check(&[below, above], &[("d", "2"), ("f/", ""), ("f/in", "2"), ("l", "2")]);
}

#[test]
fn links_are_made_as_data_and_lead_nowhere_else() {
    let links = Tar::new()
        .file("usr/bin/app", b"x")
        .symlink("bin", "usr/bin")
        .symlink("etc/abs", "/usr/bin/app")
        .symlink("etc/up", "../usr/bin/app")
        .symlink("etc/root", "/")
        .symlink("top", "/")
        .hardlink("hard", "usr/bin/app")
        .end();
    check(
        &[links],
        &[
            ("bin", "-> usr/bin"),
            ("etc/", ""),
            ("etc/abs", "-> ../usr/bin/app"),
            ("etc/root", "-> .."),
            ("etc/up", "-> ../usr/bin/app"),
            ("hard", "x"),
            ("top", "-> ."),
            ("usr/", ""),
            ("usr/bin/", ""),
            ("usr/bin/app", "x"),
        ],
    );
}

#[test]
fn a_replaced_file_does_not_change_its_hard_links() {
    let below = Tar::new().file("a", b"1").hardlink("b", "a").end();
    check(&[below, Tar::new().file("a", b"2").end()], &[("a", "2"), ("b", "1")]);
}

#[test]
fn permission_bits_are_kept_and_no_file_is_setuid() {
    let modes = Tar::new()
        .entry(EntryType::Regular, "su", "", 0o4755, b"")
        .entry(EntryType::Regular, "secret", "", 0o600, b"")
        .entry(EntryType::Directory, "closed/", "", 0o3000, b"")
        .file("closed/in", b"")
        .end();
    let (_folder, target, _) = unpacked(&[modes]);
    let mode = |path: &str| fs::metadata(target.join(path)).unwrap().mode() & 0o7777;
    assert_eq!(
        (mode("su"), mode("secret"), mode("closed"), mode("")),
        (0o755, 0o600, 0o700, 0o755)
    );
}

#[test]
fn devices_and_pipes_are_skipped_and_named() {
    let devices = Tar::new()
        .entry(EntryType::Char, "dev/null", "", 0o666, b"")
        .entry(EntryType::Block, "dev/sda", "", 0o660, b"")
        .entry(EntryType::Fifo, "pipe", "", 0o600, b"")
        .file("app", b"x")
        .end();
    let (_folder, target, done) = unpacked(&[devices]);
    let skipped: Vec<_> = done
        .skipped
        .iter()
        .map(|skipped| (skipped.path.as_str(), skipped.what))
        .collect();
    assert_eq!(
        skipped,
        [
            ("dev/null", "character device"),
            ("dev/sda", "block device"),
            ("pipe", "named pipe")
        ]
    );
    assert!(!target.join("dev").exists() && target.join("app").exists());
}

#[test]
fn hostile_layers_are_refused_and_nothing_is_left() {
    let one = |tar: Tar| refused(&[tar.end()], &["cannot be used safely"]);
    one(Tar::new().file("../out", b"x"));
    one(Tar::new().file("/out", b"x"));
    one(Tar::new().file("a/../../out", b"x"));
    one(Tar::new().file("..", b"x"));
    one(Tar::new().file(".", b"x"));
    one(Tar::new().symlink("l", "../out"));
    one(Tar::new().symlink("a/l", "../../out"));
    one(Tar::new().symlink("l", "/../out"));
    one(Tar::new().symlink("here", ".").symlink("l", "here/../out"));
    one(Tar::new().symlink("l", ""));
    one(Tar::new().symlink("l", "/tmp").file("l/x", b"x"));
    one(Tar::new().symlink("l", "d").dir("d/").file("l/x", b"x"));
    one(Tar::new().symlink("l", "/tmp").dir("l/sub/"));
    one(Tar::new().symlink("l", "/tmp").file("l/.wh.x", b""));
    one(Tar::new().symlink("l", "/tmp").file("l/.wh..wh..opq", b""));
    one(Tar::new().file(".wh...", b""));
    one(Tar::new().file(".wh..", b""));
    one(Tar::new().file(".wh.", b""));
    one(Tar::new().hardlink("h", "../out"));
    one(Tar::new().hardlink("h", "/etc/passwd"));
    one(Tar::new().symlink("l", "/etc").hardlink("h", "l/passwd"));
    one(Tar::new().symlink("l", "/etc/passwd").hardlink("h", "l"));
    one(Tar::new().hardlink("h", "h"));
    one(Tar::new().dir("d/").hardlink("h", "d"));
    one(Tar::new().hardlink("h", "."));
    one(Tar::new().file("f", b"").file("f/x", b""));
    refused(&[Tar::new().hardlink("h", "gone").end()], &["link to nothing"]);
}

#[test]
fn one_path_twice_in_a_layer_is_refused() {
    for tar in [
        Tar::new().file("a", b"1").file("a", b"2"),
        Tar::new().file("a", b"1").file("./a", b"2"),
        Tar::new().dir("a/").symlink("a", "/tmp"),
        Tar::new().file("a/b", b"1").symlink("a", "/tmp"),
        Tar::new().symlink("a", "x").dir("a/"),
    ] {
        refused(&[tar.end()], &["twice"]);
    }
    check(&[Tar::new().dir("a/").dir("a/").end()], &[("a/", "")]);
}

#[test]
fn a_link_of_a_lower_layer_is_not_written_through() {
    let below = Tar::new().symlink("l", "/tmp").end();
    refused(&[below.clone(), layer(&[("l/x", "1")])], &["symbolic link `l`"]);
    check(
        &[below, Tar::new().dir("l/").file("l/x", b"1").end()],
        &[("l/", ""), ("l/x", "1")],
    );
}

#[test]
fn a_compressed_layer_with_another_content_is_refused() {
    let archive = Tar::new()
        .file("c.json", &config("amd64", &[&layer(&[("a", "1")])]))
        .file("l", &gzip(&layer(&[("a", "2")])))
        .json(
            "manifest.json",
            &json!([{"Config": "c.json", "RepoTags": [], "Layers": ["l"]}]),
        )
        .end();
    let folder = tempfile::tempdir().unwrap();
    let error = unpack(&archive, &folder.path().join("root")).unwrap_err();
    assert!(matches!(error, BundleError::WrongDigest { .. }), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn limits_hold_while_unpacking() {
    let archive = classic(&[layer(&[("a", "12345"), ("b", "12345")])]);
    let check = |limits: Limits, name: &str| {
        let folder = tempfile::tempdir().unwrap();
        let done = unpack_layers(
            || Ok(&archive[..]),
            Wanted::TheOnly,
            &folder.path().join("root"),
            &limits,
        );
        let text = done.unwrap_err().to_string();
        assert!(text.contains(name), "{text}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    };
    check(
        Limits {
            layer_entries: 1,
            ..Limits::default()
        },
        "layer_entries",
    );
    check(
        Limits {
            unpacked_bytes: 9,
            ..Limits::default()
        },
        "unpacked_bytes",
    );
}

#[test]
fn the_deepest_tree_that_is_allowed_is_removed_after_a_failure() {
    let mut writer = crate::pack::LayerWriter::new(Vec::new());
    writer.file(&"a/".repeat(255), 0o644, 0, std::io::empty()).unwrap();
    writer.directory(&"a/".repeat(257), 0o755).unwrap();
    refused(&[writer.finish().unwrap()], &["path_parts"]);
}

#[test]
fn an_existing_target_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("root"), "mine").unwrap();
    let error = unpack(&classic(&[layer(&[])]), &folder.path().join("root")).unwrap_err();
    assert!(matches!(error, BundleError::TargetExists { .. }), "{error}");
    assert_eq!(fs::read_to_string(folder.path().join("root")).unwrap(), "mine");
}

#[test]
fn the_image_is_chosen_by_name_or_id() {
    let archive = classic(&[layer(&[("a", "1")])]);
    let folder = tempfile::tempdir().unwrap();
    let run = |wanted: Wanted<'_>, name: &str| {
        unpack_layers(
            || Ok(&archive[..]),
            wanted,
            &folder.path().join(name),
            &Limits::default(),
        )
    };
    let done = run(Wanted::Named("docker.io/library/emr:1.1"), "by-name").unwrap();
    assert_eq!(done.image.env.pairs().len(), 2);
    run(Wanted::Id(&done.image.image_id), "by-id").unwrap();
    let text = run(Wanted::Named("emr:2"), "gone").unwrap_err().to_string();
    assert!(text.contains("named `emr:2`") && text.contains("emr:1.1"), "{text}");
}

#[test]
fn an_archive_that_changes_between_passes_is_refused() {
    let whole = classic(&[layer(&[("a", "1")])]);
    let other = classic(&[layer(&[("b", "1")])]);
    let folder = tempfile::tempdir().unwrap();
    let mut opened = 0;
    let open = || {
        opened += 1;
        Ok(if opened == 1 { &whole[..] } else { &other[..] })
    };
    let done = unpack_layers(open, Wanted::TheOnly, &folder.path().join("root"), &Limits::default());
    assert!(matches!(done, Err(BundleError::Damaged { .. })), "{done:?}");
}

/// Whatever the names and links, nothing appears beside the target and no link inside it leads out.
fn hostile_entries() -> impl Strategy<Value = Vec<(u8, String, String)>> {
    let part = prop::sample::select(vec!["a", "b", "..", ".", "", "c", ".wh.a", ".wh..wh..opq"]);
    let path = prop::collection::vec(part, 1..4).prop_map(|parts| parts.join("/"));
    let entry = (prop::sample::select(b"0125".to_vec()), path.clone(), path);
    prop::collection::vec(entry, 1..8)
}

proptest! {
    #[test]
    fn nothing_ever_leaves_the_target(layers in prop::collection::vec(hostile_entries(), 1..3)) {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("deep").join("root");
        fs::create_dir(folder.path().join("deep")).unwrap();
        let tars: Vec<_> = layers.iter().map(|entries| {
            let add = |tar: Tar, (kind, path, link): &(u8, String, String)| {
                let content: &[u8] = if *kind == b'0' { b"x" } else { b"" };
                tar.entry(EntryType::new(*kind), path, link, 0o755, content)
            };
            entries.iter().fold(Tar::new(), add).end()
        }).collect();
        let done = unpack(&classic(&tars), &target);
        prop_assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        prop_assert_eq!(fs::read_dir(folder.path().join("deep")).unwrap().count(), usize::from(done.is_ok()));
        if done.is_ok() {
            let mut found = Vec::new();
            list(&target, "", &mut found);
            let root = target.canonicalize().unwrap();
            for (path, _) in found {
                // Links to nothing and loops resolve to nothing, which is inside enough.
                if let Ok(real) = target.join(&path).canonicalize() {
                    prop_assert!(real.starts_with(&root), "{} leads to {}", path, real.display());
                }
            }
        }
    }
}
