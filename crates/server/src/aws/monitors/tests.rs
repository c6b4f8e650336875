//! A monitor behind its door, with the answers that Prometheus would give.

use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use arya_judge::source::answer::{ANSWER_BYTES_MAX, SERIES_MAX};
use arya_judge::source::posted::{PART_S, number_of, place_of};
use arya_plan::identity::{InstallationId, Place, Role};
use arya_plan::listener::ListenerId;
use arya_plan::listener::shares::CanaryPercent;
use arya_plan::observed::{InstanceState, Status};
use arya_plan::remains::remains;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::door::tests::{open, shown};
use crate::sources::COUNTED_BY_THE_BALANCER;

const PASSWORD: &str = "Basic c2VjcmV0";
const BEGAN_S: i64 = 1_795_000_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(BEGAN_S + second).unwrap()
}

fn desired(goal: Goal) -> Desired {
    let (id, installation) = (Uuid::from_u128(7), Uuid::nil());
    let listener = ListenerId::new("arn:aws:elasticloadbalancing:us-east-1:1:listener/x");
    let remains = remains(
        DeploymentId::new(id),
        InstallationId::new(installation),
        "shop",
        listener,
        at(0),
    );
    Desired { goal, ..remains }
}

fn serving() -> Desired {
    let canary = CanaryPercent::try_from(5.0).unwrap();
    desired(Goal::Serve { canary })
}

fn seen(address: SocketAddr, phase: Option<BootPhase>) -> Observed {
    let report = phase.map(|phase| Status {
        certificate_sha256: Some(shown()),
        ..Status::new(phase, at(0))
    });
    let monitor = Instance {
        place: Place {
            role: Role::Monitor,
            index: 0,
        },
        incarnation: 1,
        id: "i-1".into(),
        state: InstanceState::Running,
        address: Some(address),
        ended_because: None,
        console: None,
        report,
    };
    Observed {
        instances: vec![monitor],
        ..Observed::nothing(at(0))
    }
}

fn noted(desired: &Desired, seen: &Observed) -> Option<Arc<Watching>> {
    let monitors = Monitors::default();
    monitors.note(
        desired,
        seen,
        || PASSWORD.into(),
        || Ring::new(|_| Box::pin(async { Ok(None) })),
    );
    monitors.of(&desired.id)
}

/// Memory of both arms, scraped every 5 s for two minutes; the canary's is twice as much.
fn prometheus(uri: &str, password: &str) -> String {
    assert_eq!(password, PASSWORD);
    let of = |name: &str, arm: &str| json!({"__name__": name, "deployment": serving().id.to_string(), "arm": arm, "instance": arm, "job": "app"});
    let both = |name: &'static str| ["baseline", "canary"].map(|arm| of(name, arm));
    const MEMORY: &str = "process_resident_memory_bytes";
    let data = match uri {
        "/prometheus/api/v1/series" => Value::from([both("up"), both(MEMORY)].concat()),
        "/prometheus/api/v1/query" => {
            let samples =
                |value: &str| -> Vec<Value> { (0..=24).map(|scrape| json!([BEGAN_S + 5 * scrape, value])).collect() };
            let [base, canary] = both(MEMORY);
            let up = both("up").map(|metric| json!({"metric": metric, "values": samples("1")}));
            let memory = [
                json!({"metric": base, "values": samples("100000000")}),
                json!({"metric": canary, "values": samples("200000000")}),
            ];
            let result = [up, memory].concat();
            json!({"resultType": "matrix", "result": result})
        }
        other => panic!("nobody asks for {other}"),
    };
    json!({"status": "success", "data": data}).to_string()
}

#[tokio::test]
async fn a_monitor_that_is_ready_tells_what_the_arms_show() {
    let desired = serving();
    let watching = noted(&desired, &seen(open(prometheus).await, Some(BootPhase::Ready))).unwrap();
    let id = desired.id.to_string();
    let shown = watching.ask(|series| series.choose(&id, &COUNTED_BY_THE_BALANCER, at(120)));
    let metrics: Vec<MetricConfig> = shown.await.unwrap().unwrap();
    let names: Vec<&str> = metrics.iter().map(|metric| metric.name.as_str()).collect();
    assert_eq!(names, ["memory"]);
    let evidence = watching.ask(|series| series.evidence(&id, &metrics[0], at(0)..=at(120)));
    let evidence = evidence.await.unwrap();
    assert_eq!(evidence.source, "the deployment's monitor");
    assert!(evidence.blocks.len() >= 7, "{:?}", evidence.blocks);
}

#[tokio::test]
async fn another_certificate_than_the_one_reported_is_no_evidence() {
    let desired = serving();
    let mut seen = seen(open(prometheus).await, Some(BootPhase::Ready));
    let report = seen.instances[0].report.as_mut().unwrap();
    report.certificate_sha256 = Some("0".repeat(64));
    let watching = noted(&desired, &seen).unwrap();
    let id = desired.id.to_string();
    let asked = watching.ask(|series| series.choose(&id, &COUNTED_BY_THE_BALANCER, at(120)));
    let refused = asked.await.unwrap_err().to_string();
    assert!(refused.contains("another certificate"), "{refused}");
}

