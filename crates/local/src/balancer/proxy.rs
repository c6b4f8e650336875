//! From a request's head to its answer: rule, group, target, and the way there and back.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use arya_plan::listener::matching::{RequestFacts, choose_group};
use arya_plan::listener::{Action, Forward, Rule};
use http::header::{self, HeaderMap, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Request, Response, Uri, Version};
use hyper::body::Incoming;

use super::Shared;
use super::body::{ReplyBody, RequestBody};
use super::client::{Client, Upload};
use super::exchange::{Exchange, head_bytes};
use super::head::{check_head, host, without_port};
use super::headers::{remove_one_hop, trace, wants_upgrade};
use super::replies::{Asked, OwnReply, Refusal, fixed, redirect};
use super::settings::MAX_RESPONSE_HEADER_BYTES;
use super::table::Route;
use super::target::{Endpoint, InFlight, TargetConnection, Unanswered};
use super::upgrade::pass_upgrade;

/// Answers one request. Never fails: what goes wrong becomes a response.
pub(super) async fn answer(
    shared: Arc<Shared>,
    client: Arc<Client>,
    mut request: Request<Incoming>,
) -> Result<Response<ReplyBody>, Infallible> {
    let seen = client.begin();
    let mut exchange = Exchange::new(&shared, &client, &request);
    let host = match check_head(&shared, &request, seen).and_then(|()| host(&request)) {
        Ok(host) => host,
        Err(refusal) => return Ok(refuse(refusal, exchange)),
    };
    let (entered, sticky) = match choose(&shared, &client, &request, &host, &mut exchange) {
        Deed::Forward(entered, sticky) => (entered, sticky),
        Deed::Reply(reply) => return Ok(own(*reply, exchange)),
        Deed::Refuse(refusal) => return Ok(refuse(refusal, exchange)),
    };
    let upgrades = wants_upgrade(request.headers());
    towards_target(&client, &mut request, &host, &mut exchange);
    let mut response = if upgrades {
        pass_upgrade(&shared, &client, entered, request, exchange).await
    } else {
        pass(&shared, &client, entered, request, exchange).await
    };
    for cookie in sticky.into_iter().flatten() {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// What a request gets: a target that it has entered, with the cookies of a sticky rule; or an answer of our own.
enum Deed {
    Forward(InFlight, Option<[HeaderValue; 2]>),
    Reply(Box<OwnReply>),
    Refuse(Refusal),
}

fn choose(
    shared: &Shared,
    client: &Client,
    request: &Request<Incoming>,
    host: &HeaderValue,
    exchange: &mut Exchange,
) -> Deed {
    // A change can take a group out of use while a request stands between its rule and its target. Then the rules are
    // newer than the ones it looked at, and it looks again; once for each change in that instant.
    const LOOKS: usize = 4;
    for look in 1.. {
        let (version, route) = route(shared, client, request, host);
        let Some(route) = route else {
            return Deed::Refuse(Refusal::NoRule);
        };
        exchange.set_route(&route);
        let forward = match own_answer(&route.rule, shared, host, request.uri()) {
            Ok(forward) => forward,
            Err(deed) => return deed,
        };
        let cookie = forward
            .stickiness_s
            .and_then(|_| shared.cookies.group(request.headers(), exchange.at));
        let chosen = choose_group(forward, cookie.as_ref(), client.chance.draw());
        let Some(group) = chosen.and_then(|id| route.groups.get(id)) else {
            return Deed::Refuse(Refusal::NoWeight);
        };
        exchange.set_group(group);
        if let Some(entered) = group.enter() {
            let sticky = forward
                .stickiness_s
                .map(|seconds| shared.cookies.set(&group.id, seconds, exchange.at));
            return Deed::Forward(entered, sticky);
        }
        if look == LOOKS || shared.table.load().version() == version {
            break;
        }
    }
    Deed::Refuse(Refusal::NoTarget)
}

pub(super) fn refuse(refusal: Refusal, mut exchange: Exchange) -> Response<ReplyBody> {
    exchange.refused(refusal);
    own(refusal.reply(), exchange)
}

fn own(reply: OwnReply, mut exchange: Exchange) -> Response<ReplyBody> {
    let (parts, body) = reply.into_parts();
    exchange.answered(parts.status, &parts.headers, false);
    Response::from_parts(parts, ReplyBody::own(body, exchange))
}

/// The route by the rules of now, with their version.
fn route(
    shared: &Shared,
    client: &Client,
    request: &Request<Incoming>,
    host: &HeaderValue,
) -> (u64, Option<Arc<Route>>) {
    let table = shared.table.load();
    let headers: Vec<(&str, &str)> = if table.looks_at_headers {
        let readable = |(name, value)| -> Option<(&str, &str)> {
            let (name, value): (&header::HeaderName, &HeaderValue) = (name, value);
            Some((name.as_str(), value.to_str().ok()?))
        };
        request.headers().iter().filter_map(readable).collect()
    } else {
        Vec::new()
    };
    let facts = RequestFacts {
        method: request.method().as_str(),
        host: without_port(host.to_str().unwrap_or("")),
        path: request.uri().path(),
        query: request.uri().query().unwrap_or(""),
        headers: &headers,
        source_ip: client.peer.ip().to_canonical(),
    };
    (table.version(), table.find(&facts).cloned())
}

/// The rule's forward, or what it answers itself.
fn own_answer<'r>(rule: &'r Rule, shared: &Shared, host: &HeaderValue, uri: &Uri) -> Result<&'r Forward, Deed> {
    // An action before the last one authenticates. To skip it would open what it protects.
    if rule.actions.len() > 1 || !rule.transforms.is_empty() {
        return Err(Deed::Refuse(Refusal::ActionNotSupported));
    }
    Err(match rule.actions.first() {
        Some(Action::Forward(forward)) => return Ok(forward),
        Some(Action::FixedResponse {
            status,
            content_type,
            body,
        }) => Deed::Reply(Box::new(fixed(*status, content_type, body))),
        Some(Action::Redirect { verbatim }) => {
            let host = without_port(host.to_str().unwrap_or(""));
            {
                let asked = Asked {
                    host,
                    port: shared.address.port(),
                    uri,
                };
                Deed::Reply(Box::new(redirect(verbatim, &asked)))
            }
        }
        Some(Action::AuthenticateCognito { .. } | Action::AuthenticateOidc { .. } | Action::JwtValidation { .. }) => {
            Deed::Refuse(Refusal::ActionNotSupported)
        }
        None => Deed::Refuse(Refusal::NoRule),
    })
}

