//! Says what a stream is and what is in it. Must never know where the stream comes from.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io::Read;

use crate::catalogue::Catalogue;
use crate::compose::ComposeFile;
use crate::description::{Description, ImageDescription, ImageEnvironment, Kind, LayerDescription};
use crate::error::BundleError;
use crate::limits::Limits;
use crate::manifest::{
    DOCKER_CONFIG, Descriptor, Document, ImageConfig, Index, Manifest, OCI_CONFIG, RunConfig, SavedImage,
};
use crate::stream::{self, Expanded, Guarded, Magic, Peeked};
use crate::tarball::{End, TarStream};

pub(crate) const ARCHIVE: &str = "the archive";
const COMPOSE: &str = "the compose file";

/// Indexes within indexes. Docker writes two levels: `index.json`, then one index for each name.
const INDEX_DEPTH: usize = 4;

/// Entries of indexes looked at in all: indexes that name each other many times must not multiply the work.
const DESCRIPTORS_FOLLOWED: u64 = 1024;

/// Recognises an image archive (classic or OCI layout; plain, gzip or zstd) or a compose file, and describes it.
///
/// Reads the stream once from start to end, in constant memory, and checks every blob against its name.
///
/// # Errors
/// Any `BundleError` but those about unpacking. An image that does not say what to run is no error but a fact:
/// `ImageDescription::says_what_to_run`.
pub fn describe(reader: impl Read, limits: &Limits) -> Result<Description, BundleError> {
    let (magic, stream) = stream::peek(reader).map_err(|e| BundleError::reading("the file", e))?;
    match magic {
        Magic::Nothing => Err(BundleError::Empty),
        Magic::Foreign(looks_like) => Err(BundleError::Unrecognised { looks_like }),
        Magic::Binary => Err(BundleError::Unrecognised {
            looks_like: "binary data of no known format",
        }),
        Magic::Text => describe_compose(stream, limits),
        Magic::Tar | Magic::Gzip | Magic::Zstd => {
            let images = survey(magic, stream, limits)?
                .into_iter()
                .map(|found| found.description)
                .collect();
            Ok(Description {
                kind: Kind::ImageArchive,
                images,
                compose: None,
            })
        }
    }
}

fn describe_compose(stream: impl Read, limits: &Limits) -> Result<Description, BundleError> {
    let mut text = Vec::new();
    let read = stream
        .take(limits.compose_bytes.saturating_add(1))
        .read_to_end(&mut text);
    read.map_err(|e| BundleError::reading(COMPOSE, e))?;
    let compose = ComposeFile::parse_within(&text, limits)?;
    Ok(Description {
        kind: Kind::Compose,
        images: Vec::new(),
        compose: Some(compose),
    })
}

/// An image and where its layers lie.
pub(crate) struct FoundImage {
    pub(crate) description: ImageDescription,
    /// Paths in the archive, lowest layer first, links resolved.
    pub(crate) layer_paths: Vec<String>,
}

/// The entries of an archive that may be compressed as a whole.
pub(crate) fn open_archive<R: Read>(
    magic: Magic,
    stream: Peeked<R>,
    limits: &Limits,
) -> Result<TarStream<Peeked<Guarded<Expanded<R>>>>, BundleError> {
    let expanded = stream::expand(magic, stream, limits, ARCHIVE).map_err(|e| BundleError::reading(ARCHIVE, e))?;
    let (inner, expanded) = stream::peek(expanded).map_err(|e| BundleError::reading(ARCHIVE, e))?;
    match inner {
        Magic::Tar => Ok(TarStream::new(expanded, End::Marked, ARCHIVE, limits)),
        Magic::Nothing => Err(BundleError::Truncated {
            place: ARCHIVE.to_owned(),
        }),
        Magic::Gzip | Magic::Zstd => Err(BundleError::Unrecognised {
            looks_like: "an archive compressed twice",
        }),
        Magic::Foreign(looks_like) => Err(BundleError::Unrecognised { looks_like }),
        Magic::Text | Magic::Binary => Err(BundleError::Unrecognised {
            looks_like: "a compressed file without a tar archive in it",
        }),
    }
}

