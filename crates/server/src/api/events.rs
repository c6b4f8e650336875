//! The feed: as a stream that resumes where it broke off, or as JSON.

use std::convert::Infallible;

use arya_engine::{EVENTS_AT_ONCE, RecordedEvent};
use arya_plan::identity::DeploymentId;
use axum::Json as Answer;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream, StreamExt as _};
use serde::Deserialize;
use tokio::sync::broadcast;

use super::documents::EventDocument;
use super::input::{accepts, deployment_id};
use super::problem::Problem;
use crate::app::App;

/// Events read from the store at once; the stream asks again until it has caught up.
const BATCH: usize = 200;

#[derive(Debug, Deserialize)]
pub(crate) struct After {
    /// Only events after this sequence number.
    after: Option<u64>,
}

pub(crate) async fn events(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(asked): Query<After>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = deployment_id(&id)?;
    let last_id = headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok()?.parse().ok());
    let after = app.known_place(&id, last_id.or(asked.after).unwrap_or(0))?;
    if accepts(&headers, "application/json") {
        let events = app.events(&id, after, EVENTS_AT_ONCE)?;
        return Ok(Answer(serde_json::json!({ "events": events })).into_response());
    }
    app.report(&id)?;
    let stopping = app.stopping.clone();
    let stream = feed(app, id, after).take_until(stopping.cancelled_owned());
    Ok(Sse::new(stream).keep_alive(KeepAlive::default()).into_response())
}

/// Where a stream stands. The store is the truth; the broadcast only says that there may be more.
struct Cursor {
    app: App,
    id: DeploymentId,
    after: u64,
    news: broadcast::Receiver<RecordedEvent>,
}

fn feed(app: App, id: DeploymentId, after: u64) -> impl Stream<Item = Result<Event, Infallible>> {
    // Subscribed before the first read, so that nothing falls between the two.
    let news = app.engine.subscribe();
    let cursor = Cursor { app, id, after, news };
    stream::unfold(cursor, |mut cursor| async {
        let batch = cursor.next_batch().await?;
        Some((stream::iter(batch.into_iter().map(|event| Ok(sent(&event)))), cursor))
    })
    .flatten()
}

impl Cursor {
    async fn next_batch(&mut self) -> Option<Vec<EventDocument>> {
        loop {
            let batch = self.app.events(&self.id, self.after, BATCH).ok()?;
            if let Some(last) = batch.last() {
                self.after = last.seq;
                return Some(batch);
            }
            self.news_of_ours().await?;
        }
    }

    /// Waits until something happened to this deployment, or too much happened to tell.
    async fn news_of_ours(&mut self) -> Option<()> {
        loop {
            match self.news.recv().await {
                Ok(event) if event.deployment == self.id && event.seq > self.after => return Some(()),
                Ok(_) => {}
                Err(broadcast::error::RecvError::Lagged(_)) => return Some(()),
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

fn sent(event: &EventDocument) -> Event {
    let data = serde_json::to_string(event).expect("an event is plain data");
    Event::default().id(event.seq.to_string()).data(data)
}
