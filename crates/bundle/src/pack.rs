//! Writes image archives as `docker save` does: for the sample service, and for tests that need true ones.
//!
//! The same input gives the same bytes: no time, user or machine goes in. Must never know what the image is for.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use serde_json::json;
use tar::{Builder, EntryType, Header};

use crate::description::LayerDescription;
use crate::digest::{Digest, HashingReader};
use crate::manifest::{
    ANNOTATION_NAME, ANNOTATION_REF, Descriptor, History, ImageConfig, Index, Manifest, Nothing, OCI_CONFIG, OCI_INDEX,
    OCI_LAYER, OCI_MANIFEST, RootFs, RunConfig, SavedImage,
};
use crate::reference::normalise_reference;

/// The creation time of everything, because a true one would make every build another image.
const EPOCH: &str = "1970-01-01T00:00:00Z";
const CREATED_BY: &str = "arya pack";

/// What an image says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageSpec {
    /// With a tag, such as `emr:1.1`.
    pub reference: String,
    /// Go's name, such as `amd64`.
    pub architecture: String,
    /// `NAME=value`.
    pub env: Vec<String>,
    pub entrypoint: Vec<String>,
    pub cmd: Vec<String>,
    /// Empty means `/`.
    pub working_dir: String,
    /// Empty means root.
    pub user: String,
    /// TCP.
    pub exposed_ports: Vec<u16>,
    pub labels: BTreeMap<String, String>,
}

/// Opens the content of a layer; called twice, since a digest must be known before the content is written.
pub type OpenLayer<'a> = Box<dyn Fn() -> io::Result<Box<dyn Read + 'a>> + 'a>;

/// One layer: an uncompressed tar archive.
pub enum Layer<'a> {
    Bytes(&'a [u8]),
    /// `open` must give exactly `size` bytes, the same each time.
    Stream {
        size: u64,
        open: OpenLayer<'a>,
    },
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    pub image_id: Digest,
    pub layers: Vec<LayerDescription>,
}

