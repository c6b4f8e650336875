//! An image's name as compose files write it: `[host/]path:tag[@sha256:…]`.

use std::fmt;

use anyhow::{Context, Result, ensure};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    /// As it was written, the host with it.
    pub(super) name: String,
    pub(super) tag: String,
    pub(super) digest: Option<String>,
}

impl Reference {
    /// # Errors
    /// It has no tag, or what stands behind the `@` is no digest. Whether such an image is there, its registry says.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let (named, digest) = match text.split_once('@') {
            Some((named, digest)) => (named, Some(digest.to_owned())),
            None => (text, None),
        };
        ensure!(
            digest.as_deref().is_none_or(is_digest),
            "what stands behind @ is no digest"
        );
        // A colon before the last slash is a host's port.
        let (name, tag) = named
            .rsplit_once(':')
            .filter(|(name, tag)| !name.is_empty() && !tag.is_empty() && !tag.contains('/'))
            .context("it has no tag, and whatever is newest is no choice")?;
        Ok(Self {
            name: name.to_owned(),
            tag: tag.to_owned(),
            digest,
        })
    }

    /// The registry's host, where the name says one: a first part that can only be a host.
    pub(super) fn host(&self) -> Option<&str> {
        let (first, _) = self.name.split_once('/')?;
        (first.contains(['.', ':']) || first == "localhost").then_some(first)
    }

    /// What the registry calls it. Names of one word lie in a folder that nobody writes.
    pub(super) fn path(&self) -> String {
        match self.host() {
            Some(host) => self.name[host.len() + 1..].to_owned(),
            None if self.name.contains('/') => self.name.clone(),
            None => format!("library/{}", self.name),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.tag)?;
        self.digest.iter().try_for_each(|digest| write!(f, "@{digest}"))
    }
}

/// SHA-256 in lower case, which every registry gives.
fn is_digest(text: &str) -> bool {
    let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    text.strip_prefix("sha256:")
        .is_some_and(|digits| digits.len() == 64 && digits.chars().all(hex))
}
