//! Bodies of every kind, and what HTTP/1.1 asks of a proxy.

use std::sync::atomic::Ordering::SeqCst;

use arya_local::balancer::{Balancer, BalancerSettings};
use http_body_util::BodyExt as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::*;

const MIB: usize = 1024 * 1024;

#[tokio::test]
async fn a_large_upload_arrives_whole() {
    let (balancer, _origins) = world(&["a"], everything_to(&[("a", 1)])).await;
    let mut caller = Caller::connect(&balancer).await;
    let answer = caller
        .send(request("PUT", "/upload", &[], some_bytes(32 * MIB)))
        .await
        .unwrap();
    assert_eq!(answer.body, (32 * MIB).to_string());
    let length = (3 * MIB).to_string();
    let sized = request("POST", "/upload", &[("content-length", &length)], some_bytes(3 * MIB));
    assert_eq!(caller.send(sized).await.unwrap().body, length);
}

/// What two pairs of sockets hold in the kernel, and a buffer each; far below the whole.
const HELD_MAX: usize = 20 * MIB;

#[tokio::test]
async fn every_method_may_have_a_body_however_it_is_framed() {
    let (balancer, _origins) = world(&["a"], everything_to(&[("a", 1)])).await;
    for method in ["GET", "DELETE", "OPTIONS", "PATCH", "REPORT"] {
        for framed in [
            "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            "Content-Length: 3\r\n\r\nabc",
        ] {
            let request = format!("{method} /upload HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{framed}");
            let answer = raw(&balancer, request.as_bytes()).await;
            assert!(answer.ends_with("\r\n\r\n3"), "{request:?}: {answer}");
        }
    }
}

#[tokio::test]
async fn an_upload_is_taken_no_faster_than_the_target_reads() {
    const WHOLE: usize = 96 * MIB;
    let (balancer, origins) = world(&["a"], everything_to(&[("a", 1)])).await;
    let told = &origins[0].told;
    let mut caller = Caller::connect(&balancer).await;
    let answer = caller
        .send(request("PUT", "/upload", &[], counted_bytes(WHOLE, told)))
        .await
        .unwrap();
    assert_eq!(answer.body, WHOLE.to_string());
    let ahead = told.most_ahead.load(SeqCst) as usize;
    assert!(ahead < HELD_MAX, "{ahead} bytes ahead");
}

#[tokio::test]
async fn a_download_is_produced_no_faster_than_it_is_read() {
    const WHOLE: usize = 96 * MIB;
    let (balancer, origins) = world(&["a"], everything_to(&[("a", 1)])).await;
    let mut caller = Caller::connect(&balancer).await;
    let response = caller.start(get(&format!("/download/{WHOLE}"), &[])).await.unwrap();
    let mut body = response.into_body();
    let mut read = 0;
    while let Some(frame) = body.frame().await {
        let ahead = origins[0].told.produced.load(SeqCst) as usize - read;
        assert!(ahead < HELD_MAX, "{ahead} bytes ahead");
        read += frame.unwrap().data_ref().map_or(0, bytes::Bytes::len);
        tokio::task::yield_now().await;
    }
    assert_eq!(read, WHOLE);
}

#[tokio::test]
async fn responses_without_a_body_are_framed_right() {
    let (balancer, _origins) = world(&["a"], everything_to(&[("a", 1)])).await;
    let mut caller = Caller::connect(&balancer).await;
    for _ in 0..3 {
        let head = caller
            .send(request("HEAD", "/status/200", &[], some_bytes(0)))
            .await
            .unwrap();
        assert_eq!(
            (
                head.status,
                head.headers["content-length"].to_str().unwrap(),
                head.body.as_str()
            ),
            (200, "9", "")
        );
        assert_eq!(caller.get("/status/204").await.status, 204);
        assert_eq!(caller.get("/status/304").await.status, 304);
        assert_eq!(caller.get("/status/404").await.body, "some text");
    }
}

#[tokio::test]
async fn an_old_client_gets_its_body_and_the_end_of_the_connection() {
    let (balancer, _origins) = world(&["a"], everything_to(&[("a", 1)])).await;
    let answer = raw(&balancer, b"GET /download/70000 HTTP/1.0\r\n\r\n").await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(!head.contains("chunked"), "{head}");
    assert_eq!(body.len(), 70_000);
}

