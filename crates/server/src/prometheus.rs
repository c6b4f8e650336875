//! A deployment's monitor as a source of evidence, asked over Prometheus' HTTP API: the embedded one of `arya try` in
//! process, any other over the network, with the same questions and the same reading of answers.
//!
//! It must never compute with samples: what they mean is the judge's.

mod asking;
mod batch;

use std::collections::{BTreeSet, HashMap};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arya_judge::source::answer::{Series, label_sets, series};
use arya_judge::source::pack::{CHOOSE_FROM_S, Exposed, Signal, choose};
use arya_judge::source::{Watched, Whose, blocks, everything_of, look_back_s, production, samples_of};
use arya_judge::{Beside, Block, Evidence, MetricConfig, SourceError, Timestamp};

pub(crate) use asking::Monitored;
use batch::{Batch, Need};

/// So many scrapes are asked for at once: a thousand series of them are 3 MB. A longer span, after a pause, is read in
/// pieces, so that no answer grows with it.
const SCRAPES_AT_ONCE: f64 = 120.0;
/// The longest piece, in seconds.
const PIECE_S_MAX: f64 = 600.0;
/// Pieces without any data that one question steps over: the hour that the engine looks back is 30 of the shortest.
const EMPTY_PIECES_MAX: usize = 32;

/// A monitor and what is being asked of it.
#[derive(Debug)]
pub(crate) struct Prometheus {
    monitor: Monitored,
    /// Seconds between scrapes, as this installation configures its monitors.
    scrape_s: f64,
    /// Seconds that are asked for at once.
    piece_s: f64,
    batches: Mutex<HashMap<String, Arc<Batch>>>,
}

impl Prometheus {
    pub(crate) fn new(monitor: Monitored, scrape: Duration) -> Self {
        Self {
            monitor,
            scrape_s: scrape.as_secs_f64(),
            piece_s: (scrape.as_secs_f64() * SCRAPES_AT_ONCE).min(PIECE_S_MAX),
            batches: Mutex::default(),
        }
    }

    /// The default metrics for what both arms of a deployment show; `None` until both have been scraped.
    pub(crate) async fn choose(
        &self,
        deployment: &str,
        covered: &[Signal],
        now: Timestamp,
    ) -> Result<Option<Vec<MetricConfig>>, SourceError> {
        let selector = everything_of(deployment);
        let seconds = now.as_second();
        let (start, end) = (seconds.saturating_sub(CHOOSE_FROM_S).to_string(), seconds.to_string());
        let form = [("match[]", selector.as_str()), ("start", &start), ("end", &end)];
        let exposed = Exposed::of(&label_sets(&self.monitor.ask("series", &form).await?)?);
        Ok(exposed.is_complete().then(|| choose(&exposed, covered)))
    }

    /// The blocks of a metric in a window.
    pub(crate) async fn evidence(
        &self,
        deployment: &str,
        metric: &MetricConfig,
        window: RangeInclusive<Timestamp>,
    ) -> Result<Evidence, SourceError> {
        let watched = metric.watched()?;
        let span_s = window.end().duration_since(*window.start()).as_secs_f64();
        let (found, beside) = if span_s <= self.piece_s {
            let series = self.with_others(deployment, watched, &window).await?;
            self.read(metric, watched, &series, &window)?
        } else {
            self.in_pieces(deployment, metric, watched, window).await?
        };
        let samples = samples_of(deployment, self.monitor.whose(), &names(watched), self.piece_s as u64);
        Ok(Evidence {
            production: beside,
            ..Evidence::of_samples(metric, self.monitor.to_string(), &samples, self.scrape_s, found)
        })
    }

    /// The blocks of both arms, and what production showed beside them.
    fn read(
        &self,
        metric: &MetricConfig,
        watched: &Watched,
        series: &[Series],
        window: &RangeInclusive<Timestamp>,
    ) -> Result<(Vec<Block>, Vec<Beside>), SourceError> {
        let arms = blocks(metric, watched, series, window, self.scrape_s)?;
        let beside = match self.monitor.whose() {
            Whose::Arms => Vec::new(),
            Whose::ArmsAndProduction => production(metric, watched, series, window, self.scrape_s, &arms),
        };
        Ok((arms, beside))
    }

