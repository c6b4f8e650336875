//! Large, deep, slow and unfinished bodies.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use super::peak_bytes;
use crate::running::{Call, Running};

/// What refusing may cost, in bytes; the bodies that are sent here are far larger.
const REFUSING_COSTS: u64 = 24 << 20;

fn artifacts(running: &Running) -> usize {
    std::fs::read_dir(running.data().join("artifacts")).unwrap().count()
}

/// A socket with a head that announces more than comes.
fn announce(running: &Running, first: &str, length: u64) -> TcpStream {
    let mut stream = TcpStream::connect(running.ui().strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(
        stream,
        "{first} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n",
        running.token()
    )
    .unwrap();
    stream
}

#[test]
fn a_huge_body_is_refused_on_every_address_and_costs_nothing() {
    let running = Running::start_with(&["--load", "0"]);
    let document = running.get("/api/openapi.json").send().json();
    let before = peak_bytes(&running);
    let piece = vec![b' '; 1 << 20];
    let mut tried = 0;
    for (path, calls) in document["paths"].as_object().unwrap() {
        let path = path.replace("{id}", "3b241101-e2bb-4255-8caf-4136c566a962");
        for method in calls.as_object().unwrap().keys() {
            // What has no input takes any, and is tried below; files have their own limit.
            if path.ends_with("/artifacts") || path.contains("/try/production") {
                continue;
            }
            let mut stream = announce(&running, &format!("{} {path}", method.to_uppercase()), 64 << 20);
            // Refused or not, nobody is cut off: who sends everything before reading must see the answer.
            for _ in 0..64 {
                stream.write_all(&piece).unwrap();
            }
            stream.shutdown(Shutdown::Write).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            let status: u16 = answer.get(9..12).and_then(|digits| digits.parse().ok()).unwrap_or(0);
            let read_to_end = method == "get" && status == 200;
            assert!(
                read_to_end || status == 413 || status == 404,
                "{method} {path}: {status}"
            );
            tried += 1;
        }
    }
    assert!(tried > 12, "{tried}");
    let grown = peak_bytes(&running) - before;
    assert!(grown < REFUSING_COSTS, "{grown} bytes");
}

#[test]
fn an_upload_that_cannot_fit_is_refused_before_it_comes() {
    let running = Running::start_with(&["--load", "0"]);
    let before = artifacts(&running);
    let mut stream = announce(&running, "PUT /api/v1/artifacts", 1 << 40);
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
    assert_eq!(artifacts(&running), before);
}

#[test]
fn an_upload_that_breaks_off_anywhere_leaves_nothing() {
    let running = Running::start_with(&["--load", "0"]);
    let before = artifacts(&running);
    for sent in [0, 1, 511, 512, 70_000] {
        let mut stream = announce(&running, "PUT /api/v1/artifacts", 100_000);
        stream.write_all(&vec![b'x'; sent]).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 400") && answer.contains("ended before"),
            "{sent}: {answer}"
        );
        assert_eq!(artifacts(&running), before, "{sent}");
    }
    // Who vanishes altogether is not answered, and leaves nothing either.
    for _ in 0..20 {
        let mut stream = announce(&running, "PUT /api/v1/artifacts", 100_000);
        stream.write_all(&[b'x'; 1000]).unwrap();
    }
    let gone = (0..200).any(|_| {
        std::thread::park_timeout(Duration::from_millis(20));
        artifacts(&running) == before
    });
    assert!(gone, "a vanished upload left a file");
}

#[test]
fn a_disk_that_takes_no_more_is_said_and_nothing_is_kept() {
    // The largest file that the program may write: what it writes at its start, and some more.
    let limit = std::fs::metadata(crate::running::ARYA).unwrap().len() + (32 << 20);
    // In blocks of 1 KiB; with the signal ignored, the write fails as on a full disk.
    let limited = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", limit >> 10);
    let running = Running::start_by(|arya| {
        let mut command = Command::new("/bin/bash");
        command.args(["-c", &limited]).arg(arya);
        command
    });
    let before = artifacts(&running);
    let length = limit + (2 << 20);
    let mut stream = announce(&running, "PUT /api/v1/artifacts", length);
    let piece = vec![0; 1 << 20];
    for _ in 0..length >> 20 {
        stream.write_all(&piece).unwrap();
    }
    let _ = stream.write_all(&piece[..(length & 0xf_ffff) as usize]);
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 507") && answer.contains("urn:arya:disk-full"),
        "{answer}"
    );
    assert_eq!(artifacts(&running), before);
    assert_eq!(running.get("/healthz").send().status, 200);
}

