//! The bucket and the files on their way into it.

use std::collections::BTreeMap;

use arya_plan::cloud::CloudError;
use arya_plan::desired::Desired;
use arya_plan::identity::{DeploymentId, LogicalId};
use arya_plan::observed::{Upload, UploadState};
use arya_plan::spec::Digest;

use super::{Outcome, effect_of};
use crate::world::journal::Effect;
use crate::world::state::{Bucket, Sending, State, owner};

/// Bytes of every file here: nobody reads them.
const FILE_SIZE: u64 = 1_000;

impl State {
    pub(super) fn create_bucket(&mut self, desired: &Desired) -> Effect {
        if self.bucket_of(&desired.id).is_some() {
            return Effect::Nothing;
        }
        self.buckets.push(Bucket {
            owner: owner(desired, LogicalId::Bucket, 1),
            uploads: BTreeMap::new(),
        });
        Effect::Done
    }

    pub(super) fn start_upload(&mut self, desired: &Desired, digest: &Digest) -> Outcome {
        let (begun, takes) = (self.age, self.settings.pace.upload);
        let bucket = self
            .bucket_mut(&desired.id)
            .ok_or_else(|| CloudError::not_yet("NoSuchBucket: the bucket does not stand yet; nothing was sent."))?;
        let under_way = |sending: &Sending| !matches!(sending.upload.state, UploadState::Failed(_));
        if bucket.uploads.get(digest).is_some_and(under_way) {
            return Ok(Effect::Nothing);
        }
        let upload = Upload {
            sent: 0,
            size: FILE_SIZE,
            state: UploadState::Running,
        };
        let sending = Sending {
            begun,
            done: Some(begun + takes),
            upload,
        };
        bucket.uploads.insert(digest.clone(), sending);
        Ok(Effect::Done)
    }

    pub(super) fn cancel_uploads(&mut self, deployment: &DeploymentId) -> Effect {
        let uploads = self
            .bucket_mut(deployment)
            .into_iter()
            .flat_map(|b| b.uploads.values_mut());
        let mut effect = Effect::Nothing;
        for sending in uploads.filter(|sending| sending.upload.state == UploadState::Running) {
            sending.done = None;
            sending.upload.state = UploadState::Failed("The upload was stopped.".into());
            effect = Effect::Done;
        }
        effect
    }

    pub(in crate::world) fn delete_bucket(&mut self, desired: &Desired) -> Effect {
        let before = self.buckets.len();
        self.buckets.retain(|bucket| bucket.owner.deployment != desired.id);
        self.lose_reports(&desired.id);
        effect_of(before != self.buckets.len())
    }

    /// Status documents lie in the bucket.
    pub(in crate::world) fn lose_reports(&mut self, deployment: &DeploymentId) {
        for machine in &mut self.machines {
            if machine.owner.as_ref().is_some_and(|o| o.deployment == *deployment) {
                machine.reports.clear();
            }
        }
    }
}
