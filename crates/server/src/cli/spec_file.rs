//! A spec on disk: files that it names by path are uploaded, and their digests take the paths' places.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::Value;

use crate::api::input::{BODY_LIMIT, yaml};
use crate::api::text;
use crate::artifacts::Meant;
use crate::client::Client;

/// Keys of a version that hold a digest or a path.
const FILE_KEYS: [(&str, Meant); 3] = [
    ("image", Meant::Described),
    ("compose", Meant::Described),
    ("env_file", Meant::File),
];
const DIGEST: &str = "sha256:";

/// Reads a spec, uploads its files and replaces their paths by digests.
pub(super) fn prepare(
    client: &Client,
    path: &Path,
    mut said: impl FnMut(&str) -> std::io::Result<()>,
) -> anyhow::Result<Value> {
    with_digests(path, |file, meant| {
        said(&format!("Uploading {} …", file.display()))?;
        let stored = client.upload(file, meant)?;
        let digest = stored.get("digest").cloned().unwrap_or_default();
        said(&format!(
            "Uploaded {} as {}.",
            file.display(),
            digest.as_str().unwrap_or_default()
        ))?;
        Ok(digest)
    })
}

/// Reads a spec and replaces paths by what taking in the file answers. Paths are relative to the spec's own directory.
pub(super) fn with_digests(
    path: &Path,
    mut take_in: impl FnMut(&Path, Meant) -> anyhow::Result<Value>,
) -> anyhow::Result<Value> {
    let name = path.display();
    let text =
        read(path).with_context(|| format!("The spec {name} cannot be read. Nothing was done. Check the path."))?;
    if text.len() > BODY_LIMIT {
        let limit = text::limit(BODY_LIMIT as u64);
        anyhow::bail!("The spec {name} is larger than {limit}. Nothing was done. Check that the path is a spec's.");
    }
    let mut document = yaml(&text)
        .map_err(|problem| anyhow::anyhow!("{name}: {} {}", problem.detail, problem.next.unwrap_or_default()))?;
    let base = path.parent().unwrap_or(Path::new("")).to_owned();
    for (place, meant) in places(&mut document) {
        let Some(file) = local_file(place, &base) else { continue };
        *place = take_in(&file, meant)?;
    }
    Ok(document)
}

/// Reads a file as far as it could be a spec: what is larger, or never ends, is noticed after that.
fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    std::fs::File::open(path)?
        .take(BODY_LIMIT as u64 + 1)
        .read_to_end(&mut text)?;
    Ok(text)
}

/// Every value of a spec that may name a file, and what the file is to be.
fn places(document: &mut Value) -> Vec<(&mut Value, Meant)> {
    let Some(spec) = document.as_object_mut() else {
        return Vec::new();
    };
    let mut places = Vec::new();
    for (part, keys) in spec {
        let keys = keys.as_object_mut().into_iter().flatten();
        match part.as_str() {
            "baseline" | "canary" => keys.for_each(|(key, value)| places.extend(of_version(key, value))),
            "monitor" => {
                let referee = keys.filter(|(key, value)| *key == "referee_image" && is_path(value));
                places.extend(referee.map(|(_, image)| (image, Meant::Described)));
            }
            _ => {}
        }
    }
    places
}

/// What one key of a version names.
fn of_version<'v>(key: &str, value: &'v mut Value) -> Vec<(&'v mut Value, Meant)> {
    if let Some((_, meant)) = FILE_KEYS.iter().find(|(name, _)| *name == key) {
        return vec![(value, *meant)];
    }
    let files = value.as_object_mut().filter(|_| key == "files");
    files
        .into_iter()
        .flat_map(|files| files.values_mut().map(|file| (file, Meant::File)))
        .collect()
}

/// Names of images have a tag, and digests what they are digests by, so a colon; the other two are words.
fn is_path(image: &Value) -> bool {
    let text = image.as_str().unwrap_or_default();
    !text.contains(':') && !matches!(text, "" | "default" | "none")
}

fn local_file(value: &Value, base: &Path) -> Option<PathBuf> {
    let text = value.as_str()?;
    (!text.starts_with(DIGEST)).then(|| base.join(text.strip_prefix("./").unwrap_or(text)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_paths_are_uploaded() {
        let mut document = json!({
            "name": "x",
            "baseline": {"image": "a.tar", "compose": "sha256:00", "services": {"run": ["image"]}},
            "canary": {"image": "/b.tar", "files": {"/etc/x": "x.txt"}},
            "monitor": {"reach": "vpc", "referee_image": "referee.tar"},
        });
        let files: Vec<(PathBuf, Meant)> = places(&mut document)
            .into_iter()
            .filter_map(|(place, meant)| Some((local_file(place, Path::new("specs"))?, meant)))
            .collect();
        let expected = [
            ("specs/a.tar", Meant::Described),
            ("specs/x.txt", Meant::File),
            ("/b.tar", Meant::Described),
            ("specs/referee.tar", Meant::Described),
        ];
        assert_eq!(files, expected.map(|(path, meant)| (PathBuf::from(path), meant)));
        for image in ["default", "none", "example.com/referee:1.4.1", "sha256:00"] {
            let mut document = json!({"monitor": {"referee_image": image}});
            assert_eq!(places(&mut document).len(), 0, "{image}");
        }
    }
}
