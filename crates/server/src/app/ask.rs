//! Reading: what the pages and the API show, from the engine's last reports and the store.

use std::sync::Arc;

use arya_engine::{EVENTS_AT_ONCE, EVENTS_KEPT, OPEN_MAX, Report, Summary};
use arya_plan::cloud::CloudError;
use arya_plan::cost::{Prices, per_hour};
use arya_plan::identity::DeploymentId;
use axum::http::StatusCode;

use super::App;
use crate::api::documents::{
    DeploymentDocument, EventDocument, ListenersDocument, Look, ReportDocument, Told, VerdictDocument,
};
use crate::api::problem::Problem;
use crate::tools;

/// Pages of the store that are read for one report: all that is kept, and one for what is about to be pruned.
const PAGES_MAX: usize = EVENTS_KEPT / EVENTS_AT_ONCE + 1;
/// The most deployments that one answer lists; open ones come first, however old they are.
const DEPLOYMENTS_MAX: usize = 200;
const _: () = assert!(DEPLOYMENTS_MAX >= OPEN_MAX, "a live deployment is always listed");

impl App {
    /// The last report of one deployment.
    pub(crate) fn report(&self, id: &DeploymentId) -> Result<Arc<Report>, Problem> {
        let reports = self.engine.report(id).map_err(|error| Problem::internal(&error))?;
        reports
            .map(|reports| Arc::clone(&reports.borrow()))
            .ok_or_else(|| Problem::not_found(&format!("deployment with the id `{id}`")))
    }

    pub(crate) fn deployment(&self, id: &DeploymentId) -> Result<DeploymentDocument, Problem> {
        self.report(id).map(|report| DeploymentDocument {
            links: tools::links(self, &report),
            ..DeploymentDocument::of(&look(&report, self.world.prices()))
        })
    }

    /// One deployment with the secret that shows the canary before users see it.
    pub(crate) fn deployment_with_probe(&self, id: &DeploymentId) -> Result<DeploymentDocument, Problem> {
        self.report(id).map(|report| DeploymentDocument {
            links: tools::links(self, &report),
            ..DeploymentDocument::with_probe(&look(&report, self.world.prices()))
        })
    }

    /// Every open one, then the latest of the others, each newest first.
    pub(crate) fn deployments(&self) -> Result<Vec<DeploymentDocument>, Problem> {
        let summaries = self
            .engine
            .deployments(DEPLOYMENTS_MAX)
            .map_err(|error| Problem::internal(&error))?;
        Ok(summaries
            .iter()
            .filter_map(|summary| self.deployment(&summary.id).ok())
            .collect())
    }

    /// Those that are not closed yet.
    pub(crate) fn open_deployments(&self) -> Result<Vec<Summary>, Problem> {
        self.engine
            .open_deployments()
            .map_err(|error| Problem::internal(&error))
    }

    pub(crate) fn verdict(&self, id: &DeploymentId) -> Result<VerdictDocument, Problem> {
        let report = self.report(id)?;
        let told = Told::of(&report.desired);
        let Some(verdict) = &report.verdict else {
            return Ok(VerdictDocument::nothing(told));
        };
        let pauses = self.engine.store().pauses(id);
        let pauses = pauses.map_err(|error| Problem::internal(&error))?;
        Ok(VerdictDocument::of(verdict, &report.tracks, &pauses, told))
    }

    /// The feed after an event, oldest first.
    pub(crate) fn events(&self, id: &DeploymentId, after: u64, limit: usize) -> Result<Vec<EventDocument>, Problem> {
        self.report(id)?;
        let events = self
            .engine
            .events(id, after, limit.min(EVENTS_AT_ONCE))
            .map_err(|error| Problem::internal(&error))?;
        Ok(events.iter().map(EventDocument::of).collect())
    }

    /// Where a reader stands who has read up to this event. One that has not happened yet is of another feed, of an
    /// earlier data directory perhaps, and its reader begins anew: waiting for it would be silence for ever.
    pub(crate) fn known_place(&self, id: &DeploymentId, after: u64) -> Result<u64, Problem> {
        let newest = self.latest_events(id, 1)?.first().map_or(0, |event| event.seq);
        Ok(if after > newest { 0 } else { after })
    }

    /// The feed's end, newest first.
    pub(crate) fn latest_events(&self, id: &DeploymentId, limit: usize) -> Result<Vec<EventDocument>, Problem> {
        self.report(id)?;
        let events = self
            .engine
            .latest_events(id, limit)
            .map_err(|error| Problem::internal(&error))?;
        Ok(events.iter().rev().map(EventDocument::of).collect())
    }

    /// The whole feed, oldest first.
    fn all_events(&self, id: &DeploymentId) -> Result<Vec<EventDocument>, Problem> {
        let mut events: Vec<EventDocument> = Vec::new();
        for _ in 0..PAGES_MAX {
            let after = events.last().map_or(0, |event| event.seq);
            let more = self.events(id, after, EVENTS_AT_ONCE)?;
            let last_page = more.len() < EVENTS_AT_ONCE;
            events.extend(more);
            if last_page {
                break;
            }
        }
        Ok(events)
    }

    /// The frozen page as data.
    pub(crate) async fn report_document(&self, id: &DeploymentId) -> Result<ReportDocument, Problem> {
        Ok(ReportDocument {
            deployment: self.deployment(id)?,
            verdict: self.with_tracks(id, self.scored_verdict(id).await?).await?,
            events: self.all_events(id)?,
            logs: self.log_tails(id).await?,
            export: self.export_address(id),
            made_at: self.now(),
        })
    }

    /// What every connection shows; one that does not answer says so beside the others.
    pub(crate) async fn listeners(&self) -> ListenersDocument {
        ListenersDocument::of(&self.world.sightings(self.now()).await, self.now())
    }
}

fn look(report: &Report, prices: Prices) -> Look<'_> {
    Look {
        desired: &report.desired,
        observed: report.observed.as_ref(),
        phase: report.phase,
        waiting: report.plan.as_ref().map_or(&[], |plan| &plan.waiting),
        cloud_error: report.cloud_error.as_deref(),
        verdict: report.verdict.as_ref(),
        restore_proof: report.restore_proof.as_ref(),
        closed_at: report.closed_at,
        as_of: report.as_of,
        price_per_hour: per_hour(&report.desired.spec, prices),
    }
}

pub(super) fn cloud_problem(error: CloudError) -> Problem {
    Problem::new(
        StatusCode::BAD_GATEWAY,
        "cloud",
        format!("The cloud did not answer: {} Nothing was changed.", error.what),
    )
    .next(if error.next.is_empty() {
        "Try again in a moment.".to_owned()
    } else {
        error.next
    })
}
