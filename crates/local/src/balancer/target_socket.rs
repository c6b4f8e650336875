//! A target's socket, with a limit on what may come before a response's head is complete.
//!
//! The HTTP library reads on for as long as 1xx answers come, and each of them is small; this counts them all.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::settings::MAX_RESPONSE_HEADER_BYTES;

/// Stands for "no head is read now".
const NO_HEAD: usize = usize::MAX;

/// How many bytes may still come before the head of the current response must be complete.
#[derive(Debug, Clone)]
pub(super) struct HeadBudget(Arc<AtomicUsize>);

impl HeadBudget {
    /// A request is sent; what comes now belongs to the head of its response.
    pub(super) fn begins(&self) {
        self.0.store(MAX_RESPONSE_HEADER_BYTES, Relaxed);
    }

    /// What comes now is a body, or another protocol.
    pub(super) fn is_over(&self) {
        self.0.store(NO_HEAD, Relaxed);
    }
}

#[derive(Debug)]
pub(super) struct TargetSocket {
    stream: TcpStream,
    head: HeadBudget,
}

impl TargetSocket {
    pub(super) fn new(stream: TcpStream) -> (Self, HeadBudget) {
        let head = HeadBudget(Arc::new(AtomicUsize::new(MAX_RESPONSE_HEADER_BYTES)));
        let socket = Self {
            stream,
            head: head.clone(),
        };
        (socket, head)
    }
}

impl AsyncRead for TargetSocket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let left = self.head.0.load(Relaxed);
        // Looked at before the read, not after: the read that completes a head may bring much of the body with it.
        if left == 0 {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if left != NO_HEAD {
            let read = buf.filled().len() - before;
            self.head.0.store(left.saturating_sub(read), Relaxed);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for TargetSocket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
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
