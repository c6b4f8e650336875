//! One request on its way to a tool and its answer back, without what is Arya's.

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::pass::{COOKIE, Pass};
use super::{Tool, offered, plain};
use crate::api::problem::Problem;
use crate::app::App;
use crate::auth;

/// Who looks, as Grafana signs people in; only this server can say it, since only it gets through the door.
const USER: HeaderName = HeaderName::from_static("x-arya-user");

/// Of one connection only (RFC 9110, 7.6.1), or ours: a tool never sees how a person logged in.
const KEPT_BACK: [HeaderName; 10] = [
    header::CONNECTION,
    header::UPGRADE,
    header::TRANSFER_ENCODING,
    header::TE,
    header::TRAILER,
    header::PROXY_AUTHORIZATION,
    header::PROXY_AUTHENTICATE,
    header::AUTHORIZATION,
    header::HOST,
    USER,
];

pub(super) async fn forward(State(app): State<App>, ToolPath(tool): ToolPath, request: Request) -> Response {
    forwarded(&app, tool, request).await.unwrap_or_else(plain)
}

pub(super) async fn forward_to_referee(State(app): State<App>, request: Request) -> Response {
    let tool = Some(Tool::Referee);
    forwarded(&app, tool, request).await.unwrap_or_else(plain)
}

async fn forwarded(app: &App, tool: Option<Tool>, request: Request) -> Result<Response, Problem> {
    let tool = tool.ok_or_else(|| Problem::not_found("tool at this address"))?;
    let passes = app.settings.tools.as_ref().map(|tools| &tools.passes);
    let pass = passes.and_then(|passes| passes.shown(request.headers(), app.now()));
    let pass = pass.ok_or_else(stranger)?;
    let report = app.report(&pass.deployment)?;
    if let Some(why) = offered(app, &report, tool).why {
        return Err(gone(why));
    }
    let door = app.world.door(&report);
    let door = door.ok_or_else(|| {
        gone(format!(
            "{} cannot be shown: its monitor has not told its key yet.",
            tool.name()
        ))
    })?;
    let asked = asked(request, &pass).map_err(|_| Problem::invalid("The address cannot be passed on.".to_owned()))?;
    let answer = door.ask(asked).await;
    let answer = answer.map_err(|error| gone(format!("{} cannot be shown: the monitor {error}.", tool.name())))?;
    Ok(told(answer.map(Body::new)))
}

/// The first segment of the address.
pub(super) struct ToolPath(Option<Tool>);

impl<S: Send + Sync> axum::extract::FromRequestParts<S> for ToolPath {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut axum::http::request::Parts, state: &S) -> Result<Self, Self::Rejection> {
        let segments = Path::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let first = segments.ok().and_then(|Path(segments)| segments.into_iter().next());
        Ok(Self(first.and_then(|(_, segment)| Tool::at(&segment))))
    }
}

pub(super) fn stranger() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "tools-login",
        "This address shows the tools of one deployment to whoever comes from its page. Nothing was asked of them.",
    )
    .next("Open the tool from the deployment's page.")
}

fn gone(why: String) -> Problem {
    Problem::new(StatusCode::BAD_GATEWAY, "tool-off", why)
        .next("Open it again from the deployment's page, or read the report.")
}

fn asked(request: Request, pass: &Pass) -> Result<hyper::Request<Body>, axum::http::Error> {
    let (parts, body) = request.into_parts();
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let mut asked = hyper::Request::builder().method(parts.method).uri(target).body(body)?;
    *asked.headers_mut() = passed_on(parts.headers);
    let user = HeaderValue::from_str(&pass.user).unwrap_or(HeaderValue::from_static("unnamed"));
    asked.headers_mut().insert(USER, user);
    Ok(asked)
}

fn passed_on(mut headers: HeaderMap) -> HeaderMap {
    for name in KEPT_BACK {
        headers.remove(name);
    }
    let ours = |pair: &&str| {
        let name = pair.split('=').next().unwrap_or_default().trim();
        name != COOKIE && name != auth::COOKIE
    };
    let theirs: Vec<String> = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| {
            value
                .split(';')
                .filter(ours)
                .map(|pair| pair.trim().to_owned())
                .collect::<Vec<_>>()
        })
        .collect();
    headers.remove(header::COOKIE);
    if let Ok(cookies) = HeaderValue::from_str(&theirs.join("; "))
        && !theirs.is_empty()
    {
        headers.insert(header::COOKIE, cookies);
    }
    headers
}

/// The answer, less what concerns one connection, and less a cookie that would take the place of one of ours.
fn told(answer: Response) -> Response {
    let (mut parts, body) = answer.into_parts();
    for name in KEPT_BACK {
        parts.headers.remove(name);
    }
    let cookies: Vec<HeaderValue> = parts.headers.get_all(header::SET_COOKIE).iter().cloned().collect();
    parts.headers.remove(header::SET_COOKIE);
    for cookie in cookies {
        let name = cookie
            .to_str()
            .unwrap_or_default()
            .split('=')
            .next()
            .unwrap_or_default()
            .trim();
        if !name.is_empty() && name != COOKIE && name != auth::COOKIE {
            parts.headers.append(header::SET_COOKIE, cookie);
        }
    }
    Response::from_parts(parts, body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_sees_no_login_of_ours_and_sets_none() {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::COOKIE,
            "arya_session=s; grafana=1; arya_tools=t".parse().unwrap(),
        );
        headers.insert(header::AUTHORIZATION, "Bearer token".parse().unwrap());
        headers.insert(USER, "admin".parse().unwrap());
        headers.insert(header::ACCEPT, "text/html".parse().unwrap());
        let passed = passed_on(headers);
        assert_eq!(passed[header::COOKIE], "grafana=1");
        assert_eq!(passed.len(), 2, "{passed:?}");

        let answer = Response::builder()
            .header(header::SET_COOKIE, "arya_session=mine; Path=/")
            .header(header::SET_COOKIE, "grafana=2")
            .header(header::CONNECTION, "keep-alive")
            .body(Body::empty())
            .unwrap();
        let told = told(answer);
        let cookies: Vec<_> = told.headers().get_all(header::SET_COOKIE).iter().collect();
        assert_eq!(cookies, ["grafana=2"]);
        assert!(!told.headers().contains_key(header::CONNECTION));
    }
}
