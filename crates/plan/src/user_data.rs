//! What an instance is told: the user data it boots with, and the settings that its boot script fetches.
//!
//! The user data is `provisioning/boot.sh` with a small block of values in front. Everything whose size a spec decides is in
//! the settings, an object in the bucket pinned by its digest, with the rest of the script (`provisioning/boot/`); so no spec
//! makes the user data too large. URLs that are used again and again are in an object that changes ([`Urls`]). Values are quoted
//! by construction: a [`Block`] has no way to write one as it is. Nothing here is a secret but the presigned URLs, which are
//! for a while.

mod block;
pub mod monitor;
mod urls;

use std::fmt;
use std::time::Duration;

use arya_bundle::{ComposeError, ComposeFile};
use arya_judge::Timestamp;
use serde::{Deserialize, Serialize};

use crate::checks::chosen_services;
use crate::identity::Role;
use crate::listener::Protocol;
use crate::spec::{App, Digest, Version};
use block::Block;
pub use block::NulByte;
pub use urls::{Urls, urls_key};

const SCRIPT: &str = include_str!("../../../provisioning/boot.sh");
/// The rest of it, which comes with the settings: user data has not much room.
const PARTS: [&str; 4] = [
    include_str!("../../../provisioning/boot/environment.sh"),
    include_str!("../../../provisioning/boot/app.sh"),
    include_str!("../../../provisioning/boot/monitor.sh"),
    include_str!("../../../provisioning/boot/watch.sh"),
];

/// An instance outlives its deployment's end by this long at most, whoever else is gone by then.
pub const OUTLIVES_BY: Duration = Duration::from_secs(24 * 3600);

/// A URL that may be used by whoever has it, until it expires. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct PresignedUrl(String);

/// Why a text is no presigned URL. Does not repeat it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "A presigned URL begins with http:// or https:// and has visible ASCII characters only, no quotes and no backslash."
)]
pub struct NotAUrl;

impl PresignedUrl {
    /// # Errors
    /// The text is not what a signer writes. Quotes and backslashes would end the line in which curl reads it.
    pub fn parse(text: impl Into<String>) -> Result<Self, NotAUrl> {
        let text = text.into();
        let scheme = text.starts_with("https://") || text.starts_with("http://");
        let plain = text.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
        if scheme && plain { Ok(Self(text)) } else { Err(NotAUrl) }
    }
}

impl fmt::Debug for PresignedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PresignedUrl(…)")
    }
}

/// An object of the bucket and what it must turn out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    pub url: PresignedUrl,
    pub digest: Digest,
}

/// An image archive, as it lies in the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// Of the whole.
    pub digest: Digest,
    /// One after the other they are the archive. What versions share is a piece of its own, which lies there once.
    pub pieces: Vec<Object>,
}

impl From<Object> for Archive {
    /// One that lies there whole.
    fn from(whole: Object) -> Self {
        Self {
            digest: whole.digest.clone(),
            pieces: vec![whole],
        }
    }
}

/// An object that one instance alone fetches, once: the configuration of an app may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    pub object: Object,
    /// A DELETE for it, which the instance sends as soon as it has it.
    pub remove: PresignedUrl,
}

/// What an instance knows before it has fetched anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Birth {
    pub role: Role,
    /// AWS's word, such as `t3.medium`; for the fingerprint.
    pub instance_type: String,
    /// The instance shuts down then. See [`OUTLIVES_BY`].
    pub ends_at: Timestamp,
    /// Where its status document goes.
    pub status: PresignedUrl,
    /// Where its settings lie: [`Settings::bytes`].
    pub settings: Object,
    /// For packages and images, where the subnet has no other way out.
    pub http_proxy: Option<String>,
}

/// How long a boot gives each of its parts; past it the boot failed and says which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patience {
    pub packages: Duration,
    pub fetch: Duration,
    pub up: Duration,
    pub warm: Duration,
}

/// For packages: a mirror that is down for some minutes is waited for.
const PACKAGES_WITHIN: Duration = Duration::from_secs(10 * 60);

impl Patience {
    /// On EC2. Files wait for their upload, which [`crate::timing::Timing::AWS`] ends after two hours; the rest fits the
    /// twenty minutes that it gives a boot.
    pub const AWS: Self = Self {
        packages: PACKAGES_WITHIN,
        fetch: Duration::from_secs(2 * 3600),
        up: Duration::from_secs(10 * 60),
        warm: Duration::from_secs(5 * 60),
    };
}

/// What an instance runs, and how it knows that it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub app: App,
    pub patience: Patience,
    /// The archive for `docker load`; the monitor needs none where it reaches a registry.
    pub image: Option<Archive>,
    /// `None` where it is among [`Settings::written`].
    pub compose: Option<Object>,
    /// Files of ours, by path beside the compose file, which stand in the settings themselves.
    pub written: Vec<(String, String)>,
    /// The compose file's service that publishes `app.port`.
    pub app_service: String,
    /// Every service to start, the app's among them.
    pub services: Vec<String>,
    pub env_file: Option<Once>,
    /// Stores of the account that the instance's profile reads, as the spec names them.
    pub env_from: Vec<String>,
    /// Where those stores are, if not at AWS's own addresses.
    pub aws_endpoint: Option<String>,
    /// Path on the instance, relative ones beside the compose file, and what lies there.
    pub files: Vec<(String, Once)>,
    /// Services that are started once it is ready, each by itself, and waited for by nobody.
    pub later: Vec<String>,
    /// Where its [`Urls`] are read first.
    pub urls: PresignedUrl,
    /// An archive of Referee, which is fetched once the monitor is ready.
    pub referee: Option<Object>,
}

