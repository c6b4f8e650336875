//! What a target says of itself, and a query over it: parts with a zero byte between them, first the query, then one
//! scrape a second.

use std::collections::BTreeMap;
use std::time::Duration;

use arya_local::monitor::{Answer, Monitor, QueryError, ScrapeTarget, Settings};
use jiff::{SignedDuration, Timestamp};

const GROUP: &str = "fuzzed";
/// More scrapes tell nothing new.
const SCRAPES_MAX: usize = 30;
/// A message that is longer is not read by anyone.
const MESSAGE_CHARACTERS: usize = 10_000;

pub(crate) fn run(bytes: &[u8]) {
    let mut parts = bytes.split(|&byte| byte == 0);
    let Some(Ok(query)) = parts.next().map(std::str::from_utf8) else {
        return;
    };
    let monitor = Monitor::new(Settings {
        now: || begin(),
        ..Settings::default()
    });
    let target = ScrapeTarget {
        job: "app".to_owned(),
        address: ([127, 0, 0, 1], 80).into(),
        path: "/metrics".to_owned(),
        labels: BTreeMap::from([("arm".to_owned(), "canary".to_owned())]),
    };
    monitor
        .set_targets(GROUP, vec![target])
        .expect("one target is not too many");
    let mut at = begin();
    for said in parts.take(SCRAPES_MAX) {
        at = later(at, 1);
        if let Err(why) = monitor.take(GROUP, said, at) {
            assert!(!why.is_empty() && why.len() < 300, "{why:?}");
        }
        let up = monitor
            .query("up{job=\"app\"}", at)
            .map(|answer| answer.numbers().len());
        // More than one where the target says something of that name itself.
        assert!(up.is_ok_and(|series| series > 0), "a scrape leaves no trace");
    }
    ask(&monitor, query, at);
}

/// The answer at a moment, and the same from a range of one step.
fn ask(monitor: &Monitor, query: &str, at: Timestamp) {
    let step = Duration::from_secs(1);
    let instant = monitor.query(query, at);
    let range = monitor.query_range(query, at, at, step);
    match (&instant, &range) {
        (Ok(one @ (Answer::Scalar { .. } | Answer::Vector { .. })), Ok(other)) => {
            assert_eq!(bits(one), bits(other), "{query:?}: {one:?} and {other:?}");
        }
        (Ok(Answer::Matrix(_) | Answer::Text { .. }), Err(QueryError::Request(_))) => {}
        (Err(one), Err(other)) => assert_eq!(one, other, "{query:?}"),
        _ => panic!("{query:?}: {instant:?} and {range:?}"),
    }
    if let Err(error) = instant {
        let text = error.to_string();
        assert!(
            !text.is_empty() && text.len() < MESSAGE_CHARACTERS,
            "{} bytes",
            text.len()
        );
    }
    let _ = monitor.query_range(query, begin(), later(at, 400), Duration::from_secs(7));
    let _ = monitor.series(&[query], begin(), at);
}

/// Numbers that two answers can be compared by: NaN is NaN here.
fn bits(answer: &Answer) -> Vec<u64> {
    let numbers: Vec<f64> = match answer {
        Answer::Matrix(series) => series
            .iter()
            .flat_map(|(_, points)| points)
            .map(|point| point.1)
            .collect(),
        Answer::Scalar { .. } | Answer::Vector { .. } | Answer::Text { .. } => answer.numbers(),
    };
    let bits = |number: f64| {
        if number.is_nan() {
            f64::NAN.to_bits()
        } else {
            number.to_bits()
        }
    };
    let mut bits: Vec<u64> = numbers.into_iter().map(bits).collect();
    bits.sort_unstable();
    bits
}

fn begin() -> Timestamp {
    Timestamp::from_second(1_700_000_000).expect("a moment of this century")
}

fn later(at: Timestamp, seconds: i64) -> Timestamp {
    at.checked_add(SignedDuration::from_secs(seconds))
        .expect("some minutes later")
}

/// Every part of the language over every kind of line.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    const FIRST: &str = "# TYPE a counter\na{b=\"c\",d=\"\\\"\\n\\\\\"} 1\na{b=\"x\"} 2e3 1700000000000\nh_bucket{le=\"0.1\"} 1\n\
                         h_bucket{le=\"+Inf\"} 3\nh_sum 5\nh_count 3\ng NaN\n";
    const SECOND: &str = "a{b=\"c\",d=\"\\\"\\n\\\\\"} 4\na{b=\"x\"} 1\nh_bucket{le=\"0.1\"} 2\nh_bucket{le=\"+Inf\"} 9\n\
                          h_sum 9\nh_count 9\ng -Inf\n";
    let queries = [
        "a",
        "sum by (b) (rate(a{b=~\"c|x\",d!=\"e\"}[5m] offset 1s))",
        "histogram_quantile(0.9, sum without (job) (increase(h_bucket[1m])))",
        "topk(2, a) or absent(g) unless on (b) a",
        "a / on (b) group_left (arm) a > bool 1 ^ -2 % 3",
        "avg_over_time(a[30s]) * 100 - (clamp_max(g, 1) == 1)",
        "label_replace(a, \"z\", \"$1\", \"b\", \"(.*)\")",
        "quantile(0.5, a) and stddev(a) + time() + vector(1) + scalar(g)",
        "\"text\"",
        "{__name__=~\".+\"}[1h]",
        "count_values(\"v\", a)",
    ];
    queries
        .iter()
        .map(|query| [query.as_bytes(), &[0], FIRST.as_bytes(), &[0], SECOND.as_bytes()].concat())
        .collect()
}
