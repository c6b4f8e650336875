//! The way in: one button, because following a link changes nothing.

use askama::Template;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::auth::LoginRefusal;
use crate::web::{assets, html};

#[derive(Debug, Deserialize)]
pub(crate) struct Link {
    #[serde(default)]
    token: String,
}

pub(crate) async fn get(Query(link): Query<Link>) -> Response {
    html(&LoginPage::new(link.token, None))
}

/// The page again, with why.
pub(crate) fn refused(refusal: LoginRefusal) -> Response {
    let status = match refusal {
        LoginRefusal::Unknown => StatusCode::FORBIDDEN,
        LoginRefusal::TooMany => StatusCode::TOO_MANY_REQUESTS,
    };
    (status, html(&LoginPage::new(String::new(), Some(refusal.to_string())))).into_response()
}

#[derive(Debug, Template)]
#[template(path = "pages/login.html")]
pub(crate) struct LoginPage {
    assets: assets::Urls,
    /// The secret of the printed link; empty when the page was opened without one.
    token: String,
    refused: Option<String>,
}

impl LoginPage {
    pub(crate) fn new(token: String, refused: Option<String>) -> Self {
        Self {
            assets: assets::urls(),
            token,
            refused,
        }
    }
}
