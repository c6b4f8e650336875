//! Evidence that a monitor puts into the bucket where nothing reaches it: the URLs by which it does so, and the reading of it.
//! What the bytes mean is the judge's.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use arya_judge::source::posted::PLACES;
use arya_plan::cloud::CloudError;
use arya_plan::desired::Desired;
use arya_plan::identity::DeploymentId;
use arya_plan::user_data::PresignedUrl;
use arya_plan::user_data::monitor::{EVIDENCE_URLS, PART_BYTES_MAX, evidence_key, evidence_urls};

use crate::boot::Signing;
use crate::calls::Call;
use crate::error::{Meaning, ask};
use crate::uploads::bucket_name;
use crate::{AwsCloud, Inner};

/// Which key signed the URLs that each monitor has. Lost in a crash: they are signed once more.
#[derive(Debug, Default)]
pub(crate) struct Posting(Mutex<HashMap<DeploymentId, Option<String>>>);

impl Posting {
    pub(crate) fn forget(&self, deployment: &DeploymentId) {
        self.all().remove(deployment);
    }

    fn is_signed_by(&self, deployment: &DeploymentId, key: Option<&String>) -> bool {
        self.all().get(deployment).is_some_and(|known| known.as_ref() == key)
    }

    fn all(&self) -> MutexGuard<'_, HashMap<DeploymentId, Option<String>>> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AwsCloud {
    /// Sees to it that the monitor's URLs were signed with the credentials of now: those of a session that ended open
    /// nothing. Costs nothing while they are the same.
    ///
    /// # Errors
    /// They cannot be signed, or not be put into the bucket.
    pub async fn renew_evidence_urls(&self, desired: &Desired) -> Result<(), CloudError> {
        let key = self.0.clients.key().await;
        if self.0.posting.is_signed_by(&desired.id, key.as_ref()) {
            return Ok(());
        }
        self.0.beside_a_look(self.0.tell_evidence_urls(desired)).await
    }

    /// No monitor of this deployment needs URLs any more.
    pub fn forget_evidence_urls(&self, deployment: &DeploymentId) {
        self.0.posting.forget(deployment);
    }

    /// What the monitor has put into a place of its ring, packed; `None` = nothing.
    ///
    /// # Errors
    /// AWS does not answer, or does not let us look.
    pub async fn posted(&self, desired: &Desired, place: usize) -> Result<Option<Vec<u8>>, CloudError> {
        let bucket = bucket_name(desired, &self.0.identity.account);
        let key = evidence_key(place);
        let request = self.0.clients.reading.s3.get_object().bucket(bucket).key(&key);
        // Whoever has its URL may have made it any size. What is cut off does not unpack.
        let request = request.range(format!("bytes=0-{}", PART_BYTES_MAX - 1));
        let answer = match ask(Call::GetObject, request.send()).await {
            Ok(answer) => answer,
            Err(failure) if failure.meaning == Meaning::Gone => return Ok(None),
            Err(failure) => return Err(failure.into()),
        };
        let body = answer.body.collect().await;
        let body =
            body.map_err(|_| CloudError::not_yet(format!("`{key}` broke off while it was read. It is read again.")))?;
        Ok(Some(body.into_bytes().into()))
    }
}

impl Inner {
    /// Writes where the monitor puts its evidence, and where it reads so the next time.
    pub(crate) async fn tell_evidence_urls(&self, desired: &Desired) -> Result<(), CloudError> {
        let key = self.clients.key().await;
        let signing = Signing::of(self, desired);
        let these = signing.get(EVIDENCE_URLS).await?;
        let mut places = Vec::with_capacity(PLACES);
        for place in 0..PLACES {
            places.push(signing.put(&evidence_key(place)).await?);
        }
        let places: [PresignedUrl; PLACES] = places.try_into().expect("one is signed for each place");
        self.put(desired, EVIDENCE_URLS, evidence_urls(&these, &places).into_bytes())
            .await?;
        self.posting.all().insert(desired.id, key);
        Ok(())
    }
}