/// Every look waits for what it asks, so a monitor that is gone must not be asked at every look.
#[tokio::test(start_paused = true)]
async fn a_monitor_without_an_answer_is_left_alone_for_a_while() {
    let somewhere = "127.0.0.1:9".parse().unwrap();
    let watching = noted(&serving(), &seen(somewhere, Some(BootPhase::Ready))).unwrap();
    let asked = std::cell::Cell::new(0);
    let answer = |answer: Result<(), SourceError>| {
        watching.ask(|_| {
            asked.set(asked.get() + 1);
            std::future::ready(answer)
        })
    };
    let gone = SourceError::Unreachable { what: "gone".into() };
    for _ in 0..3 {
        assert_eq!(answer(Err(gone.clone())).await, Err(gone.clone()));
        tokio::time::advance(LEFT_ALONE / 4).await;
    }
    assert_eq!(asked.get(), 1);
    tokio::time::advance(LEFT_ALONE).await;
    assert_eq!(answer(Ok(())).await, Ok(()));
    assert_eq!(
        answer(Ok(())).await,
        Ok(()),
        "one that answers is asked whenever somebody wants to know"
    );
    assert_eq!(asked.get(), 3);
}

#[test]
fn only_a_monitor_that_is_ready_is_asked() {
    let somewhere = "127.0.0.1:9".parse().unwrap();
    let ready = seen(somewhere, Some(BootPhase::Ready));
    assert!(noted(&serving(), &seen(somewhere, Some(BootPhase::Up))).is_none());
    assert!(noted(&serving(), &seen(somewhere, None)).is_none());
    assert!(noted(&desired(Goal::Absent), &ready).is_none());
    let mut unreachable = serving();
    unreachable.spec.monitor.reach = Reach::Bucket;
    assert!(noted(&unreachable, &seen(somewhere, Some(BootPhase::Up))).is_none());
    let posting = noted(&unreachable, &ready).unwrap();
    assert!(matches!(posting.series, Series::Posted(_)));

    let monitors = Monitors::default();
    let nowhere = || Ring::new(|_| Box::pin(async { Ok(None) }));
    let note = |seen: &Observed| monitors.note(&serving(), seen, || PASSWORD.into(), nowhere);
    let id = serving().id;
    note(&ready);
    let first = monitors.of(&id).unwrap();
    note(&ready);
    note(&seen(somewhere, None));
    assert!(
        Arc::ptr_eq(&first, &monitors.of(&id).unwrap()),
        "it is the same one all along"
    );
    note(&seen("127.0.0.2:9".parse().unwrap(), None));
    assert!(
        monitors.of(&id).is_none(),
        "another one that has not told its certificate"
    );
    note(&ready);
    note(&Observed::nothing(at(0)));
    assert!(monitors.of(&id).is_none());
}

/// What a monitor would put into its ring: memory of both arms, the canary's twice as much, up to a second.
fn packed(number: i64, to: i64, text: Option<&str>) -> Vec<u8> {
    let from = number * PART_S;
    let of = |name: &str, arm: &str, value: &str| {
        let values: Vec<Value> = (0..=PART_S / 5)
            .map(|scrape| from + 5 * scrape)
            .filter(|at| *at <= to)
            .map(|at| json!([at, value]))
            .collect();
        json!({"metric": {"__name__": name, "arm": arm, "instance": arm, "job": "app"}, "values": values})
    };
    let memory = "process_resident_memory_bytes";
    let result = [
        of("up", "baseline", "1"),
        of("up", "canary", "1"),
        of(memory, "baseline", "100000000"),
        of(memory, "canary", "200000000"),
    ];
    let answer = json!({"status": "success", "data": {"resultType": "matrix", "result": result}});
    let document = json!({"from": from, "to": to, "answer": answer}).to_string();
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(text.unwrap_or(&document).as_bytes()).unwrap();
    packer.finish().unwrap()
}

fn posting(ring: Ring) -> Arc<Watching> {
    let mut desired = serving();
    desired.spec.monitor.reach = Reach::Bucket;
    let monitors = Monitors::default();
    let seen = seen("127.0.0.1:9".parse().unwrap(), Some(BootPhase::Ready));
    monitors.note(&desired, &seen, || PASSWORD.into(), || ring);
    monitors.of(&desired.id).unwrap()
}

