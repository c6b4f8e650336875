//! Connections that are kept between requests, as browsers and other services keep them.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Mutex;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;
pub(super) type Connection = http1::SendRequest<Body>;
pub(super) type Error = Box<dyn std::error::Error + Send + Sync>;

/// Connects to a host and port.
pub async fn connect(address: &str) -> Result<Connection, Error> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

pub(super) struct Pool {
    pub(super) address: String,
    idle: Mutex<VecDeque<Connection>>,
}

impl Pool {
    pub(super) fn new(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            idle: Mutex::default(),
        }
    }

    /// The connection that was idle longest, so that none comes near the server's idle timeout; or a fresh one.
    pub(super) async fn take(&self) -> Result<Connection, Error> {
        loop {
            let Some(kept) = self.idle.lock().unwrap().pop_front() else {
                return connect(&self.address).await;
            };
            // One that the server closed while it was idle is no loss: every client opens another.
            if kept.is_ready() {
                return Ok(kept);
            }
        }
    }

    /// Takes a connection back whose answer was read to its end.
    pub(super) fn keep(&self, connection: Connection) {
        self.idle.lock().unwrap().push_back(connection);
    }
}
