//! What a bundle turned out to be, as plain data. Must never know how it was read.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::compose::ComposeFile;
use crate::digest::Digest;

/// What a user can hand over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    ImageArchive,
    Compose,
    /// Anything else, kept as it is: the app's own configuration.
    File,
}

/// What a stream turned out to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    pub kind: Kind,
    /// At least one for an image archive, none for anything else.
    pub images: Vec<ImageDescription>,
    /// Present exactly for a compose file. Not serialised: its environment may hold secrets; parse the file again.
    #[serde(skip)]
    pub compose: Option<ComposeFile>,
}

impl Description {
    /// Of what is not looked into.
    pub const FILE: Self = Self {
        kind: Kind::File,
        images: Vec::new(),
        compose: None,
    };
}

/// One image of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageDescription {
    /// The names it was saved under, such as `emr:1.1`; none if it was saved by id.
    pub references: Vec<String>,
    /// Go's name of the architecture, such as `amd64` or `arm64`; `unknown` if the image does not say.
    pub architecture: String,
    pub os: String,
    /// Such as `v8` for arm64.
    pub variant: Option<String>,
    /// TCP ports, ascending.
    pub exposed_ports: Vec<u16>,
    /// Names of the environment variables that the image sets, in its order.
    pub env_names: Vec<String>,
    /// Their values. Kept out of every serialised form and of `Debug`, because images do carry secrets here.
    #[serde(skip)]
    pub env: ImageEnvironment,
    /// Empty if the image has none. With `cmd` empty too it cannot start by itself.
    pub entrypoint: Vec<String>,
    pub cmd: Vec<String>,
    /// Empty means `/`.
    pub working_dir: String,
    /// Empty means root.
    pub user: String,
    /// Lowest first.
    pub layers: Vec<LayerDescription>,
    /// The digest of the image's config, which is what `docker images` shows as its id.
    pub image_id: Digest,
}

impl ImageDescription {
    /// Whether the image says what to run. Without it only a compose file's `command` or `entrypoint` can.
    #[must_use]
    pub fn says_what_to_run(&self) -> bool {
        !self.entrypoint.is_empty() || !self.cmd.is_empty()
    }

    /// The first name, or the id if the image has none.
    #[must_use]
    pub fn display_name(&self) -> &str {
        self.references
            .first()
            .map_or_else(|| self.image_id.as_str(), String::as_str)
    }
}

/// One layer as it lies in the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerDescription {
    /// Of the bytes in the archive, compressed if they are.
    pub digest: Digest,
    /// Of the same bytes.
    pub size: u64,
    /// Of the uncompressed layer: equal for equal content, however the archive was written.
    pub diff_id: Digest,
}

/// Environment variables of an image. `Debug` shows names only, and there is no serialised form.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ImageEnvironment(Vec<(String, String)>);

impl ImageEnvironment {
    /// Reads `NAME=value` lines as image configs hold them; a line without `=` is a name with an empty value.
    #[must_use]
    pub fn from_lines(lines: &[String]) -> Self {
        let split = |line: &String| match line.split_once('=') {
            Some((name, value)) => (name.to_owned(), value.to_owned()),
            None => (line.clone(), String::new()),
        };
        Self(lines.iter().map(split).collect())
    }

    /// Names and values in the image's order. The values may be secret: hand them to the process, never to a log.
    #[must_use]
    pub fn pairs(&self) -> &[(String, String)] {
        &self.0
    }
}

impl fmt::Debug for ImageEnvironment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.0.iter().map(|(name, _)| (name, "…")))
            .finish()
    }
}
