//! Archives that no honest program writes: entries are raw, and documents say whatever a case wants.

use std::fs;
use std::io::{self, Read, Write as _};

use arya_bundle::pack::{ImageSpec, Layer, docker_save_classic, oci_layout};
use arya_bundle::{BundleError, Description, Digest, Limits, Unpacked, Wanted, describe, unpack_layers};
use serde_json::{Value, json};

use crate::measure::{DESCRIBING, UNPACKING, within};

pub(crate) const BLOCK: usize = 512;

/// A header with these fields and the right sum. `size` is written as it is, so that it may lie.
pub(crate) fn header(kind: u8, path: &[u8], link: &str, size: &[u8]) -> [u8; BLOCK] {
    let mut header = tar::Header::new_ustar();
    let old = header.as_old_mut();
    old.name[..path.len()].copy_from_slice(path);
    old.linkname[..link.len()].copy_from_slice(link.as_bytes());
    old.mode.copy_from_slice(b"0000755\0");
    old.size[..size.len()].copy_from_slice(size);
    let mut bytes = *header.as_bytes();
    // Not by that crate's type, which writes zero as `0`.
    bytes[156] = kind;
    bytes[148..156].fill(b' ');
    let sum: u32 = bytes.iter().map(|&byte| u32::from(byte)).sum();
    bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    bytes
}

pub(crate) fn octal(size: usize) -> Vec<u8> {
    format!("{size:011o}\0").into_bytes()
}

/// A tar archive of raw entries.
#[derive(Default, Clone)]
pub(crate) struct Tar(Vec<u8>);

impl Tar {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn entry(self, kind: u8, path: &[u8], link: &str, content: &[u8]) -> Self {
        let header = header(kind, path, link, &octal(content.len()));
        self.raw(&header).raw(content).pad()
    }

    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn pad(mut self) -> Self {
        self.0.resize(self.0.len().next_multiple_of(BLOCK), 0);
        self
    }

    pub(crate) fn file(self, path: &str, content: &[u8]) -> Self {
        self.entry(b'0', path.as_bytes(), "", content)
    }

    pub(crate) fn json(self, path: &str, value: &Value) -> Self {
        self.file(path, &serde_json::to_vec(value).unwrap())
    }

    /// A pax header whose records have the right length.
    pub(crate) fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let records: Vec<u8> = records.iter().flat_map(|(key, value)| pax_record(key, value)).collect();
        self.entry(b'x', b"pax", "", &records)
    }

    /// A blob under the name of its digest.
    pub(crate) fn blob(self, content: &[u8]) -> Self {
        let name = format!("blobs/sha256/{}", Digest::of(content).hex());
        self.file(&name, content)
    }

    /// Without the end mark.
    pub(crate) fn cut(self) -> Vec<u8> {
        self.0
    }

    pub(crate) fn end(self) -> Vec<u8> {
        self.raw(&[0; 2 * BLOCK]).0
    }
}

pub(crate) fn pax_record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let digits = |length: usize| length.to_string().len();
    let length = (1..=20)
        .map(|width| rest + width)
        .find(|length| length - rest == digits(*length));
    [format!("{} {key}=", length.unwrap()).as_bytes(), value, b"\n"].concat()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 3).unwrap()
}

/// As many zero bytes, compressed.
pub(crate) fn zstd_zeros(bytes: u64) -> Vec<u8> {
    zstd::stream::encode_all(io::repeat(0).take(bytes), 1).unwrap()
}

