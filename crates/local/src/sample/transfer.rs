//! What takes its time: scans of documents that come in, and exports that go out piece by piece.
//!
//! Neither is ever held in memory as a whole, and neither is kept.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, Sleep, sleep};

/// The largest scan that is taken, in bytes: a hundred pages in colour.
const DOCUMENT_LIMIT: u64 = 64 * 1024 * 1024;
/// The largest export, in bytes.
pub(super) const EXPORT_LIMIT: u64 = 16 * 1024 * 1024;
/// The longest that an export may be asked to take; below a load balancer's 60 s of patience.
pub(super) const EXPORT_AT_MOST: Duration = Duration::from_secs(30);
/// An export goes out in so many pieces, or fewer when it is shorter than that.
const PIECES: u64 = 16;
/// The line that an export repeats.
const LINE: &[u8; 32] = b"record,patient,date,kind,author\n";

/// Why a document was not taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotTaken {
    TooLarge,
    EndedEarly,
}

/// What arrived, to be compared with what was sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) bytes: u64,
    /// SHA-256 in hexadecimal digits.
    pub(super) digest: String,
}

/// Reads a document to its end.
pub(super) async fn take<B>(body: B) -> Result<Taken, NotTaken>
where
    B: Body<Data = Bytes>,
{
    let mut body = std::pin::pin!(body);
    let (mut bytes, mut hasher) = (0, Sha256::new());
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| NotTaken::EndedEarly)?.into_data() else {
            continue;
        };
        bytes += data.len() as u64;
        if bytes > DOCUMENT_LIMIT {
            return Err(NotTaken::TooLarge);
        }
        hasher.update(&data);
    }
    let digest = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Taken { bytes, digest })
}

/// A body of a given size that takes a given time.
#[derive(Debug)]
pub(super) struct Export {
    left: u64,
    piece: u64,
    pause: Duration,
    next: Pin<Box<Sleep>>,
}

impl Export {
    /// `bytes` over `time`, the first piece at once.
    pub(super) fn new(bytes: u64, time: Duration) -> Self {
        let piece = bytes.div_ceil(PIECES).max(1);
        // Fits: there are at most sixteen pieces.
        let pauses = bytes.div_ceil(piece).saturating_sub(1).max(1) as u32;
        Self {
            left: bytes,
            piece,
            pause: time / pauses,
            next: Box::pin(sleep(Duration::ZERO)),
        }
    }
}

impl Body for Export {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if this.left == 0 {
            return Poll::Ready(None);
        }
        ready!(this.next.as_mut().poll(cx));
        this.next.as_mut().reset(Instant::now() + this.pause);
        let size = this.piece.min(this.left);
        this.left -= size;
        // At most a sixteenth of the limit, so it fits in any usize.
        let data: Vec<u8> = LINE.iter().copied().cycle().take(size as usize).collect();
        Poll::Ready(Some(Ok(Frame::data(data.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Full;

    async fn check(bytes: u64, time: Duration) {
        let begun = Instant::now();
        let body = Export::new(bytes, time).collect().await.unwrap().to_bytes();
        assert_eq!(body.len() as u64, bytes);
        let took = begun.elapsed();
        assert!(
            took >= time.mul_f64(0.9) && took <= time.mul_f64(1.2),
            "{took:?} of {time:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_export_has_its_size_and_takes_its_time() {
        check(64 * 1024, Duration::from_secs(3)).await;
        check(EXPORT_LIMIT, EXPORT_AT_MOST).await;
        check(5, Duration::from_secs(1)).await;
        check(0, Duration::ZERO).await;
    }

    #[tokio::test]
    async fn a_document_is_measured_and_has_a_limit() {
        let taken = take(Full::new(Bytes::from_static(b"abc"))).await.unwrap();
        assert_eq!(taken.bytes, 3);
        assert!(taken.digest.starts_with("ba7816bf"), "{}", taken.digest);
        let large = http_body_util::StreamBody::new(futures_util::stream::repeat_with(|| {
            Ok::<_, Infallible>(Frame::data(Bytes::from_static(&[0; 1 << 20])))
        }));
        assert_eq!(take(large).await, Err(NotTaken::TooLarge));
    }
}
