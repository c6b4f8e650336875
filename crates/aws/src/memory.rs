//! What need not be asked in every look: who owns an ARN, and what changes rarely. Lost in a crash, which costs calls only.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arya_plan::identity::{Arm, DeploymentId, Owner, SecurityGroupKind};
use arya_plan::listener::GroupHealth;
use arya_plan::observed::Status;
use aws_sdk_elasticloadbalancingv2::types as elb;
use tokio::time::Instant;

use crate::words::groups::Attributes;

/// Attributes, listeners, load balancers and security groups: people change them by hand, and a look a minute later sees it.
pub(crate) const RARELY: Duration = Duration::from_secs(60);
/// The health of groups that a deployment does not send anybody to.
pub(crate) const OF_OTHERS: Duration = Duration::from_secs(600);
/// Tags may be listed later than what they are on, by seconds; after this a thing without our tags never had them.
const TAGS_LAG_AT_MOST: Duration = Duration::from_secs(60);
/// Entries kept of each kind. An account has at most some thousand rules and groups in a region.
const ENTRIES_MAX: usize = 10_000;

#[derive(Debug)]
pub(crate) struct Memory {
    owners: Mutex<HashMap<String, Asked>>,
    tags_lag: Duration,
    pub(crate) attributes: Remembered<String, Attributes>,
    pub(crate) health: Remembered<String, GroupHealth>,
    pub(crate) groups: Remembered<String, Vec<elb::TargetGroup>>,
    pub(crate) listeners: Remembered<String, Option<(elb::Listener, elb::LoadBalancer)>>,
    /// Our own groups' ARNs, which a look at their targets proves.
    pub(crate) our_groups: Remembered<(DeploymentId, Arm), String>,
    /// Of deployments whose security groups all stand.
    pub(crate) secured: Remembered<DeploymentId, Vec<SecurityGroupKind>>,
    /// Buckets whose tags and rules are known to be as they should.
    pub(crate) whole_buckets: Remembered<String, ()>,
    /// By object and its ETag.
    pub(crate) reports: Remembered<(String, String), Option<Status>>,
}

#[derive(Debug, Clone)]
struct Asked {
    first: Instant,
    owner: Option<Owner>,
}

impl Default for Memory {
    fn default() -> Self {
        Self::with_lag(TAGS_LAG_AT_MOST)
    }
}

impl Memory {
    fn with_lag(tags_lag: Duration) -> Self {
        Self {
            owners: Mutex::default(),
            tags_lag,
            attributes: Remembered::default(),
            health: Remembered::default(),
            groups: Remembered::default(),
            listeners: Remembered::default(),
            our_groups: Remembered::default(),
            secured: Remembered::default(),
            whole_buckets: Remembered::default(),
            reports: Remembered::default(),
        }
    }

    /// The owner of an ARN, `Some(None)` for a stranger's; `None` = ask.
    pub(crate) fn owner(&self, arn: &str) -> Option<Option<Owner>> {
        let owners = locked(&self.owners);
        let asked = owners.get(arn)?;
        let settled = asked.owner.is_some() || asked.first.elapsed() >= self.tags_lag;
        settled.then(|| asked.owner.clone())
    }

    /// What was last heard, settled or not.
    pub(crate) fn noted_owner(&self, arn: &str) -> Option<Owner> {
        locked(&self.owners).get(arn)?.owner.clone()
    }

    pub(crate) fn note_owner(&self, arn: &str, owner: Option<Owner>) {
        let mut owners = locked(&self.owners);
        if owners.len() >= ENTRIES_MAX {
            owners.clear();
        }
        let first = owners.get(arn).map_or_else(Instant::now, |asked| asked.first);
        owners.insert(arn.to_owned(), Asked { first, owner });
    }
}

/// Answers with the time when they were given.
#[derive(Debug)]
pub(crate) struct Remembered<K, V>(Mutex<HashMap<K, (Instant, V)>>);

impl<K, V> Default for Remembered<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Clone> Remembered<K, V> {
    /// The answer, if it is younger than that.
    pub(crate) fn younger_than(&self, age: Duration, key: &K) -> Option<V> {
        let answers = locked(&self.0);
        let (at, value) = answers.get(key)?;
        (at.elapsed() < age).then(|| value.clone())
    }

    pub(crate) fn keep(&self, key: K, value: V) -> V {
        let mut answers = locked(&self.0);
        if answers.len() >= ENTRIES_MAX {
            answers.clear();
        }
        answers.insert(key, (Instant::now(), value.clone()));
        value
    }

    pub(crate) fn forget(&self, key: &K) {
        locked(&self.0).remove(key);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while one of these is held.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use arya_plan::identity::{InstallationId, LogicalId};

    use super::*;

    fn ours() -> Owner {
        Owner {
            installation: InstallationId::new(uuid::Uuid::from_u128(1)),
            deployment: DeploymentId::new(uuid::Uuid::from_u128(2)),
            logical_id: LogicalId::Bucket,
            incarnation: 1,
        }
    }

    #[test]
    fn what_is_ours_stays_ours_and_what_has_no_tags_yet_is_asked_again() {
        let memory = Memory::default();
        assert_eq!(memory.owner("rule"), None);
        memory.note_owner("rule", None);
        assert_eq!(memory.owner("rule"), None, "its tags may only be late");
        memory.note_owner("rule", Some(ours()));
        assert_eq!(memory.owner("rule"), Some(Some(ours())));
    }

    #[test]
    fn who_had_no_tags_for_long_enough_is_a_stranger_and_not_asked_again() {
        let memory = Memory::with_lag(Duration::ZERO);
        memory.note_owner("stranger", None);
        assert_eq!(memory.owner("stranger"), Some(None));
    }

    #[test]
    fn an_answer_ages() {
        let remembered = Remembered::default();
        assert_eq!(remembered.keep("key", 7), 7);
        assert_eq!(remembered.younger_than(RARELY, &"key"), Some(7));
        assert_eq!(remembered.younger_than(Duration::ZERO, &"key"), None);
        remembered.forget(&"key");
        assert_eq!(remembered.younger_than(RARELY, &"key"), None);
    }
}
