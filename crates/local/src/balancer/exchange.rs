//! One request with its answer, and what is written down of it when it is over.
//!
//! The record is made when the exchange is dropped, so that every request is counted once, however it ended.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arya_plan::listener::Priority;
use http::{HeaderMap, HeaderValue, Request, Version, header};
use jiff::Timestamp;

use super::Shared;
use super::access_log::{Entry, Sizes, Times};
use super::client::Client;
use super::measured::Served;
use super::replies::Refusal;
use super::table::{Group, Route};
use super::target::{InFlight, TargetConnection};
use crate::clock::clock;

/// What AWS writes when the client closed before it could be answered.
const CLIENT_CLOSED: u16 = 460;

#[derive(Debug)]
pub(super) struct Exchange {
    shared: Arc<Shared>,
    client: Arc<Client>,
    pub(super) at: Timestamp,
    started: Instant,
    asked_target_after: Option<Duration>,
    answered_after: Option<Duration>,
    head_bytes: u64,
    sent_bytes: u64,
    elb_status: Option<u16>,
    target_status: Option<u16>,
    target_connection_error: bool,
    refusal: Option<Refusal>,
    route: Option<Arc<Route>>,
    group: Option<Arc<Group>>,
    target: Option<InFlight>,
    written: Option<Box<Written>>,
}

/// What only the access log wants of a request, kept as text since the request itself goes to the target.
#[derive(Debug)]
struct Written {
    line: String,
    user_agent: Option<HeaderValue>,
    host: Option<HeaderValue>,
    trace: Option<HeaderValue>,
    redirect: Option<HeaderValue>,
}

impl Exchange {
    pub(super) fn new<B>(shared: &Arc<Shared>, client: &Arc<Client>, request: &Request<B>) -> Self {
        let written = shared.log.is_some().then(|| {
            let host = request.headers().get(header::HOST);
            let line = request_line(request, host);
            let user_agent = request.headers().get(header::USER_AGENT).cloned();
            Box::new(Written {
                line,
                user_agent,
                host: host.cloned(),
                trace: None,
                redirect: None,
            })
        });
        Self {
            shared: Arc::clone(shared),
            client: Arc::clone(client),
            at: clock(),
            started: Instant::now(),
            asked_target_after: None,
            answered_after: None,
            head_bytes: head_bytes(request.uri().path().len() + 16, request.headers()),
            sent_bytes: 0,
            elb_status: None,
            target_status: None,
            target_connection_error: false,
            refusal: None,
            route: None,
            group: None,
            target: None,
            written,
        }
    }

    pub(super) fn set_route(&mut self, route: &Arc<Route>) {
        self.route = Some(Arc::clone(route));
    }

    pub(super) fn set_group(&mut self, group: &Arc<Group>) {
        self.group = Some(Arc::clone(group));
    }

    pub(super) fn set_target(&mut self, target: InFlight) {
        self.target = Some(target);
        self.asked_target_after = Some(self.started.elapsed());
    }

    pub(super) fn set_trace(&mut self, trace: HeaderValue) {
        if let Some(written) = &mut self.written {
            written.trace = Some(trace);
        }
    }

    pub(super) fn refused(&mut self, refusal: Refusal) {
        self.target_connection_error = matches!(
            refusal,
            Refusal::CannotConnect | Refusal::TargetBroke | Refusal::TargetHeadTooLarge
        );
        self.refusal = Some(refusal);
    }

    /// The head of the response is on its way to the client.
    pub(super) fn answered(&mut self, status: http::StatusCode, headers: &HeaderMap, by_target: bool) {
        self.answered_after = Some(self.started.elapsed());
        self.elb_status = Some(status.as_u16());
        self.target_status = by_target.then_some(status.as_u16());
        self.sent_bytes = head_bytes(16, headers);
        if let Some(written) = &mut self.written
            && !by_target
        {
            written.redirect = headers.get(header::LOCATION).cloned();
        }
    }

    /// The client is gone; nobody gets this answer.
    pub(super) fn unheard(&mut self) {
        self.elb_status = None;
        self.target_connection_error = false;
    }

    pub(super) fn add_sent(&mut self, bytes: usize) {
        self.sent_bytes += bytes as u64;
    }

