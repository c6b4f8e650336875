//! The commands against a running server, with the exit codes that pipelines rely on.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Output, Stdio};

use crate::running::{ARYA, Running};

fn check(output: &Output, code: i32, words: &str) {
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(text.contains(words), "{words}: {text}");
}

#[test]
fn a_harmful_canary_fails_the_pipeline_and_destroying_restores() {
    let running = Running::start_with(&["--load", "200"]);
    let spec = running.spec_file("emr-bad", "canary_bad", 20);
    let spec = spec.to_str().unwrap();
    check(&running.command(&["plan", "-f", spec]), 0, "Ready");
    check(
        &running.command(&["apply", "-f", spec, "--wait", "--timeout", "90s"]),
        1,
        "Harmful",
    );
    check(&running.command(&["check", "emr-bad"]), 1, "Harmful");
    check(&running.command(&["check", "emr-bad", "--soft-fail"]), 0, "Harmful");
    check(&running.command(&["weight", "emr-bad", "5"]), 3, "Overrule the verdict");
    check(&running.command(&["weight", "emr-bad", "70"]), 3, "70");
    check(
        &running.command(&["override", "emr-bad", "--reason", "a known fault of the test"]),
        0,
        "emr-bad",
    );
    check(&running.command(&["weight", "emr-bad", "5"]), 0, "emr-bad");
    check(
        &running.command(&["watch", "emr-bad", "--until", "serving", "--timeout", "60s"]),
        0,
        "Users reach",
    );
    check(&running.command(&["report", "emr-bad", "--json"]), 0, "\"events\"");
    check(&running.command(&["report", "emr-bad", "--json"]), 0, "answered 500");
    check(&running.command(&["destroy", "emr-bad", "--wait"]), 0, "0 differences");
    check(&running.command(&["check", "emr-bad"]), 3, "no live deployment");
}

#[test]
fn no_verdict_in_time_is_not_enough_evidence() {
    let running = Running::start_with(&["--load", "20"]);
    let spec = running.spec_file("emr", "canary", 5);
    let spec = spec.to_str().unwrap();
    check(
        &running.command(&["apply", "-f", spec, "--wait", "--timeout", "5s"]),
        2,
        "not enough evidence",
    );
    check(&running.command(&["check", "emr"]), 2, "");
    check(&running.command(&["check", "--json"]), 2, "\"inconclusive\"");
    check(&running.command(&["apply", "-f", spec]), 3, "emr");
    let missing = running.dir.path().join("missing.yaml");
    check(
        &running.command(&["plan", "-f", missing.to_str().unwrap()]),
        3,
        "Nothing was done. Check the path. The cause: ",
    );
    check(
        &running.command(&["weight", "emr", "five"]),
        3,
        "`five` is no number; write a share in percent, such as 5",
    );
}

#[test]
fn a_cancelled_pipeline_leaves_nothing_behind() {
    let running = Running::start_with(&["--load", "20"]);
    let spec = running.spec_file("emr", "canary", 5);
    let mut apply = Command::new(ARYA)
        .args(["apply", "--wait", "--json", "-f", spec.to_str().unwrap()])
        .args(["--server", running.ui(), "--token", running.token()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(apply.stdout.as_mut().unwrap())
        .read_line(&mut first)
        .unwrap();
    assert!(first.contains("\"sentence\""), "{first}");
    assert!(
        Command::new("kill")
            .args(["-TERM", &apply.id().to_string()])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(apply.wait().unwrap().code(), Some(3));
    let id = serde_json::from_str::<serde_json::Value>(&first).unwrap()["deployment"]
        .as_str()
        .unwrap()
        .to_owned();
    check(
        &running.command(&["watch", &id, "--until", "destroyed", "--timeout", "60s"]),
        0,
        "0 differences",
    );
}
