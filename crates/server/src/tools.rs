//! The monitor's tools on a listener of their own: other people's web apps, behind Arya's login, with an origin and a
//! cookie that are not Arya's, so that they cannot act as the person who looks at them.
//!
//! A page of Arya's hands over by an address that is good for seconds; from then on the browser shows a cookie that opens
//! one deployment's monitor and nothing else. It must never know what the tools say.

mod pass;
mod proxy;
mod state;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{any, get};
use serde::Deserialize;

use crate::api::input::deployment_id;
use crate::api::problem::Problem;
use crate::app::App;
use crate::auth::Caller;
use pass::Passes;
pub(crate) use state::links;
use state::offered;
#[cfg(feature = "aws")]
pub(crate) use state::{monitor, standing_monitor};

/// Where tools are shown, and who may look.
#[derive(Debug)]
pub(crate) struct Shown {
    /// Of the listener, without a slash at the end.
    pub(crate) url: String,
    passes: Passes,
}

impl Shown {
    /// # Errors
    /// The system gives no random numbers.
    pub(crate) fn at(url: String) -> Result<Self, getrandom::Error> {
        Ok(Self {
            url,
            passes: Passes::new()?,
        })
    }
}

/// What runs on a monitor behind its door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tool {
    Grafana,
    Referee,
    Prometheus,
    Kayenta,
}

impl Tool {
    pub(crate) const ALL: [Self; 4] = [Self::Prometheus, Self::Grafana, Self::Kayenta, Self::Referee];

    /// Its service in the monitor's compose file, and the first segment of its addresses.
    pub(crate) const fn service(self) -> &'static str {
        match self {
            Self::Grafana => "grafana",
            Self::Referee => "referee",
            Self::Prometheus => "prometheus",
            Self::Kayenta => "kayenta",
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Grafana => "Grafana",
            Self::Referee => "Referee",
            Self::Prometheus => "Prometheus",
            Self::Kayenta => "Kayenta",
        }
    }

    /// Where a person is sent first.
    const fn front(self) -> &'static str {
        match self {
            Self::Grafana => "/grafana/d/arya-canary/canary-vs-baseline?kiosk",
            Self::Referee => "/referee/",
            Self::Prometheus => "/prometheus/targets",
            Self::Kayenta => "/kayenta/swagger-ui/index.html",
        }
    }

    fn of(service: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.service() == service)
    }
}

/// The handing over, on Arya's own listener: needs Arya's login, changes nothing.
pub(crate) async fn hand_over(
    State(app): State<App>,
    axum::Extension(caller): axum::Extension<Caller>,
    Path((id, tool)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let id = deployment_id(&id)?;
    let tool = Tool::of(&tool).ok_or_else(|| Problem::not_found("tool of that name"))?;
    let report = app.report(&id)?;
    if let Some(why) = offered(&app, &report, tool).why {
        return Err(
            Problem::new(StatusCode::CONFLICT, "tool-off", why).next("The built-in report has the same evidence.")
        );
    }
    let Some(tools) = &app.settings.tools else {
        return Err(Problem::not_found("tools listener"));
    };
    let ticket = tools.passes.ticket(&id, &caller.name, app.now());
    let to = format!("{}/enter/{}?ticket={ticket}", tools.url, tool.service());
    Ok(Redirect::to(&to).into_response())
}

/// Everything that the tools' listener answers.
pub(crate) fn router(app: App) -> Router {
    Router::new()
        .route("/enter/{tool}", get(enter))
        .route("/{tool}/", any(proxy::forward))
        .route("/{tool}/{*rest}", any(proxy::forward))
        .fallback(async || Problem::not_found("tool at this address"))
        .layer(middleware::from_fn(walled))
        .with_state(app)
}

#[derive(Debug, Deserialize)]
struct Entering {
    ticket: String,
}

/// Exchanges what a page of Arya's handed over for the cookie.
async fn enter(
    State(app): State<App>,
    Path(tool): Path<String>,
    Query(entering): Query<Entering>,
) -> Result<Response, Problem> {
    let tool = Tool::of(&tool).ok_or_else(|| Problem::not_found("tool of that name"))?;
    let tools = app.settings.tools.as_ref();
    let cookie = tools.and_then(|tools| tools.passes.enter(&entering.ticket, app.now()));
    let Some(cookie) = cookie else {
        return Err(proxy::stranger());
    };
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(tool.front())).into_response())
}

/// Other people's programs may run scripts of their own here, show nothing in a frame of others, and send nothing elsewhere.
const POLICY: &str = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'none'; \
                      form-action 'self'; base-uri 'self'";

async fn walled(request: axum::extract::Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
