//! Listening and answering, until told to stop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::connection::{Place, Room, Socket, answer};
use crate::{api, guard, pages, patience};

/// Requests that still run when the server is told to stop may take this long.
const FINISH_WITHIN: Duration = Duration::from_secs(2);
/// Accepting fails when file descriptors run out; a short pause lets others be closed instead of spinning.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// What a connection is allowed, whoever it belongs to.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Between two requests, and from the first byte of a head to its last.
    pub(crate) head_within: Duration,
    /// A client that takes no byte of its answer for so long is gone.
    pub(crate) written_within: Duration,
    /// A client that goes on sending behind its last answer is listened to for so long.
    pub(crate) lingers: Duration,
    /// A head of which so many bytes have come and which goes on is refused; and so much is kept of an answer that a
    /// client does not read.
    pub(crate) head_bytes: usize,
    /// Connections at once.
    pub(crate) connections: usize,
}

impl Limits {
    /// 30 s: a browser that was idle longer opens another connection; and some ten megabytes come in that time over a
    /// slow line, more than anyone sends by mistake where a form or a spec belongs. 64 KiB: what load balancers pass on. 1024: a
    /// browser holds six, every one costs some kilobytes, and together with the heads at most 64 MiB.
    pub(crate) const USUAL: Self = Self {
        head_within: Duration::from_secs(30),
        written_within: Duration::from_secs(30),
        lingers: Duration::from_secs(30),
        head_bytes: 64 * 1024,
        connections: 1024,
    };
}

/// Every route, behind the guard.
pub(crate) fn router(app: App) -> Router {
    Router::new()
        .merge(api::router())
        .merge(pages::router(app.clone()))
        // Inside the guard: who is refused gets no patience.
        .layer(middleware::map_request(patience::of_a_body))
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

/// Answers until `stopping` is cancelled, then finishes what runs.
pub(crate) async fn serve(listener: TcpListener, router: Router, limits: Limits, stopping: CancellationToken) {
    let room = Room::new(limits.connections);
    let connections = TaskTracker::new();
    while let Some(stream) = next(&listener, &stopping).await {
        let Some(place) = stopping.run_until_cancelled(room.enter()).await else {
            break;
        };
        connections.spawn(converse(
            stream,
            Arc::new(place),
            router.clone(),
            limits.clone(),
            stopping.clone(),
        ));
    }
    drop(listener);
    connections.close();
    // What is still running after the limit is cut: the process ends right after this.
    let _ = tokio::time::timeout(FINISH_WITHIN, connections.wait()).await;
}

/// The next connection; `None` = told to stop.
async fn next(listener: &TcpListener, stopping: &CancellationToken) -> Option<TcpStream> {
    loop {
        match stopping.run_until_cancelled(listener.accept()).await? {
            Ok((stream, _)) => return Some(stream),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn converse(stream: TcpStream, place: Arc<Place>, router: Router, limits: Limits, stopping: CancellationToken) {
    // Small answers: without this, delayed acknowledgements add 40 ms to some of them.
    let _ = stream.set_nodelay(true);
    let socket = Socket::new(stream, &limits);
    let (answering, routed) = (Arc::clone(&place), TowerToHyperService::new(router));
    let service = service_fn(move |request| answer(Arc::clone(&answering), routed.call(request)));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_within)
        .max_buf_size(limits.head_bytes)
        // A client that has said everything may close its side and still read; without this it would depend on chance
        // whether its answer is given.
        .half_close(true)
        .serve_connection(TokioIo::new(socket), service);
    tokio::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = place.told_to_leave() => if place.is_quiet() { return },
        () = stopping.cancelled() => {}
    }
    connection.as_mut().graceful_shutdown();
    // A client that went away is no news.
    let _ = connection.await;
}

#[cfg(test)]
mod tests;
