//! Requests that no honest client sends.

use std::time::Duration;

use arya_local::balancer::{Balancer, BalancerSettings};
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
    nothing_is_left(&balancer).await;
}

/// No request is in flight, and no client is held: a shutdown has nobody to wait for.
async fn nothing_is_left(balancer: &Balancer) {
    let started = std::time::Instant::now();
    balancer.shutdown().await;
    let took = started.elapsed();
    assert!(took < BalancerSettings::default().shutdown_grace, "{took:?}");
    for target in balancer.group_states().iter().flat_map(|group| &group.targets) {
        assert_eq!(target.in_flight, 0);
    }
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

const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test]
async fn a_coding_other_than_chunked_is_refused_however_it_is_written() {
    for coding in [
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: , chunked",
    ] {
        let head = format!("POST /upload HTTP/1.1\r\nHost: a\r\n{coding}\r\n\r\n");
        check(&format!("{head}0\r\n\r\n{HIDDEN}"), &[501]).await;
    }
    for coding in [
        "Transfer-Encoding:\x0bchunked",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding",
        "Transfer-Encoding:",
    ] {
        let head = format!("POST /upload HTTP/1.1\r\nHost: a\r\n{coding}\r\n\r\n");
        check(&format!("{head}0\r\n\r\n{HIDDEN}"), &[400]).await;
    }
    let spelled = "TRANSFER-encoding: \t ChunKED \r\nConnection: close";
    check(
        &format!("POST /upload HTTP/1.1\r\nHost: a\r\n{spelled}\r\n\r\n0\r\n\r\n"),
        &[200],
    )
    .await;
    // Another header with nearly the name is no coding, so what follows is the next request, and none.
    check(
        &format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer_Encoding: chunked\r\n\r\n0\r\n\r\n{HIDDEN}"),
        &[200, 400],
    )
    .await;
}

#[tokio::test]
async fn the_same_length_twice_is_one_length_and_garbage_behind_a_request_ends_the_connection() {
    let twice = "Content-Length: 3\r\nContent-Length: 3";
    check(
        &format!("POST /upload HTTP/1.1\r\nHost: a\r\n{twice}\r\n\r\nabc\x00\x01\r\n\r\n{HIDDEN}"),
        &[200, 400],
    )
    .await;
    let listed = "Content-Length: 3, 3";
    check(
        &format!("POST /upload HTTP/1.1\r\nHost: a\r\n{listed}\r\n\r\nabc{HIDDEN}"),
        &[400],
    )
    .await;
}

#[tokio::test]
async fn a_malformed_body_is_the_clients_fault_and_nothing_behind_it_is_read() {
    let long_extension = format!("3;{}\r\nabc\r\n0\r\n\r\n", "x".repeat(17 * 1024));
    let long_trailer = format!("0\r\nX: {}\r\n\r\n", "x".repeat(70 * 1024));
    let many_trailers = format!("0\r\n{}\r\n", "X: 1\r\n".repeat(200));
    for chunks in [
        "zz\r\n",
        "-1\r\n",
        "0x3\r\nabc\r\n0\r\n\r\n",
        "3 3\r\nabc\r\n0\r\n\r\n",
        "\r\n0\r\n\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "3\r\nab\r\n0\r\n\r\n",
        "3\nabc\n0\n\n",
        "3;a=b\nc\r\nabc\r\n0\r\n\r\n",
        "3\rabc\r\n0\r\n\r\n",
        "ffffffffffffffff1\r\n",
        &long_extension,
        &long_trailer,
        &many_trailers,
    ] {
        let (balancer, origins) = world(&["a"], everything_to(&[("a", 1)])).await;
        let head = "POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        let answer = raw(&balancer, format!("{head}{chunks}{HIDDEN}").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{chunks:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{chunks:?}: {answer}");
        // The head may have reached the target; the hidden request may not.
        let seen = origins[0].told.requests.load(std::sync::atomic::Ordering::SeqCst);
        assert!(seen <= 1, "{chunks:?}: {seen} requests");
        nothing_is_left(&balancer).await;
    }
}

#[tokio::test]
async fn chunks_with_extensions_and_trailers_are_read_and_not_passed_on() {
    let head = "POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    let (balancer, origins) = world(&["a"], everything_to(&[("a", 1)])).await;
    let chunks = "3;name=\"value\"\r\nabc\r\n00000002\r\nde\r\n0;last\r\nX-Trailer: 1\r\nContent-Length: 9\r\n\r\n";
    let answer = raw(&balancer, format!("{head}{chunks}").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("5"), "{answer}");
    assert_eq!(origins[0].told.received.load(std::sync::atomic::Ordering::SeqCst), 5);
}

#[tokio::test]
async fn a_request_target_is_a_path_or_a_whole_url() {
    for line in [
        "GET a HTTP/1.1",
        "GET a:80 HTTP/1.1",
        "GET admin/users HTTP/1.1",
        "GET * HTTP/1.1",
        "GET ?x=1 HTTP/1.1",
        "GET ftp://a/ HTTP/1.1",
        "GET http:///x HTTP/1.1",
        "GET http://user@a/ HTTP/1.1",
        "GET http://a:port/ HTTP/1.1",
        "GET /a\x00b HTTP/1.1",
        "GET /a\tb HTTP/1.1",
        "GET / http/1.1",
        "GET / HTTP/1.1 ",
        "GET / HTTP/2.0",
        "PRI * HTTP/2.0",
        "GET\t/\tHTTP/1.1",
    ] {
        check(&format!("{line}\r\nHost: a\r\n\r\n{HIDDEN}"), &[400]).await;
    }
    check("OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", &[200]).await;
}

