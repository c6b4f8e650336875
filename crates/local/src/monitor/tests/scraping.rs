//! Targets on loopback.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::*;

/// Answers the texts one after the other, the last one for ever; an empty one is a 500.
async fn target(texts: &'static [&'static str]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let asked = Arc::clone(&asked);
            let answer = service_fn(move |_| {
                let text = texts[asked.fetch_add(1, Ordering::Relaxed).min(texts.len() - 1)];
                let mut answer = Response::new(Full::new(Bytes::from(text)));
                if text.is_empty() {
                    *answer.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
                }
                async move { Ok::<_, std::convert::Infallible>(answer) }
            });
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
        }
    });
    address
}

fn named(address: SocketAddr) -> ScrapeTarget {
    let labels = [("arm", "canary"), ("version", "1.1"), ("instance", "i-1")];
    ScrapeTarget {
        job: "app".to_owned(),
        address,
        path: "/metrics".to_owned(),
        labels: labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
    }
}

/// Each look at this clock is a second later, so that rounds never share a moment.
fn ticking() -> Settings {
    fn now() -> Timestamp {
        static LOOKS: AtomicUsize = AtomicUsize::new(0);
        at(1_700_000_000_000 + LOOKS.fetch_add(1, Ordering::Relaxed) as i64)
    }
    Settings {
        now,
        ..Settings::default()
    }
}

fn seen(monitor: &Monitor, query: &str) -> Vec<f64> {
    monitor.query(query, (monitor.0.settings.now)()).unwrap().numbers()
}

#[tokio::test]
async fn a_target_s_series_carry_its_labels() {
    let monitor = Monitor::new(ticking());
    let address = target(&["x{arm=\"mine\",code=\"200\"} 7\n"]).await;
    monitor.set_targets("d", vec![named(address)]).unwrap();
    monitor.scrape_once().await;
    let all = "x{arm=\"canary\",exported_arm=\"mine\",code=\"200\",job=\"app\",instance=\"i-1\",version=\"1.1\"}";
    assert_eq!(seen(&monitor, all), [7.0]);
    assert_eq!(seen(&monitor, "up{arm=\"canary\"}"), [1.0]);
    assert_eq!(seen(&monitor, "scrape_samples_scraped"), [1.0]);
    assert_eq!(seen(&monitor, "scrape_duration_seconds >= 0").len(), 1);
}

#[tokio::test]
async fn a_failed_scrape_ends_the_series_and_says_down() {
    let monitor = Monitor::new(ticking());
    monitor
        .set_targets("d", vec![named(target(&["x 7\n", "", "broken{\n"]).await)])
        .unwrap();
    monitor.scrape_once().await;
    assert_eq!(seen(&monitor, "x"), [7.0]);
    for reason in ["HTTP status 500", "line 1"] {
        monitor.scrape_once().await;
        assert_eq!((seen(&monitor, "up"), seen(&monitor, "x")), (vec![0.0], vec![]));
        let error = monitor
            .targets()
            .iter()
            .next()
            .unwrap()
            .1
            .last
            .clone()
            .unwrap()
            .error
            .unwrap();
        assert!(error.contains(reason), "{error}");
    }
}

#[tokio::test]
async fn a_series_that_is_not_scraped_again_ends() {
    let monitor = Monitor::new(ticking());
    monitor
        .set_targets("d", vec![named(target(&["x 1\ny 1\n", "x 2\n"]).await)])
        .unwrap();
    monitor.scrape_once().await;
    monitor.scrape_once().await;
    assert_eq!((seen(&monitor, "x"), seen(&monitor, "y")), (vec![2.0], vec![]));
}

#[tokio::test]
async fn removed_targets_end_and_stay_readable() {
    let monitor = Monitor::new(ticking());
    monitor.set_targets("d", vec![named(target(&["x 1\n"]).await)]).unwrap();
    monitor.scrape_once().await;
    monitor.remove("d");
    assert!(seen(&monitor, "up").is_empty());
    assert_eq!(seen(&monitor, "count_over_time(up[1m])"), [1.0]);
    monitor.scrape_once().await;
    assert!(seen(&monitor, "up").is_empty());
}

#[tokio::test]
async fn nobody_listening_is_down() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let monitor = Monitor::new(ticking());
    monitor.set_targets("d", vec![named(address)]).unwrap();
    monitor.scrape_once().await;
    assert_eq!(seen(&monitor, "up"), [0.0]);
}

#[tokio::test]
async fn a_silent_target_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let monitor = Monitor::new(Settings {
        timeout: Duration::from_millis(30),
        ..ticking()
    });
    monitor
        .set_targets("d", vec![named(listener.local_addr().unwrap())])
        .unwrap();
    monitor.scrape_once().await;
    assert_eq!(seen(&monitor, "up"), [0.0]);
}

#[tokio::test]
async fn unchanged_targets_go_on_and_too_many_are_refused() {
    let monitor = Monitor::new(ticking());
    let address = target(&["x 1\n"]).await;
    monitor.set_targets("d", vec![named(address)]).unwrap();
    monitor.scrape_once().await;
    monitor.set_targets("d", vec![named(address)]).unwrap();
    assert_eq!(seen(&monitor, "up"), [1.0]);
    monitor.set_targets("e", vec![named(address); 500]).unwrap_err();
    assert_eq!(seen(&monitor, "up"), [1.0]);
}
