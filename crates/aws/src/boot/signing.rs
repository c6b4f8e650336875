//! URLs that need no key: for one method, one object and a while.

use std::time::Duration;

use arya_plan::cloud::CloudError;
use arya_plan::desired::Desired;
use arya_plan::spec::Digest;
use arya_plan::user_data::{Object, Once, PresignedUrl};
use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};

use crate::Inner;
use crate::connect::Clients;
use crate::uploads::bucket_name;

/// S3 signs for at most seven days.
const SIGNED_AT_MOST: Duration = Duration::from_secs(7 * 24 * 3600);
/// URLs outlive the deployment, so that an instance that is late still says so.
const SIGNED_LONGER_BY: Duration = Duration::from_secs(24 * 3600);

/// Signs for one bucket.
pub(crate) struct Signing<'s> {
    clients: &'s Clients,
    bucket: String,
    valid: PresigningConfig,
}

impl<'s> Signing<'s> {
    /// For the bucket of a deployment, and as long as that may live.
    pub(crate) fn of(inner: &'s Inner, desired: &Desired) -> Self {
        let life = desired.expires_at.duration_since(desired.created_at);
        let life = Duration::try_from(life)
            .unwrap_or_default()
            .saturating_add(SIGNED_LONGER_BY);
        Self::valid_for(life, &inner.clients, bucket_name(desired, &inner.identity.account))
    }

    pub(crate) fn valid_for(time: Duration, clients: &'s Clients, bucket: String) -> Self {
        Self {
            clients,
            bucket,
            valid: PresigningConfig::expires_in(time.min(SIGNED_AT_MOST)).expect("it is at most seven days"),
        }
    }

    pub(crate) async fn get(&self, key: &str) -> Result<PresignedUrl, CloudError> {
        url(&self.reading(key).await?)
    }

    pub(crate) async fn put(&self, key: &str) -> Result<PresignedUrl, CloudError> {
        url(&self.writing(key).await?)
    }

    pub(super) async fn delete(&self, key: &str) -> Result<PresignedUrl, CloudError> {
        let request = self.clients.signing.s3.delete_object();
        let request = request.bucket(&self.bucket).key(key);
        url(&text(request.presigned(self.valid.clone()).await)?)
    }

    pub(crate) async fn reading(&self, key: &str) -> Result<String, CloudError> {
        let request = self.clients.signing.s3.get_object().bucket(&self.bucket).key(key);
        text(request.presigned(self.valid.clone()).await)
    }

    pub(crate) async fn writing(&self, key: &str) -> Result<String, CloudError> {
        let request = self.clients.signing.s3.put_object().bucket(&self.bucket).key(key);
        text(request.presigned(self.valid.clone()).await)
    }

    pub(crate) async fn object(&self, key: &str, digest: &Digest) -> Result<Object, CloudError> {
        let digest = digest.clone();
        Ok(Object {
            url: self.get(key).await?,
            digest,
        })
    }

    pub(super) async fn once(&self, key: &str, digest: &Digest) -> Result<Once, CloudError> {
        Ok(Once {
            object: self.object(key, digest).await?,
            remove: self.delete(key).await?,
        })
    }
}

fn text<E: std::error::Error>(signed: Result<PresignedRequest, E>) -> Result<String, CloudError> {
    signed
        .map(|signed| signed.uri().to_owned())
        .map_err(|error| unsigned(&error))
}

fn url(text: &str) -> Result<PresignedUrl, CloudError> {
    PresignedUrl::parse(text).map_err(|error| unsigned(&error))
}

fn unsigned(why: &dyn std::fmt::Display) -> CloudError {
    CloudError::refused(
        format!("A URL for the instance could not be signed ({why}). Nothing was launched."),
        "Log in again (e.g. `aws sso login`); it goes on by itself.",
    )
}
