//! Destroy: first what will happen, in order, and what it cannot undo; then how far it is; at the end the proof.

use arya_plan::phase::Phase;
use askama::Template;
use axum::Extension;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};

use super::deployment::EventLine;
use crate::api::documents::{DeploymentDocument, EventDocument, State as Progress, Told};
use crate::api::input::deployment_id;
use crate::api::problem::Problem;
use crate::app::App;
use crate::auth::Caller;
use crate::web::error::ErrorPage;
use crate::web::frame::{Around, Frame};
use crate::web::html;
use crate::web::parts::proof::ProofView;
use crate::web::parts::verdict::{self, WaitLine};
use crate::web::words;

pub(crate) async fn get(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Response {
    show(&app, &caller, &id).unwrap_or_else(|problem| ErrorPage::answer(&Around::of(&app, Some(&caller)), &problem))
}

fn show(app: &App, caller: &Caller, id: &str) -> Result<Response, Problem> {
    let id = deployment_id(id)?;
    let events = app.latest_events(&id, EVENTS_READ)?;
    Ok(html(&DestroyPage::of(
        &Around::of(app, Some(caller)),
        &app.deployment(&id)?,
        &events,
    )))
}

pub(crate) async fn post(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Response {
    match deployment_id(&id).and_then(|known| app.destroy(&known, &caller)) {
        Ok(_) => Redirect::to(&format!("/deployments/{id}/destroy")).into_response(),
        Err(problem) => ErrorPage::answer(&Around::of(&app, Some(&caller)), &problem),
    }
}

#[derive(Debug, Template)]
#[template(path = "pages/destroy.html")]
pub(crate) struct DestroyPage {
    frame: Frame,
    id: String,
    name: String,
    started: bool,
    destroyed: bool,
    order: Vec<&'static str>,
    cannot_undo: Vec<String>,
    checklist: Vec<Check>,
    waiting: Vec<WaitLine>,
    headline: String,
    proof: Option<ProofView>,
    took: Option<String>,
    events: Vec<EventLine>,
    twin: String,
}

#[derive(Debug, Clone)]
struct Check {
    class: &'static str,
    icon: &'static str,
    what: String,
    word: &'static str,
}

/// Latest lines of the feed beside the checklist.
const EVENTS_SHOWN: usize = 12;
/// Lines that are searched for the moment of the asking; a teardown that the cloud refused for long has more.
const EVENTS_READ: usize = 200;

impl DestroyPage {
    /// `events` newest first.
    pub(crate) fn of(around: &Around, document: &DeploymentDocument, events: &[EventDocument]) -> Self {
        let started = document.told() == Told::AtTheEnd;
        let destroyed = document.closed_at.is_some();
        let frame = Frame::new(format!("Destroy {}", document.name), "", around);
        let live = started && !destroyed;
        Self {
            frame: if live {
                frame.live(
                    format!("/deployments/{}/destroy", document.id),
                    format!("/deployments/{}/live", document.id),
                )
            } else {
                frame
            },
            id: document.id.to_string(),
            name: document.name.clone(),
            started,
            destroyed,
            order: order(document.weights.applied.canary > 0.0),
            cannot_undo: cannot_undo(document),
            checklist: if started {
                document.checklist.iter().map(Check::of).collect()
            } else {
                Vec::new()
            },
            waiting: verdict::waiting(document),
            headline: headline(document),
            proof: document.restore_proof.as_ref().map(ProofView::of),
            took: took(document, events),
            events: events.iter().take(EVENTS_SHOWN).map(EventLine::of).collect(),
            twin: format!("arya destroy {}", words::argument(&document.name)),
        }
    }
}

/// Until a look has seen that it goes, what was said before is no news of that.
fn headline(document: &DeploymentDocument) -> String {
    match document.phase {
        Phase::Draining | Phase::Destroying | Phase::Destroyed => document.headline.to_string(),
        Phase::Uploading | Phase::Provisioning | Phase::WarmingUp | Phase::Serving | Phase::Held | Phase::Failed => {
            "It will be removed. The next look at the cloud tells how far that is.".into()
        }
    }
}

impl Check {
    fn of(check: &crate::api::documents::CheckDocument) -> Self {
        let (class, icon, word) = match check.state {
            Progress::Done => ("done", "i-check", "done"),
            Progress::Now => ("now", "i-now", "now"),
            Progress::ToDo => ("", "i-todo", "to come"),
            Progress::Skipped => ("", "i-todo", "left out"),
        };
        Self {
            class,
            icon,
            what: check.what.clone(),
            word,
        }
    }
}

fn order(rule_stands: bool) -> Vec<&'static str> {
    let first = if rule_stands {
        "Our main rule is deleted: from then on production's own rule answers every user."
    } else {
        "Our main rule is already away; production's own rule answers every user."
    };
    vec![
        first,
        "The load balancer gets a moment to notice, and open requests are finished (drained).",
        "Both instances and the monitor are terminated.",
        "The target groups (sets of servers), security groups and the temporary bucket are deleted.",
        "The listener, the rule you chose and its groups are compared with the snapshot from before: the restore proof.",
    ]
}

fn cannot_undo(document: &DeploymentDocument) -> Vec<String> {
    let mut lines = vec![
        "Data that the canary wrote, jobs that it took, caches that it filled.".to_owned(),
        "What is on the instances goes with them; the end of their containers' logs, the report and the feed stay."
            .to_owned(),
    ];
    if document.harmful_stands() {
        lines.push("The verdict was harmful: look at the instances now if you want to know why.".to_owned());
    }
    lines
}

fn took(document: &DeploymentDocument, events: &[EventDocument]) -> Option<String> {
    let closed = document.closed_at?;
    let asked = events.iter().find(|event| {
        matches!(
            &event.event,
            arya_engine::Event::Changed {
                change: arya_plan::desired::Change::Destroy,
                ..
            }
        )
    })?;
    Some(words::duration(words::seconds_between(asked.at, closed)))
}
