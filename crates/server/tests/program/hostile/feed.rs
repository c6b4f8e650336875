//! The event stream: readers that come from the future, and readers that do not read.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use super::peak_bytes;
use crate::running::Running;

fn deploy(running: &Running) -> String {
    let spec = running.spec_file("feed", "canary", 5);
    let output = running.command(&["apply", "--json", "-f", spec.to_str().unwrap()]);
    let text = String::from_utf8(output.stdout).unwrap();
    let first = text.lines().next().unwrap_or_default();
    let said: serde_json::Value = serde_json::from_str(first).unwrap_or_else(|error| panic!("{error}: {text}"));
    let id = said["id"].as_str().or_else(|| said["deployment"].as_str());
    id.unwrap_or_else(|| panic!("{said}")).to_owned()
}

#[test]
fn a_reader_from_another_feed_begins_anew() {
    let running = Running::start_with(&["--load", "0"]);
    let events = format!("/api/v1/deployments/{}/events", deploy(&running));
    let first = running.get(&*events).stream().next().unwrap();
    let last_seq = first["seq"].as_u64().unwrap();
    for strange in [
        "999999999",
        "18446744073709551615",
        "99999999999999999999",
        "-1",
        "soon",
        "",
        " ",
        "1e3",
        "%00",
    ] {
        let mut stream = running.get(&*events).header("last-event-id", strange).stream();
        assert_eq!(stream.next().unwrap()["seq"], last_seq, "{strange:?}");
    }
    let known = last_seq.to_string();
    let mut stream = running.get(&*events).header("last-event-id", &known).stream();
    assert!(stream.next().unwrap()["seq"].as_u64().unwrap() > last_seq);
    let json = running
        .get(format!("{events}?after=999999999"))
        .header("accept", "application/json")
        .send()
        .json();
    assert_eq!(json["events"][0]["seq"], last_seq);
}

#[test]
fn readers_that_never_read_cost_little() {
    let running = Running::start_with(&["--load", "0"]);
    let id = deploy(&running);
    let before = peak_bytes(&running);
    let open = |path: &str| {
        let mut stream = TcpStream::connect(running.ui().strip_prefix("http://").unwrap()).unwrap();
        let token = running.token();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {token}\r\n\r\n"
        )
        .unwrap();
        stream
    };
    let streams: Vec<TcpStream> = (0..200)
        .map(|_| open(&format!("/api/v1/deployments/{id}/events")))
        .collect();
    let pages: Vec<TcpStream> = (0..200).map(|_| open(&format!("/deployments/{id}/live"))).collect();
    let reports: Vec<TcpStream> = (0..100)
        .map(|_| open(&format!("/api/v1/deployments/{id}/report")))
        .collect();
    // Meanwhile the server does its work.
    assert_eq!(running.get("/healthz").send().status, 200);
    let destroyed = running.command(&["destroy", &id, "--wait"]);
    assert!(destroyed.status.success(), "{destroyed:?}");
    let grown = peak_bytes(&running) - before;
    assert!(grown < 64 << 20, "{grown} bytes for 500 readers");
    // And who reads after all finds its feed.
    let mut late = &streams[0];
    let mut begin = [0; 12];
    late.read_exact(&mut begin).unwrap();
    assert_eq!(&begin, b"HTTP/1.1 200");
    drop((streams, pages, reports));
}
