//! The one table of addresses that browsers use. A GET changes nothing; a POST answers 303, or 422 with the form.

use axum::Extension;
use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::Uri;
use axum::response::Response;
use axum::routing::{get, post};

use super::error::ErrorPage;
use super::frame::Around;
use super::{assets, live, pages};
use crate::api::problem::Problem;
use crate::app::App;
use crate::auth::Caller;

/// A form of a page. The largest holds a pasted spec with a Kayenta configuration.
const FORM_LIMIT: usize = 1024 * 1024;

/// Every page, its forms, its stream and its files.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/", get(pages::home::get))
        .route("/live", get(live::everything))
        .route("/demo", post(pages::home::demo))
        .route("/new", get(pages::new::get).post(pages::new::post))
        .route("/connect", get(pages::connect::get))
        .route("/deployments/{id}", get(pages::deployment::get))
        .route("/deployments/{id}/live", get(live::deployment))
        .route("/deployments/{id}/weight", post(pages::deployment::weight))
        .route("/deployments/{id}/override", post(pages::deployment::overrule))
        .route("/deployments/{id}/try/{control}", post(pages::deployment::control))
        .route(
            "/deployments/{id}/destroy",
            get(pages::destroy::get).post(pages::destroy::post),
        )
        .route("/deployments/{id}/report", get(pages::report::get))
        .route("/login", get(pages::login::get))
        .route("/static/{name}", get(assets::serve))
        .fallback(missing)
        .layer(DefaultBodyLimit::max(FORM_LIMIT))
}

async fn missing(State(app): State<App>, caller: Option<Extension<Caller>>, uri: Uri) -> Response {
    let around = Around::of(&app, caller.as_ref().map(|Extension(caller)| caller));
    let page = crate::api::input::shown(uri.path());
    ErrorPage::answer(&around, &Problem::not_found(&format!("page {page}")))
}
