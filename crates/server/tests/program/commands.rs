//! The commands against a running server, with the exit codes that pipelines rely on.

use std::process::Output;

use crate::running::Running;

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
    check(&running.command(&["weight", "emr-bad", "5"]), 3, "harmful");
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
    check(&running.command(&["apply", "-f", spec]), 3, "emr");
    let missing = running.dir.path().join("missing.yaml");
    check(
        &running.command(&["plan", "-f", missing.to_str().unwrap()]),
        3,
        "cannot be read",
    );
}
