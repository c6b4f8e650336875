//! One question and its answer: how long it may take, how long it may be, and what everything that can go wrong is called.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use arya_judge::SourceError;
use arya_judge::source::Whose;
use arya_judge::source::answer::{ANSWER_BYTES_MAX, series, too_long};
use arya_local::monitor::Monitor;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Body, Bytes};
use hyper::header::{CONTENT_TYPE, LOCATION};
use hyper::{Request, Response, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::door::Door;

/// Below the engine's own limit for a source, so that the sentence is ours and names the monitor.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);
/// A monitor in the same network answers within milliseconds.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// Where the door leads to Prometheus.
const BEHIND_THE_DOOR: &str = "/prometheus";
/// So much of an address or a reason is shown.
const SHOWN_CHARS: usize = 120;

/// A monitor that can be asked.
#[derive(Debug, Clone)]
pub(crate) enum Monitored {
    /// In this process.
    Embedded(Monitor),
    /// Somewhere else.
    Remote(Box<Remote>),
    /// On an instance of a deployment's own, behind its door.
    #[cfg_attr(
        not(any(test, feature = "aws")),
        expect(dead_code, reason = "the local world's monitor is in this process")
    )]
    Behind(Door),
}

/// A monitor over the network.
#[derive(Debug, Clone)]
pub(crate) struct Remote {
    /// Without a slash at the end.
    base: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl fmt::Display for Monitored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded(_) => f.write_str("the embedded monitor"),
            Self::Remote(remote) => write!(f, "the monitor at {}", remote.base),
            Self::Behind(_) => f.write_str("the deployment's monitor"),
        }
    }
}

impl Monitored {
    /// A monitor at an address such as `http://10.0.0.5:9090`.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "only tests ask a Prometheus that stands behind no door")
    )]
    pub(crate) fn at(base: &str) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_WITHIN));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(1)
            .build(connector);
        Self::Remote(Box::new(Remote {
            base: base.trim_end_matches('/').to_owned(),
            client,
        }))
    }

    /// Whose series it is asked for.
    pub(crate) const fn whose(&self) -> Whose {
        match self {
            Self::Embedded(_) => Whose::ArmsAndProduction,
            // A machine of production counts whatever reaches it, and the arms only what the rule gives them: not comparable.
            Self::Remote(_) | Self::Behind(_) => Whose::Arms,
        }
    }

    /// The body of a good answer.
    pub(crate) async fn ask(&self, call: &str, form: &[(&str, &str)]) -> Result<Bytes, SourceError> {
        let asking = self.ask_for_long(call, form);
        let limit = ANSWER_WITHIN.as_secs();
        match tokio::time::timeout(ANSWER_WITHIN, asking).await {
            Ok(answer) => answer,
            Err(_) => Err(self.unreachable(format_args!("did not answer within {limit} s"))),
        }
    }

    async fn ask_for_long(&self, call: &str, form: &[(&str, &str)]) -> Result<Bytes, SourceError> {
        let written = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let base = match self {
            Self::Embedded(_) => "",
            Self::Remote(remote) => &remote.base,
            Self::Behind(_) => BEHIND_THE_DOOR,
        };
        let request = Request::post(format!("{base}/api/v1/{call}"))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::new(Bytes::from(written)))
            .map_err(|error| self.unreachable(format_args!("has no valid address: {error}")))?;
        match self {
            Self::Embedded(monitor) => self.read(monitor.handle(request).await).await,
            Self::Remote(remote) => {
                let answer = remote.client.request(request).await.map_err(|error| {
                    let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
                    self.unreachable(format_args!("cannot be reached: {}", shown(&cause)))
                })?;
                self.read(answer).await
            }
            Self::Behind(door) => {
                let answer = door.ask(request).await;
                let answer = answer.map_err(|error| self.unreachable(format_args!("{error}")))?;
                self.read(answer).await
            }
        }
    }

    async fn read<B>(&self, answer: Response<B>) -> Result<Bytes, SourceError>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let status = answer.status();
        if status.is_redirection() {
            let to = answer
                .headers()
                .get(LOCATION)
                .and_then(|to| to.to_str().ok())
                .unwrap_or("nowhere");
            let to = shown(to);
            return Err(self.unreachable(format_args!(
                "answered {status} and points to {to}, which is not followed"
            )));
        }
        let body = match Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => return Err(too_long()),
            Err(error) => {
                let error = shown(&error.to_string());
                return Err(self.unreachable(format_args!("broke off its answer: {error}")));
            }
        };
        if status == StatusCode::OK {
            return Ok(body);
        }
        // Prometheus says in JSON why it refuses; whatever else answers with such a status has no better reason to give.
        match series(&body) {
            Err(refused @ SourceError::Unreachable { .. }) => Err(refused),
            Ok(_) | Err(SourceError::Malformed { .. } | SourceError::NoData { .. }) => {
                Err(self.unreachable(format_args!("answered {status}")))
            }
        }
    }

    fn unreachable(&self, what: fmt::Arguments<'_>) -> SourceError {
        SourceError::Unreachable {
            what: format!("{self} {what}"),
        }
    }
}

/// The beginning of a text from outside, on one line.
fn shown(text: &str) -> String {
    text.chars()
        .take(SHOWN_CHARS)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
