//! Where the monitor has Referee from: nobody publishes an official image of it.

use serde::{Deserialize, Serialize};

use super::Digest;

const DEFAULT: &str = "default";
const NONE: &str = "none";
/// A registry takes no longer name (the distribution specification, "Pulling manifests").
const NAME_LENGTH: usize = 255;
const TAG_LENGTH: usize = 128;

/// The image of Referee.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum RefereeImage {
    /// The one that the monitor's list of images names.
    #[default]
    Default,
    /// Referee is not started.
    Off,
    /// Another one, by the whole of its name.
    Named(String),
    /// An uploaded archive, which is sent to the monitor with the rest.
    Archive(Digest),
}

impl RefereeImage {
    pub const fn archive(&self) -> Option<&Digest> {
        match self {
            Self::Archive(digest) => Some(digest),
            Self::Default | Self::Off | Self::Named(_) => None,
        }
    }

    pub(super) fn is_default(&self) -> bool {
        *self == Self::Default
    }
}

/// Why a text is none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "it is `default`, `none`, the digest of an uploaded archive, or an image's name with its tag, such as \
     mirror.example.com/referee:1.4.1"
)]
pub struct NoRefereeImage;

impl TryFrom<String> for RefereeImage {
    type Error = NoRefereeImage;

    fn try_from(text: String) -> Result<Self, NoRefereeImage> {
        match text.as_str() {
            DEFAULT => Ok(Self::Default),
            NONE => Ok(Self::Off),
            _ => match text.parse() {
                Ok(digest) => Ok(Self::Archive(digest)),
                Err(_) if is_reference(&text) => Ok(Self::Named(text)),
                Err(_) => Err(NoRefereeImage),
            },
        }
    }
}

impl From<RefereeImage> for String {
    fn from(image: RefereeImage) -> Self {
        match image {
            RefereeImage::Default => DEFAULT.into(),
            RefereeImage::Off => NONE.into(),
            RefereeImage::Named(name) => name,
            RefereeImage::Archive(digest) => digest.as_str().to_owned(),
        }
    }
}

/// `[host[:port]/]path:tag[@sha256:…]`, with a tag always: whatever is newest today is another program tomorrow. Each
/// character is one that no shell and no compose file reads as anything but itself.
pub(crate) fn is_reference(text: &str) -> bool {
    let (named, digest) = match text.split_once('@') {
        Some((named, digest)) => (named, Some(digest)),
        None => (text, None),
    };
    let Some((name, tag)) = named.rsplit_once(':') else {
        return false;
    };
    let (host, path) = arya_bundle::split_registry(name);
    let edges = |part: &str| {
        let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        edge(part.chars().next()) && edge(part.chars().last())
    };
    let in_path = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
    let in_tag = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    name.len() <= NAME_LENGTH
        && path.split('/').all(|part| edges(part) && part.chars().all(in_path))
        && host.is_none_or(is_host)
        && (1..=TAG_LENGTH).contains(&tag.len())
        && tag.chars().all(in_tag)
        && !tag.starts_with(['.', '-'])
        && digest.is_none_or(|digest| digest.parse::<Digest>().is_ok())
}

fn is_host(text: &str) -> bool {
    let (name, port) = match text.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (text, None),
    };
    let in_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    !name.is_empty() && name.chars().all(in_name) && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<RefereeImage, NoRefereeImage> {
        let read = RefereeImage::try_from(text.to_owned())?;
        assert_eq!(String::from(read.clone()), text, "it is written as it was read");
        Ok(read)
    }

    #[test]
    fn words_digests_and_names_are_told_apart() {
        let digest = format!("sha256:{}", "a".repeat(64));
        assert_eq!(read("default"), Ok(RefereeImage::Default));
        assert_eq!(read("none"), Ok(RefereeImage::Off));
        assert_eq!(
            read(&digest).unwrap().archive().map(Digest::as_str),
            Some(digest.as_str())
        );
        for name in [
            "referee:1.4.1".to_owned(),
            "caleblayneheath/referee_aria:latest".into(),
            "mirror.example.com:5000/a/b-c/referee:v1_2.3".into(),
            format!("localhost/referee:1@{digest}"),
        ] {
            assert_eq!(read(&name), Ok(RefereeImage::Named(name)));
        }
    }

    #[test]
    fn what_is_no_name_or_would_be_more_than_one_is_refused() {
        for text in [
            "",
            "referee",
            "referee:",
            ":1",
            "a b:1",
            "Referee:1",
            "referee:1\nPROMETHEUS_IMAGE=other:1",
            "referee:$TAG",
            "referee:1@sha256:short",
            "a//b:1",
            "/a:1",
            "host:99999/a:1",
            "-x:1",
        ] {
            assert_eq!(read(text), Err(NoRefereeImage), "{text:?}");
        }
    }
}
