//! Keeping the disk: uploaded files that nothing needs any more are removed, and so is the oldest of what deployments left.

use std::collections::BTreeSet;
use std::time::SystemTime;

use arya_engine::{Event, RecordedEvent};
use arya_local::samples::Sample;
use arya_plan::spec::Digest;
use tokio::sync::broadcast;

use super::App;
use crate::api::problem::{Problem, chain};
use crate::left;

impl App {
    /// Removes what need not be kept, now and whenever a deployment has ended, until the feed ends.
    pub(crate) async fn keep_house(self, mut feed: broadcast::Receiver<RecordedEvent>) {
        loop {
            self.remove_unused_files().await;
            self.remove_the_oldest_left().await;
            loop {
                match feed.recv().await {
                    Ok(recorded) if ends_a_deployment(&recorded.event) => break,
                    Ok(_) => {}
                    // One of those that were missed may have been an end.
                    Err(broadcast::error::RecvError::Lagged(_)) => break,
                    Err(broadcast::error::RecvError::Closed) => return,
                }
            }
        }
    }

    async fn remove_unused_files(&self) {
        // Asked for before the files are looked at: what is planned meanwhile is marked as used by its plan.
        let needed = match self.needed_files() {
            Ok(needed) => needed,
            Err(problem) => {
                tracing::warn!(problem.detail, "unused files stay for now");
                return;
            }
        };
        let files = self.artifacts.clone();
        let now = SystemTime::from(self.now());
        let work = move || files.remove_unused(&needed, now);
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(0)) => {}
            Ok(Ok(removed)) => tracing::info!(removed, "uploaded files that nothing needs were removed"),
            Ok(Err(error)) => tracing::warn!(error = chain(&error), "an unused file could not be removed"),
            Err(error) => tracing::warn!(error = chain(&error), "removing unused files broke off"),
        }
    }

    /// Also of deployments that the database does not know: of what was removed as a remnant.
    async fn remove_the_oldest_left(&self) {
        let data_dir = self.settings.data_dir.clone();
        let work = move || left::keep_within(&data_dir, left::TOTAL_MAX);
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(0)) => {}
            Ok(Ok(removed)) => tracing::info!(removed, "the logs of the oldest deployments were removed"),
            Ok(Err(error)) => tracing::warn!(error = chain(&error), "old logs could not be removed"),
            Err(error) => tracing::warn!(error = chain(&error), "removing old logs broke off"),
        }
    }

    /// The files of open deployments and of the samples.
    fn needed_files(&self) -> Result<BTreeSet<Digest>, Problem> {
        let mut needed = BTreeSet::new();
        for open in self.open_deployments()? {
            let spec = &open.desired.spec;
            needed.extend(spec.digests().cloned());
        }
        let samples = self.settings.samples.as_ref();
        let versions = samples.map(|s| [&s.baseline, &s.canary, &s.canary_bad]);
        let files = |version: &Sample| [version.image_digest.clone(), version.compose_digest.clone()];
        needed.extend(versions.into_iter().flatten().flat_map(files));
        Ok(needed)
    }
}

const fn ends_a_deployment(event: &Event) -> bool {
    matches!(event, Event::Restored { ours: 0, .. })
}
