//! The contract as a script meets it: documents, errors, streams, the command line and its exit codes.

use std::io::{BufRead, BufReader, Read};
use std::time::Duration;

use serde_json::{Value, json};
use tests::Arya;

const SERVING_MAX: Duration = Duration::from_secs(15);

fn has_keys(document: &Value, keys: &[&str]) {
    for key in keys {
        assert!(document.get(key).is_some(), "`{key}` is missing in {document:#}");
    }
}

#[test]
fn api_documents_have_the_keys_of_the_contract() {
    let arya = Arya::start(&[]);
    has_keys(&arya.ready, &["ui", "load_balancer", "token", "data_dir", "samples"]);
    let (status, artifact) = arya.put_file(&arya.sample("canary", "image"));
    assert!(status < 300, "{artifact}");
    has_keys(&artifact, &["digest", "size", "kind", "images"]);
    has_keys(
        &artifact["images"][0],
        &[
            "reference",
            "architecture",
            "os",
            "exposed_ports",
            "env_names",
            "layers",
        ],
    );
    let (status, listeners) = arya.get("/cloud/listeners");
    assert_eq!(status, 200, "{listeners}");
    let spec = arya.spec("keys", "canary", 5.0);
    let (status, plan) = arya.post("/plans", &spec);
    assert_eq!(status, 200, "{plan}");
    let keys = [
        "rules_before",
        "rules_after",
        "resources",
        "problems",
        "quotas",
        "price_per_hour",
        "other_doors",
    ];
    has_keys(&plan, &keys);
    has_keys(&plan, &["time_to_verdict", "digest"]);

    let deployment = arya.deploy(&spec);
    deployment.wait_phase("serving", SERVING_MAX);
    let document = deployment.look();
    let keys = [
        "id",
        "name",
        "phase",
        "goal",
        "created_at",
        "spec",
        "weights",
        "instances",
        "links",
        "verdict",
    ];
    has_keys(&document, &keys);
    has_keys(&document, &["waiting", "cost", "restore_proof"]);
    has_keys(&document["weights"], &["asked", "applied", "measured"]);
    for instance in document["instances"].as_array().unwrap() {
        has_keys(instance, &["role", "id", "state", "health", "address", "report"]);
    }
    assert_eq!(
        document["weights"]["applied"],
        json!({"production": 90.0, "baseline": 5.0, "canary": 5.0})
    );
    has_keys(&deployment.verdict(), &["outcome", "sentence", "metrics", "as_of"]);
    let (status, report) = arya.get(&format!("/deployments/{}/report", deployment.id));
    assert_eq!(status, 200, "{report}");
}

#[test]
fn api_refuses_strangers_and_explains_every_error_as_a_problem_document() {
    let arya = Arya::start(&["--load", "0"]);
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let url = |path: &str| format!("{}{path}", arya.origin());
    assert_eq!(agent.get(url("/healthz")).call().unwrap().status(), 200);
    for path in ["/api/v1/deployments", "/api/v1/cloud/listeners", "/metrics"] {
        assert_eq!(agent.get(url(path)).call().unwrap().status(), 401, "{path}");
        let wrong = agent
            .get(url(path))
            .header("authorization", "Bearer nope")
            .call()
            .unwrap();
        assert_eq!(wrong.status(), 401, "{path}");
    }
    let (status, problem) = arya.get("/deployments/00000000-0000-4000-8000-000000000000");
    assert_eq!(status, 404);
    has_keys(&problem, &["type", "title", "status", "detail", "next"]);
    let (status, problem) = arya.post("/plans", &json!({"name": "x", "canary_percnt": 5}));
    assert_eq!(status, 422, "{problem}");
    assert_eq!(problem["field"], "canary_percnt");
    assert!(
        problem["detail"].as_str().unwrap().contains("canary_percent"),
        "{problem}"
    );
}

