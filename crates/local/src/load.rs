//! Background traffic for `try`: a steady number of requests a second, whether they are answered or not.
//!
//! An open loop: the schedule decides when a request leaves, never the answer to the last one, so that a slow canary
//! cannot hide by slowing its users. Must never know what is behind the address.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, MissedTickBehavior};

/// Due requests are sent this often: 100 requests a second leave one at a time.
const BEAT: Duration = Duration::from_millis(10);
/// Connections that are kept open between requests, as the pool of a few real clients would.
const KEPT_CONNECTIONS: usize = 16;
/// Each request of this number opens a connection of its own.
const FRESH_EVERY: u64 = 25;
/// Idle connections are closed after this: well before a load balancer does (60 s), so that no request meets a
/// connection that is just being closed.
const KEPT_FOR: Duration = Duration::from_secs(15);
/// A request without an answer is given up after this; the load balancer itself answers 504 after 60 s at most.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// More requests than this under way mean that nobody answers; further ones are counted and not sent.
const UNDER_WAY_LIMIT: usize = 2_000;
/// Requests a second that one machine can send and serve without measuring itself.
pub const RATE_LIMIT: u32 = 2_000;
/// After a pause (a laptop that slept) at most this much of the schedule is made up for.
const CATCH_UP: Duration = Duration::from_millis(200);

/// What to send and where.
#[derive(Debug, Clone)]
pub struct LoadSettings {
    /// The load balancer; it need not listen yet.
    pub address: SocketAddr,
    /// Requests a second, at most [`RATE_LIMIT`].
    pub rate: u32,
    /// The `Host` header.
    pub host: String,
}

impl LoadSettings {
    /// 100 requests a second for `emr.example.com`.
    #[must_use]
    pub fn to(address: SocketAddr) -> Self {
        Self {
            address,
            rate: 100,
            host: "emr.example.com".to_owned(),
        }
    }
}

/// Running background traffic; it ends when this is dropped.
#[derive(Debug)]
pub struct Load {
    rate: watch::Sender<u32>,
    counters: Arc<Counters>,
    running: tokio::task::JoinHandle<()>,
}

/// What has become of the requests so far. Every request sent ends in exactly one of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct LoadCounts {
    /// Requests that left, including those under way.
    pub sent: u64,
    /// Answers by the first digit of the status.
    pub status_2xx: u64,
    /// Redirections.
    pub status_3xx: u64,
    /// Refused as the client's mistake.
    pub status_4xx: u64,
    /// Failed at the server or the balancer.
    pub status_5xx: u64,
    /// No connection could be made.
    pub failed: u64,
    /// The connection ended before the answer was whole.
    pub reset: u64,
    /// No whole answer within ten seconds.
    pub timed_out: u64,
    /// Not sent, because too many were under way.
    pub skipped: u64,
}

#[derive(Debug, Default)]
struct Counters {
    sent: AtomicU64,
    by_class: [AtomicU64; 4],
    failed: AtomicU64,
    reset: AtomicU64,
    timed_out: AtomicU64,
    skipped: AtomicU64,
}

/// How a request ended without an answer.
enum Lost {
    NoConnection,
    Reset,
}

type Http = Client<HttpConnector, Full<Bytes>>;

struct Sender {
    settings: LoadSettings,
    host: HeaderValue,
    kept: Http,
    fresh: Http,
    counters: Arc<Counters>,
}

impl Load {
    /// Starts sending at once. Needs a tokio runtime.
    ///
    /// # Errors
    /// The host cannot stand in a header.
    pub fn start(settings: LoadSettings) -> Result<Self, http::header::InvalidHeaderValue> {
        let host = HeaderValue::try_from(settings.host.as_str())?;
        let counters = Arc::new(Counters::default());
        let (rate, wanted) = watch::channel(settings.rate.min(RATE_LIMIT));
        let sender = Sender {
            settings,
            host,
            kept: client(KEPT_CONNECTIONS),
            fresh: client(0),
            counters: Arc::clone(&counters),
        };
        Ok(Self {
            rate,
            counters,
            running: tokio::spawn(keep_sending(Arc::new(sender), wanted)),
        })
    }

    /// Changes the requests a second from now on; 0 pauses, more than [`RATE_LIMIT`] is taken for it.
    pub fn set_rate(&self, rate: u32) {
        self.rate.send_replace(rate.min(RATE_LIMIT));
    }

    /// The requests a second asked for.
    #[must_use]
    pub fn rate(&self) -> u32 {
        *self.rate.borrow()
    }

