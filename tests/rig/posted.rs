//! What a monitor puts into the bucket is what its Prometheus would have answered: the same metrics, the same blocks.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::Command;
use std::time::Duration;

use arya_judge::Timestamp;
use arya_judge::source::answer::{label_sets, series};
use arya_judge::source::pack::{Exposed, choose};
use arya_judge::source::posted::{PLACES, Part, Posted, number_of, place_of};
use arya_judge::source::{Origin, Whose, blocks, everything_of, look_back_s, samples_of};
use arya_plan::user_data::monitor::{Monitor, SCRAPE_EVERY, evidence_key};

use crate::bucket::{Bucket, Version};
use crate::deployed::Order;
use crate::machine::Machine;

/// The span that is compared, in seconds: as long as the monitor stands at least.
const SPAN_S: i64 = 60;

/// Has a monitor put what it scrapes into its bucket.
pub(crate) fn posting(mut order: Order, monitor: &Monitor) -> Order {
    let bucket = &order.bucket;
    order.urls.evidence = Some(std::array::from_fn(|place| bucket.sign("PUT", &evidence_key(place))));
    order.settings = order.settings.posting(monitor.deployment, &[]);
    order
}

/// Everything that lies in the ring.
fn parts(bucket: &Bucket) -> Vec<Part> {
    let latest = (0..PLACES).filter_map(|place| bucket.versions(&evidence_key(place)).pop());
    latest.map(|version| part(&version)).collect()
}

fn part(version: &Version) -> Part {
    let mut packed = tempfile::NamedTempFile::new().unwrap();
    packed.write_all(&version.bytes).unwrap();
    let unpacked = Command::new("gzip").arg("-dc").stdin(packed.reopen().unwrap()).output();
    let body = unpacked.unwrap().stdout;
    Part::read(&body).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&body)))
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// Waits for a part that reaches as far.
fn lies_there(order: &Order, machine: &Machine, until: i64) {
    let key = evidence_key(place_of(number_of(at(until))));
    let written = order.bucket.wait_for(&key, Duration::from_secs(60), |versions| {
        (part(versions.last()?).to() >= at(until)).then_some(())
    });
    assert!(
        written.is_some(),
        "{}",
        machine.run("journalctl -u arya-evidence --no-pager | tail -20")
    );
}

pub(crate) fn what_is_posted_is_what_is_answered(order: &Order, machine: &Machine, monitor: &Monitor) {
    let deployment = monitor.deployment.to_string();
    let now: i64 = machine.run("date +%s").trim().parse().unwrap();
    lies_there(order, machine, now);
    let first = (0..PLACES).filter_map(|place| order.bucket.versions(&evidence_key(place)).into_iter().next());
    let began = first.map(|version| part(&version).to().as_second()).min().unwrap();
    // Some blocks of each metric, and several writes.
    let now = now.max(began + 40);
    lies_there(order, machine, now);
    let mut posted = Posted::default();
    for part in parts(&order.bucket) {
        posted.take(part.number(), at(now), Ok(Some(part)));
    }
    // The same as its own Prometheus answers.
    let asked = |call: &str, form: &str| {
        machine.run(&format!(
            "curl --silent --fail {form} http://127.0.0.1:9090/api/v1/{call}"
        ))
    };
    let everything = format!(
        "--data-urlencode 'match[]={}' --data start={} --data end={now}",
        everything_of(&deployment),
        now - 300
    );
    let exposed = Exposed::of(&label_sets(asked("series", &everything).as_bytes()).unwrap());
    let chosen = choose(&exposed, &[]);
    assert_eq!(
        choose(&Exposed::of(&posted.label_sets(at(now - 300), at(now)).unwrap()), &[]),
        chosen
    );
    let window = at(now - SPAN_S)..=at(now);
    let scrape_s = SCRAPE_EVERY.as_secs_f64();
    let mut compared = 0;
    for metric in &chosen {
        let Origin::Series(watched) = &metric.from else {
            panic!("{} is not made of series", metric.name);
        };
        let names: BTreeSet<String> = watched.names().into_iter().collect();
        let query = samples_of(
            &deployment,
            Whose::Arms,
            &names,
            SPAN_S.unsigned_abs() + look_back_s(scrape_s) as u64,
        );
        let answered = asked("query", &format!("--data-urlencode 'query={query}' --data time={now}"));
        let answered = blocks(
            metric,
            watched,
            &series(answered.as_bytes()).unwrap(),
            &window,
            scrape_s,
        )
        .unwrap();
        let through = posted.blocks(metric, watched, &window, scrape_s).unwrap();
        assert_eq!(through, answered, "{}", metric.name);
        compared += through.len();
    }
    assert!(
        chosen.len() >= 3 && compared >= 20,
        "{compared} blocks of {} metrics",
        chosen.len()
    );
    eprintln!(
        "through the bucket: {compared} blocks of {} metrics are the same",
        chosen.len()
    );
    assert_eq!(order.bucket.refused(), Vec::<String>::new());
}