#[test]
fn json_that_could_mean_two_things_means_nothing() {
    let running = Running::start_with(&["--load", "0"]);
    let id = "3b241101-e2bb-4255-8caf-4136c566a962";
    let weight = || running.post(format!("/api/v1/deployments/{id}/weight"));
    let refused = |call: Call<'_>, body: String, status: u16, field: &str, words: &str| {
        let problem = call.body("application/json", body).send().problem(status);
        assert_eq!(problem["field"].as_str().unwrap_or_default(), field, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(words), "{problem}");
        assert!(problem["detail"].as_str().unwrap().len() < 600, "{problem}");
    };
    refused(
        weight(),
        r#"{"canary_percent":5,"canary_percent":50}"#.into(),
        400,
        "canary_percent",
        "twice",
    );
    refused(weight(), r#"{"canary_percent":NaN}"#.into(), 400, "", "not JSON");
    refused(weight(), r#"{"canary_percent":1e999}"#.into(), 400, "", "not JSON");
    refused(
        weight(),
        r#"{"canary_percent":1e300}"#.into(),
        422,
        "canary_percent",
        "",
    );
    refused(
        weight(),
        r#"{"canary_percent":-0.0000001}"#.into(),
        422,
        "canary_percent",
        "",
    );
    refused(weight(), "[".repeat(500_000), 400, "", "recursion");
    // Of a huge key the beginning is enough.
    let begin = format!("{}…", "k".repeat(200));
    refused(
        weight(),
        format!("{{\"{}\":1}}", "k".repeat(500_000)),
        422,
        &begin,
        "unknown field",
    );
    refused(weight(), format!("\"{}\"", "x".repeat(900_000)), 422, "", "");
    let plans = || running.post("/api/v1/plans");
    refused(
        plans(),
        r#"{"name":"a","app":{"port":1,"port":2}}"#.into(),
        422,
        "app.port",
        "twice",
    );
    refused(
        plans(),
        r#"{"plan_digest":"a","plan_digest":"b"}"#.into(),
        422,
        "plan_digest",
        "twice",
    );
    refused(
        plans(),
        json!({"nam".repeat(100_000): 1}).to_string(),
        422,
        &format!("{}…", "nam".repeat(40)),
        "no key",
    );
    let yaml = plans()
        .body("application/yaml", "name: a\nname: b\n")
        .send()
        .problem(422);
    assert_eq!(yaml["field"], "name", "{yaml}");
}

#[test]
fn a_spec_that_is_a_bomb_costs_nothing() {
    let running = Running::start_with(&["--load", "0"]);
    let before = peak_bytes(&running);
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..20 {
        let inner = format!("*a{}", level - 1);
        bomb += &format!("a{level}: &a{level} [{}]\n", [inner.as_str(); 10].join(", "));
    }
    let long = format!("a: &a {}\nb: [{}]\n", "y".repeat(500_000), ["*a"; 10_000].join(", "));
    let keys: String = (0..60_000).map(|n| format!("k{n}: 1\n")).collect();
    let files: String = (0..9_000)
        .map(|n| format!("    /{n}: sha256:{}\n", "0".repeat(64)))
        .collect();
    for body in [
        bomb,
        long,
        keys,
        format!("canary:\n  files:\n{files}"),
        "[".repeat(1_000_000),
        "? ".repeat(400_000),
        "- ".repeat(400_000),
        format!("name: &a [*a]\n{}", "b: *a\n".repeat(1000)),
        format!("<<: {{{}}}", "a: {<<: ".repeat(10_000)),
        format!("name: !!binary {}", "A".repeat(900_000)),
        format!("name: |\n{}", "  x\n".repeat(200_000)),
        "name: \u{0}\u{7f}".to_owned(),
    ] {
        let answer = running
            .post("/api/v1/plans")
            .body("application/yaml", body.clone())
            .send();
        assert!(
            matches!(answer.status, 413 | 422),
            "{} {}",
            answer.status,
            &body[..body.len().min(60)]
        );
        assert!(answer.text.len() < 4_000, "{}", answer.text);
    }
    let ten_megabytes = "name: x\n".repeat(10 << 17);
    running
        .post("/api/v1/plans")
        .body("application/yaml", ten_megabytes)
        .send()
        .problem(413);
    let grown = peak_bytes(&running) - before;
    assert!(grown < 64 << 20, "{grown} bytes");
}

#[test]
fn a_spec_file_that_never_ends_is_not_read_to_its_end() {
    let running = Running::start_with(&["--load", "0"]);
    let output = running.command(&["plan", "-f", "/dev/zero"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("larger"), "{said}");
}
