//! What one filling of a place is told, and the objects that it is told about.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use arya_plan::cloud::{CloudError, ErrorKind};
use arya_plan::desired::Desired;
use arya_plan::identity::{Arm, Place, Role};
use arya_plan::spec::{self, Digest, ProductionTargets, Reach, Version, limits, short};
use arya_plan::user_data::monitor::{Monitor, Scraped};
use arya_plan::user_data::{
    Birth, NulByte, OUTLIVES_BY, Once, Patience, PresignedUrl, Settings, started, urls_key, user_data,
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tracing::warn;

use super::key_of;
use super::signing::Signing;
use crate::Inner;
use crate::apply::instance_type;
use crate::tags::of_deployment;
use crate::uploads::{file_key, status_key};

/// Whom the monitor watches, as it reads again and again.
pub(super) const TARGETS: &str = "targets.json";
/// A target's registration has 15 s, and this is only for panels.
const PRODUCTION_WITHIN: Duration = Duration::from_secs(4);
/// A launch has 15 s and up to 64 files, of four megabytes at most each: together 32 MiB are in memory.
pub(super) const PUTS_AT_ONCE: usize = 8;
/// The word for nothing, in the spec.
const NONE: &str = "none";

impl Inner {
    /// Puts the settings of an instance and its own files into the bucket, and makes its user data.
    pub(super) async fn told(&self, desired: &Desired, place: Place, incarnation: u32) -> Result<Vec<u8>, CloudError> {
        let signing = Signing::of(self, desired);
        self.write_urls(desired, place, incarnation).await?;
        let urls = signing.get(&urls_key(place, incarnation)).await?;
        let version = match place.role {
            Role::Baseline => Some(&desired.spec.baseline),
            Role::Canary => Some(&desired.spec.canary),
            Role::Monitor => None,
        };
        let settings = match version {
            Some(version) => {
                let own = Own {
                    inner: self,
                    desired,
                    signing: &signing,
                    folder: key_of("once", place, incarnation),
                };
                own.app(version, urls).await?
            }
            None => {
                let referee = match desired.spec.monitor.referee_image.archive() {
                    Some(archive) => Some(signing.object(&file_key(archive), archive).await?),
                    None => None,
                };
                let settings = Settings {
                    referee,
                    ..self.monitor(desired).settings(Patience::AWS, None, urls)
                };
                match desired.spec.monitor.reach {
                    Reach::Vpc | Reach::Public => settings,
                    Reach::Bucket => settings.posting(desired.id, &desired.spec.analysis.metrics),
                }
            }
        };
        let settings = settings.bytes().map_err(unheld)?;
        let key = key_of("settings", place, incarnation);
        let digest = Digest::of(&settings);
        self.put(desired, &key, settings).await?;
        let ends_at = desired.expires_at.checked_add(OUTLIVES_BY);
        let birth = Birth {
            role: place.role,
            instance_type: instance_type(desired, place.role)?.to_owned(),
            ends_at: ends_at.unwrap_or(desired.expires_at),
            status: signing.put(&status_key(place, incarnation)).await?,
            settings: signing.object(&key, &digest).await?,
            http_proxy: named(&desired.spec.instances.http_proxy),
        };
        user_data(&birth, &Patience::AWS).map_err(unheld)
    }

    fn monitor(&self, desired: &Desired) -> Monitor {
        let life = desired.expires_at.duration_since(desired.created_at);
        Monitor {
            deployment: desired.id,
            exporters: desired.spec.exporters.clone(),
            lifetime: Duration::try_from(life).unwrap_or_default(),
            image_prefix: named(&desired.spec.monitor.image_prefix),
            referee: desired.spec.monitor.referee_image.clone(),
            user: self.settings.door_key.door(&desired.id).line(),
        }
    }

    /// Tells the monitor which instances of both arms stand now. Twice is once.
    pub(crate) async fn tell_targets(&self, desired: &Desired) -> Result<(), CloudError> {
        let standing = crate::observe::arms(&self.instances(of_deployment(desired)).await?);
        let scraped = standing.into_iter().filter_map(|one| {
            let arm = one.place.role.arm()?;
            Some(scraped(desired, arm, one.id, one.address))
        });
        let beside = self.production_beside(desired).await?;
        let targets = self.monitor(desired).targets(&scraped.collect::<Vec<_>>(), &beside);
        self.put(desired, TARGETS, targets.into_bytes()).await
    }

    /// Production's machines that the monitor looks at too.
    ///
    /// # Errors
    /// They are not told just now. The list is written no sooner: nothing would put them into it later.
    async fn production_beside(&self, desired: &Desired) -> Result<Vec<IpAddr>, CloudError> {
        let found = match &desired.spec.monitor.production_targets {
            ProductionTargets::None => vec![],
            ProductionTargets::Named(addresses) => addresses.clone(),
            ProductionTargets::Instances => {
                let asked = tokio::time::timeout(PRODUCTION_WITHIN, self.production(&desired.spec)).await;
                let instances = match asked {
                    Ok(Ok(instances)) => instances,
                    // However often that is tried: panels are no reason to stop.
                    Ok(Err(error)) if error.kind == ErrorKind::Refused => {
                        warn!(deployment = %desired.id, %error, "the monitor does not scrape production's machines");
                        vec![]
                    }
                    Ok(Err(_)) | Err(_) => {
                        return Err(CloudError::not_yet(
                            "Production's machines could not be listed for the monitor; nothing was registered.",
                        ));
                    }
                };
                let addresses = instances
                    .iter()
                    .filter_map(|one| one.private_ip_address()?.parse().ok());
                addresses.collect()
            }
        };
        Ok(spec::scraped(found))
    }

    /// A small file of the spec, as it was uploaded.
    async fn read(&self, digest: &Digest, what: &str) -> Result<Vec<u8>, CloudError> {
        let path: PathBuf = self.settings.artifacts_dir.join(digest.hex());
        let about = tokio::fs::metadata(&path).await;
        if about.is_ok_and(|about| about.len() > limits::CONFIGURATION_BYTES) {
            return Err(unready(&format!(
                "The {what} has more than {} bytes, which is more than goes with a launch.",
                limits::CONFIGURATION_BYTES
            )));
        }
        let bytes = tokio::fs::read(&path).await;
        bytes.map_err(|error| unready(&format!("The {what} could not be read: {error}.")))
    }
}

/// The objects that one instance alone fetches.
struct Own<'o> {
    inner: &'o Inner,
    desired: &'o Desired,
    signing: &'o Signing<'o>,
    folder: String,
}

