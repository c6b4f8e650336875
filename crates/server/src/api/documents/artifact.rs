//! What an uploaded file turned out to be.

use arya_bundle::{Description, Digest, ImageDescription, Kind};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ArtifactDocument {
    /// Of the file's bytes.
    pub(crate) digest: Digest,
    /// Bytes.
    pub(crate) size: u64,
    pub(crate) kind: Kind,
    /// The name it was uploaded under, if one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) filename: Option<String>,
    /// At least one for an image archive, none for a compose file.
    pub(crate) images: Vec<ImageDocument>,
    /// The services of a compose file by name, without values of its environment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) services: Vec<ServiceDocument>,
    /// Facts worth a look before a plan is made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) notes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ImageDocument {
    /// The first name it was saved under, or its id.
    pub(crate) reference: String,
    pub(crate) references: Vec<String>,
    pub(crate) architecture: String,
    pub(crate) os: String,
    pub(crate) exposed_ports: Vec<u16>,
    pub(crate) env_names: Vec<String>,
    pub(crate) layers: Vec<LayerDocument>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct LayerDocument {
    pub(crate) digest: Digest,
    /// Bytes in the archive.
    pub(crate) size: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ServiceDocument {
    pub(crate) name: String,
    pub(crate) image: Option<String>,
    pub(crate) ports: Vec<String>,
}

impl ArtifactDocument {
    pub(crate) fn of(digest: Digest, size: u64, filename: Option<String>, description: &Description) -> Self {
        let silent = |image: &&ImageDescription| !image.says_what_to_run();
        let notes = description.images.iter().filter(silent).map(|image| {
            format!(
                "The image {} does not say what to run; the compose file must give a command or an entrypoint.",
                image.display_name()
            )
        });
        Self {
            digest,
            size,
            kind: description.kind,
            filename,
            images: description.images.iter().map(ImageDocument::of).collect(),
            services: services(description),
            notes: notes.collect(),
        }
    }
}

impl ImageDocument {
    fn of(image: &ImageDescription) -> Self {
        let layer = |layer: &arya_bundle::LayerDescription| LayerDocument {
            digest: layer.digest.clone(),
            size: layer.size,
        };
        Self {
            reference: image.display_name().to_owned(),
            references: image.references.clone(),
            architecture: image.architecture.clone(),
            os: image.os.clone(),
            exposed_ports: image.exposed_ports.clone(),
            env_names: image.env_names.clone(),
            layers: image.layers.iter().map(layer).collect(),
        }
    }
}

fn services(description: &Description) -> Vec<ServiceDocument> {
    let Some(compose) = &description.compose else {
        return Vec::new();
    };
    let service = |(name, service): (&String, &arya_bundle::Service)| ServiceDocument {
        name: name.clone(),
        image: service.image.clone(),
        ports: service.ports.iter().map(ToString::to_string).collect(),
    };
    compose.services.iter().map(service).collect()
}
