//! What the packer promises: the exact layout, the same bytes each time, and no archive from a layer that lies.

use std::collections::BTreeMap;

use serde_json::Value;

use super::*;
use crate::testing::{layer, spec};

/// Names and contents of an archive, read by the `tar` crate and not by our own reader.
fn entries(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = tar::Archive::new(archive);
    let entry = |entry: io::Result<tar::Entry<'_, &[u8]>>| {
        let mut entry = entry.unwrap();
        assert_eq!((entry.header().mtime().unwrap(), entry.header().uid().unwrap()), (0, 0));
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        (entry.path().unwrap().to_string_lossy().into_owned(), content)
    };
    archive.entries().unwrap().map(entry).collect()
}

fn json(files: &BTreeMap<String, Vec<u8>>, name: &str) -> Value {
    serde_json::from_slice(&files[name]).unwrap()
}

#[test]
fn the_classic_layout_is_the_one_of_docker() {
    let (one, two) = (layer(&[("a", "1")]), layer(&[("a", "2")]));
    let mut out = Vec::new();
    let packed = docker_save_classic(&spec(), &[Layer::Bytes(&one), Layer::Bytes(&two)], &mut out).unwrap();
    let files: BTreeMap<_, _> = entries(&out).into_iter().collect();
    let list = json(&files, "manifest.json");
    let config_name = format!("{}.json", packed.image_id.hex());
    assert_eq!(
        (&list[0]["Config"], &list[0]["RepoTags"][0]),
        (&Value::from(config_name.as_str()), &Value::from("emr:1.1"))
    );
    let paths: Vec<_> = list[0]["Layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|path| path.as_str().unwrap())
        .collect();
    assert_eq!((&files[paths[0]], &files[paths[1]]), (&one, &two));
    let top = paths[1].strip_suffix("/layer.tar").unwrap();
    assert_eq!(json(&files, "repositories")["emr"]["1.1"], top);
    assert_eq!(
        json(&files, &format!("{top}/json"))["parent"],
        paths[0].strip_suffix("/layer.tar").unwrap()
    );
    assert_eq!(files[&format!("{top}/VERSION")], b"1.0");
    let config = json(&files, &config_name);
    assert_eq!(config["rootfs"]["type"], "layers");
    assert_eq!(config["rootfs"]["diff_ids"][1], Digest::of(&two).as_str());
    assert_eq!(config["history"].as_array().unwrap().len(), 2);
    assert_eq!(config["config"]["Env"][0], "PATH=/bin");
    assert_eq!(config["config"]["ExposedPorts"]["8080/tcp"], json!({}));
    assert_eq!(config["config"]["Labels"]["a"], "b");
}

#[test]
fn the_oci_layout_has_every_blob_once_under_its_digest() {
    let one = layer(&[("a", "1")]);
    let mut out = Vec::new();
    let packed = oci_layout(&spec(), &[Layer::Bytes(&one), Layer::Bytes(&one)], &mut out).unwrap();
    let listed = entries(&out);
    let files: BTreeMap<_, _> = listed.iter().cloned().collect();
    assert_eq!(files.len(), listed.len());
    let index = json(&files, "index.json");
    let blob = |digest: &Value| format!("blobs/sha256/{}", &digest.as_str().unwrap()[7..]);
    let manifest = json(&files, &blob(&index["manifests"][0]["digest"]));
    assert_eq!(manifest["config"]["digest"], packed.image_id.as_str());
    assert_eq!(files[&blob(&manifest["layers"][1]["digest"])], one);
    assert_eq!(manifest["layers"][0]["size"], one.len());
    assert_eq!(json(&files, "oci-layout")["imageLayoutVersion"], "1.0.0");
    assert_eq!(
        index["manifests"][0]["annotations"]["io.containerd.image.name"],
        "docker.io/library/emr:1.1"
    );
    assert_eq!(
        json(&files, "manifest.json")[0]["Layers"][0],
        blob(&manifest["layers"][0]["digest"])
    );
}

#[test]
fn the_same_input_gives_the_same_bytes_streamed_or_not() {
    let content = layer(&[("a", "1")]);
    let pack = |layer: Layer<'_>| {
        let mut out = Vec::new();
        docker_save_classic(&spec(), &[layer], &mut out).unwrap();
        out
    };
    let open: OpenLayer<'_> = Box::new(|| Ok(Box::new(&content[..])));
    assert_eq!(
        pack(Layer::Bytes(&content)),
        pack(Layer::Stream {
            size: content.len() as u64,
            open
        })
    );
}

#[test]
fn a_layer_of_another_size_than_promised_is_refused() {
    for size in [2, 4] {
        let open: OpenLayer<'_> = Box::new(|| Ok(Box::new(&b"abc"[..])));
        assert!(oci_layout(&spec(), &[Layer::Stream { size, open }], io::sink()).is_err());
        assert!(
            LayerWriter::new(io::sink())
                .file("a", 0o644, size, &b"abc"[..])
                .is_err()
        );
    }
}

#[test]
fn a_layer_that_changes_between_two_readings_is_refused() {
    let opened = std::cell::Cell::new(0_u8);
    let open: OpenLayer<'_> = Box::new(|| {
        opened.set(opened.get() + 1);
        Ok(Box::new(io::repeat(opened.get()).take(3)))
    });
    assert!(docker_save_classic(&spec(), &[Layer::Stream { size: 3, open }], io::sink()).is_err());
}

#[test]
fn a_layer_does_not_take_paths_that_leave_it() {
    let mut writer = LayerWriter::new(Vec::new());
    assert!(writer.file("../x", 0o644, 0, io::empty()).is_err());
    assert!(writer.directory("/x", 0o755).is_err());
    assert!(writer.symlink("bin", "usr/bin").is_ok());
}

#[test]
fn names_without_a_tag_go_without_the_old_list() {
    let nameless = ImageSpec {
        reference: "localhost:5000/x".to_owned(),
        ..spec()
    };
    let mut out = Vec::new();
    oci_layout(&nameless, &[Layer::Bytes(&layer(&[]))], &mut out).unwrap();
    assert!(entries(&out).iter().all(|(name, _)| name != "repositories"));
}
