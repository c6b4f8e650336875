//! The page that matters: one deployment, its verdict, its traffic, its shares and everything that happened.

use arya_plan::spec::Digest;
use askama::Template;
use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use crate::api::documents::{DeploymentDocument, EventDocument, Told, VerdictDocument};
use crate::api::input::deployment_id;
use crate::api::problem::Problem;
use crate::app::{App, Closer};
use crate::auth::Caller;
use crate::web::error::ErrorPage;
use crate::web::fields::Fields;
use crate::web::frame::{Around, Frame};
use crate::web::html;
use crate::web::parts::facts::{self, Fact, Link};
use crate::web::parts::instance::{self, InstanceLine};
use crate::web::parts::kayenta::KayentaView;
use crate::web::parts::metric::MetricTile;
use crate::web::parts::proof::ProofView;
use crate::web::parts::rail::{self, Stop};
use crate::web::parts::share::{self, ShareForm, WeightRow};
use crate::web::parts::traffic::TrafficPicture;
use crate::web::parts::verdict::{self, Says, WaitLine};
use crate::web::tone::Chip;
use crate::web::words;

/// The feed shows this many lines, the newest; the report has them all.
const EVENTS_SHOWN: usize = 200;

pub(crate) async fn get(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Query(looks_at): Query<LooksAt>,
) -> Response {
    show(&app, &caller, &id, looks_at.metric.as_deref(), None).await
}

/// What a person wants to see closer; part of the address, so that it can be sent to others.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct LooksAt {
    metric: Option<String>,
}

/// The page, with the metric that is looked at, and what a refused change said.
async fn show(app: &App, caller: &Caller, id: &str, metric: Option<&str>, refused: Option<&Problem>) -> Response {
    let around = Around::of(app, Some(caller));
    let status = refused.map_or(StatusCode::OK, Problem::status_code);
    let said = refused.map(|problem| match &problem.next {
        Some(next) => format!("{} {next}", problem.detail),
        None => problem.detail.clone(),
    });
    match read(app, id, metric).await {
        Ok((deployment, verdict, events, closer)) => {
            let versions = Versions::of(app, &deployment).await;
            let sources = Sources {
                deployment: &deployment,
                verdict: &verdict,
                events: &events,
                versions: &versions,
                closer: closer.as_ref().map(|(name, closer)| (name.as_str(), closer)),
            };
            (status, html(&DeploymentPage::of(&around, &sources, said))).into_response()
        }
        Err(problem) => ErrorPage::answer(&around, &problem),
    }
}

type Read = (
    DeploymentDocument,
    VerdictDocument,
    Vec<EventDocument>,
    Option<(String, Closer)>,
);

async fn read(app: &App, id: &str, metric: Option<&str>) -> Result<Read, Problem> {
    let id = deployment_id(id)?;
    let events = app.latest_events(&id, EVENTS_SHOWN)?;
    let verdict = app.scored_verdict(&id).await?;
    // A name that no metric has is an old address: the page is shown without it.
    let known = metric.filter(|name| verdict.metrics.iter().any(|metric| metric.name == *name));
    let closer = match known {
        Some(name) => app.closer(&id, name).await?.map(|closer| (name.to_owned(), closer)),
        None => None,
    };
    Ok((app.deployment_with_probe(&id)?, verdict, events, closer))
}

/// After a change: back to the page, or the page with what was refused.
async fn after(app: &App, caller: &Caller, id: &str, done: Result<(), Problem>) -> Response {
    match done {
        Ok(()) => Redirect::to(&format!("/deployments/{id}")).into_response(),
        Err(problem) => show(app, caller, id, None, Some(&problem)).await,
    }
}

