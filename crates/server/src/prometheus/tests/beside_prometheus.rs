//! The embedded monitor and a real Prometheus scrape the same two sample services; both must tell what was sent, request
//! by request, with the same questions through the same client.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use arya_judge::Block;
use arya_local::monitor::{Monitor, ScrapeTarget, Settings};
use arya_local::sample::{SampleConfig, serve};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval};

use super::*;

const DEPLOYMENT: &str = "5a8c1a54-1f0b-4d5e-9d3c-0a2b1c3d4e5f";
/// Two scrapes before the requests, some after them, and one block that closes; a machine under load takes its time.
const LIMIT: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Requests to each arm; the canary answers all of them with 500.
const REQUESTS: [u32; 2] = [40, 25];

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A sample service whose requests to `/api/records` all end alike.
async fn sample(error_share: f64, tasks: &mut JoinSet<()>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let config = SampleConfig {
        base_error_share: 0.0,
        error_share,
        ..SampleConfig::healthy("1.0", address)
    };
    tasks.spawn(async move {
        serve(listener, config, tokio::io::empty(), std::future::pending())
            .await
            .unwrap();
    });
    address
}

fn labels(arm: &str) -> [(&'static str, String); 3] {
    [
        ("deployment", DEPLOYMENT.to_owned()),
        ("arm", arm.to_owned()),
        ("instance", format!("i-{arm}")),
    ]
}

fn embedded(targets: [(&str, SocketAddr); 2], tasks: &mut JoinSet<()>) -> Monitor {
    let monitor = Monitor::new(Settings::default());
    let target = |(arm, address)| ScrapeTarget {
        job: "app".to_owned(),
        address,
        path: "/metrics".to_owned(),
        labels: labels(arm)
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    };
    monitor.set_targets("test", targets.map(target).to_vec()).unwrap();
    let running = monitor.clone();
    tasks.spawn(async move { running.run(std::future::pending()).await });
    monitor
}

/// A real Prometheus on loopback; `None` where none is installed.
fn real(targets: [(&str, SocketAddr); 2], folder: &Path) -> Option<(Ended, SocketAddr)> {
    let address = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let target = |(arm, address): (&str, SocketAddr)| {
        let labels: Vec<String> = labels(arm)
            .iter()
            .map(|(name, value)| format!("{name}: '{value}'"))
            .collect();
        format!(
            "    - targets: ['{address}']\n      labels: {{{}}}\n",
            labels.join(", ")
        )
    };
    let config = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 900ms}}\nscrape_configs:\n- job_name: app\n  static_configs:\n{}",
        targets.map(target).concat()
    );
    let file = folder.join("prometheus.yml");
    std::fs::write(&file, config).unwrap();
    let child = Command::new("prometheus")
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
        .arg(format!("--web.listen-address={address}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    Some((Ended(child), address))
}

/// Events and exposures of all blocks, and the sums of a distribution's.
fn sums(evidence: &Evidence) -> [f64; 4] {
    let mut sums = [0.0; 4];
    for block in &evidence.blocks {
        let numbers = match block {
            Block::Counts(one) => [
                one.baseline_events,
                one.canary_events,
                one.baseline_exposure,
                one.canary_exposure,
            ],
            Block::Histogram(one) => [0.0, 0.0, one.baseline.total(), one.canary.total()],
            Block::Gauge(one) => [one.baseline, one.canary, 0.0, 0.0],
        };
        sums.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number);
    }
    sums
}

/// Asks until the answer is as expected; says the last one if it never is.
async fn until(source: &Prometheus, metric: &MetricConfig, from: Timestamp, expected: impl Fn([f64; 4]) -> bool) {
    let (end, mut looks) = (Instant::now() + LIMIT, interval(LOOK_EVERY));
    loop {
        looks.tick().await;
        let answer = source.evidence(DEPLOYMENT, metric, from..=now()).await;
        if answer.as_ref().is_ok_and(|evidence| expected(sums(evidence))) {
            return;
        }
        assert!(Instant::now() < end, "{}: {answer:#?}", source.monitor);
    }
}

fn now() -> Timestamp {
    jiff::Timestamp::now()
}

async fn send(address: SocketAddr, requests: u32) {
    let agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .new_agent();
    tokio::task::spawn_blocking(move || {
        for _ in 0..requests {
            agent.get(format!("http://{address}/api/records")).call().unwrap();
        }
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_monitor_and_a_real_one_tell_the_same_requests() {
    let (mut tasks, folder) = (JoinSet::new(), tempfile::tempdir().unwrap());
    let targets = [
        ("baseline", sample(0.0, &mut tasks).await),
        ("canary", sample(1.0, &mut tasks).await),
    ];
    let ours = Monitored::Embedded(embedded(targets, &mut tasks));
    let theirs = real(targets, folder.path());
    if theirs.is_none() {
        eprintln!("no `prometheus` is installed here: only the embedded monitor is looked at");
    }
    let at = theirs
        .as_ref()
        .map(|(_, address)| Monitored::at(&format!("http://{address}")));
    let sources: Vec<Prometheus> = [Some(ours), at]
        .into_iter()
        .flatten()
        .map(|monitor| Prometheus::new(monitor, Duration::from_secs(1)))
        .collect();

    let from = now();
    // One request each, so that the series are there; then scrapes of both before the load.
    send(targets[0].1, 1).await;
    send(targets[1].1, 1).await;
    let memory = made_of(Watched::Level(Selector::named("process_resident_memory_bytes")));
    for source in &sources {
        until(source, &memory, from, |sums| sums[0] > 0.0 && sums[1] > 0.0).await;
    }
    let loaded_from = now();
    send(targets[0].1, REQUESTS[0]).await;
    send(targets[1].1, REQUESTS[1]).await;
    let [baseline, canary] = REQUESTS.map(f64::from);
    let only = r#"path="/api/records""#;
    let share = made_of(Watched::Share {
        events: format!("http_requests_total{{{only},code=~\"5..\"}}").parse().unwrap(),
        of: format!("http_requests_total{{{only}}}").parse().unwrap(),
    });
    let latency = made_of(Watched::Buckets(
        format!("http_request_duration_seconds{{{only}}}").parse().unwrap(),
    ));
    // The first block may hold what was sent before: the window begins between scrapes.
    for source in &sources {
        until(source, &share, from, |sums| {
            sums[1] >= canary
                && sums[0] == 0.0
                && sums[2] >= baseline
                && sums[2] <= baseline + 1.0
                && sums[1] == sums[3]
        })
        .await;
        until(source, &latency, from, |sums| sums[2] >= baseline && sums[3] >= canary).await;
        let evidence = source.evidence(DEPLOYMENT, &share, from..=now()).await.unwrap();
        assert_eq!(evidence.block_s, 5.0);
        assert!(evidence.blocks.iter().any(|block| block.ends_at() > loaded_from));
        let chosen = source
            .choose(DEPLOYMENT, &[Signal::Errors], now())
            .await
            .unwrap()
            .unwrap();
        let names: Vec<&str> = chosen.iter().map(|metric| metric.name.as_str()).collect();
        assert_eq!(names, ["latency", "memory"]);
    }
    tasks.shutdown().await;
}