/// Reads the whole archive once and resolves its images.
pub(crate) fn survey<R: Read>(
    magic: Magic,
    stream: Peeked<R>,
    limits: &Limits,
) -> Result<Vec<FoundImage>, BundleError> {
    let mut tar = open_archive(magic, stream, limits)?;
    let catalogue = Catalogue::read(&mut tar, limits)?;
    tar.drain()?;
    let resolver = Resolver {
        catalogue: &catalogue,
        limits,
        followed: Cell::new(0),
        parsed_bytes: Cell::new(0),
        words: Cell::new(0),
    };
    let images = match (catalogue.has("manifest.json"), catalogue.has("index.json")) {
        (true, false) => resolver.saved_images()?,
        (false, _) => resolver.indexed_images()?,
        (true, true) => resolver.both()?,
    };
    if images.is_empty() {
        Err(BundleError::bad_document("manifest.json", "it lists no image"))
    } else {
        Ok(images)
    }
}

struct Resolver<'a> {
    catalogue: &'a Catalogue,
    limits: &'a Limits,
    /// Entries of indexes looked at so far.
    followed: Cell<u64>,
    /// Of JSON documents, each as often as it was parsed.
    parsed_bytes: Cell<u64>,
    /// What images said of themselves so far.
    words: Cell<u64>,
}

