//! Files on their way into a deployment's bucket: one task each, whose progress the looks read. What arrived is told by
//! the bucket alone, so nothing is lost in a crash but parts under way, which the bucket's own rule removes.

mod bare;
mod pieces;
mod sending;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use arya_plan::cloud::CloudError;
use arya_plan::desired::Desired;
use arya_plan::identity::{DeploymentId, LogicalId, Place, resource_name};
use arya_plan::observed::{Upload, UploadState};
use arya_plan::spec::Digest;
use tokio_util::sync::CancellationToken;

use crate::Inner;
pub use bare::BareBucket;
use pieces::{InPieces, is_in_pieces};
use sending::Section;

const FILES: &str = "files/";

/// Where a file lies in its bucket.
pub(crate) fn file_key(digest: &Digest) -> String {
    format!("{FILES}{}", digest.hex())
}

/// The file that lies there, by the key alone.
fn digest_of(key: &str) -> Option<Digest> {
    format!("sha256:{}", key.strip_prefix(FILES)?).parse().ok()
}

/// The file that an object says is there, and its bytes.
pub(crate) fn file_of(key: &str, size: u64) -> Option<(Digest, u64)> {
    pieces::whole_of(key).or_else(|| Some((digest_of(key)?, size)))
}

/// Where an instance writes its status document. Each filling of a place has its own.
pub(crate) fn status_key(place: Place, incarnation: u32) -> String {
    format!("status/{}-{incarnation}.json", LogicalId::Instance(place))
}

/// Bucket names are the world's, not the account's; with the account in it nobody else has it by chance.
pub(crate) fn bucket_name(desired: &Desired, account: &str) -> String {
    format!("{}-{account}", resource_name(&desired.id, LogicalId::Bucket))
}

/// Whether a bucket's name is one of ours: prefix, ten characters of a deployment, what it is for, account.
pub(crate) fn is_bucket_name(name: &str, account: &str) -> bool {
    let parts: Vec<&str> = name.split('-').collect();
    let id = |text: &str| text.len() == 10 && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    matches!(parts[..], ["arya", of, "files", owner] if id(of) && owner == account)
}

/// Every upload of this process.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    sending: Mutex<HashMap<(DeploymentId, Digest), Sending>>,
    in_pieces: InPieces,
}

#[derive(Debug)]
struct Sending {
    upload: Upload,
    /// When the last byte was accepted.
    done: Option<Instant>,
    stop: CancellationToken,
}

impl Uploads {
    fn sending(&self) -> MutexGuard<'_, HashMap<(DeploymentId, Digest), Sending>> {
        // Fields are set one by one, and nothing in between panics.
        self.sending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the bucket held when it was asked, and what is on its way.
    pub(crate) fn seen(
        &self,
        deployment: &DeploymentId,
        asked: Instant,
        done: impl Iterator<Item = (Digest, u64)>,
    ) -> BTreeMap<Digest, Upload> {
        let sending = self.sending();
        // Only the bucket says that a file is there, since it may have been emptied; but not of what came after it was asked.
        let tells = |one: &Sending| one.done.is_none_or(|done| done >= asked);
        let ours = sending
            .iter()
            .filter(|((of, _), sending)| of == deployment && tells(sending));
        let mut seen: BTreeMap<Digest, Upload> = ours
            .map(|((_, digest), sending)| (digest.clone(), sending.upload.clone()))
            .collect();
        seen.extend(done.map(|(digest, size)| {
            let state = UploadState::Done;
            (
                digest,
                Upload {
                    sent: size,
                    size,
                    state,
                },
            )
        }));
        seen
    }

    /// Takes an upload in; `None` where it is under way already.
    fn begin(&self, deployment: DeploymentId, digest: &Digest, size: u64) -> Option<CancellationToken> {
        let mut sending = self.sending();
        let key = (deployment, digest.clone());
        if sending
            .get(&key)
            .is_some_and(|sending| sending.upload.state == UploadState::Running)
        {
            return None;
        }
        let stop = CancellationToken::new();
        let upload = Upload {
            sent: 0,
            size,
            state: UploadState::Running,
        };
        let begun = Sending {
            upload,
            done: None,
            stop: stop.clone(),
        };
        sending.insert(key, begun);
        Some(stop)
    }

    fn note(&self, deployment: DeploymentId, digest: &Digest, change: impl FnOnce(&mut Upload)) {
        if let Some(sending) = self.sending().get_mut(&(deployment, digest.clone())) {
            change(&mut sending.upload);
            sending.done = (sending.upload.state == UploadState::Done).then(Instant::now);
        }
    }

