//! What an instance is told for its first boot: its own objects in the bucket, URLs that need no key, and the script in
//! front of which they are named. The script is the planner's; its limits are EC2's.
//!
//! Everything is written down in the bucket before the launch. A try whose answer was lost is repeated with the same
//! bytes, also after a restart or a new log-in, and EC2 answers with the same instance. Not for long, since the URLs in
//! it may end with the session that signed them: a launch that was refused is tried later with new ones.

mod door;
mod signing;
mod told;
mod urls;

use std::io::Write as _;
use std::time::{Duration, SystemTime};

use arya_plan::cloud::CloudError;
use arya_plan::desired::Desired;
use arya_plan::identity::{LogicalId, Place};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ServerSideEncryption;
use flate2::Compression;
use flate2::write::GzEncoder;

pub use door::{Door, DoorKey};
pub(crate) use signing::Signing;
pub(crate) use urls::SignedBy;

use crate::Inner;
use crate::calls::Call;
use crate::credentials::now;
use crate::error::{Meaning, ask};
use crate::uploads::bucket_name;

/// EC2's limit for user data before base64 (EC2 user guide, "Run commands when you launch an EC2 instance").
const USER_DATA_MAX: usize = 16 * 1024;
/// Long after EC2 lists whatever it launched with them.
const SAME_BYTES_FOR: Duration = Duration::from_secs(5 * 60);

/// The objects that one filling of a place has for itself.
fn key_of(folder: &str, place: Place, incarnation: u32) -> String {
    format!("{folder}/{}-{incarnation}", LogicalId::Instance(place))
}

impl Inner {
    /// The bytes that this filling of a place boots with: for some minutes the same ones, however often they are asked
    /// for.
    pub(crate) async fn user_data(
        &self,
        desired: &Desired,
        place: Place,
        incarnation: u32,
    ) -> Result<Vec<u8>, CloudError> {
        let key = key_of("user-data", place, incarnation);
        if let Some(written) = self.object(desired, &key).await?
            && !is_old(written.at, now())
        {
            return Ok(written.bytes);
        }
        // Last of its objects, so that where it lies the others have been there.
        let user_data = packed(&self.told(desired, place, incarnation).await?)?;
        self.put(desired, &key, user_data.clone()).await?;
        Ok(user_data)
    }

    /// A small object of ours; `None` = it is not there.
    async fn object(&self, desired: &Desired, key: &str) -> Result<Option<Written>, CloudError> {
        let bucket = bucket_name(desired, &self.identity.account);
        let request = self.clients.reading.s3.get_object().bucket(bucket).key(key);
        let answer = match ask(Call::GetObject, request.send()).await {
            Ok(answer) => answer,
            Err(failure) if failure.meaning == Meaning::Gone => return Ok(None),
            Err(failure) => return Err(failure.into()),
        };
        let at = answer.last_modified.and_then(|at| SystemTime::try_from(at).ok());
        let body = answer.body.collect().await;
        let body =
            body.map_err(|_| CloudError::not_yet(format!("`{key}` broke off while it was read. It is read again.")))?;
        let bytes = body.into_bytes().into();
        Ok(Some(Written { bytes, at }))
    }

    pub(crate) async fn put(&self, desired: &Desired, key: &str, bytes: Vec<u8>) -> Result<(), CloudError> {
        let bucket = bucket_name(desired, &self.identity.account);
        let request = self.clients.changing.s3.put_object().bucket(bucket).key(key);
        // What S3 does with every object by now; said, since secrets are among them.
        let request = request.server_side_encryption(ServerSideEncryption::Aes256);
        ask(Call::PutObject, request.body(ByteStream::from(bytes)).send()).await?;
        Ok(())
    }
}

struct Written {
    bytes: Vec<u8>,
    /// By S3's clock, from which ours differs by less than a signature bears.
    at: Option<SystemTime>,
}

/// What says no time was written just now.
fn is_old(at: Option<SystemTime>, now: SystemTime) -> bool {
    at.is_some_and(|at| now.duration_since(at).unwrap_or_default() > SAME_BYTES_FOR)
}

/// As EC2 takes it: compressed, which cloud-init detects by itself.
fn packed(script: &[u8]) -> Result<Vec<u8>, CloudError> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let packed = encoder.write_all(script).and_then(|()| encoder.finish());
    let packed = packed.expect("writing to memory does not fail");
    if packed.len() > USER_DATA_MAX {
        let what = format!(
            "The boot script has {} bytes compressed; EC2 takes {USER_DATA_MAX}. No instance was launched.",
            packed.len()
        );
        return Err(CloudError::refused(
            what,
            "Shorten `instances.http_proxy`, and deploy anew.",
        ));
    }
    Ok(packed)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn bytes_are_given_again_for_minutes_only() {
        let now = SystemTime::UNIX_EPOCH + 10 * SAME_BYTES_FOR;
        assert!(!is_old(None, now) && !is_old(Some(now), now));
        assert!(!is_old(Some(now - SAME_BYTES_FOR), now));
        assert!(is_old(Some(now - SAME_BYTES_FOR - Duration::from_secs(1)), now));
        assert!(!is_old(Some(now + SAME_BYTES_FOR), now), "its clock is ahead");
    }

    #[test]
    fn a_script_is_compressed_and_comes_back() {
        let script = "#!/bin/sh\necho booting\n".repeat(1000);
        let packed = packed(script.as_bytes()).unwrap();
        assert!(packed.len() < 1024);
        let mut back = String::new();
        flate2::read::GzDecoder::new(&packed[..])
            .read_to_string(&mut back)
            .unwrap();
        assert_eq!(back, script);
    }

    #[test]
    fn a_script_that_ec2_would_not_take_is_refused_before_any_call() {
        // Bytes that do not compress: each a function of the one before.
        let noise = |state: &mut u64| {
            *state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            Some((*state >> 56) as u8)
        };
        let bytes: Vec<u8> = std::iter::successors(Some(1_u64), |s| Some(*s))
            .take(1)
            .flat_map(|mut s| std::iter::from_fn(move || noise(&mut s)).take(2 * USER_DATA_MAX))
            .collect();
        let error = packed(&bytes).unwrap_err();
        assert!(error.to_string().contains("16384"), "{error}");
    }
}