    /// What has become of the requests so far.
    #[must_use]
    pub fn counts(&self) -> LoadCounts {
        self.counters.read()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.running.abort();
    }
}

impl Counters {
    fn read(&self) -> LoadCounts {
        let now = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let [status_2xx, status_3xx, status_4xx, status_5xx] = self.by_class.each_ref().map(now);
        LoadCounts {
            sent: now(&self.sent),
            status_2xx,
            status_3xx,
            status_4xx,
            status_5xx,
            failed: now(&self.failed),
            reset: now(&self.reset),
            timed_out: now(&self.timed_out),
            skipped: now(&self.skipped),
        }
    }
}

/// Sends what is due at each beat. What cannot be sent any more after a pause is forgotten, not made up for.
async fn keep_sending(sender: Arc<Sender>, mut rate: watch::Receiver<u32>) {
    let places = Arc::new(Semaphore::new(UNDER_WAY_LIMIT));
    let mut requests = tokio::task::JoinSet::new();
    let mut beats = tokio::time::interval(BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut last, mut due, mut number) = (Instant::now(), 0.0_f64, 0_u64);
    loop {
        let now = beats.tick().await;
        let passed = now.duration_since(last).min(CATCH_UP);
        last = now;
        due += passed.as_secs_f64() * f64::from(*rate.borrow_and_update());
        while due >= 1.0 {
            due -= 1.0;
            number += 1;
            match Arc::clone(&places).try_acquire_owned() {
                Ok(place) => {
                    let sender = Arc::clone(&sender);
                    sender.counters.sent.fetch_add(1, Ordering::Relaxed);
                    requests.spawn(async move {
                        sender.send(number).await;
                        drop(place);
                    });
                }
                Err(_) => _ = sender.counters.skipped.fetch_add(1, Ordering::Relaxed),
            }
        }
        // Finished ones are taken out so that the set does not grow; the others end with it.
        while requests.try_join_next().is_some() {}
    }
}

impl Sender {
    async fn send(&self, number: u64) {
        let counter = match tokio::time::timeout(REQUEST_TIMEOUT, self.exchange(number)).await {
            Err(_) => &self.counters.timed_out,
            Ok(Err(Lost::NoConnection)) => &self.counters.failed,
            Ok(Err(Lost::Reset)) => &self.counters.reset,
            // 1xx never ends an exchange; were it to, it would be no success.
            Ok(Ok(status)) => &self.counters.by_class[usize::from(status / 100).clamp(2, 5) - 2],
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    async fn exchange(&self, number: u64) -> Result<u16, Lost> {
        let http = if number.is_multiple_of(FRESH_EVERY) {
            &self.fresh
        } else {
            &self.kept
        };
        let request = self.request(number).map_err(|_| Lost::NoConnection)?;
        let answer = http.request(request).await.map_err(|error: ClientError| {
            if error.is_connect() {
                Lost::NoConnection
            } else {
                Lost::Reset
            }
        })?;
        let status = answer.status().as_u16();
        let mut body = answer.into_body();
        // Read and dropped piece by piece: only that it arrives whole matters.
        while let Some(frame) = body.frame().await {
            frame.map_err(|_| Lost::Reset)?;
        }
        Ok(status)
    }

    /// The mix of a working day in a practice: mostly single records and lists, some charts, one entry in ten.
    fn request(&self, number: u64) -> http::Result<Request<Full<Bytes>>> {
        // A fixed stride that shares no factor with the ids visits them all in a scattered order.
        let id = 1 + number.wrapping_mul(7_919) % 10_000;
        let (method, path, body) = match number % 10 {
            0 => (
                Method::POST,
                "/api/records".to_owned(),
                r#"{"patient":17,"reason":"follow-up","pulse_per_minute":71}"#,
            ),
            1 | 5 | 8 => (Method::GET, "/api/records?limit=20".to_owned(), ""),
            3 | 7 => (Method::GET, format!("/api/patients/{}/chart", 1 + id % 2_500), ""),
            _ => (Method::GET, format!("/api/records/{id}"), ""),
        };
        Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.settings.address))
            .header(HOST, &self.host)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from_static(body.as_bytes())))
    }
}

