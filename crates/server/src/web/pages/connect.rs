//! What this server can see: its connection and the listeners behind it.

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;

use crate::api::documents::ListenersDocument;
use crate::app::App;
use crate::auth::Caller;
use crate::web::error::ErrorPage;
use crate::web::frame::{Around, Frame};
use crate::web::html;
use crate::web::parts::rule as rule_words;
use crate::web::words;

pub(crate) async fn get(State(app): State<App>, Extension(caller): Extension<Caller>) -> Response {
    let around = Around::of(&app, Some(&caller));
    match app.listeners().await {
        Ok(listeners) => html(&ConnectPage::of(&around, &listeners)),
        Err(problem) => ErrorPage::answer(&around, &problem),
    }
}

#[derive(Debug, Template)]
#[template(path = "pages/connect.html")]
pub(crate) struct ConnectPage {
    frame: Frame,
    place: String,
    local: bool,
    listeners: Vec<ListenerView>,
    as_of: String,
}

#[derive(Debug, Clone)]
struct ListenerView {
    title: String,
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
    pub(crate) fn of(around: &Around, listeners: &ListenersDocument) -> Self {
        let mut views = Vec::new();
        for balancer in &listeners.load_balancers {
            for listener in &balancer.listeners {
                views.push(ListenerView {
                    title: format!("{} · {}", balancer.name, listener.id),
                    address: listener.address.clone(),
                    rules: listener.rules.iter().map(RuleView::of).collect(),
                });
            }
        }
        Self {
            frame: Frame::new("Connect", "connect", around),
            place: around.place.clone(),
            local: around.local,
            listeners: views,
            as_of: words::clock(listeners.as_of),
        }
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