    /// The first piece of a long window that has blocks.
    async fn in_pieces(
        &self,
        deployment: &str,
        metric: &MetricConfig,
        watched: &Watched,
        window: RangeInclusive<Timestamp>,
    ) -> Result<(Vec<Block>, Vec<Beside>), SourceError> {
        let (mut start, end) = window.into_inner();
        let mut last = Ok((Vec::new(), Vec::new()));
        for _ in 0..EMPTY_PIECES_MAX {
            let piece_end = after(start, self.piece_s).min(end);
            let piece = start..=piece_end;
            let series = self.samples(deployment, &names(watched), &piece).await?;
            last = self.read(metric, watched, &series, &piece);
            if last.as_ref().is_ok_and(|(blocks, _)| !blocks.is_empty()) || piece_end >= end {
                return last;
            }
            start = piece_end;
        }
        last
    }

    /// Everything that a window needs, asked together with what other metrics of the deployment need up to the same
    /// moment: one question a look.
    async fn with_others(
        &self,
        deployment: &str,
        watched: &Watched,
        window: &RangeInclusive<Timestamp>,
    ) -> Result<Arc<Vec<Series>>, SourceError> {
        let need = Need {
            names: names(watched),
            from: *window.start(),
        };
        let batch = self.join(deployment, *window.end(), &need);
        // Whoever else asks at this moment joins before anybody goes on.
        tokio::task::yield_now().await;
        let ask = |group: Need| {
            let piece = group.from..=*window.end();
            async move { self.samples(deployment, &group.names, &piece).await.map(Arc::new) }
        };
        let answer = batch.answer(&need, ask).await;
        self.leave(deployment, &batch);
        answer
    }

    fn join(&self, deployment: &str, end: Timestamp, need: &Need) -> Arc<Batch> {
        let mut batches = self.batches();
        if let Some(open) = batches.get(deployment).filter(|batch| batch.join(end, need)) {
            return Arc::clone(open);
        }
        let batch = Arc::new(Batch::new(end, need));
        batches.insert(deployment.to_owned(), Arc::clone(&batch));
        batch
    }

    /// Forgets a batch that was answered; whoever waits for it holds it.
    fn leave(&self, deployment: &str, batch: &Arc<Batch>) {
        let mut batches = self.batches();
        if batches.get(deployment).is_some_and(|open| Arc::ptr_eq(open, batch)) {
            batches.remove(deployment);
        }
    }

    fn batches(&self) -> MutexGuard<'_, HashMap<String, Arc<Batch>>> {
        // Nothing panics between two changes of the map.
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn samples(
        &self,
        deployment: &str,
        names: &BTreeSet<String>,
        window: &RangeInclusive<Timestamp>,
    ) -> Result<Vec<Series>, SourceError> {
        let span_s = window.end().duration_since(*window.start()).as_secs_f64().max(0.0);
        let back_s = (span_s + look_back_s(self.scrape_s)).ceil() as u64;
        let query = samples_of(deployment, self.monitor.whose(), names, back_s);
        let end_ms = window.end().as_millisecond();
        let time = format!("{}.{:03}", end_ms.div_euclid(1000), end_ms.rem_euclid(1000));
        let body = self.monitor.ask("query", &[("query", &query), ("time", &time)]).await?;
        // Some megabytes of text: not where requests of others are served.
        tokio::task::spawn_blocking(move || series(&body))
            .await
            .unwrap_or_else(|broken| std::panic::resume_unwind(broken.into_panic()))
    }
}

fn names(watched: &Watched) -> BTreeSet<String> {
    watched.names().into_iter().collect()
}

fn after(at: Timestamp, seconds: f64) -> Timestamp {
    at.checked_add(Duration::from_secs_f64(seconds))
        .unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
