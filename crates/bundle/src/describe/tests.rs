//! What `describe` says of true, odd and hostile streams.

use proptest::prelude::*;
use serde_json::json;
use tar::EntryType;

use super::*;
use crate::digest::Digest;
use crate::testing::{self, Tar, classic, config, descriptor, gzip, layer, oci, zstd};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

fn run(bytes: &[u8]) -> Result<Description, BundleError> {
    describe(bytes, &Limits::default())
}

fn layers() -> Vec<Vec<u8>> {
    vec![layer(&[("app", "one")]), layer(&[("app", "two")])]
}

/// The archive is refused and the reason contains each of these words.
#[track_caller]
fn refused(bytes: &[u8], words: &[&str]) {
    let text = run(bytes).expect_err("must be refused").to_string();
    for word in words {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
}

#[track_caller]
fn is_the_sample(bytes: &[u8]) {
    let found = run(bytes).unwrap();
    assert_eq!(
        (found.kind, found.images.len(), found.compose),
        (Kind::ImageArchive, 1, None)
    );
    let image = &found.images[0];
    assert!(image.references[0].ends_with("emr:1.1"));
    assert_eq!(
        (image.architecture.as_str(), image.os.as_str(), &image.variant),
        ("amd64", "linux", &None)
    );
    assert_eq!(image.exposed_ports, [8080, 9090]);
    assert_eq!(image.env_names, ["PATH", "PASSWORD"]);
    assert_eq!(image.env.pairs()[1].1, "hunter2=x");
    assert_eq!(
        (&image.entrypoint[..], &image.cmd[..]),
        (&["/app".to_owned()][..], &["serve".to_owned()][..])
    );
    assert_eq!((image.working_dir.as_str(), image.user.as_str()), ("/srv", "app"));
    let expected: Vec<_> = layers()
        .iter()
        .map(|bytes| (Digest::of(bytes), bytes.len() as u64))
        .collect();
    let layers: Vec<_> = image
        .layers
        .iter()
        .map(|layer| (layer.diff_id.clone(), layer.size))
        .collect();
    assert_eq!(layers, expected);
    assert!(image.says_what_to_run());
}

#[test]
fn both_layouts_are_read_plain_and_compressed() {
    for archive in [classic(&layers()), oci(&layers())] {
        is_the_sample(&archive);
        is_the_sample(&gzip(&archive));
        is_the_sample(&zstd(&archive));
        // Members and frames one after the other are one stream.
        let (head, tail) = archive.split_at(archive.len() / 2);
        is_the_sample(&[gzip(head), gzip(tail)].concat());
        is_the_sample(&[zstd(head), zstd(tail)].concat());
    }
}

#[test]
fn an_oci_layout_without_manifest_json_is_read() {
    let content = layer(&[("a", "b")]);
    let packed = gzip(&content);
    let config = config("arm64", &[&content]);
    let manifest =
        json!({"schemaVersion": 2, "config": descriptor(CONFIG, &config), "layers": [descriptor(LAYER, &packed)]});
    let manifest = serde_json::to_vec(&manifest).unwrap();
    let absent = descriptor(MANIFEST, b"of another platform");
    let mut about = descriptor(MANIFEST, b"provenance");
    about["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest"});
    let inner = json!({"schemaVersion": 2, "manifests": [absent, about, descriptor(MANIFEST, &manifest)]});
    let inner = serde_json::to_vec(&inner).unwrap();
    let mut named = descriptor(INDEX, &inner);
    named["annotations"] = json!({"io.containerd.image.name": "docker.io/library/x:2"});
    let archive = Tar::new()
        .json("index.json", &json!({"schemaVersion": 2, "manifests": [named]}))
        .blob(&inner)
        .blob(&packed)
        .blob(&manifest)
        .blob(&config)
        .end();
    let found = run(&archive).unwrap();
    let image = &found.images[0];
    assert_eq!(
        (image.references[0].as_str(), image.architecture.as_str()),
        ("docker.io/library/x:2", "arm64")
    );
    assert_eq!(image.layers[0].digest, Digest::of(&packed));
    assert_eq!(image.layers[0].diff_id, Digest::of(&content));
    assert!(!image.says_what_to_run());
}

