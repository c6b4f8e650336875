//! Settings: how this server was started, what it keeps, and what stands on the accounts without a deployment of its own.

use std::collections::BTreeMap;
use std::time::Duration;

use arya_engine::{EVENTS_KEPT, OPEN_MAX};
use arya_judge::Timestamp;
use arya_plan::identity::DeploymentId;
use arya_plan::timing::Timing;
use askama::Template;
use axum::Extension;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};

use crate::api::input::deployment_id;
use crate::api::problem::Problem;
use crate::app::{About, App};
use crate::artifacts::{KEPT_UNUSED, SIZE_LIMIT, TOTAL_LIMIT};
use crate::auth::Caller;
use crate::left;
use crate::standing::{Remnant, Removal, Sight, Standing};
use crate::web::error::ErrorPage;
use crate::web::frame::{Around, Frame};
use crate::web::html;
use crate::web::words;

pub(crate) async fn get(State(app): State<App>, Extension(caller): Extension<Caller>) -> Response {
    let around = Around::of(&app, Some(&caller));
    match show(&app, &around).await {
        Ok(page) => html(&page),
        Err(problem) => ErrorPage::answer(&around, &problem),
    }
}

async fn show(app: &App, around: &Around) -> Result<SettingsPage, Problem> {
    let (about, sight) = (app.about().await?, app.standing().await?);
    let shown = Shown {
        about: &about,
        tools: app.settings.tools.as_ref().map(|tools| tools.said()),
        timing: &app.settings.timing,
        sight: &sight,
        removals: &app.removals(),
    };
    Ok(SettingsPage::of(around, &shown, app.now()))
}

pub(crate) async fn remove(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Response {
    let asked = async { app.remove_remnant(deployment_id(&id)?, &caller).await };
    match asked.await {
        Ok(()) => Redirect::to("/settings#standing").into_response(),
        Err(problem) => ErrorPage::answer(&Around::of(&app, Some(&caller)), &problem),
    }
}

/// What the page is made of.
#[derive(Debug)]
pub(crate) struct Shown<'s> {
    pub(crate) about: &'s About,
    /// Where the tools are shown; `None` = nowhere.
    pub(crate) tools: Option<String>,
    pub(crate) timing: &'s Timing,
    pub(crate) sight: &'s Sight,
    pub(crate) removals: &'s BTreeMap<DeploymentId, Removal>,
}