/// One image with this layer as often as asked, in both layouts. The config says that the layer's content is `content`,
/// whatever its bytes are.
pub(crate) fn repeated(layer: &[u8], content: &[u8], times: usize) -> [Vec<u8>; 2] {
    let diff_ids = vec![Digest::of(content); times];
    let config = json!({"os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}});
    let config = serde_json::to_vec(&config).unwrap();
    let list = json!([{"Config": "c.json", "RepoTags": ["emr:1.1"], "Layers": vec!["layer.tar"; times]}]);
    let classic = Tar::new()
        .json("manifest.json", &list)
        .file("c.json", &config)
        .file("layer.tar", layer)
        .end();
    let points = |bytes: &[u8]| json!({"digest": Digest::of(bytes).as_str(), "size": bytes.len()});
    let manifest = json!({"schemaVersion": 2, "config": points(&config), "layers": vec![points(layer); times]});
    let manifest = serde_json::to_vec(&manifest).unwrap();
    let index = json!({"schemaVersion": 2, "manifests": [points(&manifest)]});
    let oci = Tar::new()
        .blob(layer)
        .blob(&config)
        .blob(&manifest)
        .json("index.json", &index)
        .end();
    [classic, oci]
}

pub(crate) fn both_layouts(layer: &[u8], content: &[u8]) -> [Vec<u8>; 2] {
    repeated(layer, content, 1)
}

/// As the product writes them.
pub(crate) fn packed(layers: &[&[u8]]) -> [Vec<u8>; 2] {
    let layers: Vec<_> = layers.iter().map(|bytes| Layer::Bytes(bytes)).collect();
    let (mut classic, mut oci) = (Vec::new(), Vec::new());
    docker_save_classic(&ImageSpec::default(), &layers, &mut classic).unwrap();
    oci_layout(&ImageSpec::default(), &layers, &mut oci).unwrap();
    [classic, oci]
}

/// What it says of the archive is a sentence with these words.
#[track_caller]
pub(crate) fn check_message(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
    let sentences = text.split(". ").count();
    assert!(sentences >= 3, "what happened, how things are, what to do: {text}");
    assert!(text.ends_with('.') && text.chars().count() < 1000, "{text}");
    assert!(!text.contains(char::is_control), "{text:?}");
}

#[track_caller]
pub(crate) fn describe_within(archive: impl Read, limits: &Limits) -> Result<Description, BundleError> {
    within(DESCRIBING, || describe(archive, limits))
}

/// It is not described, for a reason with these words, and not unpacked either.
#[track_caller]
pub(crate) fn refused(archive: &[u8], words: &[&str]) {
    let error = describe_within(archive, &Limits::default()).expect_err("must not be described");
    check_message(&error.to_string(), words);
    not_unpacked(archive, &Limits::default(), words);
}

/// It is not unpacked, for a reason with these words, and nothing is left behind.
#[track_caller]
pub(crate) fn not_unpacked(archive: &[u8], limits: &Limits, words: &[&str]) {
    let (done, left) = unpack(archive, limits, |_| ());
    check_message(&done.expect_err("must not be unpacked").to_string(), words);
    assert_eq!(left, 0, "something is left behind");
}

/// Unpacks it and looks at the result; also says how many things are in the folder above then.
#[track_caller]
pub(crate) fn unpack(
    archive: &[u8],
    limits: &Limits,
    look: impl FnOnce(&std::path::Path),
) -> (Result<Unpacked, BundleError>, usize) {
    let folder = empty_folder();
    let target = folder.path().join("root");
    let done = within(UNPACKING, || {
        unpack_layers(|| Ok(archive), Wanted::TheOnly, &target, limits)
    });
    if done.is_ok() {
        look(&target);
    }
    (done, fs::read_dir(folder.path()).unwrap().count())
}

/// In memory where the system has a place for it: cases of a hundred thousand entries are about limits, not about disks.
pub(crate) fn empty_folder() -> tempfile::TempDir {
    let memory = std::path::Path::new("/dev/shm");
    let made = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    made.unwrap()
}

/// Unpacks layers as the product packs them, in both layouts, and looks at the result.
#[track_caller]
pub(crate) fn unpacked(layers: &[&[u8]], look: impl Fn(&std::path::Path)) {
    for archive in packed(layers) {
        let (done, left) = unpack(&archive, &Limits::default(), &look);
        done.unwrap();
        assert_eq!(left, 1, "only the target is there");
    }
}

/// The layer is described, since nobody looks into it then, and refused when it is unpacked.
#[track_caller]
pub(crate) fn layer_refused(layer: &[u8], words: &[&str]) {
    for archive in packed(&[layer]) {
        describe_within(&archive[..], &Limits::default()).expect("a layer is not looked into");
        not_unpacked(&archive, &Limits::default(), words);
    }
}
