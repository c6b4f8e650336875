//! Prometheus' HTTP API over the monitor. Must never know PromQL or the store from the inside.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Monitor;
use super::labels::Labels;
use super::promql::parse_duration;
use super::query::QueryError;
use super::targets::Tracked;

/// A form holds a query and some times.
const FORM_LIMIT: usize = 64 * 1024;

type Reply = Response<Full<Bytes>>;

/// The parameters of a call, from the address and the form.
struct Parameters(Vec<(String, String)>);

/// What goes wrong, as Prometheus names it.
enum Problem {
    BadData(String),
    Execution(String),
    Internal(String),
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Parse(error) => Self::BadData(format!("invalid parameter \"query\": {error}")),
            QueryError::Request(why) => Self::BadData(why),
            QueryError::Execution(why) => Self::Execution(why),
        }
    }
}

impl Monitor {
    /// Answers a request to `…/api/v1/…`, wherever it is mounted. Never fails: problems are answers too.
    pub async fn handle<B>(&self, request: Request<B>) -> Reply
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path();
        if path.ends_with("/-/ready") || path.ends_with("/-/healthy") {
            return reply(
                StatusCode::OK,
                "text/plain; charset=utf-8",
                "The monitor is ready.\n".to_owned(),
            );
        }
        let Some(call) = path
            .rfind("/api/v1/")
            .map(|at| path[at + "/api/v1/".len()..].to_owned())
        else {
            return reply(
                StatusCode::NOT_FOUND,
                "text/plain; charset=utf-8",
                "404 page not found\n".to_owned(),
            );
        };
        let form = match parts.method {
            Method::GET => Bytes::new(),
            Method::POST => match Limited::new(body, FORM_LIMIT).collect().await {
                Ok(form) => form.to_bytes(),
                Err(_) => {
                    return problem(&Problem::BadData(format!(
                        "the form is longer than {FORM_LIMIT} bytes or broken"
                    )));
                }
            },
            _ => return not_allowed(),
        };
        let query = parts.uri.query().unwrap_or_default().as_bytes();
        let pairs = form_urlencoded::parse(query)
            .into_owned()
            .chain(form_urlencoded::parse(&form).into_owned());
        let parameters = Parameters(pairs.collect());
        // A large query computes for a while; requests of others must not wait for it.
        let monitor = self.clone();
        let answered = tokio::task::spawn_blocking(move || monitor.call(&call, &parameters)).await;
        match answered.unwrap_or_else(|error| Some(Err(Problem::Internal(error.to_string())))) {
            Some(Ok(data)) => reply(StatusCode::OK, "application/json", success(data.as_ref())),
            Some(Err(why)) => problem(&why),
            None => reply(
                StatusCode::NOT_FOUND,
                "text/plain; charset=utf-8",
                "404 page not found\n".to_owned(),
            ),
        }
    }

    /// The data of a call; `None` if there is no such call.
    fn call(&self, call: &str, parameters: &Parameters) -> Option<Result<Box<dyn Data>, Problem>> {
        let words: Vec<&str> = call.split('/').collect();
        Some(match words.as_slice() {
            ["query"] => self.call_query(parameters),
            ["query_range"] => self.call_query_range(parameters),
            ["series"] => self.call_series(parameters),
            ["labels"] => self.call_labels(parameters, |labels| {
                labels.iter().map(|(name, _)| name.to_owned()).collect()
            }),
            ["label", name, "values"] => self.call_labels(parameters, |labels| vec![labels.get(name).to_owned()]),
            ["targets"] => Ok(data(self.call_targets())),
            ["status", "buildinfo"] => Ok(data(json!({"version": "2.53.0", "revision": "arya embedded monitor"}))),
            _ => return None,
        })
    }

    fn call_query(&self, parameters: &Parameters) -> Result<Box<dyn Data>, Problem> {
        let at = parameters.time("time")?.unwrap_or_else(self.0.settings.now);
        Ok(data(self.query(parameters.required("query")?, at)?))
    }

    fn call_query_range(&self, parameters: &Parameters) -> Result<Box<dyn Data>, Problem> {
        let missing = |name: &str| {
            Problem::BadData(format!(
                "invalid parameter {name:?}: cannot parse \"\" to a valid timestamp"
            ))
        };
        let start = parameters.time("start")?.ok_or_else(|| missing("start"))?;
        let end = parameters.time("end")?.ok_or_else(|| missing("end"))?;
        let step = parameters.step()?;
        Ok(data(self.query_range(
            parameters.required("query")?,
            start,
            end,
            step,
        )?))
    }

    fn call_series(&self, parameters: &Parameters) -> Result<Box<dyn Data>, Problem> {
        if parameters.all("match[]").next().is_none() {
            return Err(Problem::BadData("no match[] parameter provided".to_owned()));
        }
        Ok(data(self.matched(parameters)?))
    }

    fn call_labels(
        &self,
        parameters: &Parameters,
        of: impl Fn(&Labels) -> Vec<String>,
    ) -> Result<Box<dyn Data>, Problem> {
        let found: BTreeSet<String> = self
            .matched(parameters)?
            .iter()
            .flat_map(of)
            .filter(|text| !text.is_empty())
            .collect();
        Ok(data(found))
    }

    fn matched(&self, parameters: &Parameters) -> Result<Vec<Labels>, Problem> {
        let start = parameters.time("start")?.unwrap_or(Timestamp::MIN);
        let end = parameters.time("end")?.unwrap_or(Timestamp::MAX);
        let mut selectors: Vec<&str> = parameters.all("match[]").collect();
        if selectors.is_empty() {
            selectors.push("{__name__!=\"\"}");
        }
        Ok(self.series(&selectors, start, end)?)
    }

    fn call_targets(&self) -> Value {
        let targets = self.targets();
        let active: Vec<Value> = targets
            .iter()
            .map(|(group, tracked)| self.target(group, tracked))
            .collect();
        json!({"activeTargets": active, "droppedTargets": [], "droppedTargetCounts": {}})
    }

    fn target(&self, group: &str, tracked: &Tracked) -> Value {
        let last = tracked.last.as_ref();
        let health = match last {
            None => "unknown",
            Some(scrape) if scrape.error.is_none() => "up",
            Some(_) => "down",
        };
        json!({
            "labels": tracked.target.own_labels(),
            "discoveredLabels": {"__address__": tracked.target.address, "__metrics_path__": tracked.target.path},
            "scrapePool": group,
            "scrapeUrl": tracked.target.url(),
            "globalUrl": tracked.target.url(),
            "lastError": last.and_then(|scrape| scrape.error.as_deref()).unwrap_or_default(),
            "lastScrape": last.map(|scrape| scrape.at),
            "lastScrapeDuration": last.map_or(0.0, |scrape| scrape.took_s),
            "health": health,
            "scrapeInterval": format!("{:?}", self.0.settings.interval),
            "scrapeTimeout": format!("{:?}", self.0.settings.timeout),
        })
    }
}

