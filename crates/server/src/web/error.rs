//! A page for what went wrong: what happened, how the world is now, the way back.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::frame::{Around, Frame};
use super::html;
use crate::api::problem::Problem;

#[derive(Debug, Template)]
#[template(path = "pages/error.html")]
pub(crate) struct ErrorPage {
    frame: Frame,
    title: &'static str,
    sentence: String,
    next: String,
}

impl ErrorPage {
    pub(crate) fn of(around: &Around, problem: &Problem) -> Self {
        let title = match problem.status_code() {
            StatusCode::NOT_FOUND => "This is not here",
            StatusCode::METHOD_NOT_ALLOWED => "This cannot be done so",
            StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNSUPPORTED_MEDIA_TYPE | StatusCode::REQUEST_TIMEOUT => {
                "That was not done"
            }
            StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY | StatusCode::BAD_REQUEST => "That was not done",
            StatusCode::BAD_GATEWAY => "The cloud does not answer",
            _ => "Something went wrong here",
        };
        Self {
            frame: Frame::new(title, "", around),
            title,
            sentence: problem.detail.clone(),
            // A call of the API is no way on for who reads a page.
            next: match &problem.next {
                Some(next) if !next.contains("/api/") => next.clone(),
                Some(_) | None if problem.status_code() == StatusCode::NOT_FOUND => {
                    "Home lists what is live and what was.".into()
                }
                Some(_) | None => "Go back and try again, or begin anew from Home.".into(),
            },
        }
    }

    pub(crate) fn answer(around: &Around, problem: &Problem) -> Response {
        (problem.status_code(), html(&Self::of(around, problem))).into_response()
    }
}
