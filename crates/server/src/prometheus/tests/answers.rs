//! Whatever a monitor answers is evidence or a sentence: never a panic, never endless, never large.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::*;

/// Answers every connection's first request with these bytes; with `None` it stays silent.
struct Scripted {
    address: SocketAddr,
    questions: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn scripted(answer: Option<Vec<u8>>) -> Scripted {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let questions = Arc::new(AtomicUsize::new(0));
    let asked = Arc::clone(&questions);
    let task = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.clone();
            asked.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                let mut head = vec![0; 64 * 1024];
                let _ = stream.read(&mut head).await;
                match answer {
                    Some(bytes) => {
                        let _ = stream.write_all(&bytes).await;
                    }
                    None => std::future::pending().await,
                }
            });
        }
    });
    Scripted {
        address,
        questions,
        task,
    }
}

fn http(status: &str, more: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{more}\r\n{body}").into_bytes()
}

fn at_address(address: SocketAddr) -> Prometheus {
    Prometheus::new(Monitored::at(&format!("http://{address}/")), Duration::from_secs(15))
}

async fn asked(address: SocketAddr) -> Result<Evidence, SourceError> {
    at_address(address)
        .evidence("d", &share("r"), at(1000)..=at(1060))
        .await
}

async fn refused(answer: Option<Vec<u8>>, expected: &str) {
    let server = scripted(answer).await;
    let said = asked(server.address).await.unwrap_err().to_string();
    let said = said.replace(&server.address.to_string(), "ADDRESS");
    assert!(said.contains(expected), "{said}");
    assert!(said.len() < 700 && !said.contains('\n'), "{said}");
}

const NOTHING: &str = r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;

#[tokio::test]
async fn errors_of_a_monitor_are_sentences() {
    refused(
        Some(http("500 Internal Server Error", "", "oops")),
        "the monitor at http://ADDRESS answered 500",
    )
    .await;
    let refusal = r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#;
    refused(
        Some(http("400 Bad Request", "", refusal)),
        "it refused the question: parse error",
    )
    .await;
    refused(Some(http("503 Service Unavailable", "", NOTHING)), "answered 503").await;
    refused(
        Some(http("200 OK", "", "<html><body>login")),
        "it begins with `<html><body>login`",
    )
    .await;
    refused(Some(http("200 OK", "", &NOTHING[..30])), "breaks at byte").await;
    refused(
        Some(http("302 Found", "location: http://elsewhere/\r\n", "")),
        "points to http://elsewhere/",
    )
    .await;
    refused(
        Some(b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{".to_vec()),
        "broke off its answer",
    )
    .await;
    refused(Some(b"not http at all\r\n\r\n".to_vec()), "cannot be reached").await;
    refused(
        Some(http("200 OK", "", NOTHING)),
        "the baseline shows none of these series: r",
    )
    .await;
}

#[tokio::test]
async fn metrics_that_are_asked_at_one_moment_are_one_question() {
    let server = scripted(Some(http("200 OK", "", NOTHING))).await;
    let prometheus = at_address(server.address);
    let (r, s) = (share("r"), share("s"));
    let ask = |metric, end| prometheus.evidence("d", metric, at(1000)..=at(end));
    let (first, second) = tokio::join!(ask(&r, 1060), ask(&s, 1060));
    assert!(first.is_err() && second.is_err());
    assert_eq!(server.questions.load(Ordering::Relaxed), 1);
    let _ = tokio::join!(ask(&r, 1075), ask(&s, 1076));
    assert_eq!(server.questions.load(Ordering::Relaxed), 3);
    assert!(prometheus.batches().is_empty());
}

/// Ten minutes at once, and an hour in one look, so that a gap of any length is stepped over.
#[tokio::test]
async fn a_long_pause_is_read_in_pieces_until_there_is_something() {
    let server = scripted(Some(http("200 OK", "", NOTHING))).await;
    let answer = at_address(server.address)
        .evidence("d", &share("r"), at(1000)..=at(4600))
        .await;
    assert!(matches!(answer, Err(SourceError::NoData { .. })), "{answer:?}");
    assert_eq!(server.questions.load(Ordering::Relaxed), 6);
}

#[tokio::test]
async fn nobody_there_is_said_so() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let said = asked(free).await.unwrap_err().to_string();
    assert!(said.contains("cannot be reached"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_monitor_that_stays_silent_is_given_up() {
    refused(None, "did not answer within 4 s").await;
}

/// Ten million samples: an answer that goes on for ever is cut off at its limit.
#[tokio::test]
async fn an_endless_answer_costs_no_more_than_its_limit() {
    static SENT: AtomicUsize = AtomicUsize::new(0);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = vec![0; 64 * 1024];
        let _ = stream.read(&mut head).await;
        let head = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
        let begin = r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":["#;
        let _ = stream.write_all(format!("{head}{begin}").as_bytes()).await;
        let many = r#"[1700000000.123,"12345"],"#.repeat(10_000);
        // Ten million samples, unless nobody reads them any more.
        for _ in 0..1000 {
            if stream.write_all(many.as_bytes()).await.is_err() {
                return;
            }
            SENT.fetch_add(many.len(), Ordering::Relaxed);
        }
    });
    let said = asked(address).await.unwrap_err().to_string();
    assert!(said.contains("longer than 16 MB"), "{said}");
    server.await.unwrap();
    // What lies in the buffers of two sockets comes on top.
    let limit = arya_judge::source::answer::ANSWER_BYTES_MAX + 8 * 1024 * 1024;
    assert!(
        SENT.load(Ordering::Relaxed) < limit,
        "{} bytes were read",
        SENT.load(Ordering::Relaxed)
    );
}
