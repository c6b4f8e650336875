//! Slow, silent and greedy clients against a small server with small limits, over real sockets on loopback.

use axum::body::{Body, Bytes};
use axum::routing::{get, post};
use http_body_util::BodyExt as _;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, timeout};

use super::*;

const SMALL: Limits = Limits {
    head_within: Duration::from_millis(300),
    written_within: Duration::from_millis(300),
    lingers: HANGS,
    head_bytes: 16 * 1024,
    connections: 8,
};
/// Nothing here takes as long, unless it hangs.
const HANGS: Duration = Duration::from_secs(10);

struct Server {
    address: SocketAddr,
    stopping: CancellationToken,
    ended: tokio::task::JoinHandle<()>,
    /// Bytes that an endless answer has handed over so far.
    handed: Arc<AtomicUsize>,
}

async fn start(limits: Limits) -> Server {
    let handed = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&handed);
    let endless = move || {
        let counted = Arc::clone(&counted);
        let pieces = futures_util::stream::repeat_with(move || {
            counted.fetch_add(1024, Ordering::SeqCst);
            Ok::<_, Infallible>(Bytes::from_static(&[b'x'; 1024]))
        });
        async { Body::from_stream(pieces) }
    };
    let refuse = || async {
        (
            axum::http::StatusCode::PAYLOAD_TOO_LARGE,
            [("connection", "close")],
            "too large",
        )
    };
    let count = |body: Body| async { body.collect().await.map_or(0, |all| all.to_bytes().len()).to_string() };
    let router = Router::new()
        .route("/", get(|| async { "here" }))
        .route("/endless", get(endless))
        .route("/refuse", post(refuse))
        .route("/count", post(count));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, stopping) = (listener.local_addr().unwrap(), CancellationToken::new());
    let ended = tokio::spawn(serve(listener, router, limits, stopping.clone()));
    Server {
        address,
        stopping,
        ended,
        handed,
    }
}

impl Server {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn say(&self, words: &str) -> TcpStream {
        let mut stream = self.connect().await;
        stream.write_all(words.as_bytes()).await.unwrap();
        stream
    }

    /// Everything that comes back until the server closes.
    async fn ask(&self, words: &str) -> String {
        rest(&mut self.say(words).await).await
    }
}

async fn rest(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    // A reset is an end too; what came before it counts.
    let _ = timeout(HANGS, stream.read_to_end(&mut text))
        .await
        .expect("the server hangs");
    String::from_utf8_lossy(&text).into_owned()
}

const GET: &str = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
const LAST: &str = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn a_head_that_does_not_come_ends_the_connection_in_time() {
    let server = start(SMALL).await;
    for words in [
        "",
        "G",
        "GET / HTTP/1.1\r\nhost: x\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\nx: ",
    ] {
        let begun = Instant::now();
        let answer = server.ask(words).await;
        assert!(!answer.contains("200"), "{words:?}: {answer}");
        assert!(begun.elapsed() >= SMALL.head_within, "{words:?}");
    }
}

#[tokio::test]
async fn a_head_that_drips_has_one_limit_for_all_of_it() {
    let server = start(SMALL).await;
    let mut stream = server.say("GET / HTTP/1.1\r\nhost: x\r\n").await;
    let begun = Instant::now();
    let mut pause = tokio::time::interval(Duration::from_millis(20));
    while stream.write_all(b"a: b\r\n").await.is_ok() {
        pause.tick().await;
        assert!(begun.elapsed() < HANGS, "a head may drip for ever");
    }
}

#[tokio::test]
async fn a_connection_that_was_used_is_closed_when_it_is_idle() {
    let server = start(SMALL).await;
    let mut stream = server.say(GET).await;
    let begun = Instant::now();
    assert!(rest(&mut stream).await.ends_with("here"));
    assert!(begun.elapsed() >= SMALL.head_within);
}

#[tokio::test]
async fn a_head_larger_than_the_limit_is_refused() {
    let server = start(SMALL).await;
    let huge = "x".repeat(2 * SMALL.head_bytes);
    for words in [
        format!("GET / HTTP/1.1\r\nhost: x\r\na: {huge}\r\n\r\n"),
        format!("GET /{huge} HTTP/1.1\r\nhost: x\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: b\r\n".repeat(200)),
        format!("{huge}{huge}"),
    ] {
        let answer = server.ask(&words).await;
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(["400", "414", "431"].contains(&status), "{answer:?}");
    }
}

#[tokio::test]
async fn silent_connections_make_room_for_the_one_that_speaks() {
    let limits = Limits {
        head_within: HANGS,
        ..SMALL
    };
    let server = start(limits).await;
    let mut silent = Vec::new();
    for _ in 0..4 * SMALL.connections {
        silent.push(server.say("GET / HT").await);
    }
    assert!(server.ask(LAST).await.ends_with("here"));
    // The first of them had to go.
    assert_eq!(rest(&mut silent[0]).await, "");
}

