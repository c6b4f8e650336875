//! What instances put into the bucket for people: read while it stands, and kept when it goes.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arya_plan::cloud::CloudError;
use arya_plan::desired::Desired;
use arya_plan::left::{KEPT_WITHIN, LOG_BYTES_MAX, LOGS, Log, kept_bytes, log_of};
use aws_sdk_s3::types::Object;

use crate::calls::Call;
use crate::error::{Meaning, ask};
use crate::uploads::bucket_name;
use crate::{AwsCloud, Inner};

/// Several people who look at the same logs are one question; instances send them every ten seconds.
const LOGS_OLD_AFTER: Duration = Duration::from_secs(5);

impl AwsCloud {
    /// What the containers of a deployment printed so far, as far as its instances have sent it.
    ///
    /// # Errors
    /// AWS does not answer, or does not let us look.
    pub async fn logs(&self, desired: &Desired) -> Result<Arc<[Log]>, CloudError> {
        let asked = self.0.logs_in_bucket(desired);
        let asked = self.0.memory.logs.get(desired.id, LOGS_OLD_AFTER, asked);
        self.0.person(asked).await
    }
}

impl Inner {
    async fn logs_in_bucket(&self, desired: &Desired) -> Result<Arc<[Log]>, CloudError> {
        let bucket = bucket_name(desired, &self.identity.account);
        // One page: a deployment has some twenty instances in its life, not a thousand.
        let request = self.clients.reading.s3.list_objects_v2().bucket(&bucket).prefix(LOGS);
        let listed = match ask(Call::ListObjectsV2, request.send()).await {
            Ok(answer) => answer.contents.unwrap_or_default(),
            Err(failure) if failure.meaning == Meaning::Gone => return Ok(Arc::default()),
            Err(failure) => return Err(failure.into()),
        };
        let mut logs = Vec::new();
        for key in something(&listed) {
            let Some((place, incarnation)) = log_of(key) else {
                continue;
            };
            if let Some(bytes) = self.end_of(&bucket, key, LOG_BYTES_MAX).await? {
                logs.push(Log {
                    place,
                    incarnation,
                    bytes,
                });
            }
        }
        Ok(logs.into())
    }

    /// The last bytes of an object: whoever has its URL may have made it any size. `None` = it is not there any more.
    async fn end_of(&self, bucket: &str, key: &str, limit: usize) -> Result<Option<Vec<u8>>, CloudError> {
        let request = self.clients.reading.s3.get_object().bucket(bucket).key(key);
        let answer = match ask(Call::GetObject, request.range(format!("bytes=-{limit}")).send()).await {
            Ok(answer) => answer,
            Err(failure) if failure.meaning == Meaning::Gone => return Ok(None),
            Err(failure) => return Err(failure.into()),
        };
        let body = answer.body.collect().await;
        let body =
            body.map_err(|_| CloudError::not_yet(format!("`{key}` broke off while it was read. It is read again.")))?;
        Ok(Some(body.into_bytes().into()))
    }

    /// Writes down what is left behind, before the objects go. What cannot be had within the limit is lost: nothing holds
    /// up a destroy.
    pub(crate) async fn keep_what_is_left(&self, desired: &Desired, bucket: &str, listed: &[Object]) {
        let Some(left_dir) = &self.settings.left_dir else {
            return;
        };
        let folder = left_dir.join(desired.id.to_string());
        let keeping = async {
            for (key, limit) in in_order(listed) {
                let kept = self.keep(bucket, key, limit, &folder).await;
                if let Err(why) = kept {
                    tracing::warn!(deployment = %desired.id, key, why, "something could not be kept of the bucket");
                }
            }
        };
        if tokio::time::timeout(KEPT_WITHIN, keeping).await.is_err() {
            tracing::warn!(deployment = %desired.id, "the bucket goes before all of its logs were read");
        }
    }

    async fn keep(&self, bucket: &str, key: &str, limit: usize, folder: &Path) -> Result<(), String> {
        let read = self.end_of(bucket, key, limit).await;
        let Some(bytes) = read.map_err(|error| error.to_string())? else {
            return Ok(());
        };
        let path = folder.join(key);
        let parent = path.parent().unwrap_or(folder);
        tokio::fs::create_dir_all(parent)
            .await
            .map_err(|error| error.to_string())?;
        tokio::fs::write(&path, bytes).await.map_err(|error| error.to_string())
    }
}

/// What is kept and how much of it, logs before what a monitor recorded: a slow archive may cost itself, and no logs.
fn in_order(listed: &[Object]) -> Vec<(&str, usize)> {
    let kept = something(listed).filter_map(|key| Some((key, kept_bytes(key)?)));
    let mut kept: Vec<(&str, usize)> = kept.collect();
    kept.sort_by_key(|(key, _)| log_of(key).is_none());
    kept
}

/// The keys of what has bytes: of nothing S3 gives no range.
fn something(listed: &[Object]) -> impl Iterator<Item = &str> {
    let full = listed
        .iter()
        .filter(|object| object.size().is_some_and(|size| size > 0));
    full.filter_map(Object::key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_are_kept_before_what_a_monitor_recorded() {
        // As S3 lists: by name.
        let listed = [
            ("export/instance-monitor-0-1.tar.gz", 9),
            ("logs/instance-baseline-0-1", 0),
            ("logs/instance-canary-0-1", 1),
            ("once/instance-canary-0-1/secret", 1),
        ];
        let listed = listed.map(|(key, size)| Object::builder().key(key).size(size).build());
        let keys: Vec<&str> = in_order(&listed).into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["logs/instance-canary-0-1", "export/instance-monitor-0-1.tar.gz"]);
    }
}