impl Resolver<'_> {
    /// The images of `manifest.json`, which is what Docker loads unless its containerd store is on.
    fn saved_images(&self) -> Result<Vec<FoundImage>, BundleError> {
        const LIST: &str = "manifest.json";
        let saved: Vec<SavedImage> = self.document(LIST)?;
        self.check_images(saved.len(), LIST)?;
        saved
            .into_iter()
            .map(|image| self.image(image.repo_tags.unwrap_or_default(), &image.config, &image.layers, LIST))
            .collect()
    }

    /// The images of `index.json`, indexes within it followed.
    fn indexed_images(&self) -> Result<Vec<FoundImage>, BundleError> {
        let index: Index = self.document("index.json")?;
        let mut images = Vec::new();
        self.walk("index.json", &index, &[], INDEX_DEPTH, &mut images)?;
        if images.is_empty() {
            return Err(BundleError::bad_document(
                "index.json",
                "none of the images it lists is in the archive",
            ));
        }
        Ok(images)
    }

    /// Archives with both lists are common; which one is used depends on the loader, so both must agree.
    fn both(&self) -> Result<Vec<FoundImage>, BundleError> {
        let saved = self.saved_images()?;
        let indexed: BTreeSet<_> = self
            .indexed_images()?
            .into_iter()
            .map(|found| found.description.image_id)
            .collect();
        match saved
            .iter()
            .find(|found| !indexed.contains(&found.description.image_id))
        {
            Some(found) => Err(BundleError::Disagreement {
                image: found.description.image_id.clone(),
            }),
            None => Ok(saved),
        }
    }

    fn walk(
        &self,
        name: &str,
        index: &Index,
        inherited: &[String],
        depth: usize,
        images: &mut Vec<FoundImage>,
    ) -> Result<(), BundleError> {
        for descriptor in &index.manifests {
            self.followed.set(self.followed.get() + 1);
            if self.followed.get() > DESCRIPTORS_FOLLOWED {
                return Err(self.limit(
                    "index descriptors",
                    DESCRIPTORS_FOLLOWED,
                    "entries in its indexes",
                    name,
                ));
            }
            // An index names every platform; an archive holds only those that were present where it was saved.
            if descriptor.is_attestation() || !self.catalogue.has_blob(&descriptor.digest) {
                continue;
            }
            let (path, _) = self.catalogue.blob(&descriptor.digest, name)?;
            let own = descriptor.names();
            let names = if own.is_empty() { inherited } else { &own };
            if descriptor.is_index() {
                if depth == 0 {
                    return Err(BundleError::bad_document(path, "indexes are nested too deep"));
                }
                let inner: Index = self.document(path)?;
                self.walk(path, &inner, names, depth - 1, images)?;
            } else {
                self.add_manifest(path, names, images)?;
            }
            self.check_images(images.len(), name)?;
        }
        Ok(())
    }

    /// One image under two names is one image.
    fn add_manifest(&self, path: &str, names: &[String], images: &mut Vec<FoundImage>) -> Result<(), BundleError> {
        let manifest: Manifest = self.document(path)?;
        // Charts, signatures and other artifacts are stored as manifests too; they are no images.
        if !matches!(manifest.config.media_type.as_str(), "" | OCI_CONFIG | DOCKER_CONFIG) {
            return Ok(());
        }
        let id = &manifest.config.digest;
        if let Some(known) = images.iter_mut().find(|found| found.description.image_id == *id) {
            let references = &mut known.description.references;
            references.extend(
                names
                    .iter()
                    .filter(|name| !references.contains(name))
                    .cloned()
                    .collect::<Vec<_>>(),
            );
            return Ok(());
        }
        let (config, _) = self.catalogue.blob(id, path)?;
        let layers = manifest
            .layers
            .iter()
            .map(|layer| self.layer_blob(layer, path))
            .collect::<Result<Vec<_>, _>>()?;
        images.push(self.image(names.to_vec(), config, &layers, path)?);
        Ok(())
    }

    fn layer_blob(&self, layer: &Descriptor, manifest: &str) -> Result<String, BundleError> {
        if layer.media_type.ends_with("encrypted") {
            return Err(BundleError::Unsupported {
                entry: layer.digest.to_string(),
                reason: "the layer is encrypted".to_owned(),
                next: "Save the image without encryption.",
            });
        }
        self.catalogue
            .blob(&layer.digest, manifest)
            .map(|(path, _)| path.to_owned())
    }

    fn image(
        &self,
        references: Vec<String>,
        config_path: &str,
        layers: &[String],
        named_by: &str,
    ) -> Result<FoundImage, BundleError> {
        if layers.len() as u64 > self.limits.layers {
            return Err(self.limit("layers", self.limits.layers, "layers in one image", named_by));
        }
        let (config_path, config_file) = self.catalogue.file(config_path, named_by)?;
        let config: ImageConfig = self.document(config_path)?;
        self.count_words(&references, &config, config_path)?;
        if config.rootfs.diff_ids.len() != layers.len() {
            let (has, says) = (layers.len(), config.rootfs.diff_ids.len());
            let reason = format!("it lists {says} layers where `{named_by}` lists {has}");
            return Err(BundleError::bad_document(config_path, reason));
        }
        let mut layer_paths = Vec::with_capacity(layers.len());
        let mut described = Vec::with_capacity(layers.len());
        for (layer, diff_id) in layers.iter().zip(&config.rootfs.diff_ids) {
            let (path, file) = self.catalogue.file(layer, named_by)?;
            // Docker refuses a layer with another content than the config says; a compressed one is seen when unpacking.
            if !file.compressed && file.digest != *diff_id {
                let (entry, expected, actual) = (path.to_owned(), diff_id.clone(), file.digest.clone());
                return Err(BundleError::WrongDigest {
                    entry,
                    expected,
                    actual,
                });
            }
            layer_paths.push(path.to_owned());
            described.push(LayerDescription {
                digest: file.digest.clone(),
                size: file.size,
                diff_id: diff_id.clone(),
            });
        }
        let image_id = config_file.digest.clone();
        Ok(FoundImage {
            description: describe_image(references, config, described, image_id),
            layer_paths,
        })
    }

    fn document<T: Document>(&self, path: &str) -> Result<T, BundleError> {
        let (_, file) = self.catalogue.file(path, path)?;
        self.parsed_bytes.set(self.parsed_bytes.get().saturating_add(file.size));
        if file.size <= self.limits.json_bytes && self.parsed_bytes.get() > self.limits.json_total_bytes {
            let allowed = self.limits.json_total_bytes;
            return Err(self.limit("json_total_bytes", allowed, "bytes of JSON documents together", path));
        }
        self.catalogue.document(path, self.limits)
    }

    /// A few bytes of JSON become many in memory, and then on a page.
    fn count_words(&self, references: &[String], config: &ImageConfig, path: &str) -> Result<(), BundleError> {
        let count = |list: &Option<Vec<String>>| list.as_ref().map_or(0, Vec::len);
        let says = config.config.as_ref().map_or(0, |run| {
            count(&run.env)
                + count(&run.entrypoint)
                + count(&run.cmd)
                + run.exposed_ports.as_ref().map_or(0, std::collections::BTreeMap::len)
        });
        self.words.set(self.words.get() + (references.len() + says) as u64);
        if self.words.get() > self.limits.image_words {
            let unit = "names, variables, words and ports in its images";
            return Err(self.limit("image_words", self.limits.image_words, unit, path));
        }
        Ok(())
    }

    fn check_images(&self, count: usize, place: &str) -> Result<(), BundleError> {
        if count as u64 > self.limits.images {
            return Err(self.limit("images", self.limits.images, "images", place));
        }
        Ok(())
    }

    fn limit(&self, limit: &'static str, allowed: u64, unit: &'static str, place: &str) -> BundleError {
        BundleError::LimitReached {
            limit,
            allowed,
            unit,
            place: format!("`{place}`"),
        }
    }
}