    /// Stops and forgets every upload of a deployment.
    pub(crate) fn cancel(&self, deployment: &DeploymentId) {
        self.in_pieces.forget(deployment);
        self.sending().retain(|(of, _), sending| {
            if of == deployment {
                sending.stop.cancel();
            }
            of != deployment
        });
    }
}

/// Starts the task that sends a file, and returns at once.
pub(crate) async fn start(inner: &Arc<Inner>, desired: &Desired, digest: &Digest) -> Result<(), CloudError> {
    if inner.bucket_stands(desired).await? {
        inner.complete_bucket(desired).await?;
        let path: PathBuf = inner.settings.artifacts_dir.join(digest.hex());
        let size = tokio::fs::metadata(&path).await.map_or(0, |about| about.len());
        let Some(stop) = inner.uploads.begin(desired.id, digest, size) else {
            return Ok(());
        };
        let (inner, desired, digest) = (Arc::clone(inner), desired.clone(), digest.clone());
        tokio::spawn(async move {
            let deployment = desired.id;
            let note = |sent| inner.uploads.note(deployment, &digest, |upload| upload.sent = sent);
            let outcome = if is_in_pieces(&desired, &digest) {
                inner.send_in_pieces(&desired, &digest, &stop, note).await
            } else {
                let bucket = bucket_name(&desired, &inner.identity.account);
                let whole = Section::whole(&path, size, &digest);
                sending::send(&inner.clients, &bucket, &file_key(&digest), whole, &stop, note).await
            };
            // An upload that was stopped has nothing more to say of the one that took its place.
            if !stop.is_cancelled() {
                inner.uploads.note(deployment, &digest, |upload| {
                    upload.state = outcome.map_or_else(UploadState::Failed, |()| UploadState::Done);
                });
            }
        });
        return Ok(());
    }
    Err(CloudError::not_yet(
        "NoSuchBucket: the bucket does not stand yet; nothing was sent.",
    ))
}

#[cfg(test)]
mod tests {
    use arya_plan::identity::Role;

    use super::*;

    fn deployment() -> DeploymentId {
        DeploymentId::new(uuid::Uuid::from_u128(7))
    }

    #[test]
    fn a_key_tells_its_file_and_nothing_else_is_one() {
        let digest = Digest::of(b"layer");
        assert_eq!(digest_of(&file_key(&digest)), Some(digest));
        assert_eq!(digest_of("files/../etc/passwd"), None);
        assert_eq!(digest_of("status/instance-canary-0-1.json"), None);
    }

    #[test]
    fn a_bucket_of_ours_is_known_by_its_name() {
        let name = format!("{}-123456789012", resource_name(&deployment(), LogicalId::Bucket));
        assert!(is_bucket_name(&name, "123456789012"), "{name}");
        assert!(!is_bucket_name(&name, "210987654321"));
        for foreign in [
            "arya-backups",
            "arya-stark-files-123456789012",
            "arya--files-123456789012",
        ] {
            assert!(!is_bucket_name(foreign, "123456789012"), "{foreign}");
        }
    }

    #[test]
    fn each_filling_of_a_place_writes_its_own_status() {
        let place = Place {
            role: Role::Canary,
            index: 0,
        };
        assert_eq!(status_key(place, 2), "status/instance-canary-0-2.json");
    }

    #[test]
    fn only_the_bucket_says_that_a_file_is_there() {
        let (uploads, early) = (Uploads::default(), Instant::now());
        let (there, gone) = (Digest::of(b"there"), Digest::of(b"gone"));
        for digest in [&there, &gone] {
            assert!(uploads.begin(deployment(), digest, 5).is_some());
            assert!(uploads.begin(deployment(), digest, 5).is_none(), "it runs");
            uploads.note(deployment(), digest, |upload| upload.state = UploadState::Done);
        }
        let seen = uploads.seen(&deployment(), Instant::now(), [(there.clone(), 5)].into_iter());
        assert_eq!(seen.keys().collect::<Vec<_>>(), [&there]);
        let seen = uploads.seen(&deployment(), early, std::iter::empty());
        assert_eq!(seen.len(), 2, "a bucket that was asked before does not know");
        assert!(uploads.begin(deployment(), &gone, 5).is_some(), "it can be sent anew");
    }

    #[test]
    fn a_cancelled_upload_is_told_to_stop_and_forgotten() {
        let uploads = Uploads::default();
        let digest = Digest::of(b"file");
        let stop = uploads.begin(deployment(), &digest, 5).unwrap();
        uploads.cancel(&deployment());
        assert!(stop.is_cancelled());
        assert!(
            uploads
                .seen(&deployment(), Instant::now(), std::iter::empty())
                .is_empty()
        );
    }
}