/// Makes the request one of ours: its own framing, where it came from, and its trace.
fn towards_target(client: &Client, request: &mut Request<Incoming>, host: &HeaderValue, exchange: &mut Exchange) {
    if request.uri().authority().is_some() {
        // The path of `http://a#part` is read as `/` and would be written as nothing.
        let path = request
            .uri()
            .path_and_query()
            .filter(|path| path.as_str() != "/")
            .cloned();
        *request.uri_mut() = path.unwrap_or_else(|| PathAndQuery::from_static("/")).into();
        request.headers_mut().insert(header::HOST, host.clone());
    }
    *request.version_mut() = Version::HTTP_11;
    let upgrade = wants_upgrade(request.headers())
        .then(|| request.headers().get(header::UPGRADE).cloned())
        .flatten();
    let headers = request.headers_mut();
    let in_chunks = headers.contains_key(header::TRANSFER_ENCODING);
    remove_one_hop(headers);
    if in_chunks {
        // Told nothing, the HTTP library drops the body of a GET whose length it does not know.
        headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    // Answered here, by the HTTP library, as soon as the target's side asks for the body.
    headers.remove(header::EXPECT);
    headers.entry(header::HOST).or_insert_with(|| host.clone());
    client.headers.add_to(headers);
    if let Some(protocol) = upgrade {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, protocol);
    }
    exchange.set_trace(trace(
        headers,
        exchange.at,
        [client.chance.next(), client.chance.next()],
    ));
}