/// Which services of its compose file an instance starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// The one that publishes `app.port`.
    pub app: String,
    /// It and the others.
    pub all: Vec<String>,
}

/// Reads a version's compose file as the plan did.
///
/// # Errors
/// It is none, or no service publishes the port.
pub fn started(version: &Version, port: u16, compose: &[u8]) -> Result<Started, ComposeError> {
    let compose = ComposeFile::parse(compose)?;
    let app = compose.app_service(port)?;
    let (all, _skipped) = chosen_services(version, &compose, app);
    Ok(Started {
        app: app.name.clone(),
        all,
    })
}

/// The user data: the script's first line, the block, the rest. Adapters compress it; the same birth gives the same bytes.
///
/// # Errors
/// A value has a NUL byte, which no shell can hold.
pub fn user_data(birth: &Birth, patience: &Patience) -> Result<Vec<u8>, NulByte> {
    let (first, rest) = SCRIPT.split_once('\n').expect("the script has lines");
    let mut block = Block::default();
    block.text("ROLE", birth.role.as_str())?;
    block.text("INSTANCE_TYPE", &birth.instance_type)?;
    block.number("ENDS_AT", u64::try_from(birth.ends_at.as_second()).unwrap_or(0));
    block.text("STATUS_URL", &birth.status.0)?;
    block.object("SETTINGS", Some(&birth.settings))?;
    block.text("HTTP_PROXY", birth.http_proxy.as_deref().unwrap_or_default())?;
    block.number("PACKAGES_WITHIN_S", patience.packages.as_secs());
    Ok(format!("{first}\n{block}{}", said(rest)).into_bytes())
}

/// Without comments and empty lines, which nobody reads on the machine: a quarter of the room that EC2 gives.
fn said(script: &str) -> String {
    let told = script
        .lines()
        .filter(|line| !line.trim_start().starts_with('#') && !line.is_empty());
    told.flat_map(|line| [line, "\n"]).collect()
}

impl Settings {
    /// The second block and the rest of the script, as they are put into the bucket.
    ///
    /// # Errors
    /// A value has a NUL byte, which no shell can hold.
    pub fn bytes(&self) -> Result<Vec<u8>, NulByte> {
        let (scheme, protocol) = match self.app.protocol {
            Protocol::Http => ("http", "http"),
            Protocol::Grpc => ("http", "grpc"),
            Protocol::Https => ("https", "https"),
        };
        let warm_up = &self.app.warm_up;
        let mut block = Block::default();
        block.number("APP_PORT", self.app.port.into());
        block.text("APP_SCHEME", scheme)?;
        block.text("APP_PROTOCOL", protocol)?;
        block.text("HEALTH_PATH", &self.app.health_check_path)?;
        block.list("WARM_PATHS", self.app.warm_up_paths().into_iter())?;
        block.text("WARM_HOST", warm_up.host.as_deref().unwrap_or_default())?;
        block.number("WARM_IN_A_ROW", warm_up.in_a_row.into());
        block.number("WARM_UNDER_MS", warm_up.under_ms.into());
        block.number("FETCH_WITHIN_S", self.patience.fetch.as_secs());
        block.number("UP_WITHIN_S", self.patience.up.as_secs());
        block.number("WARM_WITHIN_S", self.patience.warm.as_secs());
        let image = self.image.as_ref();
        block.text("IMAGE_SHA256", image.map_or("", |image| image.digest.hex()))?;
        let pieces = image.into_iter().flat_map(|image| &image.pieces);
        block.list(
            "IMAGE_PIECES",
            pieces.flat_map(|piece| [piece.url.0.as_str(), piece.digest.hex()]),
        )?;
        block.object("COMPOSE", self.compose.as_ref())?;
        let written = self.written.iter();
        block.list(
            "WRITTEN",
            written.flat_map(|(path, text)| [path.as_str(), text.as_str()]),
        )?;
        block.text("APP_SERVICE", &self.app_service)?;
        block.list("SERVICES", self.services.iter().map(String::as_str))?;
        block.list("LATER", self.later.iter().map(String::as_str))?;
        block.object("REFEREE", self.referee.as_ref())?;
        let secret = self.env_file.as_ref();
        block.object("ENV_FILE", secret.map(|once| &once.object))?;
        block.text("ENV_FILE_REMOVE_URL", secret.map_or("", |once| &once.remove.0))?;
        block.list("ENV_FROM", self.env_from.iter().map(String::as_str))?;
        block.text("AWS_ENDPOINT", self.aws_endpoint.as_deref().unwrap_or_default())?;
        let files = self
            .files
            .iter()
            .flat_map(|(path, Once { object, remove })| [path.as_str(), &object.url.0, object.digest.hex(), &remove.0]);
        block.list("FILES", files)?;
        block.text("URLS_URL", &self.urls.0)?;
        Ok((block.to_string() + &PARTS.map(said).concat()).into_bytes())
    }
}

#[cfg(test)]
mod tests;
