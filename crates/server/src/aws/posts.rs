//! A monitor that nothing reaches, as a source of series: what it puts into the bucket, read there.

use std::fmt;
use std::io::Read as _;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arya_aws::AwsCloud;
use arya_judge::source::pack::{CHOOSE_FROM_S, Exposed, Signal, choose};
use arya_judge::source::posted::{PART_S, Part, Posted, UNPACKED_BYTES_MAX, place_of};
use arya_judge::source::{Whose, samples_of};
use arya_judge::{Evidence, MetricConfig, SourceError, Timestamp};
use arya_plan::desired::Desired;
use flate2::read::GzDecoder;
use futures_util::future::BoxFuture;
use jiff::SignedDuration;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// A look waits no longer. Below the engine's own limit for a source, so that the sentence is ours and names the bucket.
const READ_WITHIN: Duration = Duration::from_secs(4);
/// One part, beside the looks: four megabytes over a line of half a megabit.
const PART_WITHIN: Duration = Duration::from_secs(60);

type Packed = BoxFuture<'static, Result<Option<Vec<u8>>, SourceError>>;

/// Where places of a ring are read.
#[derive(Clone)]
pub(super) struct Ring(Arc<dyn Fn(usize) -> Packed + Send + Sync>);

impl Ring {
    /// A deployment's, in its bucket.
    pub(super) fn in_bucket(cloud: AwsCloud, desired: Desired) -> Self {
        let desired = Arc::new(desired);
        Self::new(move |place| {
            let (cloud, desired) = (cloud.clone(), Arc::clone(&desired));
            Box::pin(async move {
                let read = timeout(PART_WITHIN, cloud.posted(&desired, place)).await;
                let read = read.map_err(|_| late(PART_WITHIN))?;
                read.map_err(|error| SourceError::Unreachable {
                    what: error.to_string(),
                })
            })
        })
    }

    pub(super) fn new(read: impl Fn(usize) -> Packed + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ring")
    }
}

/// One monitor's ring, and what was read of it.
#[derive(Debug)]
pub(super) struct Posts {
    ring: Ring,
    scrape_s: f64,
    posted: Arc<Mutex<Posted>>,
    /// The reading that goes on. All metrics of a look ask at once, and the first reads for all; it goes on when a look is
    /// over, so that a slow line brings in the end what no look waits for.
    reading: tokio::sync::Mutex<JoinSet<()>>,
}

impl Posts {
    pub(super) fn new(ring: Ring, scrape: Duration) -> Self {
        Self {
            ring,
            scrape_s: scrape.as_secs_f64(),
            posted: Arc::default(),
            reading: tokio::sync::Mutex::default(),
        }
    }

    /// The default metrics for what both arms of a deployment show; `None` until both have been scraped.
    pub(super) async fn choose(
        &self,
        covered: &[Signal],
        now: Timestamp,
    ) -> Result<Option<Vec<MetricConfig>>, SourceError> {
        let since = now.checked_sub(SignedDuration::from_secs(CHOOSE_FROM_S)).unwrap_or(now);
        let read = self.read(since, now).await;
        let shown = known(&self.posted).label_sets(since, now);
        let exposed = Exposed::of(&or_late(shown, read)?);
        Ok(exposed.is_complete().then(|| choose(&exposed, covered)))
    }

    /// The blocks of a metric in a window.
    pub(super) async fn evidence(
        &self,
        deployment: &str,
        metric: &MetricConfig,
        window: RangeInclusive<Timestamp>,
    ) -> Result<Evidence, SourceError> {
        let watched = metric.watched()?;
        let read = self.read(*window.start(), *window.end()).await;
        let blocks = known(&self.posted).blocks(metric, watched, &window, self.scrape_s);
        let blocks = or_late(blocks, read)?;
        let names = watched.names().into_iter().collect();
        let samples = samples_of(deployment, Whose::Arms, &names, PART_S.unsigned_abs());
        let source = "the deployment's monitor, through the bucket";
        // Production's samples would not be comparable: a machine of it counts whatever reaches it.
        Ok(Evidence::of_samples(metric, source, &samples, self.scrape_s, blocks))
    }

    /// Brings what is known up to now, or what of it comes while a look waits.
    async fn read(&self, from: Timestamp, now: Timestamp) -> Result<(), SourceError> {
        let brought = async {
            let mut reading = self.reading.lock().await;
            ended(&mut reading).await;
            let due = known(&self.posted).due(from, now);
            if due.is_empty() {
                return;
            }
            reading.spawn(bring(self.ring.clone(), Arc::clone(&self.posted), due, now));
            ended(&mut reading).await;
        };
        timeout(READ_WITHIN, brought).await.map_err(|_| late(READ_WITHIN))
    }
}

async fn ended(reading: &mut JoinSet<()>) {
    while let Some(read) = reading.join_next().await {
        if let Err(broken) = read
            && broken.is_panic()
        {
            std::panic::resume_unwind(broken.into_panic());
        }
    }
}

/// One part after the other, so that no more than one is in memory before it is known what it is; what is newest first.
async fn bring(ring: Ring, posted: Arc<Mutex<Posted>>, due: Vec<i64>, now: Timestamp) {
    let mut gone = None;
    for number in due.into_iter().rev() {
        let found = match &gone {
            None => part(&ring, number).await,
            // Who does not answer is not asked for another hour's worth.
            Some(error) => Err(SourceError::clone(error)),
        };
        if let Err(error @ SourceError::Unreachable { .. }) = &found {
            gone = Some(error.clone());
        }
        known(&posted).take(number, now, found);
    }
}

async fn part(ring: &Ring, number: i64) -> Result<Option<Part>, SourceError> {
    let Some(packed) = (ring.0)(place_of(number)).await? else {
        return Ok(None);
    };
    // Some megabytes of text: not where requests of others are served.
    let read = tokio::task::spawn_blocking(move || unpacked(&packed).and_then(|body| Part::read(&body)));
    let part = read
        .await
        .unwrap_or_else(|broken| std::panic::resume_unwind(broken.into_panic()))?;
    Ok(Some(part))
}

fn known(posted: &Mutex<Posted>) -> MutexGuard<'_, Posted> {
    // Nothing panics while it is held.
    posted.lock().unwrap_or_else(PoisonError::into_inner)
}

fn late(within: Duration) -> SourceError {
    SourceError::Unreachable {
        what: format!("the bucket did not answer within {} s", within.as_secs()),
    }
}

/// Nothing there, while it is still being read, is not the monitor's silence.
fn or_late<T>(found: Result<T, SourceError>, read: Result<(), SourceError>) -> Result<T, SourceError> {
    match (found, read) {
        (Err(SourceError::NoData { .. }), Err(late)) => Err(late),
        (found, Ok(()) | Err(_)) => found,
    }
}

/// Whoever has the URL may have put anything there.
fn unpacked(packed: &[u8]) -> Result<Vec<u8>, SourceError> {
    let mut body = Vec::new();
    // One byte more than it may have, so that what is too long is seen.
    let limit = UNPACKED_BYTES_MAX as u64 + 1;
    let read = GzDecoder::new(packed).take(limit).read_to_end(&mut body);
    read.map_err(|error| SourceError::Malformed {
        what: format!("what the monitor put into the bucket cannot be unpacked: {error}"),
    })?;
    Ok(body)
}