/// Writes the layout of Docker before 25: a folder for each layer, `manifest.json`, `repositories`.
///
/// # Errors
/// Writing failed, a layer could not be read, or it did not keep its promise about size and content.
pub fn docker_save_classic(spec: &ImageSpec, layers: &[Layer<'_>], out: impl Write) -> io::Result<Packed> {
    let measured = measure(layers)?;
    let config = config_json(spec, &measured)?;
    let image_id = Digest::of(&config);
    let mut tar = Builder::new(out);
    let mut parent: Option<String> = None;
    let mut paths = Vec::new();
    for (layer, measured) in layers.iter().zip(&measured) {
        // Old Docker named a layer by all that is below it, so that equal layers at different heights differ.
        let below = parent.as_deref().unwrap_or_default();
        let id = Digest::of(format!("{below}{}", measured.diff_id).as_bytes())
            .hex()
            .to_owned();
        let about = match &parent {
            Some(parent) => json!({"id": id, "parent": parent, "created": EPOCH, "os": "linux"}),
            None => json!({"id": id, "created": EPOCH, "os": "linux"}),
        };
        directory(&mut tar, &format!("{id}/"))?;
        file(&mut tar, &format!("{id}/VERSION"), b"1.0")?;
        file(&mut tar, &format!("{id}/json"), &serde_json::to_vec(&about)?)?;
        let path = format!("{id}/layer.tar");
        copy_layer(&mut tar, &path, layer, measured)?;
        paths.push(path);
        parent = Some(id);
    }
    let config_name = format!("{}.json", image_id.hex());
    file(&mut tar, &config_name, &config)?;
    write_lists(&mut tar, spec, config_name, paths, parent.as_deref())?;
    tar.into_inner()?.flush()?;
    Ok(Packed {
        image_id,
        layers: measured,
    })
}

/// Writes the layout of Docker since 25: an OCI image layout that carries `manifest.json` too.
///
/// # Errors
/// As `docker_save_classic`.
pub fn oci_layout(spec: &ImageSpec, layers: &[Layer<'_>], out: impl Write) -> io::Result<Packed> {
    let measured = measure(layers)?;
    let config = config_json(spec, &measured)?;
    let image_id = Digest::of(&config);
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(OCI_MANIFEST.to_owned()),
        config: descriptor(OCI_CONFIG, image_id.clone(), config.len()),
        layers: measured
            .iter()
            .map(|layer| Descriptor {
                size: layer.size,
                ..descriptor(OCI_LAYER, layer.digest.clone(), 0)
            })
            .collect(),
    };
    let manifest = serde_json::to_vec(&manifest)?;
    let mut pointer = descriptor(OCI_MANIFEST, Digest::of(&manifest), manifest.len());
    let full_name = normalise_reference(&spec.reference);
    let tag = full_name.rsplit_once(':').map_or("latest", |(_, tag)| tag).to_owned();
    pointer.annotations = [
        (ANNOTATION_NAME.to_owned(), full_name),
        (ANNOTATION_REF.to_owned(), tag),
    ]
    .into();
    let index = Index {
        schema_version: 2,
        media_type: Some(OCI_INDEX.to_owned()),
        manifests: vec![pointer],
    };

    let mut tar = Builder::new(out);
    directory(&mut tar, "blobs/")?;
    directory(&mut tar, "blobs/sha256/")?;
    let blob = |digest: &Digest| format!("blobs/sha256/{}", digest.hex());
    let mut written: Vec<&Digest> = Vec::new();
    for (layer, measured) in layers.iter().zip(&measured) {
        if !written.contains(&&measured.digest) {
            copy_layer(&mut tar, &blob(&measured.digest), layer, measured)?;
            written.push(&measured.digest);
        }
    }
    file(&mut tar, &blob(&image_id), &config)?;
    file(&mut tar, &blob(&Digest::of(&manifest)), &manifest)?;
    file(&mut tar, "index.json", &serde_json::to_vec(&index)?)?;
    file(&mut tar, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    let paths = measured.iter().map(|layer| blob(&layer.digest)).collect();
    let top = measured.last().map(|layer| layer.digest.hex());
    write_lists(&mut tar, spec, blob(&image_id), paths, top)?;
    tar.into_inner()?.flush()?;
    Ok(Packed {
        image_id,
        layers: measured,
    })
}

/// Writes the tar archive of one layer. Parents must be written before what is in them.
pub struct LayerWriter<W: Write> {
    tar: Builder<W>,
}

impl<W: Write> LayerWriter<W> {
    pub fn new(out: W) -> Self {
        Self { tar: Builder::new(out) }
    }

    /// Adds a directory; `path` is relative.
    ///
    /// # Errors
    /// Writing failed, or the path is absolute or contains `..`.
    pub fn directory(&mut self, path: &str, mode: u32) -> io::Result<()> {
        self.tar
            .append_data(&mut header(EntryType::Directory, 0, mode), path, io::empty())
    }

    /// Adds a file of exactly `size` bytes.
    ///
    /// # Errors
    /// As `directory`, or the content has another size.
    pub fn file(&mut self, path: &str, mode: u32, size: u64, content: impl Read) -> io::Result<()> {
        let mut content = HashingReader::new(content);
        self.tar.append_data(
            &mut header(EntryType::Regular, size, mode),
            path,
            (&mut content).take(size),
        )?;
        // One byte more tells a content that is too long from one that fits.
        io::copy(&mut (&mut content).take(1), &mut io::sink())?;
        let (_, read) = content.finish();
        if read == size {
            Ok(())
        } else {
            Err(broken_promise(path))
        }
    }

    /// Adds a symbolic link.
    ///
    /// # Errors
    /// As `directory`.
    pub fn symlink(&mut self, path: &str, target: &str) -> io::Result<()> {
        self.tar
            .append_link(&mut header(EntryType::Symlink, 0, 0o777), path, target)
    }

    /// Ends the archive and gives the writer back.
    ///
    /// # Errors
    /// Writing failed.
    pub fn finish(self) -> io::Result<W> {
        self.tar.into_inner()
    }
}

impl<W: Write> std::fmt::Debug for LayerWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LayerWriter").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Layer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
            Self::Stream { size, .. } => write!(f, "Stream({size} bytes)"),
        }
    }
}

impl Layer<'_> {
    fn open(&self) -> io::Result<Box<dyn Read + '_>> {
        match self {
            Self::Bytes(bytes) => Ok(Box::new(*bytes)),
            Self::Stream { open, .. } => open().map(|reader| -> Box<dyn Read + '_> { reader }),
        }
    }

    fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Stream { size, .. } => *size,
        }
    }
}

