//! What an instance is given for its first boot. The script is not this crate's; its limits are EC2's.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write as _;
use std::net::IpAddr;

use arya_plan::cloud::CloudError;
use arya_plan::desired::Desired;
use arya_plan::identity::Place;
use arya_plan::spec::Digest;
use flate2::Compression;
use flate2::write::GzEncoder;

/// EC2's limit for user data before base64 (EC2 user guide, "Run commands when you launch an EC2 instance").
const USER_DATA_MAX: usize = 16 * 1024;

/// One launch, as far as the script needs it.
pub struct Launch<'l> {
    pub desired: &'l Desired,
    pub place: Place,
    pub incarnation: u32,
    /// Where each file of its version is fetched; whoever has the URL can. Empty for the monitor.
    pub files: BTreeMap<Digest, String>,
    /// Where it writes its status document.
    pub status: String,
    /// The instances of both arms that stand, for who watches them.
    pub arms: Vec<(Place, IpAddr)>,
}

/// Without the URLs: whoever reads one can use it.
impl fmt::Debug for Launch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Launch")
            .field("place", &self.place)
            .field("incarnation", &self.incarnation)
            .finish_non_exhaustive()
    }
}

/// Makes the user data of an instance: a script, or anything else that cloud-init reads.
pub trait Boot: fmt::Debug + Send + Sync + 'static {
    /// # Errors
    /// Says why this launch has no script.
    fn user_data(&self, launch: &Launch<'_>) -> Result<Vec<u8>, String>;
}

/// As EC2 takes it: compressed, which cloud-init detects by itself.
pub(crate) fn packed(script: &[u8]) -> Result<Vec<u8>, CloudError> {
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
            "Use fewer files in the spec, and deploy anew.",
        ));
    }
    Ok(packed)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

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