#[test]
fn entries_may_come_in_any_order_and_as_links() {
    let content = layer(&[("a", "b")]);
    let config = config("amd64", &[&content, &content]);
    let archive = Tar::new()
        .json(
            "./manifest.json",
            &json!([{"Config": "c.json", "RepoTags": null, "Layers": ["1/layer.tar", "2/layer.tar"]}]),
        )
        .symlink("2/layer.tar", "../1/layer.tar")
        .file("1/layer.tar", &content)
        .file("c.json", &config)
        .end();
    let found = run(&archive).unwrap();
    assert_eq!(found.images[0].layers[0], found.images[0].layers[1]);
    assert_eq!(found.images[0].display_name(), Digest::of(&config).as_str());
}

#[test]
fn odd_exposed_ports_expose_nothing() {
    let ports = |list: &[&str]| tcp_ports(list.iter().map(|text| (*text).to_owned()));
    assert_eq!(
        ports(&["80", "81/tcp", "82/udp", "90-92/tcp", "x", "70000", "5-1"]),
        [80, 81, 90, 91, 92]
    );
}

#[test]
fn environment_values_are_not_shown() {
    let found = run(&classic(&layers())).unwrap();
    assert!(!format!("{found:?}").contains("hunter2"));
    assert!(!serde_json::to_string(&found).unwrap().contains("hunter2"));
    let stored: Description = serde_json::from_str(&serde_json::to_string(&found).unwrap()).unwrap();
    assert_eq!(stored.images[0].env_names, found.images[0].env_names);
}

