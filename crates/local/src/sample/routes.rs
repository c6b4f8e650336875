//! The routes of the sample service. Must never read the environment or open a socket.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, LOCATION};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Either, Full, LengthLimitError, Limited};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::config::SampleConfig;
use super::faults::{Dice, FaultsInForce};
use super::metrics::{Metrics, resident_bytes};
use super::records::{self, PATIENTS, RECORDS};
use super::transfer::{self, EXPORT_AT_MOST, EXPORT_LIMIT, Export, NotTaken};

/// A medical record is small; a body that is larger is refused before it fills the memory.
const BODY_LIMIT: usize = 256 * 1024;
/// Records in one page when the request does not say, and at most.
const PAGE: u64 = 20;
const LARGEST_PAGE: u64 = 100;
/// Bytes of an export when the request does not say.
const USUAL_EXPORT: u64 = 64 * 1024;

type Answer = Response<Either<Full<Bytes>, Export>>;

#[derive(Debug)]
pub(super) struct Service {
    pub(super) faults: FaultsInForce,
    version: String,
    base_error_share: f64,
    base_latency: Duration,
    ready_at: Instant,
    started_at_s: f64,
    posted: AtomicU64,
    dice: Dice,
    metrics: Metrics,
}

/// A route by its template. What people's monitoring asks for is apart from what users ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    About,
    Version,
    Health,
    Metrics,
    Records,
    Record(u64),
    Chart(u64),
    Document(u64),
    Export,
    Nowhere,
}

impl Route {
    fn of(path: &str) -> Self {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        match parts.as_slice() {
            [""] => Self::About,
            ["version"] => Self::Version,
            ["health"] => Self::Health,
            ["metrics"] => Self::Metrics,
            ["api", "records"] => Self::Records,
            ["api", "records", id] => id.parse().map_or(Self::Nowhere, Self::Record),
            ["api", "patients", id, "chart"] => id.parse().map_or(Self::Nowhere, Self::Chart),
            ["api", "documents", id] => id.parse().map_or(Self::Nowhere, Self::Document),
            ["api", "export"] => Self::Export,
            _ => Self::Nowhere,
        }
    }

    fn template(self) -> &'static str {
        match self {
            Self::About => "/",
            Self::Version => "/version",
            Self::Health => "/health",
            Self::Metrics => "/metrics",
            Self::Records => "/api/records",
            Self::Record(_) => "/api/records/{id}",
            Self::Chart(_) => "/api/patients/{id}/chart",
            Self::Document(_) => "/api/documents/{id}",
            Self::Export => "/api/export",
            Self::Nowhere => "other",
        }
    }
}

impl Service {
    pub(super) fn new(config: SampleConfig) -> Self {
        Self {
            faults: FaultsInForce::new(config.error_share, config.extra_latency),
            version: config.version,
            base_error_share: config.base_error_share,
            base_latency: config.base_latency,
            ready_at: Instant::now() + config.start_up,
            started_at_s: crate::clock::clock().as_millisecond() as f64 / 1000.0,
            posted: AtomicU64::new(RECORDS),
            dice: Dice::new(),
            metrics: Metrics::default(),
        }
    }

