//! A refusal as RFC 9457 has it: what happened, how the world is now, what to do. Every error of the API is one.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Serialize, Serializer};

pub(crate) const PROBLEM_TYPE: &str = "application/problem+json";

/// One refusal.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Problem {
    /// Stable; what a script may match, e.g. `urn:arya:plan-stale`.
    #[serde(rename = "type", serialize_with = "as_urn")]
    pub(crate) kind: &'static str,
    pub(crate) title: &'static str,
    pub(crate) status: u16,
    /// What happened and how the world is now.
    pub(crate) detail: String,
    /// The input's key, dotted, where the input was at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) field: Option<String>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
    /// Every problem of a plan, where a plan was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) problems: Option<Box<serde_json::Value>>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, kind: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind,
            title: status.canonical_reason().unwrap_or("Refused"),
            status: status.as_u16(),
            detail: detail.into(),
            field: None,
            next: None,
            problems: None,
        }
    }

    #[must_use]
    pub(crate) fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    #[must_use]
    pub(crate) fn at(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not-found",
            format!("There is no {what}. Nothing was changed."),
        )
        .next("Look at GET /api/v1/deployments, or at /api/openapi.json for every call.")
    }

    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail)
    }

    /// Something of ours failed. The chain is logged once, here; the person reads that nothing was changed.
    pub(crate) fn internal(error: &dyn std::error::Error) -> Self {
        let chain = chain(error);
        tracing::error!(error = chain, "a request could not be answered");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", chain)
            .next("Try again; the server's log has the same line.")
    }

    pub(crate) fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

fn as_urn<S: Serializer>(kind: &&'static str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("urn:arya:{kind}"))
}

/// An error with everything beneath it, as one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut inner = error.source();
    while let Some(cause) = inner {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        inner = cause.source();
    }
    text
}

impl From<arya_plan::spec::SpecError> for Problem {
    fn from(error: arya_plan::spec::SpecError) -> Self {
        let mut problem = Self::invalid(format!("{} Nothing was changed.", error.sentence)).next(error.next);
        problem.field = error.field;
        problem
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).expect("a problem is plain data");
        let mut response = (self.status_code(), body).into_response();
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_TYPE));
        if self.status == StatusCode::UNAUTHORIZED.as_u16() {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
