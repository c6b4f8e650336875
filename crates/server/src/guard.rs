//! What every request passes before a handler sees it: the host it asked for, who asks, where it comes from; and what
//! every answer carries. It must never know what a route does.

use std::net::IpAddr;

use axum::body::HttpBody as _;
use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};

use crate::api::input::{accepts, shown};
use crate::api::problem::Problem;
use crate::app::App;
use crate::auth::{Auth, Credential};
use crate::pages::{login_address, login_ended};

/// Open without a login: liveness, the way in, and the files that the way in is made of.
const OPEN: [&str; 2] = ["/healthz", "/login"];
const OPEN_BELOW: &str = "/static/";

/// Answers with the caller known, or refuses.
pub(crate) async fn guard(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let brings_a_body = !request.body().is_end_stream();
    let in_chunks = request.headers().contains_key(header::TRANSFER_ENCODING);
    let of_api = request.uri().path().starts_with("/api/");
    let response = match admit(&app.auth, &app.settings.hosts, &mut request) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.answer(&request),
    };
    let mut response = secured(if of_api { as_problem(response) } else { response });
    // A refusal may leave the body unread. And a body in chunks may have come with a length as well, which was dropped
    // before it is seen here: a proxy that believed the length would take the rest for a request of somebody else, so
    // there must be no rest (RFC 9112, 6.1).
    if in_chunks || (brings_a_body && !response.status().is_success()) {
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Which `Host` headers are answered. On the loopback address a foreign name means that somebody's page resolved its
/// own name to us (DNS rebinding) and would read our answers as its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hosts {
    LoopbackOnly,
    Any,
}

impl Hosts {
    pub(crate) const fn of(listening: IpAddr) -> Self {
        if listening.is_loopback() {
            Self::LoopbackOnly
        } else {
            Self::Any
        }
    }

    /// Whether a request for this host is for us.
    fn answers(self, host: Option<&str>) -> bool {
        match self {
            Self::Any => true,
            Self::LoopbackOnly => host.is_some_and(is_loopback_name),
        }
    }
}

fn is_loopback_name(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        // The colons of a bare IPv6 address are inside its brackets.
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        Some(_) | None => host,
    };
    let ip = match name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(bare) => bare.parse().map(IpAddr::V6),
        None => name.parse().map(IpAddr::V4),
    };
    name.eq_ignore_ascii_case("localhost") || ip.is_ok_and(|ip| ip.is_loopback())
}

/// Why a request goes no further.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Refused {
    WrongHost { host: String },
    NoLogin,
    CrossSite,
}

fn admit(auth: &Auth, hosts: &Hosts, request: &mut Request) -> Result<(), Refused> {
    let headers = request.headers();
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok());
    // Of two hosts a proxy and we might each believe another one. A whole address in the first line counts as one.
    let several = headers.get_all(header::HOST).iter().count() > 1;
    let addressed = request.uri().authority().map(Authority::as_str);
    let other = addressed.filter(|addressed| !host.is_some_and(|host| host.eq_ignore_ascii_case(addressed)));
    if several || other.is_some() || !hosts.answers(host) {
        return Err(Refused::WrongHost {
            host: shown(other.or(host).unwrap_or_default()),
        });
    }
    let caller = auth.caller(headers);
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let path = request.uri().path();
    let open = OPEN.contains(&path) || path.starts_with(OPEN_BELOW);
    // A login that another site starts would put its victim into a session of its choosing, so that is checked too.
    let by_browser = open || caller.as_ref().is_some_and(|caller| caller.by == Credential::Session);
    if changes && by_browser && !same_site(headers, host) {
        return Err(Refused::CrossSite);
    }
    match caller {
        Some(caller) => {
            request.extensions_mut().insert(caller);
            Ok(())
        }
        None if open => Ok(()),
        None => Err(Refused::NoLogin),
    }
}

/// Whether a browser says that the request comes from our own pages. Not saying anything is not enough.
fn same_site(headers: &HeaderMap, host: Option<&str>) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    match (text(HeaderName::from_static("sec-fetch-site")), text(header::ORIGIN)) {
        (Some(site), _) => site == "same-origin",
        (None, Some(origin)) => origin.split_once("://").map(|(_, rest)| rest) == host,
        (None, None) => false,
    }
}

impl Refused {
    fn answer(self, request: &Request) -> Response {
        let page = accepts(request.headers(), "text/html");
        match self {
            Self::NoLogin if page && request.method() == Method::GET => {
                let asked = request.uri().path_and_query().map_or("/", |asked| asked.as_str());
                Redirect::to(&login_address(asked)).into_response()
            }
            Self::NoLogin if page => login_ended(request.uri().path()),
            Self::NoLogin => Problem::new(
                StatusCode::UNAUTHORIZED,
                "login",
                "This call needs a login, and the request carries none that is valid. Nothing was changed.",
            )
            .next("Send `Authorization: Bearer TOKEN` with the token printed at the start, or log in with a browser.")
            .into_response(),
            Self::CrossSite => Problem::new(
                StatusCode::FORBIDDEN,
                "cross-site",
                "The request carries a browser's session but does not come from Arya's own pages. Nothing was changed.",
            )
            .next("Use Arya's pages, or an API token instead of the cookie.")
            .into_response(),
            Self::WrongHost { host } => Problem::new(
                StatusCode::MISDIRECTED_REQUEST,
                "host",
                format!("The request is for the host `{host}`, which is not this server. Nothing was changed."),
            )
            .next("Use the address that was printed at the start, e.g. http://127.0.0.1:7070.")
            .into_response(),
        }
    }
}

