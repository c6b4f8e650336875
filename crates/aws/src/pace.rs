//! How often an account is asked: the load balancers' and EC2's listings have one allowance for all deployments, which
//! people's own tools share. Beyond it looks stretch, and nothing that takes users away ever waits.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use arya_plan::identity::DeploymentId;
use tokio::time::Instant;

use crate::calls::Call;

/// Listings a second over all deployments of an account and region. Elastic Load Balancing gives an account ten, for
/// everybody in it (Elastic Load Balancing API reference, "API throttling").
const PER_S: f64 = 3.0;
/// What may be asked at once after a pause: a usual look at one deployment.
const AT_ONCE: f64 = 2.0 * PER_S;
/// What steps may take beyond it: that of a second. A launch asks a lot at once, and the looks after it must see what it did.
const OWED_AT_MOST: f64 = PER_S;
/// A look has 15 s in the engine; whoever waits longer for his turn is told so instead.
const A_LOOK_WAITS_AT_MOST: Duration = Duration::from_secs(5);
/// A person who plans, deploys or destroys waits behind the looks.
const A_PERSON_WAITS_AT_MOST: Duration = Duration::from_secs(30);
/// What pages show of a whole account is asked behind everybody, also where twenty deployments leave little.
const A_PAGE_WAITS_AT_MOST: Duration = Duration::from_secs(300);
/// What a person leaves of the allowance, so that a look finds its turn at once, and what pages leave to both.
const A_PERSON_LEAVES: f64 = 2.0;
const A_PAGE_LEAVES: f64 = 4.0;
/// Looks of several deployments within this time share what they ask alike; one deployment's own are two seconds apart.
const SHARED_FOR: Duration = Duration::from_millis(1_900);
/// Of twenty deployments each look comes a second after another's.
const FOR_EACH: Duration = Duration::from_millis(250);
const SHARED_FOR_AT_MOST: Duration = Duration::from_secs(5);
/// Several deployments leave so much of the allowance to what is asked rarely, and to pages.
const OF_SEVERAL: f64 = 0.9;
/// Looks over which the rare ones that ask a lot are spread.
const SMOOTHED_OVER: f64 = 4.0;
/// Of its part: who uses so much of it would use more.
const NEARLY: f64 = 0.9;
/// A deployment that was not looked at for so long has ended.
const LOOKED_AT_WITHIN: Duration = Duration::from_secs(300);

/// Time as this crate sees it.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    #[default]
    Real,
    /// So many times as fast, for tests of what happens at the same time.
    Hastened(u32),
    /// Milliseconds that a test counts; waiting moves them on.
    Driven(Arc<AtomicI64>),
}

impl Clock {
    /// Since some point in the past.
    pub(crate) fn now(&self) -> Duration {
        static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
        match self {
            Self::Real => BEGAN.elapsed(),
            Self::Hastened(times) => BEGAN.elapsed() * *times,
            Self::Driven(passed) => Duration::from_millis(passed.load(Ordering::SeqCst).unsigned_abs()),
        }
    }

    async fn sleep(&self, time: Duration) {
        match self {
            Self::Real => tokio::time::sleep(time).await,
            Self::Hastened(times) => tokio::time::sleep(time / *times).await,
            Self::Driven(passed) => {
                let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
                passed.fetch_add(millis.saturating_add(1), Ordering::SeqCst);
                // As in a true wait, others come first.
                tokio::task::yield_now().await;
            }
        }
    }
}

/// Whether an account's allowance is kept to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowance {
    OfAnAccount,
    Unlimited,
}

impl Allowance {
    /// A server of somebody's own is shared with nobody; an empty endpoint is AWS.
    pub(crate) fn at(endpoint: &str) -> Self {
        let host = endpoint.split("://").last().unwrap_or_default();
        let host = host.split(['/', ':']).next().unwrap_or_default();
        if host.is_empty() || host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn") {
            Self::OfAnAccount
        } else {
            Self::Unlimited
        }
    }
}

