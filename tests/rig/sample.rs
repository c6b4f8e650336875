//! The product's own sample service as an archive that Docker loads: its program, with the libraries that it is linked to.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use arya_bundle::pack::{ImageSpec, Layer, LayerWriter, docker_save_classic};

/// Inside the container, and published by its compose file.
pub(crate) const PORT: u16 = 8080;

pub(crate) fn reference(version: &str) -> String {
    format!("charthealth/records:{version}")
}

pub(crate) fn compose_file(version: &str) -> String {
    let image = reference(version);
    format!("services:\n  web:\n    image: {image}\n    ports: [\"{PORT}:{PORT}\"]\n    restart: unless-stopped\n")
}

/// `more` are further variables of its environment.
pub(crate) fn image(version: &str, more: &[&str]) -> Vec<u8> {
    packed(program(), &["/arya", "sample"], version, more)
}

/// Any program of this machine, as the image that the compose file names.
pub(crate) fn packed(program: PathBuf, entrypoint: &[&str], version: &str, more: &[&str]) -> Vec<u8> {
    let mut layer = LayerWriter::new(Vec::new());
    let libraries = libraries_of(&program);
    let files = libraries.iter().map(|path| (path.trim_start_matches('/'), path.into()));
    for (name, path) in files.chain([(entrypoint[0].trim_start_matches('/'), program)]) {
        let mut bytes = Vec::new();
        File::open(&path).unwrap().read_to_end(&mut bytes).unwrap();
        layer.file(name, 0o755, bytes.len() as u64, bytes.as_slice()).unwrap();
    }
    let layer = layer.finish().unwrap();
    let own = [format!("PORT={PORT}"), format!("SAMPLE_VERSION={version}")];
    let spec = ImageSpec {
        reference: reference(version),
        architecture: "amd64".into(),
        env: own
            .into_iter()
            .chain(more.iter().map(|one| (*one).to_owned()))
            .collect(),
        entrypoint: entrypoint.iter().map(|&word| word.to_owned()).collect(),
        exposed_ports: vec![PORT],
        ..ImageSpec::default()
    };
    let mut archive = Vec::new();
    docker_save_classic(&spec, &[Layer::Bytes(&layer)], &mut archive).unwrap();
    archive
}

/// The program as it is shipped, which `cargo xtask rig` builds and names.
fn program() -> PathBuf {
    let named = std::env::var_os("ARYA_BIN").expect("ARYA_BIN is not set: run these tests by `cargo xtask rig`");
    PathBuf::from(named)
}

/// The shared libraries that a program of this machine needs, for an image that has nothing else.
fn libraries_of(program: &Path) -> Vec<String> {
    let output = Command::new("ldd").arg(program).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let paths = said.split_whitespace().filter(|word| word.starts_with('/'));
    paths.map(str::to_owned).collect()
}
