//! Evidence that a monitor puts into the bucket where nothing reaches it. What the bytes mean is the judge's.

use arya_plan::cloud::CloudError;
use arya_plan::desired::Desired;
use arya_plan::user_data::monitor::{PART_BYTES_MAX, evidence_key};

use crate::AwsCloud;
use crate::calls::Call;
use crate::error::{Meaning, ask};
use crate::uploads::bucket_name;

impl AwsCloud {
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
