//! Access logs from the bucket into which the load balancer writes them: found by the time in their names, read once, and
//! counted by the judge's own reader.

mod download;
pub(crate) mod ways;

use std::collections::{BTreeSet, HashMap};
use std::io::{BufReader, Cursor};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arya_judge::source::SourceError;
use arya_judge::source::access_log::{AccessLog, LogArms};
use arya_judge::{Machines, MetricConfig, Timestamp};
use arya_plan::identity::DeploymentId;
use aws_sdk_s3::types::Object;
use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;

use crate::Inner;
use crate::calls::Call;
use crate::error::{ask, clause};
use crate::memory::RARELY;
use crate::span::before;
use download::Download;

/// Seconds of a block: some dozens of requests at a usual share.
pub(crate) const BLOCK_S: i64 = 15;
/// Every node of the load balancer writes a file for five minutes, which lies in the bucket some minutes later.
const WRITES_EVERY: Duration = Duration::from_secs(300);
/// After so long a second's lines are taken to be there.
const SETTLES_WITHIN: Duration = Duration::from_secs(600);
/// Between two listings.
const LIST_EVERY: Duration = Duration::from_secs(60);
/// The longest span that is read: what an engine that was away catches up on.
const SPAN_AT_MOST: Duration = Duration::from_secs(3600);
/// Some million requests of one node in five minutes. A larger file is not read, and said.
const FILE_BYTES_MAX: i64 = 128 * 1024 * 1024;
/// Files in one listing: a hundred nodes in an hour.
const FILES_MAX: usize = 5_000;
/// Files that are read before an answer is given; the rest follows with the next question.
const FILES_AT_ONCE: usize = 16;

/// Where a load balancer writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    bucket: String,
    /// With a slash at its end, or empty.
    prefix: String,
}

/// What was read for each deployment, and where load balancers write.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    readings: Mutex<HashMap<DeploymentId, Arc<tokio::sync::Mutex<Reading>>>>,
    places: Mutex<HashMap<String, (Timestamp, Option<Place>)>>,
}

#[derive(Debug, Default)]
struct Reading {
    /// Whom it is about; when that changes, everything is read anew.
    arms: LogArms,
    log: AccessLog,
    read: BTreeSet<String>,
    /// Listed and not read yet, oldest first, with the end of the five minutes that each is about.
    left: Vec<(Timestamp, Object)>,
    listed_at: Option<Timestamp>,
    /// The earliest that any metric asked for.
    from: Option<Timestamp>,
    /// The file that is on its way: whoever asked may have gone before all of it was here.
    download: Option<Download>,
    /// A file could not be read, so that what was read is not whole. Everything is read anew a while later.
    broken: Option<(Timestamp, SourceError)>,
}

/// What a deployment asks of its log.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) deployment: DeploymentId,
    /// The load balancer's ARN.
    pub(crate) balancer: &'a str,
    pub(crate) arms: &'a LogArms,
    pub(crate) machines: Option<Machines>,
    pub(crate) metric: &'a MetricConfig,
    pub(crate) window: &'a RangeInclusive<Timestamp>,
}

impl Inner {
    /// Where the load balancer writes its access log; `None` = nowhere.
    async fn log_place(&self, balancer: &str, now: Timestamp) -> Result<Option<Place>, SourceError> {
        let known = locked(&self.measuring.logs.places).get(balancer).cloned();
        if let Some((_, place)) = known.filter(|(at, _)| now.duration_since(*at).unsigned_abs() < RARELY) {
            return Ok(place);
        }
        let request = self.clients.reading.elb.describe_load_balancer_attributes();
        let answer = ask(
            Call::DescribeLoadBalancerAttributes,
            request.load_balancer_arn(balancer).send(),
        )
        .await;
        let answer = answer.map_err(|failure| unreachable(clause(&failure)))?;
        let value = |name: &str| {
            let named = answer.attributes().iter().find(|one| one.key() == Some(name));
            named.and_then(|one| one.value()).unwrap_or_default().to_owned()
        };
        let (bucket, prefix) = (value("access_logs.s3.bucket"), value("access_logs.s3.prefix"));
        let is_on = value("access_logs.s3.enabled") == "true" && !bucket.is_empty();
        let slash = if prefix.is_empty() || prefix.ends_with('/') {
            ""
        } else {
            "/"
        };
        let place = is_on.then(|| Place {
            bucket,
            prefix: format!("{prefix}{slash}"),
        });
        locked(&self.measuring.logs.places).insert(balancer.to_owned(), (now, place.clone()));
        Ok(place)
    }

