//! The one table of calls. What is not in it does not exist; what is in it is documented.

use axum::extract::{Path, State};
use axum::http::Method;
use axum::routing::{MethodRouter, get, post, put};

use super::input::Ignored;
use super::{artifacts, controls, deployments, events, lab, metrics, openapi};
use crate::app::App;

/// One call.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) method: Method,
    /// Below `/api/v1`, or from the root when it starts with two slashes.
    below: &'static str,
    pub(crate) summary: &'static str,
    /// What the body is, if there is one.
    pub(crate) body: Body,
    /// The status of success and the media types of its answer.
    pub(crate) answers: (u16, &'static [&'static str]),
    /// Other statuses than the ones that every call may give.
    pub(crate) refuses: &'static [u16],
    /// The name of the example under `docs/api/`.
    pub(crate) example: &'static str,
    pub(crate) handler: MethodRouter<App>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    None,
    /// Bytes of a file.
    File,
    /// A spec in YAML or JSON.
    Spec,
    /// A JSON object with these keys: name, JSON type, what it is.
    Object(&'static [(&'static str, &'static str, &'static str)]),
    /// The same, and each key may be left out.
    Options(&'static [(&'static str, &'static str, &'static str)]),
}

const JSON: &[&str] = &["application/json"];
const TEXT: &[&str] = &["text/plain"];

impl Route {
    pub(crate) fn path(&self) -> String {
        match self.below.strip_prefix("//") {
            Some(rest) => format!("/{rest}"),
            None => format!("/api/v1{}", self.below),
        }
    }

    fn new(
        method: Method,
        below: &'static str,
        example: &'static str,
        summary: &'static str,
        handler: MethodRouter<App>,
    ) -> Self {
        Self {
            method,
            below,
            summary,
            body: Body::None,
            answers: (200, JSON),
            refuses: &[],
            example,
            handler,
        }
    }

    fn get(below: &'static str, example: &'static str, summary: &'static str, handler: MethodRouter<App>) -> Self {
        Self::new(Method::GET, below, example, summary, handler)
    }

    fn post(below: &'static str, example: &'static str, summary: &'static str, handler: MethodRouter<App>) -> Self {
        Self::new(Method::POST, below, example, summary, handler)
    }

    fn takes(self, body: Body) -> Self {
        Self { body, ..self }
    }

    fn answers(self, status: u16, media_types: &'static [&'static str]) -> Self {
        Self {
            answers: (status, media_types),
            ..self
        }
    }

    fn refuses(self, statuses: &'static [u16]) -> Self {
        Self {
            refuses: statuses,
            ..self
        }
    }
}

/// Every call.
pub(crate) fn routes() -> Vec<Route> {
    let mut all = reading();
    all.extend(of_itself());
    all.extend(judging());
    all.extend(changing());
    all.extend(trying());
    all
}

fn reading() -> Vec<Route> {
    vec![
        Route::get(
            "/cloud/listeners",
            "listeners",
            "Load balancers, listeners and rules in priority order, in plain words",
            get(deployments::listeners),
        ),
        Route::get(
            "/deployments",
            "deployments",
            "Live deployments, then past ones, newest first",
            get(deployments::list),
        ),
        Route::get(
            "/deployments/{id}",
            "deployment",
            "One deployment",
            get(deployments::get),
        )
        .refuses(&[404]),
        Route::get(
            "/deployments/{id}/events",
            "events",
            "The feed: a stream that resumes after Last-Event-ID, or JSON by Accept",
            get(events::events),
        )
        .answers(200, &["text/event-stream", "application/json"])
        .refuses(&[404]),
        Route::get(
            "/deployments/{id}/verdict",
            "verdict",
            "The verdict with its numbers and reasons",
            get(deployments::verdict),
        )
        .refuses(&[404]),
        Route::get(
            "/deployments/{id}/logs",
            "logs",
            "What the containers printed, the end of each; also when the deployment is gone",
            get(deployments::logs),
        )
        .refuses(&[404]),
        Route::get(
            "/deployments/{id}/export",
            "",
            "What the monitor of a deployment that ended had recorded: series, dashboards, Kayenta's configs and results",
            get(deployments::export),
        )
        .answers(200, &["application/gzip"])
        .refuses(&[404]),
        Route::get(
            "/deployments/{id}/report",
            "report",
            "The whole story: one HTML file, or JSON by Accept",
            get(deployments::report),
        )
        .answers(200, &["text/html", "application/json"])
        .refuses(&[404]),
    ]
}

