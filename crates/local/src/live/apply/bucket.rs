//! The bucket and the files on their way into it.

use std::io;
use std::sync::Arc;

use arya_plan::cloud::CloudError;
use arya_plan::desired::Desired;
use arya_plan::identity::{LogicalId, resource_name};
use arya_plan::observed::{Upload, UploadState};
use arya_plan::spec::Digest;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::owner;
use crate::live::Inner;
use crate::live::folder::{Folder, Go};
use crate::live::world::{Bucket, Sending};

pub(super) async fn create_bucket(inner: &Arc<Inner>, desired: &Desired) -> Result<(), CloudError> {
    let folder = Folder::at(inner.buckets_dir().join(resource_name(&desired.id, LogicalId::Bucket)));
    let making = folder.clone();
    let made = tokio::task::spawn_blocking(move || making.create()).await;
    made.map_err(io::Error::other).flatten().map_err(|error| {
        CloudError::refused(
            format!("The disk took no folder for the bucket: {error}. Nothing was created."),
            "Make room, or allow writing to the data directory; it is tried again.",
        )
    })?;
    inner.change(|world| {
        world.buckets.entry(desired.id).or_insert_with(|| Bucket {
            owner: owner(desired, LogicalId::Bucket, 1),
            folder,
            uploads: Default::default(),
            copies: TaskTracker::new(),
        });
    });
    Ok(())
}

pub(super) fn start_upload(inner: &Arc<Inner>, desired: &Desired, digest: &Digest) -> Result<(), CloudError> {
    let artifact = inner.settings.artifacts_dir.join(digest.hex());
    let stop = CancellationToken::new();
    inner.change(|world| {
        let bucket = world.buckets.get_mut(&desired.id);
        let bucket = bucket.ok_or_else(|| CloudError::not_yet("The bucket does not stand yet; nothing was sent."))?;
        let under_way = |sending: &Sending| !matches!(sending.upload.state, UploadState::Failed(_));
        if bucket.uploads.get(digest).is_some_and(under_way) {
            return Ok(());
        }
        let size = artifact.metadata().map_or(0, |about| about.len());
        let upload = Upload {
            sent: 0,
            size,
            state: UploadState::Running,
        };
        bucket.uploads.insert(
            digest.clone(),
            Sending {
                upload,
                stop: stop.clone(),
            },
        );
        let (inner, deployment, digest) = (Arc::clone(inner), desired.id, digest.clone());
        let folder = bucket.folder.clone();
        bucket.copies.spawn_blocking(move || {
            let note = |change: &dyn Fn(&mut Upload)| {
                inner.change(|world| {
                    let sending = world
                        .buckets
                        .get_mut(&deployment)
                        .and_then(|b| b.uploads.get_mut(&digest));
                    // A copy that was stopped has nothing more to say of the upload that took its place.
                    if let Some(sending) = sending.filter(|_| !stop.is_cancelled()) {
                        change(&mut sending.upload);
                    }
                });
            };
            let copied = folder.copy_in(&artifact, &digest, |sent| {
                note(&|upload| upload.sent = sent);
                if stop.is_cancelled() || inner.stopping.is_cancelled() {
                    Go::Stop
                } else {
                    Go::On
                }
            });
            note(&|upload| {
                upload.state = match &copied {
                    Ok(()) => UploadState::Done,
                    Err(sentence) => UploadState::Failed(sentence.clone()),
                }
            });
        });
        Ok(())
    })
}

pub(super) fn cancel_uploads(inner: &Inner, desired: &Desired) {
    inner.change(|world| {
        let uploads = world
            .buckets
            .get_mut(&desired.id)
            .into_iter()
            .flat_map(|bucket| bucket.uploads.values_mut());
        for sending in uploads.filter(|sending| sending.upload.state == UploadState::Running) {
            sending.stop.cancel();
            sending.upload.state = UploadState::Failed("The upload was stopped.".into());
        }
    });
}

pub(super) async fn delete_bucket(inner: &Inner, desired: &Desired) -> Result<(), CloudError> {
    cancel_uploads(inner, desired);
    let found = inner
        .world()
        .buckets
        .get(&desired.id)
        .map(|bucket| (bucket.folder.clone(), bucket.copies.clone()));
    let Some((folder, copies)) = found else { return Ok(()) };
    if !copies.is_empty() {
        return Err(CloudError::not_yet("An upload into the bucket is still stopping."));
    }
    let left = inner.settings.left_dir.join(desired.id.to_string());
    let end = move || {
        // Whoever looks for them later is told that there are none; the bucket goes all the same.
        if let Err(error) = folder.keep(&left) {
            tracing::warn!(%error, "the logs of a deployment could not be kept");
        }
        folder.remove()
    };
    let removed = tokio::task::spawn_blocking(end).await;
    removed
        .map_err(io::Error::other)
        .flatten()
        .map_err(|error| CloudError::not_yet(format!("The bucket's folder could not be removed yet: {error}.")))?;
    inner.change(|world| world.buckets.remove(&desired.id));
    Ok(())
}