fn describe_image(
    references: Vec<String>,
    config: ImageConfig,
    layers: Vec<LayerDescription>,
    image_id: crate::digest::Digest,
) -> ImageDescription {
    let or = |text: String, otherwise: &str| if text.is_empty() { otherwise.to_owned() } else { text };
    let RunConfig {
        env,
        entrypoint,
        cmd,
        working_dir,
        user,
        exposed_ports,
        labels: _,
    } = config.config.unwrap_or_default();
    let env = ImageEnvironment::from_lines(&env.unwrap_or_default());
    ImageDescription {
        references,
        architecture: or(config.architecture, "unknown"),
        os: or(config.os, "linux"),
        variant: config.variant.filter(|variant| !variant.is_empty()),
        exposed_ports: tcp_ports(exposed_ports.unwrap_or_default().into_keys()),
        env_names: env.pairs().iter().map(|(name, _)| name.clone()).collect(),
        env,
        entrypoint: entrypoint.unwrap_or_default(),
        cmd: cmd.unwrap_or_default(),
        working_dir: working_dir.unwrap_or_default(),
        user: user.unwrap_or_default(),
        layers,
        image_id,
    }
}

/// The TCP ports of `8080`, `8080/tcp` and `8080-8082/tcp`; what is none of these exposes nothing.
fn tcp_ports(exposed: impl Iterator<Item = String>) -> Vec<u16> {
    let range = |text: &str| -> Option<std::ops::RangeInclusive<u16>> {
        let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
        protocol
            .eq_ignore_ascii_case("tcp")
            .then_some(first.parse().ok()?..=last.parse().ok()?)
    };
    let mut ranges: Vec<_> = exposed.filter_map(|text| range(&text)).collect();
    ranges.sort_unstable_by_key(|range| (*range.start(), *range.end()));
    let mut ports = Vec::new();
    for range in ranges {
        // Ranges may cover each other a thousand times; no port is looked at twice.
        let first = ports.last().map_or(Some(*range.start()), |last: &u16| {
            Some(last.checked_add(1)?.max(*range.start()))
        });
        ports.extend(first.into_iter().flat_map(|first| first..=*range.end()));
    }
    ports
}

#[cfg(test)]
mod tests;
