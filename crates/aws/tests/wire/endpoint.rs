//! The account behind a port, with a script of what goes wrong at which call.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::account::{Account, No};
use crate::common::cbor;
use crate::s3::{self, Asked};
use crate::tree::{Tree, el, text};
use crate::{ec2, elb, metrics};

/// How long a call that hangs is held, which is longer than any try of a read or a change may take.
const HANGS: Duration = Duration::from_secs(20);

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Throttled,
    /// It is not done, and the answer is an internal failure.
    Fails,
    /// It is done, and the answer is an internal failure.
    DoneAndFails,
    /// It is done, and the connection ends before the answer.
    DoneAndCut,
    /// It is done, and no answer comes.
    DoneAndHangs,
    Expired,
    Denied,
}

impl Fault {
    pub(crate) const ALL: [Self; 7] = [
        Self::Throttled,
        Self::Fails,
        Self::DoneAndFails,
        Self::DoneAndCut,
        Self::DoneAndHangs,
        Self::Expired,
        Self::Denied,
    ];
}

/// Which calls a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// The n-th of the operation, counted from 0.
    Nth(usize),
    /// Every one, until the script is empty again.
    Always,
}

/// One line of a script: operation, when, what.
pub(crate) type Line = (&'static str, When, Fault);

#[derive(Debug)]
struct State {
    account: Account,
    script: Vec<Line>,
    /// Calls that arrived, by operation.
    calls: BTreeMap<String, usize>,
    /// When each of them arrived, in milliseconds of the test's clock.
    times: Vec<(i64, String)>,
}

/// An endpoint on a port of its own.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    state: Arc<Mutex<State>>,
    /// Milliseconds since the test began.
    clock: Arc<AtomicI64>,
    address: String,
}

/// Who is asked what, on either protocol.
enum Question {
    Query {
        service: String,
        asked: Tree,
    },
    /// CloudWatch's own: the operation in the path, the rest in CBOR.
    Rpc {
        operation: String,
        asked: Value,
    },
    Files(Asked),
}

impl Question {
    fn operation(&self) -> String {
        match self {
            Self::Query { asked, .. } => asked.text("Action").to_owned(),
            Self::Rpc { operation, .. } => operation.clone(),
            Self::Files(asked) => asked.operation().to_owned(),
        }
    }
}

impl Endpoint {
    /// Listens, in front of an account whose clock begins at a thousand seconds.
    pub(crate) async fn start(lag: u64, clock: Arc<AtomicI64>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = Self {
            state: Arc::new(Mutex::new(State {
                account: Account::seeded(lag),
                script: vec![],
                calls: BTreeMap::new(),
                times: vec![],
            })),
            clock,
            address: format!("http://{}", listener.local_addr().unwrap()),
        };
        let serving = endpoint.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let endpoint = serving.clone();
                let service = service_fn(move |request| endpoint.clone().serve(request));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        endpoint
    }

    pub(crate) fn address(&self) -> String {
        self.address.clone()
    }

    pub(crate) fn script(&self, lines: Vec<Line>) {
        self.lock().script = lines;
    }

    pub(crate) fn calls(&self) -> BTreeMap<String, usize> {
        self.lock().calls.clone()
    }

    pub(crate) fn times(&self) -> Vec<(i64, String)> {
        self.lock().times.clone()
    }

    /// Counts from zero again.
    pub(crate) fn forget_calls(&self) {
        let mut state = self.lock();
        state.calls.clear();
        state.times.clear();
    }

