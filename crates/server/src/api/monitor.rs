//! The embedded monitor's API, behind this server's login. On AWS the monitor is an instance of its own.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Redirect, Response};

use super::problem::Problem;
use crate::app::App;

/// The monitor has no pages of its own; what it watches is the best first look.
pub(crate) async fn front() -> Redirect {
    Redirect::to("/monitor/api/v1/targets")
}

pub(crate) async fn handle(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    match app.world.local() {
        Some(cloud) => Ok(cloud.monitor().handle(request).await.map(Body::new).into_response()),
        None => Err(Problem::not_found("embedded monitor")),
    }
}
