//! Where the program meets its pages: what they must offer, in one place.

use axum::Router;
use axum::middleware;
use axum::routing::post;

use crate::app::App;
use crate::{login, web};

pub(crate) use web::{login_address, login_ended, login_refused, page_of_ours, report};

/// The routes that browsers use.
pub(crate) fn router(app: App) -> Router<App> {
    web::router()
        .route("/login", post(login::post))
        .route("/logout", post(login::logout))
        .layer(middleware::from_fn_with_state(app, web::as_page))
}
