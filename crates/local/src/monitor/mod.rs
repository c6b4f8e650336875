//! The monitor of `arya try`: scrapes targets, keeps their series for some hours and answers Prometheus' HTTP API.
//!
//! Whoever reads metrics asks this monitor exactly as a real Prometheus, so that the judge's queries run unchanged in
//! both worlds. It must never know what a deployment, an arm or a verdict is: those are labels to it.

mod answer;
mod api;
mod chunk;
mod exposition;
mod labels;
mod promql;
mod query;
mod scrape;
mod store;
mod targets;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use jiff::Timestamp;

pub use answer::Answer;
pub use labels::{Labels, METRIC_NAME};
pub use promql::ParseError;
pub use query::QueryError;
use store::Store;
pub use store::StoreLimits;
use targets::Targets;
pub use targets::{ScrapeTarget, TooManyTargets};

/// How the monitor works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Pause between scrapes of a target.
    pub interval: Duration,
    /// A scrape that takes longer has failed; never more than the interval.
    pub timeout: Duration,
    /// What may be held in memory.
    pub limits: StoreLimits,
    /// The wall clock, which stamps the samples. Whoever asks must use the same one.
    pub now: fn() -> Timestamp,
}

impl Default for Settings {
    /// Once a second: `try` must show a bad canary within a minute, and one second is what its charts resolve.
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            timeout: Duration::from_millis(900),
            limits: StoreLimits::default(),
            now: crate::clock::clock,
        }
    }
}

/// A handle on the monitor; copies are cheap and all speak of the same one.
#[derive(Debug, Clone)]
pub struct Monitor(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    settings: Settings,
    store: RwLock<Store>,
    targets: Mutex<Targets>,
}

/// What the monitor holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Series with samples.
    pub series: usize,
    /// Bytes of samples.
    pub bytes: usize,
    /// Samples that were not taken because there would have been too many series.
    pub refused: u64,
}

impl Monitor {
    /// A monitor without targets. Nothing is scraped before [`Monitor::run`].
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let store = RwLock::new(Store::new(settings.limits));
        Self(Arc::new(Shared {
            settings,
            store,
            targets: Mutex::default(),
        }))
    }

    /// Replaces the targets of a group. Series of targets that are gone end now and stay readable.
    ///
    /// # Errors
    /// There would be too many targets; those of before stay.
    pub fn set_targets(&self, group: &str, targets: Vec<ScrapeTarget>) -> Result<(), TooManyTargets> {
        let gone = self.targets().replace(group, targets)?;
        self.end(&gone);
        Ok(())
    }

    /// Takes a group's targets away. Their series end now and stay readable.
    pub fn remove(&self, group: &str) {
        let gone = self.targets().remove(group);
        self.end(&gone);
    }

    /// What is held in memory.
    #[must_use]
    pub fn size(&self) -> Size {
        let (series, bytes, refused) = self.read().size();
        Size { series, bytes, refused }
    }

    fn end(&self, gone: &[Labels]) {
        let now = self.now_ms();
        let mut store = self.write();
        gone.iter().for_each(|labels| store.end(labels, now));
    }

    fn now_ms(&self) -> i64 {
        (self.0.settings.now)().as_millisecond()
    }

    // A panic while a lock was held leaves at worst a sample out: the monitor goes on.
    fn targets(&self) -> MutexGuard<'_, Targets> {
        self.0.targets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> RwLockReadGuard<'_, Store> {
        self.0.store.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Store> {
        self.0.store.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
