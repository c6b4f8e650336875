//! The server's own health and numbers.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use arya_plan::phase::Phase;
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::problem::Problem;
use crate::app::App;

/// Says that the process runs and its database answers.
pub(crate) async fn healthz(State(app): State<App>) -> Result<Json<Value>, Problem> {
    match app.engine.store().check() {
        Ok(()) => Ok(Json(json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }))),
        Err(error) => {
            let detail = format!("The database does not answer: {}", super::problem::chain(&error));
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unhealthy", detail)
                .next("Look at the disk of the data directory."))
        }
    }
}

pub(crate) async fn metrics(State(app): State<App>) -> Result<Response, Problem> {
    let deployments = app.deployments()?;
    let mut by_phase: BTreeMap<Phase, usize> = Phase::ALL.into_iter().map(|phase| (phase, 0)).collect();
    let (mut stuck, mut harmful) = (0, 0);
    for deployment in &deployments {
        *by_phase.entry(deployment.phase).or_default() += 1;
        stuck += deployment
            .waiting
            .iter()
            .filter(|waiting| waiting.reason == "stuck")
            .count();
        harmful += usize::from(deployment.harmful_stands());
    }
    let counted = app.counters.read();
    let mut text = String::new();
    let mut family = |name: &str, kind: &str, help: &str, samples: &[(String, f64)]| {
        // Writing to a String cannot fail.
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        for (labels, value) in samples {
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    };
    let phases: Vec<_> = by_phase
        .iter()
        .map(|(phase, count)| (format!("{{phase=\"{phase}\"}}"), *count as f64))
        .collect();
    family("arya_deployments", "gauge", "Deployments by phase.", &phases);
    family(
        "arya_deployments_harmful",
        "gauge",
        "Deployments with a harmful verdict that nobody overruled.",
        &[(String::new(), harmful as f64)],
    );
    family(
        "arya_steps_stuck",
        "gauge",
        "Steps that were tried several times and changed nothing.",
        &[(String::new(), stuck as f64)],
    );
    family(
        "arya_events_total",
        "counter",
        "Events recorded since the start.",
        &[(String::new(), counted.recorded as f64)],
    );
    family(
        "arya_watchdog_removals_total",
        "counter",
        "Main rules removed by the watchdog since the start.",
        &[(String::new(), counted.watchdog_removals as f64)],
    );
    family(
        "arya_build_info",
        "gauge",
        "The running version.",
        &[(format!("{{version=\"{}\"}}", env!("CARGO_PKG_VERSION")), 1.0)],
    );
    Ok((
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        text,
    )
        .into_response())
}
