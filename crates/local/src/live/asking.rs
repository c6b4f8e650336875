//! Asks an app on this machine as its instance would: is it up, and does it answer fast enough to be warm?
//!
//! Knows addresses and paths only. Each question takes its own connection, so that no kept one hides a slow accept.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use arya_plan::spec::WarmUp;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

/// One answer; longer than any that could count, shorter than a person's patience.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// The part of an answer that is read; what is longer is cut off, its time counts all the same.
const BODY_LIMIT: usize = 4 * 1024 * 1024;
/// Between two questions that were not answered well.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// The status of one GET, its body read to the end.
async fn get(address: SocketAddr, path: &str, host: Option<&str>) -> io::Result<u16> {
    let asking = async {
        let stream = TcpStream::connect(address).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        let own = address.to_string();
        let request = Request::get(path)
            .header(http::header::HOST, host.unwrap_or(&own))
            .body(Empty::<Bytes>::new())
            .map_err(io::Error::other)?;
        let answer = async {
            let response = sender.send_request(request).await.map_err(io::Error::other)?;
            let status = response.status().as_u16();
            // A body over the limit is an error here, and none for the app.
            let _ = Limited::new(response.into_body(), BODY_LIMIT).collect().await;
            Ok(status)
        };
        tokio::pin!(connection, answer);
        tokio::select! {
            biased;
            answered = &mut answer => answered,
            // The connection may be over as soon as the answer is here.
            ended = &mut connection => { ended.map_err(io::Error::other)?; answer.await }
        }
    };
    timeout(ANSWER_WITHIN, asking)
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

/// Returns when the health path answers 200; else says what it answered last.
pub(super) async fn until_up(address: SocketAddr, path: &str, limit: Duration) -> Result<(), String> {
    let deadline = Instant::now() + limit;
    loop {
        let last = match get(address, path, None).await {
            Ok(200) => return Ok(()),
            Ok(status) => format!("it answers {status}"),
            Err(error) => format!("it does not answer ({error})"),
        };
        if Instant::now() >= deadline {
            let limit = limit.as_secs();
            return Err(format!(
                "The health path {path} did not answer 200 within {limit} s: {last}."
            ));
        }
        sleep(ASK_EVERY).await;
    }
}

/// Returns when so many answers in a row came within the asked time, the paths taken in turn.
pub(super) async fn until_warm(address: SocketAddr, warm_up: &WarmUp, limit: Duration) -> Result<(), String> {
    if warm_up.paths.is_empty() {
        return Ok(());
    }
    let deadline = Instant::now() + limit;
    let under = Duration::from_millis(u64::from(warm_up.under_ms));
    let mut in_a_row = 0;
    for path in warm_up.paths.iter().cycle() {
        if in_a_row >= warm_up.in_a_row {
            break;
        }
        let asked = Instant::now();
        let answer = get(address, path, warm_up.host.as_deref()).await;
        let took = asked.elapsed();
        let last = match answer {
            Ok(200..400) if took <= under => {
                in_a_row += 1;
                continue;
            }
            Ok(status) => format!("{path} answered {status} after {} ms", took.as_millis()),
            Err(error) => format!("{path} did not answer ({error})"),
        };
        in_a_row = 0;
        if Instant::now() >= deadline {
            return Err(format!(
                "The app did not give {} answers in a row within {} ms each during {} s of warm-up: {last}.",
                warm_up.in_a_row,
                warm_up.under_ms,
                limit.as_secs()
            ));
        }
        sleep(ASK_EVERY).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// An app that answers one connection after the other with these statuses, the last one for ever.
    async fn app(statuses: &'static [u16]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            for at in 0.. {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 1024];
                let _ = stream.read(&mut request).await;
                let status = statuses[at.min(statuses.len() - 1)];
                let _ = stream
                    .write_all(format!("HTTP/1.1 {status} x\r\ncontent-length: 2\r\n\r\nok").as_bytes())
                    .await;
            }
        });
        address
    }

    const ENOUGH: Duration = Duration::from_secs(10);
    const SHORT: Duration = Duration::from_millis(120);

    #[tokio::test]
    async fn an_app_is_up_at_its_first_200() {
        assert_eq!(until_up(app(&[503, 503, 200]).await, "/health", ENOUGH).await, Ok(()));
    }

    #[tokio::test]
    async fn an_app_that_does_not_come_up_is_quoted() {
        let error = until_up(app(&[503]).await, "/health", SHORT).await.unwrap_err();
        assert!(error.contains("/health") && error.contains("it answers 503"), "{error}");
    }

    #[tokio::test]
    async fn an_app_is_warm_after_the_whole_row() {
        let warm_up = WarmUp {
            in_a_row: 3,
            ..WarmUp::default()
        };
        assert_eq!(
            until_warm(app(&[200, 500, 200, 200, 200]).await, &warm_up, ENOUGH).await,
            Ok(())
        );
        let nothing = WarmUp {
            paths: vec![],
            ..WarmUp::default()
        };
        assert_eq!(until_warm(app(&[500]).await, &nothing, ENOUGH).await, Ok(()));
    }

    #[tokio::test]
    async fn an_app_that_fails_or_is_slow_is_not_warm() {
        let error = until_warm(app(&[200, 500]).await, &WarmUp::default(), SHORT)
            .await
            .unwrap_err();
        assert!(
            error.contains("5 answers in a row within 1000 ms") && error.contains("/ answered 500"),
            "{error}"
        );
        let at_once = WarmUp {
            under_ms: 0,
            ..WarmUp::default()
        };
        let error = until_warm(app(&[200]).await, &at_once, SHORT).await.unwrap_err();
        assert!(error.contains("within 0 ms"), "{error}");
    }
}
