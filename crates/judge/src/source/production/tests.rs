use super::*;
use crate::source::Selector;
use crate::{Buckets, Reading};

/// A counter of one instance that grows by so much in each of eight scrapes, 15 s apart and so many seconds late.
fn counter(name: &str, arm: &str, instance: &str, le: Option<&str>, step: f64, late_s: f64) -> Series {
    let labels = [("arm", arm), ("instance", instance), ("job", "app")];
    let labels = labels.into_iter().chain(le.map(|le| ("le", le)));
    let reading = |scrape: i32| Reading {
        at: at(15.0 * f64::from(scrape) + late_s),
        value: step * f64::from(scrape),
    };
    Series {
        name: name.into(),
        labels: labels.map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
        readings: (0..8).map(reading).collect(),
        histograms: Vec::new(),
    }
}

fn at(s: f64) -> Timestamp {
    Timestamp::from_millisecond((s * 1000.0) as i64).unwrap()
}

fn asked(watched: &Watched, series: &[Series]) -> (Vec<Block>, Vec<Beside>) {
    let metric = MetricConfig::of(watched.kind(), "m", "");
    let window = at(0.0)..=at(110.0);
    let arms = blocks(&metric, watched, series, &window, 15.0).unwrap();
    let beside = production(&metric, watched, series, &window, 15.0, &arms);
    (arms, beside)
}

fn share() -> (Watched, Vec<Series>) {
    let watched = Watched::Share {
        events: Selector::named("failed"),
        of: Selector::named("all"),
    };
    let of = |arm: &str, instance: &str, failed: f64, late_s: f64| {
        let one = |name: &str, step: f64| counter(name, arm, instance, None, step, late_s);
        [one("failed", failed), one("all", 100.0)]
    };
    let arms = [of("baseline", "b", 2.0, 0.0), of("canary", "c", 4.0, 3.0)];
    (watched, arms.into_iter().flatten().collect())
}

#[test]
fn production_stands_beside_every_block_with_its_machines() {
    let (watched, mut series) = share();
    for (instance, late_s) in [("p1", 1.0), ("p2", 5.0)] {
        series.push(counter("failed", "production", instance, None, 1.0, late_s));
        series.push(counter("all", "production", instance, None, 300.0, late_s));
    }
    let (arms, beside) = asked(&watched, &series);
    let ends = |of: &[Timestamp]| of.to_vec();
    assert!(arms.len() >= 5);
    assert_eq!(
        ends(&beside.iter().map(|one| one.ends_at).collect::<Vec<_>>()),
        ends(&arms.iter().map(Block::ends_at).collect::<Vec<_>>())
    );
    let expected = Shown::Counts(ArmCount {
        events: 2.0,
        exposure: 600.0,
    });
    let machines = Machines {
        production: 2,
        each_arm: 1,
    };
    assert!(
        beside
            .iter()
            .all(|one| one.shown == expected && one.machines == machines)
    );
}

#[test]
fn without_production_nothing_stands_beside() {
    let (watched, series) = share();
    assert_eq!(asked(&watched, &series).1, []);
}

#[test]
fn a_block_of_another_span_is_left_out() {
    let (watched, mut series) = share();
    let mut gap = [
        counter("failed", "production", "p", None, 1.0, 0.0),
        counter("all", "production", "p", None, 300.0, 0.0),
    ];
    // Production missed the scrape at 45 s, so that one of its spans is twice as long.
    for one in &mut gap {
        one.readings.remove(3);
    }
    series.extend(gap);
    let (arms, beside) = asked(&watched, &series);
    let missing: Vec<i64> = arms
        .iter()
        .map(|block| block.ends_at().as_second())
        .filter(|end| !beside.iter().any(|one| one.ends_at.as_second() == *end))
        .collect();
    assert_eq!(missing, [45, 60]);
}

#[test]
fn distributions_of_production_have_their_buckets() {
    let watched = Watched::Buckets(Selector::named("t"));
    let of = |arm: &str, slow: f64| {
        let edges = [("0.1", 60.0), ("0.5", 60.0 + slow), ("+Inf", 60.0 + slow)];
        edges.map(|(le, step)| counter("t_bucket", arm, arm, Some(le), step, 0.0))
    };
    let all = [of("baseline", 6.0), of("canary", 30.0), of("production", 9.0)];
    let series: Vec<Series> = all.into_iter().flatten().collect();
    let (arms, beside) = asked(&watched, &series);
    assert_eq!((arms.len(), beside.len()), (6, 6));
    let expected = Buckets {
        upper_edges: vec![0.1, 0.5],
        counts: vec![60.0, 9.0, 0.0],
    };
    assert_eq!(beside[0].shown, Shown::Histogram(expected));
}
