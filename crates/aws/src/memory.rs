//! What need not be asked in every look: who owns an ARN, and what changes rarely. Lost in a crash, which costs calls only.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arya_plan::cloud::CloudError;
use arya_plan::identity::{Arm, DeploymentId, InstallationId, Owner, SecurityGroupKind};
use arya_plan::left::Log;
use arya_plan::listener::{GroupHealth, Rule};
use arya_plan::observed::Status;
use arya_plan::surroundings::{Rights, Surroundings, Traffic};
use aws_sdk_ec2::types as ec2;
use aws_sdk_elasticloadbalancingv2::types as elb;

use crate::pace::Clock;
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
    clock: Clock,
    /// By listener; `None` = there is no such listener.
    pub(crate) rules: Shared<String, Option<Vec<Rule>>>,
    /// Everything of an installation that EC2 lists.
    pub(crate) instances: Shared<InstallationId, Vec<ec2::Instance>>,
    pub(crate) attributes: Remembered<String, Attributes>,
    /// What stands around a listener, by everything that was asked with it.
    pub(crate) around: Remembered<String, Surroundings>,
    /// By the listener and what is said of a launch there.
    pub(crate) rights: Remembered<String, Rights>,
    /// By load balancer and production's groups.
    pub(crate) traffic: Shared<String, Traffic>,
    pub(crate) health: Remembered<String, GroupHealth>,
    pub(crate) groups: Remembered<String, Vec<elb::TargetGroup>>,
    pub(crate) listeners: Remembered<String, Option<(elb::Listener, elb::LoadBalancer)>>,
    /// Our own groups' ARNs, which a look at their targets proves.
    pub(crate) our_groups: Remembered<(DeploymentId, Arm), String>,
    /// Of deployments whose security groups all stand.
    pub(crate) secured: Remembered<DeploymentId, Vec<SecurityGroupKind>>,
    /// Buckets whose tags and rules are known to be as they should.
    pub(crate) whole_buckets: Remembered<String, ()>,
    /// What the containers of a deployment printed.
    pub(crate) logs: Shared<DeploymentId, Arc<[Log]>>,
    /// By instance, of those that never said anything.
    pub(crate) consoles: Remembered<String, Option<String>>,
    /// By object and its ETag.
    pub(crate) reports: Remembered<(String, String), Option<Status>>,
}

#[derive(Debug, Clone)]
struct Asked {
    first: Duration,
    /// When it was last heard or wanted.
    last: Duration,
    owner: Option<Owner>,
}

impl Memory {
    pub(crate) fn new(clock: &Clock) -> Self {
        Self::with_lag(TAGS_LAG_AT_MOST, clock)
    }

    fn with_lag(tags_lag: Duration, clock: &Clock) -> Self {
        Self {
            owners: Mutex::default(),
            tags_lag,
            clock: clock.clone(),
            rules: Shared::new(clock),
            instances: Shared::new(clock),
            attributes: Remembered::new(clock),
            around: Remembered::new(clock),
            rights: Remembered::new(clock),
            traffic: Shared::new(clock),
            health: Remembered::new(clock),
            groups: Remembered::new(clock),
            listeners: Remembered::new(clock),
            our_groups: Remembered::new(clock),
            secured: Remembered::new(clock),
            whole_buckets: Remembered::new(clock),
            logs: Shared::new(clock),
            consoles: Remembered::new(clock),
            reports: Remembered::new(clock),
        }
    }

    /// The owner of an ARN, `Some(None)` for a stranger's; `None` = ask.
    pub(crate) fn owner(&self, arn: &str) -> Option<Option<Owner>> {
        let (mut owners, now) = (locked(&self.owners), self.clock.now());
        let asked = owners.get_mut(arn)?;
        asked.last = now;
        let settled = asked.owner.is_some() || now.saturating_sub(asked.first) >= self.tags_lag;
        settled.then(|| asked.owner.clone())
    }

    /// What was last heard, settled or not.
    pub(crate) fn noted_owner(&self, arn: &str) -> Option<Owner> {
        locked(&self.owners).get(arn)?.owner.clone()
    }

    pub(crate) fn note_owner(&self, arn: &str, owner: Option<Owner>) {
        let (mut owners, now) = (locked(&self.owners), self.clock.now());
        if owners.len() >= ENTRIES_MAX {
            // What nobody wanted for long is gone. Who owns what is listed must never be forgotten between two questions.
            owners.retain(|_, asked| now.saturating_sub(asked.last) < OF_OTHERS);
        }
        let first = owners.get(arn).map_or(now, |asked| asked.first);
        let asked = Asked {
            first,
            last: now,
            owner,
        };
        owners.insert(arn.to_owned(), asked);
    }
}

/// Answers that several looks share: who asks while somebody asks the same waits for his answer.
#[derive(Debug)]
pub(crate) struct Shared<K, V> {
    slots: Mutex<HashMap<K, Slot<V>>>,
    clock: Clock,
}

type Slot<V> = Arc<tokio::sync::Mutex<Option<(Duration, V)>>>;

impl<K: Eq + Hash, V: Clone> Shared<K, V> {
    fn new(clock: &Clock) -> Self {
        Self {
            slots: Mutex::default(),
            clock: clock.clone(),
        }
    }

    fn slot(&self, key: K) -> Slot<V> {
        let mut slots = locked(&self.slots);
        if slots.len() >= ENTRIES_MAX {
            slots.clear();
        }
        slots.entry(key).or_default().clone()
    }

    /// The answer if it is younger than that, else a new one. Answers never go back in time.
    pub(crate) async fn get(
        &self,
        key: K,
        age: Duration,
        ask: impl Future<Output = Result<V, CloudError>>,
    ) -> Result<V, CloudError> {
        self.get_while(key, |_| age, ask).await
    }