    /// The target has said everything: its connection may serve again, and it has one request less.
    pub(super) fn target_is_done(&mut self, connection: Option<Box<TargetConnection>>) {
        if let (Some(target), Some(connection)) = (&self.target, connection) {
            target.endpoint().keep(connection, self.shared.settings.pool_size);
        }
    }

    fn write(&self, received_bytes: u64) {
        let (Some(log), Some(written)) = (&self.shared.log, &self.written) else {
            return;
        };
        let now = self.started.elapsed();
        let to_target = self.asked_target_after;
        let answered = self.answered_after.unwrap_or(now);
        let priority = self.route.as_ref().map(|route| route.rule.priority);
        let action = match (self.target.is_some(), &written.redirect, self.refusal) {
            (_, _, Some(_)) => "-",
            (true, _, None) => "forward",
            (false, Some(_), None) => "redirect",
            (false, None, None) => "fixed-response",
        };
        log.write(&Entry {
            time: after(self.at, now),
            created: self.at,
            name: &self.shared.settings.name,
            client: self.client.peer,
            target: self.target.as_ref().map(|target| target.endpoint().target.address),
            times: Times {
                request: to_target,
                target: to_target.map(|asked| answered.saturating_sub(asked)),
                response: to_target
                    .and(self.answered_after)
                    .map(|answered| now.saturating_sub(answered)),
            },
            elb_status: self.elb_status.unwrap_or(CLIENT_CLOSED),
            target_status: self.target_status,
            sizes: Sizes {
                received: received_bytes,
                sent: self.sent_bytes,
            },
            request: &written.line,
            user_agent: text(written.user_agent.as_ref()),
            group: self.group.as_ref().map(|group| group.id.as_str()),
            trace: text(written.trace.as_ref()),
            domain: text(written.host.as_ref()),
            rule: priority.map(|priority| match priority {
                Priority::At(number) => number,
                Priority::Default => 0,
            }),
            action,
            redirect: written.redirect.as_ref().map(|to| text(Some(to))),
            error: self.refusal.map(Refusal::reason),
            connection_id: self.client.connection_id,
        });
    }
}

/// As AWS writes it, with the whole URL.
fn request_line<B>(request: &Request<B>, host: Option<&HeaderValue>) -> String {
    let uri = request.uri();
    let path = uri.path_and_query().map_or("", |path| path.as_str());
    let host = match uri.authority() {
        Some(authority) => authority.as_str(),
        None => host.and_then(|host| host.to_str().ok()).unwrap_or("-"),
    };
    let version = match request.version() {
        Version::HTTP_10 => " HTTP/1.0",
        // Nothing else is spoken here.
        _ => " HTTP/1.1",
    };
    let scheme = uri.scheme_str().unwrap_or("http");
    [request.method().as_str(), " ", scheme, "://", host, path, version].concat()
}

fn after(at: Timestamp, passed: Duration) -> Timestamp {
    jiff::SignedDuration::try_from(passed)
        .ok()
        .and_then(|passed| at.checked_add(passed).ok())
        .unwrap_or(at)
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let received_bytes = self.head_bytes + self.client.uploaded();
        let latency = self.answered_after.unwrap_or_else(|| self.started.elapsed());
        let served = Served {
            // When it was answered, not when it came: a request that hangs must not fall into seconds long counted.
            at: after(self.at, latency),
            elb_status: self.elb_status,
            target_status: self.target_status,
            target_connection_error: self.target_connection_error,
            received_bytes,
            sent_bytes: self.sent_bytes,
            latency_micros: latency.as_micros() as u64,
        };
        let route = self.route.as_ref().map(|route| &route.series);
        for series in route.into_iter().chain(self.group.as_ref().map(|group| &group.series)) {
            series.add(&served);
        }
        self.write(received_bytes);
        self.client.end();
    }
}

fn text(value: Option<&HeaderValue>) -> &str {
    value.and_then(|value| value.to_str().ok()).unwrap_or("-")
}

/// The size of a head as it is usually written: first line, then `name: value` and a line break each, and an empty line.
pub(super) fn head_bytes(first_line: usize, headers: &HeaderMap) -> u64 {
    let lines = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4);
    (first_line + lines.sum::<usize>() + 2) as u64
}
