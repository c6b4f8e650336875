//! Two versions of a small service, as `docker save` writes them.

use std::path::{Path, PathBuf};

use arya_bundle::pack::{ImageSpec, Layer, LayerWriter, docker_save_classic};

/// The port that its compose file publishes.
pub(crate) const PORT: u16 = 8080;

pub(crate) struct Version {
    pub(crate) image: PathBuf,
    pub(crate) compose: PathBuf,
}

/// Writes one version; another number is another image.
pub(crate) fn write(folder: &Path, number: u32) -> Version {
    let mut layer = LayerWriter::new(Vec::new());
    let content = format!("shop {number}\n");
    layer
        .file("app", 0o755, content.len() as u64, content.as_bytes())
        .unwrap();
    let layer = layer.finish().unwrap();
    let reference = format!("shop:{number}");
    let spec = ImageSpec {
        reference: reference.clone(),
        architecture: "amd64".into(),
        entrypoint: vec!["/app".into()],
        exposed_ports: vec![PORT],
        ..ImageSpec::default()
    };
    let image = folder.join(format!("shop-{number}.tar"));
    docker_save_classic(&spec, &[Layer::Bytes(&layer)], std::fs::File::create(&image).unwrap()).unwrap();
    let compose = folder.join(format!("shop-{number}.yaml"));
    let text = format!("services:\n  web:\n    image: {reference}\n    ports: [\"{PORT}:{PORT}\"]\n");
    std::fs::write(&compose, text).unwrap();
    Version { image, compose }
}