#[tokio::test]
async fn an_answer_on_its_way_is_not_cut_to_make_room() {
    let server = start(Limits {
        written_within: HANGS,
        ..SMALL
    })
    .await;
    let mut streams = Vec::new();
    for _ in 0..SMALL.connections - 1 {
        let mut stream = server.say("GET /endless HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let mut first = [0; 1024];
        stream.read_exact(&mut first).await.unwrap();
        streams.push(stream);
    }
    for _ in 0..20 {
        assert!(server.ask(LAST).await.ends_with("here"));
    }
    for mut stream in streams {
        let mut more = [0; 64 * 1024];
        stream.read_exact(&mut more).await.unwrap();
    }
}

#[tokio::test]
async fn a_client_that_never_reads_is_bounded_in_bytes_and_in_time() {
    let server = start(SMALL).await;
    let stream = server.say("GET /endless HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let begun = Instant::now();
    let mut before = usize::MAX;
    // What the sockets of this system hold, then nothing more.
    while before != server.handed.load(Ordering::SeqCst) {
        before = server.handed.load(Ordering::SeqCst);
        tokio::time::sleep(SMALL.written_within.mul_f64(1.5)).await;
        assert!(begun.elapsed() < HANGS);
    }
    assert!(
        before < 32 * 1024 * 1024,
        "{before} bytes are kept for a client that does not read"
    );
    let (_, mut writing) = stream.into_split();
    // The server has let go of it: it would take bytes for ever otherwise.
    timeout(HANGS, async { while writing.write_all(&[b'x'; 1024]).await.is_ok() {} })
        .await
        .expect("the server keeps a client that does not read");
}

#[tokio::test]
async fn who_closes_the_own_side_after_asking_is_answered() {
    let server = start(SMALL).await;
    let mut stream = server.say(GET).await;
    stream.shutdown().await.unwrap();
    assert!(rest(&mut stream).await.ends_with("here"));
    let mut stream = server
        .say("POST /count HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf")
        .await;
    stream.shutdown().await.unwrap();
    assert!(
        rest(&mut stream).await.ends_with('0'),
        "a body that broke off reaches its handler as an error"
    );
}

#[tokio::test]
async fn a_refusal_is_read_by_a_client_that_still_sends() {
    let server = start(SMALL).await;
    for size in [1, 100_000, 4 << 20, 64 << 20] {
        let mut stream = server
            .say(&format!(
                "POST /refuse HTTP/1.1\r\nhost: x\r\ncontent-length: {size}\r\n\r\n"
            ))
            .await;
        stream
            .write_all(&vec![b'x'; size])
            .await
            .expect("the server cut a client off that it had refused");
        assert!(rest(&mut stream).await.ends_with("too large"));
    }
    // A head that is refused half-way is no different.
    let mut stream = server.say("GET / HTTP/1.1\r\nhost: x\r\ncookie: ").await;
    stream.write_all(&vec![b'x'; 16 << 20]).await.expect("the same");
    assert!(rest(&mut stream).await.starts_with("HTTP/1.1 4"));
}

#[tokio::test]
async fn who_is_refused_and_sends_on_has_a_limit() {
    let server = start(Limits {
        lingers: Duration::from_millis(300),
        ..SMALL
    })
    .await;
    let mut stream = server
        .say("POST /refuse HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\n\r\n")
        .await;
    timeout(HANGS, async { while stream.write_all(&[b'x'; 1024]).await.is_ok() {} })
        .await
        .expect("the server listens for ever to a client that it refused");
}

#[tokio::test]
async fn who_was_refused_makes_room_for_others() {
    let server = start(SMALL).await;
    let mut refused = Vec::new();
    for _ in 0..4 * SMALL.connections {
        let mut stream = server
            .say("POST /refuse HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n")
            .await;
        assert!(rest(&mut stream).await.ends_with("too large"));
        refused.push(stream);
    }
    assert!(server.ask(LAST).await.ends_with("here"));
}

#[tokio::test]
async fn what_follows_a_last_answer_is_no_request() {
    let server = start(SMALL).await;
    let answer = server
        .ask(&format!(
            "POST /refuse HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{{}}{GET}"
        ))
        .await;
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
}

#[tokio::test]
async fn an_end_waits_for_nobody_longer_than_its_limit() {
    let server = start(Limits {
        head_within: HANGS,
        ..SMALL
    })
    .await;
    let _silent = server.say("GET / HTTP/1.1\r\n").await;
    let _endless = server.say("GET /endless HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(server.ask(LAST).await.ends_with("here"));
    server.stopping.cancel();
    timeout(FINISH_WITHIN * 2, server.ended)
        .await
        .expect("it does not end")
        .unwrap();
}
