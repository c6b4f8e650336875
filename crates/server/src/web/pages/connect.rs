//! What this server can see: its connections, the listeners behind them, and what it must be allowed.

use arya_judge::Timestamp;
use arya_plan::surroundings::MissingRight;
use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};

use crate::api::documents::{ConnectionDocument, ListenersDocument};
use crate::app::App;
use crate::auth::Caller;
use crate::web::frame::{Around, Frame};
use crate::web::html;
use crate::web::parts::rule as rule_words;
use crate::web::words;
use crate::world::{Access, PolicyText, ProfileLine};

pub(crate) async fn get(State(app): State<App>, Extension(caller): Extension<Caller>) -> Response {
    let around = Around::of(&app, Some(&caller));
    let access = access(&app).await;
    html(&ConnectPage::of(&around, &app.listeners().await, &access, app.now()))
}

/// Names in files of this user, which may lie on a slow disk.
async fn access(app: &App) -> Access {
    let world = app.world.clone();
    let read = tokio::task::spawn_blocking(move || world.access()).await;
    read.unwrap_or_else(|broken| {
        tracing::error!(error = %broken, "the profiles of this user could not be read");
        Access::default()
    })
}

#[derive(Debug, Template)]
#[template(path = "pages/connect.html")]
pub(crate) struct ConnectPage {
    frame: Frame,
    place: String,
    local: bool,
    connections: Vec<ConnectionView>,
    listeners: Vec<ListenerView>,
    policies: Vec<PolicyText>,
    profiles: Vec<ProfileLine>,
    /// A connection of the configuration file for the first profile.
    example: String,
    as_of: String,
}

#[derive(Debug, Clone)]
struct ConnectionView {
    name: String,
    /// When it was looked at.
    seen: String,
    error: Option<String>,
    facts: Vec<(&'static str, String)>,
    /// What is not allowed, a sentence each.
    missing: Vec<String>,
    /// The statements that allow it, ready to be pasted.
    statements: String,
}

#[derive(Debug, Clone)]
struct ListenerView {
    title: String,
    /// What a spec names it by.
    id: String,
    address: String,
    rules: Vec<RuleView>,
}

#[derive(Debug, Clone)]
struct RuleView {
    priority: String,
    when: String,
    then: String,
    health: String,
}

impl ConnectPage {
    pub(crate) fn of(around: &Around, listeners: &ListenersDocument, access: &Access, now: Timestamp) -> Self {
        let mut views = Vec::new();
        for balancer in &listeners.load_balancers {
            for listener in &balancer.listeners {
                views.push(ListenerView {
                    title: balancer.name.clone(),
                    id: listener.id.as_str().to_owned(),
                    address: listener.address.clone(),
                    rules: listener.rules.iter().map(RuleView::of).collect(),
                });
            }
        }
        let connection = |one: &ConnectionDocument| ConnectionView::of(one, listeners, now);
        // The local world is no connection that could be made or missed.
        let shown = listeners.connections.iter().filter(|_| !around.local);
        Self {
            frame: Frame::new("Connect", "connect", around),
            place: around.place.clone(),
            local: around.local,
            connections: shown.map(connection).collect(),
            listeners: views,
            policies: access.policies.clone(),
            example: access.profiles.first().map(example).unwrap_or_default(),
            profiles: access.profiles.clone(),
            as_of: words::clock(listeners.as_of),
        }
    }
}

fn example(profile: &ProfileLine) -> String {
    format!("connections:\n  - name: {0}\n    profile: {0}\n", profile.name)
}

impl ConnectionView {
    fn of(document: &ConnectionDocument, listeners: &ListenersDocument, now: Timestamp) -> Self {
        let balancers = listeners.load_balancers.iter();
        let names = balancers
            .filter(|one| one.connection == document.name)
            .map(|one| one.name.as_str());
        let names: Vec<&str> = names.collect();
        let missing = document.missing.as_deref().unwrap_or_default();
        let known = |value: &Option<String>| value.clone().unwrap_or_else(|| "not known yet".into());
        let sees = match (document.as_of, names.len()) {
            (None, _) => "nothing yet".into(),
            (Some(_), 0) => "no load balancer with listeners".into(),
            (Some(_), 1) => format!("one load balancer: {}", names.join(", ")),
            (Some(_), count) => format!("{count} load balancers: {}", names.join(", ")),
        };
        Self {
            name: document.name.clone(),
            seen: match document.as_of {
                Some(at) => format!("looked at {}", words::ago(at, now)),
                None if document.error.is_some() => "could not be looked at".into(),
                None => "being looked at; look again in a moment".into(),
            },
            error: document.error.clone(),
            // Of a connection that never was made nothing more is known.
            facts: if document.error.is_some() && !document.identity_is_known() {
                vec![]
            } else {
                vec![
                    ("Account", known(&document.account)),
                    ("Region", known(&document.region)),
                    ("As", known(&document.arn)),
                    ("Sees", sees),
                    ("Credentials", credentials(document, now)),
                    ("Rights", rights(document)),
                ]
            },
            missing: missing
                .iter()
                .map(|right| format!("{} — without it Arya cannot {}.", right.action, right.words))
                .collect(),
            statements: statements(missing),
        }
    }
}

fn credentials(document: &ConnectionDocument, now: Timestamp) -> String {
    match (document.credentials_end, document.identity_is_known()) {
        (_, false) => "not known yet".into(),
        (None, true) => "they renew by themselves, or do not say when they end".into(),
        (Some(end), true) if end <= now => "ended; log in again".into(),
        (Some(end), true) => {
            let left = words::duration(words::seconds_between(now, end));
            format!("end in {left}; a canary's users are taken away 15 minutes before")
        }
    }
}

fn rights(document: &ConnectionDocument) -> String {
    let unknown = match document.unknown.len() {
        0 => String::new(),
        count => format!("; of {count} more it is known only once they are needed"),
    };
    match document.missing.as_deref() {
        None => "not asked yet".into(),
        Some([]) => format!("nothing that could be asked for is missing{unknown}"),
        Some([one]) => format!("missing: {}{unknown}", one.action),
        Some(several) => format!("{} actions are missing{unknown}", several.len()),
    }
}

/// As one policy that can be attached beside what is there.
fn statements(missing: &[MissingRight]) -> String {
    let statements: Vec<&Value> = missing.iter().map(|right| &right.statement).collect();
    match statements.is_empty() {
        true => String::new(),
        false => format!("{:#}", json!({"Version": "2012-10-17", "Statement": statements})),
    }
}

impl RuleView {
    fn of(rule: &crate::api::documents::RuleDocument) -> Self {
        let health = rule
            .groups
            .iter()
            .filter_map(|group| Some(format!("{}: {} of {}", group.name, group.healthy?, group.registered?)));
        Self {
            priority: rule.priority.clone(),
            when: rule_words::when(rule),
            then: rule.then.clone(),
            health: match rule.deployment {
                Some(_) => "made by Arya".into(),
                None => health.collect::<Vec<_>>().join(", "),
            },
        }
    }
}
