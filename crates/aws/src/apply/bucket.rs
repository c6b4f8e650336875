//! The temporary bucket: private and shut to the public as every new one is (S3 user guide, since April 2023), and emptying
//! itself should nobody ever come back for it.

use arya_plan::cloud::CloudError;
use arya_plan::desired::Desired;
use arya_plan::identity::LogicalId;
use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, BucketLifecycleConfiguration, BucketLocationConstraint, CreateBucketConfiguration,
    Delete, ExpirationStatus, LifecycleExpiration, LifecycleRule, LifecycleRuleFilter, ObjectIdentifier, Tag, Tagging,
};

use crate::Inner;
use crate::calls::Call;
use crate::error::{Failure, Meaning, OrGone as _, ask};
use crate::memory::OF_OTHERS;
use crate::tags::{owner, s3_owner, s3_tags};
use crate::uploads::bucket_name;

/// The one region whose name S3 does not take as a location.
const WITHOUT_CONSTRAINT: &str = "us-east-1";
/// Parts that nobody finishes are paid for; S3 looks once a day.
const PARTS_KEPT_DAYS: i32 = 1;
/// Longer than any deployment lives (seven days), so that only what was forgotten is removed.
const FILES_KEPT_DAYS: i32 = 9;
/// S3 deletes so many objects in one call.
const DELETES_AT_ONCE: usize = 1000;

impl Inner {
    pub(crate) async fn bucket_stands(&self, desired: &Desired) -> Result<bool, CloudError> {
        let request = self.clients.reading.s3.head_bucket();
        let request = request
            .bucket(bucket_name(desired, &self.identity.account))
            .expected_bucket_owner(&self.identity.account);
        match ask(Call::HeadBucket, request.send()).await {
            Ok(_) => Ok(true),
            Err(failure) if failure.meaning == Meaning::Gone => Ok(false),
            Err(failure) => Err(failure.into()),
        }
    }

    pub(super) async fn create_bucket(&self, desired: &Desired) -> Result<(), CloudError> {
        let bucket = bucket_name(desired, &self.identity.account);
        let tags = s3_tags(desired, &owner(desired, LogicalId::Bucket, 1));
        let region = &self.clients.region;
        let location = (region != WITHOUT_CONSTRAINT).then(|| BucketLocationConstraint::from(region.as_str()));
        let configuration = CreateBucketConfiguration::builder()
            .set_location_constraint(location)
            .set_tags(Some(tags));
        let request = self.clients.changing.s3.create_bucket().bucket(&bucket);
        let created = ask(
            Call::CreateBucket,
            request.create_bucket_configuration(configuration.build()).send(),
        );
        match created.await {
            Ok(_) => {}
            // Ours by its name, which only this deployment has.
            Err(failure) if failure.meaning == Meaning::There => {}
            Err(failure) => return Err(failure.into()),
        }
        self.complete_bucket(desired).await
    }

    /// Tags and the rule by which the bucket empties itself: a try that died after making it left it without. Asked before
    /// anything is put into it.
    pub(crate) async fn complete_bucket(&self, desired: &Desired) -> Result<(), CloudError> {
        let bucket = bucket_name(desired, &self.identity.account);
        if self.memory.whole_buckets.younger_than(OF_OTHERS, &bucket).is_some() {
            return Ok(());
        }
        let tags = s3_tags(desired, &owner(desired, LogicalId::Bucket, 1));
        self.tag_bucket(&bucket, tags).await?;
        self.empty_by_itself(&bucket).await?;
        self.memory.whole_buckets.keep(bucket, ());
        Ok(())
    }

    /// Not every server that speaks S3 takes tags at the creation; without them a sweep would not find the bucket.
    async fn tag_bucket(&self, bucket: &str, tags: Vec<Tag>) -> Result<(), CloudError> {
        let request = self.clients.reading.s3.get_bucket_tagging().bucket(bucket);
        match ask(Call::GetBucketTagging, request.send()).await {
            Ok(answer) if s3_owner(answer.tag_set()).is_some() => return Ok(()),
            Ok(_) => {}
            Err(failure) if failure.meaning == Meaning::Gone => {}
            Err(failure) => return Err(failure.into()),
        }
        let tagging = Tagging::builder().set_tag_set(Some(tags)).build();
        let tagging = tagging.expect("the set of tags was given");
        let request = self.clients.changing.s3.put_bucket_tagging().bucket(bucket);
        ask(Call::PutBucketTagging, request.tagging(tagging).send()).await?;
        Ok(())
    }

