//! Listening and answering, until told to stop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::{api, guard, pages};

/// Requests that still run when the server is told to stop may take this long.
const FINISH_WITHIN: Duration = Duration::from_secs(2);
/// A client that opens a connection and does not send the head of a request, the first or the next, is dropped.
const HEADERS_WITHIN: Duration = Duration::from_secs(30);
/// Connections at once; a browser holds six, and every one costs a few kilobytes. More wait to be accepted.
const CONNECTIONS_MAX: usize = 1024;
/// Accepting fails when file descriptors run out; a short pause lets others be closed instead of spinning.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Every route, behind the guard.
pub(crate) fn router(app: App) -> Router {
    Router::new()
        .merge(api::router())
        .merge(pages::router())
        .layer(middleware::from_fn_with_state(app.clone(), guard::guard))
        .with_state(app)
}

/// Why the server does not listen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListenError {
    #[error(
        "The address {address} is in use by another program. Nothing was started. End that program, or choose another address with --listen."
    )]
    InUse { address: SocketAddr },
    #[error("Arya cannot listen on {address}. Nothing was started. Choose another address with --listen.")]
    Other {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
}

/// Takes the address.
pub(crate) async fn listen(address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address).await.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => ListenError::InUse { address },
        _ => ListenError::Other { address, source },
    })
}

/// Answers until `app.stopping` is cancelled, then finishes what runs.
pub(crate) async fn serve(listener: TcpListener, app: App) {
    let stopping = app.stopping.clone();
    let service = TowerToHyperService::new(router(app));
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let connections = TaskTracker::new();
    while let Some((stream, place)) = next(&listener, &room, &stopping).await {
        let (service, stopping) = (service.clone(), stopping.clone());
        connections.spawn(async move {
            converse(stream, service, stopping).await;
            drop(place);
        });
    }
    drop(listener);
    connections.close();
    // What is still running after the limit is cut: the process ends right after this.
    let _ = tokio::time::timeout(FINISH_WITHIN, connections.wait()).await;
}

/// The next connection, once there is room for one; `None` = told to stop.
async fn next(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
    stopping: &CancellationToken,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    loop {
        let arriving = async {
            let place = Arc::clone(room).acquire_owned().await.ok()?;
            Some((listener.accept().await, place))
        };
        let (accepted, place) = tokio::select! {
            arrived = arriving => arrived?,
            () = stopping.cancelled() => return None,
        };
        match accepted {
            Ok((stream, _)) => return Some((stream, place)),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn converse(stream: TcpStream, service: TowerToHyperService<Router>, stopping: CancellationToken) {
    // Small answers: without this, delayed acknowledgements add 40 ms to some of them.
    let _ = stream.set_nodelay(true);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stopping.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    // A client that went away is no news.
    let _ = connection.await;
}
