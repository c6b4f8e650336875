//! `PUT /artifacts`: a file, stored while it streams.

use std::time::SystemTime;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use serde::Deserialize;

use super::documents::ArtifactDocument;
use super::problem::{Problem, chain};
use crate::app::App;
use crate::artifacts::{ArtifactError, Artifacts, Meant, SIZE_LIMIT};
use crate::patience::TooSlow;

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Named {
    filename: Option<String>,
    #[serde(default)]
    kind: Meant,
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
    let document = receive(&app.artifacts, &named, body, app.now().into())
        .await
        .map_err(|error| problem(&error))?;
    Ok((StatusCode::OK, axum::Json(document)).into_response())
}

async fn receive(
    artifacts: &Artifacts,
    named: &Named,
    body: Body,
    now: SystemTime,
) -> Result<ArtifactDocument, ArtifactError> {
    let mut arrival = artifacts.arrive()?;
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| match TooSlow::behind(&error) {
            Some(_) => ArtifactError::Stalled,
            None => ArtifactError::Interrupted { what: chain(&error) },
        })?;
        arrival.push(&chunk).await?;
    }
    let filename = named.filename.as_deref();
    artifacts.keep(arrival, filename, named.kind, now).await
}

fn problem(error: &ArtifactError) -> Problem {
    let refuse = |status, kind| Problem::new(status, kind, error.to_string());
    match error {
        ArtifactError::TooLarge => refuse(StatusCode::PAYLOAD_TOO_LARGE, "too-large").next("Make the image smaller."),
        ArtifactError::NotForALaunch => refuse(StatusCode::PAYLOAD_TOO_LARGE, "too-large")
            .next("Put what is large into the image, or let the app fetch it when it starts."),
        ArtifactError::NoRoom => refuse(StatusCode::INSUFFICIENT_STORAGE, "no-room")
            .next("Remove files that are not needed from the data directory's `artifacts`, then start again."),
        ArtifactError::DiskFull => {
            refuse(StatusCode::INSUFFICIENT_STORAGE, "disk-full").next("Free some space, then upload again.")
        }
        ArtifactError::Interrupted { what } => {
            tracing::info!(what, "an upload ended early; nothing of it was kept");
            refuse(StatusCode::BAD_REQUEST, "incomplete").next("Upload it again.")
        }
        ArtifactError::Stalled => {
            refuse(StatusCode::REQUEST_TIMEOUT, "too-slow").next("Upload it again on a better connection.")
        }
        ArtifactError::Write(_) => {
            Problem::internal(error).next("Look at the disk and the rights of the data directory, then upload again.")
        }
        ArtifactError::Unusable(inner) => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "unusable-file", chain(inner))
            .next("Upload what `docker save IMAGE` writes, or a compose file; for a file of the app's configuration say `kind=file`."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_of_a_file_says_what_to_do() {
        let check = |error: ArtifactError, status: u16, kind: &str| {
            let problem = problem(&error);
            assert_eq!((problem.status, problem.kind), (status, kind));
            assert!(problem.detail.contains("Nothing of"), "{problem:?}");
            assert!(problem.next.is_some(), "{problem:?}");
        };
        check(ArtifactError::TooLarge, 413, "too-large");
        check(ArtifactError::NoRoom, 507, "no-room");
        check(ArtifactError::DiskFull, 507, "disk-full");
        check(ArtifactError::Stalled, 408, "too-slow");
        check(ArtifactError::Interrupted { what: "x".into() }, 400, "incomplete");
        check(
            ArtifactError::from(std::io::Error::from_raw_os_error(28)),
            507,
            "disk-full",
        );
        check(
            ArtifactError::from(std::io::Error::from_raw_os_error(122)),
            507,
            "disk-full",
        );
        check(
            ArtifactError::from(std::io::Error::from_raw_os_error(5)),
            500,
            "internal",
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_upload_that_stands_still_is_given_up_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let artifacts = Artifacts::open(dir.path()).unwrap();
        let first = futures_util::stream::iter([Ok::<_, std::convert::Infallible>("services:")]);
        let stalled = Body::from_stream(first.chain(futures_util::stream::pending()));
        let request = axum::extract::Request::put("/api/v1/artifacts").body(stalled).unwrap();
        let body = crate::patience::of_a_body(request).await.into_body();
        let ended = receive(&artifacts, &Named::default(), body, SystemTime::UNIX_EPOCH).await;
        assert!(matches!(ended, Err(ArtifactError::Stalled)), "{ended:?}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
