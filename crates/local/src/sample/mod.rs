//! The sample service: a small electronic medical record API that `arya try` deploys and a newcomer breaks.
//!
//! It is an application like a user's own: it is packed into an image, started as a process, health-checked and
//! scraped. It must never know of plans, arms, weights or the balancer in front of it.

mod config;
mod faults;
mod metrics;
mod records;
mod routes;
mod transfer;

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

pub use config::{ConfigError, Lifeline, SampleConfig};
pub use faults::Faults;
use routes::Service;

/// Requests that are running when the service is told to stop may take this long; the slowest fault the demo injects
/// is far below it, and a person waiting for Ctrl-C does not wait longer than this gladly.
pub const STOP_WITHIN: Duration = Duration::from_secs(2);

/// A connection without a request is closed after this long. Longer than a load balancer keeps one idle (60 s by
/// default): were the service to close first, a request just sent on it would be lost.
const HEADER_TIMEOUT: Duration = Duration::from_secs(75);

/// One control line is a small JSON object; more than this without a newline is not a control channel.
const CONTROL_LINE_LIMIT: u64 = 4096;

/// Runs the service until it is told to stop: SIGTERM or Ctrl-C finish what runs ([`STOP_WITHIN`]), the end of
/// `control` ends the service at once when the configuration ties its life to its parent.
///
/// # Errors
/// The listen address cannot be bound or the address file cannot be written.
pub async fn run(config: SampleConfig, control: impl AsyncRead + Send + Unpin) -> io::Result<()> {
    let listener = TcpListener::bind(config.listen).await?;
    if let Some(file) = &config.address_file {
        publish_address(file, listener.local_addr()?)?;
    }
    tracing::info!(address = %listener.local_addr()?, version = config.version, "the sample service is listening");
    serve(listener, config, control, told_to_stop()).await
}

/// The service on a listener that is already bound, until `stop` resolves or the control channel ends.
///
/// # Errors
/// None today; the type leaves room for an accept loop that gives up.
pub async fn serve(
    listener: TcpListener,
    config: SampleConfig,
    control: impl AsyncRead + Send + Unpin,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let lifeline = config.lifeline;
    let service = Arc::new(Service::new(config));
    let connections = TaskTracker::new();
    let (stopping, _) = watch::channel(false);
    let parent_is_gone = async {
        match lifeline {
            Lifeline::Control => obey(control, &service).await,
            Lifeline::None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = accept(&listener, &service, &connections, &stopping) => {}
        () = parent_is_gone => return Ok(()),
        () = stop => {}
    }
    drop(listener);
    stopping.send_replace(true);
    connections.close();
    // What is still running after the limit is cut: the process ends right after this.
    let _ = tokio::time::timeout(STOP_WITHIN, connections.wait()).await;
    Ok(())
}

async fn accept(
    listener: &TcpListener,
    service: &Arc<Service>,
    connections: &TaskTracker,
    stopping: &watch::Sender<bool>,
) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.spawn(converse(stream, Arc::clone(service), stopping.subscribe()));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Accepting fails when file descriptors run out; a short pause lets others be closed instead of spinning.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

async fn converse(stream: TcpStream, service: Arc<Service>, mut stopping: watch::Receiver<bool>) {
    // Small JSON answers: without this, delayed acknowledgements add 40 ms to some of them.
    let _ = stream.set_nodelay(true);
    let answer = service_fn(move |request| {
        let service = Arc::clone(&service);
        async move { Ok::<_, std::convert::Infallible>(service.answer(request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), answer);
    tokio::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stopping.wait_for(|stop| *stop) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

/// Applies control lines until the channel ends. A line that is not understood is reported and changes nothing.
async fn obey(control: impl AsyncRead + Unpin, service: &Service) {
    let mut lines = BufReader::new(control);
    loop {
        let mut line = String::new();
        match (&mut lines).take(CONTROL_LINE_LIMIT).read_line(&mut line).await {
            Ok(0) => return,
            Ok(_) if line.trim().is_empty() => {}
            Ok(_) => match service.faults.apply(&line) {
                Ok(()) => tracing::info!(line = line.trim(), "faults changed"),
                Err(error) => tracing::warn!(%error, "a control line was not understood; the faults stay as they were"),
            },
            Err(error) => {
                tracing::warn!(%error, "the control channel cannot be read; the service ends");
                return;
            }
        }
    }
}

/// Written under another name and renamed, so that a reader never sees half an address.
fn publish_address(file: &Path, address: SocketAddr) -> io::Result<()> {
    let mut unfinished = file.as_os_str().to_owned();
    unfinished.push(".unfinished");
    std::fs::write(&unfinished, format!("{address}\n"))?;
    std::fs::rename(&unfinished, file)
}

#[cfg(unix)]
async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        _ => {
            tracing::warn!("signals cannot be received; the service ends only with its parent");
            std::future::pending().await
        }
    }
}

#[cfg(not(unix))]
async fn told_to_stop() {
    let _ = tokio::signal::ctrl_c().await;
}

#[cfg(test)]
mod tests;
