//! Listening and answering, until told to stop.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::middleware;
use tokio::net::TcpListener;

use crate::app::App;
use crate::{api, guard, pages};

/// Requests that still run when the server is told to stop may take this long.
const FINISH_WITHIN: Duration = Duration::from_secs(2);

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
pub(crate) async fn serve(listener: TcpListener, app: App) -> io::Result<()> {
    let stopping = app.stopping.clone();
    let server = axum::serve(listener, router(app)).with_graceful_shutdown(stopping.clone().cancelled_owned());
    let cut_off = async {
        stopping.cancelled().await;
        tokio::time::sleep(FINISH_WITHIN).await;
    };
    tokio::select! {
        result = server => result,
        () = cut_off => Ok(()),
    }
}
