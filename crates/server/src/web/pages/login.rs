//! The way in: one button, because following a link changes nothing.

use askama::Template;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::auth::{LoginRefusal, SESSION_LIFE};
use crate::web::{assets, html, words};

#[derive(Debug, Deserialize)]
pub(crate) struct Link {
    #[serde(default)]
    token: String,
    /// The page that was asked for.
    #[serde(default)]
    to: String,
}

pub(crate) async fn get(Query(link): Query<Link>) -> Response {
    html(&LoginPage::new(link.token, &link.to, None))
}

/// Where somebody logs in who asked for a page of ours.
pub(crate) fn address(asked: &str) -> String {
    match page_of_ours(asked) {
        "/" => "/login".into(),
        page => format!("/login?to={}", words::in_address(page)),
    }
}

/// A page of this server, and nothing that a browser would take for another one; else the first page.
pub(crate) fn page_of_ours(asked: &str) -> &str {
    // Browsers pass over tabs and line ends, and take a backslash for a slash.
    let plain = asked.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let here = asked.starts_with('/') && !asked.starts_with("//") && !asked.starts_with("/login");
    if plain && here && asked.len() <= PAGE_LENGTH {
        asked
    } else {
        "/"
    }
}

/// Longer than every address of a page.
const PAGE_LENGTH: usize = 500;

/// For a form that came without a session; it is not sent again by itself.
pub(crate) fn ended(posted_to: &str) -> Response {
    let said = format!(
        "Your session has ended: it lasts {}, and no longer than the server that began it. Nothing was changed. Log in, \
         and do it again.",
        session_lasts()
    );
    // Below a deployment's address there are forms; the page that has them is the deployment's.
    let mut parts = posted_to.split('/').skip(1);
    let page = match (parts.next(), parts.next()) {
        (Some("deployments"), Some(id)) => format!("/deployments/{id}"),
        (Some(page), _) => format!("/{page}"),
        (None, _) => "/".into(),
    };
    let page = if page == "/demo" { "/" } else { &page };
    let page = LoginPage::new(String::new(), page, Some(said));
    (StatusCode::UNAUTHORIZED, html(&page)).into_response()
}

/// The page again, with why.
pub(crate) fn refused(refusal: LoginRefusal, to: &str) -> Response {
    let status = match refusal {
        LoginRefusal::Unknown => StatusCode::FORBIDDEN,
        LoginRefusal::TooMany => StatusCode::TOO_MANY_REQUESTS,
    };
    (
        status,
        html(&LoginPage::new(String::new(), to, Some(refusal.to_string()))),
    )
        .into_response()
}

#[derive(Debug, Template)]
#[template(path = "pages/login.html")]
pub(crate) struct LoginPage {
    assets: assets::Urls,
    /// The secret of the printed link; empty when the page was opened without one.
    token: String,
    /// Where to go then.
    to: String,
    refused: Option<String>,
    lasts: String,
}

impl LoginPage {
    pub(crate) fn new(token: String, to: &str, refused: Option<String>) -> Self {
        Self {
            assets: assets::urls(),
            token,
            to: page_of_ours(to).to_owned(),
            refused,
            lasts: session_lasts(),
        }
    }
}

/// How long a login lasts, for every page that says so.
pub(super) fn session_lasts() -> String {
    words::duration(SESSION_LIFE.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_leads_to_pages_of_ours_and_nowhere_else() {
        for (asked, expected) in [
            (
                "/deployments/7f9c?metric=error+share",
                "/deployments/7f9c?metric=error+share",
            ),
            ("/", "/"),
            ("", "/"),
            ("//evil.example", "/"),
            ("/\\evil.example", "/"),
            ("/\t/evil.example", "/"),
            ("https://evil.example", "/"),
            ("/login?to=/lab", "/"),
        ] {
            assert_eq!(page_of_ours(asked), expected, "{asked:?}");
        }
        assert_eq!([address("/"), address("/lab")], ["/login", "/login?to=%2Flab"]);
        assert_eq!(page_of_ours(&format!("/{}", "x".repeat(PAGE_LENGTH))), "/");
    }
}
