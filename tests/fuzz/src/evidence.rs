//! What others say of the arms: a monitor's answer, and a load balancer's access log.

use arya_judge::source::access_log::{AccessLog, LogArms};
use arya_judge::source::answer::{label_sets, series};
use arya_judge::source::pack::{Exposed, choose};
use arya_judge::source::posted::{PART_S, Part, Posted};
use arya_judge::source::{Origin, Selector, Watched, blocks};
use arya_judge::{Beside, Block, Machines, MetricConfig, MetricKind};
use jiff::{SignedDuration, Timestamp};

/// A sentence that is longer is not read by anyone.
const SENTENCE_BYTES: usize = 2_000;

/// The first line is a selector, the rest an answer of a monitor.
pub(crate) fn run_monitor(bytes: &[u8]) {
    let cut = bytes.iter().position(|&byte| byte == b'\n').unwrap_or(bytes.len());
    let (first, body) = (&bytes[..cut], bytes.get(cut + 1..).unwrap_or_default());
    let selector = std::str::from_utf8(first)
        .ok()
        .and_then(|text| text.parse::<Selector>().ok());
    if let Some(selector) = &selector {
        let again: Selector = selector.to_string().parse().expect("what is written can be read");
        assert_eq!(*selector, again);
    }
    if let Ok(sets) = label_sets(body) {
        for metric in choose(&Exposed::of(&sets), &[]) {
            assert!(!metric.query.is_empty());
        }
    }
    let found = match series(body) {
        Ok(found) => found,
        Err(error) => return assert!(error.to_string().len() < SENTENCE_BYTES),
    };
    let selector = selector.unwrap_or_else(|| Selector::named(found.first().map_or("x", |one| &one.name)));
    let all = Timestamp::MIN..=Timestamp::MAX;
    for watched in every_way(&selector) {
        let metric = MetricConfig {
            from: Origin::Series(watched.clone()),
            ..MetricConfig::of(watched.kind(), "m", "")
        };
        for scrape_s in [1.0, 15.0] {
            if let Ok(blocks) = blocks(&metric, &watched, &found, &all, scrape_s) {
                assert!(in_order(&blocks));
            }
        }
    }
}

/// The first line is a selector, the rest what a monitor has put into its bucket, unpacked.
pub(crate) fn run_posted(bytes: &[u8]) {
    let cut = bytes.iter().position(|&byte| byte == b'\n').unwrap_or(bytes.len());
    let (first, body) = (&bytes[..cut], bytes.get(cut + 1..).unwrap_or_default());
    let text = std::str::from_utf8(first).ok();
    let selector = text.and_then(|text| text.parse::<Selector>().ok());
    let selector = selector.unwrap_or_else(|| Selector::named("r"));
    let part = match Part::read(body) {
        Ok(part) => part,
        Err(error) => return assert!(error.to_string().len() < SENTENCE_BYTES),
    };
    let (number, now) = (part.number(), part.to());
    let mut posted = Posted::default();
    posted.take(number, now, Ok(Some(part)));
    let start = now
        .checked_sub(SignedDuration::from_secs(PART_S))
        .unwrap_or(Timestamp::MIN);
    match posted.label_sets(start, now) {
        Ok(sets) => assert!(
            choose(&Exposed::of(&sets), &[])
                .iter()
                .all(|metric| !metric.query.is_empty())
        ),
        Err(error) => assert!(error.to_string().len() < SENTENCE_BYTES),
    }
    for watched in every_way(&selector) {
        let metric = MetricConfig {
            from: Origin::Series(watched.clone()),
            ..MetricConfig::of(watched.kind(), "m", "")
        };
        match posted.blocks(&metric, &watched, &(start..=now), 5.0) {
            Ok(blocks) => assert!(in_order(&blocks) && blocks.iter().all(|block| block.ends_at() <= now)),
            Err(error) => assert!(error.to_string().len() < SENTENCE_BYTES),
        }
    }
}

fn every_way(selector: &Selector) -> [Watched; 6] {
    let one = || selector.clone();
    [
        Watched::Share {
            events: one(),
            of: Selector::named(&selector.name),
        },
        Watched::Rate(one()),
        Watched::Buckets(one()),
        Watched::Level(one()),
        Watched::Speed(one()),
        Watched::Mean {
            sum: one(),
            count: one(),
        },
    ]
}

fn in_order(blocks: &[Block]) -> bool {
    blocks.windows(2).all(|pair| pair[0].ends_at() < pair[1].ends_at())
}

