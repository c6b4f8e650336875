//! What the containers of both arms printed, side by side with the deployment's page, and kept when it is gone.

use arya_plan::left::LOG_BYTES_MAX;
use askama::Template;
use axum::Extension;
use axum::extract::{Path, State};
use axum::response::Response;

use crate::api::documents::{DeploymentDocument, LogDocument, LogsDocument};
use crate::api::input::deployment_id;
use crate::api::problem::Problem;
use crate::app::App;
use crate::auth::Caller;
use crate::web::error::ErrorPage;
use crate::web::frame::{Around, Frame};
use crate::web::html;
use crate::web::words;

pub(crate) async fn get(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Response {
    let around = Around::of(&app, Some(&caller));
    match read(&app, &id).await {
        Ok((deployment, logs)) => html(&LogsPage::of(&around, &deployment, &logs)),
        Err(problem) => ErrorPage::answer(&around, &problem),
    }
}

async fn read(app: &App, id: &str) -> Result<(DeploymentDocument, LogsDocument), Problem> {
    let id = deployment_id(id)?;
    Ok((app.deployment(&id)?, app.log_tails(&id).await?))
}

#[derive(Debug, Template)]
#[template(path = "pages/logs.html")]
pub(crate) struct LogsPage {
    frame: Frame,
    id: String,
    name: String,
    closed: bool,
    logs: Vec<LogView>,
    missing: Option<String>,
    as_of: String,
    /// What the API has of each, in KiB.
    kib_max: usize,
}

/// One instance's.
#[derive(Debug, Clone)]
pub(crate) struct LogView {
    /// Of the part, so that it can be replaced.
    pub(crate) part: String,
    /// Of the arm's colour.
    pub(crate) class: &'static str,
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) cut: bool,
}

impl LogView {
    pub(crate) fn of(log: &LogDocument) -> Self {
        Self {
            part: format!("log-{}-{}-{}", log.role, log.index, log.incarnation),
            class: log.role,
            name: log.name.clone(),
            text: log.text.clone(),
            cut: log.cut,
        }
    }
}

impl LogsPage {
    pub(crate) fn of(around: &Around, deployment: &DeploymentDocument, logs: &LogsDocument) -> Self {
        let (id, closed) = (deployment.id.to_string(), deployment.closed_at.is_some());
        let frame = Frame::new(format!("Logs of {}", deployment.name), "", around);
        let (page, stream) = (format!("/deployments/{id}/logs"), format!("/deployments/{id}/live"));
        Self {
            frame: if closed { frame } else { frame.live(page, stream) },
            id,
            name: deployment.name.clone(),
            closed,
            logs: logs.logs.iter().map(LogView::of).collect(),
            missing: logs.missing.clone(),
            as_of: words::day(logs.as_of),
            kib_max: LOG_BYTES_MAX / 1024,
        }
    }
}