#[tokio::test]
async fn a_monitor_that_nothing_reaches_is_read_in_the_bucket() {
    let reads = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&reads);
    let number = number_of(at(120));
    let watching = posting(Ring::new(move |place| {
        counted.fetch_add(1, Ordering::Relaxed);
        let there = (place == place_of(number)).then(|| packed(number, at(120).as_second(), None));
        Box::pin(async move { Ok(there) })
    }));
    let id = serving().id.to_string();
    let shown = watching.ask(|series| series.choose(&id, &COUNTED_BY_THE_BALANCER, at(122)));
    let metrics: Vec<MetricConfig> = shown.await.unwrap().unwrap();
    let names: Vec<&str> = metrics.iter().map(|metric| metric.name.as_str()).collect();
    assert_eq!(names, ["memory"]);
    let asked = reads.load(Ordering::Relaxed);
    let begins = at(120).as_second() - number * PART_S;
    let start = Timestamp::from_second(number * PART_S + begins.min(20)).unwrap();
    for _ in 0..2 {
        let evidence = watching.ask(|series| series.evidence(&id, &metrics[0], start..=at(122)));
        let evidence = evidence.await.unwrap();
        assert_eq!(evidence.source, "the deployment's monitor, through the bucket");
        assert!(!evidence.blocks.is_empty());
        assert!(evidence.blocks.iter().all(|block| block.ends_at() <= at(120)));
    }
    assert_eq!(
        reads.load(Ordering::Relaxed),
        asked,
        "questions of one look are one reading"
    );
}

#[tokio::test]
async fn what_lies_there_instead_is_no_evidence() {
    let cut = packed(number_of(at(120)), at(120).as_second(), None)[..60].to_vec();
    let bomb = packed(0, 0, Some(&" ".repeat(ANSWER_BYTES_MAX + 4096)));
    let cases = [
        (Vec::new(), "cannot be unpacked"),
        (b"<html>".to_vec(), "cannot be unpacked"),
        (cut, "cannot be unpacked"),
        (packed(0, 0, Some("{}")), "breaks"),
        (bomb, "longer than 16 MB"),
    ];
    let id = serving().id.to_string();
    for (bytes, why) in cases {
        let watching = posting(Ring::new(move |_| {
            let bytes = bytes.clone();
            Box::pin(async move { Ok(Some(bytes)) })
        }));
        let asked = watching.ask(|series| series.choose(&id, &COUNTED_BY_THE_BALANCER, at(122)));
        let refused = asked.await.unwrap_err();
        assert!(matches!(refused, SourceError::Malformed { .. }), "{refused}");
        assert!(refused.to_string().contains(why), "{refused}");
    }
    let nothing = posting(Ring::new(|_| Box::pin(async { Ok(None) })));
    let asked = nothing.ask(|series| series.choose(&id, &COUNTED_BY_THE_BALANCER, at(122)));
    assert!(matches!(asked.await, Err(SourceError::NoData { .. })));
}

#[tokio::test]
async fn more_series_than_may_be_are_refused() {
    let number = number_of(at(120));
    let one = json!({"metric": {}});
    let answer = json!({"status": "success", "data": {"resultType": "matrix", "result": vec![one; SERIES_MAX + 1]}});
    let document = json!({"from": number * PART_S, "to": at(120).as_second(), "answer": answer}).to_string();
    let watching = posting(Ring::new(move |_| {
        let bytes = packed(0, 0, Some(&document));
        Box::pin(async move { Ok(Some(bytes)) })
    }));
    let id = serving().id.to_string();
    let asked = watching.ask(|series| series.choose(&id, &COUNTED_BY_THE_BALANCER, at(122)));
    let refused = asked.await.unwrap_err().to_string();
    assert!(refused.contains("more than 20000 series"), "{refused}");
}

/// A look does not wait for it, and what has been asked for is not thrown away with the look.
#[tokio::test(start_paused = true)]
async fn a_part_that_takes_longer_than_a_look_is_there_at_a_later_one() {
    let reads = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&reads);
    let number = number_of(at(120));
    let watching = posting(Ring::new(move |place| {
        counted.fetch_add(1, Ordering::Relaxed);
        let there = (place == place_of(number)).then(|| packed(number, at(120).as_second(), None));
        Box::pin(async move {
            tokio::time::sleep(LEFT_ALONE / 4).await;
            Ok(there)
        })
    }));
    let ask = |now| watching.ask(move |series| series.choose("d", &COUNTED_BY_THE_BALANCER, now));
    let late = ask(at(122)).await.unwrap_err();
    assert!(late.to_string().contains("did not answer within 4 s"), "{late}");
    tokio::time::sleep(LEFT_ALONE).await;
    let asked = reads.load(Ordering::Relaxed);
    assert!(ask(at(123)).await.unwrap().is_some());
    assert_eq!(reads.load(Ordering::Relaxed), asked, "it was read meanwhile");
}

#[tokio::test]
async fn who_does_not_answer_is_asked_for_one_part_of_a_look() {
    let reads = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&reads);
    let watching = posting(Ring::new(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { Err(SourceError::Unreachable { what: "gone".into() }) })
    }));
    let asked = watching.ask(|series| series.choose("d", &COUNTED_BY_THE_BALANCER, at(122)));
    assert!(asked.await.unwrap_err().to_string().contains("gone"));
    assert_eq!(reads.load(Ordering::Relaxed), 1);
}