fn measure(layers: &[Layer<'_>]) -> io::Result<Vec<LayerDescription>> {
    layers
        .iter()
        .map(|layer| {
            let mut reader = HashingReader::new(layer.open()?);
            io::copy(&mut reader, &mut io::sink())?;
            let (digest, size) = reader.finish();
            if size != layer.size() {
                return Err(broken_promise("a layer"));
            }
            Ok(LayerDescription {
                diff_id: digest.clone(),
                digest,
                size,
            })
        })
        .collect()
}

fn config_json(spec: &ImageSpec, layers: &[LayerDescription]) -> io::Result<Vec<u8>> {
    let some = |list: &[String]| (!list.is_empty()).then(|| list.to_vec());
    let text = |text: &str| Some(text.to_owned());
    let history = || History {
        created: text(EPOCH),
        created_by: text(CREATED_BY),
        empty_layer: false,
    };
    let config = ImageConfig {
        architecture: spec.architecture.clone(),
        os: "linux".to_owned(),
        variant: None,
        created: text(EPOCH),
        config: Some(RunConfig {
            env: some(&spec.env),
            entrypoint: some(&spec.entrypoint),
            cmd: some(&spec.cmd),
            working_dir: text(&spec.working_dir),
            user: text(&spec.user),
            exposed_ports: Some(
                spec.exposed_ports
                    .iter()
                    .map(|port| (format!("{port}/tcp"), Nothing {}))
                    .collect(),
            ),
            labels: Some(spec.labels.clone()),
        }),
        rootfs: RootFs {
            kind: "layers".to_owned(),
            diff_ids: layers.iter().map(|layer| layer.diff_id.clone()).collect(),
        },
        history: layers.iter().map(|_| history()).collect(),
    };
    Ok(serde_json::to_vec(&config)?)
}

/// `manifest.json`, which `docker load` reads, and `repositories` for what is older still.
fn write_lists(
    tar: &mut Builder<impl Write>,
    spec: &ImageSpec,
    config: String,
    layers: Vec<String>,
    top: Option<&str>,
) -> io::Result<()> {
    let saved = SavedImage {
        config,
        repo_tags: (!spec.reference.is_empty()).then(|| vec![spec.reference.clone()]),
        layers,
    };
    file(tar, "manifest.json", &serde_json::to_vec(&[saved])?)?;
    let tagged = spec.reference.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'));
    if let (Some((name, tag)), Some(top)) = (tagged, top) {
        let tags: BTreeMap<_, _> = [(tag, top)].into();
        file(
            tar,
            "repositories",
            &serde_json::to_vec(&BTreeMap::from([(name, tags)]))?,
        )?;
    }
    Ok(())
}

fn copy_layer(
    tar: &mut Builder<impl Write>,
    path: &str,
    layer: &Layer<'_>,
    measured: &LayerDescription,
) -> io::Result<()> {
    let mut reader = HashingReader::new(layer.open()?.take(measured.size));
    tar.append_data(&mut header(EntryType::Regular, measured.size, 0o644), path, &mut reader)?;
    let (digest, _) = reader.finish();
    if digest == measured.digest {
        Ok(())
    } else {
        Err(broken_promise(path))
    }
}

fn file(tar: &mut Builder<impl Write>, path: &str, content: &[u8]) -> io::Result<()> {
    tar.append_data(
        &mut header(EntryType::Regular, content.len() as u64, 0o644),
        path,
        content,
    )
}

fn directory(tar: &mut Builder<impl Write>, path: &str) -> io::Result<()> {
    tar.append_data(&mut header(EntryType::Directory, 0, 0o755), path, io::empty())
}

fn header(kind: EntryType, size: u64, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(mode);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

fn descriptor(media_type: &str, digest: Digest, size: usize) -> Descriptor {
    let (media_type, size) = (media_type.to_owned(), size as u64);
    Descriptor {
        media_type,
        digest,
        size,
        annotations: BTreeMap::new(),
        platform: None,
    }
}

fn broken_promise(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("{what} is not of the size and content that it was said to be"),
    )
}

#[cfg(test)]
mod tests;
