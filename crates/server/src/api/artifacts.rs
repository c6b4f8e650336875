//! `PUT /artifacts`: a file, stored while it streams.

use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use serde::Deserialize;

use super::documents::ArtifactDocument;
use super::problem::{Problem, chain};
use crate::app::App;
use crate::artifacts::{ArtifactError, SIZE_LIMIT};

#[derive(Debug, Deserialize)]
pub(crate) struct Named {
    filename: Option<String>,
}

pub(crate) async fn put(
    State(app): State<App>,
    Query(named): Query<Named>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > SIZE_LIMIT) {
        return Err(problem(&ArtifactError::TooLarge));
    }
    let document = receive(&app, named.filename.as_deref(), body)
        .await
        .map_err(|error| problem(&error))?;
    Ok((StatusCode::OK, axum::Json(document)).into_response())
}

async fn receive(app: &App, filename: Option<&str>, body: Body) -> Result<ArtifactDocument, ArtifactError> {
    let mut arrival = app.artifacts.arrive()?;
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| ArtifactError::Interrupted { what: chain(&error) })?;
        arrival.push(&chunk).await?;
    }
    app.artifacts.keep(arrival, filename, app.now().into()).await
}

fn problem(error: &ArtifactError) -> Problem {
    let refuse = |status, kind| Problem::new(status, kind, error.to_string());
    match error {
        ArtifactError::TooLarge => refuse(StatusCode::PAYLOAD_TOO_LARGE, "too-large").next("Make the image smaller."),
        ArtifactError::NoRoom => refuse(StatusCode::INSUFFICIENT_STORAGE, "no-room")
            .next("Remove files that are not needed from the data directory's `artifacts`, then start again."),
        ArtifactError::DiskFull => {
            refuse(StatusCode::INSUFFICIENT_STORAGE, "disk-full").next("Free some space, then upload again.")
        }
        ArtifactError::Interrupted { what } => {
            tracing::info!(what, "an upload ended early; nothing of it was kept");
            refuse(StatusCode::BAD_REQUEST, "incomplete").next("Upload it again.")
        }
        ArtifactError::Write(_) => {
            Problem::internal(error).next("Look at the disk and the rights of the data directory, then upload again.")
        }
        ArtifactError::Unusable(inner) => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "unusable-file", chain(inner))
            .next("Upload what `docker save IMAGE` writes, or a compose file."),
    }
}
