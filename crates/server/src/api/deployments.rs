//! Plans and deployments: parse, ask the app, answer.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json as Answer};
use serde::Deserialize;

use super::documents::{DeploymentDocument, ListenersDocument, LogsDocument, PlanDocument, VerdictDocument};
use super::input::{Ignored, Json, SpecBody, accepts, deployment_id};
use super::problem::Problem;
use crate::app::App;
use crate::auth::Caller;

pub(crate) async fn listeners(State(app): State<App>) -> Answer<ListenersDocument> {
    Answer(app.listeners().await)
}

pub(crate) async fn plan(State(app): State<App>, body: SpecBody) -> Result<Answer<PlanDocument>, Problem> {
    app.plan(&body.spec).await.map(Answer)
}

pub(crate) async fn create(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    body: SpecBody,
) -> Result<Response, Problem> {
    let document = app.deploy(body, &caller).await?;
    let location = format!("/api/v1/deployments/{}", document.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Answer(document)).into_response())
}

pub(crate) async fn list(State(app): State<App>) -> Result<Answer<serde_json::Value>, Problem> {
    Ok(Answer(serde_json::json!({ "deployments": app.deployments()? })))
}

pub(crate) async fn get(State(app): State<App>, Path(id): Path<String>) -> Result<Answer<DeploymentDocument>, Problem> {
    app.deployment_with_probe(&deployment_id(&id)?).map(Answer)
}

pub(crate) async fn logs(State(app): State<App>, Path(id): Path<String>) -> Result<Answer<LogsDocument>, Problem> {
    app.logs(&deployment_id(&id)?).await.map(Answer)
}

/// The archive that the monitor made last, as a file.
pub(crate) async fn export(State(app): State<App>, Path(id): Path<String>) -> Result<Response, Problem> {
    let id = deployment_id(&id)?;
    let Some(archive) = app.export(&id).await? else {
        let problem = Problem::not_found("export of this deployment's monitor");
        return Err(problem.next("It is kept when the deployment's bucket goes; `arya try` has no monitor of its own."));
    };
    let name = format!("attachment; filename=\"arya-{}.tar.gz\"", id.short());
    let headers = [
        (header::CONTENT_TYPE, "application/gzip".to_owned()),
        (header::CONTENT_DISPOSITION, name),
    ];
    Ok((headers, archive).into_response())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Weight {
    canary_percent: f64,
}

pub(crate) async fn weight(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Json(weight): Json<Weight>,
) -> Result<Answer<DeploymentDocument>, Problem> {
    app.set_share(&deployment_id(&id)?, weight.canary_percent, &caller)
        .map(Answer)
}

pub(crate) async fn destroy(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    _: Ignored,
) -> Result<Response, Problem> {
    let document = app.destroy(&deployment_id(&id)?, &caller)?;
    Ok((StatusCode::ACCEPTED, Answer(document)).into_response())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Override {
    reason: String,
}

pub(crate) async fn overrule(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Json(asked): Json<Override>,
) -> Result<Answer<DeploymentDocument>, Problem> {
    app.overrule(&deployment_id(&id)?, asked.reason, &caller).map(Answer)
}

pub(crate) async fn verdict(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Answer<VerdictDocument>, Problem> {
    app.scored_verdict(&deployment_id(&id)?).await.map(Answer)
}

/// The frozen page: HTML unless JSON is asked for.
pub(crate) async fn report(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let document = app.report_document(&deployment_id(&id)?).await?;
    if accepts(&headers, "application/json") {
        return Ok(Answer(document).into_response());
    }
    Ok(crate::pages::report(&document))
}
