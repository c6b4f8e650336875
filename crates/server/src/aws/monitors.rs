//! The deployments' own monitors as sources of series: the way in to each as the last look found it, and how long one that
//! gives no answer is left alone.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arya_judge::SourceError;
use arya_plan::desired::{Desired, Goal};
use arya_plan::identity::DeploymentId;
use arya_plan::observed::{BootPhase, Instance, Observed};
use arya_plan::spec::Reach;
use arya_plan::user_data::monitor::SCRAPE_EVERY;
use axum::http::HeaderValue;
use tokio::time::Instant;

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
    /// What a look shows of a deployment's monitor.
    pub(super) fn note(&self, desired: &Desired, seen: &Observed, authorization: impl FnOnce() -> String) {
        // Nothing reaches one that reports into the bucket.
        let is_asked = desired.goal != Goal::Absent && desired.spec.monitor.reach != Reach::Bucket;
        let monitor = tools::standing_monitor(seen).filter(|_| is_asked);
        let mut all = self.all();
        let known = all.get(&desired.id).map(|known| &known.way);
        // A status document that could not be read this once does not make it another monitor.
        let unread = |monitor: &Instance| monitor.report.is_none() && known.map(|way| way.address) == monitor.address;
        if monitor.is_some_and(unread) && known.is_some() {
            return;
        }
        let way = monitor.and_then(Way::to);
        if known.is_some() && known == way.as_ref() {
            return;
        }
        match way.and_then(|way| way.watching(&authorization())) {
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

/// Where a monitor is, and which certificate it told of.
#[derive(Debug, PartialEq, Eq)]
struct Way {
    address: SocketAddr,
    certificate: String,
}

impl Way {
    /// `None` while it is not ready.
    fn to(monitor: &Instance) -> Option<Self> {
        let report = monitor.report.as_ref();
        Some(Self {
            address: monitor.address?,
            certificate: report
                .filter(|report| report.phase == BootPhase::Ready)?
                .certificate_sha256
                .clone()?,
        })
    }

    fn watching(self, authorization: &str) -> Option<Watching> {
        let authorization = HeaderValue::try_from(authorization).ok()?;
        let door = Door::new(self.address, &self.certificate, authorization)?;
        Some(Watching {
            way: self,
            series: Prometheus::new(Monitored::Behind(door), SCRAPE_EVERY),
            silent: Mutex::default(),
        })
    }
}

/// One monitor that is ready.
#[derive(Debug)]
pub(super) struct Watching {
    way: Way,
    series: Prometheus,
    /// Since when it gives no answer, and what it gave instead.
    silent: Mutex<Option<(Instant, SourceError)>>,
}

impl Watching {
    /// Asks it, unless it gave no answer a moment ago.
    ///
    /// # Errors
    /// It gives none, or one that cannot be read.
    pub(super) async fn ask<'a, T, A>(&'a self, question: impl FnOnce(&'a Prometheus) -> A) -> Result<T, SourceError>
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
