//! One line of the feed, and the whole story as one file.

use arya_engine::RecordedEvent;
use arya_judge::Timestamp;
use arya_plan::identity::DeploymentId;
use serde::Serialize;

use super::{DeploymentDocument, LogsDocument, VerdictDocument};

#[derive(Debug, Clone, Serialize)]
pub(crate) struct EventDocument {
    /// Rises over all deployments; what `Last-Event-ID` names.
    pub(crate) seq: u64,
    pub(crate) at: Timestamp,
    pub(crate) deployment: DeploymentId,
    /// Who, as the sentence names them.
    pub(crate) actor: String,
    /// The event as data; its `event` key says which it is.
    pub(crate) event: arya_engine::Event,
    pub(crate) sentence: String,
}

impl EventDocument {
    pub(crate) fn of(recorded: &RecordedEvent) -> Self {
        Self {
            seq: recorded.seq,
            at: recorded.at,
            deployment: recorded.deployment,
            actor: recorded.actor.to_string(),
            event: recorded.event.clone(),
            sentence: recorded.sentence.clone(),
        }
    }
}

/// A deployment's story as one document; it survives the deployment.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ReportDocument {
    pub(crate) deployment: DeploymentDocument,
    pub(crate) verdict: VerdictDocument,
    /// Oldest first.
    pub(crate) events: Vec<EventDocument>,
    /// The end of each.
    pub(crate) logs: LogsDocument,
    /// Where the archive is that the monitor made of what it had recorded, if one was kept.
    pub(crate) export: Option<String>,
    pub(crate) made_at: Timestamp,
}
