//! Past verdicts judged again: over the API, by the command, and on the page; nothing that it is asked changes anything.

use serde_json::{Value, json};

use crate::examples::example;
use crate::running::Running;

fn again(running: &Running, body: &Value) -> Value {
    let answer = running.post("/api/v1/backtests").json(body).send();
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

fn refused(running: &Running, body: &Value, field: &str) {
    let problem = running.post("/api/v1/backtests").json(body).send().problem(422);
    assert_eq!(problem["field"], field, "{problem}");
}

#[test]
fn recorded_canaries_are_judged_again_before_anything_was_deployed() {
    let running = Running::start_with(&["--load", "0"]);
    let same = again(&running, &json!({}));
    assert_eq!(same["sentence"], "All 2 verdicts would have been the same.");
    let wider = json!({ "examples": true, "config": { "pass_margin": 3 }, "kayenta_config": {
        "classifier": { "groupWeights": { "all": 100 } },
        "metrics": [{ "name": "error share", "groups": ["all"], "scopeName": "default" }],
    }});
    let changed = again(&running, &wider);
    example("backtest", &changed);
    assert_eq!(changed["sentence"], "1 of 2 verdicts would have been another one.");
    let first = &changed["runs"][0];
    assert_eq!(
        (&first["changed"], &first["new"]["outcome"]),
        (&json!(true), &json!("no_worse"))
    );
    assert_eq!(first["kayenta"]["given"]["classification"], "Pass");
    let off = again(
        &running,
        &json!({ "config": { "metrics": [{ "name": "latency", "off": true }] } }),
    );
    let failed = off["runs"]
        .as_array()
        .unwrap()
        .iter()
        .find(|run| run["changed"] == true);
    assert!(
        failed.is_some(),
        "without its latency the failed canary is not caught: {off}"
    );

    refused(&running, &json!({ "last": 0 }), "last");
    refused(&running, &json!({ "last": 21 }), "last");
    refused(&running, &json!({ "config": { "alpha_fail": 2 } }), "config.alpha_fail");
    refused(
        &running,
        &json!({ "config": { "metrics": [{ "name": "a", "pass_margin": 0 }] } }),
        "config.metrics.0",
    );
    refused(
        &running,
        &json!({ "kayenta_config": { "metrics": 1 } }),
        "kayenta_config",
    );
    refused(&running, &json!({ "nonsense": 1 }), "nonsense");
    let id = "3b241101-e2bb-4255-8caf-4136c566a962";
    running
        .post("/api/v1/backtests")
        .json(&json!({ "deployment": id }))
        .send()
        .problem(404);
    by_the_command(&running);
    on_the_page(&running);
}

fn by_the_command(running: &Running) {
    let change = running.dir.path().join("change.json");
    std::fs::write(&change, r#"{"pass_margin": 3}"#).unwrap();
    let command = |more: &[&str]| {
        let config = ["judge", "--backtest", "--config", change.to_str().unwrap()];
        running.command(&[&config[..], more].concat())
    };
    let told = command(&[]);
    assert_eq!(told.status.code(), Some(0), "{told:?}");
    let text = String::from_utf8(told.stdout).unwrap();
    for words in [
        "1 of 2 verdicts",
        "* recorded: a healthy canary",
        "not enough evidence yet -> no worse",
    ] {
        assert!(text.contains(words), "{words:?} in {text}");
    }
    let json = command(&["--examples", "--json"]);
    let answer: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(answer["config"]["pass_margin"], 3.0);
    assert_eq!(command(&["--deployment", "nobody"]).status.code(), Some(3));
    assert_eq!(command(&["--last", "0"]).status.code(), Some(3));
    std::fs::write(&change, r#"{"classifier": {}, "metrics": []}"#).unwrap();
    let kayentas = command(&["--examples", "--json"]);
    let answer: Value = serde_json::from_slice(&kayentas.stdout).unwrap();
    assert!(answer["runs"][0]["kayenta"]["given"].is_object(), "{answer}");
    std::fs::write(&change, "[1]").unwrap();
    assert_eq!(command(&[]).status.code(), Some(3));
}

fn on_the_page(running: &Running) {
    let page = running.get("/lab").send();
    assert_eq!(page.status, 200, "{}", page.text);
    for words in ["the recorded examples", "error share", "Judge again"] {
        assert!(page.text.contains(words), "{words:?} in {}", page.text);
    }
    let post = |form: &str| {
        let form_type = "application/x-www-form-urlencoded";
        running.post("/lab").body(form_type, form.as_bytes()).send()
    };
    let judged = post("which=examples&pass_margin=3");
    assert_eq!(judged.status, 200, "{}", judged.text);
    assert!(
        judged.text.contains("1 of 2 verdicts would have been another one."),
        "{}",
        judged.text
    );
    let wrong = post("which=examples&alpha_fail=many");
    assert_eq!(wrong.status, 422);
    assert!(wrong.text.contains("“many” is no number."), "{}", wrong.text);
    let too_much = post("which=examples&alpha_fail=90");
    assert_eq!(too_much.status, 422);
    assert!(too_much.text.contains("error-alpha_fail"), "{}", too_much.text);
}