/// What is asked of the server itself.
fn of_itself() -> Vec<Route> {
    vec![
        Route::get(
            "//healthz",
            "healthz",
            "Whether the server and its database answer; needs no login",
            get(metrics::healthz),
        )
        .refuses(&[503]),
        Route::get(
            "//metrics",
            "metrics",
            "The server's own numbers as Prometheus reads them",
            get(metrics::metrics),
        )
        .answers(200, TEXT),
        Route::get("//api/openapi.json", "openapi", "This document", get(openapi::openapi)),
    ]
}

/// Questions that need a body, and change nothing.
fn judging() -> Vec<Route> {
    vec![
        Route::post(
            "/backtests",
            "backtest",
            "Judges past deployments again under a changed configuration; changes nothing",
            post(lab::backtest),
        )
        .takes(Body::Options(&[
            (
                "last",
                "integer",
                "The latest deployments with evidence, 1 to 20; 5 without it",
            ),
            ("deployment", "string", "Only this one, by its id"),
            ("examples", "boolean", "The recorded examples instead"),
            (
                "config",
                "object",
                "What is changed: alpha_fail, alpha_pass, minimum_bake_s, pass_margin, metrics",
            ),
            (
                "kayenta_config",
                "object",
                "A configuration of Kayenta's, to be run on the same evidence",
            ),
            ("thresholds", "object", "Kayenta's: pass and marginal"),
        ]))
        .refuses(&[400, 404, 408, 413, 415, 422, 503]),
    ]
}

fn changing() -> Vec<Route> {
    vec![
        Route::new(
            Method::PUT,
            "/artifacts",
            "artifact",
            "Stores an image archive or a compose file while it streams",
            put(artifacts::put),
        )
        .takes(Body::File)
        .refuses(&[400, 408, 413, 422, 507]),
        Route::post(
            "/plans",
            "plan",
            "The plan for a spec; touches nothing",
            post(deployments::plan),
        )
        .takes(Body::Spec)
        .refuses(&[400, 408, 413, 415, 422, 502]),
        Route::post(
            "/deployments",
            "deployment",
            "Starts a deployment; refuses when the plan that was seen is stale",
            post(deployments::create),
        )
        .takes(Body::Spec)
        .answers(201, JSON)
        .refuses(&[400, 408, 409, 413, 415, 422, 502]),
        Route::post(
            "/deployments/{id}/weight",
            "deployment",
            "Sets the share of matching traffic for each of canary and baseline",
            post(deployments::weight),
        )
        .takes(Body::Object(&[("canary_percent", "number", "Percent, 0 to 50")]))
        .refuses(&[400, 404, 408, 409, 413, 415, 422]),
        Route::post(
            "/deployments/{id}/destroy",
            "deployment",
            "Destroys, from any state; twice is once",
            post(deployments::destroy),
        )
        .answers(202, JSON)
        .refuses(&[404]),
        Route::post(
            "/deployments/{id}/override",
            "deployment",
            "A person overrules *harmful*",
            post(deployments::overrule),
        )
        .takes(Body::Object(&[(
            "reason",
            "string",
            "Why, in 3 to 500 characters; kept in the feed",
        )]))
        .refuses(&[400, 404, 408, 409, 413, 415, 422]),
    ]
}

/// The demo's controls; 404 outside `arya try`.
fn trying() -> Vec<Route> {
    vec![
        Route::post(
            "/try/{id}/make-worse",
            "control",
            "Only in `arya try`: the canary fails a tenth of its requests and answers later",
            post(|app: State<App>, id: Path<String>, _: Ignored| controls::make_worse(app, id)),
        )
        .refuses(&[404, 409]),
        Route::post(
            "/try/{id}/heal",
            "control",
            "Only in `arya try`: the canary is well again",
            post(|app: State<App>, id: Path<String>, _: Ignored| controls::heal(app, id)),
        )
        .refuses(&[404, 409]),
        Route::post(
            "/try/production-deploys",
            "control",
            "Only in `arya try`: production swaps its group, as a blue/green deploy does",
            post(|app: State<App>, _: Ignored| controls::production_deploys(app)),
        )
        .refuses(&[404, 409]),
        Route::post(
            "/try/load",
            "control",
            "Only in `arya try`: sets the background traffic",
            post(controls::load),
        )
        .takes(Body::Object(&[("per_s", "integer", "Requests per second, 0 to 1000")]))
        .refuses(&[400, 404, 408, 413, 415, 422]),
    ]
}
