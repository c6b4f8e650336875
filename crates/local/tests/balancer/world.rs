//! A balancer with targets of its own, clients that count everything, and waits for events.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use arya_local::balancer::alb::HealthCheckSettings;
use arya_local::balancer::{Balancer, BalancerSettings, GroupSettings, GroupState, Target};
use arya_plan::listener::{Action, Condition, Forward, GroupId, Priority, Rule, RuleId, WeightedGroup};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// Nothing here takes seconds; a test that waits so long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn id(name: &str) -> GroupId {
    GroupId::new(name)
}

pub(crate) fn condition(json: &str) -> Condition {
    serde_json::from_str(json).unwrap()
}

pub(crate) fn path_is(pattern: &str) -> Vec<Condition> {
    vec![Condition::PathPattern {
        values: vec![pattern.to_owned()],
    }]
}

pub(crate) fn forward(groups: &[(&str, u16)], stickiness_s: Option<u32>) -> Action {
    let groups = groups
        .iter()
        .map(|(name, weight)| WeightedGroup {
            group: id(name),
            weight: *weight,
        })
        .collect();
    Action::Forward(Forward { groups, stickiness_s })
}

pub(crate) fn rule(priority: u16, conditions: Vec<Condition>, action: Action) -> Rule {
    let priority = if priority == 0 {
        Priority::Default
    } else {
        Priority::At(priority)
    };
    Rule {
        id: RuleId::new(format!("rule-{priority}")),
        priority,
        conditions,
        actions: vec![action],
        transforms: vec![],
        owner: None,
    }
}

pub(crate) fn everything_to(groups: &[(&str, u16)]) -> Vec<Rule> {
    vec![rule(0, vec![], forward(groups, None))]
}

/// Checks that are quick enough for a test.
pub(crate) fn quick() -> GroupSettings {
    GroupSettings {
        health_check: HealthCheckSettings {
            path: "/health".to_owned(),
            interval: Duration::from_millis(20),
            timeout: Duration::from_secs(5),
            healthy_threshold: 2,
            unhealthy_threshold: 2,
            ..HealthCheckSettings::default()
        },
        deregistration_delay: PATIENCE,
    }
}

pub(crate) async fn balancer_with(settings: BalancerSettings) -> Balancer {
    Balancer::start(TcpListener::bind("127.0.0.1:0").unwrap(), settings)
        .await
        .unwrap()
}

pub(crate) async fn balancer() -> Balancer {
    balancer_with(BalancerSettings::default()).await
}

/// A balancer with one healthy target for each name, and the given rules.
pub(crate) async fn world(names: &[&str], rules: Vec<Rule>) -> (Balancer, Vec<Origin>) {
    world_with(BalancerSettings::default(), names, rules).await
}

pub(crate) async fn world_with(
    settings: BalancerSettings,
    names: &[&str],
    rules: Vec<Rule>,
) -> (Balancer, Vec<Origin>) {
    let balancer = balancer_with(settings).await;
    let mut origins = Vec::new();
    for name in names {
        let origin = Origin::start(name).await;
        balancer.create_group(id(name), quick()).unwrap();
        balancer.register(&id(name), origin.target("t1")).unwrap();
        origins.push(origin);
    }
    balancer.set_rules(rules).unwrap();
    for name in names {
        let named = balancer.group_state(&id(name)).unwrap().in_use;
        becomes(&balancer, name, |state| !named || state.health().healthy == 1).await;
    }
    (balancer, origins)
}

/// Waits until a group is as wanted.
pub(crate) async fn becomes(balancer: &Balancer, group: &str, wanted: impl Fn(&GroupState) -> bool) -> GroupState {
    let mut changes = balancer.changes();
    let waiting = async {
        loop {
            changes.borrow_and_update();
            let state = balancer.group_state(&id(group)).unwrap();
            if wanted(&state) {
                return state;
            }
            changes.changed().await.unwrap();
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    waited.unwrap_or_else(|_| panic!("{group} stays {:?}", balancer.group_state(&id(group))))
}

pub(crate) async fn becomes_state(balancer: &Balancer, group: &str, state: &str) {
    becomes(balancer, group, |group| state_of(group, "t1") == state).await;
}

/// A target's state as AWS's console has it, or `gone`.
pub(crate) fn state_of(group: &GroupState, target: &str) -> String {
    let found = group.targets.iter().find(|status| status.target.id == target);
    found.map_or_else(|| "gone".to_owned(), |status| status.state.to_string())
}

/// What a target remembers and what it is told to do.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) health: AtomicU16,
    pub(crate) requests: AtomicU64,
    pub(crate) checks: AtomicU64,
    pub(crate) produced: AtomicU64,
    /// Of uploads.
    pub(crate) received: AtomicU64,
    /// The most that was produced and not yet received.
    pub(crate) most_ahead: AtomicU64,
    pub(crate) connections: AtomicU64,
    /// `/slow` has arrived.
    pub(crate) arrived: Semaphore,
    /// `/slow` may go on.
    pub(crate) go_on: Semaphore,
    pub(crate) last_check: Mutex<HeaderMap>,
}

impl Told {
    fn new() -> Self {
        Self {
            health: AtomicU16::new(200),
            requests: AtomicU64::new(0),
            checks: AtomicU64::new(0),
            produced: AtomicU64::new(0),
            received: AtomicU64::new(0),
            most_ahead: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            arrived: Semaphore::new(0),
            go_on: Semaphore::new(0),
            last_check: Mutex::default(),
        }
    }
}

/// A real HTTP server that answers by path.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    pub(crate) told: Arc<Told>,
    server: JoinHandle<()>,
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.server.abort();
    }
}

