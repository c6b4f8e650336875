//! What is live, what needs a person, and what was.

use arya_local::samples::{Sample, Samples};
use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::json;

use crate::api::documents::{DeploymentDocument, ListenersDocument, RuleDocument, Told};
use crate::api::input::SpecBody;
use crate::api::problem::Problem;
use crate::app::App;
use crate::auth::Caller;
use crate::web::error::ErrorPage;
use crate::web::frame::{Around, Frame};
use crate::web::html;
use crate::web::parts::share::SharesView;
use crate::web::parts::verdict;
use crate::web::tone::{Chip, Tone};
use crate::web::words;

#[derive(Debug, Template)]
#[template(path = "pages/home.html")]
pub(crate) struct HomePage {
    frame: Frame,
    local: bool,
    runs: Vec<Run>,
    needs: Vec<Need>,
    history: Vec<Past>,
    /// Why the demo could not be started.
    problem: Option<String>,
    demo_twin: &'static str,
}

/// What the demo's canary gets of the matching traffic, in percent: enough to be caught within a minute.
const DEMO_PERCENT: f64 = 20.0;

pub(crate) async fn get(State(app): State<App>, Extension(caller): Extension<Caller>) -> Response {
    let around = Around::of(&app, Some(&caller));
    match app.deployments() {
        Ok(deployments) => html(&HomePage::of(&around, &deployments, None)),
        Err(problem) => ErrorPage::answer(&around, &problem),
    }
}

/// Starts the bundled bad canary, by the same way as any other.
pub(crate) async fn demo(State(app): State<App>, Extension(caller): Extension<Caller>) -> Response {
    match start_demo(&app, &caller).await {
        Ok(document) => Redirect::to(&format!("/deployments/{}", document.id)).into_response(),
        Err(problem) => {
            let around = Around::of(&app, Some(&caller));
            let deployments = app.deployments().unwrap_or_default();
            let page = HomePage::of(&around, &deployments, Some(problem.detail.clone()));
            (problem.status_code(), html(&page)).into_response()
        }
    }
}

async fn start_demo(app: &App, caller: &Caller) -> Result<DeploymentDocument, Problem> {
    let samples = app.settings.samples.as_ref();
    let samples = samples.ok_or_else(|| Problem::not_found("demo outside `arya try`"))?;
    let deployments = app.deployments()?;
    let listeners = app.listeners().await;
    let name = free_name(&deployments);
    let document = sample_spec(&name, samples, &samples.canary_bad, &listeners);
    let mut spec = arya_plan::spec::Spec::parse(&document)?;
    // That this pair was harmful before is the point of the demo, however often it is shown.
    let known = app.plan(&spec).await?.problems.into_iter().map(|problem| problem.name);
    spec.acknowledged
        .extend(known.filter(|name| name.starts_with("harmful:")));
    app.deploy(
        SpecBody {
            spec,
            plan_digest: None,
        },
        caller,
    )
    .await
}

fn free_name(deployments: &[DeploymentDocument]) -> String {
    let taken = |name: &str| deployments.iter().any(|deployment| deployment.name == name);
    let numbered = (2..).map(|number| format!("demo-{number}"));
    std::iter::once("demo".to_owned())
        .chain(numbered)
        .find(|name| !taken(name))
        .unwrap_or_default()
}

/// The spec of a bundled canary beside the bundled baseline, in front of the first default rule: most traffic comes there.
pub(crate) fn sample_spec(
    name: &str,
    samples: &Samples,
    canary: &Sample,
    listeners: &ListenersDocument,
) -> serde_json::Value {
    let mut all = listeners.load_balancers.iter().flat_map(|balancer| &balancer.listeners);
    let serves = |rule: &RuleDocument| rule.priority == "default" && !rule.groups.is_empty();
    let chosen = all.find(|listener| listener.rules.iter().any(serves));
    let side = |version: &Sample| json!({ "image": version.image_digest, "compose": version.compose_digest });
    json!({
        "name": name,
        "listener": chosen.map(|listener| listener.id.as_str()).unwrap_or_default(),
        "in_front_of": "default",
        "canary_percent": DEMO_PERCENT,
        "stickiness_s": 0,
        "app": { "port": arya_local::samples::SAMPLE_PORT, "health_check_path": "/health" },
        "baseline": side(&samples.baseline),
        "canary": side(canary),
        "exporters": [{ "job": "app", "port": arya_local::samples::SAMPLE_PORT, "path": "/metrics" }],
        "lifetime_h": 1,
    })
}