/// The allowance of one account and region.
#[derive(Debug)]
pub(crate) struct Pace {
    clock: Clock,
    allowance: Allowance,
    state: Mutex<State>,
    /// Whoever waits is served in the order of asking, among his like.
    queues: [tokio::sync::Mutex<()>; 3],
}

#[derive(Debug)]
struct State {
    left: f64,
    counted_at: Duration,
    looks: HashMap<DeploymentId, Looked>,
}

/// The last look at a deployment, and how often it is looked at.
#[derive(Debug, Clone, Copy)]
struct Looked {
    at: Duration,
    every: Duration,
    listings: f64,
}

impl Looked {
    fn per_s(&self) -> f64 {
        self.listings / self.every.as_secs_f64().max(1.0)
    }
}

/// Everybody who asks the same account in the same region at the same endpoint has the same one.
type Accounts = HashMap<(String, String, String), Weak<Pace>>;
static ACCOUNTS: LazyLock<Mutex<Accounts>> = LazyLock::new(Mutex::default);

impl Pace {
    pub(crate) fn new(clock: Clock, allowance: Allowance) -> Self {
        let state = State {
            left: AT_ONCE,
            counted_at: clock.now(),
            looks: HashMap::new(),
        };
        Self {
            clock,
            allowance,
            state: Mutex::new(state),
            queues: Default::default(),
        }
    }

    /// The one of that account, region and endpoint.
    pub(crate) fn of(account: (String, String, String), clock: Clock, allowance: Allowance) -> Arc<Self> {
        let mut accounts = locked(&ACCOUNTS);
        accounts.retain(|_, pace| pace.strong_count() > 0);
        if let Some(pace) = accounts.get(&account).and_then(Weak::upgrade) {
            return pace;
        }
        let pace = Arc::new(Self::new(clock, allowance));
        accounts.insert(account, Arc::downgrade(&pace));
        pace
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = locked(&self.state);
        let now = self.clock.now();
        let passed = now.saturating_sub(state.counted_at).as_secs_f64();
        state.left = (state.left + passed * PER_S).min(AT_ONCE);
        state.counted_at = now;
        state
    }

    /// How old an answer may be that looks share: less than any look's distance to the next, and more only where sharing
    /// brings that distance down by more.
    pub(crate) fn shared_for(&self) -> Duration {
        match self.allowance {
            Allowance::OfAnAccount => {
                let looked_at = u32::try_from(self.state().looks.len()).unwrap_or(u32::MAX);
                (FOR_EACH * looked_at.min(100)).clamp(SHARED_FOR, SHARED_FOR_AT_MOST)
            }
            Allowance::Unlimited => Duration::ZERO,
        }
    }

    /// Takes one listing off the allowance, after a wait where too little is left of it. `false` = it would be too long.
    /// Whoever leaves more to others never comes before them: while they wait, less than that is left.
    async fn turn(&self, rank: Rank) -> bool {
        if self.allowance == Allowance::Unlimited {
            return true;
        }
        let asked = self.clock.now();
        let _in_order = self.queues[rank.queue()].lock().await;
        let enough = 1.0 + rank.leaves();
        loop {
            let wait = {
                let mut state = self.state();
                if state.left >= enough {
                    state.left -= 1.0;
                    return true;
                }
                Duration::from_secs_f64((enough - state.left) / PER_S)
            };
            if self.clock.now().saturating_sub(asked) + wait > rank.waits_at_most() {
                return false;
            }
            self.clock.sleep(wait).await;
        }
    }

    /// What takes users away or removes what is ours is counted, and never held up.
    fn take(&self) {
        if self.allowance == Allowance::OfAnAccount {
            let mut state = self.state();
            state.left = (state.left - 1.0).max(-OWED_AT_MOST);
        }
    }