type OriginBody = BoxBody<Bytes, Infallible>;

fn full(text: impl Into<Bytes>) -> OriginBody {
    Full::new(text.into()).boxed()
}

impl Origin {
    pub(crate) async fn start(name: &str) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let told = Arc::new(Told::new());
        let (name, seen) = (Arc::<str>::from(name), Arc::clone(&told));
        let server = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                seen.connections.fetch_add(1, SeqCst);
                stream.set_nodelay(true).unwrap();
                let (name, told) = (Arc::clone(&name), Arc::clone(&seen));
                let service = service_fn(move |request| respond(Arc::clone(&name), Arc::clone(&told), request));
                connections.spawn(async move {
                    let server = hyper::server::conn::http1::Builder::new();
                    let _ = server
                        .serve_connection(TokioIo::new(stream), service)
                        .with_upgrades()
                        .await;
                });
            }
        });
        Self { address, told, server }
    }

    pub(crate) fn target(&self, id: &str) -> Target {
        Target {
            id: id.to_owned(),
            address: self.address,
        }
    }
}

async fn respond(
    name: Arc<str>,
    told: Arc<Told>,
    request: Request<Incoming>,
) -> Result<Response<OriginBody>, std::io::Error> {
    let path = request.uri().path().to_owned();
    if path == "/health" {
        told.last_check.lock().unwrap().clone_from(request.headers());
        told.checks.fetch_add(1, SeqCst);
        let mut response = Response::new(full(""));
        *response.status_mut() = StatusCode::from_u16(told.health.load(SeqCst)).unwrap();
        return Ok(response);
    }
    told.requests.fetch_add(1, SeqCst);
    let (first, rest) = path
        .trim_start_matches('/')
        .split_once('/')
        .unwrap_or((path.trim_start_matches('/'), ""));
    Ok(match first {
        "echo" => {
            let mut lines = format!("{} {} {:?}\n", request.method(), request.uri(), request.version());
            for (name, value) in request.headers() {
                lines += &format!("{name}: {}\n", value.to_str().unwrap());
            }
            Response::new(full(lines))
        }
        "slow" => {
            told.arrived.add_permits(1);
            told.go_on.acquire().await.unwrap().forget();
            Response::new(full(format!("{name} at last")))
        }
        "hang" => std::future::pending().await,
        "drop" => return Err(std::io::ErrorKind::ConnectionAborted.into()),
        "upload" => {
            let mut body = request.into_body();
            let mut bytes = 0;
            while let Some(frame) = body.frame().await {
                let size = frame.map_err(std::io::Error::other)?.data_ref().map_or(0, Bytes::len);
                told.received.fetch_add(size as u64, SeqCst);
                bytes += size;
                tokio::task::yield_now().await;
            }
            Response::new(full(bytes.to_string()))
        }
        "download" => Response::new(
            Chunks {
                left: rest.parse().unwrap(),
                told,
            }
            .boxed(),
        ),
        "status" => {
            let mut response = Response::new(full(if rest == "204" || rest == "304" {
                ""
            } else {
                "some text"
            }));
            *response.status_mut() = rest.parse().unwrap();
            response
        }
        "socket" => reverse_four_bytes_at_a_time(request),
        _ => {
            let mut response = Response::new(full(name.to_string()));
            response.headers_mut().insert("connection", "x-inner".parse().unwrap());
            response.headers_mut().insert("x-inner", "1".parse().unwrap());
            response
        }
    })
}

