#![allow(clippy::unwrap_used, reason = "an unwrap that fails fails the test")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::*;

const LIST: &str = "application/vnd.oci.image.index.v1+json";
const BODY: &str = r#"{"manifests":[{"platform":{"architecture":"amd64","os":"linux"}},{"platform":{"architecture":"arm64","os":"linux"}}]}"#;
/// More than a test asks; the thread ends with it.
const REQUESTS: usize = 200;

fn digest_of(body: &str) -> String {
    let hex: String = Sha256::digest(body).iter().map(|b| format!("{b:02x}")).collect();
    format!("sha256:{hex}")
}

/// A registry on loopback that asks for a token first. What it answers is decided by the path.
fn registry() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = Arc::new(listener.local_addr().unwrap().to_string());
    let name = host.to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().take(REQUESTS).flatten() {
            answer(stream, &host);
        }
    });
    name
}

fn answer(mut stream: TcpStream, host: &str) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    let headers: Vec<String> = lines
        .map(Result::unwrap)
        .take_while(|line| !line.is_empty())
        .map(|line| line.to_lowercase())
        .collect();
    let path = first.split(' ').nth(1).unwrap();
    let has = |text: &str| headers.iter().any(|line| line.contains(text));
    let (status, more, body) = if path.starts_with("/token?") {
        let asked = path.contains("service=rig") && path.contains("scope=repository%3A");
        assert!(asked, "{path}");
        (200, String::new(), r#"{"token":"for-everybody"}"#)
    } else if !has("authorization: bearer for-everybody") {
        let challenge = format!(
            "WWW-Authenticate: Bearer realm=\"http://{host}/token\",service=\"rig\",scope=\"repository:x:pull,push\"\r\n"
        );
        (401, challenge, "{}")
    } else {
        manifest(path, host)
    };
    assert!(path.starts_with("/token") || has(LIST), "{headers:?}");
    let length = body.len();
    let head = format!("HTTP/1.1 {status} x\r\nContent-Length: {length}\r\nConnection: close\r\n{more}\r\n");
    stream.write_all((head + body).as_bytes()).unwrap();
}

fn manifest(path: &str, host: &str) -> (u16, String, &'static str) {
    let said = |kind: &str, digest: &str| format!("Content-Type: {kind}\r\nDocker-Content-Digest: {digest}\r\n");
    match path.rsplit('/').nth(2).unwrap() {
        "good" | "grafana" | "redis" => (200, said(LIST, &digest_of(BODY)), BODY),
        "moved" => (307, format!("Location: http://{host}/v2/x/good/manifests/v1\r\n"), ""),
        "lying" => (200, said(LIST, &digest_of("other bytes")), BODY),
        "unpinnable" => (
            200,
            said("application/vnd.docker.distribution.manifest.v1+json", &digest_of(BODY)),
            BODY,
        ),
        "elsewhere" => (200, said(LIST, &digest_of("{}")), "{}"),
        _ => (404, String::new(), "{}"),
    }
}

fn file(text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("images.env");
    std::fs::write(&file, text).unwrap();
    (folder, file)
}

#[test]
fn every_image_gets_the_digest_of_its_list_and_again_changes_nothing() {
    let host = registry();
    let (_folder, file) = file(&format!(
        "# a comment = kept\nA_IMAGE={host}/x/good:v1\nB_IMAGE={host}/x/moved:v1\nC_IMAGE=grafana/grafana:11\nD_IMAGE=redis:7-alpine\n"
    ));
    let registries = Registries::new(host.clone());
    let before = std::fs::read_to_string(&file).unwrap();
    pin_file(&file, Then::Compare, &registries).unwrap_err();
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        before,
        "comparing writes nothing"
    );

    pin_file(&file, Then::Write, &registries).unwrap();
    let digest = digest_of(BODY);
    let expected = format!(
        "# a comment = kept\nA_IMAGE={host}/x/good:v1@{digest}\nB_IMAGE={host}/x/moved:v1@{digest}\n\
         C_IMAGE=grafana/grafana:11@{digest}\nD_IMAGE=redis:7-alpine@{digest}\n"
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), expected);
    pin_file(&file, Then::Compare, &registries).unwrap();
    pin_file(&file, Then::Write, &registries).unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), expected);
}

#[test]
fn a_digest_that_was_true_once_is_replaced() {
    let host = registry();
    let old = format!("A_IMAGE={host}/x/good:v1@sha256:{}\n", "0".repeat(64));
    let (_folder, file) = file(&old);
    let registries = Registries::new(host.clone());
    pin_file(&file, Then::Compare, &registries).unwrap_err();
    pin_file(&file, Then::Write, &registries).unwrap();
    let expected = format!("A_IMAGE={host}/x/good:v1@{}\n", digest_of(BODY));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), expected);
}

/// One that cannot be pinned leaves all of them as they were.
#[track_caller]
fn refused(image: &str, why: &str) {
    let host = registry();
    let text = format!("A_IMAGE={host}/x/good:v1\nB_IMAGE={}\n", image.replace("HOST", &host));
    let (_folder, file) = file(&text);
    let error = pin_file(&file, Then::Write, &Registries::new(host)).unwrap_err();
    let said = format!("{error:#}");
    assert!(said.contains("Nothing was written") && said.contains(why), "{said}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
}

#[test]
fn nothing_is_written_where_one_is_not_as_it_must_be() {
    refused("HOST/x/nobody:v1", "404");
    refused("HOST/x/lying:v1", "another digest");
    refused("HOST/x/unpinnable:v1", "cannot be pinned");
    refused("HOST/x/elsewhere:v1", "linux on amd64");
    refused("HOST/x/good", "no tag");
    refused("HOST/x/good:v1@sha256:short", "no digest");
    refused("127.0.0.1:1/x/good:v1", "could not be asked");
}

#[test]
fn hosts_paths_and_tags_are_read_as_docker_reads_them() {
    let check = |text: &str, host: Option<&str>, path: &str, tag: &str| {
        let read = Reference::parse(text).unwrap();
        assert_eq!(
            (read.host(), read.path().as_str(), read.tag.as_str()),
            (host, path, tag)
        );
        assert_eq!(read.to_string(), text);
    };
    check("redis:7.2.5-alpine", None, "library/redis", "7.2.5-alpine");
    check("prom/prometheus:v2.53.5", None, "prom/prometheus", "v2.53.5");
    check(
        "mirror.example.com/hub/redis:7",
        Some("mirror.example.com"),
        "hub/redis",
        "7",
    );
    check("localhost/redis:7", Some("localhost"), "redis", "7");
    let pinned = format!("mirror:5000/a/b:1@sha256:{}", "a".repeat(64));
    check(&pinned, Some("mirror:5000"), "a/b", "1");
}

#[test]
fn the_monitors_own_file_is_one_that_can_be_pinned() {
    let text = std::fs::read_to_string(root().join(IMAGES)).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(lines.len(), 5);
    for (_, image) in lines.iter().map(|line| line.split_once('=').unwrap()) {
        assert_eq!(Reference::parse(image).unwrap().to_string(), image);
    }
}
