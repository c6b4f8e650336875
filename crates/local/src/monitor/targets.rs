//! Who is scraped, and how it went last time. Must never open a connection.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;

use jiff::Timestamp;

use super::labels::Labels;

/// All groups together; one deployment has a handful, so more is a mistake somewhere.
const TARGET_LIMIT: usize = 500;

/// Something that answers metrics over plain HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScrapeTarget {
    /// Becomes the label `job`.
    pub job: String,
    /// Where it listens; becomes the label `instance` unless `labels` sets one.
    pub address: SocketAddr,
    /// The path of the metrics, beginning with a slash.
    pub path: String,
    /// Further labels for every series, as `deployment`, `arm` and `version`.
    pub labels: BTreeMap<String, String>,
}

impl ScrapeTarget {
    pub(super) fn own_labels(&self) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::from([
            ("instance".to_owned(), self.address.to_string()),
            ("job".to_owned(), self.job.clone()),
        ]);
        labels.extend(self.labels.clone());
        labels
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}{}", self.address, self.path)
    }
}

/// The targets stay as they were.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{asked} targets are more than the {TARGET_LIMIT} that the monitor scrapes. The targets stay as they were. Remove some first."
)]
pub struct TooManyTargets {
    asked: usize,
}

/// Names a target for as long as it is one; a target that is set again unchanged keeps its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct TargetId(u64);

#[derive(Debug)]
pub(super) struct Tracked {
    pub(super) id: TargetId,
    pub(super) target: ScrapeTarget,
    pub(super) last: Option<LastScrape>,
    /// The series of the last scrape, which must be ended when they do not come again.
    pub(super) alive: HashSet<Labels>,
}

#[derive(Debug, Clone)]
pub(super) struct LastScrape {
    pub(super) at: Timestamp,
    pub(super) took_s: f64,
    pub(super) error: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct Targets {
    groups: BTreeMap<String, Vec<Tracked>>,
    next: u64,
}

impl Targets {
    /// Answers the series that end with this.
    pub(super) fn replace(&mut self, group: &str, wanted: Vec<ScrapeTarget>) -> Result<Vec<Labels>, TooManyTargets> {
        let others = self
            .groups
            .iter()
            .filter(|(name, _)| *name != group)
            .map(|(_, targets)| targets.len());
        let asked = others.sum::<usize>() + wanted.len();
        if asked > TARGET_LIMIT {
            return Err(TooManyTargets { asked });
        }
        let mut before = self.groups.remove(group).unwrap_or_default();
        let mut now = Vec::with_capacity(wanted.len());
        for target in wanted {
            let known = before.iter().position(|tracked| tracked.target == target);
            now.push(known.map_or_else(|| self.begin(target), |known| before.swap_remove(known)));
        }
        if !now.is_empty() {
            self.groups.insert(group.to_owned(), now);
        }
        Ok(before.into_iter().flat_map(|gone| gone.alive).collect())
    }

    pub(super) fn remove(&mut self, group: &str) -> Vec<Labels> {
        let gone = self.groups.remove(group).unwrap_or_default();
        gone.into_iter().flat_map(|gone| gone.alive).collect()
    }

    fn begin(&mut self, target: ScrapeTarget) -> Tracked {
        self.next += 1;
        Tracked {
            id: TargetId(self.next),
            target,
            last: None,
            alive: HashSet::new(),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Tracked)> {
        self.groups
            .iter()
            .flat_map(|(group, targets)| targets.iter().map(move |target| (group.as_str(), target)))
    }

    pub(super) fn find(&mut self, id: TargetId) -> Option<&mut Tracked> {
        self.groups.values_mut().flatten().find(|tracked| tracked.id == id)
    }
}