/// Speaks a protocol of its own after the upgrade: four bytes come back in reverse order.
fn reverse_four_bytes_at_a_time(request: Request<Incoming>) -> Response<OriginBody> {
    let upgrade = hyper::upgrade::on(request);
    tokio::spawn(async move {
        let mut io = TokioIo::new(upgrade.await.unwrap());
        let mut bytes = [0; 4];
        while io.read_exact(&mut bytes).await.is_ok() {
            bytes.reverse();
            io.write_all(&bytes).await.unwrap();
        }
    });
    let mut response = Response::new(full(""));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert("connection", "upgrade".parse().unwrap());
    response.headers_mut().insert("upgrade", "reverse".parse().unwrap());
    response
}

/// So many bytes, in chunks, counted as they are asked for.
struct Chunks {
    left: usize,
    told: Arc<Told>,
}

pub(crate) const CHUNK: usize = 64 * 1024;

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let size = self.left.min(CHUNK);
        self.left -= size;
        let produced = self.told.produced.fetch_add(size as u64, SeqCst) + size as u64;
        let ahead = produced.saturating_sub(self.told.received.load(SeqCst));
        self.told.most_ahead.fetch_max(ahead, SeqCst);
        let chunk = Bytes::from_static(&[b'x'; CHUNK]).slice(..size);
        Poll::Ready((size > 0).then(|| Ok(Frame::data(chunk))))
    }
}

/// A target that answers every read with the same bytes, whatever they are, and then closes if told so.
pub(crate) async fn says(bytes: &'static str, closes: bool) -> Target {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut read = [0; 4096];
                while matches!(stream.read(&mut read).await, Ok(1..)) {
                    if stream.write_all(bytes.as_bytes()).await.is_err() || closes {
                        return;
                    }
                }
            });
        }
    });
    Target {
        id: "t1".to_owned(),
        address,
    }
}

/// An answer with its whole body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// A client with one connection that it keeps, and that never retries.
#[derive(Debug)]
pub(crate) struct Caller {
    sender: hyper::client::conn::http1::SendRequest<OriginBody>,
    _driver: JoinHandle<()>,
}

impl Caller {
    pub(crate) async fn connect(balancer: &Balancer) -> Self {
        let stream = TcpStream::connect(balancer.address()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, driver) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        let driver = tokio::spawn(async move {
            let _ = driver.await;
        });
        Self {
            sender,
            _driver: driver,
        }
    }

    pub(crate) async fn start(&mut self, request: Request<OriginBody>) -> Result<Response<Incoming>, hyper::Error> {
        self.sender.ready().await?;
        self.sender.send_request(request).await
    }

    pub(crate) async fn try_get(&mut self, path: &str) -> Result<Answer, hyper::Error> {
        self.send(get(path, &[])).await
    }

    pub(crate) async fn send(&mut self, request: Request<OriginBody>) -> Result<Answer, hyper::Error> {
        let (parts, body) = self.start(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        Ok(Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body,
        })
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.try_get(path).await.unwrap()
    }
}

pub(crate) fn get(path: &str, headers: &[(&str, &str)]) -> Request<OriginBody> {
    request("GET", path, headers, full(""))
}

pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: OriginBody) -> Request<OriginBody> {
    let mut request = Request::builder().method(method).uri(path);
    if !headers.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", "shop.example.com");
    }
    headers
        .iter()
        .fold(request, |request, (name, value)| request.header(*name, *value))
        .body(body)
        .unwrap()
}

pub(crate) fn some_bytes(count: usize) -> OriginBody {
    counted_bytes(count, &Arc::new(Told::new()))
}

/// Counts in `told` how far the sender is ahead of the receiver.
pub(crate) fn counted_bytes(count: usize, told: &Arc<Told>) -> OriginBody {
    Chunks {
        left: count,
        told: Arc::clone(told),
    }
    .boxed()
}

pub(crate) async fn get_once(balancer: &Balancer, path: &str) -> Answer {
    Caller::connect(balancer).await.get(path).await
}

/// Sends bytes as they are, and reads until the balancer closes.
pub(crate) async fn raw(balancer: &Balancer, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(balancer.address()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    read_all(&mut stream).await
}

pub(crate) async fn read_all(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    // A reset after the answer still leaves the answer.
    let _ = tokio::time::timeout(PATIENCE, reading)
        .await
        .expect("the balancer should have closed");
    String::from_utf8_lossy(&answer).into_owned()
}

/// Reads until the text has come.
pub(crate) async fn read_until(stream: &mut TcpStream, wanted: &str) -> String {
    let mut answer = Vec::new();
    let reading = async {
        while !String::from_utf8_lossy(&answer).contains(wanted) {
            assert!(
                stream.read_buf(&mut answer).await.unwrap() > 0,
                "closed after {answer:?}"
            );
        }
    };
    tokio::time::timeout(PATIENCE, reading)
        .await
        .expect("the text should have come");
    String::from_utf8(answer).unwrap()
}
