//! Starting and ending: what is in the way is said in a sentence, with exit code 3.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use crate::running::{ARYA, Running};

fn check(arguments: &[&str], code: i32, words: &str) {
    let output = Command::new(ARYA)
        .args(arguments)
        .env_remove("ARYA_SERVER")
        .env_remove("ARYA_TOKEN")
        .env("XDG_STATE_HOME", "/nonexistent")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
    assert!(text.contains(words), "{arguments:?}: {text}");
    assert!(!text.contains("panicked"), "{text}");
}

#[test]
fn wrong_usage_is_a_tool_error_and_help_is_none() {
    check(&["--help"], 0, "try");
    check(&["--version"], 0, "arya");
    check(&[], 3, "Usage");
    check(&["nothing"], 3, "nothing");
    check(&["weight", "x"], 3, "PERCENT");
    check(&["watch", "x", "--until", "tomorrow"], 3, "tomorrow");
    check(&["try", "--load", "5000"], 3, "5000");
}

#[test]
fn without_a_server_commands_say_so() {
    check(&["check", "x"], 3, "no server");
    check(
        &["weight", "x", "5", "--server", "http://127.0.0.1:9", "--token", "t"],
        3,
        "No server answers at http://127.0.0.1:9: Connection refused",
    );
    check(
        &["check", "x", "--server", "nonsense", "--token", "t"],
        3,
        "nonsense is no address",
    );
    let running = Running::start_with(&["--load", "0"]);
    check(
        &[
            "check",
            "x",
            "--server",
            running.said["ui"].as_str().unwrap(),
            "--token",
            "t",
        ],
        3,
        "does not know this token",
    );
}

#[test]
fn the_judge_needs_no_server() {
    let vectors = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/sequential");
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data.json");
    std::fs::write(&data, r#"{"kind":"counts","blocks_xb_xc_eb_ec":[[1,20,200,200]]}"#).unwrap();
    let data = data.to_str().unwrap();
    check(&["judge", "--sequential", "--data", data, "--json"], 0, "\"looks\"");
    check(&["judge", "--sequential", "--data", vectors], 3, "cannot be read");
    check(&["judge", "--config", "x", "--data", data], 3, "x cannot be read");
    check(&["judge", "--data", data], 3, "--sequential");
    check(
        &["judge", "--sequential", "--config", "x", "--data", data],
        3,
        "cannot be used with",
    );
    std::fs::write(dir.path().join("data.json"), "{").unwrap();
    check(&["judge", "--sequential", "--data", data], 3, "Nothing was judged");
}

#[test]
fn a_taken_port_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let dir = tempfile::tempdir().unwrap();
    check(
        &["try", "--listen", &address, "--data-dir", dir.path().to_str().unwrap()],
        3,
        "is in use",
    );
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    check(
        &["try", "--listen", "127.0.0.1:0", "--data-dir", file.to_str().unwrap()],
        3,
        "There is a file where the data directory",
    );
    let read_only = dir.path().join("read-only");
    std::fs::create_dir(&read_only).unwrap();
    let mut permissions = std::fs::metadata(&read_only).unwrap().permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(&read_only, permissions).unwrap();
    check(
        &[
            "try",
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
            read_only.to_str().unwrap(),
        ],
        3,
        "cannot be written",
    );
    assert_eq!(std::fs::read_dir(&read_only).unwrap().count(), 0);
}

#[test]
fn a_second_one_on_the_same_directory_is_refused_and_a_signal_ends_the_first() {
    let running = Running::start_with(&["--load", "0"]);
    let data = running.data();
    check(
        &["try", "--listen", "127.0.0.1:0", "--data-dir", data.to_str().unwrap()],
        3,
        "already uses",
    );
    assert_eq!(running.get("/healthz").send().status, 200);
    assert_eq!(running.terminate(), Some(0));
    assert!(!data.join("connection.json").exists());
}

/// `arya try` as a person starts it.
fn for_a_person(data: &std::path::Path) -> Command {
    let mut command = Command::new(ARYA);
    command
        .args(["try", "--listen", "127.0.0.1:0", "--load", "0", "--data-dir"])
        .arg(data)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn terminate(id: u32) {
    let kill = Command::new("kill").args(["-TERM", &id.to_string()]).status().unwrap();
    assert!(kill.success());
}

#[test]
fn a_person_is_told_the_variables_that_commands_need() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = for_a_person(&dir.path().join("data")).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let told = lines.find_map(|line| line.unwrap().split_once("export ").map(|(_, told)| told.to_owned()));
    let told = told.unwrap();
    let (server, token) = told.split_once(' ').unwrap();
    let output = Command::new(ARYA)
        .args(["check", "nothing"])
        .env("ARYA_SERVER", server.strip_prefix("ARYA_SERVER=").unwrap())
        .env("ARYA_TOKEN", token.strip_prefix("ARYA_TOKEN=").unwrap())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("no live deployment"), "{text}");
    terminate(child.id());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn nobody_to_tell_the_address_ends_it_by_the_same_way_as_a_signal() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut child = for_a_person(&data).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(3));
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(!said.contains("panicked"), "{said}");
    assert!(data.join("samples").exists());
    assert!(!data.join("connection.json").exists());
}