#[derive(Debug, Template)]
#[template(path = "pages/settings.html")]
pub(crate) struct SettingsPage {
    frame: Frame,
    local: bool,
    server: Vec<(&'static str, String)>,
    connections: Vec<[String; 5]>,
    looked: String,
    /// The command that lists the same.
    sweep_twin: String,
    unlooked: Vec<String>,
    /// Where nothing was found, in words.
    bare: String,
    remnants: Vec<RemnantView>,
    gone: Vec<String>,
    kept: Vec<(&'static str, String)>,
    waits: Vec<(&'static str, String)>,
}

#[derive(Debug, Clone)]
struct RemnantView {
    id: String,
    what: String,
    place: String,
    whose: String,
    /// Whether this server may remove it.
    ours: bool,
    /// What is said of its removal.
    lines: Vec<String>,
    /// Why that ended without success.
    failed: Option<String>,
    removing: bool,
    twin: String,
}

impl SettingsPage {
    pub(crate) fn of(around: &Around, shown: &Shown<'_>, now: Timestamp) -> Self {
        let sight = shown.sight;
        let moving = shown.removals.values().any(|removal| removal.ended.is_none());
        let mut frame = Frame::new("Settings", "settings", around);
        // Without a stream of its own it asks again while something goes on.
        frame.refresh_s = moving.then_some(REFRESH_S);
        Self {
            frame,
            local: around.local,
            server: server(around, shown),
            connections: connections(shown.about),
            looked: match sight.as_of {
                Some(at) => format!("by tags, {}", words::ago(at, now)),
                None => "being looked for; look again in a moment".into(),
            },
            sweep_twin: alone(shown.about, "sweep"),
            unlooked: sight.all.iter().filter_map(unlooked).collect(),
            bare: bare(sight),
            remnants: remnants(shown),
            gone: gone(shown),
            kept: kept(shown.about),
            waits: waits(shown.timing),
        }
    }
}

/// While a removal goes on.
const REFRESH_S: u32 = 5;

fn server(around: &Around, shown: &Shown<'_>) -> Vec<(&'static str, String)> {
    let about = shown.about;
    vec![
        ("Version", env!("CARGO_PKG_VERSION").into()),
        ("Works on", around.place.clone()),
        ("Installation", about.installation.to_string()),
        (
            "Configuration",
            match (&about.config, around.local) {
                (Some(config), _) => config.display().to_string(),
                (None, true) => "none is read".into(),
                (None, false) => "no file; one connection, from the environment".into(),
            },
        ),
        ("Data directory", about.data_dir.display().to_string()),
        (
            "API token",
            match &about.token_file {
                Some(file) => format!("{}; delete it and start again for another", file.display()),
                None => "printed at the start; ends with this program".into(),
            },
        ),
        (
            "A browser's login",
            format!("lasts {}, or until this program ends", super::login::session_lasts()),
        ),
        (
            "Monitors' tools",
            match (&shown.tools, around.local) {
                (Some(where_shown), _) => where_shown.clone(),
                (None, true) => "not part of arya try".into(),
                (None, false) => "not shown; start with --tools-listen ADDRESS".into(),
            },
        ),
    ]
}

fn connections(about: &About) -> Vec<[String; 5]> {
    let line = |one: &crate::app::ConnectionLine| {
        let role = one.role.as_ref().map(|role| format!(", in the role {role}"));
        [
            one.name.clone(),
            format!("{}{}", one.profile, role.unwrap_or_default()),
            one.region.clone().unwrap_or_else(|| "the profile's".into()),
            one.endpoint.clone().unwrap_or_else(|| "AWS".into()),
            one.measured_by.into(),
        ]
    };
    about.connections.iter().map(line).collect()
}

fn bare(sight: &Sight) -> String {
    let looked = sight.all.iter().filter(|one| one.error.is_none());
    let places = looked.map(|one| format!("{} ({})", one.connection, one.place));
    places.collect::<Vec<_>>().join(", ")
}

fn unlooked(standing: &Standing) -> Option<String> {
    let error = standing.error.as_ref()?;
    Some(format!(
        "The connection {} did not show all that stands: {error}",
        standing.connection
    ))
}

fn remnants(shown: &Shown<'_>) -> Vec<RemnantView> {
    let all = shown.sight.all.iter();
    let of = |standing: &Standing| {
        let view = |one: &Remnant| remnant(standing, one, shown.about, shown.removals.get(&one.deployment));
        standing.found.iter().map(view).collect::<Vec<_>>()
    };
    all.flat_map(of).collect()
}

fn remnant(standing: &Standing, one: &Remnant, about: &About, removal: Option<&Removal>) -> RemnantView {
    let id = one.deployment.to_string();
    let is_ours = one.installation == about.installation;
    RemnantView {
        what: one
            .places
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", "),
        place: format!("{} ({})", standing.place, standing.connection),
        whose: if is_ours {
            "This installation made it, and no open deployment needs it.".into()
        } else {
            format!(
                "Made by the installation {}; its server may look after it.",
                one.installation
            )
        },
        ours: is_ours,
        lines: removal.map_or_else(Vec::new, |removal| removal.lines.clone()),
        failed: removal.and_then(|removal| removal.ended.clone()?.err()),
        removing: removal.is_some_and(|removal| removal.ended.is_none()),
        twin: alone(about, &format!("destroy {id}")),
        id,
    }
}

/// A command that needs no server, as it works on this one's accounts.
fn alone(about: &About, command: &str) -> String {
    match &about.config {
        Some(config) => format!(
            "arya {command} --config {}",
            words::argument(&config.display().to_string())
        ),
        None => format!("arya {command}"),
    }
}

/// What was removed here and stands no more.
fn gone(shown: &Shown<'_>) -> Vec<String> {
    let stands = |id: &DeploymentId| {
        shown
            .sight
            .all
            .iter()
            .any(|one| one.found.iter().any(|f| f.deployment == *id))
    };
    let ended = shown
        .removals
        .iter()
        .filter(|(_, removal)| removal.ended == Some(Ok(())));
    ended
        .filter(|(id, _)| !stands(id))
        .map(|(id, _)| id.to_string())
        .collect()
}

fn kept(about: &About) -> Vec<(&'static str, String)> {
    let days = KEPT_UNUSED.as_secs() / 86_400;
    vec![
        (
            "Deployments",
            format!(
                "{} open, at most {OPEN_MAX}; past ones stay with report and evidence",
                about.open
            ),
        ),
        (
            "Feed of each",
            format!("the newest {} events", words::count(EVENTS_KEPT as f64)),
        ),
        ("Database", words::size(about.database_bytes)),
        (
            "Uploaded files",
            format!(
                "{} of at most {}",
                words::size(about.files_bytes),
                words::size(TOTAL_LIMIT)
            ),
        ),
        ("One file", format!("at most {}", words::size(SIZE_LIMIT))),
        (
            "A file that nobody needs",
            format!("is removed {days} days after its last use"),
        ),
        (
            "Logs and recordings of past deployments",
            format!("at most {}; the oldest go first", words::size(left::TOTAL_MAX)),
        ),
    ]
}

fn waits(timing: &Timing) -> Vec<(&'static str, String)> {
    let said = |time: Duration| match time.as_millis() {
        0 => "none".into(),
        ms @ 1..1000 => format!("{ms} ms"),
        _ => words::duration(time.as_secs_f64()),
    };
    vec![
        (
            "Looks while something moves",
            format!("every {}", said(timing.look_moving)),
        ),
        ("Looks while it serves", format!("every {}", said(timing.look_steady))),
        ("After our rule went, before targets go", said(timing.settle)),
        ("Between two looks that prove it is gone", said(timing.listing_lag)),
        (
            "Draining",
            format!("as production's, at most {}", said(timing.drain_at_most)),
        ),
        ("Uploads", format!("at most {}", said(timing.uploads_at_most))),
        ("An instance's boot", format!("at most {}", said(timing.boot_at_most))),
        (
            "Until targets are healthy",
            format!("at most {}", said(timing.healthy_at_most)),
        ),
    ]
}