pub(crate) async fn weight(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    fields: Fields,
) -> Response {
    let done = deployment_id(&id).and_then(|known| {
        let (preset, written) = (fields.one("preset")?, fields.one("canary_percent")?);
        let asked = preset.or(written).unwrap_or_default();
        let percent = asked.replace(',', ".").parse::<f64>().map_err(|_| {
            let asked = crate::api::input::shown(asked);
            Problem::invalid(format!("“{asked}” is not a share. The share was left as it is."))
                .next("Write a number from 0 to 50.")
        })?;
        app.set_share(&known, percent, &caller).map(drop)
    });
    after(&app, &caller, &id, done).await
}

pub(crate) async fn overrule(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    fields: Fields,
) -> Response {
    let done = deployment_id(&id).and_then(|known| {
        let reason = fields.one("reason")?.unwrap_or_default().to_owned();
        app.overrule(&known, reason, &caller).map(drop)
    });
    after(&app, &caller, &id, done).await
}

/// A control of the local world.
pub(crate) async fn control(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path((id, control)): Path<(String, String)>,
) -> Response {
    use crate::api::controls;
    let done = match control.as_str() {
        "make-worse" => controls::make_worse(State(app.clone()), Path(id.clone()))
            .await
            .map(drop),
        "heal" => controls::heal(State(app.clone()), Path(id.clone())).await.map(drop),
        "production-deploys" => controls::production_deploys(State(app.clone())).await.map(drop),
        _ => Err(Problem::not_found("control of that name")),
    };
    after(&app, &caller, &id, done).await
}

impl Versions {
    /// Names from the uploaded archives. Files of an earlier run are named by their digest.
    pub(crate) async fn of(app: &App, deployment: &DeploymentDocument) -> Self {
        let spec = &deployment.spec;
        let images = vec![spec.baseline.image.clone(), spec.canary.image.clone()];
        let files = app.artifacts.documents(images).await;
        let name = |digest: &Digest| {
            let image = files.get(digest).and_then(|artifact| artifact.images.first());
            image.map_or_else(
                || words::short(digest.as_str()).to_owned(),
                |image| image.reference.clone(),
            )
        };
        Self {
            baseline: name(&deployment.spec.baseline.image),
            canary: name(&deployment.spec.canary.image),
        }
    }
}

/// What the page is made from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sources<'a> {
    pub(crate) deployment: &'a DeploymentDocument,
    pub(crate) verdict: &'a VerdictDocument,
    /// Newest first.
    pub(crate) events: &'a [EventDocument],
    pub(crate) versions: &'a Versions,
    /// The metric that someone looks at.
    pub(crate) closer: Option<(&'a str, &'a Closer)>,
}

/// What the two sides are called: an image's name, or its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Versions {
    pub(crate) baseline: String,
    pub(crate) canary: String,
}

#[derive(Debug, Template)]
#[template(path = "pages/deployment.html")]
pub(crate) struct DeploymentPage {
    frame: Frame,
    id: String,
    name: String,
    phase: Chip,
    versions: Versions,
    verdict: Says,
    waiting: Vec<WaitLine>,
    /// Why what is shown is older than it should be.
    cloud_error: Option<String>,
    /// What a refused change said.
    problem: Option<String>,
    rail: Vec<Stop>,
    traffic: TrafficPicture,
    weights: Vec<WeightRow>,
    share: ShareForm,
    metrics: Vec<MetricTile>,
    /// What is said where there is no metric to show.
    nothing_yet: String,
    kayenta: Option<KayentaView>,
    assumption: Option<String>,
    instances: Vec<InstanceLine>,
    events: Vec<EventLine>,
    facts: Vec<Fact>,
    links: Vec<Link>,
    curl: Option<String>,
    controls: bool,
    asks_override: bool,
    /// Being destroyed, or gone.
    leaving: bool,
    destroyed: bool,
    proof: Option<ProofView>,
    twins: Twins,
}

/// One line of the feed.
#[derive(Debug, Clone)]
pub(crate) struct EventLine {
    pub(crate) at: String,
    pub(crate) clock: String,
    pub(crate) sentence: String,
}