async fn pass(
    shared: &Shared,
    client: &Arc<Client>,
    entered: InFlight,
    request: Request<Incoming>,
    mut exchange: Exchange,
) -> Response<ReplyBody> {
    let endpoint = Arc::clone(entered.endpoint());
    exchange.set_target(entered);
    let is_head = *request.method() == Method::HEAD;
    let request = request.map(|body| RequestBody::new(body, Arc::clone(client)));
    match unless_late(client, ask(shared, client, &endpoint, request)).await {
        Ok((response, connection)) => {
            let (mut parts, body) = response.into_parts();
            if head_bytes(0, &parts.headers) > MAX_RESPONSE_HEADER_BYTES as u64 {
                return refuse(Refusal::TargetHeadTooLarge, exchange);
            }
            towards_client(&mut parts.headers, is_head);
            exchange.answered(parts.status, &parts.headers, true);
            // The client's side is framed by the HTTP library, by the client's own version.
            parts.version = Version::HTTP_11;
            Response::from_parts(parts, ReplyBody::of_target(body, Some(connection), exchange))
        }
        Err(refusal) => blame(client, refusal, exchange),
    }
}

/// The refusal of a request that got no answer: a body that did not come in whole is the client's fault, not the target's.
pub(super) fn blame(client: &Client, refusal: Refusal, exchange: Exchange) -> Response<ReplyBody> {
    match client.upload() {
        Upload::Whole => refuse(refusal, exchange),
        Upload::Malformed => refuse(Refusal::BadBody, exchange),
        Upload::Cut => {
            let mut response = refuse(Refusal::CutBody, exchange);
            response.body_mut().unheard();
            response
        }
    }
}

pub(super) fn towards_client(headers: &mut HeaderMap, is_head: bool) {
    // A length beside chunks is not the length (RFC 9112 §6.3); for HEAD it is only told.
    if headers.contains_key(header::TRANSFER_ENCODING) && !is_head {
        headers.remove(header::CONTENT_LENGTH);
    }
    remove_one_hop(headers);
}

/// Ends a wait once the client's connection says that it took too long.
pub(super) async fn unless_late<T>(
    client: &Client,
    waiting: impl Future<Output = Result<T, Refusal>>,
) -> Result<T, Refusal> {
    let mut waiting = pin!(waiting);
    poll_fn(|cx| match waiting.as_mut().poll(cx) {
        Poll::Pending if client.is_late() && client.upload_waits() => Poll::Ready(Err(Refusal::ClientTooSlow)),
        Poll::Pending if client.is_late() => Poll::Ready(Err(Refusal::TargetTimedOut)),
        other => other,
    })
    .await
}

/// What may be sent twice: a target that closed an idle connection may have read the first copy, so only methods that
/// RFC 9110 §9.2.2 calls idempotent, and only without a body.
fn copy(request: &Request<RequestBody>, client: &Arc<Client>) -> Option<Request<RequestBody>> {
    let idempotent = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE
    );
    if !idempotent || !request.body().is_none() {
        return None;
    }
    let mut copy = Request::new(RequestBody::none(Arc::clone(client)));
    copy.method_mut().clone_from(request.method());
    copy.uri_mut().clone_from(request.uri());
    copy.headers_mut().clone_from(request.headers());
    Some(copy)
}

type Answered = (Response<Incoming>, Box<TargetConnection>);

/// Asks on a kept connection if there is one; if the target had closed that one, once more on a new one.
async fn ask(
    shared: &Shared,
    client: &Arc<Client>,
    endpoint: &Endpoint,
    mut request: Request<RequestBody>,
) -> Result<Answered, Refusal> {
    if let Some(mut kept) = endpoint.take_idle(shared.settings.pool_idle) {
        let copy = copy(&request, client);
        match kept.ask(request).await {
            Ok(response) => return Ok((response, kept)),
            Err(Unanswered { unsent }) => request = unsent.or(copy).ok_or(Refusal::TargetBroke)?,
        }
    }
    let mut fresh = open(shared, endpoint).await?;
    match fresh.ask(request).await {
        Ok(response) => Ok((response, fresh)),
        Err(Unanswered { .. }) => Err(Refusal::TargetBroke),
    }
}

pub(super) async fn open(shared: &Shared, endpoint: &Endpoint) -> Result<Box<TargetConnection>, Refusal> {
    let opened = TargetConnection::open(&endpoint.target, shared.settings.connect_timeout).await;
    opened.map_err(|error| match error.kind() {
        io::ErrorKind::TimedOut => Refusal::TargetTimedOut,
        _ => Refusal::CannotConnect,
    })
}