    /// Reads the account as it is now.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&mut Account) -> T) -> T {
        let mut state = self.lock();
        state.account.now = 1_000 + self.clock.load(Ordering::SeqCst).unsigned_abs() / 1_000;
        state.account.boot();
        read(&mut state.account)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// An error ends the connection.
    async fn serve(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Cut> {
        let question = question(request).await;
        let operation = question.operation();
        let fault = self.struck(&operation);
        let failure = No {
            code: "InternalFailure",
            status: 500,
        };
        let refused = |code| No { code, status: 403 };
        let before = match fault {
            Some(Fault::Throttled) => Some(throttled(&question)),
            Some(Fault::Fails) => Some(failure.clone()),
            Some(Fault::Expired) => Some(refused("ExpiredToken")),
            Some(Fault::Denied) => Some(refused("AccessDenied")),
            Some(Fault::DoneAndFails | Fault::DoneAndCut | Fault::DoneAndHangs) | None => None,
        };
        if let Some(before) = before {
            return Ok(no(&question, &before));
        }
        let answer = self.read(|account| answered(account, &question));
        match fault {
            Some(Fault::DoneAndFails) => Ok(no(&question, &failure)),
            Some(Fault::DoneAndCut) => Err(Cut),
            Some(Fault::DoneAndHangs) => {
                tokio::time::sleep(HANGS).await;
                Err(Cut)
            }
            Some(Fault::Throttled | Fault::Fails | Fault::Expired | Fault::Denied) | None => Ok(answer),
        }
    }

    /// Counts the call, and says what goes wrong with it.
    fn struck(&self, operation: &str) -> Option<Fault> {
        let mut state = self.lock();
        let count = state.calls.entry(operation.to_owned()).or_default();
        let this = *count;
        *count += 1;
        let now = self.clock.load(Ordering::SeqCst);
        state.times.push((now, operation.to_owned()));
        let strikes = |line: &&Line| line.0 == operation && (line.1 == When::Always || line.1 == When::Nth(this));
        state.script.iter().find(strikes).map(|line| line.2)
    }
}

/// The connection ends here.
#[derive(Debug, thiserror::Error)]
#[error("the connection is cut")]
struct Cut;

async fn question(request: Request<Incoming>) -> Question {
    let header = |name: &str| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned()
    };
    let (method, signed) = (request.method().to_string(), header("authorization"));
    let wrapped: Option<u64> = header("x-amz-decoded-content-length").parse().ok();
    let (path, query) = (
        request.uri().path().to_owned(),
        request.uri().query().unwrap_or_default().to_owned(),
    );
    let body = request.into_body().collect().await.unwrap().to_bytes();
    // Credential=KEY/date/region/service/aws4_request
    let service = signed.split('/').nth(3).unwrap_or_default().to_owned();
    if service == "monitoring" {
        return Question::Rpc {
            operation: path.rsplit('/').next().unwrap_or_default().to_owned(),
            asked: cbor::read(&body),
        };
    }
    if service != "s3" {
        return Question::Query {
            service,
            asked: Tree::from_form(&body),
        };
    }
    let (bucket, key) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
    Question::Files(Asked {
        method,
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        query: form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
        length: wrapped.unwrap_or(body.len() as u64),
        body: body.to_vec(),
    })
}

fn answered(account: &mut Account, question: &Question) -> Response<Full<Bytes>> {
    match question {
        Question::Files(asked) => match s3::answer(account, asked) {
            Ok(told) => {
                let mut builder = Response::builder();
                if let Some(tag) = told.tag {
                    builder = builder.header("etag", tag);
                }
                if account.is_aged {
                    builder = builder.header("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT");
                }
                builder.body(Full::from(told.body)).unwrap()
            }
            Err(code) => no(question, &code),
        },
        Question::Rpc { operation, asked } => match metrics::answer(account, operation, asked) {
            Ok(told) => rpc(200, &told),
            Err(code) => no(question, &code),
        },
        Question::Query { service, asked } => {
            let operation = asked.text("Action");
            let told = match service.as_str() {
                "ec2" => ec2::answer(account, operation, asked),
                "sts" => Ok(el(&format!("{operation}Result"), &ec2::who(account, operation))),
                _ => elb::answer(account, operation, asked).map(|told| el(&format!("{operation}Result"), &told)),
            };
            match told {
                Ok(told) => Response::new(Full::from(el(&format!("{operation}Response"), &told))),
                Err(code) => no(question, &code),
            }
        }
    }
}

fn throttled(question: &Question) -> No {
    match question {
        Question::Files(_) => No {
            code: "SlowDown",
            status: 503,
        },
        Question::Query { service, .. } if service == "ec2" => No {
            code: "RequestLimitExceeded",
            status: 503,
        },
        Question::Query { .. } | Question::Rpc { .. } => No::bad("Throttling"),
    }
}

fn rpc(status: u16, told: &Value) -> Response<Full<Bytes>> {
    let builder = Response::builder()
        .status(status)
        .header("smithy-protocol", "rpc-v2-cbor");
    let builder = builder.header("content-type", "application/cbor");
    builder.body(Full::from(cbor::written(told))).unwrap()
}

/// Each service wraps its errors in its own way.
fn no(question: &Question, no: &No) -> Response<Full<Bytes>> {
    if let Question::Rpc { .. } = question {
        let message = format!("{}, says the test.", no.code);
        return rpc(no.status, &json!({"__type": no.code, "message": message}));
    }
    let error = text("Code", no.code) + &text("Message", format!("{}, says the test.", no.code));
    let body = match question {
        Question::Files(asked) if asked.method == "HEAD" => String::new(),
        Question::Files(_) => el("Error", &error),
        Question::Query { service, .. } if service == "ec2" => el(
            "Response",
            &(el("Errors", &el("Error", &error)) + &text("RequestID", "r-1")),
        ),
        Question::Rpc { .. } | Question::Query { .. } => {
            el("ErrorResponse", &(el("Error", &error) + &text("RequestId", "r-1")))
        }
    };
    Response::builder().status(no.status).body(Full::from(body)).unwrap()
}
