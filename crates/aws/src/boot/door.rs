//! The monitor's door: who may come in. The password stays here; a hash of it goes to the machine.

use std::fmt;

use arya_plan::identity::DeploymentId;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

/// The only user that a monitor knows.
const USER: &str = "arya";
const SALT_BYTES: usize = 8;

/// What every monitor's password is made from: 256 random bits that the server keeps for itself.
#[derive(Clone)]
pub struct DoorKey([u8; 32]);

impl DoorKey {
    pub const fn new(random: [u8; 32]) -> Self {
        Self(random)
    }

    /// How to be let in by the monitor of a deployment.
    pub fn door(&self, deployment: &DeploymentId) -> Door {
        // Key and message have one length each, so nothing can be made longer; each deployment has a password of its own.
        let digest = Sha256::new().chain_update(self.0).chain_update(deployment.to_string());
        Door {
            user: USER,
            password: hex(&digest.finalize()),
        }
    }
}

impl fmt::Debug for DoorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DoorKey(…)")
    }
}

/// A name and a password for HTTP's basic authentication.
#[derive(Clone, PartialEq, Eq)]
pub struct Door {
    pub user: &'static str,
    pub password: String,
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").field("user", &self.user).finish_non_exhaustive()
    }
}

impl Door {
    /// The value of the header that opens the door.
    pub fn authorization(&self) -> String {
        let shown = format!("{}:{}", self.user, self.password);
        format!("Basic {}", aws_smithy_types::base64::encode(shown))
    }

    /// The line of nginx's list of users.
    ///
    /// Its other schemes stretch what people choose, which costs the door milliseconds with every request. This password has
    /// 256 random bits, so all that is asked of the hash is that it cannot be turned round, which SHA-1's cannot.
    pub(super) fn line(&self) -> String {
        let salt = &Sha256::digest(&self.password)[..SALT_BYTES];
        let mut hashed = Sha1::new()
            .chain_update(&self.password)
            .chain_update(salt)
            .finalize()
            .to_vec();
        hashed.extend(salt);
        format!("{}:{{SSHA}}{}", self.user, aws_smithy_types::base64::encode(hashed))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(deployment: u128) -> Door {
        DoorKey::new([7; 32]).door(&DeploymentId::new(uuid::Uuid::from_u128(deployment)))
    }

    #[test]
    fn each_deployment_has_a_password_of_its_own_and_keeps_it() {
        assert_eq!(door(1), door(1));
        assert_ne!(door(1).password, door(2).password);
        assert_eq!(door(1).password.len(), 64);
    }

    #[test]
    fn what_the_machine_is_told_is_a_salted_hash() {
        let line = door(1).line();
        let encoded = line.strip_prefix("arya:{SSHA}").unwrap();
        let bytes = aws_smithy_types::base64::decode(encoded).unwrap();
        assert_eq!(bytes.len(), 20 + SALT_BYTES);
        let again = Sha1::new().chain_update(door(1).password).chain_update(&bytes[20..]);
        assert_eq!(again.finalize().to_vec(), bytes[..20]);
    }

    #[test]
    fn nothing_of_it_is_shown() {
        let shown = format!("{:?} {:?}", DoorKey::new([7; 32]), door(1));
        assert!(!shown.contains(&door(1).password), "{shown}");
    }
}
