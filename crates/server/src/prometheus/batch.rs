//! Metrics of one look, asked together.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use arya_judge::source::answer::Series;
use arya_judge::{SourceError, Timestamp};
use tokio::sync::OnceCell;

/// Metrics that have their last block within so many seconds are up to date, and asked together. One that lags, because
/// its series were away, must not make the others' answers long.
const UP_TO_DATE_S: f64 = 60.0;

type Answer = Result<Arc<Vec<Series>>, SourceError>;

/// Series by name, and from when on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Need {
    pub(super) names: BTreeSet<String>,
    pub(super) from: Timestamp,
}

/// What is needed up to one moment; closed as soon as it is asked.
#[derive(Debug)]
pub(super) struct Batch {
    end: Timestamp,
    needs: Mutex<Needs>,
    up_to_date: OnceCell<Answer>,
    lagging: OnceCell<Answer>,
}

#[derive(Debug)]
struct Needs {
    closed: bool,
    of: Vec<Need>,
}

impl Batch {
    pub(super) fn new(end: Timestamp, first: &Need) -> Self {
        Self {
            end,
            needs: Mutex::new(Needs {
                closed: false,
                of: vec![first.clone()],
            }),
            up_to_date: OnceCell::new(),
            lagging: OnceCell::new(),
        }
    }

    /// Adds a need, if it is about the same moment and nothing was asked yet.
    pub(super) fn join(&self, end: Timestamp, need: &Need) -> bool {
        let mut needs = self.needs.lock().unwrap_or_else(PoisonError::into_inner);
        let open = self.end == end && !needs.closed;
        if open {
            needs.of.push(need.clone());
        }
        open
    }

    /// The answer to one need. The first who comes asks for all; if its look is given up, the next one asks again.
    pub(super) async fn answer<F: Future<Output = Answer>>(&self, need: &Need, ask: impl FnOnce(Need) -> F) -> Answer {
        let lags = self.lags(need);
        let cell = if lags { &self.lagging } else { &self.up_to_date };
        cell.get_or_init(|| ask(self.together(lags))).await.clone()
    }

    fn lags(&self, need: &Need) -> bool {
        self.end.duration_since(need.from).as_secs_f64() > UP_TO_DATE_S
    }

    /// All needs of one of the two groups as one. From here on nobody joins.
    fn together(&self, lagging: bool) -> Need {
        let mut needs = self.needs.lock().unwrap_or_else(PoisonError::into_inner);
        needs.closed = true;
        let group = needs.of.iter().filter(|need| self.lags(need) == lagging);
        let mut all = Need {
            names: BTreeSet::new(),
            from: self.end,
        };
        for need in group {
            all.names.extend(need.names.iter().cloned());
            all.from = all.from.min(need.from);
        }
        all
    }
}
