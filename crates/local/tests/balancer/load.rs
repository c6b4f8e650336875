//! Changes while requests are under way, the access log, and the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use arya_judge::source::Origin;
use arya_judge::source::access_log::{AccessLog, LogArms};
use arya_judge::{MetricConfig, Timestamp};
use arya_local::balancer::{AccessLogSettings, Balancer, BalancerSettings, Counts};

use crate::world::*;

/// Clients without pause until told to stop: half keep their connection, half open a new one for each request; some
/// upload, some read slowly produced bodies. Any error or status but 200 is a loss.
async fn client(balancer: Balancer, number: usize, stop: Arc<AtomicBool>, served: Arc<AtomicU64>) {
    let mut caller = Caller::connect(&balancer).await;
    for round in 0.. {
        if stop.load(SeqCst) {
            return;
        }
        if number.is_multiple_of(2) && round > 0 {
            caller = Caller::connect(&balancer).await;
        }
        let request = match (number + round) % 4 {
            0 => request("POST", "/upload", &[], some_bytes(100_000)),
            1 => get("/download/200000", &[]),
            _ => get("/", &[]),
        };
        let answer = caller
            .send(request)
            .await
            .unwrap_or_else(|error| panic!("lost: {error:?}"));
        assert_eq!(answer.status, 200, "{answer:?}");
        served.fetch_add(1, SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_under_load_lose_no_request() {
    const REQUESTS: u64 = 6000;
    let production = everything_to(&[("production", 1)]);
    let (balancer, origins) = world(&["production", "baseline", "canary"], production.clone()).await;
    let (stop, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let clients: Vec<_> = (0..12)
        .map(|number| tokio::spawn(client(balancer.clone(), number, Arc::clone(&stop), Arc::clone(&served))))
        .collect();
    let mut cycles = 0;
    while served.load(SeqCst) < REQUESTS || cycles < 3 {
        for (name, origin) in [("baseline", &origins[1]), ("canary", &origins[2])] {
            balancer.register(&id(name), origin.target("t1")).unwrap();
        }
        let probe = rule(1, path_is("/probe"), forward(&[("baseline", 1), ("canary", 1)], None));
        balancer.set_rules([vec![probe], production.clone()].concat()).unwrap();
        becomes_state(&balancer, "baseline", "healthy").await;
        becomes_state(&balancer, "canary", "healthy").await;
        for share in [5, 25, 0, 10] {
            let weights = [("production", 100 - 2 * share), ("baseline", share), ("canary", share)];
            let main = rule(2, path_is("*"), forward(&weights, None));
            balancer.set_rules([vec![main], production.clone()].concat()).unwrap();
            let goal = served.load(SeqCst) + 100;
            while served.load(SeqCst) < goal {
                assert!(
                    !clients.iter().any(tokio::task::JoinHandle::is_finished),
                    "a client lost a request"
                );
                tokio::task::yield_now().await;
            }
        }
        balancer.set_rules(production.clone()).unwrap();
        for name in ["baseline", "canary"] {
            balancer.deregister(&id(name), "t1").unwrap();
            becomes_state(&balancer, name, "gone").await;
        }
        cycles += 1;
    }
    stop.store(true, SeqCst);
    for client in clients {
        client.await.unwrap();
    }
    let all = jiff::Timestamp::UNIX_EPOCH..jiff::Timestamp::MAX;
    let groups = ["production", "baseline", "canary"].map(|name| balancer.measured(&id(name), all.clone()).unwrap());
    assert_eq!(
        groups.iter().map(|counts| counts.requests).sum::<u64>(),
        served.load(SeqCst)
    );
    assert!(
        groups.iter().all(|counts| counts.failed() == 0 && counts.requests > 0),
        "{groups:?}"
    );
}

#[tokio::test]
async fn the_access_log_has_a_line_for_each_request() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let settings = BalancerSettings {
        access_log: Some(AccessLogSettings::at(&path)),
        ..BalancerSettings::default()
    };
    let (balancer, origins) = world_with(settings, &["a"], everything_to(&[("a", 1)])).await;
    let mut caller = Caller::connect(&balancer).await;
    caller.send(get("/x?y=1", &[("user-agent", "a \"b\"")])).await.unwrap();
    caller.get("/drop").await;
    drop(caller);
    raw(&balancer, b"no HTTP\r\n\r\n").await;
    balancer.shutdown().await;
    let log = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<_> = log.lines().collect();
    assert_eq!(lines.len(), 3, "{log}");
    let target = origins[0].address;
    for part in [
        "http 20",
        &format!(" {target} 0.00"),
        " 200 200 ",
        "\"GET http://shop.example.com/x?y=1 HTTP/1.1\" \"a \\x22b\\x22\" - - a \"Root=1-",
        "\"shop.example.com\" \"-\" 0 ",
        "\"forward\" \"-\" \"-\"",
    ] {
        assert!(lines[0].contains(part), "{part} in {}", lines[0]);
    }
    assert!(
        lines[1].contains(" 502 - ") && lines[1].contains("\"TargetConnectionClosed\""),
        "{}",
        lines[1]
    );
    assert!(lines[2].contains(" - -1 -1 -1 400 - 0 0 \"- - - \" "), "{}", lines[2]);
}

/// The log and the counters are two ways to the same evidence, also when the log comes compressed as from AWS.
#[tokio::test]
async fn the_access_log_tells_what_the_counters_tell() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let settings = BalancerSettings {
        access_log: Some(AccessLogSettings::at(&path)),
        ..BalancerSettings::default()
    };
    let (balancer, _origins) = world_with(settings, &["a", "b"], everything_to(&[("a", 1), ("b", 1)])).await;
    let mut caller = Caller::connect(&balancer).await;
    for _ in 0..20 {
        caller.send(get("/x", &[("user-agent", "a \"b\" c")])).await.unwrap();
    }
    for _ in 0..6 {
        // The target hangs up; the load balancer answers 502.
        get_once(&balancer, "/drop").await;
    }
    balancer.shutdown().await;
    let all = Timestamp::UNIX_EPOCH..Timestamp::MAX;
    let counted = ["a", "b"].map(|group| balancer.measured(&id(group), all.clone()).unwrap());

    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, &std::fs::read(&path).unwrap()).unwrap();
    let compressed = gzip.finish().unwrap();
    let mut log = AccessLog::new(LogArms {
        baseline: ["a".to_owned()].into(),
        canary: ["b".to_owned()].into(),
        ..LogArms::default()
    });
    log.read_from(std::io::BufReader::new(flate2::read::MultiGzDecoder::new(
        &compressed[..],
    )))
    .unwrap();
    let sums = |from: Origin| {
        let metric = MetricConfig {
            from,
            ..MetricConfig::error_share("errors", "")
        };
        let blocks = log.blocks(&metric, &(Timestamp::MIN..=Timestamp::MAX), 5).unwrap();
        blocks.iter().fold([0.0; 4], |sums, block| {
            let one = block.counts().unwrap();
            let more = [
                one.baseline_events,
                one.baseline_exposure,
                one.canary_events,
                one.canary_exposure,
            ];
            [0, 1, 2, 3].map(|place| sums[place] + more[place])
        })
    };
    let expected =
        |of: fn(&Counts) -> [u64; 2]| -> Vec<f64> { counted.iter().flat_map(of).map(|count| count as f64).collect() };
    assert_eq!(
        sums(Origin::ClientsSaw).to_vec(),
        expected(|one| [one.failed(), one.requests])
    );
    assert_eq!(
        sums(Origin::TargetsSaid).to_vec(),
        expected(|one| [one.target[3], one.target.iter().sum()])
    );
    assert_eq!(counted.iter().map(Counts::failed).sum::<u64>(), 6);
}

#[tokio::test]
async fn shutdown_lets_a_request_finish_and_accepts_no_more() {
    let (balancer, origins) = world(&["a"], everything_to(&[("a", 1)])).await;
    let idle = Caller::connect(&balancer).await;
    let slow = tokio::spawn({
        let balancer = balancer.clone();
        async move { get_once(&balancer, "/slow").await }
    });
    origins[0].told.arrived.acquire().await.unwrap().forget();
    let down = tokio::spawn({
        let balancer = balancer.clone();
        async move { balancer.shutdown().await }
    });
    origins[0].told.go_on.add_permits(1);
    assert_eq!(slow.await.unwrap().body, "a at last");
    down.await.unwrap();
    drop(idle);
    assert!(tokio::net::TcpStream::connect(balancer.address()).await.is_err());
}

#[tokio::test]
async fn shutdown_ends_after_its_grace() {
    let settings = BalancerSettings {
        shutdown_grace: Duration::from_millis(50),
        ..BalancerSettings::default()
    };
    let (balancer, origins) = world_with(settings, &["a"], everything_to(&[("a", 1)])).await;
    let hung = tokio::spawn({
        let balancer = balancer.clone();
        async move { Caller::connect(&balancer).await.try_get("/slow").await.is_err() }
    });
    origins[0].told.arrived.acquire().await.unwrap().forget();
    tokio::time::timeout(PATIENCE, balancer.shutdown()).await.unwrap();
    assert!(hung.await.unwrap());
}
