//! Where bytes of strangers first become something, as plain functions: `tests/fuzz` calls them with any bytes, without a
//! socket. The program itself does not come by here.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use crate::api::input::SpecBody;
use crate::api::problem::Problem;
use crate::api::text;
use crate::auth::{Auth, COOKIE};
use crate::web::fields::Fields;
use crate::web::form::NewForm;

/// The only API token that [`is_known`] lets in.
pub const TOKEN: &str = "good-token";
/// Stands for the secret of a session in the lines of [`is_known`].
pub const SESSION: &str = "SESSION";

/// What a person is told when a body is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    pub detail: String,
    pub field: Option<String>,
    pub next: Option<String>,
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self {
            status: problem.status,
            detail: problem.detail,
            field: problem.field,
            next: problem.next,
        }
    }
}

/// The spec that a posted form means, right or wrong.
///
/// # Errors
/// The body is no form.
pub fn form(body: &[u8]) -> Result<Value, Refusal> {
    let fields = Fields::parse(body)?;
    Ok(NewForm::posted(fields.0).document().0)
}

/// A spec as the API reads it, written down again.
///
/// # Errors
/// The body is no spec.
pub fn spec(media_type: Option<&str>, body: &[u8]) -> Result<Value, Refusal> {
    let read = SpecBody::parse(media_type, body)?;
    Ok(serde_json::to_value(read.spec).expect("a spec is plain data"))
}

/// A JSON body as a document.
///
/// # Errors
/// The body is no JSON, or has a key twice.
pub fn json(body: &[u8]) -> Result<Value, Refusal> {
    let read = text::json(body);
    read.map_err(|unreadable| unreadable.problem(axum::http::StatusCode::BAD_REQUEST, "body").into())
}

/// Whether a request with these lines of `Cookie` and `Authorization` comes from somebody known.
#[must_use]
pub fn is_known(cookies: &[&[u8]], authorizations: &[&[u8]]) -> bool {
    let auth = Auth::new([(TOKEN, "CI")]);
    let session = auth.login(TOKEN).expect("the token is right");
    let mut headers = HeaderMap::new();
    let named = |name: HeaderName, lines: &[&[u8]], headers: &mut HeaderMap| {
        for line in lines {
            let line = String::from_utf8_lossy(line).replace(SESSION, &session);
            if let Ok(value) = HeaderValue::from_bytes(line.as_bytes()) {
                headers.append(name.clone(), value);
            }
        }
    };
    named(axum::http::header::COOKIE, cookies, &mut headers);
    named(axum::http::header::AUTHORIZATION, authorizations, &mut headers);
    let known = auth.caller(&headers).is_some();
    auth.logout(&headers);
    known
}

/// The name of the session's cookie.
#[must_use]
pub const fn cookie_name() -> &'static str {
    COOKIE
}
