//! Builds archives in memory for the tests, true ones and hostile ones. Must never be part of the product.

use std::io::Write as _;

use serde_json::{Value, json};
use tar::{EntryType, Header};

use crate::digest::Digest;
use crate::pack::{self, ImageSpec, Layer, LayerWriter};

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 1).unwrap()
}

/// A tar archive of raw entries: nothing about names and links is checked while writing.
#[derive(Default)]
pub(crate) struct Tar(Vec<u8>);

impl Tar {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn entry(self, kind: EntryType, path: &str, link: &str, mode: u32, content: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        header.set_cksum();
        self.raw(header.as_bytes()).raw(content).pad()
    }

    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn pad(mut self) -> Self {
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub(crate) fn file(self, path: &str, content: &[u8]) -> Self {
        self.entry(EntryType::Regular, path, "", 0o644, content)
    }

    pub(crate) fn dir(self, path: &str) -> Self {
        self.entry(EntryType::Directory, path, "", 0o755, b"")
    }

    pub(crate) fn symlink(self, path: &str, target: &str) -> Self {
        self.entry(EntryType::Symlink, path, target, 0o777, b"")
    }

    pub(crate) fn hardlink(self, path: &str, target: &str) -> Self {
        self.entry(EntryType::Link, path, target, 0o644, b"")
    }

    pub(crate) fn json(self, path: &str, value: &Value) -> Self {
        self.file(path, &serde_json::to_vec(value).unwrap())
    }

    /// Adds a blob under the name of its digest.
    pub(crate) fn blob(self, content: &[u8]) -> Self {
        let name = format!("blobs/sha256/{}", Digest::of(content).hex());
        self.file(&name, content)
    }

    pub(crate) fn end(self) -> Vec<u8> {
        self.raw(&[0; 1024]).0
    }

    /// Without the end mark.
    pub(crate) fn cut(self) -> Vec<u8> {
        self.0
    }
}

/// A layer with these files.
pub(crate) fn layer(files: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = LayerWriter::new(Vec::new());
    for (path, content) in files {
        writer
            .file(path, 0o644, content.len() as u64, content.as_bytes())
            .unwrap();
    }
    writer.finish().unwrap()
}

pub(crate) fn spec() -> ImageSpec {
    ImageSpec {
        reference: "emr:1.1".to_owned(),
        architecture: "amd64".to_owned(),
        env: vec!["PATH=/bin".to_owned(), "PASSWORD=hunter2=x".to_owned()],
        entrypoint: vec!["/app".to_owned()],
        cmd: vec!["serve".to_owned()],
        working_dir: "/srv".to_owned(),
        user: "app".to_owned(),
        exposed_ports: vec![9090, 8080],
        labels: [("a".to_owned(), "b".to_owned())].into(),
    }
}

/// A classic archive of one image with these layers.
pub(crate) fn classic(layers: &[Vec<u8>]) -> Vec<u8> {
    let layers: Vec<_> = layers.iter().map(|bytes| Layer::Bytes(bytes)).collect();
    let mut out = Vec::new();
    pack::docker_save_classic(&spec(), &layers, &mut out).unwrap();
    out
}

/// An OCI layout of one image with these layers.
pub(crate) fn oci(layers: &[Vec<u8>]) -> Vec<u8> {
    let layers: Vec<_> = layers.iter().map(|bytes| Layer::Bytes(bytes)).collect();
    let mut out = Vec::new();
    pack::oci_layout(&spec(), &layers, &mut out).unwrap();
    out
}

/// A config of one image, as small as it may be.
pub(crate) fn config(architecture: &str, layers: &[&[u8]]) -> Vec<u8> {
    let diff_ids: Vec<_> = layers.iter().map(|layer| Digest::of(layer).to_string()).collect();
    let config =
        json!({"architecture": architecture, "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}});
    serde_json::to_vec(&config).unwrap()
}

pub(crate) fn descriptor(media_type: &str, content: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": Digest::of(content).to_string(), "size": content.len()})
}
