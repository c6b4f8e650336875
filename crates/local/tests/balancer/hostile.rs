//! Requests that no honest client sends.

use std::time::Duration;

use arya_local::balancer::BalancerSettings;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::world::*;

/// A request, and behind it one that must never be answered.
async fn check(head_and_body: &str, statuses: &[u16]) {
    let (balancer, origins) = world(&["a"], everything_to(&[("a", 1)])).await;
    let answer = raw(&balancer, head_and_body.as_bytes()).await;
    let found: Vec<u16> = answer
        .split("HTTP/1.1 ")
        .skip(1)
        .map(|answer| answer.split(' ').next().unwrap().parse().unwrap())
        .collect();
    assert_eq!(found, statuses, "{head_and_body:?}: {answer}");
    let served = origins[0].told.requests.load(std::sync::atomic::Ordering::SeqCst);
    assert_eq!(
        served,
        statuses.iter().filter(|status| **status == 200).count() as u64,
        "{head_and_body:?}"
    );
}

#[tokio::test]
async fn requests_that_two_readers_could_read_differently_are_refused() {
    let hidden = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";
    let both = "Content-Length: 6\r\nTransfer-Encoding: chunked";
    check(
        &format!("POST / HTTP/1.1\r\nHost: a\r\n{both}\r\n\r\n0\r\n\r\n{hidden}"),
        &[400],
    )
    .await;
    let both = "Transfer-Encoding: chunked\r\nContent-Length: 6";
    check(
        &format!("POST / HTTP/1.1\r\nHost: a\r\n{both}\r\n\r\n0\r\n\r\n{hidden}"),
        &[400],
    )
    .await;
    for odd in [
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: -1",
        "Content-Length: +5",
        "Content-Length: 0x5",
        "Content-Length : 5",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding : chunked",
        "X: a\r\n folded: b",
        " X: a",
        "X\x00: a",
        "X: a\x00b",
        "X: a\rb",
        "X y: a",
        ": a",
        "no colon",
    ] {
        check(&format!("POST / HTTP/1.1\r\nHost: a\r\n{odd}\r\n\r\n{hidden}"), &[400]).await;
    }
    check(
        &format!("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"),
        &[400],
    )
    .await;
}

#[tokio::test]
async fn request_lines_and_hosts_must_be_plain() {
    check("GET / HTTP/1.1\r\n\r\n", &[400]).await;
    check("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", &[400]).await;
    check("GET /  HTTP/1.1\r\nHost: a\r\n\r\n", &[400]).await;
    check("GET / HTTP/9.9\r\nHost: a\r\n\r\n", &[400]).await;
    check("G@T\x01 / HTTP/1.1\r\nHost: a\r\n\r\n", &[400]).await;
    check("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", &[405]).await;
    check("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", &[405]).await;
    check("\x16\x03\x01\x02\x00\x01\x00\x01", &[400]).await;
}

#[tokio::test]
async fn heads_beyond_the_limits_are_refused() {
    let long = |bytes: usize| "x".repeat(bytes);
    check(&format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", long(16 * 1024)), &[414]).await;
    check(
        &format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", long(16 * 1024)),
        &[431],
    )
    .await;
    check(
        &format!(
            "GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\nConnection: close\r\n\r\n",
            long(15 * 1024)
        ),
        &[200],
    )
    .await;
    let many = format!("X: {}\r\n", long(10 * 1024)).repeat(7);
    check(&format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"), &[431]).await;
    let many = "X: 1\r\n".repeat(101);
    check(&format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"), &[431]).await;
}

#[tokio::test]
async fn odd_chunks_end_the_connection_and_nothing_behind_them_is_read() {
    let hidden = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";
    for chunks in ["zz\r\n", "-1\r\n", "3\r\nabcd\r\n0\r\n\r\n", "ffffffffffffffffff\r\n"] {
        let (balancer, _origins) = world(&["a"], everything_to(&[("a", 1)])).await;
        let head = "POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        let answer = raw(&balancer, format!("{head}{chunks}{hidden}").as_bytes()).await;
        assert!(
            !answer.contains(" 200 ") && answer.matches("HTTP/1.1 ").count() <= 1,
            "{chunks:?}: {answer}"
        );
    }
}

fn impatient() -> BalancerSettings {
    BalancerSettings {
        header_timeout: Duration::from_millis(400),
        idle_timeout: Duration::from_millis(2000),
        ..BalancerSettings::default()
    }
}

#[tokio::test]
async fn a_client_that_dribbles_its_head_is_cut_off() {
    let (balancer, _origins) = world_with(impatient(), &["a"], everything_to(&[("a", 1)])).await;
    let mut stream = TcpStream::connect(balancer.address()).await.unwrap();
    let started = std::time::Instant::now();
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    // Each byte is movement, so only the limit for heads can end this.
    for byte in b"GET / HTTP/1.1\r\nX: ".iter().chain(std::iter::repeat(&b'x')) {
        ticks.tick().await;
        if stream.write_all(&[*byte]).await.is_err() {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "still open");
    }
    assert!(started.elapsed() >= Duration::from_millis(390));
}

#[tokio::test]
async fn quiet_clients_are_closed_and_busy_ones_are_not() {
    let (balancer, origins) = world_with(impatient(), &["a"], everything_to(&[("a", 1)])).await;
    let mut quiet = TcpStream::connect(balancer.address()).await.unwrap();
    let started = std::time::Instant::now();
    assert_eq!(read_all(&mut quiet).await, "");
    assert!(
        started.elapsed() >= Duration::from_millis(1990),
        "{:?}",
        started.elapsed()
    );

    // Longer than the limit for heads between requests, and a response longer than that too.
    let mut caller = Caller::connect(&balancer).await;
    let mut ticks = tokio::time::interval(Duration::from_millis(700));
    for _ in 0..2 {
        ticks.tick().await;
        assert_eq!(caller.get("/").await.status, 200);
    }
    origins[0].told.go_on.add_permits(1);
    assert_eq!(caller.get("/slow").await.status, 200);
}

#[tokio::test]
async fn a_client_that_stops_its_upload_is_told_so() {
    let (balancer, _origins) = world_with(impatient(), &["a"], everything_to(&[("a", 1)])).await;
    let mut stream = TcpStream::connect(balancer.address()).await.unwrap();
    stream
        .write_all(b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345")
        .await
        .unwrap();
    let answer = read_all(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[tokio::test]
async fn clients_beyond_the_limit_wait_for_a_place() {
    let settings = BalancerSettings {
        max_client_connections: 2,
        ..BalancerSettings::default()
    };
    let (balancer, _origins) = world_with(settings, &["a"], everything_to(&[("a", 1)])).await;
    let mut first = Caller::connect(&balancer).await;
    let second = Caller::connect(&balancer).await;
    first.get("/").await;
    let third = tokio::spawn({
        let balancer = balancer.clone();
        async move { get_once(&balancer, "/").await.status }
    });
    assert_eq!(first.get("/").await.status, 200);
    assert!(!third.is_finished());
    drop((first, second));
    assert_eq!(third.await.unwrap(), 200);
}
