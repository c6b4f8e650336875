//! The monitor's tools on a listener of their own: other people's web apps, behind Arya's login, with an origin and a
//! cookie that are not Arya's, so that they cannot act as the person who looks at them.
//!
//! A page of Arya's hands over by an address that is good for seconds; from then on the browser shows a cookie that opens
//! one deployment's monitor and nothing else. It must never know what the tools say.

mod pass;
mod place;
mod proxy;
mod state;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{any, get, post};
use serde::Deserialize;

use crate::api::input::deployment_id;
use crate::api::problem::Problem;
use crate::app::App;
use crate::auth::Caller;
use crate::web::{Around, ErrorPage};
use pass::Passes;
pub(crate) use place::{Place, ToolsUrl};
pub(crate) use state::links;
use state::offered;
#[cfg(feature = "aws")]
pub(crate) use state::{monitor, standing_monitor};

/// Where tools are shown, and who may look.
#[derive(Debug)]
pub(crate) struct Shown {
    place: Place,
    passes: Passes,
}

impl Shown {
    /// # Errors
    /// The system gives no random numbers.
    pub(crate) fn at(place: Place) -> Result<Self, getrandom::Error> {
        Ok(Self {
            place,
            passes: Passes::new()?,
        })
    }
}

impl Shown {
    /// Where it is, in words.
    pub(crate) fn said(&self) -> String {
        self.place.to_string()
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
            Self::Referee => "/dashboard/",
            Self::Prometheus => "/prometheus/targets",
            Self::Kayenta => "/kayenta/swagger-ui/index.html",
        }
    }

    fn of(service: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.service() == service)
    }

    /// Whose address it is by its first segment: that of the tool's name, but for Referee, whose pages know only theirs.
    fn at(segment: &str) -> Option<Self> {
        match segment {
            "dashboard" => Some(Self::Referee),
            _ => Self::of(segment).filter(|tool| *tool != Self::Referee),
        }
    }
}

/// The handing over, on Arya's own listener: needs Arya's login, changes nothing.
pub(crate) async fn hand_over(
    State(app): State<App>,
    axum::Extension(caller): axum::Extension<Caller>,
    headers: HeaderMap,
    Path((id, tool)): Path<(String, String)>,
) -> Response {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    match handed_over(&app, &caller, host, (&id, &tool)) {
        Ok(to) => Redirect::to(&to).into_response(),
        Err(problem) => ErrorPage::answer(&Around::of(&app, Some(&caller)), &problem),
    }
}

/// The address on the tools' listener, good for seconds.
fn handed_over(app: &App, caller: &Caller, host: Option<&str>, (id, tool): (&str, &str)) -> Result<String, Problem> {
    let id = deployment_id(id)?;
    let tool = Tool::of(tool).ok_or_else(|| Problem::not_found("tool of that name"))?;
    let report = app.report(&id)?;
    if let Some(why) = offered(app, &report, tool).why {
        return Err(
            Problem::new(StatusCode::CONFLICT, "tool-off", why).next("The built-in report has the same evidence.")
        );
    }
    let Some(tools) = &app.settings.tools else {
        return Err(Problem::not_found("tools listener"));
    };
    let ticket = tools.passes.ticket(&id, &caller.name, app.now());
    let place = tools.place.for_who_asked(host).ok_or_else(nowhere)?;
    Ok(format!("{place}/enter/{}?ticket={ticket}", tool.service()))
}

fn nowhere() -> Problem {
    let why = "The tools listen on this server's loopback address, which a browser elsewhere cannot reach. Nothing was asked \
               of them.";
    Problem::new(StatusCode::CONFLICT, "tools-address", why).next(
        "Start the server with --tools-url and the address by which the proxy in front of it is reached, or let \
         --tools-listen name an address of the network.",
    )
}

/// Everything that the tools' listener answers.
pub(crate) fn router(app: App) -> Router {
    Router::new()
        .route("/enter/{tool}", get(enter))
        // Referee counts clicks there, and says so in the browser's console where nobody answers.
        .route("/metrics", post(proxy::forward_to_referee))
        .route("/{tool}/", any(proxy::forward))
        .route("/{tool}/{*rest}", any(proxy::forward))
        .fallback(async || plain(Problem::not_found("tool at this address")))
        .layer(middleware::from_fn(walled))
        .with_state(app)
}

#[derive(Debug, Deserialize)]
struct Entering {
    ticket: String,
}

/// Exchanges what a page of Arya's handed over for the cookie.
async fn enter(State(app): State<App>, Path(tool): Path<String>, Query(entering): Query<Entering>) -> Response {
    entered(&app, &tool, &entering.ticket).unwrap_or_else(plain)
}

fn entered(app: &App, tool: &str, ticket: &str) -> Result<Response, Problem> {
    let tool = Tool::of(tool).ok_or_else(|| Problem::not_found("tool of that name"))?;
    let tools = app.settings.tools.as_ref();
    let cookie = tools.and_then(|tools| tools.passes.enter(ticket, app.now()));
    let (Some(tools), Some(mut cookie)) = (tools, cookie) else {
        return Err(proxy::stranger());
    };
    if tools.place.is_https() {
        cookie.push_str("; Secure");
    }
    let front = tool.front();
    // Not a redirect: where Arya's pages are another site, the browser sends the cookie only with what a page here begins.
    let page = format!(
        "<!doctype html><meta http-equiv=\"refresh\" content=\"0; url={front}\"><a href=\"{front}\">Open the tool</a>"
    );
    Ok(([(header::SET_COOKIE, cookie)], Html(page)).into_response())
}

/// What a person reads where there are no pages of ours.
fn plain(problem: Problem) -> Response {
    // Whoever looks at tools in a browser has no use for the API's list of calls.
    let next = problem.next.as_deref().filter(|next| !next.contains("/api/"));
    let next = next.unwrap_or("Open the tool from the deployment's page.");
    (problem.status_code(), format!("{}\n\n{next}\n", problem.detail)).into_response()
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