/// A path or a parameter that the framework itself refuses is told as every other refusal is.
fn as_problem(response: Response) -> Response {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE);
    let plain = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain"));
    if !plain || !status.is_client_error() {
        return response;
    }
    Problem::new(
        status,
        "unreadable",
        "The address or one of its parameters cannot be read. Nothing was changed.",
    )
    .next("Correct it; /api/openapi.json describes every call.")
    .into_response()
}

/// No script or style but our own files, nobody may frame us, nothing is kept by caches unless the answer says so.
fn secured(mut response: Response) -> Response {
    const ALWAYS: [(HeaderName, &str); 4] = [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        // A report brings its own content policy, a static file its own caching.
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::COOKIE;
    use axum::body::Body;

    struct Case {
        method: Method,
        path: &'static str,
        headers: Vec<(&'static str, String)>,
    }

    fn check(case: Case, expected: Result<(), Refused>) {
        let auth = Auth::new([("good", "CI")]);
        let session = auth.login("good").unwrap();
        let mut builder = Request::builder().method(case.method).uri(case.path);
        for (name, value) in &case.headers {
            builder = builder.header(*name, value.replace("SESSION", &format!("{COOKIE}={session}")));
        }
        let mut request = builder.body(Body::empty()).unwrap();
        assert_eq!(
            admit(&auth, &Hosts::LoopbackOnly, &mut request),
            expected,
            "{:?}",
            case.headers
        );
    }

    fn with(method: Method, path: &'static str, headers: &[(&'static str, &str)]) -> Case {
        let local = [("host", "127.0.0.1:7070".to_owned())];
        let given = headers.iter().map(|(name, value)| (*name, (*value).to_owned()));
        Case {
            method,
            path,
            headers: local.into_iter().chain(given).collect(),
        }
    }

    #[test]
    fn only_liveness_and_the_way_in_are_open() {
        check(with(Method::GET, "/healthz", &[]), Ok(()));
        check(with(Method::GET, "/login", &[]), Ok(()));
        check(with(Method::GET, "/static/app.css", &[]), Ok(()));
        check(with(Method::GET, "/", &[]), Err(Refused::NoLogin));
        check(with(Method::GET, "/metrics", &[]), Err(Refused::NoLogin));
        check(with(Method::GET, "/api/openapi.json", &[]), Err(Refused::NoLogin));
        check(with(Method::GET, "/monitor/api/v1/query", &[]), Err(Refused::NoLogin));
    }

    #[test]
    fn a_token_needs_no_origin() {
        check(
            with(Method::POST, "/api/v1/plans", &[("authorization", "Bearer good")]),
            Ok(()),
        );
    }

    #[test]
    fn a_cookie_changes_something_only_from_our_own_pages() {
        let post = |extra: &[(&'static str, &str)]| {
            let mut headers = vec![("cookie", "SESSION")];
            headers.extend(extra);
            with(Method::POST, "/api/v1/plans", &headers)
        };
        check(post(&[("sec-fetch-site", "same-origin")]), Ok(()));
        check(post(&[("origin", "http://127.0.0.1:7070")]), Ok(()));
        check(post(&[]), Err(Refused::CrossSite));
        check(post(&[("sec-fetch-site", "same-site")]), Err(Refused::CrossSite));
        check(
            post(&[("sec-fetch-site", "cross-site"), ("origin", "http://127.0.0.1:7070")]),
            Err(Refused::CrossSite),
        );
        check(post(&[("origin", "http://evil.example")]), Err(Refused::CrossSite));
        check(post(&[("origin", "null")]), Err(Refused::CrossSite));
    }

    #[test]
    fn another_site_cannot_log_its_visitor_in() {
        check(
            with(Method::POST, "/login", &[("sec-fetch-site", "cross-site")]),
            Err(Refused::CrossSite),
        );
        check(
            with(Method::POST, "/login", &[("sec-fetch-site", "same-origin")]),
            Ok(()),
        );
    }

    #[test]
    fn a_whole_address_must_be_for_the_same_host() {
        let wrong = |host: &str| Err(Refused::WrongHost { host: host.to_owned() });
        check(with(Method::GET, "http://127.0.0.1:7070/healthz", &[]), Ok(()));
        check(
            with(Method::GET, "http://evil.example/healthz", &[]),
            wrong("evil.example"),
        );
        check(
            with(Method::GET, "http://127.0.0.1:7071/healthz", &[]),
            wrong("127.0.0.1:7071"),
        );
        check(
            with(Method::GET, "/healthz", &[("host", "127.0.0.1:7070")]),
            wrong("127.0.0.1:7070"),
        );
    }

    #[test]
    fn a_rebound_name_is_refused() {
        for (host, good) in [
            ("localhost", true),
            ("localhost:7070", true),
            ("[::1]:7070", true),
            ("127.0.0.1", true),
            ("LOCALHOST:1", true),
            ("127.9.9.9:7070", true),
            ("127.0.0.1@evil.example", false),
            ("evil.example@127.0.0.1", false),
            ("evil.example#127.0.0.1", false),
            ("evil.example\\127.0.0.1", false),
            ("127.0.0.1.", false),
            ("localhost.", false),
            ("2130706433", false),
            ("0x7f.1", false),
            ("0.0.0.0:7070", false),
            ("[::]:7070", false),
            ("[::1", false),
            ("::1", false),
            ("[::ffff:127.0.0.1]:7070", false),
            ("[127.0.0.1]:7070", false),
            ("127.0.0.1:7070:7070", false),
            (" 127.0.0.1", false),
            ("127.0.0.1,evil.example", false),
            ("evil.example:7070", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example:7070", false),
            ("", false),
        ] {
            assert_eq!(Hosts::LoopbackOnly.answers(Some(host)), good, "{host}");
        }
        assert!(!Hosts::LoopbackOnly.answers(None));
        assert!(Hosts::Any.answers(Some("arya.example.com")));
    }
}
