//! Wrong input: each a clear sentence, nothing half-made left behind.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::json;

use crate::running::Running;

fn kept(running: &Running) -> Vec<String> {
    let entries = std::fs::read_dir(running.data().join("artifacts")).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn files_that_cannot_be_used_are_refused_and_not_kept() {
    let running = Running::start_with(&["--load", "0"]);
    let before = kept(&running);
    let whole = std::fs::read(running.sample("canary", "image")).unwrap();
    let cut = &whole[..whole.len() / 2];
    let cases: [(&[u8], &str); 6] = [
        (b"", "empty"),
        (b"just some words", "compose"),
        (b"a: [1", "YAML"),
        (b"\x7fELF\x02\x01\x01\0\0\0\0\0", "neither"),
        (b"services: {web: {image: [3]}}", "image"),
        (cut, "ends"),
    ];
    for (body, words) in cases {
        let answer = running
            .put("/api/v1/artifacts?filename=x")
            .body("application/octet-stream", body)
            .send();
        let problem = answer.problem(422);
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(words), "{words}: {detail}");
        assert!(problem["next"].is_string());
    }
    assert_eq!(kept(&running), before);
}

#[test]
fn an_upload_that_breaks_off_leaves_nothing() {
    let running = Running::start_with(&["--load", "0"]);
    let before = kept(&running);
    let mut stream = TcpStream::connect(running.ui().strip_prefix("http://").unwrap()).unwrap();
    write!(
        stream,
        "PUT /api/v1/artifacts HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {}\r\ncontent-length: 100000\r\n\r\nhalf",
        running.token()
    )
    .unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut rest = String::new();
    // The server either answers or closes; both come after the file is gone.
    let _ = stream.read_to_string(&mut rest);
    assert_eq!(kept(&running), before);
}

#[test]
fn wrong_requests_are_told_what_is_wrong() {
    let running = Running::start_with(&["--load", "0"]);
    let plans = || running.post("/api/v1/plans");
    let refused = |call: crate::running::Call<'_>, status: u16, field: &str, words: &str| {
        let problem = call.send().problem(status);
        assert_eq!(problem["field"].as_str().unwrap_or_default(), field, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(words), "{problem}");
        assert!(problem["next"].is_string(), "{problem}");
    };
    refused(plans().body("application/json", "{"), 422, "", "not JSON");
    refused(plans().body("application/yaml", "a: [1"), 422, "", "not YAML");
    refused(plans().body("application/xml", "<a/>"), 415, "", "application/xml");
    refused(plans().body("application/yaml", "nam: x"), 422, "nam", "name");
    refused(plans().body("application/yaml", vec![b' '; 2 << 20]), 413, "", "larger");

    let id = "3b241101-e2bb-4255-8caf-4136c566a962";
    let weight = |id: &str| running.post(format!("/api/v1/deployments/{id}/weight"));
    refused(weight(id).json(&json!({"canary_percent": 5})), 404, "", id);
    refused(weight("emr").json(&json!({"canary_percent": 5})), 404, "", "emr");
    refused(
        weight(id).json(&json!({"canary_percent": 60})),
        422,
        "canary_percent",
        "60",
    );
    refused(
        weight(id).json(&json!({"canary_percent": "5"})),
        422,
        "canary_percent",
        "5",
    );
    refused(weight(id).json(&json!({"percent": 5})), 422, "percent", "percent");
    refused(weight(id).json(&json!({})), 422, "canary_percent", "canary_percent");
    refused(weight(id).body("application/json", "{"), 400, "", "not JSON");
    refused(weight(id).body("text/plain", "5"), 415, "", "text/plain");
    refused(running.get(format!("/api/v1/deployments/{id}")), 404, "", id);
    refused(running.get(format!("/api/v1/deployments/{id}/events")), 404, "", id);
    refused(
        running.get(format!("/api/v1/deployments/{id}/events?after=soon")),
        400,
        "",
        "parameters",
    );
    refused(running.get("/api/v1/nothing"), 404, "", "/api/v1/nothing");
    refused(
        running.other("DELETE", format!("/api/v1/deployments/{id}")),
        405,
        "",
        "DELETE",
    );
    refused(running.other("PATCH", "/api/v1/plans"), 405, "", "PATCH");
    refused(
        running.post("/api/v1/try/load").json(&json!({"per_s": 5000})),
        422,
        "per_s",
        "5000",
    );
}

#[test]
fn archives_that_try_did_not_make_are_refused_by_the_plan() {
    let running = Running::start_with(&["--load", "0"]);
    let text = std::fs::read_to_string(running.spec_file("emr", "canary", 5)).unwrap();
    let digest = format!("sha256:{}", "1".repeat(64));
    let image = running.sample("canary", "image").display().to_string();
    let upload = |version: &str, file: &str| {
        let body = std::fs::read(running.sample(version, file)).unwrap();
        let answer = running
            .put("/api/v1/artifacts")
            .body("application/octet-stream", body)
            .send();
        answer.json()["digest"].as_str().unwrap().to_owned()
    };
    let mut spec = text.replace(&image, &digest);
    for (version, file) in [("baseline", "image"), ("baseline", "compose"), ("canary", "compose")] {
        spec = spec.replace(
            &running.sample(version, file).display().to_string(),
            &upload(version, file),
        );
    }
    let plan = running
        .post("/api/v1/plans")
        .body("application/yaml", spec.clone())
        .send();
    assert_eq!(plan.status, 200, "{}", plan.text);
    let plan = plan.json();
    assert_eq!(plan["applicable"], false);
    assert!(
        plan["problems"][0]["blocking"] == true && plan["problems"][0]["next"].is_string(),
        "{plan}"
    );
    let problem = running
        .post("/api/v1/deployments")
        .body("application/yaml", spec)
        .send()
        .problem(422);
    assert!(
        problem["problems"]
            .as_array()
            .is_some_and(|problems| !problems.is_empty()),
        "{problem}"
    );
    assert_eq!(
        running.get("/api/v1/deployments").send().json()["deployments"],
        json!([])
    );
}
