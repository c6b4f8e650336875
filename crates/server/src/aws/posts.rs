//! A monitor that nothing reaches, as a source of series: what it puts into the bucket, read there.

use std::fmt;
use std::io::Read as _;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use arya_aws::AwsCloud;
use arya_judge::source::answer::ANSWER_BYTES_MAX;
use arya_judge::source::pack::{Exposed, Signal, choose};
use arya_judge::source::posted::{PART_S, Part, Posted, place_of};
use arya_judge::source::{Origin, block_s, samples_of};
use arya_judge::{Evidence, MetricConfig, SourceError, Timestamp};
use arya_plan::desired::Desired;
use flate2::read::GzDecoder;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use jiff::SignedDuration;

/// Below the engine's own limit for a source, so that the sentence is ours and names the bucket.
const READ_WITHIN: Duration = Duration::from_secs(4);
/// So far back a deployment's series are looked for when its metrics are chosen.
const CHOOSE_FROM: SignedDuration = SignedDuration::from_secs(300);
/// What stands around an answer is less than this.
const UNPACKED_MAX: u64 = ANSWER_BYTES_MAX as u64 + 1024;

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
                let read = tokio::time::timeout(READ_WITHIN, cloud.posted(&desired, place)).await;
                let late = || SourceError::Unreachable {
                    what: format!("the bucket did not answer within {} s", READ_WITHIN.as_secs()),
                };
                let read = read.map_err(|_| late())?;
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
    /// Locked while it is read: all metrics of a look ask at once, and the first reads for all.
    posted: tokio::sync::Mutex<Posted>,
}

impl Posts {
    pub(super) fn new(ring: Ring, scrape: Duration) -> Self {
        Self {
            ring,
            scrape_s: scrape.as_secs_f64(),
            posted: tokio::sync::Mutex::default(),
        }
    }

    /// The default metrics for what both arms of a deployment show; `None` until both have been scraped.
    pub(super) async fn choose(
        &self,
        covered: &[Signal],
        now: Timestamp,
    ) -> Result<Option<Vec<MetricConfig>>, SourceError> {
        let since = now.checked_sub(CHOOSE_FROM).unwrap_or(now);
        let mut posted = self.posted.lock().await;
        self.read(&mut posted, since, now).await;
        let exposed = Exposed::of(&posted.label_sets(since, now)?);
        Ok(exposed.is_complete().then(|| choose(&exposed, covered)))
    }

    /// The blocks of a metric in a window.
    pub(super) async fn evidence(
        &self,
        deployment: &str,
        metric: &MetricConfig,
        window: RangeInclusive<Timestamp>,
    ) -> Result<Evidence, SourceError> {
        let Origin::Series(watched) = &metric.from else {
            let what = format!("the metric `{}` is not made of series", metric.name);
            return Err(SourceError::NoData { what });
        };
        let mut posted = self.posted.lock().await;
        self.read(&mut posted, *window.start(), *window.end()).await;
        let (blocks, production) = posted.blocks(metric, watched, &window, self.scrape_s)?;
        let names = watched.names().into_iter().collect();
        Ok(Evidence {
            metric: metric.name.clone(),
            source: "the deployment's monitor, through the bucket".into(),
            query: format!(
                "{}, from the raw samples of {}",
                metric.query,
                samples_of(deployment, &names, PART_S.unsigned_abs())
            ),
            block_s: block_s(self.scrape_s),
            blocks,
            production,
            problem: None,
        })
    }

    /// Brings what is known up to now. What was read stays read when a look is given up.
    async fn read(&self, posted: &mut Posted, from: Timestamp, now: Timestamp) {
        let due = posted.due(from, now).into_iter();
        let mut reading: FuturesUnordered<_> = due
            .map(|number| async move { (number, self.part(number).await) })
            .collect();
        while let Some((number, found)) = reading.next().await {
            posted.take(number, now, found);
        }
    }

    async fn part(&self, number: i64) -> Result<Option<Part>, SourceError> {
        let Some(packed) = (self.ring.0)(place_of(number)).await? else {
            return Ok(None);
        };
        // Some megabytes of text: not where requests of others are served.
        let read = tokio::task::spawn_blocking(move || unpacked(&packed).and_then(|body| Part::read(&body)));
        let part = read
            .await
            .unwrap_or_else(|broken| std::panic::resume_unwind(broken.into_panic()))?;
        Ok(Some(part))
    }
}

/// Whoever has the URL may have put anything there.
fn unpacked(packed: &[u8]) -> Result<Vec<u8>, SourceError> {
    let mut body = Vec::new();
    let read = GzDecoder::new(packed).take(UNPACKED_MAX).read_to_end(&mut body);
    read.map_err(|error| SourceError::Malformed {
        what: format!("what the monitor put into the bucket cannot be unpacked: {error}"),
    })?;
    Ok(body)
}
