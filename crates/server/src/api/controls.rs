//! What a newcomer may do to the local world: spoil the canary, heal it, deploy production, change the traffic.

use arya_local::live::{ControlError, LiveCloud};
use arya_plan::identity::DeploymentId;
use axum::Json as Answer;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::input::{Json, deployment_id};
use super::problem::Problem;
use crate::app::App;

/// More would measure this machine, not the canary.
const LOAD_MAX: u32 = 1000;

pub(crate) async fn make_worse(State(app): State<App>, Path(id): Path<String>) -> Result<Answer<Value>, Problem> {
    let id = deployment_id(&id)?;
    told(&app, &id, local(&app)?.make_canary_worse(&id))
}

pub(crate) async fn heal(State(app): State<App>, Path(id): Path<String>) -> Result<Answer<Value>, Problem> {
    let id = deployment_id(&id)?;
    told(&app, &id, local(&app)?.heal_canary(&id))
}

/// The sentence goes to the feed of every live deployment: each of them is concerned.
pub(crate) async fn production_deploys(State(app): State<App>) -> Result<Answer<Value>, Problem> {
    let sentence = local(&app)?
        .production_deploys_now()
        .await
        .map_err(|error| refused(&error))?;
    for deployment in app.open_deployments()? {
        app.engine
            .note(&deployment.id, sentence.as_str())
            .map_err(|error| Problem::internal(&error))?;
    }
    Ok(Answer(json!({ "sentence": sentence })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Load {
    per_s: u32,
}

pub(crate) async fn load(State(app): State<App>, Json(load): Json<Load>) -> Result<Answer<Value>, Problem> {
    if load.per_s > LOAD_MAX {
        let detail = format!(
            "{} requests per second were asked; 0 to {LOAD_MAX} are possible. Nothing was changed.",
            load.per_s
        );
        return Err(Problem::invalid(detail)
            .at("per_s")
            .next("Choose a number in that range."));
    }
    let sentence = local(&app)?.set_load(load.per_s);
    Ok(Answer(json!({ "sentence": sentence })))
}

fn local(app: &App) -> Result<&LiveCloud, Problem> {
    app.world.local().ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_FOUND,
            "not-in-this-world",
            "This call exists only in `arya try`. Nothing was changed.",
        )
        .next("Start `arya try`.")
    })
}

fn told(app: &App, id: &DeploymentId, said: Result<String, ControlError>) -> Result<Answer<Value>, Problem> {
    app.report(id)?;
    let sentence = said.map_err(|error| refused(&error))?;
    app.engine
        .note(id, sentence.as_str())
        .map_err(|error| Problem::internal(&error))?;
    Ok(Answer(json!({ "sentence": sentence })))
}

fn refused(error: &ControlError) -> Problem {
    Problem::new(StatusCode::CONFLICT, "not-now", error.to_string()).next("Try again when the canary runs.")
}
