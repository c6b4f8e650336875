//! The main job over the API: plan, deploy, look, adjust, destroy, restored.

use std::time::Instant;

use serde_json::{Value, json};

use crate::examples::example;
use crate::running::{AT_MOST, Running};

/// Uploads a sample's file; twice is once.
fn upload(running: &Running, version: &str, file: &str) -> Value {
    let body = std::fs::read(running.sample(version, file)).unwrap();
    let put = |body: Vec<u8>| {
        running
            .put("/api/v1/artifacts?filename=sample")
            .body("application/octet-stream", body)
            .send()
    };
    let (first, second) = (put(body.clone()), put(body));
    assert_eq!(
        (first.status, first.json()["digest"].clone()),
        (200, second.json()["digest"].clone()),
        "{}",
        first.text
    );
    first.json()
}

fn spec(running: &Running) -> Value {
    let digest = |version, file| upload(running, version, file)["digest"].clone();
    json!({
        "name": "emr-1.1",
        "listener": "local:web",
        "in_front_of": "default",
        "canary_percent": 5,
        "app": { "port": 8080, "health_check_path": "/health", "warm_up": { "paths": ["/api/records"] } },
        "baseline": { "image": digest("baseline", "image"), "compose": digest("baseline", "compose") },
        "canary": { "image": digest("canary", "image"), "compose": digest("canary", "compose") },
    })
}

/// Reads the feed until an event is there; returns its sequence number.
fn heard(running: &Running, id: &str, after: u64, wanted: impl Fn(&Value) -> bool) -> u64 {
    let feed = running
        .get(format!("/api/v1/deployments/{id}/events"))
        .header("last-event-id", &after.to_string());
    let mut last = after;
    for event in feed.stream() {
        let seq = event["seq"].as_u64().unwrap();
        assert!(seq > last, "the feed goes forward: {seq} after {last}");
        last = seq;
        assert!(
            event["sentence"]
                .as_str()
                .is_some_and(|sentence| sentence.ends_with(['.', '?'])),
            "{event}"
        );
        if wanted(&event) {
            return seq;
        }
    }
    panic!("the feed of {id} ended");
}

/// Asks until it is so; the next look shows what the last one led to.
fn once(running: &Running, id: &str, so: impl Fn(&Value) -> bool) -> Value {
    let late = Instant::now() + AT_MOST;
    loop {
        let deployment = running.get(format!("/api/v1/deployments/{id}")).send().json();
        if so(&deployment) {
            return deployment;
        }
        assert!(Instant::now() < late, "{deployment}");
    }
}

fn phase(to: &'static str) -> impl Fn(&Value) -> bool {
    move |event| event["event"]["event"] == "phase_changed" && event["event"]["to"] == to
}

#[test]
fn a_canary_goes_from_plan_to_restored_production() {
    let running = Running::start();
    let listeners = running.get("/api/v1/cloud/listeners").send().json();
    example("listeners", &listeners);
    let rules = listeners["load_balancers"][0]["listeners"][0]["rules"]
        .as_array()
        .unwrap();
    assert_eq!(rules.last().unwrap()["priority"], "default");

    let spec = spec(&running);
    example("artifact", &upload(&running, "canary", "image"));
    let plan = running.post("/api/v1/plans").json(&spec).send().json();
    assert_eq!(plan["applicable"], true, "{plan}");
    example("plan", &plan);

    let with_digest = |digest: &Value| {
        let mut body = spec.clone();
        body["plan_digest"] = digest.clone();
        running.post("/api/v1/deployments").json(&body).send()
    };
    with_digest(&json!("another")).problem(409);
    let created = with_digest(&plan["digest"]);
    assert_eq!(created.status, 201, "{}", created.text);
    let id = created.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(created.header("location"), format!("/api/v1/deployments/{id}"));
    example("spec", &created.json()["spec"]);
    with_digest(&plan["digest"]).problem(422);

    let seq = heard(&running, &id, 0, phase("serving"));
    serving(&running, &id);
    the_probe_stays_with_who_asks_for_it(&running, &id);
    adjusted(&running, &id);
    let destroy = || {
        running
            .post(format!("/api/v1/deployments/{id}/destroy"))
            .json(&json!({}))
            .send()
    };
    assert_eq!((destroy().status, destroy().status), (202, 202));
    heard(&running, &id, seq, |event| event["event"]["event"] == "restored");
    restored(&running, &id);
    assert_eq!(destroy().status, 202);
    assert_eq!(running.terminate(), Some(0));
}

fn serving(running: &Running, id: &str) {
    let deployment = running.get(format!("/api/v1/deployments/{id}")).send().json();
    example("deployment", &deployment);
    assert_eq!(deployment["phase"], "serving");
    assert_eq!(
        deployment["weights"]["asked"],
        json!({ "production": 90.0, "baseline": 5.0, "canary": 5.0 })
    );
    assert_eq!(deployment["weights"]["applied"], deployment["weights"]["asked"]);
    let roles: Vec<&str> = deployment["instances"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| i["role"].as_str().unwrap())
        .collect();
    for role in ["baseline", "canary", "monitor"] {
        assert!(roles.contains(&role), "{roles:?}");
    }
    example(
        "verdict",
        &running.get(format!("/api/v1/deployments/{id}/verdict")).send().json(),
    );
    example("deployments", &running.get("/api/v1/deployments").send().json());
    example("healthz", &running.get("/healthz").send().json());
    let events = running
        .get(format!("/api/v1/deployments/{id}/events"))
        .header("accept", "application/json")
        .send()
        .json();
    example("events", &events);
    let metrics = running.get("/metrics").send().text;
    assert!(metrics.contains("arya_deployments{phase=\"serving\"} 1"), "{metrics}");
    let up = running.get("/monitor/api/v1/query?query=up").send().json();
    assert_eq!(up["status"], "success", "{up}");
    assert_eq!(
        running.get("/monitor").send().header("location"),
        "/monitor/api/v1/targets"
    );
    let document = running.get("/api/openapi.json").send().json();
    assert_eq!(document["openapi"], "3.1.0");
}

