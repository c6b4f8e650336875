//! How long a request's body may take. Every body has a limit of size at its handler, and one of time here: a client
//! that sends byte by byte must not hold a handler, a file or a place for connections for ever.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::Method;
use hyper::body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

/// A form, a spec or any other small body: all of it. A person's slowest network sends a megabyte in less.
pub(crate) const BODY_WITHIN: Duration = Duration::from_secs(30);
/// A file that is uploaded: from one byte to the next. A laptop that changes its network is back within a minute.
pub(crate) const UPLOAD_QUIET_AT_MOST: Duration = Duration::from_secs(60);

/// Why a body ended before it was whole: the client took too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TooSlow {
    #[error("the body did not come within {} s", BODY_WITHIN.as_secs())]
    Whole,
    #[error("no byte came for {} s", UPLOAD_QUIET_AT_MOST.as_secs())]
    Stalled,
}

impl TooSlow {
    /// Whether this is what an error comes from.
    pub(crate) fn behind(error: &(dyn std::error::Error + 'static)) -> Option<Self> {
        let mut inner = Some(error);
        while let Some(cause) = inner {
            if let Some(slow) = cause.downcast_ref::<Self>() {
                return Some(*slow);
            }
            inner = cause.source();
        }
        None
    }
}

/// What a body is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Patience {
    /// So long for all of it.
    Whole(Duration),
    /// So long without a byte.
    Quiet(Duration),
}

/// Puts the limit of time on a request's body.
pub(crate) async fn of_a_body(request: Request) -> Request {
    let uploads = request.method() == Method::PUT && request.uri().path() == "/api/v1/artifacts";
    let patience = if uploads {
        Patience::Quiet(UPLOAD_QUIET_AT_MOST)
    } else {
        Patience::Whole(BODY_WITHIN)
    };
    if request.body().is_end_stream() {
        return request;
    }
    request.map(|body| Body::new(Timed::new(body, patience)))
}

/// A body that fails when it is too slow. Its timer exists only while there is something to wait for.
#[derive(Debug)]
struct Timed {
    body: Body,
    patience: Patience,
    since: Instant,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Timed {
    fn new(body: Body, patience: Patience) -> Self {
        Self {
            body,
            patience,
            since: Instant::now(),
            waiting: None,
        }
    }

    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<TooSlow> {
        let (until, late) = match self.patience {
            Patience::Whole(limit) => (self.since + limit, TooSlow::Whole),
            Patience::Quiet(limit) => (Instant::now() + limit, TooSlow::Stalled),
        };
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep_until(until)));
        ready!(waiting.as_mut().poll(cx));
        Poll::Ready(late)
    }
}

impl HttpBody for Timed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(frame) => {
                if matches!(this.patience, Patience::Quiet(_)) {
                    this.waiting = None;
                }
                Poll::Ready(frame)
            }
            Poll::Pending => this.wait(cx).map(|late| Some(Err(axum::Error::new(late)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use http_body_util::{BodyExt as _, StreamBody};
    use std::convert::Infallible;

    /// A body of so many bytes, one after each pause.
    fn dripping(bytes: usize, pause: Duration) -> Body {
        let drops = stream::unfold(bytes, move |left| async move {
            tokio::time::sleep(pause).await;
            let next = left.checked_sub(1)?;
            Some((Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"x"))), next))
        });
        Body::new(StreamBody::new(drops))
    }

    async fn check(patience: Patience, bytes: usize, pause_s: u64, expected: Result<usize, TooSlow>) {
        let body = dripping(bytes, Duration::from_secs(pause_s));
        let read = Timed::new(body, patience).collect().await;
        let got = match read {
            Ok(all) => Ok(all.to_bytes().len()),
            Err(error) => Err(TooSlow::behind(&error).unwrap()),
        };
        assert_eq!(got, expected, "{patience:?}, {bytes} bytes, one each {pause_s} s");
    }

    #[tokio::test(start_paused = true)]
    async fn a_small_body_has_one_limit_for_all_of_it() {
        let patience = Patience::Whole(BODY_WITHIN);
        check(patience, 25, 1, Ok(25)).await;
        check(patience, 35, 1, Err(TooSlow::Whole)).await;
        check(patience, 1, 31, Err(TooSlow::Whole)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_upload_may_take_as_long_as_it_moves() {
        let patience = Patience::Quiet(UPLOAD_QUIET_AT_MOST);
        check(patience, 1_000, 59, Ok(1_000)).await;
        check(patience, 2, 61, Err(TooSlow::Stalled)).await;
    }
}
