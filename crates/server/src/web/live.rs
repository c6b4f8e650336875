//! Streams that say when a page is out of date. They carry no content: the page fetches itself anew, so that what is
//! shown is made in one place only.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use arya_engine::{RecordedEvent, Report};
use axum::extract::{Path, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream, StreamExt as _};
use tokio::sync::{broadcast, watch};

use crate::api::input::deployment_id;
use crate::api::problem::Problem;
use crate::app::App;

/// A page is fetched at most this often, however fast reports come: more cannot be read.
const AT_MOST_EVERY: Duration = Duration::from_millis(500);
/// Home shows clocks and rates of everything that is live; they are a few seconds old at most.
const HOME_EVERY: Duration = Duration::from_secs(2);

/// `GET /deployments/{id}/live`: `changed` with each new report, `ended` once it is destroyed.
pub(crate) async fn deployment(State(app): State<App>, Path(id): Path<String>) -> Result<Response, Problem> {
    let id = deployment_id(&id)?;
    let reports = app.engine.report(&id).map_err(|error| Problem::internal(&error))?;
    let reports = reports.ok_or_else(|| Problem::not_found("deployment with this id"))?;
    Ok(answer(&app, changes(reports)))
}

/// `GET /live`: `changed` with each event of any deployment, and now and then while something is live.
pub(crate) async fn everything(State(app): State<App>) -> Response {
    let news = app.engine.subscribe();
    answer(&app, news_of(app.clone(), news))
}

fn answer(app: &App, stream: impl Stream<Item = Event> + Send + 'static) -> Response {
    let stopping = app.stopping.clone();
    let stream = stream.map(Ok::<_, Infallible>).take_until(stopping.cancelled_owned());
    Sse::new(stream).keep_alive(KeepAlive::default()).into_response()
}

/// A browser passes over an event without data.
const SOMETHING: &str = "-";

/// Where a deployment's stream stands.
enum Follow {
    Reports(watch::Receiver<Arc<Report>>),
    Over,
}

fn changes(reports: watch::Receiver<Arc<Report>>) -> impl Stream<Item = Event> {
    stream::unfold(Follow::Reports(reports), |follow| async {
        let Follow::Reports(mut reports) = follow else {
            return None;
        };
        let closed = reports.borrow().closed_at.is_some();
        // The loop ends with its last report, so a closed channel is an end too.
        if closed || reports.changed().await.is_err() || reports.borrow().closed_at.is_some() {
            return Some((Event::default().event("ended").data(SOMETHING), Follow::Over));
        }
        tokio::time::sleep(AT_MOST_EVERY).await;
        reports.mark_unchanged();
        Some((
            Event::default().event("changed").data(SOMETHING),
            Follow::Reports(reports),
        ))
    })
}

fn news_of(app: App, news: broadcast::Receiver<RecordedEvent>) -> impl Stream<Item = Event> {
    stream::unfold((app, news), |(app, mut news)| async {
        loop {
            match tokio::time::timeout(HOME_EVERY, news.recv()).await {
                // Having missed some is news as well.
                Ok(Ok(_) | Err(broadcast::error::RecvError::Lagged(_))) => tokio::time::sleep(AT_MOST_EVERY).await,
                Ok(Err(broadcast::error::RecvError::Closed)) => return None,
                Err(_) if !anything_live(&app) => continue,
                Err(_) => {}
            }
            return Some((Event::default().event("changed").data(SOMETHING), (app, news)));
        }
    })
}

fn anything_live(app: &App) -> bool {
    app.open_deployments().is_ok_and(|open| !open.is_empty())
}
