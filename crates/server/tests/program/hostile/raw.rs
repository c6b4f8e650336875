//! Bytes on a socket: smuggling, strange first lines, strange hosts.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::running::Running;

/// Nothing that is answered at all is answered later.
const HANGS: Duration = Duration::from_secs(20);

/// Everything that comes back; the sending side is closed, so that an honest server ends too.
fn ask(running: &Running, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(running.ui().strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(HANGS)).unwrap();
    // A server that refuses early may close before everything is sent.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("it hangs: {bytes:?}"),
        Ok(_) | Err(_) => {}
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// The statuses of all answers on one connection.
fn statuses(answer: &str) -> Vec<u16> {
    let heads = answer.match_indices("HTTP/1.");
    heads
        .filter_map(|(at, _)| answer.get(at + 9..at + 12)?.parse().ok())
        .collect()
}

#[test]
fn one_request_is_never_two() {
    let running = Running::start_with(&["--load", "0"]);
    let head = format!(
        "POST /api/v1/plans HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {}\r\n",
        running.token()
    );
    let hidden = "GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n";
    let check = |lengths: &str, body: &str, allowed: &[u16]| {
        let seen = statuses(&ask(&running, format!("{head}{lengths}\r\n\r\n{body}").as_bytes()));
        assert!(seen.len() <= 1, "{lengths:?}: {seen:?}");
        assert!(
            seen.iter().all(|status| allowed.contains(status)),
            "{lengths:?}: {seen:?}"
        );
    };
    let after = |body: &str| format!("{body}{hidden}");
    // The body is what the chunks say, whatever the length is, and nothing follows it (RFC 9112, 6.1).
    check(
        "content-length: 5\r\ntransfer-encoding: chunked",
        &after("0\r\n\r\n"),
        &[400, 422],
    );
    check(
        "transfer-encoding: chunked\r\ncontent-length: 5",
        &after("0\r\n\r\n"),
        &[400, 422],
    );
    check("transfer-encoding: chunked", &after("0\r\n\r\n"), &[422]);
    check("content-length: 5\r\ncontent-length: 6", &after("{}   "), &[400]);
    check("content-length: 5, 6", &after("{}   "), &[400]);
    check("content-length: +5", &after("{}   "), &[400]);
    check("content-length: -5", &after("{}   "), &[400]);
    check("content-length: 0x5", &after("{}   "), &[400]);
    check("content-length: 5 5", &after("{}   "), &[400]);
    check("content-length: 99999999999999999999", &after("{}   "), &[400, 413]);
    check("content-length : 5", &after("{}   "), &[400]);
    for coding in [
        "xchunked",
        "chunked, identity",
        "identity",
        "gzip, chunked, gzip",
        "chunked\r\ntransfer-encoding: identity",
        "\u{b}chunked",
    ] {
        check(
            &format!("transfer-encoding: {coding}"),
            &after("0\r\n\r\n"),
            &[400, 415, 422, 501],
        );
    }
    check("transfer-encoding : chunked", &after("0\r\n\r\n"), &[400]);
    check("transfer-encoding\r\n : chunked", &after("0\r\n\r\n"), &[400]);
    for chunks in [
        "5;\n\r\n",
        "g\r\n",
        "-1\r\n",
        "0x0\r\n\r\n",
        "fffffffffffffffff\r\n",
        "5\r\n{}   X\r\n0\r\n\r\n",
        "\r\n0\r\n\r\n",
    ] {
        check("transfer-encoding: chunked", &after(chunks), &[400, 422]);
    }
    let endless = format!("1;{}\r\n", "x".repeat(100_000));
    check("transfer-encoding: chunked", &endless, &[400]);
}

#[test]
fn what_is_no_http_is_answered_so_or_not_at_all() {
    let running = Running::start_with(&["--load", "0"]);
    let check = |bytes: &[u8], allowed: &[u16]| {
        let answer = ask(&running, bytes);
        let seen = statuses(&answer);
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned();
        assert!(
            seen.len() <= 1 && seen.iter().all(|status| allowed.contains(status)),
            "{shown:?}: {answer}"
        );
    };
    check(b"", &[]);
    check(b"\r\n\r\n\r\n", &[400]);
    check(
        b"PROPFIND /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n",
        &[401, 403, 405],
    );
    check(b"GET\r\n\r\n", &[400]);
    check(b"GET /healthz\r\n\r\n", &[400]);
    check(b"GET /healthz HTTP/3.0\r\nhost: 127.0.0.1\r\n\r\n", &[400, 505]);
    check(b"GET  /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n", &[400]);
    check(b"GET /health\0z HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n", &[400]);
    check(b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\na: b\0c\r\n\r\n", &[400]);
    check(b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\nno colon\r\n\r\n", &[400]);
    check(
        b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\na: b\r\n folded: c\r\n\r\n",
        &[400],
    );
    check(
        b"GET /\xff\xfe HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n",
        &[400, 302, 303, 401],
    );
    check(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[400, 505]);
    check(b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", &[400]);
    check(
        b"CONNECT 169.254.169.254:80 HTTP/1.1\r\nhost: 169.254.169.254:80\r\n\r\n",
        &[400, 405, 421],
    );
    check(
        b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nhost: 127.0.0.1:22\r\n\r\n",
        &[400, 401, 403, 405, 421],
    );
    check(b"OPTIONS * HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n", &[400, 401, 404, 405]);
    check(b"TRACE /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n", &[401, 403, 405]);
    check(&[b'A'; 1 << 20], &[400, 414, 431]);
    check(
        &format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(100_000)).into_bytes(),
        &[400, 431],
    );
    check(
        &format!("GET /{} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n", "a".repeat(100_000)).into_bytes(),
        &[400, 414, 431],
    );
    check(
        b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\nexpect: 200-ok\r\nconnection: close\r\n\r\n",
        &[200, 417],
    );
    check(
        b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\nupgrade: h2c\r\nconnection: upgrade, http2-settings\r\n\r\n",
        &[200],
    );
}

#[test]
fn only_our_own_host_is_answered() {
    let running = Running::start_with(&["--load", "0"]);
    let check = |first: &str, hosts: &[&str], expected: u16| {
        let hosts: String = hosts.iter().map(|host| format!("host: {host}\r\n")).collect();
        let answer = ask(
            &running,
            format!("GET {first} HTTP/1.1\r\n{hosts}connection: close\r\n\r\n").as_bytes(),
        );
        assert_eq!(statuses(&answer), [expected], "{first} {hosts}: {answer}");
        assert!(
            !answer.to_ascii_lowercase().contains("access-control-allow"),
            "{answer}"
        );
    };
    let own = running.ui().strip_prefix("http://").unwrap();
    check("/healthz", &[own], 200);
    check("/healthz", &["localhost"], 200);
    check("/healthz", &["[::1]:9"], 200);
    for host in [
        "",
        "evil.example",
        "127.0.0.1.evil.example",
        "evil.example:80",
        "0.0.0.0",
        "127.0.0.1@evil.example",
        "[fe80::1]",
    ] {
        check("/healthz", &[host], 421);
    }
    check("/healthz", &[], 421);
    check("/healthz", &[own, "evil.example"], 421);
    check("/healthz", &["evil.example", own], 421);
    check(&format!("http://{own}/healthz"), &[own], 200);
    check("http://evil.example/healthz", &[own], 421);
    check(&format!("http://{own}/healthz"), &["evil.example"], 421);
    let old = ask(&running, b"GET /healthz HTTP/1.0\r\n\r\n");
    assert_eq!(statuses(&old), [421], "{old}");
}