#[test]
fn an_environment_of_the_wrong_type_is_not_shown() {
    let text = run(&one_image(&[], br#"{"config":{"Env":"A=hunter2"},"rootfs":{}}"#).end())
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("wrong text at line 1") && !text.contains("hunter2"),
        "{text}"
    );
}

#[test]
fn a_compose_file_is_recognised() {
    let found = run(b"services:\n  web:\n    image: emr:1.1\n").unwrap();
    assert_eq!((found.kind, found.images.len()), (Kind::Compose, 0));
    assert!(found.compose.unwrap().services.contains_key("web"));
}

#[test]
fn what_is_neither_is_named() {
    refused(b"", &["empty"]);
    refused(b"PK\x03\x04", &["zip"]);
    refused(b"BZh91AY", &["bzip2", "gzip and zstd"]);
    refused(b"\x7fELF\x02", &["program"]);
    refused(&[1, 2, 3], &["binary"]);
    refused(b"hello", &["no `services`"]);
    refused(&gzip(b"services: {web: {image: x}}"), &["without a tar archive"]);
    refused(&gzip(&gzip(b"x")), &["compressed twice"]);
    refused(
        &Tar::new().file("Dockerfile", b"FROM x").end(),
        &["holds no image", "docker save"],
    );
    refused(&[0; 1024], &["holds no image"]);
}

#[test]
fn a_container_export_is_told_from_an_image() {
    let export = Tar::new()
        .dir("bin/")
        .dir("etc/")
        .file("etc/passwd", b"x")
        .dir("usr/")
        .symlink("lib", "/usr/lib")
        .end();
    refused(&export, &["docker export", "docker save"]);
    refused(&Tar::new().file(".dockerenv", b"").end(), &["docker export"]);
    let limits = Limits {
        archive_entries: 4,
        ..Limits::default()
    };
    let error = describe(&export[..], &limits).unwrap_err();
    assert!(matches!(error, BundleError::DockerExport), "{error}");
}

fn one_image(layers: &[&str], config: &[u8]) -> Tar {
    Tar::new()
        .json(
            "manifest.json",
            &json!([{"Config": "c.json", "RepoTags": [], "Layers": layers}]),
        )
        .file("c.json", config)
}

#[test]
fn documents_that_do_not_fit_are_refused() {
    let content = layer(&[("a", "b")]);
    let good = config("amd64", &[&content]);
    refused(
        &one_image(&["gone"], &good).end(),
        &["does not contain `gone`", "manifest.json"],
    );
    refused(&one_image(&["../x"], &good).end(), &["`..`"]);
    refused(&one_image(&[], &good).end(), &["1 layers", "lists 0"]);
    refused(&one_image(&[], b"{}").end(), &["c.json", "rootfs"]);
    refused(&one_image(&[], b"\x00").end(), &["not JSON"]);
    refused(&one_image(&["l"], &good).file("l", b"other").end(), &["l", "digest"]);
    refused(&Tar::new().file("manifest.json", b"[]").end(), &["lists no image"]);
    refused(&Tar::new().file("manifest.json", b"[{").end(), &["manifest.json"]);
    refused(
        &Tar::new()
            .file("index.json", br#"{"schemaVersion":2,"manifests":[]}"#)
            .end(),
        &["index.json"],
    );
}

#[test]
fn a_blob_with_another_content_than_its_name_is_refused() {
    let name = format!("blobs/sha256/{}", Digest::of(b"one").hex());
    refused(&Tar::new().file(&name, b"two").end(), &["should have the digest"]);
    refused(&Tar::new().file("blobs/sha256/xyz", b"two").end(), &["not a SHA-256"]);
}

#[test]
fn two_lists_of_different_images_are_refused() {
    let other = config("amd64", &[]);
    let indexed = config("arm64", &[]);
    let manifest =
        serde_json::to_vec(&json!({"schemaVersion": 2, "config": descriptor(CONFIG, &indexed), "layers": []}));
    let manifest = manifest.unwrap();
    let archive = one_image(&[], &other)
        .json(
            "index.json",
            &json!({"schemaVersion": 2, "manifests": [descriptor(MANIFEST, &manifest)]}),
        )
        .blob(&manifest)
        .blob(&indexed)
        .end();
    refused(&archive, &["different images"]);
}

#[test]
fn hostile_names_are_refused() {
    for name in ["../manifest.json", "/manifest.json", "a/../../b"] {
        refused(&Tar::new().file(name, b"[]").end(), &["cannot be used safely"]);
    }
    refused(
        &one_image(&[], &config("a", &[])).file("c.json", b"{}").end(),
        &["twice"],
    );
    refused(
        &one_image(&[], &config("a", &[])).symlink("c.json", "x").end(),
        &["twice"],
    );
    let looped = Tar::new()
        .symlink("manifest.json", "b")
        .symlink("b", "manifest.json")
        .end();
    refused(&looped, &["does not contain `manifest.json`"]);
}

#[test]
fn hostile_tar_structures_are_refused() {
    let long_name = |size: &str| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(EntryType::GNULongName);
        header.as_old_mut().size.copy_from_slice(size.as_bytes());
        header.set_cksum();
        Tar::new().raw(header.as_bytes())
    };
    refused(&long_name("77777777777\0").end(), &["tar extension", "1048576"]);
    refused(
        &Tar::new().entry(EntryType::GNUSparse, "s", "", 0o644, b"").end(),
        &["sparse"],
    );
    refused(
        &Tar::new().entry(EntryType::new(b'Q'), "q", "", 0o644, b"").end(),
        &["type 0x51"],
    );
    let pax = |record: &[u8]| {
        Tar::new()
            .entry(EntryType::XHeader, "p", "", 0o644, record)
            .file("x", b"")
            .end()
    };
    refused(&pax(b"15 size=-twelve"), &["damaged"]);
    refused(&pax(b"20 GNU.sparse.size=1\n"), &["damaged"]);
    refused(&pax(b"21 GNU.sparse.size=1\n"), &["sparse"]);
    refused(&pax(b"29 size=18446744073709551615\n"), &["size that is none"]);
    refused(&pax(b"11 size=-1\n"), &["size that is none"]);
    refused(&pax(b"28 size=9223372036854775807\n"), &["ends in the middle"]);
    let global = Tar::new()
        .entry(EntryType::XGlobalHeader, "g", "", 0o644, b"9 path=a\n")
        .file("x", b"")
        .end();
    refused(&global, &["global"]);
    let many = (0..20)
        .fold(Tar::new(), |tar, _| tar.entry(EntryType::XHeader, "p", "", 0o644, b""))
        .end();
    refused(&many, &["too many extension"]);
    refused(
        &Tar::new().file("a", b"").raw(&[0; 512]).raw(&[1; 512]).end(),
        &["after its end mark"],
    );
    let mut wrong_sum = classic(&layers());
    wrong_sum[0] ^= 1;
    refused(&wrong_sum, &["checksum"]);
}

#[test]
fn a_damaged_compressed_stream_is_refused_as_damaged() {
    for mut archive in [gzip(&classic(&layers())), zstd(&classic(&layers()))] {
        archive[10..30].fill(0xff);
        refused(&archive, &["damaged"]);
    }
}

#[test]
fn pax_names_and_sizes_are_obeyed() {
    let content = config("amd64", &[]);
    let list = json!([{"Config": "a-name-from-pax", "RepoTags": [], "Layers": []}]);
    let archive = Tar::new()
        .json("manifest.json", &list)
        .entry(EntryType::XHeader, "p", "", 0o644, b"24 path=a-name-from-pax\n")
        .file("short", &content)
        .end();
    assert_eq!(run(&archive).unwrap().images.len(), 1);
}

#[test]
fn every_limit_holds() {
    let archive = classic(&layers());
    let check = |limits: Limits, name: &str| {
        let text = describe(&archive[..], &limits).unwrap_err().to_string();
        assert!(text.contains(&format!("`{name}`")), "{name}: {text}");
    };
    check(
        Limits {
            archive_entries: 2,
            ..Limits::default()
        },
        "archive_entries",
    );
    check(
        Limits {
            unpacked_bytes: 2000,
            ..Limits::default()
        },
        "unpacked_bytes",
    );
    check(
        Limits {
            json_bytes: 10,
            ..Limits::default()
        },
        "json_bytes",
    );
    check(
        Limits {
            json_total_bytes: 200,
            ..Limits::default()
        },
        "json_total_bytes",
    );
    check(
        Limits {
            path_bytes: 20,
            ..Limits::default()
        },
        "path_bytes",
    );
    check(
        Limits {
            layers: 1,
            ..Limits::default()
        },
        "layers",
    );
    check(
        Limits {
            images: 0,
            ..Limits::default()
        },
        "images",
    );
    let compose = b"services: {web: {image: x}}";
    let text = describe(
        &compose[..],
        &Limits {
            compose_bytes: 5,
            ..Limits::default()
        },
    )
    .unwrap_err()
    .to_string();
    assert!(text.contains("compose_bytes"), "{text}");
}

#[test]
fn indexes_that_name_each_other_do_not_multiply_the_work() {
    let mut tar = Tar::new();
    let mut below = descriptor(MANIFEST, b"absent");
    for _ in 0..3 {
        let index = json!({"schemaVersion": 2, "manifests": vec![below.clone(); 200]});
        let index = serde_json::to_vec(&index).unwrap();
        below = descriptor(INDEX, &index);
        tar = tar.blob(&index);
    }
    refused(
        &tar.json("index.json", &json!({"schemaVersion": 2, "manifests": [below]}))
            .end(),
        &["index descriptors"],
    );
}

#[test]
fn an_archive_cut_at_any_byte_is_refused() {
    for archive in [
        classic(&layers()),
        oci(&layers()),
        gzip(&classic(&layers())),
        zstd(&oci(&layers())),
    ] {
        for length in 0..archive.len() {
            assert!(
                run(&archive[..length]).is_err(),
                "cut to {length} of {} bytes",
                archive.len()
            );
        }
    }
    let whole = classic(&layers());
    refused(&whole[..whole.len() - 1], &["ends in the middle", "Upload it again"]);
    refused(
        &testing::Tar::new().file("manifest.json", b"[]").cut(),
        &["ends in the middle"],
    );
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2048)) {
        let _ = run(&bytes);
        let _ = run(&gzip(&bytes));
        let _ = run(&[&zstd(b"x")[..], &bytes].concat());
    }

    #[test]
    fn a_changed_byte_never_panics(at in any::<prop::sample::Index>(), to in any::<u8>(), oci_layout in any::<bool>()) {
        let mut bytes = if oci_layout { oci(&layers()) } else { classic(&layers()) };
        let at = at.index(bytes.len());
        bytes[at] = to;
        let _ = run(&bytes);
        let _ = run(&gzip(&bytes));
    }
}