    async fn empty_by_itself(&self, bucket: &str) -> Result<(), CloudError> {
        let parts = AbortIncompleteMultipartUpload::builder()
            .days_after_initiation(PARTS_KEPT_DAYS)
            .build();
        let rule = LifecycleRule::builder()
            .id("forgotten")
            .status(ExpirationStatus::Enabled)
            .filter(LifecycleRuleFilter::builder().prefix("").build())
            .expiration(LifecycleExpiration::builder().days(FILES_KEPT_DAYS).build())
            .abort_incomplete_multipart_upload(parts)
            .build()
            .expect("its status was given");
        let rules = BucketLifecycleConfiguration::builder().rules(rule).build();
        let rules = rules.expect("a rule was given");
        let request = self.clients.changing.s3.put_bucket_lifecycle_configuration();
        let request = request.bucket(bucket).lifecycle_configuration(rules);
        ask(Call::PutBucketLifecycleConfiguration, request.send()).await?;
        Ok(())
    }

    pub(super) async fn delete_bucket(&self, desired: &Desired) -> Result<(), CloudError> {
        if !self.bucket_stands(desired).await? {
            return Ok(());
        }
        let bucket = bucket_name(desired, &self.identity.account);
        self.abort_parts(&bucket).await?;
        self.empty(desired, &bucket).await?;
        self.memory.whole_buckets.forget(&bucket);
        match self.drop_bucket(&bucket).await {
            // Somebody had it keep versions, which no listing of objects shows.
            Err(failure) if failure.meaning == Meaning::NotYet => {
                self.empty_of_versions(&bucket).await?;
                self.drop_bucket(&bucket).await.or_gone()
            }
            answer => answer.or_gone(),
        }
    }

    async fn drop_bucket(&self, bucket: &str) -> Result<(), Failure> {
        let request = self.clients.changing.s3.delete_bucket().bucket(bucket);
        ask(Call::DeleteBucket, request.send()).await.map(drop)
    }

    /// The first page of unfinished uploads, 1,000 of them; a deployment has a handful.
    async fn abort_parts(&self, bucket: &str) -> Result<(), CloudError> {
        let request = self.clients.reading.s3.list_multipart_uploads().bucket(bucket);
        let unfinished = match ask(Call::ListMultipartUploads, request.send()).await {
            Ok(answer) => answer.uploads.unwrap_or_default(),
            Err(failure) if failure.meaning == Meaning::Gone => return Ok(()),
            Err(failure) => return Err(failure.into()),
        };
        for upload in unfinished {
            let request = self.clients.changing.s3.abort_multipart_upload().bucket(bucket);
            let request = request.set_key(upload.key).set_upload_id(upload.upload_id);
            ask(Call::AbortMultipartUpload, request.send()).await.or_gone()?;
        }
        Ok(())
    }

    async fn empty(&self, desired: &Desired, bucket: &str) -> Result<(), CloudError> {
        let pages = self.clients.reading.s3.list_objects_v2().bucket(bucket);
        let mut pages = pages.into_paginator().send();
        while let Some(page) = pages.next().await {
            let objects = match ask(Call::ListObjectsV2, async { page }).await {
                Ok(page) => page.contents.unwrap_or_default(),
                Err(failure) if failure.meaning == Meaning::Gone => return Ok(()),
                Err(failure) => return Err(failure.into()),
            };
            self.keep_what_is_left(desired, bucket, &objects).await;
            let keys: Vec<ObjectIdentifier> = objects
                .into_iter()
                .filter_map(|object| ObjectIdentifier::builder().key(object.key?).build().ok())
                .collect();
            self.delete_objects(bucket, &keys).await?;
        }
        Ok(())
    }

    /// The first page of versions and of marks that something was deleted, 1,000 of each: those of a deployment.
    async fn empty_of_versions(&self, bucket: &str) -> Result<(), CloudError> {
        let request = self.clients.reading.s3.list_object_versions().bucket(bucket);
        let listed = match ask(Call::ListObjectVersions, request.send()).await {
            Ok(listed) => listed,
            Err(failure) if failure.meaning == Meaning::Gone => return Ok(()),
            Err(failure) => return Err(failure.into()),
        };
        let versions = listed.versions().iter().map(|one| (one.key(), one.version_id()));
        let marks = listed.delete_markers().iter().map(|one| (one.key(), one.version_id()));
        let named = versions.chain(marks).filter_map(|(key, version)| {
            let named = ObjectIdentifier::builder()
                .key(key?)
                .set_version_id(version.map(str::to_owned));
            named.build().ok()
        });
        self.delete_objects(bucket, &named.collect::<Vec<_>>()).await
    }

    async fn delete_objects(&self, bucket: &str, objects: &[ObjectIdentifier]) -> Result<(), CloudError> {
        for some in objects.chunks(DELETES_AT_ONCE) {
            let delete = Delete::builder().set_objects(Some(some.to_vec())).quiet(true).build();
            let delete = delete.expect("the objects were given");
            let request = self.clients.changing.s3.delete_objects().bucket(bucket).delete(delete);
            let deleted = ask(Call::DeleteObjects, request.send()).await;
            // The answer is a yes also where single objects stay.
            let refused = deleted.as_ref().ok().and_then(|answer| answer.errors().first());
            if let Some(error) = refused {
                return Err(Failure::in_answer(Call::DeleteObjects, error.code(), error.message()).into());
            }
            deleted.or_gone()?;
        }
        Ok(())
    }
}
