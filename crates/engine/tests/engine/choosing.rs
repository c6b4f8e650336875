//! By which metrics a deployment is judged.

use arya_engine::Report;
use arya_judge::{MetricConfig, Outcome, SourceError};
use serde_json::json;

use crate::rig::Rig;

fn names(report: &Report) -> Vec<&str> {
    let metrics = &report.verdict.as_ref().unwrap().metrics;
    metrics.iter().map(|metric| metric.name.as_str()).collect()
}

fn metrics(names: &[&str]) -> Vec<MetricConfig> {
    names.iter().map(|name| MetricConfig::error_share(*name, "")).collect()
}

#[tokio::test(start_paused = true)]
async fn without_a_choice_the_usual_metrics_are_judged() {
    let rig = Rig::new();
    assert_eq!(names(&rig.until_judged().await), ["errors"]);
}

#[tokio::test(start_paused = true)]
async fn metrics_are_chosen_once_and_survive_a_crash() {
    let mut rig = Rig::new();
    rig.until_judged().await;
    rig.world.offer(metrics(&["errors", "latency"]));
    rig.until(|report| names(report) == ["errors", "latency"]).await;
    let known = |rig: &Rig| {
        rig.store
            .evidence(&rig.desired.id, 0, &metrics(&["errors"])[0])
            .unwrap()
    };
    let before = known(&rig).unwrap().blocks.len();
    rig.world.offer(metrics(&["errors"]));
    for _ in 0..20 {
        assert_eq!(names(&rig.tick().await), ["errors", "latency"]);
    }
    // What was measured of a metric before the choice still counts.
    assert!(known(&rig).unwrap().blocks.len() > before);
    rig = rig.crash();
    assert_eq!(names(&rig.until_judged().await), ["errors", "latency"]);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_never_says_what_is_shown_is_not_asked_for_ever() {
    let rig = Rig::new();
    let judged = rig.until_judged().await;
    let later = |report: &Report| {
        report
            .observed
            .as_ref()
            .unwrap()
            .at
            .duration_since(judged.observed.as_ref().unwrap().at)
    };
    rig.until(|report| later(report).as_secs() > 190).await;
    rig.world.offer(metrics(&["latency"]));
    for _ in 0..20 {
        assert_eq!(names(&rig.tick().await), ["errors"]);
    }
    assert_eq!(rig.told("could not be read within 180 s"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_cannot_say_what_is_shown_is_told_of_once() {
    let rig = Rig::new();
    let judged = rig.until_judged().await;
    let began = judged.observed.unwrap().at;
    rig.world
        .fail_source(Some(SourceError::Unreachable { what: "silent".into() }));
    rig.until(|report| report.observed.as_ref().unwrap().at.duration_since(began).as_secs() > 190)
        .await;
    assert_eq!(rig.told("could not be read within 180 s"), 1);
}

#[tokio::test(start_paused = true)]
async fn the_specs_changes_are_followed() {
    let own = json!({"name": "queue", "series": {"level": "queue_length"}});
    let rig = Rig::analysed(json!({"metrics": [{"name": "latency", "off": true}, own]}));
    rig.world.offer(metrics(&["errors", "latency"]));
    assert_eq!(names(&rig.until_judged().await), ["errors", "queue"]);
    assert_eq!(rig.told("no series in time"), 0);
}

#[tokio::test(start_paused = true)]
async fn that_no_series_are_judged_is_told_once() {
    let rig = Rig::new();
    rig.world.offer(metrics(&["errors", "latency at the balancer"]));
    rig.until(|report| report.verdict.is_some() && names(report).len() == 2)
        .await;
    let rig = rig.crash();
    rig.until_judged().await;
    assert_eq!(
        rig.told("what the load balancer measures: errors, latency at the balancer."),
        1
    );
}

/// An app with `protocol: grpc`, whose arms show these metrics.
fn grpc_app(edits: &serde_json::Value, shown: &[&str]) -> Rig {
    let app = json!({"port": 50051, "protocol": "grpc", "health_check_path": "/grpc.health.v1.Health/Check"});
    let rig = Rig::asked(&json!({"app": app, "analysis": {"metrics": edits}}));
    let soon = |metric| MetricConfig {
        known_dispersion: Some(1.0),
        ..metric
    };
    rig.world.offer(metrics(shown).into_iter().map(soon).collect());
    rig
}

#[tokio::test(start_paused = true)]
async fn a_grpc_app_whose_failed_calls_nobody_counts_is_never_no_worse() {
    let off = json!([{"name": "grpc error share", "off": true}]);
    for edits in [json!([]), off] {
        let rig = grpc_app(&edits, &["errors"]);
        rig.world.shows_no_series();
        let judged = |report: &Report| {
            report
                .verdict
                .as_ref()
                .is_some_and(|v| v.metrics[0].outcome == Outcome::NoWorse)
        };
        let report = rig.until(judged).await;
        assert_eq!(names(&report), ["errors", "grpc error share"]);
        for _ in 0..30 {
            let verdict = rig.tick().await.verdict.unwrap();
            assert_eq!(verdict.outcome, Outcome::Inconclusive);
            let said = verdict.metrics[1].reason.sentence();
            assert!(said.contains("no arm shows these series"), "{said}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_grpc_app_that_counts_its_failed_calls_may_pass() {
    let rig = grpc_app(&json!([]), &["errors", "grpc error share"]);
    let passed = |report: &Report| report.verdict.as_ref().is_some_and(|v| v.outcome == Outcome::NoWorse);
    let report = rig.until(passed).await;
    assert_eq!(names(&report), ["errors", "grpc error share"]);
}
