//! The JSON documents of an archive, under names and digests that are right, so that what they say is looked at.
//!
//! After a first byte the input is documents with a zero byte between them. In each, `@0` to `@9` stand for the digest of
//! an earlier one, `@l` and `@z` for that of an empty layer, plain and gzip.

use arya_bundle::Digest;
use tar::{Builder, Header};

use crate::bundle::describe_and_unpack;

/// The last document becomes `index.json`, with the next bit `manifest.json`.
const INDEX: u8 = 1;
const MANIFEST: u8 = 2;

/// `gzip -n` of 1024 zero bytes.
const EMPTY_LAYER_GZIP: &[u8] =
    b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x63\x60\x18\x05\xa3\x60\x14\x8c\x54\0\0\x2e\xaf\xb5\xef\0\x04\0\0";
const EMPTY_LAYER: [u8; 1024] = [0; 1024];
/// More are never needed: the tokens name ten.
const DOCUMENTS_MAX: usize = 12;

pub(crate) fn run(bytes: &[u8]) {
    let Some((mode, rest)) = bytes.split_first() else {
        return;
    };
    let mut blobs = vec![EMPTY_LAYER.to_vec(), EMPTY_LAYER_GZIP.to_vec()];
    for document in rest.split(|&byte| byte == 0).take(DOCUMENTS_MAX) {
        let written = substitute(document, &blobs);
        blobs.push(written);
    }
    let last = blobs.last().cloned().unwrap_or_default();
    let mut tar = Builder::new(Vec::new());
    let mut written = std::collections::BTreeSet::new();
    for blob in &blobs {
        let name = format!("blobs/sha256/{}", Digest::of(blob).hex());
        if written.insert(name.clone()) {
            add(&mut tar, &name, blob);
        }
    }
    if mode & INDEX != 0 {
        add(&mut tar, "index.json", &last);
    }
    if mode & MANIFEST != 0 {
        add(&mut tar, "manifest.json", &last);
    }
    describe_and_unpack(&tar.into_inner().expect("writing into memory cannot fail"));
}

fn substitute(document: &[u8], blobs: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(document.len());
    let mut rest = document;
    while let Some((&byte, after)) = rest.split_first() {
        let token = (byte == b'@').then(|| after.first().copied()).flatten();
        let blob = match token {
            Some(digit @ b'0'..=b'9') => blobs.get(usize::from(digit - b'0') + 2),
            Some(b'l') => blobs.first(),
            Some(b'z') => blobs.get(1),
            _ => None,
        };
        match blob {
            Some(blob) => {
                out.extend_from_slice(Digest::of(blob).hex().as_bytes());
                rest = &after[1..];
            }
            None => {
                out.push(byte);
                rest = after;
            }
        }
    }
    out
}

fn add(tar: &mut Builder<Vec<u8>>, name: &str, content: &[u8]) {
    let mut header = Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, name, content)
        .expect("writing into memory cannot fail");
}
