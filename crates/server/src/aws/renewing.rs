//! When instances' URLs are signed anew: at every look that finds them too old, but not at every look while that goes on or
//! fails.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arya_plan::identity::DeploymentId;
use tokio::time::Instant;

/// A session that ends does so minutes after the next one is there.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// When it was begun and has not succeeded. Lost in a crash: it is tried once more.
#[derive(Debug, Default)]
pub(super) struct Renewing(Mutex<HashMap<DeploymentId, Instant>>);

impl Renewing {
    /// Whether to try now.
    pub(super) fn is_due(&self, deployment: &DeploymentId) -> bool {
        let begun = self.all().get(deployment).copied();
        begun.is_none_or(|at| at.elapsed() >= AGAIN_AFTER)
    }

    pub(super) fn begun(&self, deployment: &DeploymentId) {
        self.all().insert(*deployment, Instant::now());
    }

    pub(super) fn forget(&self, deployment: &DeploymentId) {
        self.all().remove(deployment);
    }

    fn all(&self) -> MutexGuard<'_, HashMap<DeploymentId, Instant>> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn after_a_failure_looks_go_on_without_it_for_a_minute() {
        let (renewing, id) = (Renewing::default(), DeploymentId::new(Uuid::nil()));
        assert!(renewing.is_due(&id));
        renewing.begun(&id);
        tokio::time::advance(Duration::from_secs(59)).await;
        assert!(!renewing.is_due(&id));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(renewing.is_due(&id));
        renewing.begun(&id);
        renewing.forget(&id);
        assert!(renewing.is_due(&id), "it succeeded, or is gone");
    }
}