/// The lines of a log of the groups `a` and `b`.
pub(crate) fn run_log(bytes: &[u8]) {
    let mut log = AccessLog::new(LogArms {
        baseline: ["a".to_owned()].into(),
        canary: ["b".to_owned()].into(),
        except_rules: [7].into(),
        production: ["p".to_owned()].into(),
        production_through: [1].into(),
    });
    log.read_from(bytes).expect("memory can be read, and is not that long");
    for (from, kind) in [
        (Origin::ClientsSaw, MetricKind::ErrorShare),
        (Origin::TargetsSaid, MetricKind::ErrorShare),
        (Origin::TargetsSaid, MetricKind::Histogram),
    ] {
        let metric = MetricConfig {
            from,
            ..MetricConfig::of(kind, "m", "")
        };
        let machines = Machines {
            production: 1,
            each_arm: 1,
        };
        let beside = log.production(&metric, &(Timestamp::MIN..=Timestamp::MAX), 5, machines);
        assert!(beside.iter().all(Beside::is_readable));
        match log.blocks(&metric, &(Timestamp::MIN..=Timestamp::MAX), 5) {
            Ok(blocks) => assert!(in_order(&blocks) && blocks.iter().all(Block::is_readable)),
            Err(error) => assert!(error.to_string().len() < SENTENCE_BYTES),
        }
    }
}

/// One answer of each shape.
pub(crate) fn monitor_seeds() -> Vec<Vec<u8>> {
    let series = |name: &str, arm: &str, more: &str, samples: &str| {
        format!(r#"{{"metric":{{"__name__":"{name}","arm":"{arm}","instance":"i","job":"app"{more}}},{samples}}}"#)
    };
    let matrix = |selector: &str, all: &[String]| {
        let all = all.join(",");
        format!("{selector}\n{{\"status\":\"success\",\"data\":{{\"resultType\":\"matrix\",\"result\":[{all}]}}}}")
            .into_bytes()
    };
    let counted = r#""values":[[1,"1"],[16,"5"],[31,"2"],[46,"NaN"],[61,"+Inf"]]"#;
    let native = r#""histograms":[[1,{"count":"5","sum":"2.5","buckets":[[3,"-0.001","0.001","1"],[0,"0.5","1","4"]]}],[16,{"count":"9","sum":"3","buckets":[[0,"0.5","0.70710678","8"]]}]]"#;
    let both =
        |name: &str, more: &str, samples: &str| ["baseline", "canary"].map(|arm| series(name, arm, more, samples));
    let mut buckets = both("h_bucket", r#","le":"0.1""#, counted).to_vec();
    buckets.extend(both("h_bucket", r#","le":"+Inf""#, counted));
    buckets.extend(both("up", "", counted));
    vec![
        matrix(r#"r{code=~"5..",m!="GET"}"#, &both("r", r#","code":"500""#, counted)),
        matrix("h", &buckets),
        matrix("h", &both("h", "", native)),
        br#"x
{"status":"success","data":[{"__name__":"process_open_fds","arm":"canary"},{"__name__":"process_open_fds","arm":"baseline"}]}"#
            .to_vec(),
        b"x\n{\"status\":\"error\",\"errorType\":\"execution\",\"error\":\"query timed out\"}".to_vec(),
    ]
}

/// A part with samples of both arms, and those without an answer.
pub(crate) fn posted_seeds() -> Vec<Vec<u8>> {
    let samples = |name: &str, arm: &str| {
        let values: Vec<String> = (0..20)
            .map(|scrape| format!("[{},\"{scrape}\"]", 600 + 5 * scrape))
            .collect();
        format!(
            r#"{{"metric":{{"__name__":"{name}","arm":"{arm}","instance":"{arm}","job":"app"}},"values":[{}]}}"#,
            values.join(",")
        )
    };
    let all = ["r", "up"].map(|name| ["baseline", "canary"].map(|arm| samples(name, arm)).join(","));
    let answer = format!(
        r#"{{"status":"success","data":{{"resultType":"matrix","result":[{}]}}}}"#,
        all.join(",")
    );
    vec![
        format!("r\n{{\"from\":600,\"to\":700,\"answer\":{answer}}}").into_bytes(),
        b"r\n{\"from\":600,\"to\":900,\"left_out\":\"too_long\"}".to_vec(),
        b"r\n{\"from\":600,\"to\":601,\"left_out\":\"no_answer\"}".to_vec(),
    ]
}

/// Entries with and without an answer.
pub(crate) fn log_seeds() -> Vec<Vec<u8>> {
    let entry = |statuses: &str, took: &str, group: &str, rule: &str| {
        format!(
            "https 2026-01-02T03:04:05.186641Z app/x/1 192.168.1.9:2817 10.0.0.1:80 0.000 {took} 0.000 {statuses} 34 366 \
             \"GET https://x:443/a\\x22b HTTP/1.1\" \"agent (a; b)\" ECDHE TLSv1.2 {group} \"Root=1-2\" \"x\" \"-\" {rule} \
             2026-01-02T03:04:05.000000Z \"forward\" \"-\" \"-\" \"10.0.0.1:80\" \"200\" \"-\" \"-\" TID_1\n"
        )
    };
    let all = [
        entry("200 200", "0.048", "a", "1"),
        entry("502 -", "-1", "b", "1"),
        entry("- -", "-1", "-", "-"),
        entry("500 500", "1.000", "b", "7"),
    ];
    vec![all.concat().into_bytes()]
}