    pub(super) async fn answer<B>(&self, request: Request<B>) -> Answer
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let route = Route::of(request.uri().path());
        // Probes and scrapes are not users: they are neither delayed nor failed nor counted.
        match route {
            Route::Health => return self.health(),
            Route::Metrics => return exposition(self.metrics.render(self.started_at_s, resident_bytes())),
            _ => {}
        }
        let _in_flight = self.metrics.begin();
        let arrived = Instant::now();
        let method = method_name(request.method());
        let asked = request.uri().clone();
        let answer = match route {
            Route::Version => only_get(request.method(), || {
                json(StatusCode::OK, &json!({"version": self.version}))
            }),
            Route::Document(_) | Route::Export => self.transfer(route, request).await,
            _ => self.as_users_see_it(route, request).await,
        };
        let status = answer.status();
        if status.is_server_error() {
            // As services do: their log tells what failed. What may point at a person is not for the log's readers.
            tracing::warn!("{method} {asked} answered {}", status.as_u16());
        }
        self.metrics
            .count(method, status.as_u16(), route.template(), arrived.elapsed());
        answer
    }

    /// The answer of a user's route: after the usual time, and sometimes an error.
    async fn as_users_see_it<B>(&self, route: Route, request: Request<B>) -> Answer
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (error_share, extra_latency) = self.faults.now();
        // 0.6 to 1.6 times the base: 3 to 8 ms around the default of 5.
        let jittered = self.base_latency.mul_f64(0.6 + self.dice.roll());
        tokio::time::sleep(jittered + extra_latency).await;
        let healthy_share = (1.0 - self.base_error_share) * (1.0 - error_share);
        if self.dice.roll() >= healthy_share {
            return problem(StatusCode::INTERNAL_SERVER_ERROR, "the record store did not answer");
        }
        match route {
            Route::Records if request.method() == Method::POST => self.post(request).await,
            Route::Records => page(request.method(), request.uri().query().unwrap_or_default()),
            Route::Record(id) => only_get(request.method(), || {
                found(id <= RECORDS && id > 0, || records::record(id))
            }),
            Route::Chart(id) => only_get(request.method(), || {
                found(id <= PATIENTS && id > 0, || records::chart(id))
            }),
            Route::About => only_get(request.method(), || json(StatusCode::OK, &self.about())),
            Route::Nowhere | Route::Version | Route::Health | Route::Metrics | Route::Document(_) | Route::Export => {
                problem(StatusCode::NOT_FOUND, "there is nothing at this path")
            }
        }
    }

    /// What lasts. It fails only where the release is bad: one that is lost must not hide among the usual two in a
    /// thousand.
    async fn transfer<B>(&self, route: Route, request: Request<B>) -> Answer
    where
        B: http_body::Body<Data = Bytes>,
    {
        let (error_share, extra_latency) = self.faults.now();
        tokio::time::sleep(extra_latency).await;
        if self.dice.roll() < error_share {
            return problem(StatusCode::INTERNAL_SERVER_ERROR, "the document store did not answer");
        }
        match (route, request.method()) {
            (Route::Document(id), &Method::PUT) => match transfer::take(request.into_body()).await {
                Ok(taken) => json(
                    StatusCode::OK,
                    &json!({"id": id, "bytes": taken.bytes, "sha256": taken.digest, "version": self.version}),
                ),
                Err(NotTaken::TooLarge) => problem(StatusCode::PAYLOAD_TOO_LARGE, "a document has at most 64 MiB"),
                Err(NotTaken::EndedEarly) => problem(StatusCode::BAD_REQUEST, "the body ended early"),
            },
            (Route::Document(_), _) => not_allowed("PUT"),
            (_, &Method::GET | &Method::HEAD) => export(request.uri().query().unwrap_or_default()),
            _ => not_allowed("GET, HEAD"),
        }
    }

    fn about(&self) -> Value {
        json!({
            "service": "ChartHealth records",
            "version": self.version,
            "notice": "A sample: every person and record here is invented.",
            "routes": ["/api/records?limit=20", "/api/records/{id}", "/api/patients/{id}/chart", "/api/documents/{id}", "/api/export?bytes=65536&over_ms=1000", "/version", "/health", "/metrics"],
        })
    }

    fn health(&self) -> Answer {
        if Instant::now() < self.ready_at {
            return json(StatusCode::SERVICE_UNAVAILABLE, &json!({"status": "starting"}));
        }
        json(StatusCode::OK, &json!({"status": "ok", "version": self.version}))
    }

    /// Nothing is stored: the record comes back with a new id.
    async fn post<B>(&self, request: Request<B>) -> Answer
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let body = match Limited::new(request.into_body(), BODY_LIMIT).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                return problem(StatusCode::PAYLOAD_TOO_LARGE, "a record has at most 256 KiB");
            }
            Err(_) => return problem(StatusCode::BAD_REQUEST, "the body ended early"),
        };
        match serde_json::from_slice::<Value>(&body) {
            Ok(Value::Object(mut record)) => {
                let id = self.posted.fetch_add(1, Ordering::Relaxed) + 1;
                record.insert("id".to_owned(), json!(id));
                let mut answer = json(StatusCode::CREATED, &Value::Object(record));
                if let Ok(location) = HeaderValue::try_from(format!("/api/records/{id}")) {
                    answer.headers_mut().insert(LOCATION, location);
                }
                answer
            }
            _ => problem(StatusCode::BAD_REQUEST, "a record is a JSON object"),
        }
    }
}

fn page(method: &Method, query: &str) -> Answer {
    if method != Method::GET && method != Method::HEAD {
        return not_allowed("GET, HEAD, POST");
    }
    let limit = query.split('&').find_map(|pair| pair.strip_prefix("limit="));
    match limit.map_or(Ok(PAGE), str::parse) {
        Ok(limit @ 1..=LARGEST_PAGE) => {
            let records: Vec<Value> = (1..=limit).map(records::record).collect();
            json(StatusCode::OK, &json!({"records": records, "total": RECORDS}))
        }
        _ => problem(StatusCode::BAD_REQUEST, "limit is a number from 1 to 100"),
    }
}

/// `bytes`, and the time to take for them.
fn export(query: &str) -> Answer {
    let asked = |key: &str| {
        query
            .split('&')
            .find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))
    };
    let number = |key: &str, usual: u64| asked(key).map_or(Ok(usual), str::parse);
    match (
        number("bytes", USUAL_EXPORT),
        number("over_ms", 0).map(Duration::from_millis),
    ) {
        (Ok(bytes @ 0..=EXPORT_LIMIT), Ok(time)) if time <= EXPORT_AT_MOST => {
            let mut answer = Response::new(Either::Right(Export::new(bytes, time)));
            let kind = HeaderValue::from_static("text/csv; charset=utf-8");
            answer.headers_mut().insert(CONTENT_TYPE, kind);
            answer
        }
        _ => problem(
            StatusCode::BAD_REQUEST,
            "bytes is at most 16777216, over_ms at most 30000",
        ),
    }
}

fn only_get(method: &Method, answer: impl FnOnce() -> Answer) -> Answer {
    if method == Method::GET || method == Method::HEAD {
        answer()
    } else {
        not_allowed("GET, HEAD")
    }
}

fn not_allowed(allowed: &'static str) -> Answer {
    let mut answer = problem(StatusCode::METHOD_NOT_ALLOWED, "this path does not take this method");
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}

fn found(exists: bool, value: impl FnOnce() -> Value) -> Answer {
    if exists {
        json(StatusCode::OK, &value())
    } else {
        problem(StatusCode::NOT_FOUND, "there is no such record")
    }
}

fn problem(status: StatusCode, detail: &str) -> Answer {
    json(status, &json!({"error": detail}))
}

fn json(status: StatusCode, body: &Value) -> Answer {
    with_type(status, body.to_string(), "application/json")
}

fn exposition(text: String) -> Answer {
    with_type(StatusCode::OK, text, "text/plain; version=0.0.4; charset=utf-8")
}

fn with_type(status: StatusCode, body: String, content_type: &'static str) -> Answer {
    let mut answer = Response::new(Either::Left(Full::new(Bytes::from(body))));
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

/// Only known methods become label values; a client must not be able to make series.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
