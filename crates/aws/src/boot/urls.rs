//! The URLs that an instance uses again and again. They end with the session that signed them, so they are signed once more
//! with each that follows, and the instance reads them twice a minute.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use arya_judge::source::posted::PLACES;
use arya_plan::cloud::CloudError;
use arya_plan::desired::Desired;
use arya_plan::identity::{DeploymentId, Place, Role};
use arya_plan::left::{export_key, log_key};
use arya_plan::observed::Instance;
use arya_plan::spec::Reach;
use arya_plan::user_data::monitor::evidence_key;
use arya_plan::user_data::{PresignedUrl, Urls, urls_key};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::Signing;
use super::told::{PUTS_AT_ONCE, TARGETS};
use crate::uploads::status_key;
use crate::{AwsCloud, Inner};

/// One filling of a place.
type Filling = (Place, u32);

/// Which key signed the URLs that each instance has. Lost in a crash: they are signed once more.
#[derive(Debug, Default)]
pub(crate) struct SignedBy(Mutex<HashMap<DeploymentId, HashMap<Filling, Option<String>>>>);

impl SignedBy {
    fn note(&self, deployment: DeploymentId, filling: Filling, key: Option<String>) {
        self.all().entry(deployment).or_default().insert(filling, key);
    }

    fn is(&self, deployment: &DeploymentId, filling: Filling, key: Option<&String>) -> bool {
        let all = self.all();
        let known = all.get(deployment).and_then(|known| known.get(&filling));
        known.is_some_and(|known| known.as_ref() == key)
    }

    fn all(&self) -> MutexGuard<'_, HashMap<DeploymentId, HashMap<Filling, Option<String>>>> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AwsCloud {
    /// Sees to it that the URLs of what stands were signed with the credentials of now: those of a session that ended open
    /// nothing. Costs nothing while they are the same.
    ///
    /// # Errors
    /// They cannot be signed, or not be put into the bucket.
    pub async fn renew_urls(&self, desired: &Desired, standing: &[Instance]) -> Result<(), CloudError> {
        let key = self.0.clients.key().await;
        let fillings = standing.iter().filter(|one| !one.state.is_ending());
        let fillings = fillings.map(|one| (one.place, one.incarnation));
        let old: Vec<Filling> = fillings
            .filter(|filling| !self.0.signed_by.is(&desired.id, *filling, key.as_ref()))
            .collect();
        let written = stream::iter(old)
            .map(|(place, incarnation)| self.0.beside_a_look(self.0.write_urls(desired, place, incarnation)));
        written.buffer_unordered(PUTS_AT_ONCE).try_collect().await
    }

    /// No instance of this deployment needs URLs any more.
    pub fn forget_urls(&self, deployment: &DeploymentId) {
        self.0.signed_by.all().remove(deployment);
    }
}

impl Inner {
    /// Writes what one filling of a place sends to and reads from, and where it reads so the next time.
    pub(super) async fn write_urls(&self, desired: &Desired, place: Place, incarnation: u32) -> Result<(), CloudError> {
        let key = self.clients.key().await;
        let signing = Signing::of(self, desired);
        let is_monitor = place.role == Role::Monitor;
        let these = urls_key(place, incarnation);
        let urls = Urls {
            these: signing.get(&these).await?,
            status: signing.put(&status_key(place, incarnation)).await?,
            logs: signing.put(&log_key(place, incarnation)).await?,
            targets: if is_monitor {
                Some(signing.get(TARGETS).await?)
            } else {
                None
            },
            export: if is_monitor {
                Some(signing.put(&export_key(place, incarnation)).await?)
            } else {
                None
            },
            evidence: match desired.spec.monitor.reach {
                Reach::Bucket if is_monitor => Some(ring(&signing).await?),
                Reach::Vpc | Reach::Public | Reach::Bucket => None,
            },
        };
        self.put(desired, &these, urls.bytes()).await?;
        self.signed_by.note(desired.id, (place, incarnation), key);
        Ok(())
    }
}

async fn ring(signing: &Signing<'_>) -> Result<[PresignedUrl; PLACES], CloudError> {
    let mut places = Vec::with_capacity(PLACES);
    for place in 0..PLACES {
        places.push(signing.put(&evidence_key(place)).await?);
    }
    Ok(places.try_into().expect("one is signed for each place"))
}
