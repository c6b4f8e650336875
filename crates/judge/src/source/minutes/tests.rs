use super::*;
use crate::source::Origin;
use crate::{MetricKind, Shown};

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(minute * MINUTE_S).unwrap()
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

/// Minutes of requests, answers and failures, from the first on.
fn minutes(counts: &[(f64, f64, f64)]) -> Minutes {
    let mut minutes = Minutes::default();
    for ((requests, answered, failed), place) in counts.iter().copied().zip(1..) {
        let times = Buckets::from_cumulative([(0.1, answered / 2.0), (f64::INFINITY, answered)]);
        minutes.note(
            at(place),
            Minute {
                requests,
                answered,
                failed,
                times,
            },
        );
    }
    minutes
}

fn steady(count: usize) -> Minutes {
    minutes(&vec![(300.0, 300.0, 0.0); count])
}

/// Failures and requests of the canary, as clients saw them.
fn seen(canary: &Minutes) -> Vec<(f64, f64)> {
    let metric = metric(Origin::ClientsSaw, MetricKind::ErrorShare);
    let blocks = blocks(&metric, [&steady(1), canary], &all()).unwrap();
    let counts = blocks.iter().map(|block| block.counts().unwrap());
    counts
        .map(|block| (block.canary_events, block.canary_exposure))
        .collect()
}

#[test]
fn what_targets_said_counts_as_it_is() {
    let canary = minutes(&[(300.0, 290.0, 7.0), (300.0, 310.0, 9.0)]);
    let metric = metric(Origin::TargetsSaid, MetricKind::ErrorShare);
    let blocks = blocks(&metric, [&steady(2), &canary], &all()).unwrap();
    let shown: Vec<_> = blocks.iter().map(|block| *block.counts().unwrap()).collect();
    assert_eq!(
        shown.iter().map(|block| block.canary_events).collect::<Vec<_>>(),
        [7.0, 9.0]
    );
    assert_eq!(
        shown.iter().map(|block| block.canary_exposure).collect::<Vec<_>>(),
        [290.0, 310.0]
    );
    assert_eq!(shown[0].baseline_exposure, 300.0);
    assert_eq!(shown[1].ends_at, at(2));
}

#[test]
fn requests_that_hang_are_seen_in_full_once_it_is_known_how_many_are_under_way() {
    let canary = minutes(&[(300.0, 0.0, 0.0); 5]);
    let failed: Vec<f64> = seen(&canary).into_iter().map(|(failed, _)| failed).collect();
    assert_eq!(failed, [0.0, 0.0, 0.0, 300.0, 300.0]);
}

#[test]
fn a_tenth_that_is_lost_is_a_tenth() {
    let canary = minutes(&[(300.0, 270.0, 0.0); 20]);
    let failed: f64 = seen(&canary).iter().skip(3).map(|(failed, _)| failed).sum();
    assert_eq!(failed, 17.0 * 30.0);
}

#[test]
fn requests_under_way_are_not_lost() {
    // Answers take two seconds of five requests a second: between 8 and 12 are under way at the end of each minute.
    let mut before = 0.0;
    let counts: Vec<(f64, f64, f64)> = [9.0, 12.0, 8.0, 11.0, 10.0, 12.0, 9.0, 8.0, 11.0, 10.0]
        .iter()
        .cycle()
        .take(60)
        .map(|under_way| {
            let answered = 300.0 + before - under_way;
            before = *under_way;
            (300.0, answered, 0.0)
        })
        .collect();
    let failed: f64 = seen(&minutes(&counts)).iter().map(|(failed, _)| failed).sum();
    assert_eq!(failed, 0.0);
}

#[test]
fn more_under_way_than_ever_before_is_not_lost() {
    // Forty requests came in the last second of the sixth minute, and were answered in the first of the seventh.
    let mut counts = vec![(300.0, 300.0, 0.0); 12];
    counts[5] = (340.0, 300.0, 0.0);
    counts[6] = (300.0, 340.0, 0.0);
    assert_eq!(
        seen(&minutes(&counts)).iter().map(|(failed, _)| *failed).sum::<f64>(),
        0.0
    );
    // Those of the sixth that are not answered in the seventh either are.
    counts[6] = (300.0, 310.0, 0.0);
    let failed: Vec<f64> = seen(&minutes(&counts)).into_iter().map(|(failed, _)| failed).collect();
    assert_eq!((failed.iter().sum::<f64>(), failed[6]), (30.0, 30.0));
}