#[tokio::test]
async fn the_authority_of_a_whole_url_is_the_host_that_everybody_sees() {
    let rules = vec![
        rule(
            1,
            vec![condition(r#"{"field":"host-header","values":["inner.example.com"]}"#)],
            forward(&[("inner", 1)], None),
        ),
        rule(0, vec![], forward(&[("a", 1)], None)),
    ];
    let (balancer, _origins) = world(&["a", "inner"], rules).await;
    let ask = async |line: &str, host: &str| {
        let request = format!("{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        raw(&balancer, request.as_bytes()).await
    };
    let answer = ask("GET http://shop.example.com:81?x=1", "inner.example.com").await;
    for line in ["GET /?x=1 HTTP/1.1\n", "\nhost: shop.example.com:81\n"] {
        assert!(!answer.contains("inner"), "{answer}");
        let echo = ask("GET http://shop.example.com:81/echo?x=1", "inner.example.com").await;
        assert!(echo.contains(&line.replace("/?", "/echo?")), "{line:?} in {echo}");
    }
    assert!(ask("GET http://INNER.example.com/", "a").await.ends_with("inner"));
    // Without a path it is `/`, whatever stands behind it.
    for line in [
        "GET http://b",
        "GET http://b#part",
        "GET http://b?#part",
        "OPTIONS http://b#part",
    ] {
        let answer = ask(line, "b").await;
        assert!(
            answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\na"),
            "{line}: {answer}"
        );
    }
}

#[tokio::test]
async fn a_host_that_two_readers_could_end_differently_is_refused() {
    for host in [
        "a b", "a@b", "a/b", "a\\b", "a?b", "a#b", "a,b", "a:b", "a:80:80", "a:123456", "[::1", "[::1]x", "[g]",
        "a\tb", "<a>", "a\"b", "\u{e9}",
    ] {
        check(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n{HIDDEN}"), &[400]).await;
    }
    for host in [
        "a",
        "a.b-c_d~e",
        "a:80",
        "a:",
        "127.0.0.1:8080",
        "[::1]",
        "[::1]:80",
        "",
    ] {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        check(&request, &[200]).await;
    }
}

#[tokio::test]
async fn line_feeds_alone_end_lines_here_and_never_reach_a_target() {
    let (balancer, _origins) = world(&["a"], everything_to(&[("a", 1)])).await;
    let answer = raw(
        &balancer,
        b"GET /echo HTTP/1.1\nHost: a\nX-One: 1\nX-Two: 2\nConnection: close\n\n",
    )
    .await;
    // The target's own parser gave the lines back one by one, so they came apart.
    assert!(
        answer.contains("\nx-one: 1\n") && answer.contains("\nx-two: 2\n"),
        "{answer}"
    );
}

#[tokio::test]
async fn more_forwarders_than_aws_takes_are_refused_with_its_own_number() {
    let list = |count: usize| vec!["10.0.0.1"; count].join(", ");
    let ask = |list: &str| format!("GET / HTTP/1.1\r\nHost: a\r\n{list}Connection: close\r\n\r\n");
    check(&ask(&format!("X-Forwarded-For: {}\r\n", list(30))), &[200]).await;
    check(&ask(&format!("X-Forwarded-For: {}\r\n", list(31))), &[463]).await;
    check(&ask(&"X-Forwarded-For: 10.0.0.1\r\n".repeat(31)), &[463]).await;
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
async fn a_client_that_closes_its_half_within_a_body_is_told_so() {
    for framing in [
        "Content-Length: 10\r\n\r\n12345",
        "Transfer-Encoding: chunked\r\n\r\n5\r\n123",
    ] {
        let (balancer, origins) = world(&["a"], everything_to(&[("a", 1)])).await;
        let mut stream = TcpStream::connect(balancer.address()).await.unwrap();
        let request = format!("POST /upload HTTP/1.1\r\nHost: a\r\n{framing}");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let answer = read_all(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        // What was sent is not taken for the whole by the target either.
        assert!(origins[0].told.received.load(std::sync::atomic::Ordering::SeqCst) <= 5);
        nothing_is_left(&balancer).await;
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off_and_its_target_freed() {
    let (balancer, _origins) = world_with(impatient(), &["a"], everything_to(&[("a", 1)])).await;
    let mut stream = TcpStream::connect(balancer.address()).await.unwrap();
    // Far more than all buffers between hold.
    stream
        .write_all(b"GET /download/500000000 HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    let started = std::time::Instant::now();
    let in_flight = || balancer.group_state(&id("a")).unwrap().targets[0].in_flight;
    let mut looks = tokio::time::interval(Duration::from_millis(20));
    let mut seen = 0;
    while seen == 0 || in_flight() > 0 {
        looks.tick().await;
        seen += in_flight();
        assert!(started.elapsed() < PATIENCE, "still in flight");
    }
    nothing_is_left(&balancer).await;
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
