//! The HTTP API of the contract. A handler parses, asks the app, answers; it decides nothing.
//!
//! The table in `routes` is the only list of calls: the router and the OpenAPI document are both made from it.

mod artifacts;
pub(crate) mod controls;
mod deployments;
pub(crate) mod documents;
mod events;
pub(crate) mod input;
pub(crate) mod lab;
mod metrics;
mod monitor;
mod openapi;
pub(crate) mod problem;
mod routes;
pub(crate) mod text;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, StatusCode, Uri};

use crate::app::App;
use problem::Problem;

/// Every call of the API, its document, and the embedded monitor.
pub(crate) fn router() -> Router<App> {
    let calls = routes::routes().into_iter().fold(Router::new(), |router, route| {
        router.route(&route.path(), route.handler)
    });
    calls
        .route("/monitor", axum::routing::get(monitor::front))
        .route("/monitor/{*rest}", axum::routing::any(monitor::handle))
        .route("/api/{*rest}", axum::routing::any(unknown))
        .method_not_allowed_fallback(wrong_method)
        // Every handler bounds its own body: artifacts stream and have their own limit.
        .layer(DefaultBodyLimit::disable())
}

async fn unknown(uri: Uri) -> Problem {
    Problem::not_found(&format!("call `{}`", input::shown(uri.path())))
}

async fn wrong_method(method: Method, uri: Uri) -> Problem {
    let detail = format!(
        "`{}` does not answer {method}. Nothing was changed.",
        input::shown(uri.path())
    );
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", detail)
        .next("Look at /api/openapi.json for the calls there are.")
}
