//! Image names as Docker understands them. Must never know archives or compose files.

/// The full form of an image name: `emr:1.1` becomes `docker.io/library/emr:1.1`, a missing tag becomes `latest`.
/// A digest stays, and the tag before it is dropped, since the digest alone decides.
#[must_use]
pub fn normalise_reference(name: &str) -> String {
    const DEFAULT_REGISTRY: &str = "docker.io";
    let (name, digest) = match name.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (name, None),
    };
    let (registry, path) = match split_registry(name) {
        (None | Some("index.docker.io"), path) => (DEFAULT_REGISTRY, path),
        (Some(registry), path) => (registry, path),
    };
    let library = if registry == DEFAULT_REGISTRY && !path.contains('/') {
        "library/"
    } else {
        ""
    };
    let (path, tag) = path.rsplit_once(':').unwrap_or((path, "latest"));
    match digest {
        Some(digest) => format!("{registry}/{library}{path}@{digest}"),
        None => format!("{registry}/{library}{path}:{tag}"),
    }
}

/// The registry that a name begins with, where it names one, and the rest. Docker's own rule: the first part is a registry
/// if it looks like a host.
#[must_use]
pub fn split_registry(name: &str) -> (Option<&str>, &str) {
    match name.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (Some(first), rest),
        Some(_) | None => (None, name),
    }
}

/// Whether Docker takes both names for the same image.
#[must_use]
pub fn names_same_image(one: &str, other: &str) -> bool {
    normalise_reference(one) == normalise_reference(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, full: &str) {
        assert_eq!(normalise_reference(name), full);
        assert!(names_same_image(name, full), "{name}");
    }

    #[test]
    fn short_names_have_one_full_form() {
        check("x", "docker.io/library/x:latest");
        check("x:1", "docker.io/library/x:1");
        check("me/x", "docker.io/me/x:latest");
        check("docker.io/x", "docker.io/library/x:latest");
        check("index.docker.io/library/x", "docker.io/library/x:latest");
        check("localhost/x", "localhost/x:latest");
        check("localhost:5000/x", "localhost:5000/x:latest");
        check("ghcr.io/a/b/c:2", "ghcr.io/a/b/c:2");
        check("x:1@sha256:ab", "docker.io/library/x@sha256:ab");
    }

    #[test]
    fn other_tags_and_registries_are_other_images() {
        assert!(!names_same_image("x:1", "x:2"));
        assert!(!names_same_image("x", "ghcr.io/library/x"));
    }
}
