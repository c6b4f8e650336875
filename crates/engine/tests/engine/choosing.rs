//! By which metrics a deployment is judged.

use arya_engine::Report;
use arya_judge::MetricConfig;
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
    rig.until(|report| later(report).as_secs() > 90).await;
    rig.world.offer(metrics(&["latency"]));
    for _ in 0..20 {
        assert_eq!(names(&rig.tick().await), ["errors"]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_specs_changes_are_followed() {
    let own = json!({"name": "queue", "series": {"level": "queue_length"}});
    let rig = Rig::analysed(json!({"metrics": [{"name": "latency", "off": true}, own]}));
    rig.world.offer(metrics(&["errors", "latency"]));
    assert_eq!(names(&rig.until_judged().await), ["errors", "queue"]);
}