impl Own<'_> {
    async fn app(&self, version: &Version, urls: PresignedUrl) -> Result<Settings, CloudError> {
        let app = &self.desired.spec.app;
        let compose = self.inner.read(&version.compose, "compose file").await?;
        let started = started(version, app.port, &compose).map_err(|error| unready(&error.to_string()))?;
        let env_file = match &version.env_file {
            Some(digest) => Some(self.put("env file", digest).await?),
            None => None,
        };
        let files = stream::iter(version.files.clone()).map(|(path, digest)| async move {
            let once = self.put(&path, &digest).await?;
            Ok::<_, CloudError>((path, once))
        });
        let files: Vec<_> = files.buffered(PUTS_AT_ONCE).try_collect().await?;
        let compose = file_key(&version.compose);
        Ok(Settings {
            app: app.clone(),
            patience: Patience::AWS,
            image: Some(self.inner.archive(self.signing, &version.image).await?),
            compose: Some(self.signing.object(&compose, &version.compose).await?),
            written: vec![],
            app_service: started.app,
            services: started.all,
            env_file,
            env_from: version.env_from.clone(),
            aws_endpoint: self.inner.settings.connection.endpoint.clone(),
            files,
            later: vec![],
            urls,
            referee: None,
        })
    }

    async fn put(&self, what: &str, digest: &Digest) -> Result<Once, CloudError> {
        let bytes = self.inner.read(digest, what).await?;
        let key = format!("{}/{}", self.folder, digest.hex());
        self.inner.put(self.desired, &key, bytes).await?;
        self.signing.once(&key, digest).await
    }
}

fn scraped(desired: &Desired, arm: Arm, instance: String, address: IpAddr) -> Scraped {
    let version = match arm {
        Arm::Baseline => &desired.spec.baseline,
        Arm::Canary => &desired.spec.canary,
    };
    Scraped {
        arm,
        instance,
        address,
        version: short(&version.image).to_owned(),
    }
}

fn named(text: &str) -> Option<String> {
    (text != NONE).then(|| text.to_owned())
}

fn unready(why: &str) -> CloudError {
    CloudError::refused(
        format!("{why} No instance was launched."),
        "Change the spec, and deploy anew.",
    )
}

fn unheld(error: NulByte) -> CloudError {
    unready(&error.to_string())
}
