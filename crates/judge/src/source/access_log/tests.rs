use proptest::prelude::*;

use super::*;
use crate::{MetricKind, Shown, source::Origin};

const GROUP: &str = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/arya-c/0123456789abcdef";

/// An entry as AWS writes it.
fn entry(second: i64, group: &str, (elb, target): (&str, &str), took: &str, rule: &str) -> String {
    let time = Timestamp::from_millisecond(second * 1000 + 186).unwrap();
    format!(
        "h2 {time} app/shop/50dc6c495c0c9188 192.168.131.39:2817 10.0.0.1:80 0.000 {took} 0.000 {elb} {target} 34 366 \
         \"GET https://shop.example:443/a?q=\\x22b\\x22 HTTP/2.0\" \"agent \\x22x\\x22 (a; b)\" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 \
         {group} \"Root=1-58337262-36d228ad5d99923122bbe354\" \"shop.example\" \"session-reused\" {rule} \
         2026-01-02T03:04:05.000000Z \"waf,forward\" \"-\" \"-\" \"10.0.0.1:80\" \"{target}\" \"-\" \"-\" TID_1234abcd5678ef90 \
         \"-\" \"a field of tomorrow\""
    )
}

fn arms() -> LogArms {
    LogArms {
        baseline: ["base".to_owned()].into(),
        canary: [GROUP.to_owned()].into(),
        except_rules: [7].into(),
        production: ["prod".to_owned()].into(),
        production_through: [1].into(),
    }
}

fn all() -> RangeInclusive<Timestamp> {
    Timestamp::MIN..=Timestamp::MAX
}

fn metric(from: Origin, kind: MetricKind) -> MetricConfig {
    MetricConfig {
        from,
        ..MetricConfig::of(kind, "m", "")
    }
}

fn counts(log: &AccessLog, from: Origin) -> Vec<(i64, [f64; 4])> {
    let blocks = log.blocks(&metric(from, MetricKind::ErrorShare), &all(), 5).unwrap();
    let plain = |block: &Block| {
        let block = block.counts().unwrap();
        let numbers = [
            block.baseline_events,
            block.canary_events,
            block.baseline_exposure,
            block.canary_exposure,
        ];
        (block.ends_at.as_second(), numbers)
    };
    blocks.iter().map(plain).collect()
}

#[test]
fn what_clients_saw_and_what_targets_said_are_told_apart() {
    let mut log = AccessLog::new(arms());
    for line in [
        entry(11, GROUP, ("200", "200"), "0.048", "1"),
        entry(12, GROUP, ("503", "503"), "0.001", "1"),
        // The target did not answer; the load balancer did.
        entry(10, GROUP, ("502", "-"), "-1", "1"),
        // The client went away.
        entry(13, GROUP, ("460", "-"), "-1", "1"),
        entry(13, GROUP, ("-", "-"), "-1", "1"),
        entry(14, "base", ("200", "200"), "0.002", "1"),
        // The probe's rule, another group, no group.
        entry(14, GROUP, ("500", "500"), "0.002", "7"),
        entry(14, "other", ("500", "500"), "0.002", "1"),
        entry(14, "-", ("403", "-"), "-1", "-1"),
        entry(21, "base", ("500", "500"), "0.002", "0"),
    ] {
        log.read(&line);
    }
    assert_eq!(
        counts(&log, Origin::ClientsSaw),
        [(15, [0.0, 2.0, 1.0, 5.0]), (25, [1.0, 0.0, 1.0, 0.0])]
    );
    assert_eq!(
        counts(&log, Origin::TargetsSaid),
        [(15, [0.0, 1.0, 1.0, 2.0]), (25, [1.0, 0.0, 1.0, 0.0])]
    );
}

#[test]
fn times_of_targets_fall_into_the_bucket_that_ends_at_them_or_above() {
    let mut log = AccessLog::new(arms());
    for took in ["0.000", "0.001", "0.002", "0.0021", "61", "-1", "-1.000"] {
        log.read(&entry(11, GROUP, ("200", "200"), took, "1"));
    }
    let blocks = log
        .blocks(&metric(Origin::TargetsSaid, MetricKind::Histogram), &all(), 15)
        .unwrap();
    let [Block::Histogram(block)] = &blocks[..] else {
        panic!("{blocks:?}")
    };
    assert!(block.canary.is_readable() && block.canary.upper_edges == block.baseline.upper_edges);
    assert_eq!((block.canary.total(), block.baseline.total()), (5.0, 0.0));
    assert_eq!(
        (&block.canary.counts[..3], block.canary.counts.last()),
        (&[2.0, 1.0, 1.0][..], Some(&1.0))
    );
}

#[test]
fn only_blocks_that_lie_whole_in_the_window_are_given() {
    let mut log = AccessLog::new(arms());
    (0..30).for_each(|second| log.read(&entry(second, GROUP, ("200", "200"), "0", "1")));
    let window = Timestamp::from_second(3).unwrap()..=Timestamp::from_second(24).unwrap();
    let blocks = log
        .blocks(&metric(Origin::ClientsSaw, MetricKind::ErrorShare), &window, 5)
        .unwrap();
    let ends: Vec<i64> = blocks.iter().map(|block| block.ends_at().as_second()).collect();
    assert_eq!(ends, [10, 15, 20]);
}

