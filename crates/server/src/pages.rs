//! Where the program meets its pages: what they must offer, in one place.

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;

use crate::api::documents::ReportDocument;
use crate::api::problem::Problem;
use crate::app::App;
use crate::auth::LoginRefusal;
use crate::login;

/// The routes that browsers use.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/login", post(login::post))
        .route("/logout", post(login::logout))
}

/// The report as one file.
pub(crate) fn report(_document: &ReportDocument) -> Result<Response, Problem> {
    let detail = "This report exists as JSON only. Nothing was changed.";
    Err(Problem::new(StatusCode::NOT_ACCEPTABLE, "not-acceptable", detail).next("Send `Accept: application/json`."))
}

/// A login that was refused.
pub(crate) fn login_refused(refusal: LoginRefusal) -> Response {
    login::problem(refusal).into_response()
}
