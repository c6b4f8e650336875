//! Counts of what happened since the start, for `/metrics`. They listen to the feed and must never change anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arya_engine::{Event, RecordedEvent};
use arya_plan::desired::{Actor, Change};
use tokio::sync::broadcast;

/// Shared counts; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counters(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    recorded: AtomicU64,
    watchdog_removals: AtomicU64,
}

/// The counts at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) recorded: u64,
    pub(crate) watchdog_removals: u64,
}

impl Counters {
    /// Counts until the feed ends.
    pub(crate) async fn listen(self, mut feed: broadcast::Receiver<RecordedEvent>) {
        loop {
            match feed.recv().await {
                Ok(recorded) => self.count(&recorded.event),
                // Those that were missed still happened; which they were is not known any more.
                Err(broadcast::error::RecvError::Lagged(missed)) => self.add(missed),
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
    }

    fn count(&self, event: &Event) {
        self.add(1);
        let by_watchdog = matches!(
            event,
            Event::Changed {
                by: Actor::Watchdog,
                change: Change::RemoveTraffic { .. },
                ..
            }
        );
        if by_watchdog {
            self.0.watchdog_removals.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn add(&self, events: u64) {
        self.0.recorded.fetch_add(events, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Counted {
        Counted {
            recorded: self.0.recorded.load(Ordering::Relaxed),
            watchdog_removals: self.0.watchdog_removals.load(Ordering::Relaxed),
        }
    }
}
