//! A load client of our own: an open schedule of requests, keep-alive and fresh connections, every response counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior};

/// A response that takes longer counts as lost.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// What came of the requests.
#[derive(Debug, Default)]
pub struct Counts {
    pub sent: AtomicU64,
    pub good: AtomicU64,
    /// Answers with status 500 and above.
    pub bad: AtomicU64,
    /// No complete answer: refused, reset, cut off, too slow.
    pub lost: AtomicU64,
}

impl Counts {
    /// Requests that a user would have seen fail.
    pub fn failed(&self) -> u64 {
        self.bad.load(Ordering::SeqCst) + self.lost.load(Ordering::SeqCst)
    }
}

/// A running load.
pub struct Load {
    stop: Arc<AtomicBool>,
    pub counts: Arc<Counts>,
    lanes: Vec<tokio::task::JoinHandle<()>>,
}

/// Lanes that send in turn; each keeps a connection or makes a fresh one per request.
const LANES: u32 = 30;

impl Load {
    /// Sends `per_s` requests a second to `address` until stopped; every third lane uses a fresh connection each time.
    pub fn start(address: &str, per_s: u32) -> Self {
        let (stop, counts) = (Arc::new(AtomicBool::new(false)), Arc::new(Counts::default()));
        let begin = Instant::now();
        let lanes = (0..LANES)
            .map(|lane| {
                let each = Duration::from_secs_f64(f64::from(LANES) / f64::from(per_s));
                let offset = each.mul_f64(f64::from(lane) / f64::from(LANES));
                let (address, stop, counts) = (address.to_owned(), stop.clone(), counts.clone());
                tokio::spawn(async move {
                    let mut ticks = tokio::time::interval_at(begin + offset, each);
                    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
                    let mut kept = None;
                    while !stop.load(Ordering::SeqCst) {
                        ticks.tick().await;
                        if lane % 3 == 0 {
                            kept = None;
                        }
                        counts.sent.fetch_add(1, Ordering::SeqCst);
                        kept = count(&address, lane, kept, &counts).await;
                    }
                })
            })
            .collect();
        Self { stop, counts, lanes }
    }

    /// Stops, and waits for every answer that is still due.
    pub async fn stop(self) -> Arc<Counts> {
        self.stop.store(true, Ordering::SeqCst);
        for lane in self.lanes {
            lane.await.unwrap();
        }
        self.counts
    }
}

const SERVING_MAX: Duration = Duration::from_secs(15);
/// Under each share of a walk.
const REQUESTS_PER_STATE: u64 = 250;

/// Deploys, walks through the shares 5, 25, 0 and 10, destroys and proves, so many times, under 300 requests a second.
pub fn cycles_under_load(cycles: u32, destroyed_max: Duration) -> Arc<Counts> {
    let arya = crate::Arya::start(&["--load", "0"]);
    let address = arya
        .balancer()
        .trim_start_matches("http://")
        .trim_end_matches('/')
        .to_owned();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let load = runtime.block_on(async { Load::start(&address, 300) });
    // Each state is held until it has seen traffic; a walk that nobody uses would prove nothing.
    let until_used = || {
        let before = load.counts.sent.load(Ordering::SeqCst);
        while load.counts.sent.load(Ordering::SeqCst) < before + REQUESTS_PER_STATE {
            std::thread::park_timeout(Duration::from_millis(20));
        }
    };
    for cycle in 0..cycles {
        let deployment = arya.deploy(&arya.spec(&format!("cycle {cycle}"), "canary", 5.0));
        deployment.wait_phase("serving", SERVING_MAX);
        until_used();
        for share in [25.0, 0.0, 10.0] {
            deployment.set_share(share);
            until_used();
        }
        deployment.destroy_and_prove(destroyed_max);
        until_used();
    }
    runtime.block_on(load.stop())
}

type Connection = http1::SendRequest<Full<Bytes>>;

async fn count(address: &str, lane: u32, kept: Option<Connection>, counts: &Counts) -> Option<Connection> {
    match tokio::time::timeout(ANSWER_MAX, exchange(address, lane, kept)).await {
        Ok(Ok((status, connection))) => {
            let outcome = if (200..500).contains(&status) {
                &counts.good
            } else {
                &counts.bad
            };
            outcome.fetch_add(1, Ordering::SeqCst);
            Some(connection)
        }
        Ok(Err(error)) => {
            eprintln!("lost: {error}");
            counts.lost.fetch_add(1, Ordering::SeqCst);
            None
        }
        Err(_) => {
            counts.lost.fetch_add(1, Ordering::SeqCst);
            None
        }
    }
}

/// Connects to a host and port.
pub async fn connect(address: &str) -> Result<Connection, Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn exchange(
    address: &str,
    lane: u32,
    kept: Option<Connection>,
) -> Result<(u16, Connection), Box<dyn std::error::Error + Send + Sync>> {
    let mut kept = kept;
    let usable = match &mut kept {
        // A server may close an idle connection at any time; a client that notices opens another.
        Some(connection) => connection.ready().await.is_ok(),
        None => false,
    };
    let mut connection = match kept {
        Some(connection) if usable => connection,
        Some(_) | None => connect(address).await?,
    };
    let posts = lane % 5 == 4;
    let body = if posts {
        Bytes::from_static(b"{\"patient\":7,\"note\":\"seen\"}")
    } else {
        Bytes::new()
    };
    let request = hyper::Request::builder()
        .method(if posts { "POST" } else { "GET" })
        // The sample never fails here by design (records fail now and then), so every failure is the balancer's.
        .uri("/version")
        .header("host", "emr.example.com")
        .header("content-type", "application/json")
        .body(Full::new(body))?;
    let response = connection.send_request(request).await?;
    let status = response.status().as_u16();
    response.into_body().collect().await?;
    Ok((status, connection))
}

/// Which version answered `count` requests, by their `/version`; connections are kept, cookies are as given.
pub async fn versions(address: &str, count: usize, cookie: Option<&str>) -> std::collections::BTreeMap<String, usize> {
    let mut seen = std::collections::BTreeMap::new();
    let mut connection = connect(address).await.unwrap();
    for _ in 0..count {
        if connection.ready().await.is_err() {
            connection = connect(address).await.unwrap();
        }
        let mut request = hyper::Request::builder()
            .uri("/version")
            .header("host", "emr.example.com");
        if let Some(cookie) = cookie {
            request = request.header("cookie", cookie);
        }
        let response = connection
            .send_request(request.body(Full::default()).unwrap())
            .await
            .unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        *seen.entry(String::from_utf8_lossy(&body).into_owned()).or_default() += 1;
    }
    seen
}
