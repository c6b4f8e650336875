//! Bodies on their way through: chunk by chunk, never collected, at the pace of the slower side.
//!
//! Trailers are dropped both ways.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::client::{Client, Upload};
use super::exchange::Exchange;
use super::target::TargetConnection;

/// A client's body on its way to a target.
#[derive(Debug)]
pub(super) struct RequestBody {
    /// `None` where the request has no body.
    incoming: Option<Incoming>,
    client: Arc<Client>,
}

impl RequestBody {
    pub(super) fn new(incoming: Incoming, client: Arc<Client>) -> Self {
        Self {
            incoming: (!incoming.is_end_stream()).then_some(incoming),
            client,
        }
    }

    pub(super) const fn none(client: Arc<Client>) -> Self {
        Self { incoming: None, client }
    }

    pub(super) const fn is_none(&self) -> bool {
        self.incoming.is_none()
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let Some(incoming) = &mut this.incoming else {
            return Poll::Ready(None);
        };
        loop {
            let next = Pin::new(&mut *incoming).poll_frame(cx);
            this.client.set_upload_waits(next.is_pending());
            let next = ready!(next).transpose();
            let next = next.inspect_err(|error| this.client.set_upload(fault(error)))?;
            let Some(frame) = next else { return Poll::Ready(None) };
            if let Some(data) = frame.data_ref() {
                this.client.add_uploaded(data.len());
                return Poll::Ready(Some(Ok(frame)));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

/// Whether the bytes were wrong or only ended too early.
fn fault(error: &hyper::Error) -> Upload {
    let kind = std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<io::Error>())
        .map(io::Error::kind);
    match kind {
        Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => Upload::Malformed,
        _ => Upload::Cut,
    }
}

/// A response's body on its way to the client. Its end, or its drop, ends the exchange.
#[derive(Debug)]
pub(super) struct ReplyBody(Box<Reply>);

#[derive(Debug)]
struct Reply {
    exchange: Exchange,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Own(Option<Bytes>),
    Target {
        incoming: Incoming,
        /// What brings the body in. `None` where a task of its own does.
        connection: Option<Box<TargetConnection>>,
    },
    Over,
}

impl ReplyBody {
    pub(super) fn own(body: Bytes, exchange: Exchange) -> Self {
        Self(Box::new(Reply {
            exchange,
            source: Source::Own(Some(body).filter(|body| !body.is_empty())),
        }))
    }

    pub(super) fn of_target(incoming: Incoming, connection: Option<Box<TargetConnection>>, exchange: Exchange) -> Self {
        let mut reply = Reply {
            exchange,
            source: Source::Target { incoming, connection },
        };
        reply.keep_if_over();
        Self(Box::new(reply))
    }
}

impl ReplyBody {
    /// The client is gone; see [`Exchange::unheard`].
    pub(super) fn unheard(&mut self) {
        self.0.exchange.unheard();
    }
}

impl Reply {
    /// Gives the connection back as soon as the target has said everything.
    fn keep_if_over(&mut self) {
        if matches!(&self.source, Source::Target { incoming, .. } if incoming.is_end_stream())
            && let Source::Target { connection, .. } = std::mem::replace(&mut self.source, Source::Over)
        {
            self.exchange.target_is_done(connection);
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, hyper::Error>>> {
        let Source::Target { incoming, connection } = &mut self.source else {
            return match std::mem::replace(&mut self.source, Source::Over) {
                Source::Own(Some(body)) => Poll::Ready(Some(Ok(body))),
                Source::Own(None) | Source::Over | Source::Target { .. } => Poll::Ready(None),
            };
        };
        loop {
            let mut next = Pin::new(&mut *incoming).poll_frame(cx);
            if next.is_pending()
                && let Some(connection) = connection
            {
                connection.drive(cx);
                next = Pin::new(&mut *incoming).poll_frame(cx);
            }
            return match ready!(next) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => Poll::Ready(Some(Ok(data))),
                    Err(_trailers) => continue,
                },
                Some(Err(error)) => {
                    self.source = Source::Over;
                    Poll::Ready(Some(Err(error)))
                }
                None => {
                    self.exchange.target_is_done(connection.take());
                    self.source = Source::Over;
                    Poll::Ready(None)
                }
            };
        }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let reply = &mut self.get_mut().0;
        let Some(data) = ready!(reply.poll(cx)).transpose()? else {
            return Poll::Ready(None);
        };
        reply.exchange.add_sent(data.len());
        reply.keep_if_over();
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.0.source {
            Source::Own(body) => body.is_none(),
            Source::Target { incoming, .. } => incoming.is_end_stream(),
            Source::Over => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0.source {
            Source::Own(body) => SizeHint::with_exact(body.as_ref().map_or(0, |body| body.len() as u64)),
            Source::Target { incoming, .. } => incoming.size_hint(),
            Source::Over => SizeHint::with_exact(0),
        }
    }
}
