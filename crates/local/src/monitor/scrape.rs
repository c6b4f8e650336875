//! The rounds of the monitor: fetch, read, store. Must never evaluate a query.

use std::collections::{BTreeMap, HashSet};
use std::error::Error as _;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use super::exposition::{Line, parse};
use super::labels::{Labels, METRIC_NAME};
use super::targets::{LastScrape, ScrapeTarget, TargetId};
use super::{Monitor, Settings};

/// One scrape of an application with thousands of series is about a megabyte.
const BODY_LIMIT: usize = 8 * 1024 * 1024;
/// Samples that one scrape may bring.
const SAMPLES_LIMIT: usize = 5_000;
/// Old samples are looked for this often; they outlive their time by no more.
const TIDY_EVERY: Duration = Duration::from_secs(30);

type Http = Client<HttpConnector, Empty<Bytes>>;

/// Why a scrape brought nothing.
#[derive(Debug, thiserror::Error)]
enum ScrapeError {
    #[error("no answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
    #[error("{0}")]
    Unreachable(String),
    #[error("server returned HTTP status {0}")]
    Status(StatusCode),
    #[error("the answer is longer than {BODY_LIMIT} bytes")]
    TooLong,
    #[error("the answer is not UTF-8")]
    NotText,
    #[error(transparent)]
    NotMetrics(#[from] super::exposition::ExpositionError),
}

impl Monitor {
    /// Scrapes every target once per interval until `shutdown` resolves.
    pub async fn run(&self, shutdown: impl Future<Output = ()>) {
        tokio::select! {
            () = shutdown => {}
            () = self.rounds() => {}
        }
    }

    async fn rounds(&self) {
        let http = client(&self.0.settings);
        let mut rounds = tokio::time::interval(self.0.settings.interval);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut tidied = Instant::now();
        loop {
            rounds.tick().await;
            self.round(&http).await;
            if tidied.elapsed() >= TIDY_EVERY {
                tidied = Instant::now();
                let now = self.now_ms();
                self.write().tidy(now);
            }
        }
    }

    /// Takes what the first target of a group said at a moment, as a scrape would have brought it; any bytes will do.
    ///
    /// # Errors
    /// Why a scrape with this answer fails. The target counts as down from then on.
    pub fn take(&self, group: &str, said: &[u8], at: Timestamp) -> Result<(), String> {
        let found = self
            .targets()
            .iter()
            .find(|(name, _)| *name == group)
            .map(|(_, tracked)| (tracked.id, tracked.target.clone()));
        let (id, target) = found.ok_or("the group has no target")?;
        let lines = read(said);
        let taken = lines.as_ref().map(|_| ()).map_err(ToString::to_string);
        self.store(id, &target, at, Duration::ZERO, lines);
        taken
    }

    /// Scrapes every target once, now. [`Monitor::run`] does this by itself.
    pub async fn scrape_once(&self) {
        self.round(&client(&self.0.settings)).await;
    }

    async fn round(&self, http: &Http) {
        let targets: Vec<(TargetId, ScrapeTarget)> = self
            .targets()
            .iter()
            .map(|(_, tracked)| (tracked.id, tracked.target.clone()))
            .collect();
        let mut scrapes = JoinSet::new();
        for (id, target) in targets {
            let (monitor, http) = (self.clone(), http.clone());
            scrapes.spawn(async move { monitor.scrape(&http, id, &target).await });
        }
        while scrapes.join_next().await.is_some() {}
    }

    async fn scrape(&self, http: &Http, id: TargetId, target: &ScrapeTarget) {
        let at = (self.0.settings.now)();
        let began = Instant::now();
        let limit = self.0.settings.timeout.min(self.0.settings.interval);
        let fetched = tokio::time::timeout(limit, fetch(http, target));
        let lines = fetched.await.unwrap_or(Err(ScrapeError::TimedOut(limit)));
        self.store(id, target, at, began.elapsed(), lines);
    }

    fn store(
        &self,
        id: TargetId,
        target: &ScrapeTarget,
        at: Timestamp,
        took: Duration,
        lines: Result<Vec<Line>, ScrapeError>,
    ) {
        let t = at.as_millisecond();
        let own = target.own_labels();
        let (up, lines, error) = match lines {
            Ok(lines) => (1.0, lines, None),
            Err(error) => (0.0, Vec::new(), Some(error.to_string())),
        };
        // Held throughout, so that a target removed meanwhile cannot leave series that nobody ends.
        let mut targets = self.targets();
        let Some(tracked) = targets.find(id) else { return };
        let mut alive = HashSet::with_capacity(lines.len() + 3);
        let mut store = self.write();
        let reports = [
            ("up", up),
            ("scrape_duration_seconds", took.as_secs_f64()),
            ("scrape_samples_scraped", lines.len() as f64),
        ];
        let reports = reports.map(|(name, value)| {
            (
                Labels::from_pairs(
                    own.iter()
                        .map(|(n, v)| (n.as_str(), v.as_str()))
                        .chain([(METRIC_NAME, name)]),
                ),
                value,
            )
        });
        let scraped = lines.into_iter().map(|line| (labelled(line.labels, &own), line.value));
        for (labels, value) in scraped.chain(reports) {
            store.append(&labels, (t, value));
            alive.insert(labels);
        }
        tracked.alive.difference(&alive).for_each(|gone| store.end(gone, t));
        tracked.alive = alive;
        if let Some(error) = error
            .as_ref()
            .filter(|_| tracked.last.as_ref().is_none_or(|last| last.error.is_none()))
        {
            tracing::warn!(job = target.job, address = %target.address, error, "a target cannot be scraped");
        }
        tracked.last = Some(LastScrape {
            at,
            took_s: took.as_secs_f64(),
            error,
        });
    }
}

/// A target's own labels win; what it says about itself under the same name is kept as `exported_…`.
fn labelled(scraped: Vec<(String, String)>, own: &BTreeMap<String, String>) -> Labels {
    let renamed = scraped.into_iter().map(|(name, value)| match own.contains_key(&name) {
        true => (format!("exported_{name}"), value),
        false => (name, value),
    });
    Labels::from_pairs(renamed.chain(own.iter().map(|(name, value)| (name.clone(), value.clone()))))
}

fn client(settings: &Settings) -> Http {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(settings.timeout));
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_max_idle_per_host(1)
        .build(connector)
}

async fn fetch(http: &Http, target: &ScrapeTarget) -> Result<Vec<Line>, ScrapeError> {
    let request = Request::get(target.url())
        .header(http::header::ACCEPT, "text/plain;version=0.0.4")
        .body(Empty::new())
        .map_err(|error| ScrapeError::Unreachable(error.to_string()))?;
    let answer = http.request(request).await.map_err(|error| {
        let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
        ScrapeError::Unreachable(cause)
    })?;
    if answer.status() != StatusCode::OK {
        return Err(ScrapeError::Status(answer.status()));
    }
    let body = Limited::new(answer.into_body(), BODY_LIMIT)
        .collect()
        .await
        .map_err(|error| {
            if error.is::<LengthLimitError>() {
                ScrapeError::TooLong
            } else {
                ScrapeError::Unreachable(error.to_string())
            }
        })?;
    read(&body.to_bytes())
}

fn read(said: &[u8]) -> Result<Vec<Line>, ScrapeError> {
    let text = std::str::from_utf8(said).map_err(|_| ScrapeError::NotText)?;
    Ok(parse(text, SAMPLES_LIMIT)?)
}
