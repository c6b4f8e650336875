//! A door in front of moto at which every change goes wrong the first time that it is asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

/// How a change goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Throttled,
    FailsBefore,
    /// Done, and the connection ends without an answer.
    LostAfter,
    /// Done, and answered with an error of the service.
    FailsAfter,
    Denied,
    Expired,
}

#[derive(Debug, Default)]
struct State {
    fault: Option<Fault>,
    /// What was asked for, with everything that tells one change from another.
    seen: BTreeSet<String>,
    /// The operations that went wrong.
    spoiled: BTreeSet<String>,
    /// How often each was asked for.
    asked: BTreeMap<String, u32>,
}

type Forwarding = Client<HttpConnector, Full<Bytes>>;

#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Proxy {
    pub(crate) async fn start(to: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state: Arc<Mutex<State>> = Arc::default();
        let (told, to) = (state.clone(), to.to_owned());
        tokio::spawn(async move {
            let client: Forwarding = Client::builder(TokioExecutor::new()).build_http();
            while let Ok((stream, _)) = listener.accept().await {
                let (state, client, to) = (told.clone(), client.clone(), to.clone());
                let service = service_fn(move |request| answer(state.clone(), client.clone(), to.clone(), request));
                let connection =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                tokio::spawn(connection);
            }
        });
        Self { address, state }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn spoil(&self, fault: Fault) {
        self.state.lock().unwrap().fault = Some(fault);
    }

    /// What was asked since the last time, and how often.
    pub(crate) fn asked(&self) -> BTreeMap<String, u32> {
        std::mem::take(&mut self.state.lock().unwrap().asked)
    }

    pub(crate) fn spoiled(&self) -> BTreeSet<String> {
        self.state.lock().unwrap().spoiled.clone()
    }
}

/// The operation, by its name in the API, and what tells it from others of its kind. User data is left out, since URLs in
/// it are signed anew for each try. `None` for what instances do.
fn operation(request: &Request<Bytes>) -> Option<(String, String)> {
    let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
    if path == "/" && request.method() == Method::POST {
        let pairs: Vec<(String, String)> = form_urlencoded::parse(request.body()).into_owned().collect();
        let (_, action) = pairs.iter().find(|(key, _)| key == "Action")?;
        let told = pairs.iter().filter(|(key, _)| key != "UserData");
        return Some((
            action.clone(),
            told.map(|(key, value)| format!("{key}={value}")).collect(),
        ));
    }
    let has = |key: &str| form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == key);
    if path.contains("/status/") && request.method() == Method::PUT || has("X-Amz-Signature") {
        return None;
    }
    let of_bucket = path.trim_matches('/').split('/').count() == 1;
    let operation = match (request.method().as_str(), of_bucket) {
        ("GET", _) if path == "/" => "ListBuckets",
        ("GET", true) if has("tagging") => "GetBucketTagging",
        ("GET", true) if has("uploads") => "ListMultipartUploads",
        ("GET", true) => "ListObjectsV2",
        ("GET", false) => "GetObject",
        ("HEAD", _) => "HeadBucket",
        ("PUT", true) if has("tagging") => "PutBucketTagging",
        ("PUT", true) if has("lifecycle") => "PutBucketLifecycleConfiguration",
        ("PUT", true) => "CreateBucket",
        ("PUT", false) if has("partNumber") => "UploadPart",
        ("PUT", false) => "PutObject",
        ("POST", true) => "DeleteObjects",
        ("POST", false) if has("uploads") => "CreateMultipartUpload",
        ("POST", false) => "CompleteMultipartUpload",
        ("DELETE", true) => "DeleteBucket",
        ("DELETE", false) => "AbortMultipartUpload",
        _ => return None,
    };
    let part = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "partNumber");
    Some((operation.into(), format!("{operation} {path} {part:?}")))
}

fn is_change(operation: &str) -> bool {
    !["Describe", "Get", "List", "Head"]
        .iter()
        .any(|reads| operation.starts_with(reads))
}

/// Whose way to write an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wire {
    Ec2,
    Elb,
    S3,
}

fn wire(request: &Request<Bytes>) -> Wire {
    let version = form_urlencoded::parse(request.body()).find(|(key, _)| key == "Version");
    match version.as_ref().map(|(_, value)| value.as_ref()) {
        _ if request.uri().path() != "/" => Wire::S3,
        Some("2016-11-15") => Wire::Ec2,
        Some(_) | None => Wire::Elb,
    }
}

async fn answer(
    state: Arc<Mutex<State>>,
    client: Forwarding,
    to: String,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, io::Error> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let request = Request::from_parts(parts, body);
    let fault = operation(&request).and_then(|(operation, told)| {
        let mut state = state.lock().unwrap();
        *state.asked.entry(operation.clone()).or_default() += 1;
        let fault = state.fault.filter(|_| is_change(&operation))?;
        let first = state.seen.insert(told);
        if first {
            state.spoiled.insert(operation);
        }
        first.then_some(fault)
    });
    let wire = wire(&request);
    let (status, code) = match fault {
        None => return forward(&client, &to, request).await,
        Some(Fault::Throttled) if wire == Wire::S3 => (503, "SlowDown"),
        Some(Fault::Throttled) => (400, "Throttling"),
        Some(Fault::FailsBefore) => (500, "InternalError"),
        Some(Fault::Denied) => (403, "AccessDenied"),
        Some(Fault::Expired) => (400, "ExpiredToken"),
        Some(Fault::FailsAfter) => {
            forward(&client, &to, request).await?;
            (500, "InternalError")
        }
        Some(Fault::LostAfter) => {
            forward(&client, &to, request).await?;
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
    };
    let error = format!("<Error><Code>{code}</Code><Message>as the test wants</Message></Error>");
    let document = match wire {
        Wire::S3 => error,
        Wire::Ec2 => format!("<Response><Errors>{error}</Errors><RequestID>1</RequestID></Response>"),
        Wire::Elb => format!("<ErrorResponse>{error}<RequestId>1</RequestId></ErrorResponse>"),
    };
    let response = Response::builder().status(StatusCode::from_u16(status).unwrap());
    Ok(response.body(Full::new(document.into())).unwrap())
}

async fn forward(client: &Forwarding, to: &str, request: Request<Bytes>) -> Result<Response<Full<Bytes>>, io::Error> {
    let (mut parts, body) = request.into_parts();
    parts.uri = format!("{to}{}", parts.uri.path_and_query().unwrap()).parse().unwrap();
    let answer = client.request(Request::from_parts(parts, Full::new(body))).await;
    let (parts, body) = answer.map_err(io::Error::other)?.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    Ok(Response::from_parts(parts, Full::new(body)))
}
