//! The pages: server-rendered, readable without JavaScript, live by server-sent events. They show what the documents of
//! the API say and change nothing by themselves; they must never know an adapter or a rule of business.

mod assets;
mod chart;
mod error;
pub(crate) mod fields;
#[cfg(test)]
mod fixtures;
pub(crate) mod form;
mod frame;
#[cfg(test)]
mod gallery;
#[cfg(test)]
mod judged;
mod lines;
mod live;
mod pages;
mod parts;
mod routes;
mod strip;
mod tone;
mod words;

use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};

pub(crate) use error::ErrorPage;
pub(crate) use frame::Around;
pub(crate) use pages::login::{address as login_address, ended as login_ended, page_of_ours, refused as login_refused};
pub(crate) use pages::report::answer as report;
pub(crate) use routes::{as_page, router};

/// A page as an answer. Templates write to memory, so they fail only by a mistake of ours.
fn html<T: Template>(page: &T) -> Response {
    match page.render() {
        Ok(text) => Html(text).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            (
                StatusCode::INTERNAL_SERVER_ERROR,
                "This page could not be made. Nothing was changed. Go back and try again.",
            )
                .into_response()
        }
    }
}
