//! The way in: a page with one button, because a GET changes nothing, and the POST behind it.

use crate::app::App;
use crate::auth::{forget_cookie, set_cookie};
use crate::web::fields::LoginFields;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Redirect, Response};

/// Exchanges the one-time link's secret, or the API token, that the form holds for a session and goes to the
/// page that was asked for.
pub(crate) async fn post(State(app): State<App>, LoginFields(fields): LoginFields) -> Response {
    // No token, or two of them, is as wrong as a wrong one.
    let presented = fields.one("token").ok().flatten().unwrap_or_default();
    let to = crate::pages::page_of_ours(fields.one("to").ok().flatten().unwrap_or_default());
    match app.auth.login(presented) {
        Ok(session) => ([(header::SET_COOKIE, set_cookie(&session))], Redirect::to(to)).into_response(),
        Err(refusal) => crate::pages::login_refused(refusal, to),
    }
}

/// Ends the session.
pub(crate) async fn logout(State(app): State<App>, headers: HeaderMap) -> Response {
    app.auth.logout(&headers);
    ([(header::SET_COOKIE, forget_cookie())], Redirect::to("/login")).into_response()
}