    /// What the log tells of a metric.
    pub(crate) async fn logged(&self, asked: Asked<'_>) -> Result<Logged, SourceError> {
        let now = *asked.window.end();
        let Some(place) = self.log_place(asked.balancer, now).await? else {
            let what = "the load balancer writes no access log (attribute access_logs.s3.enabled)";
            return Err(SourceError::NoData { what: what.into() });
        };
        let mut reading = self.measuring.logs.of(&asked.deployment).lock_owned().await;
        if let Some((at, problem)) = &reading.broken
            && now.duration_since(*at).unsigned_abs() < LIST_EVERY
        {
            return Err(problem.clone());
        }
        if reading.arms != *asked.arms || reading.broken.is_some() {
            *reading = Reading {
                arms: asked.arms.clone(),
                log: AccessLog::new(asked.arms.clone()),
                ..Reading::default()
            };
        }
        if reading
            .listed_at
            .is_none_or(|at| now.duration_since(at).unsigned_abs() >= LIST_EVERY)
        {
            let from = reading
                .from
                .map_or(*asked.window.start(), |from| from.min(*asked.window.start()));
            let from = from.max(before(now, SPAN_AT_MOST));
            reading.from = Some(from);
            let listed = self.log_files(&place, asked.balancer, from..=now).await?;
            reading
                .read
                .retain(|key| listed.iter().any(|(_, object)| object.key() == Some(key)));
            reading.left = listed;
            reading.listed_at = Some(now);
        }
        for _ in 0..FILES_AT_ONCE {
            let Some((_, object)) = reading.next() else { break };
            let key = object.key().unwrap_or_default().to_owned();
            let bytes = self.log_file(&place, &object, &mut reading.download).await?;
            // Some megabytes to unpack: not where requests of others are served.
            let read = tokio::task::spawn_blocking(move || {
                let log = &mut reading.log;
                let said = unpacked(&key, bytes, |lines| log.read_from(lines));
                reading.read.insert(key);
                // Here, since nobody may be waiting any more.
                reading.broken = said.clone().err().map(|problem| (now, problem));
                (reading, said)
            });
            let (back, said) = read
                .await
                .unwrap_or_else(|broken| std::panic::resume_unwind(broken.into_panic()));
            reading = back;
            said?;
        }
        reading.answer(&asked, &place)
    }

    /// The files whose five minutes reach into the span, oldest first.
    async fn log_files(
        &self,
        place: &Place,
        balancer: &str,
        span: RangeInclusive<Timestamp>,
    ) -> Result<Vec<(Timestamp, Object)>, SourceError> {
        let mut listed = Vec::new();
        for folder in folders(&span) {
            let names = self.log_names(place, balancer, &folder);
            let request = self.clients.reading.s3.list_objects_v2();
            let request = request.bucket(&place.bucket).prefix(&names);
            // Names begin with the end of their five minutes, so that older ones are not listed.
            let request = request.start_after(format!("{names}{}", minute(*span.start())));
            let mut pages = request.into_paginator().send();
            while let Some(page) = pages.next().await {
                let page = ask(Call::ListObjectsV2, async { page }).await;
                let page = page.map_err(|failure| unreachable(clause(&failure)))?;
                let timed = page.contents.unwrap_or_default().into_iter();
                listed.extend(timed.filter_map(|object| Some((ends_at(object.key()?.strip_prefix(&names)?)?, object))));
                if listed.len() > FILES_MAX {
                    let what = format!("more than {FILES_MAX} files of access logs for one hour");
                    return Err(SourceError::Malformed { what });
                }
            }
        }
        listed.sort_by_key(|(ends_at, _)| *ends_at);
        Ok(listed)
    }

    /// How names of a day begin, up to the time.
    fn log_names(&self, place: &Place, balancer: &str, folder: &str) -> String {
        let (account, region) = (&self.identity.account, &self.clients.region);
        let name = balancer
            .split_once(":loadbalancer/")
            .map_or("", |(_, name)| name)
            .replace('/', ".");
        let prefix = &place.prefix;
        format!(
            "{prefix}AWSLogs/{account}/elasticloadbalancing/{region}/{folder}/{account}_elasticloadbalancing_{region}_{name}_"
        )
    }
}