impl EventLine {
    pub(crate) fn of(event: &EventDocument) -> Self {
        Self {
            at: event.at.to_string(),
            clock: words::clock(event.at),
            sentence: event.sentence.clone(),
        }
    }
}

/// The command line that does what each button does.
#[derive(Debug, Clone)]
struct Twins {
    destroy: String,
    weight: String,
    override_: String,
    worse: Control,
    heal: Control,
    production: Control,
}

/// A control of the local world: it has no command of its own, so its twin is the call.
#[derive(Debug, Clone)]
struct Control {
    shown: String,
    command: String,
}

impl Twins {
    fn of(id: &str, name: &str, share: &str) -> Self {
        let name = words::argument(name);
        let control = |path: &str| Control {
            shown: format!("POST /api/v1/try/{}", path.replace(id, words::short(id))),
            command: format!(
                "curl -X POST -H \"Authorization: Bearer $ARYA_TOKEN\" \"$ARYA_SERVER/api/v1/try/{path}\""
            ),
        };
        Self {
            destroy: format!("arya destroy {name}"),
            weight: format!("arya weight {name} {share}"),
            override_: format!("arya override {name} --reason \"…\""),
            worse: control(&format!("{id}/make-worse")),
            heal: control(&format!("{id}/heal")),
            production: control("production-deploys"),
        }
    }
}

/// The tiles, with the one that someone looks at opened.
fn tiles(sources: &Sources<'_>, page: &str) -> Vec<MetricTile> {
    let metrics = &sources.verdict.metrics;
    let mut tiles = MetricTile::all(metrics, page, sources.deployment.told());
    if let Some((name, closer)) = sources.closer {
        let place = metrics.iter().position(|metric| metric.name == name);
        let tile = place.and_then(|place| tiles.iter_mut().find(|tile| tile.place == place));
        if let (Some(tile), Some(place)) = (tile, place) {
            tile.open(closer, metrics[place].margin);
        }
    }
    tiles
}

impl DeploymentPage {
    pub(crate) fn of(around: &Around, sources: &Sources<'_>, problem: Option<String>) -> Self {
        let document = sources.deployment;
        let destroyed = document.closed_at.is_some();
        let page = format!("/deployments/{}", document.id);
        let frame = Frame::new(&document.name, "", around);
        let frame = if destroyed {
            frame
        } else {
            let looks_at = sources
                .closer
                .map(|(name, _)| format!("?metric={}", words::in_address(name)));
            frame.live(
                format!("{page}{}", looks_at.unwrap_or_default()),
                format!("{page}/live"),
            )
        };
        let share = ShareForm::of(document);
        Self {
            frame,
            id: document.id.to_string(),
            name: document.name.clone(),
            phase: Chip::plain(document.phase_word),
            versions: sources.versions.clone(),
            verdict: verdict::says(document, sources.verdict),
            waiting: verdict::waiting(document),
            cloud_error: document.cloud_error.clone(),
            problem,
            rail: rail::stops(document),
            traffic: TrafficPicture::of(document),
            weights: share::rows(document),
            twins: Twins::of(&document.id.to_string(), &document.name, &share.value),
            share,
            metrics: tiles(sources, &page),
            nothing_yet: sources.verdict.sentence.clone(),
            kayenta: sources.verdict.kayenta.as_ref().map(KayentaView::of),
            assumption: sources.verdict.assumption.clone(),
            instances: document.instances.iter().map(instance::line).collect(),
            events: sources.events.iter().map(EventLine::of).collect(),
            facts: facts::facts(document),
            links: facts::links(document, around.local),
            curl: document.probe.as_ref().and_then(|probe| probe.curl.clone()),
            controls: around.local,
            asks_override: document.harmful_stands() && document.told() != Told::AtTheEnd,
            leaving: document.told() == Told::AtTheEnd,
            destroyed,
            proof: document.restore_proof.as_ref().map(ProofView::of),
        }
    }
}
