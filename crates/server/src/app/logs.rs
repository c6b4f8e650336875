//! The logs of a deployment's containers: from its world while it stands, from this server's disk afterwards.

use std::time::Duration;

use arya_plan::identity::DeploymentId;
use arya_plan::left::{LOG_BYTES_MAX, Log};

use super::App;
use crate::api::documents::LogsDocument;
use crate::api::problem::Problem;
use crate::left;

/// A page that shows logs does not wait longer for them; the next time they may be there.
const WITHIN: Duration = Duration::from_secs(5);
/// Bytes of each log in a report: its end, in which a failure is explained.
const IN_A_REPORT: usize = 32 * 1024;

impl App {
    /// Everything that is known of each log.
    pub(crate) async fn logs(&self, id: &DeploymentId) -> Result<LogsDocument, Problem> {
        self.logs_of(id, LOG_BYTES_MAX).await
    }

    /// The end of each log.
    pub(crate) async fn log_tails(&self, id: &DeploymentId) -> Result<LogsDocument, Problem> {
        self.logs_of(id, IN_A_REPORT).await
    }

    async fn logs_of(&self, id: &DeploymentId, each: usize) -> Result<LogsDocument, Problem> {
        let report = self.report(id)?;
        let read = match report.closed_at {
            Some(_) => self.left(id).await,
            None => match tokio::time::timeout(WITHIN, self.world.logs(&report.desired)).await {
                Ok(Ok(logs)) => Ok(logs.to_vec()),
                Ok(Err(error)) => Err(format!("The logs cannot be read just now: {}", error.what)),
                Err(_) => Err(format!("The logs did not come within {} s.", WITHIN.as_secs())),
            },
        };
        let (logs, missing) = match (read, report.closed_at) {
            (Ok(logs), None) if logs.is_empty() => {
                let why = "Nothing has come yet. An instance sends its containers' logs every ten seconds once its app is \
                           ready, and when its boot fails.";
                (logs, Some(why.to_owned()))
            }
            (Ok(logs), Some(_)) if logs.is_empty() => {
                let why =
                    "No logs were kept: no instance had sent any, or they could not be read when the bucket went.";
                (logs, Some(why.to_owned()))
            }
            (Ok(logs), _) => (logs, None),
            (Err(why), _) => (Vec::new(), Some(why)),
        };
        let (now, work) = (self.now(), move |now| LogsDocument::of(&logs, each, missing, now));
        // Masking some megabytes takes a while.
        let document = tokio::task::spawn_blocking(move || work(now)).await;
        document.map_err(|error| Problem::internal(&error))
    }

    /// Where that archive is asked for, if there is one.
    pub(crate) fn export_address(&self, id: &DeploymentId) -> Option<String> {
        let found = left::export(&self.settings.data_dir, id);
        found.map(|_| format!("/api/v1/deployments/{id}/export"))
    }

    /// What the monitor of a deployment that ended had recorded, as an archive.
    pub(crate) async fn export(&self, id: &DeploymentId) -> Result<Option<Vec<u8>>, Problem> {
        self.report(id)?;
        let (data_dir, id) = (self.settings.data_dir.clone(), *id);
        let read =
            tokio::task::spawn_blocking(move || left::export(&data_dir, &id).map(std::fs::read).transpose()).await;
        let read = read.map_err(|error| Problem::internal(&error))?;
        read.map_err(|error| Problem::internal(&error))
    }

    async fn left(&self, id: &DeploymentId) -> Result<Vec<Log>, String> {
        let (data_dir, id) = (self.settings.data_dir.clone(), *id);
        let read = tokio::task::spawn_blocking(move || left::logs(&data_dir, &id)).await;
        let read = read.map_err(|error| error.to_string())?;
        read.map_err(|error| format!("The logs that were kept cannot be read: {error}."))
    }
}
