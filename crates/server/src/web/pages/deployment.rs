//! The page that matters: one deployment, its verdict, its traffic, its shares and everything that happened.

use askama::Template;

use crate::api::documents::{DeploymentDocument, EventDocument, VerdictDocument};
use crate::web::frame::{Around, Frame};
use crate::web::parts::facts::{self, Fact, Link};
use crate::web::parts::instance::{self, InstanceLine};
use crate::web::parts::metric::MetricTile;
use crate::web::parts::rail::{self, Stop};
use crate::web::parts::share::{self, ShareForm, WeightRow};
use crate::web::parts::traffic::TrafficPicture;
use crate::web::parts::verdict::{self, Says, WaitLine};
use crate::web::tone::Chip;
use crate::web::words;

/// What the page is made from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sources<'a> {
    pub(crate) deployment: &'a DeploymentDocument,
    pub(crate) verdict: &'a VerdictDocument,
    /// Newest first.
    pub(crate) events: &'a [EventDocument],
    pub(crate) versions: &'a Versions,
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
    /// What a refused change said.
    problem: Option<String>,
    rail: Vec<Stop>,
    traffic: TrafficPicture,
    weights: Vec<WeightRow>,
    share: ShareForm,
    metrics: Vec<MetricTile>,
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
        Self { at: event.at.to_string(), clock: words::clock(event.at), sentence: event.sentence.clone() }
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
    fn of(name: &str, share: &str) -> Self {
        let name = words::argument(name);
        let control = |path: &str| Control {
            shown: format!("POST /api/v1/try/{path}"),
            command: format!("curl -X POST -H \"Authorization: Bearer $ARYA_TOKEN\" \"$ARYA_SERVER/api/v1/try/{path}\""),
        };
        Self {
            destroy: format!("arya destroy {name}"),
            weight: format!("arya weight {name} {share}"),
            override_: format!("arya override {name} --reason \"…\""),
            worse: control(&format!("{name}/make-worse")),
            heal: control(&format!("{name}/heal")),
            production: control("production-deploys"),
        }
    }
}

impl DeploymentPage {
    pub(crate) fn of(around: &Around, sources: &Sources<'_>, problem: Option<String>) -> Self {
        let document = sources.deployment;
        let destroyed = document.closed_at.is_some();
        let frame = Frame::new(&document.name, "", around);
        let frame = if destroyed { frame } else { frame.live(format!("/deployments/{}/live", document.id)) };
        let share = ShareForm::of(document);
        Self {
            frame,
            id: document.id.to_string(),
            name: document.name.clone(),
            phase: Chip::plain(document.phase_word),
            versions: sources.versions.clone(),
            verdict: verdict::says(document, sources.verdict),
            waiting: verdict::waiting(document),
            problem,
            rail: rail::stops(document),
            traffic: TrafficPicture::of(document),
            weights: share::rows(document),
            twins: Twins::of(&document.name, &share.value),
            share,
            metrics: sources.verdict.metrics.iter().map(MetricTile::of).collect(),
            assumption: sources.verdict.assumption.clone(),
            instances: document.instances.iter().map(instance::line).collect(),
            events: sources.events.iter().map(EventLine::of).collect(),
            facts: facts::facts(document),
            links: facts::links(document, around.local),
            curl: document.probe.curl.clone(),
            controls: around.local,
            asks_override: document.harmful_stands() && document.goal == "serve",
            leaving: document.goal == "absent",
            destroyed,
        }
    }
}
