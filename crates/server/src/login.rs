//! The way in: a page with one button, because a GET changes nothing, and the POST behind it.

use axum::Form;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use crate::app::App;
use crate::auth::{forget_cookie, set_cookie};

/// The form of the login page.
#[derive(Debug, Deserialize)]
pub(crate) struct Presented {
    /// A one-time link's secret, or an API token.
    token: String,
}

/// Exchanges what was presented for a session and goes to the home page.
pub(crate) async fn post(State(app): State<App>, Form(presented): Form<Presented>) -> Response {
    match app.auth.login(&presented.token) {
        Ok(session) => ([(header::SET_COOKIE, set_cookie(&session))], Redirect::to("/")).into_response(),
        Err(refusal) => crate::pages::login_refused(refusal),
    }
}

/// Ends the session.
pub(crate) async fn logout(State(app): State<App>, headers: HeaderMap) -> Response {
    app.auth.logout(&headers);
    ([(header::SET_COOKIE, forget_cookie())], Redirect::to("/login")).into_response()
}