#[test]
fn answers_that_nobody_asked_for_hide_no_loss_for_long() {
    let mut counts = vec![(300.0, 330.0, 0.0); 20];
    counts.extend([(300.0, 200.0, 0.0); 20]);
    let failed: f64 = seen(&minutes(&counts)).iter().map(|(failed, _)| failed).sum();
    assert!(failed >= 16.0 * 100.0, "{failed}");
}

#[test]
fn a_quiet_hour_is_no_loss_and_makes_none() {
    let mut canary = minutes(&[(300.0, 290.0, 0.0), (300.0, 300.0, 0.0), (300.0, 300.0, 0.0)]);
    let minute = Minute {
        requests: 300.0,
        answered: 305.0,
        ..Minute::default()
    };
    canary.note(at(70), minute.clone());
    canary.note(at(71), minute);
    assert_eq!(seen(&canary).iter().map(|(failed, _)| *failed).sum::<f64>(), 0.0);
}

#[test]
fn only_minutes_that_lie_whole_in_the_window_are_given() {
    let window = at(2)..=at(4);
    let metric = metric(Origin::ClientsSaw, MetricKind::ErrorShare);
    let blocks = blocks(&metric, [&steady(9), &steady(9)], &window).unwrap();
    let ends: Vec<_> = blocks.iter().map(Block::ends_at).collect();
    assert_eq!(ends, [at(3), at(4)]);
}

#[test]
fn times_are_histograms_where_both_arms_have_them() {
    let mut canary = steady(3);
    canary.note(
        at(2),
        Minute {
            requests: 5.0,
            answered: 5.0,
            ..Minute::default()
        },
    );
    let metric = metric(Origin::TargetsSaid, MetricKind::Histogram);
    let blocks = blocks(&metric, [&steady(3), &canary], &all()).unwrap();
    let ends: Vec<_> = blocks.iter().map(Block::ends_at).collect();
    assert_eq!(ends, [at(1), at(3)]);
    assert!(blocks.iter().all(Block::is_readable));
}

#[test]
fn production_is_all_its_groups_together() {
    let groups = [minutes(&[(300.0, 300.0, 3.0)]), minutes(&[(100.0, 100.0, 1.0)])];
    let machines = Machines {
        production: 6,
        each_arm: 1,
    };
    let together = Minutes::together(&groups);
    let beside = production(
        &metric(Origin::TargetsSaid, MetricKind::ErrorShare),
        &together,
        machines,
        &all(),
    );
    let [one] = &beside[..] else { panic!("{beside:?}") };
    let Shown::Counts(count) = &one.shown else {
        panic!("{one:?}")
    };
    assert_eq!((count.events, count.exposure, one.ends_at), (4.0, 400.0, at(1)));
    let times = metric(Origin::TargetsSaid, MetricKind::Histogram);
    let beside = production(&times, &together, machines, &all());
    assert!(matches!(&beside[0].shown, Shown::Histogram(times) if times.total() == 400.0));
}

#[test]
fn what_is_no_count_is_left_out() {
    let mut minutes = steady(1);
    for requests in [f64::NAN, f64::INFINITY, -1.0] {
        minutes.note(
            at(1),
            Minute {
                requests,
                ..Minute::default()
            },
        );
    }
    assert_eq!(minutes, steady(1));
    minutes.forget_before(at(1));
    assert_eq!(minutes, steady(1));
    minutes.forget_before(at(2));
    assert_eq!(minutes, Minutes::none());
    let gauge = metric(Origin::ClientsSaw, MetricKind::Gauge);
    assert!(matches!(
        blocks(&gauge, [&minutes, &minutes], &all()),
        Err(SourceError::NoData { .. })
    ));
}