fn the_probe_stays_with_who_asks_for_it(running: &Running, id: &str) {
    let of_one = format!("/api/v1/deployments/{id}");
    let deployment = running.get(&*of_one).send().json();
    let secret = deployment["probe"]["value"].as_str().unwrap();
    assert!(running.get(format!("/deployments/{id}")).send().text.contains(secret));
    let weight = running
        .post(format!("{of_one}/weight"))
        .json(&json!({ "canary_percent": 5 }));
    let report = format!("{of_one}/report");
    for answer in [
        running.get("/api/v1/deployments").send(),
        running.get(&*report).header("accept", "application/json").send(),
        running.get(&*report).header("accept", "text/html").send(),
        running.get("/api/v1/cloud/listeners").send(),
        weight.send(),
    ] {
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert!(!answer.text.contains(secret), "{}", answer.text);
    }
    let watched = running.command(&["watch", id, "--until", "serving", "--json"]);
    assert!(!String::from_utf8_lossy(&watched.stdout).contains(secret));
}

fn adjusted(running: &Running, id: &str) {
    let weight = |percent: u32| {
        let answer = running
            .post(format!("/api/v1/deployments/{id}/weight"))
            .json(&json!({ "canary_percent": percent }))
            .send();
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    };
    assert_eq!(weight(25)["weights"]["asked"]["canary"], 25.0);
    running
        .post(format!("/api/v1/deployments/{id}/weight"))
        .json(&json!({ "canary_percent": 50 }))
        .send()
        .problem(422);
    running
        .post(format!("/api/v1/deployments/{id}/override"))
        .json(&json!({ "reason": "just so" }))
        .send()
        .problem(409);
    let control = running
        .post(format!("/api/v1/try/{id}/make-worse"))
        .json(&json!({}))
        .send();
    assert_eq!(control.status, 200, "{}", control.text);
    example("control", &control.json());
    assert_eq!(
        running
            .post(format!("/api/v1/try/{id}/heal"))
            .json(&json!({}))
            .send()
            .status,
        200
    );
}

fn restored(running: &Running, id: &str) {
    let deployment = running.get(format!("/api/v1/deployments/{id}")).send().json();
    assert_eq!(deployment["restore_proof"]["differences"], json!([]), "{deployment}");
    assert_eq!(
        deployment["restore_proof"]["sentence"],
        "Production is exactly as before: 0 differences."
    );
    assert_eq!(deployment["phase"], "destroyed");
    assert_eq!(deployment["probe"], Value::Null);
    let report = running
        .get(format!("/api/v1/deployments/{id}/report"))
        .header("accept", "application/json")
        .send();
    example("report", &report.json());
    let logs = running.get(format!("/api/v1/deployments/{id}/logs")).send().json();
    example("logs", &logs);
    let logs = logs["logs"].as_array().unwrap().clone();
    let roles: Vec<&str> = logs.iter().map(|log| log["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["baseline", "canary"], "they outlive their instances");
    let page = running
        .get(format!("/api/v1/deployments/{id}/report"))
        .header("accept", "text/html")
        .send();
    assert!(page.header("content-type").starts_with("text/html"), "{}", page.text);
    assert!(
        page.header("content-security-policy").contains("sha256-"),
        "{:?}",
        page.headers
    );
    assert!(
        page.text.contains("emr-1.1") && !page.text.contains("src=\"http"),
        "{}",
        page.text
    );
    let listeners = running.get("/api/v1/cloud/listeners").send().json();
    assert!(!listeners.to_string().contains("\"deployment\":\""), "{listeners}");
    let weight = running
        .post(format!("/api/v1/deployments/{id}/weight"))
        .json(&json!({ "canary_percent": 5 }))
        .send();
    weight.problem(409);
}

#[test]
fn when_production_deploys_our_rule_goes_and_a_person_decides() {
    let running = Running::start_with(&["--load", "50"]);
    let created = running.post("/api/v1/deployments").json(&spec(&running)).send().json();
    let id = created["id"].as_str().unwrap().to_owned();
    let seq = heard(&running, &id, 0, phase("serving"));
    let deploy = running.post("/api/v1/try/production-deploys").json(&json!({})).send();
    assert_eq!(deploy.status, 200, "{}", deploy.text);
    heard(&running, &id, seq, phase("held"));
    let deployment = once(&running, &id, |deployment| {
        deployment["weights"]["applied"]["production"] == 100.0
    });
    assert_eq!(deployment["hold"]["reason"], "rule_below_changed", "{deployment}");
    assert_eq!(deployment["waiting"][0]["for"], "person", "{deployment}");
    let metrics = running.get("/metrics").send().text;
    assert!(metrics.contains("arya_watchdog_removals_total 1"), "{metrics}");
    assert_eq!(
        running
            .post(format!("/api/v1/deployments/{id}/destroy"))
            .json(&json!({}))
            .send()
            .status,
        202
    );
    heard(&running, &id, seq, |event| event["event"]["event"] == "restored");
    let proof = running.get(format!("/api/v1/deployments/{id}")).send().json()["restore_proof"].clone();
    assert_eq!(proof["holds"], true, "{proof}");
    assert!(
        proof["differences"]
            .as_array()
            .unwrap()
            .iter()
            .all(|difference| difference["whose"] == "others"),
        "{proof}"
    );
}