fn client(kept_connections: usize) -> Http {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(REQUEST_TIMEOUT));
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(KEPT_FOR)
        .pool_max_idle_per_host(kept_connections)
        .build(connector)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use http::Response;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    use tokio::net::TcpListener;

    use super::*;

    /// What arrived: method, path without numbers, host.
    type Arrived = Arc<Mutex<Vec<(String, String, String)>>>;

    async fn server(status: u16) -> (SocketAddr, Arrived) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let arrived = Arrived::default();
        let seen = Arc::clone(&arrived);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let seen = Arc::clone(&seen);
                let answer = service_fn(move |request: Request<hyper::body::Incoming>| {
                    let path = request.uri().path().replace(|c: char| c.is_ascii_digit(), "");
                    let host = request.headers()[HOST].to_str().unwrap().to_owned();
                    seen.lock().unwrap().push((request.method().to_string(), path, host));
                    let answer = Response::builder()
                        .status(status)
                        .body(Full::new(Bytes::from_static(b"{}")));
                    async move { answer }
                });
                tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
            }
        });
        (address, arrived)
    }

    async fn until(load: &Load, enough: impl Fn(LoadCounts) -> bool) -> LoadCounts {
        let mut beats = tokio::time::interval(BEAT);
        loop {
            beats.tick().await;
            let counts = load.counts();
            if enough(counts) {
                return counts;
            }
        }
    }

    #[tokio::test]
    async fn every_kind_of_request_arrives_for_the_host() {
        let (address, arrived) = server(200).await;
        let load = Load::start(LoadSettings {
            rate: 1_000,
            ..LoadSettings::to(address)
        })
        .unwrap();
        let counts = until(&load, |counts| counts.status_2xx >= 100).await;
        assert_eq!((counts.failed, counts.reset, counts.status_5xx), (0, 0, 0));
        let arrived = arrived.lock().unwrap();
        assert!(arrived.iter().all(|(_, _, host)| host == "emr.example.com"));
        for (method, path) in [
            ("POST", "/api/records"),
            ("GET", "/api/records"),
            ("GET", "/api/records/"),
            ("GET", "/api/patients//chart"),
        ] {
            assert!(
                arrived.iter().any(|(m, p, _)| m == method && p == path),
                "no {method} {path}"
            );
        }
    }

    #[tokio::test]
    async fn answers_are_counted_by_class() {
        let (address, _) = server(503).await;
        let load = Load::start(LoadSettings {
            rate: 1_000,
            ..LoadSettings::to(address)
        })
        .unwrap();
        let counts = until(&load, |counts| counts.status_5xx >= 10).await;
        assert_eq!(counts.status_2xx, 0);
    }

    #[tokio::test]
    async fn nobody_listening_is_counted_until_somebody_does() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let load = Load::start(LoadSettings {
            rate: 500,
            ..LoadSettings::to(address)
        })
        .unwrap();
        let counts = until(&load, |counts| counts.failed >= 5).await;
        assert_eq!(counts.status_2xx, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_schedule_keeps_the_rate_and_follows_its_changes() {
        // Nothing is answered here; what leaves is counted all the same.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let load = Load::start(LoadSettings::to(listener.local_addr().unwrap())).unwrap();
        let mut seconds = tokio::time::interval(Duration::from_secs(1));
        seconds.tick().await;
        let mut sent = Vec::new();
        for rate in [100, 0, 40] {
            load.set_rate(rate);
            let before = load.counts().sent;
            seconds.tick().await;
            sent.push(load.counts().sent - before);
        }
        assert!(
            sent[0].abs_diff(100) <= 2 && sent[1] <= 2 && sent[2].abs_diff(40) <= 2,
            "{sent:?}"
        );
        load.set_rate(1_000_000);
        assert_eq!(load.rate(), RATE_LIMIT);
    }

    #[tokio::test]
    async fn dropping_it_ends_the_traffic() {
        let (address, arrived) = server(200).await;
        let load = Load::start(LoadSettings {
            rate: 1_000,
            ..LoadSettings::to(address)
        })
        .unwrap();
        until(&load, |counts| counts.status_2xx >= 5).await;
        let counters = Arc::downgrade(&load.counters);
        drop(load);
        // The task and all its requests hold the counters; once they are gone nothing can be sent.
        let mut beats = tokio::time::interval(BEAT);
        while counters.strong_count() > 0 {
            beats.tick().await;
        }
        assert!(!arrived.lock().unwrap().is_empty());
    }

    #[test]
    fn a_host_that_is_no_header_is_refused() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _inside = runtime.enter();
        Load::start(LoadSettings {
            host: "a\nb".to_owned(),
            ..LoadSettings::to("127.0.0.1:1".parse().unwrap())
        })
        .unwrap_err();
    }
}