/// Blocks, and what production showed beside them.
#[derive(Debug)]
pub(crate) struct Logged {
    pub(crate) blocks: Vec<arya_judge::Block>,
    pub(crate) production: Vec<arya_judge::Beside>,
    pub(crate) query: String,
}

impl Logs {
    fn of(&self, deployment: &DeploymentId) -> Arc<tokio::sync::Mutex<Reading>> {
        Arc::clone(locked(&self.readings).entry(*deployment).or_default())
    }

    /// Of a deployment that ended.
    pub(crate) fn forget(&self, deployment: &DeploymentId) {
        locked(&self.readings).remove(deployment);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while one of these is held.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Reading {
    /// The oldest file that was not read.
    fn next(&self) -> Option<(Timestamp, Object)> {
        let is_new = |(_, object): &&(Timestamp, Object)| object.key().is_some_and(|key| !self.read.contains(key));
        self.left.iter().find(is_new).cloned()
    }

    fn answer(&self, asked: &Asked<'_>, place: &Place) -> Result<Logged, SourceError> {
        let settled = before(*asked.window.end(), SETTLES_WITHIN);
        // What is listed and not read yet is missing from its five minutes on.
        let read_to = self
            .next()
            .map_or(Timestamp::MAX, |(ends_at, _)| before(ends_at, WRITES_EVERY));
        let end = settled.min(read_to).max(*asked.window.start());
        let window = *asked.window.start()..=end;
        let blocks = self.log.blocks(asked.metric, &window, BLOCK_S)?;
        let mut production = match asked.machines {
            Some(machines) => self.log.production(asked.metric, &window, BLOCK_S, machines),
            None => Vec::new(),
        };
        production.retain(|one| blocks.iter().any(|block| block.ends_at() == one.ends_at));
        Ok(Logged {
            blocks,
            production,
            query: format!(
                "entries of the access logs in s3://{}/{} by target group, in blocks of {BLOCK_S} s by the time of the \
                 answer, {} s after it; the probe rule's are left out, and production's are those that our main rule led there",
                place.bucket,
                place.prefix,
                SETTLES_WITHIN.as_secs()
            ),
        })
    }
}

type Unpacking = BufReader<MultiGzDecoder<Cursor<Bytes>>>;

/// A file of the load balancer's, as AWS packs it.
fn unpacked(key: &str, bytes: Bytes, read: impl FnOnce(Unpacking) -> std::io::Result<()>) -> Result<(), SourceError> {
    let unpacker = MultiGzDecoder::new(Cursor::new(bytes));
    read(BufReader::new(unpacker)).map_err(|error| SourceError::Malformed {
        what: format!("the access log {key} cannot be unpacked: {error}"),
    })
}

fn unreachable(what: String) -> SourceError {
    SourceError::Unreachable { what }
}

/// `20260131T2340Z`, as names have it.
fn minute(at: Timestamp) -> String {
    let text = at.to_string();
    let digits = |part: &str| part.chars().filter(char::is_ascii_digit).collect::<String>();
    let (day, time) = text.split_at(text.find('T').unwrap_or(text.len()));
    format!("{}T{}Z", digits(day), digits(time.get(..6).unwrap_or_default()))
}

/// The days of a span as folders, `2026/01/31`, with the one into which a file that ends after midnight goes.
fn folders(span: &RangeInclusive<Timestamp>) -> Vec<String> {
    let folder = |at: Timestamp| at.to_string().get(..10).unwrap_or_default().replace('-', "/");
    let mut folders = vec![folder(*span.start()), folder(*span.end())];
    folders.dedup();
    folders
}

/// The end of the five minutes that a file is about, from what follows in its name: `20260131T2340Z_10.0.0.1_4f2a.log.gz`.
fn ends_at(rest: &str) -> Option<Timestamp> {
    let (time, _) = rest.strip_suffix(".log.gz")?.split_once('_')?;
    let part = |range: std::ops::Range<usize>| time.get(range);
    let (year, month, day, hour, minute) = (part(0..4)?, part(4..6)?, part(6..8)?, part(9..11)?, part(11..13)?);
    format!("{year}-{month}-{day}T{hour}:{minute}:00Z").parse().ok()
}

#[cfg(test)]
mod tests;
