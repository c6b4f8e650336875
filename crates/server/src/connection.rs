//! One connection: how long it may take for a head and for reading its answer, and when it has to make room for others.
//! It must never know routes or who asks.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::Response;
use hyper::body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};
use tokio_util::sync::CancellationToken;

use crate::serve::Limits;

/// Thrown away at once, in bytes, of what a client sends behind its last answer.
const LINGER_BUFFER: usize = 16 * 1024;
/// How often whoever waits at a full door looks again for a connection that could make room.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The places for connections. When all are taken, the connection that has been without a request longest gives up its
/// own: a flood of silent connections must not keep out the one that wants to destroy.
#[derive(Debug, Clone)]
pub(crate) struct Room(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    places: Arc<Semaphore>,
    quiet: Mutex<Quiet>,
}

/// Connections that wait for a request, by when they began to.
#[derive(Debug, Default)]
struct Quiet {
    next: u64,
    waiting: BTreeMap<u64, CancellationToken>,
}

impl Room {
    pub(crate) fn new(places: usize) -> Self {
        Self(Arc::new(Inner {
            places: Arc::new(Semaphore::new(places)),
            quiet: Mutex::default(),
        }))
    }

    /// A place, at once or as soon as somebody leaves.
    pub(crate) async fn enter(&self) -> Place {
        let places = || Arc::clone(&self.0.places);
        let permit = match places().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => loop {
                self.0.send_away_the_quietest();
                let acquired = tokio::time::timeout(LOOK_AGAIN, places().acquire_owned()).await;
                if let Ok(permit) = acquired {
                    break permit.expect("the semaphore is never closed");
                }
            },
        };
        let leave = CancellationToken::new();
        let waiting = Some(self.0.wait(leave.clone()));
        Place {
            room: Arc::clone(&self.0),
            leave,
            waiting: Mutex::new(waiting),
            _permit: permit,
        }
    }
}

impl Inner {
    fn quiet(&self) -> std::sync::MutexGuard<'_, Quiet> {
        // The map is whole after every statement.
        self.quiet.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, leave: CancellationToken) -> u64 {
        let mut quiet = self.quiet();
        let number = quiet.next;
        quiet.next += 1;
        quiet.waiting.insert(number, leave);
        number
    }

    fn send_away_the_quietest(&self) {
        if let Some((_, leave)) = self.quiet().waiting.pop_first() {
            leave.cancel();
        }
    }
}

/// A connection's place among the others.
#[derive(Debug)]
pub(crate) struct Place {
    room: Arc<Inner>,
    /// Cancelled when it has to go.
    leave: CancellationToken,
    waiting: Mutex<Option<u64>>,
    _permit: OwnedSemaphorePermit,
}

impl Place {
    /// Returns when others need the place.
    pub(crate) async fn told_to_leave(&self) {
        self.leave.cancelled().await;
    }

    /// Whether no request is being answered.
    pub(crate) fn is_quiet(&self) -> bool {
        self.waiting().is_some()
    }

    /// A request has come.
    fn busy(&self) {
        if let Some(number) = self.waiting().take() {
            self.room.quiet().waiting.remove(&number);
        }
    }

    /// Its answer is over.
    fn quiet(&self) {
        *self.waiting() = Some(self.room.wait(self.leave.clone()));
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Option<u64>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.busy();
    }
}

/// Answers one request of a connection, which is not quiet until the answer's last byte is handed over.
pub(crate) async fn answer<E>(
    place: Arc<Place>,
    answering: impl Future<Output = Result<Response<Body>, E>>,
) -> Result<Response<Body>, E> {
    place.busy();
    let busy = Busy(place);
    let response = answering.await?;
    Ok(response.map(|body| Body::new(Answering { body, _busy: busy })))
}

struct Busy(Arc<Place>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.quiet();
    }
}

/// An answer's body on its way.
struct Answering {
    body: Body,
    _busy: Busy,
}

impl HttpBody for Answering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A client's socket that fails once the client has not read for too long; what waits to be written to it is then free.
///
/// Behind the last answer it throws away what the client still sends: were it closed over unread bytes, the system would
/// reset it, and a client that sends all of a refused body before it reads would never see why.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
    written_within: Duration,
    lingers: Duration,
    /// Runs while the client takes nothing.
    stuck: Option<Pin<Box<Sleep>>>,
    /// There is an answer that could be lost.
    answered: bool,
    /// Runs from the end of the last answer.
    lingering: Option<Pin<Box<Sleep>>>,
}

impl Socket {
    pub(crate) const fn new(stream: TcpStream, limits: &Limits) -> Self {
        Self {
            stream,
            written_within: limits.written_within,
            lingers: limits.lingers,
            stuck: None,
            answered: false,
            lingering: None,
        }
    }

    /// Ready when the client has closed too, or its time is over.
    fn linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let limit = self.lingers;
        let lingering = self.lingering.get_or_insert_with(|| Box::pin(sleep(limit)));
        let mut buffer = [0; LINGER_BUFFER];
        while lingering.as_mut().poll(cx).is_pending() {
            let mut taken = ReadBuf::new(&mut buffer);
            let read = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut taken));
            if read.is_err() || taken.filled().is_empty() {
                break;
            }
        }
        Poll::Ready(())
    }

    fn watch<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stuck = None;
            return written;
        }
        let limit = self.written_within;
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(sleep(limit)));
        stuck.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.answered |= written.is_ready();
        self.watch(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.answered |= written.is_ready();
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.watch(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingering.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        }
        if self.answered {
            ready!(self.linger(cx));
        }
        Poll::Ready(Ok(()))
    }
}
