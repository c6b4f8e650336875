//! The deployments' own monitors as sources of series: the way in to each as the last look found it, and how long one that
//! gives no answer is left alone.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arya_judge::source::pack::Signal;
use arya_judge::{Evidence, MetricConfig, SourceError, Timestamp};
use arya_plan::desired::{Desired, Goal};
use arya_plan::identity::DeploymentId;
use arya_plan::observed::{BootPhase, Instance, Observed};
use arya_plan::spec::Reach;
use arya_plan::user_data::monitor::SCRAPE_EVERY;
use axum::http::HeaderValue;
use tokio::time::Instant;

use super::posts::{Posts, Ring};
use crate::door::Door;
use crate::prometheus::{Monitored, Prometheus};
use crate::tools;

/// A monitor that did not answer is asked again after this long. A look waits seconds for an answer before its steps are
/// done, so it must not wait at every look.
const LEFT_ALONE: Duration = Duration::from_secs(20);

/// Every monitor that is ready, by its deployment. Lost in a crash: the next look finds them again.
#[derive(Debug, Default)]
pub(super) struct Monitors(Mutex<HashMap<DeploymentId, Arc<Watching>>>);

impl Monitors {
    /// What a look shows of a deployment's monitor. `authorization` opens its door, and its `ring` is where one puts its
    /// evidence that has none.
    pub(super) fn note(
        &self,
        desired: &Desired,
        seen: &Observed,
        authorization: impl FnOnce() -> String,
        ring: impl FnOnce() -> Ring,
    ) {
        let monitor = tools::standing_monitor(seen).filter(|_| desired.goal != Goal::Absent);
        let mut all = self.all();
        let known = all.get(&desired.id).map(|known| &known.way);
        // A status document that could not be read this once does not make it another monitor.
        let unread = |monitor: &Instance| monitor.report.is_none() && known.is_some_and(|way| way.leads_to(monitor));
        if monitor.is_some_and(unread) {
            return;
        }
        let way = monitor.and_then(|monitor| Way::to(monitor, desired.spec.monitor.reach));
        if known.is_some() && known == way.as_ref() {
            return;
        }
        match way.and_then(|way| way.watching(authorization, ring)) {
            Some(watching) => drop(all.insert(desired.id, Arc::new(watching))),
            None => drop(all.remove(&desired.id)),
        }
    }

    /// `None` = no monitor of it is ready.
    pub(super) fn of(&self, id: &DeploymentId) -> Option<Arc<Watching>> {
        self.all().get(id).cloned()
    }

    fn all(&self) -> MutexGuard<'_, HashMap<DeploymentId, Arc<Watching>>> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a monitor's series are had.
#[derive(Debug, PartialEq, Eq)]
enum Way {
    /// Where it is, and which certificate it told of.
    Door { address: SocketAddr, certificate: String },
    /// Nothing reaches it. Which filling of its place it is.
    Bucket { incarnation: u32 },
}

impl Way {
    /// `None` while it is not ready.
    fn to(monitor: &Instance, reach: Reach) -> Option<Self> {
        let report = monitor.report.as_ref();
        let ready = report.filter(|report| report.phase == BootPhase::Ready)?;
        match reach {
            Reach::Vpc | Reach::Public => Some(Self::Door {
                address: monitor.address?,
                certificate: ready.certificate_sha256.clone()?,
            }),
            Reach::Bucket => Some(Self::Bucket {
                incarnation: monitor.incarnation,
            }),
        }
    }

    fn leads_to(&self, monitor: &Instance) -> bool {
        match self {
            Self::Door { address, .. } => Some(*address) == monitor.address,
            Self::Bucket { incarnation } => *incarnation == monitor.incarnation,
        }
    }

    fn watching(self, authorization: impl FnOnce() -> String, ring: impl FnOnce() -> Ring) -> Option<Watching> {
        let series = match &self {
            Self::Door { address, certificate } => {
                let authorization = HeaderValue::try_from(authorization()).ok()?;
                let door = Door::new(*address, certificate, authorization)?;
                Series::Asked(Prometheus::new(Monitored::Behind(door), SCRAPE_EVERY))
            }
            Self::Bucket { .. } => Series::Posted(Posts::new(ring(), SCRAPE_EVERY)),
        };
        Some(Watching {
            way: self,
            series,
            silent: Mutex::default(),
        })
    }
}

/// A monitor's series, whichever way they come.
#[derive(Debug)]
pub(super) enum Series {
    Asked(Prometheus),
    Posted(Posts),
}

impl Series {
    /// The default metrics for what both arms of a deployment show; `None` until both have been scraped.
    ///
    /// # Errors
    /// It gives no answer, or one that cannot be read.
    pub(super) async fn choose(
        &self,
        deployment: &str,
        covered: &[Signal],
        now: Timestamp,
    ) -> Result<Option<Vec<MetricConfig>>, SourceError> {
        match self {
            Self::Asked(prometheus) => prometheus.choose(deployment, covered, now).await,
            Self::Posted(posts) => posts.choose(covered, now).await,
        }
    }

    /// The blocks of a metric in a window.
    ///
    /// # Errors
    /// It gives no answer, or one that cannot be read.
    pub(super) async fn evidence(
        &self,
        deployment: &str,
        metric: &MetricConfig,
        window: RangeInclusive<Timestamp>,
    ) -> Result<Evidence, SourceError> {
        match self {
            Self::Asked(prometheus) => prometheus.evidence(deployment, metric, window).await,
            Self::Posted(posts) => posts.evidence(deployment, metric, window).await,
        }
    }
}

/// One monitor that is ready.
#[derive(Debug)]
pub(super) struct Watching {
    way: Way,
    series: Series,
    /// Since when it gives no answer, and what it gave instead.
    silent: Mutex<Option<(Instant, SourceError)>>,
}

impl Watching {
    /// Asks it, unless it gave no answer a moment ago.
    ///
    /// # Errors
    /// It gives none, or one that cannot be read.
    pub(super) async fn ask<'a, T, A>(&'a self, question: impl FnOnce(&'a Series) -> A) -> Result<T, SourceError>
    where
        A: Future<Output = Result<T, SourceError>>,
    {
        if let Some((since, error)) = &*self.silent()
            && since.elapsed() < LEFT_ALONE
        {
            return Err(error.clone());
        }
        let answer = question(&self.series).await;
        *self.silent() = match &answer {
            Err(error @ SourceError::Unreachable { .. }) => Some((Instant::now(), error.clone())),
            Err(SourceError::Malformed { .. } | SourceError::NoData { .. }) | Ok(_) => None,
        };
        answer
    }

    fn silent(&self) -> MutexGuard<'_, Option<(Instant, SourceError)>> {
        // Nothing panics while it is held.
        self.silent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