#[test]
fn api_destroy_is_idempotent_and_a_stale_plan_is_refused() {
    let arya = Arya::start(&[]);
    let mut spec = arya.spec("stale", "canary", 5.0);
    let (_, plan) = arya.post("/plans", &spec);
    let body = |spec: &Value, digest: &Value| {
        let mut body = spec.clone();
        body["plan_digest"] = digest.clone();
        body
    };
    let (status, problem) = arya.post("/deployments", &body(&spec, &json!("0".repeat(64))));
    assert_eq!(status, 409, "{problem}");
    let (status, deployment) = arya.post("/deployments", &body(&spec, &plan["digest"]));
    assert_eq!(status, 201, "{deployment}");
    let path = format!("/deployments/{}/destroy", deployment["id"].as_str().unwrap());
    assert_eq!(arya.post(&path, &json!({})).0, 202);
    assert_eq!(arya.post(&path, &json!({})).0, 202);
    spec["name"] = json!("other");
    let raise = format!("/deployments/{}/weight", deployment["id"].as_str().unwrap());
    assert_eq!(arya.post(&raise, &json!({"canary_percent": 5})).0, 409);
}

#[test]
fn api_events_stream_and_resume_after_the_last_one_seen() {
    let arya = Arya::start(&[]);
    let deployment = arya.deploy(&arya.spec("stream", "canary", 5.0));
    deployment.wait_phase("serving", SERVING_MAX);
    let stream = |last: Option<&str>| {
        let url = format!("{}/api/v1/deployments/{}/events", arya.origin(), deployment.id);
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_global(Some(SERVING_MAX))
            .build()
            .into();
        let mut call = agent
            .get(url)
            .header("authorization", format!("Bearer {}", arya.token()));
        call = call.header("accept", "text/event-stream");
        if let Some(last) = last {
            call = call.header("last-event-id", last);
        }
        BufReader::new(call.call().unwrap().into_body().into_reader())
    };
    let ids = |reader: BufReader<Box<dyn Read>>, count: usize| -> Vec<String> {
        let lines = reader.lines().map_while(Result::ok);
        lines
            .filter_map(|l| l.strip_prefix("id:").map(|id| id.trim().to_owned()))
            .take(count)
            .collect()
    };
    let all = ids(BufReader::new(Box::new(stream(None))), 5);
    assert_eq!(all.len(), 5);
    let rest = ids(BufReader::new(Box::new(stream(Some(&all[2])))), 2);
    assert_eq!(rest, all[3..5]);
}

#[test]
fn api_every_route_of_the_openapi_document_answers() {
    let arya = Arya::start(&["--load", "0"]);
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let call = agent.get(format!("{}/api/openapi.json", arya.origin()));
    let mut response = call
        .header("authorization", format!("Bearer {}", arya.token()))
        .call()
        .unwrap();
    let document: Value = response.body_mut().read_json().unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let paths: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
    for wanted in [
        "/artifacts",
        "/plans",
        "/deployments",
        "/deployments/{id}/weight",
        "/deployments/{id}/override",
    ] {
        assert!(
            paths.iter().any(|path| path.ends_with(wanted)),
            "{wanted} is not in {paths:?}"
        );
    }
}

#[test]
fn api_the_command_line_answers_with_the_contracts_exit_codes() {
    let arya = Arya::start(&[]);
    let code = |args: &[&str]| arya.cli(args).status.code().unwrap();
    assert_eq!(code(&["--help"]), 0);
    assert_eq!(code(&["no-such-command"]), 3, "usage errors are tool errors");
    assert_eq!(code(&["watch"]), 3);
    assert_eq!(code(&["watch", "nope"]), 3);

    let good = arya.deploy(&arya.spec("good", "canary", 20.0));
    assert_eq!(code(&["watch", &good.id, "--until", "serving", "--timeout", "20"]), 0);
    assert_eq!(code(&["check", "good"]), 2, "too early for a verdict");
    assert_eq!(code(&["weight", "good", "25"]), 0);
    assert_eq!(code(&["weight", "good", "51"]), 3);
    assert_eq!(
        code(&[
            "watch",
            &good.id,
            "--until",
            "verdict",
            "--timeout",
            "1",
            "--on-cancel",
            "leave"
        ]),
        2
    );
    assert_eq!(code(&["destroy", "good"]), 0);
    good.wait_phase("destroyed", SERVING_MAX);

    let bad = arya.deploy(&arya.spec("bad", "canary_bad", 20.0));
    assert_eq!(code(&["watch", &bad.id, "--until", "verdict", "--timeout", "90"]), 1);
    assert_eq!(code(&["check", "bad"]), 1);
    assert_eq!(code(&["check", "bad", "--soft-fail"]), 0);
    let json = arya.cli(&["check", "bad", "--json"]);
    let verdict: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(verdict["outcome"], "harmful", "{verdict:#}");
}
