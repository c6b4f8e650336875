//! One client connection: what is known of it, how long it may be quiet, and the bytes as they pass.
//!
//! Knows nothing of rules and targets. Its time limits cost a request no timer of its own: one timer per connection is
//! moved only when it fires.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::chance::Chance;
use super::headers::ClientHeaders;

/// Between requests; reading a head; answering.
const IDLE: u8 = 0;
const HEAD: u8 = 1;
const ANSWERING: u8 = 2;

/// Which of the two ways to give a body's length the head of the current request had.
pub(super) const CONTENT_LENGTH: u8 = 1;

/// What became of a request's body on its way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Upload {
    /// Nothing is wrong with it so far.
    Whole = 0,
    /// The client went away, or closed its half, before the end.
    Cut = CUT,
    /// Its chunks cannot be read.
    Malformed = MALFORMED,
}

const CUT: u8 = 1;
const MALFORMED: u8 = 2;

/// One client connection, shared by its socket, its requests and their bodies; all within one task.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) peer: SocketAddr,
    pub(super) headers: ClientHeaders,
    pub(super) chance: Chance,
    /// The access log's `conn_trace_id`.
    pub(super) connection_id: u128,
    origin: Instant,
    idle_timeout: Duration,
    header_timeout: Duration,
    phase: AtomicU8,
    seen: AtomicU8,
    active_ms: AtomicU64,
    head_since_ms: AtomicU64,
    uploaded: AtomicU64,
    upload: AtomicU8,
    upload_waits: AtomicBool,
    late: AtomicBool,
}

impl Client {
    pub(super) fn new(peer: SocketAddr, port: u16, seeds: [u64; 3], idle: Duration, header: Duration) -> Self {
        Self {
            peer,
            headers: ClientHeaders::new(peer.ip().to_canonical(), port),
            chance: Chance::seeded(seeds[0]),
            connection_id: (u128::from(seeds[1]) << 64) | u128::from(seeds[2]),
            origin: Instant::now(),
            idle_timeout: idle,
            header_timeout: header,
            phase: AtomicU8::new(IDLE),
            seen: AtomicU8::new(0),
            active_ms: AtomicU64::new(0),
            head_since_ms: AtomicU64::new(0),
            uploaded: AtomicU64::new(0),
            upload: AtomicU8::new(Upload::Whole as u8),
            upload_waits: AtomicBool::new(false),
            late: AtomicBool::new(false),
        }
    }

    fn now_ms(&self) -> u64 {
        self.origin.elapsed().as_millis() as u64
    }

    /// A request's head is complete. Answers which length headers it had, as far as its bytes were seen alone.
    pub(super) fn begin(&self) -> u8 {
        self.phase.store(ANSWERING, Relaxed);
        self.uploaded.store(0, Relaxed);
        self.upload.store(Upload::Whole as u8, Relaxed);
        self.upload_waits.store(false, Relaxed);
        self.late.store(false, Relaxed);
        self.seen.swap(0, Relaxed)
    }

    /// The request is answered.
    pub(super) fn end(&self) {
        self.active_ms.store(self.now_ms(), Relaxed);
        self.late.store(false, Relaxed);
        self.phase.store(IDLE, Relaxed);
    }

    pub(super) fn add_uploaded(&self, bytes: usize) {
        self.uploaded.fetch_add(bytes as u64, Relaxed);
    }

    pub(super) fn uploaded(&self) -> u64 {
        self.uploaded.load(Relaxed)
    }

    pub(super) fn set_upload(&self, upload: Upload) {
        self.upload.store(upload as u8, Relaxed);
    }

    /// How the body of the current request came in so far.
    pub(super) fn upload(&self) -> Upload {
        match self.upload.load(Relaxed) {
            CUT => Upload::Cut,
            MALFORMED => Upload::Malformed,
            _ => Upload::Whole,
        }
    }

    /// Whether the target could take more of the body than the client has sent.
    pub(super) fn set_upload_waits(&self, waits: bool) {
        self.upload_waits.store(waits, Relaxed);
    }

    pub(super) fn upload_waits(&self) -> bool {
        self.upload_waits.load(Relaxed)
    }

    /// Nothing moved for the idle timeout while a target was to answer.
    pub(super) fn is_late(&self) -> bool {
        self.late.load(Relaxed)
    }

    /// Marks the wait for the target as too long; `false` where no target is waited for, or this was said before.
    pub(super) fn set_late(&self) -> bool {
        self.phase.load(Relaxed) == ANSWERING && !self.late.swap(true, Relaxed)
    }

