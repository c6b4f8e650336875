//! What a deployment leaves behind when its bucket goes: the logs of its containers, and what its monitor recorded.
//!
//! They lie under keys of these kinds, and in a folder of the deployment under the same names afterwards.

use std::time::Duration;

use crate::identity::{LogicalId, Place, Role};

/// Where the containers' logs lie.
pub const LOGS: &str = "logs";
/// Where a monitor puts what it recorded.
pub const EXPORTS: &str = "export";
/// What its archive is called there.
const ARCHIVE: &str = ".tar.gz";

/// Bytes of one instance's container logs that are kept, newest last; what `provisioning/boot.sh` sends at most.
pub const LOG_BYTES_MAX: usize = 256 * 1024;
/// Bytes of what a monitor recorded; what `provisioning/boot.sh` sends at most.
pub const EXPORT_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How long the end of a bucket waits for what is kept of it. It does not wait for more: nothing holds up a destroy.
pub const KEPT_WITHIN: Duration = Duration::from_secs(8);

/// The containers' logs of one filling of a place, as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    pub place: Place,
    pub incarnation: u32,
    pub bytes: Vec<u8>,
}

/// Where the containers' logs of one filling of a place lie.
pub fn log_key(place: Place, incarnation: u32) -> String {
    format!("{LOGS}/{}-{incarnation}", LogicalId::Instance(place))
}

/// Where a monitor puts what it recorded.
pub fn export_key(place: Place, incarnation: u32) -> String {
    format!("{EXPORTS}/{}-{incarnation}{ARCHIVE}", LogicalId::Instance(place))
}

/// Whose logs lie there; `None` = it is no such key.
pub fn log_of(key: &str) -> Option<(Place, u32)> {
    filling(key.strip_prefix(LOGS)?.strip_prefix('/')?)
}

/// Which monitor's records lie there; `None` = it is no such key.
pub fn export_of(key: &str) -> Option<(Place, u32)> {
    filling(key.strip_prefix(EXPORTS)?.strip_prefix('/')?.strip_suffix(ARCHIVE)?)
}

/// How many bytes are kept of what lies there; `None` = it is not kept. Keys come from a listing, so one that would be a
/// path elsewhere on a disk is none of ours.
pub fn kept_bytes(key: &str) -> Option<usize> {
    let log = log_of(key).map(|_| LOG_BYTES_MAX);
    log.or_else(|| export_of(key).map(|_| EXPORT_BYTES_MAX))
}

fn filling(name: &str) -> Option<(Place, u32)> {
    let (place, incarnation) = name.strip_prefix("instance-")?.rsplit_once('-')?;
    let (role, index) = place.rsplit_once('-')?;
    let role = [Role::Baseline, Role::Canary, Role::Monitor]
        .into_iter()
        .find(|known| known.as_str() == role)?;
    let place = Place {
        role,
        index: index.parse().ok()?,
    };
    Some((place, incarnation.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANARY: Place = Place {
        role: Role::Canary,
        index: 1,
    };

    #[test]
    fn keys_are_read_back() {
        assert_eq!(log_key(CANARY, 2), "logs/instance-canary-1-2");
        assert_eq!(log_of(&log_key(CANARY, 2)), Some((CANARY, 2)));
        assert_eq!(export_of(&export_key(CANARY, 2)), Some((CANARY, 2)));
        assert_eq!(kept_bytes(&log_key(CANARY, 2)), Some(LOG_BYTES_MAX));
        assert_eq!(kept_bytes(&export_key(CANARY, 2)), Some(EXPORT_BYTES_MAX));
    }

    #[test]
    fn what_is_no_key_of_ours_is_not_kept() {
        for key in [
            "logs/../../etc/passwd",
            "logs/instance-canary-1-2/..",
            "logs/instance-stranger-1-2",
            "logs/",
            "files/ab",
            "export/instance-monitor-0-1",
            "settings/instance-canary-0-1",
        ] {
            assert_eq!(kept_bytes(key), None, "{key}");
        }
    }
}
