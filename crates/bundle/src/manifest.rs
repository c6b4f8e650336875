//! The JSON documents inside image archives, as Docker and the OCI image specification name their keys.
//! Must never know where they were found.

use std::collections::BTreeMap;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer, Serialize};

use crate::digest::Digest;
use crate::keys::Keys;

pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
pub(crate) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
pub(crate) const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

/// Full name of an image in an index, written by containerd and BuildKit.
pub(crate) const ANNOTATION_NAME: &str = "io.containerd.image.name";
/// Name or only tag of an image in an index, from the OCI specification.
pub(crate) const ANNOTATION_REF: &str = "org.opencontainers.image.ref.name";
/// Marks manifests that speak about an image (provenance, bills of material) and are none.
pub(crate) const ANNOTATION_ABOUT: &str = "vnd.docker.reference.type";

/// What can be read from an archive, with the keys that a reader of Docker's would take whatever their case.
pub(crate) trait Document: DeserializeOwned {
    const KEYS: &'static Keys;
}

const DESCRIPTOR: Keys = Keys(&[
    ("mediaType", &Keys::NONE),
    ("digest", &Keys::NONE),
    ("size", &Keys::NONE),
    ("annotations", &Keys::NONE),
    ("platform", &Keys(&[("architecture", &Keys::NONE), ("os", &Keys::NONE)])),
]);

impl Document for Vec<SavedImage> {
    const KEYS: &'static Keys = &Keys(&[
        ("Config", &Keys::NONE),
        ("RepoTags", &Keys::NONE),
        ("Layers", &Keys::NONE),
    ]);
}

impl Document for Index {
    const KEYS: &'static Keys = &Keys(&[("manifests", &DESCRIPTOR)]);
}

impl Document for Manifest {
    const KEYS: &'static Keys = &Keys(&[("config", &DESCRIPTOR), ("layers", &DESCRIPTOR)]);
}

impl Document for ImageConfig {
    const KEYS: &'static Keys = &Keys(&[
        ("architecture", &Keys::NONE),
        ("os", &Keys::NONE),
        ("variant", &Keys::NONE),
        (
            "config",
            &Keys(&[
                ("Env", &Keys::NONE),
                ("Entrypoint", &Keys::NONE),
                ("Cmd", &Keys::NONE),
                ("WorkingDir", &Keys::NONE),
                ("User", &Keys::NONE),
                ("ExposedPorts", &Keys::NONE),
            ]),
        ),
        ("rootfs", &Keys(&[("diff_ids", &Keys::NONE)])),
    ]);
}

/// One element of `manifest.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct SavedImage {
    pub(crate) config: String,
    pub(crate) repo_tags: Option<Vec<String>>,
    pub(crate) layers: Vec<String>,
}

/// `index.json`, or an image index below it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Index {
    pub(crate) schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) media_type: Option<String>,
    pub(crate) manifests: Vec<Descriptor>,
}

/// An image manifest.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    pub(crate) schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) media_type: Option<String>,
    pub(crate) config: Descriptor,
    pub(crate) layers: Vec<Descriptor>,
}

/// A pointer to a blob.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    #[serde(default)]
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) platform: Option<Platform>,
}

impl Descriptor {
    pub(crate) fn is_index(&self) -> bool {
        matches!(self.media_type.as_str(), OCI_INDEX | DOCKER_LIST)
    }

    /// Whether it speaks about an image instead of being one.
    pub(crate) fn is_attestation(&self) -> bool {
        let unknown = |platform: &Platform| platform.architecture == "unknown" && platform.os == "unknown";
        self.annotations.contains_key(ANNOTATION_ABOUT) || self.platform.as_ref().is_some_and(unknown)
    }

    /// The names that annotations give; a bare tag names nothing.
    pub(crate) fn names(&self) -> Vec<String> {
        let full = self.annotations.get(ANNOTATION_NAME);
        let short = self
            .annotations
            .get(ANNOTATION_REF)
            .filter(|name| name.contains([':', '/']));
        full.or(short).cloned().into_iter().collect()
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Platform {
    #[serde(default)]
    pub(crate) architecture: String,
    #[serde(default)]
    pub(crate) os: String,
}

/// An image's config: what it runs on, how it starts, and which layers it is made of.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct ImageConfig {
    #[serde(default)]
    pub(crate) architecture: String,
    #[serde(default)]
    pub(crate) os: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) variant: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) created: Option<String>,
    #[serde(default)]
    pub(crate) config: Option<RunConfig>,
    pub(crate) rootfs: RootFs,
    /// Written for Docker, never read: nothing of it says what runs.
    #[serde(skip_deserializing, skip_serializing_if = "Vec::is_empty")]
    pub(crate) history: Vec<History>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct RunConfig {
    #[serde(default)]
    pub(crate) env: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) entrypoint: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) cmd: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) working_dir: Option<String>,
    #[serde(default)]
    pub(crate) user: Option<String>,
    #[serde(default)]
    pub(crate) exposed_ports: Option<BTreeMap<String, Nothing>>,
    #[serde(skip_deserializing)]
    pub(crate) labels: Option<BTreeMap<String, String>>,
}

/// Go writes sets as maps to this: `{}`. Whatever stands there is passed over without being kept.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Nothing {}

impl<'de> Deserialize<'de> for Nothing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self {})
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct RootFs {
    #[serde(rename = "type", default)]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) diff_ids: Vec<Digest>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct History {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) created: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) created_by: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) empty_layer: bool,
}