impl Parameters {
    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next().filter(|value| !value.is_empty())
    }

    fn required(&self, name: &str) -> Result<&str, Problem> {
        let missing = || Problem::BadData(format!("invalid parameter {name:?}: missing"));
        self.get(name).ok_or_else(missing)
    }

    /// Seconds since the epoch with decimals, or RFC 3339.
    fn time(&self, name: &str) -> Result<Option<Timestamp>, Problem> {
        let Some(written) = self.get(name) else { return Ok(None) };
        let from_seconds = |seconds: f64| {
            let ms = (seconds * 1000.0).round();
            (ms.abs() < 9e15)
                .then(|| Timestamp::from_millisecond(ms as i64).ok())
                .flatten()
        };
        let time = written
            .parse::<f64>()
            .map_or_else(|_| written.parse().ok(), from_seconds);
        let bad = || {
            Problem::BadData(format!(
                "invalid parameter {name:?}: cannot parse {written:?} to a valid timestamp"
            ))
        };
        time.ok_or_else(bad).map(Some)
    }

    fn step(&self) -> Result<Duration, Problem> {
        let written = self.get("step").unwrap_or_default();
        let bad = || {
            Problem::BadData(format!(
                "invalid parameter \"step\": cannot parse {written:?} to a valid duration"
            ))
        };
        let in_seconds = written
            .parse::<f64>()
            .ok()
            .map(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).ok());
        let in_units = || {
            parse_duration(written)
                .and_then(|ms| u64::try_from(ms).ok())
                .map(Duration::from_millis)
        };
        in_seconds.unwrap_or_else(in_units).ok_or_else(bad)
    }
}

/// Data of different types in one answer.
trait Data: Send {
    fn write(&self) -> String;
}

impl<T: serde::Serialize + Send> Data for T {
    fn write(&self) -> String {
        serde_json::to_string(self).expect("labels are text and numbers are written as text, so this is always JSON")
    }
}

fn data(data: impl serde::Serialize + Send + 'static) -> Box<dyn Data> {
    Box::new(data)
}

fn success(data: &dyn Data) -> String {
    format!("{{\"status\":\"success\",\"data\":{}}}", data.write())
}

fn problem(problem: &Problem) -> Reply {
    let (status, kind, why) = match problem {
        Problem::BadData(why) => (StatusCode::BAD_REQUEST, "bad_data", why),
        Problem::Execution(why) => (StatusCode::UNPROCESSABLE_ENTITY, "execution", why),
        Problem::Internal(why) => (StatusCode::INTERNAL_SERVER_ERROR, "internal", why),
    };
    reply(
        status,
        "application/json",
        json!({"status": "error", "errorType": kind, "error": why}).to_string(),
    )
}

fn not_allowed() -> Reply {
    let mut answer = reply(
        StatusCode::METHOD_NOT_ALLOWED,
        "text/plain; charset=utf-8",
        "Method Not Allowed\n".to_owned(),
    );
    answer
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static("GET, POST"));
    answer
}

fn reply(status: StatusCode, content_type: &'static str, body: String) -> Reply {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}