    /// The same, where the answer itself says for how long it holds.
    pub(crate) async fn get_while<E>(
        &self,
        key: K,
        holds: impl Fn(&V) -> Duration,
        ask: impl Future<Output = Result<V, E>>,
    ) -> Result<V, E> {
        let slot = self.slot(key);
        let mut slot = slot.lock().await;
        let asked = self.clock.now();
        if let Some((at, answer)) = slot.as_ref()
            && asked.saturating_sub(*at) < holds(answer)
        {
            return Ok(answer.clone());
        }
        let answer = ask.await?;
        *slot = Some((asked, answer.clone()));
        Ok(answer)
    }

    /// After a change: not even an answer that is on its way is one to what stands now.
    pub(crate) async fn forget(&self, key: K) {
        *self.slot(key).lock().await = None;
    }
}

/// Answers with the time when they were given.
#[derive(Debug)]
pub(crate) struct Remembered<K, V> {
    answers: Mutex<HashMap<K, (Duration, V)>>,
    clock: Clock,
}

impl<K: Eq + Hash, V: Clone> Remembered<K, V> {
    fn new(clock: &Clock) -> Self {
        Self {
            answers: Mutex::default(),
            clock: clock.clone(),
        }
    }

    /// The answer, if it is younger than that.
    pub(crate) fn younger_than(&self, age: Duration, key: &K) -> Option<V> {
        let answers = locked(&self.answers);
        let (at, value) = answers.get(key)?;
        (self.clock.now().saturating_sub(*at) < age).then(|| value.clone())
    }

    pub(crate) fn keep(&self, key: K, value: V) -> V {
        let mut answers = locked(&self.answers);
        if answers.len() >= ENTRIES_MAX {
            answers.clear();
        }
        answers.insert(key, (self.clock.now(), value.clone()));
        value
    }

    pub(crate) fn forget(&self, key: &K) {
        locked(&self.answers).remove(key);
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
        let memory = Memory::new(&Clock::Real);
        assert_eq!(memory.owner("rule"), None);
        memory.note_owner("rule", None);
        assert_eq!(memory.owner("rule"), None, "its tags may only be late");
        memory.note_owner("rule", Some(ours()));
        assert_eq!(memory.owner("rule"), Some(Some(ours())));
    }

    #[test]
    fn who_had_no_tags_for_long_enough_is_a_stranger_and_not_asked_again() {
        let memory = Memory::with_lag(Duration::ZERO, &Clock::Real);
        memory.note_owner("stranger", None);
        assert_eq!(memory.owner("stranger"), Some(None));
    }

    #[test]
    fn an_answer_ages() {
        let remembered = Remembered::new(&Clock::Real);
        assert_eq!(remembered.keep("key", 7), 7);
        assert_eq!(remembered.younger_than(RARELY, &"key"), Some(7));
        assert_eq!(remembered.younger_than(Duration::ZERO, &"key"), None);
        remembered.forget(&"key");
        assert_eq!(remembered.younger_than(RARELY, &"key"), None);
    }

    #[test]
    fn a_full_memory_forgets_what_nobody_wanted_for_long_and_never_whose_is_what_is_wanted() {
        let passed = Arc::<std::sync::atomic::AtomicI64>::default();
        let memory = Memory::new(&Clock::Driven(passed.clone()));
        memory.note_owner("rule", Some(ours()));
        for number in 0..ENTRIES_MAX - 1 {
            memory.note_owner(&number.to_string(), None);
        }
        passed.fetch_add(600_000, std::sync::atomic::Ordering::SeqCst);
        assert_eq!(memory.owner("rule"), Some(Some(ours())));
        memory.note_owner("one more", None);
        assert_eq!(memory.owner("rule"), Some(Some(ours())));
        assert_eq!(memory.noted_owner("0"), None);
        assert_eq!(locked(&memory.owners).len(), 2);
    }

    #[tokio::test]
    async fn an_answer_is_shared_until_it_ages_or_something_was_changed() {
        let passed = Arc::<std::sync::atomic::AtomicI64>::default();
        let shared = Shared::new(&Clock::Driven(passed.clone()));
        let second = Duration::from_secs(1);
        let get = |answer: u32| shared.get("key", second, async move { Ok(answer) });
        assert_eq!(get(1).await, Ok(1));
        assert_eq!(get(2).await, Ok(1));
        passed.fetch_add(1_000, std::sync::atomic::Ordering::SeqCst);
        assert_eq!(get(3).await, Ok(3));
        shared.forget("key").await;
        assert_eq!(get(4).await, Ok(4));
        let no = CloudError::not_yet("no");
        let refused = shared.get("key", Duration::ZERO, async { Err(no.clone()) });
        assert_eq!(refused.await, Err(no.clone()));
        assert_eq!(get(5).await, Ok(4), "a no is not kept");
    }
    #[tokio::test]
    async fn who_asks_meanwhile_waits_and_an_answer_says_for_how_long_it_holds() {
        let passed = Arc::<std::sync::atomic::AtomicI64>::default();
        let shared = Shared::new(&Clock::Driven(passed.clone()));
        let seconds = |answer: &u64| Duration::from_secs(*answer);
        let get = |answer: u64| {
            shared.get_while("key", seconds, async move {
                tokio::task::yield_now().await;
                Ok::<_, std::convert::Infallible>(answer)
            })
        };
        assert_eq!(tokio::join!(get(1), get(2)), (Ok(1), Ok(1)), "asked once");
        passed.fetch_add(1_000, std::sync::atomic::Ordering::SeqCst);
        assert_eq!(get(3).await, Ok(3));
        passed.fetch_add(2_999, std::sync::atomic::Ordering::SeqCst);
        assert_eq!(get(4).await, Ok(3));
    }
}
