//! The service over real sockets on loopback.

use std::future::pending;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::*;

struct Running {
    address: SocketAddr,
    control: DuplexStream,
    stop: Arc<Notify>,
    ended: JoinHandle<io::Result<()>>,
    client: Client<HttpConnector, Full<Bytes>>,
}

async fn start(change: impl FnOnce(&mut SampleConfig)) -> Running {
    let mut config = SampleConfig::healthy("1.0", SocketAddr::from(([127, 0, 0, 1], 0)));
    config.base_error_share = 0.0;
    config.lifeline = Lifeline::Control;
    change(&mut config);
    let listener = TcpListener::bind(config.listen).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (control, theirs) = tokio::io::duplex(1024);
    let stop = Arc::new(Notify::new());
    let stopped = Arc::clone(&stop);
    let ended = tokio::spawn(serve(listener, config, theirs, async move { stopped.notified().await }));
    Running {
        address,
        control,
        stop,
        ended,
        client: Client::builder(TokioExecutor::new()).build_http(),
    }
}

impl Running {
    async fn send(&self, method: &str, path: &str, body: impl Into<Bytes>) -> (StatusCode, String) {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address))
            .body(Full::new(body.into()))
            .unwrap();
        let answer = self.client.request(request).await.unwrap();
        let status = answer.status();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn check(&self, method: &str, path: &str, body: &str, expected: u16) -> Value {
        let (status, text) = self.send(method, path, body.to_owned()).await;
        assert_eq!(status.as_u16(), expected, "{method} {path}: {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }
}

#[tokio::test]
async fn documents_and_exports_arrive_whole() {
    let service = start(|config| config.base_error_share = 1.0).await;
    let taken = service.check("PUT", "/api/documents/7", "abc", 200).await;
    assert_eq!(
        (taken["bytes"].as_u64(), taken["version"].as_str()),
        (Some(3), Some("1.0"))
    );
    let (status, text) = service.send("GET", "/api/export?bytes=100&over_ms=20", "").await;
    assert_eq!((status.as_u16(), text.len()), (200, 100));
    service.check("GET", "/api/export?bytes=16777217", "", 400).await;
    service.check("GET", "/api/export?over_ms=30001", "", 400).await;
    service.check("GET", "/api/documents/7", "", 405).await;
    service.check("PUT", "/api/export", "", 405).await;
}

#[tokio::test]
async fn a_bad_release_fails_transfers_too() {
    let service = start(|config| config.error_share = 1.0).await;
    service.check("PUT", "/api/documents/7", "abc", 500).await;
    service.check("GET", "/api/export?bytes=1", "", 500).await;
}

#[tokio::test]
async fn every_route_answers_json() {
    let service = start(|_| {}).await;
    assert_eq!(service.check("GET", "/version", "", 200).await["version"], "1.0");
    assert_eq!(service.check("GET", "/", "", 200).await["version"], "1.0");
    assert_eq!(service.check("GET", "/health", "", 200).await["status"], "ok");
    assert_eq!(
        service.check("GET", "/api/records?limit=3", "", 200).await["records"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    assert_eq!(service.check("GET", "/api/records/17", "", 200).await["id"], 17);
    assert_eq!(
        service.check("GET", "/api/patients/8/chart", "", 200).await["patient"],
        8
    );
    assert_eq!(
        service.check("POST", "/api/records", r#"{"reason":"x"}"#, 201).await["id"],
        10_001
    );
}

#[tokio::test]
async fn bad_requests_are_told_why() {
    let service = start(|_| {}).await;
    service.check("GET", "/api/records?limit=0", "", 400).await;
    service.check("GET", "/api/records?limit=many", "", 400).await;
    service.check("GET", "/api/records/0", "", 404).await;
    service.check("GET", "/api/records/10001", "", 404).await;
    service.check("GET", "/nowhere", "", 404).await;
    service.check("DELETE", "/api/records/1", "", 405).await;
    service.check("POST", "/api/records", "[1]", 400).await;
    let large = format!("{{\"note\":\"{}\"}}", "x".repeat(300_000));
    let error = service.check("POST", "/api/records", &large, 413).await;
    assert_eq!(error["error"], "a record has at most 256 KiB");
}

#[tokio::test(start_paused = true)]
async fn health_waits_for_the_start_up() {
    let service = routes::Service::new(SampleConfig {
        start_up: Duration::from_millis(500),
        ..SampleConfig::healthy("1", SocketAddr::from(([127, 0, 0, 1], 0)))
    });
    let health = async || {
        let request = Request::builder()
            .uri("/health")
            .body(Full::<Bytes>::default())
            .unwrap();
        service.answer(request).await.status().as_u16()
    };
    assert_eq!(health().await, 503);
    tokio::time::advance(Duration::from_millis(499)).await;
    assert_eq!(health().await, 503);
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(health().await, 200);
}

#[tokio::test(start_paused = true)]
async fn extra_latency_delays_users_and_not_probes() {
    let service = routes::Service::new(SampleConfig {
        extra_latency: Duration::from_millis(150),
        error_share: 1.0,
        ..SampleConfig::healthy("1", SocketAddr::from(([127, 0, 0, 1], 0)))
    });
    let took = async |path: &str| {
        let before = tokio::time::Instant::now();
        let request = Request::builder().uri(path).body(Full::<Bytes>::default()).unwrap();
        (
            service.answer(request).await.status().as_u16(),
            before.elapsed().as_millis(),
        )
    };
    let (status, ms) = took("/api/records").await;
    assert_eq!(status, 500);
    assert!((153..=159).contains(&ms), "{ms} ms");
    assert_eq!(took("/health").await, (200, 0));
    assert_eq!(took("/metrics").await, (200, 0));
    assert_eq!(took("/version").await, (200, 0));
}

#[tokio::test]
async fn faults_change_while_running_and_metrics_tell() {
    let mut service = start(|config| config.base_latency = Duration::ZERO).await;
    service.check("GET", "/api/records/1", "", 200).await;
    service.control.write_all(b"{\"error_share\":1}\n").await.unwrap();
    // The line is read by another task; it is in force once an answer fails.
    while service.send("GET", "/api/records/1", "").await.0 == StatusCode::OK {}
    service.check("GET", "/api/records/2", "", 500).await;
    service.check("GET", "/health", "", 200).await;
    let (_, text) = service.send("GET", "/metrics", "").await;
    assert!(
        text.contains(r#"http_requests_total{method="GET",code="500",path="/api/records/{id}"} 2"#),
        "{text}"
    );
    assert!(!text.contains("/health"), "{text}");
}

#[tokio::test]
async fn the_end_of_the_control_channel_ends_the_service_at_once() {
    let service = start(|_| {}).await;
    drop(service.control);
    service.ended.await.unwrap().unwrap();
}

#[tokio::test]
async fn stopping_finishes_the_request_in_flight_and_refuses_new_ones() {
    let service = Arc::new(start(|config| config.extra_latency = Duration::from_millis(300)).await);
    let slow = tokio::spawn({
        let service = Arc::clone(&service);
        async move { service.send("GET", "/api/records/1", "").await.0 }
    });
    while !service.send("GET", "/metrics", "").await.1.contains("in_flight 1\n") {}
    service.stop.notify_one();
    while TcpStream::connect(service.address).await.is_ok() {}
    assert_eq!(slow.await.unwrap(), StatusCode::OK);
}

#[tokio::test]
async fn the_bound_address_is_published_whole() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("address");
    publish_address(&file, SocketAddr::from(([127, 0, 0, 1], 4321))).unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "127.0.0.1:4321\n");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn in_a_container_a_closed_standard_input_means_nothing() {
    let config = SampleConfig::healthy("1", SocketAddr::from(([127, 0, 0, 1], 0)));
    let listener = TcpListener::bind(config.listen).await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = tokio::spawn(serve(listener, config, tokio::io::empty(), pending()));
    assert!(TcpStream::connect(address).await.is_ok());
    assert!(!service.is_finished());
    service.abort();
}
