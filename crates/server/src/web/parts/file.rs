//! The instant check of an uploaded file, and what the canary's image has that the baseline's has not.

use arya_bundle::Kind;

use crate::api::documents::ArtifactDocument;
use crate::web::words;

/// What is said below a drop zone.
#[derive(Debug, Clone, Default)]
pub(crate) struct FileCheck {
    /// The file's name, or its digest.
    pub(crate) title: String,
    pub(crate) facts: Vec<(&'static str, String)>,
    pub(crate) notes: Vec<String>,
    pub(crate) wrong: Option<String>,
}

/// `part` is `image` or `compose`, as the key of the spec ends.
pub(crate) fn check(digest: &str, part: &str, artifact: Option<&ArtifactDocument>) -> FileCheck {
    let Some(artifact) = artifact else {
        let wrong =
            (!digest.is_empty()).then(|| "This server has no file with that digest. Upload it first.".to_owned());
        return FileCheck {
            wrong,
            ..FileCheck::default()
        };
    };
    let wrong = match (part, artifact.kind) {
        ("image", Kind::Compose) => {
            Some("This is a compose file; the image archive is the output of docker save.".to_owned())
        }
        ("image" | "compose", Kind::File) => {
            Some("This was uploaded as a file of the app's configuration. Upload it here.".to_owned())
        }
        ("compose", Kind::ImageArchive) => Some("This is an image archive; a compose file is text in YAML.".to_owned()),
        _ => None,
    };
    FileCheck {
        title: artifact
            .filename
            .clone()
            .unwrap_or_else(|| words::short(&artifact.digest.to_string()).to_owned()),
        facts: facts(artifact),
        notes: artifact.notes.clone(),
        wrong,
    }
}

fn facts(artifact: &ArtifactDocument) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    for image in &artifact.images {
        facts.push(("Image", image.reference.clone()));
        facts.push(("Made for", format!("{}/{}", image.os, image.architecture)));
        facts.push(("Ports", or_none(image.exposed_ports.iter().map(ToString::to_string))));
        facts.push(("Env names", or_none(image.env_names.iter().cloned())));
        let bytes = image.layers.iter().map(|layer| layer.size).sum();
        facts.push(("Layers", format!("{}, {}", image.layers.len(), words::size(bytes))));
    }
    for service in &artifact.services {
        let image = service.image.as_deref().unwrap_or("no image");
        let ports = if service.ports.is_empty() {
            "no port".to_owned()
        } else {
            service.ports.join(", ")
        };
        facts.push(("Service", format!("{} ({image}), {ports}", service.name)));
    }
    facts.push((
        "Digest",
        format!(
            "{}…, {}",
            words::short(&artifact.digest.to_string()),
            words::size(artifact.size)
        ),
    ));
    facts
}

fn or_none(values: impl Iterator<Item = String>) -> String {
    let text = values.collect::<Vec<_>>().join(", ");
    if text.is_empty() { "none".into() } else { text }
}

/// What the canary's image has that the baseline's has not, in sentences.
pub(crate) fn compare(baseline: &ArtifactDocument, canary: &ArtifactDocument) -> Vec<String> {
    if baseline.digest == canary.digest {
        return vec!["Both sides are the same file: this compares a version with itself (an A-A run).".into()];
    }
    let (Some(old), Some(new)) = (baseline.images.first(), canary.images.first()) else {
        return Vec::new();
    };
    let mut sentences = Vec::new();
    let added: Vec<u64> = new
        .layers
        .iter()
        .filter(|layer| !old.layers.contains(layer))
        .map(|layer| layer.size)
        .collect();
    let shared = new.layers.len() - added.len();
    sentences.push(format!(
        "The canary brings {} ({}) and shares {shared}.",
        words::of_them(added.len(), "new layer", "new layers"),
        words::size(added.iter().sum())
    ));
    let new_names: Vec<&str> = new
        .env_names
        .iter()
        .filter(|name| !old.env_names.contains(name))
        .map(String::as_str)
        .collect();
    if !new_names.is_empty() {
        sentences.push(format!("New environment variables: {}.", new_names.join(", ")));
    }
    if old.architecture != new.architecture {
        sentences.push(format!(
            "The architecture differs: {} and {}.",
            old.architecture, new.architecture
        ));
    }
    sentences
}