/// A live deployment.
#[derive(Debug, Clone)]
struct Run {
    id: String,
    name: String,
    tone: Tone,
    phase: Chip,
    verdict: Option<Chip>,
    sentence: String,
    asked: SharesView,
    applied: SharesView,
    measured: Option<SharesView>,
    expires: String,
    cost: String,
    twin: String,
    leaving: bool,
}

/// Something that waits for a person.
#[derive(Debug, Clone)]
struct Need {
    id: String,
    name: String,
    sentence: String,
    since: String,
}

/// A deployment that has ended.
#[derive(Debug, Clone)]
struct Past {
    id: String,
    name: String,
    when: String,
    verdict: Option<Chip>,
    lasted: String,
    cost: String,
    restored: String,
}

impl HomePage {
    pub(crate) fn of(around: &Around, deployments: &[DeploymentDocument], problem: Option<String>) -> Self {
        let open = || deployments.iter().filter(|deployment| deployment.closed_at.is_none());
        let frame = Frame::new("What is live", "home", around);
        Self {
            // Without anything live the page still learns when something starts elsewhere.
            frame: frame.live("/", "/live"),
            local: around.local,
            runs: open().map(Run::of).collect(),
            needs: open().flat_map(Need::of).collect(),
            history: deployments.iter().filter_map(Past::of).collect(),
            problem,
            demo_twin: "curl -X POST -H \"Authorization: Bearer $ARYA_TOKEN\" \"$ARYA_SERVER/demo\"",
        }
    }

    fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.history.is_empty()
    }
}

impl Run {
    fn of(document: &DeploymentDocument) -> Self {
        let tone = verdict::tone(document);
        let leaving = document.told() == Told::AtTheEnd;
        let left = words::seconds_between(document.as_of, document.expires_at);
        Self {
            id: document.id.to_string(),
            name: document.name.clone(),
            tone,
            phase: Chip::plain(document.phase_word),
            verdict: verdict::chip(tone),
            sentence: document.headline.to_string(),
            asked: SharesView::of(&document.weights.asked),
            applied: SharesView::of(&document.weights.applied),
            measured: document.weights.measured.as_ref().map(SharesView::of),
            expires: if leaving {
                "being removed".into()
            } else {
                format!("removes itself in {}", words::duration(left))
            },
            cost: words::money(document.cost.so_far),
            twin: format!("arya destroy {}", words::argument(&document.name)),
            leaving,
        }
    }
}

impl Need {
    fn of(document: &DeploymentDocument) -> Vec<Self> {
        let persons = document
            .waiting
            .iter()
            .filter(|wait| matches!(wait.reason, "person" | "stuck"));
        persons
            .map(|wait| Self {
                id: document.id.to_string(),
                name: document.name.clone(),
                sentence: wait.why.clone(),
                since: words::ago(wait.since, document.as_of),
            })
            .collect()
    }
}

impl Past {
    fn of(document: &DeploymentDocument) -> Option<Self> {
        let closed = document.closed_at?;
        let harmful = document.harmful.is_some();
        let outcome = document.verdict.as_ref().map(|verdict| verdict.outcome);
        let outcome = if harmful {
            Some(arya_judge::Outcome::Harmful)
        } else {
            outcome
        };
        let proof = document.restore_proof.as_ref();
        Some(Self {
            id: document.id.to_string(),
            name: document.name.clone(),
            when: words::day(document.created_at),
            verdict: outcome.map(|outcome| Chip::outcome(outcome, document.told())),
            lasted: words::duration(words::seconds_between(document.created_at, closed)),
            cost: words::money(document.cost.so_far),
            restored: match proof.map(|proof| (proof.holds, proof.differences.len())) {
                Some((true, 0)) => "0 differences".into(),
                Some((true, count)) => format!("{count} by others"),
                Some((false, _)) => "something of ours is left".into(),
                None => "no proof".into(),
            },
        })
    }
}