#[test]
fn production_stands_beside_the_arms_where_the_same_rule_led_to_it() {
    let mut log = AccessLog::new(arms());
    for line in [
        entry(11, GROUP, ("200", "200"), "0.048", "1"),
        entry(11, "prod", ("200", "200"), "0.002", "1"),
        entry(12, "prod", ("502", "-"), "-1", "1"),
        // Requests that the conditions do not match reach production through its own rule; the probe reaches nobody's users.
        entry(12, "prod", ("500", "500"), "0.002", "2"),
        entry(12, "prod", ("500", "500"), "0.002", "7"),
        // A span in which the arms had nothing.
        entry(17, "prod", ("200", "200"), "0.002", "1"),
    ] {
        log.read(&line);
    }
    let machines = Machines {
        production: 4,
        each_arm: 1,
    };
    let clients = metric(Origin::ClientsSaw, MetricKind::ErrorShare);
    let beside = log.production(&clients, &all(), 5, machines);
    let ends: Vec<i64> = beside.iter().map(|one| one.ends_at.as_second()).collect();
    assert_eq!(ends, [15, 20]);
    let Shown::Counts(count) = &beside[0].shown else {
        panic!("{beside:?}")
    };
    assert_eq!((count.events, count.exposure, beside[0].machines), (1.0, 2.0, machines));
    assert_eq!(counts(&log, Origin::ClientsSaw), [(15, [0.0, 0.0, 0.0, 1.0])]);
    let times = log.production(
        &metric(Origin::TargetsSaid, MetricKind::Histogram),
        &all(),
        10,
        machines,
    );
    assert!(matches!(&times[0].shown, Shown::Histogram(buckets) if buckets.total() == 2.0));
}

#[test]
fn a_quote_inside_a_field_does_not_end_it() {
    let odd = entry(11, GROUP, ("200", "200"), "0", "1").replace("\\x22b\\x22", "\"b\"x");
    assert_eq!(Line::parse(&odd).unwrap().target_group.as_deref(), Some(GROUP));
    assert_eq!(Line::parse(&odd).unwrap().rule, Some(1));
}

#[test]
fn something_else_than_a_log_is_said_to_be_so() {
    let mut log = AccessLog::new(arms());
    log.read("<html>\n<body>\n");
    log.read(&entry(11, GROUP, ("200", "200"), "0", "1"));
    let said = log
        .blocks(&metric(Origin::ClientsSaw, MetricKind::ErrorShare), &all(), 5)
        .unwrap_err();
    assert!(said.to_string().contains("2 of 3 lines are no entries"), "{said}");
    let said = AccessLog::new(arms()).blocks(&metric(Origin::ClientsSaw, MetricKind::Gauge), &all(), 5);
    assert!(matches!(said, Err(SourceError::NoData { .. })));
}

#[test]
fn a_file_is_read_line_by_line_whatever_it_holds() {
    let mut file = entry(11, GROUP, ("200", "200"), "0", "1").into_bytes();
    file.extend(b"\r\n\xff\xfe\n");
    file.extend(vec![b'x'; 3 * line::LINE_BYTES_MAX]);
    file.extend(b"\n");
    file.extend(entry(12, GROUP, ("500", "500"), "0", "1").into_bytes());
    let mut log = AccessLog::new(arms());
    log.read_from(&file[..]).unwrap();
    assert_eq!((log.lines, log.odd), (6, 4));
    assert_eq!(log.seconds.len(), 2);
}

#[test]
fn a_log_of_any_length_takes_bounded_memory() {
    let mut log = AccessLog::new(arms());
    for second in 0..3 * SECONDS_HELD as i64 {
        log.read(&entry(second, GROUP, ("200", "200"), "0", "1"));
    }
    log.read(&entry(0, GROUP, ("200", "200"), "0", "1"));
    assert_eq!((log.seconds.len(), log.too_old()), (SECONDS_HELD, 1));
}

proptest! {
    #[test]
    fn any_text_is_read_or_counted_as_odd(text in "(?s).{0,300}") {
        let mut log = AccessLog::new(arms());
        log.read(&text);
        prop_assert!(log.odd <= log.lines);
    }

    /// Whatever a client sends in its request line and user agent, the fields after them are found.
    #[test]
    fn what_clients_send_moves_no_field(request in "[^\\x00-\\x1f\"\\\\]{0,40}", agent in "[^\\x00-\\x1f\"\\\\]{0,40}") {
        let line = entry(11, GROUP, ("200", "404"), "0.5", "3")
            .replace("GET https://shop.example:443/a?q=\\x22b\\x22 HTTP/2.0", &request)
            .replace("agent \\x22x\\x22 (a; b)", &agent);
        let line = Line::parse(&line).unwrap();
        prop_assert_eq!(line.target_group.as_deref(), Some(GROUP));
        prop_assert_eq!((line.elb_status, line.target_status, line.rule), (Some(200), Some(404), Some(3)));
    }

    #[test]
    fn the_order_of_lines_does_not_matter(seconds in proptest::collection::vec(0i64..100, 1..40)) {
        let lines: Vec<String> = seconds.iter().map(|s| entry(*s, GROUP, ("500", "500"), "0.1", "1")).collect();
        let (mut forward, mut backward) = (AccessLog::new(arms()), AccessLog::new(arms()));
        forward.read(&lines.join("\n"));
        backward.read(&lines.iter().rev().cloned().collect::<Vec<_>>().join("\n"));
        prop_assert_eq!(forward, backward);
    }
}
