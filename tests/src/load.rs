//! A load client of our own: requests go out when they are due, however late the answers are, and every answer is
//! checked to its last byte.

mod ask;
mod files;
mod pool;
mod walk;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use ask::versions;
pub use pool::connect;
pub use walk::{Walk, Walked, cycles_under_load};

use ask::{Answered, Ask};
use pool::Pool;

/// A response that takes longer than its kind must counts as lost.
const ANSWER_MAX: Duration = Duration::from_secs(20);
/// Requests under way at once. At 500 a second this is four seconds of no answer at all; one more counts as lost.
const UNDER_WAY_MAX: usize = 2_000;
/// Losses that are kept word for word.
const WORDS_MAX: usize = 20;

/// What came of the requests.
#[derive(Debug, Default)]
pub struct Counts {
    pub sent: AtomicU64,
    /// Complete, with the status, the length and the bytes that the request must have.
    pub good: AtomicU64,
    /// Complete, but not what it must be.
    pub bad: AtomicU64,
    /// No complete answer: refused, reset, cut off, too slow.
    pub lost: AtomicU64,
    /// Documents that began under one share and were taken whole by the canary under another.
    pub straddled: AtomicU64,
    /// Bodies that were sent or received slowly on purpose.
    pub slow: AtomicU64,
    /// Bytes of documents that were sent.
    pub uploaded: AtomicU64,
    latencies_micros: Mutex<Vec<u32>>,
    words: Mutex<Vec<String>>,
}

impl Counts {
    /// Requests that a user would have seen fail.
    pub fn failed(&self) -> u64 {
        self.bad.load(Ordering::SeqCst) + self.lost.load(Ordering::SeqCst)
    }

    /// Complaints, the first few of them.
    pub fn words(&self) -> Vec<String> {
        self.words.lock().unwrap().clone()
    }

    /// The latency that this share (0 to 1) of the short requests did not exceed, from the moment each was due.
    pub fn latency(&self, share: f64) -> Duration {
        let mut all = self.latencies_micros.lock().unwrap().clone();
        all.sort_unstable();
        let last = all.len().saturating_sub(1);
        let at = (last as f64 * share).round() as usize;
        Duration::from_micros(u64::from(all.get(at).copied().unwrap_or(0)))
    }

    fn complain(&self, counter: &AtomicU64, what: String) {
        counter.fetch_add(1, Ordering::SeqCst);
        let mut words = self.words.lock().unwrap();
        if words.len() < WORDS_MAX {
            words.push(what);
        }
    }

    fn lose(&self, what: String) {
        self.complain(&self.lost, what);
    }
}

/// A running load.
pub struct Load {
    stop: CancellationToken,
    pub counts: Arc<Counts>,
    /// Counts the changes of shares, so that a request knows whether one happened under it.
    pub epoch: Arc<AtomicU64>,
    clock: tokio::task::JoinHandle<()>,
}

/// What every request needs.
struct Client {
    pool: Pool,
    counts: Arc<Counts>,
    epoch: Arc<AtomicU64>,
    room: Arc<Semaphore>,
}

impl Load {
    /// Sends `per_s` requests a second to `address`, a host and port, until stopped. The `n`-th is due at `n / per_s`
    /// seconds after the start, whatever became of those before it.
    pub fn start(address: &str, per_s: u32) -> Self {
        let (counts, epoch) = (Arc::new(Counts::default()), Arc::new(AtomicU64::new(0)));
        let client = Arc::new(Client {
            pool: Pool::new(address),
            counts: Arc::clone(&counts),
            epoch: Arc::clone(&epoch),
            room: Arc::new(Semaphore::new(UNDER_WAY_MAX)),
        });
        let stop = CancellationToken::new();
        let clock = tokio::spawn(send_all(client, per_s, stop.clone()));
        Self {
            stop,
            counts,
            epoch,
            clock,
        }
    }

    /// Stops, and waits for every answer that is still due.
    pub async fn stop(self) -> Arc<Counts> {
        self.stop.cancel();
        self.clock.await.unwrap();
        self.counts
    }
}

async fn send_all(client: Arc<Client>, per_s: u32, stop: CancellationToken) {
    let requests = TaskTracker::new();
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / per_s);
    // What was missed is sent at once and measured from when it was due: no pause of ours hides a pause of theirs.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut number = 0;
    while let Some(due) = stop.run_until_cancelled(ticks.tick()).await {
        client.counts.sent.fetch_add(1, Ordering::SeqCst);
        match Arc::clone(&client.room).try_acquire_owned() {
            Ok(place) => {
                let client = Arc::clone(&client);
                requests.spawn(async move {
                    client.exchange(Ask::number(number), due).await;
                    drop(place);
                });
            }
            Err(_) => client
                .counts
                .lose(format!("{UNDER_WAY_MAX} requests had no answer yet")),
        }
        number += 1;
    }
    requests.close();
    requests.wait().await;
}

impl Client {
    async fn exchange(&self, ask: Ask, due: Instant) {
        let (counts, epoch) = (&self.counts, self.epoch.load(Ordering::SeqCst));
        let answer = tokio::time::timeout_at(due + ANSWER_MAX, ask.exchange(&self.pool)).await;
        match answer {
            Err(_) => counts.lose(format!("{ask:?}: no complete answer within {ANSWER_MAX:?}")),
            Ok(Err(error)) => counts.lose(format!("{ask:?}: {error}")),
            Ok(Ok(answer)) => match ask.check(&answer) {
                Ok(answered) => {
                    counts.good.fetch_add(1, Ordering::SeqCst);
                    self.note(ask, answered, epoch, due);
                }
                Err(what) => counts.complain(&counts.bad, format!("{ask:?}: {what}")),
            },
        }
    }

    fn note(&self, ask: Ask, answered: Answered, epoch: u64, due: Instant) {
        let counts = &self.counts;
        if answered == Answered::ByCanary && ask.is_slow() && epoch != self.epoch.load(Ordering::SeqCst) {
            counts.straddled.fetch_add(1, Ordering::SeqCst);
        }
        counts.uploaded.fetch_add(ask.upload_bytes(), Ordering::SeqCst);
        if ask.is_slow() {
            counts.slow.fetch_add(1, Ordering::SeqCst);
        } else {
            let micros = u32::try_from(due.elapsed().as_micros()).unwrap_or(u32::MAX);
            counts.latencies_micros.lock().unwrap().push(micros);
        }
    }
}
