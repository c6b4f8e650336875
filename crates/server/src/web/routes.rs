//! The one table of addresses that browsers use. A GET changes nothing; a POST answers 303, or 422 with the form.

use axum::Extension;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};

use super::error::ErrorPage;
use super::frame::Around;
use super::{assets, live, pages};
use crate::api::problem::Problem;
use crate::app::App;
use crate::auth::Caller;

/// Every page, its forms, its stream and its files.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/", get(pages::home::get))
        .route("/live", get(live::everything))
        .route("/demo", post(pages::home::demo))
        .route("/new", get(pages::new::get).post(pages::new::post))
        .route("/lab", get(pages::lab::get).post(pages::lab::post))
        .route("/connect", get(pages::connect::get))
        .route("/settings", get(pages::settings::get))
        .route("/settings/standing/{id}/remove", post(pages::settings::remove))
        .route("/deployments/{id}", get(pages::deployment::get))
        .route("/deployments/{id}/live", get(live::deployment))
        .route("/deployments/{id}/logs", get(pages::logs::get))
        .route("/deployments/{id}/tools/{tool}", get(crate::tools::hand_over))
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
}

/// What the framework itself refuses, in a line of text or in none, is told as every other refusal is.
pub(crate) async fn as_page(State(app): State<App>, request: Request, next: Next) -> Response {
    let caller = request.extensions().get::<Caller>().cloned();
    let answer = next.run(request).await;
    let kind = answer.headers().get(header::CONTENT_TYPE);
    let bare = kind.is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"));
    if !(bare && answer.status().is_client_error()) {
        return answer;
    }
    let problem = match answer.status() {
        status @ StatusCode::METHOD_NOT_ALLOWED => Problem::new(
            status,
            "method",
            "This address does not answer to this method. Nothing was changed.",
        ),
        status => Problem::new(
            status,
            "unreadable",
            "The address or one of its parameters cannot be read. Nothing was changed.",
        ),
    };
    let page = ErrorPage::answer(
        &Around::of(&app, caller.as_ref()),
        &problem.next("Go back and try again."),
    );
    // Which methods there are is said in a header, and stays.
    let allowed = answer.headers().get(header::ALLOW).cloned();
    match allowed {
        Some(allowed) => ([(header::ALLOW, allowed)], page).into_response(),
        None => page,
    }
}

async fn missing(State(app): State<App>, caller: Option<Extension<Caller>>, uri: Uri) -> Response {
    let around = Around::of(&app, caller.as_ref().map(|Extension(caller)| caller));
    let page = crate::api::input::shown(uri.path());
    ErrorPage::answer(&around, &Problem::not_found(&format!("page {page}")))
}