    /// When this connection has been quiet, or slow with its head, for too long.
    pub(super) fn deadline(&self) -> Instant {
        let (from, limit) = match self.phase.load(Relaxed) {
            HEAD => (&self.head_since_ms, self.header_timeout),
            _ => (&self.active_ms, self.idle_timeout),
        };
        // One more millisecond, since the stored ones are rounded down.
        self.origin + Duration::from_millis(from.load(Relaxed) + 1) + limit
    }

    fn moved(&self) {
        self.active_ms.store(self.now_ms(), Relaxed);
    }
}

/// The client's socket; notes when bytes move, and looks at heads as they come in.
#[derive(Debug)]
pub(super) struct ClientSocket {
    stream: TcpStream,
    /// In the connection limit: it goes where the socket goes, also to a task that speaks another protocol on it.
    _place: OwnedSemaphorePermit,
    client: Arc<Client>,
    head: HeadLook,
}

impl ClientSocket {
    pub(super) fn new(stream: TcpStream, place: OwnedSemaphorePermit, client: Arc<Client>) -> Self {
        Self {
            stream,
            _place: place,
            client,
            head: HeadLook::default(),
        }
    }

    fn look(&mut self, bytes: &[u8]) {
        self.client.moved();
        match self.client.phase.load(Relaxed) {
            ANSWERING => return,
            HEAD => {}
            _ => {
                self.client.head_since_ms.store(self.client.now_ms(), Relaxed);
                self.client.seen.store(0, Relaxed);
                self.client.phase.store(HEAD, Relaxed);
                self.head = HeadLook::default();
            }
        }
        if self.head.look(bytes) {
            self.client.seen.fetch_or(CONTENT_LENGTH, Relaxed);
        }
    }
}

impl AsyncRead for ClientSocket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.look(&buf.filled()[before..]);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ClientSocket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes));
        self.client.moved();
        Poll::Ready(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, slices));
        self.client.moved();
        Poll::Ready(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Looks for a `Content-Length` line in the head of a request, byte by byte as reads happen to cut it.
///
/// The HTTP library drops that header beside `Transfer-Encoding`, which makes the request safe, but hides that the
/// client tried. A head that was read together with an earlier request's body is not seen here; it is safe all the same.
#[derive(Debug, Default)]
struct HeadLook {
    /// How much of the current line equals the name, or `None` once it differs.
    line: Line,
    ended: bool,
}

#[derive(Debug, Clone, Copy)]
enum Line {
    /// So many bytes of the name were seen at the start of this line.
    Equal(usize),
    Other,
}

impl Default for Line {
    /// The request line is no header.
    fn default() -> Self {
        Self::Other
    }
}

impl HeadLook {
    /// Whether these bytes complete the name of a `Content-Length` header within the head.
    fn look(&mut self, mut bytes: &[u8]) -> bool {
        const NAME: &[u8] = b"content-length:";
        let mut found = false;
        while !self.ended
            && let Some((&byte, rest)) = bytes.split_first()
        {
            match self.line {
                Line::Other => {
                    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
                        return found;
                    };
                    bytes = &bytes[end + 1..];
                    self.line = Line::Equal(0);
                    continue;
                }
                Line::Equal(0) if byte == b'\n' => self.ended = true,
                // The carriage return of the empty line that ends a head.
                Line::Equal(0) if byte == b'\r' => {}
                Line::Equal(seen) if NAME.get(seen) == Some(&byte.to_ascii_lowercase()) => {
                    found |= seen + 1 == NAME.len();
                    self.line = if seen + 1 == NAME.len() {
                        Line::Other
                    } else {
                        Line::Equal(seen + 1)
                    };
                }
                Line::Equal(_) if byte == b'\n' => self.line = Line::Equal(0),
                Line::Equal(_) => self.line = Line::Other,
            }
            bytes = rest;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_length_is_seen_wherever_reads_cut_the_head() {
        let check = |head: &str, expected| {
            for cut in 0..head.len() {
                let mut look = HeadLook::default();
                let found = look.look(&head.as_bytes()[..cut]) | look.look(&head.as_bytes()[cut..]);
                assert_eq!(found, expected, "{head:?} cut at {cut}");
            }
        };
        check(
            "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            true,
        );
        check("POST / HTTP/1.1\r\nHost: a\r\ncontent-LENGTH:5\r\n\r\n", true);
        check("POST / HTTP/1.1\nContent-Length: 5\n\n", true);
        check("POST / HTTP/1.1\r\nHost: a\r\n\r\nContent-Length: 5\r\n", false);
        check(
            "POST / HTTP/1.1\r\nX-Content-Length: 5\r\nContent-Lengt: 1\r\n\r\n",
            false,
        );
        check("content-length: 5\r\n\r\n", false);
    }
}