#[tokio::test]
async fn a_client_that_asks_first_is_told_to_continue() {
    let (balancer, _origins) = world(&["a"], everything_to(&[("a", 1)])).await;
    let mut stream = TcpStream::connect(balancer.address()).await.unwrap();
    let head =
        "POST /upload HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    read_until(&mut stream, "HTTP/1.1 100 Continue\r\n\r\n").await;
    stream.write_all(b"12345").await.unwrap();
    let answer = read_all(&mut stream).await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\n5"),
        "{answer}"
    );
}

#[tokio::test]
async fn requests_in_one_piece_are_answered_in_order() {
    let (balancer, _origins) = world(&["a"], everything_to(&[("a", 1)])).await;
    let chunked =
        "POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Trailer: 1\r\n\r\n";
    let requests = format!(
        "GET /status/404 HTTP/1.1\r\nHost: a\r\n\r\n{chunked}GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    );
    let answer = raw(&balancer, requests.as_bytes()).await;
    let statuses: Vec<_> = answer.matches("HTTP/1.1 ").collect();
    assert_eq!(statuses.len(), 3, "{answer}");
    let at = |text: &str| answer.find(text).unwrap_or_else(|| panic!("{text} in {answer}"));
    assert!(
        at("some text") < at("\r\n\r\n3HTTP") && answer.ends_with("\r\n\r\na"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_client_that_has_closed_its_half_gets_its_answer() {
    let (balancer, origins) = world(&["a"], everything_to(&[("a", 1)])).await;
    let mut stream = TcpStream::connect(balancer.address()).await.unwrap();
    stream
        .write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    stream.shutdown().await.unwrap();
    origins[0].told.arrived.acquire().await.unwrap().forget();
    origins[0].told.go_on.add_permits(1);
    assert!(read_all(&mut stream).await.ends_with("a at last"));
}

#[tokio::test]
async fn a_connection_changes_its_protocol_through_the_balancer() {
    let (balancer, _origins) = world(&["a"], everything_to(&[("a", 1)])).await;
    let mut socket = upgraded(&balancer).await;
    for _ in 0..3 {
        turn_round(&mut socket).await;
    }
    assert_eq!(balancer.group_state(&id("a")).unwrap().targets[0].in_flight, 1);
}

/// A connection that speaks the targets' other protocol.
async fn upgraded(balancer: &Balancer) -> TcpStream {
    let mut stream = TcpStream::connect(balancer.address()).await.unwrap();
    let head = "GET /socket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: reverse\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = read_until(&mut stream, "\r\n\r\n").await;
    assert!(
        answer.starts_with("HTTP/1.1 101") && answer.contains("upgrade: reverse"),
        "{answer}"
    );
    stream
}

async fn turn_round(socket: &mut TcpStream) {
    socket.write_all(b"abcd").await.unwrap();
    let mut back = [0; 4];
    socket.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"dcba");
}

#[tokio::test]
async fn a_connection_that_changed_its_protocol_keeps_its_place_in_the_limit() {
    let settings = BalancerSettings {
        max_client_connections: 1,
        ..BalancerSettings::default()
    };
    let (balancer, _origins) = world_with(settings, &["a"], everything_to(&[("a", 1)])).await;
    let mut socket = upgraded(&balancer).await;
    let next = tokio::spawn({
        let balancer = balancer.clone();
        async move { get_once(&balancer, "/").await.status }
    });
    // Many times as long as an answer takes.
    for _ in 0..200 {
        turn_round(&mut socket).await;
    }
    assert!(!next.is_finished());
    drop(socket);
    assert_eq!(next.await.unwrap(), 200);
}

/// Enough that a shutdown that did not wait would be back before the last of them is closed.
const SOCKETS: usize = 32;

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_ends_connections_that_changed_their_protocol_and_waits_for_it() {
    let (balancer, _origins) = world(&["a"], everything_to(&[("a", 1)])).await;
    let mut sockets = Vec::new();
    for _ in 0..SOCKETS {
        let mut socket = upgraded(&balancer).await;
        turn_round(&mut socket).await;
        sockets.push(socket);
    }
    balancer.shutdown().await;
    assert_eq!(balancer.group_state(&id("a")).unwrap().targets[0].in_flight, 0);
    for mut socket in sockets {
        assert_eq!(read_all(&mut socket).await, "");
    }
}

#[tokio::test]
async fn a_refused_upgrade_is_an_ordinary_answer() {
    let (balancer, _origins) = world(&["a"], everything_to(&[("a", 1)])).await;
    let mut caller = Caller::connect(&balancer).await;
    let upgrade = get("/status/404", &[("connection", "upgrade"), ("upgrade", "reverse")]);
    let answer = caller.send(upgrade).await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (404, "some text"));
    assert_eq!(caller.get("/").await.body, "a");
}