    /// How soon a deployment may be looked at again, after a look that took so many listings. Each has an equal part of the
    /// allowance, and what some leave of theirs is divided among those that use it up.
    fn looked(&self, deployment: DeploymentId, listings: u32) -> Option<Duration> {
        if self.allowance == Allowance::Unlimited {
            return None;
        }
        let mut state = self.state();
        let now = state.counted_at;
        state
            .looks
            .retain(|_, looked| now.saturating_sub(looked.at) < LOOKED_AT_WITHIN);
        let before = state.looks.get(&deployment).copied();
        // What some looks ask besides is spread over those that do not.
        let listings = before.map_or(f64::from(listings), |before| {
            before.listings + (f64::from(listings) - before.listings) / SMOOTHED_OVER
        });
        let every = before.map_or(LOOKED_AT_WITHIN, |before| now.saturating_sub(before.at));
        state.looks.insert(
            deployment,
            Looked {
                at: now,
                every,
                listings,
            },
        );
        let for_looks = if state.looks.len() > 1 {
            OF_SEVERAL * PER_S
        } else {
            PER_S
        };
        let share = for_looks / state.looks.len() as f64;
        let others = || {
            state
                .looks
                .iter()
                .filter(|(id, _)| **id != deployment)
                .map(|(_, one)| one.per_s())
        };
        let left_over: f64 = others().map(|per_s| (share - per_s).max(0.0)).sum();
        let wanting_more = 1 + others().filter(|per_s| *per_s >= NEARLY * share).count();
        Some(Duration::from_secs_f64(
            listings / (share + left_over / wanting_more as f64),
        ))
    }
}

/// Who asks, and how many listings it has taken.
#[derive(Debug, Clone)]
struct Asker {
    pace: Arc<Pace>,
    who: Who,
    listings: Arc<AtomicU32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// What changes something for a deployment is counted and never waits.
    Step,
    Waits(Rank),
}

/// Who comes before whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rank {
    /// A look at a deployment: what it sees may take users away.
    Look,
    /// Somebody waits for the answer.
    Person,
    /// What pages show of everything that stands; nobody waits for it.
    Page,
}

impl Rank {
    const fn queue(self) -> usize {
        match self {
            Self::Look => 0,
            Self::Person => 1,
            Self::Page => 2,
        }
    }

    const fn leaves(self) -> f64 {
        match self {
            Self::Look => 0.0,
            Self::Person => A_PERSON_LEAVES,
            Self::Page => A_PAGE_LEAVES,
        }
    }

    const fn waits_at_most(self) -> Duration {
        match self {
            Self::Look => A_LOOK_WAITS_AT_MOST,
            Self::Person => A_PERSON_WAITS_AT_MOST,
            Self::Page => A_PAGE_WAITS_AT_MOST,
        }
    }
}

tokio::task_local! {
    static ASKER: Asker;
}

/// Does something whose listings are taken off the allowance.
pub(crate) async fn paced<T>(pace: &Arc<Pace>, who: Who, work: impl Future<Output = T>) -> T {
    let asker = Asker {
        pace: pace.clone(),
        who,
        listings: Arc::default(),
    };
    ASKER.scope(asker, work).await
}

/// A look at a deployment, and how soon the next one may be.
pub(crate) async fn look<T>(
    pace: &Arc<Pace>,
    deployment: DeploymentId,
    work: impl Future<Output = T>,
) -> (T, Option<Duration>) {
    let listings = Arc::<AtomicU32>::default();
    let asker = Asker {
        pace: pace.clone(),
        who: Who::Waits(Rank::Look),
        listings: listings.clone(),
    };
    let seen = ASKER.scope(asker, work).await;
    (seen, pace.looked(deployment, listings.load(Ordering::Relaxed)))
}

/// Before a call is made: `false` = it is not its turn for too long.
pub(crate) async fn turn(call: Call) -> bool {
    if !is_listing(call) {
        return true;
    }
    let Ok(asker) = ASKER.try_with(Clone::clone) else {
        return true;
    };
    asker.listings.fetch_add(1, Ordering::Relaxed);
    match asker.who {
        Who::Step => {
            asker.pace.take();
            true
        }
        Who::Waits(rank) => asker.pace.turn(rank).await,
    }
}

/// S3 counts by bucket and in thousands.
fn is_listing(call: Call) -> bool {
    let action = call.row().action;
    ["elasticloadbalancing:Describe", "ec2:Describe"]
        .iter()
        .any(|listing| action.starts_with(listing))
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while one of these is held.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
