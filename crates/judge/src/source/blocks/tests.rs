use super::*;
use crate::source::answer::NativeReading;
use crate::{MetricKind, Reading};

fn at(s: f64) -> Timestamp {
    Timestamp::from_millisecond((s * 1000.0) as i64).unwrap()
}

/// A series of an arm's one instance; times in seconds.
fn series(name: &str, arm: &str, labels: &[(&str, &str)], samples: &[(f64, f64)]) -> Series {
    let own = [("arm", arm), ("instance", arm), ("job", "app")];
    let labels = own.iter().chain(labels);
    Series {
        name: name.into(),
        labels: labels.map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
        readings: samples
            .iter()
            .map(|(s, value)| Reading {
                at: at(*s),
                value: *value,
            })
            .collect(),
        histograms: Vec::new(),
    }
}

fn both(name: &str, labels: &[(&str, &str)], baseline: &[(f64, f64)], canary: &[(f64, f64)]) -> Vec<Series> {
    vec![
        series(name, "baseline", labels, baseline),
        series(name, "canary", labels, canary),
    ]
}

fn asked(watched: &Watched, series: &[Series], from: f64, to: f64, scrape_s: f64) -> Result<Vec<Block>, SourceError> {
    let metric = MetricConfig::of(watched.kind(), "m", "");
    blocks(&metric, watched, series, &(at(from)..=at(to)), scrape_s)
}

fn counts(blocks: &[Block]) -> Vec<(f64, [f64; 4])> {
    let plain = |block: &CountBlock| {
        let numbers = [
            block.baseline_events,
            block.canary_events,
            block.baseline_exposure,
            block.canary_exposure,
        ];
        (block.ends_at.as_millisecond() as f64 / 1000.0, numbers)
    };
    blocks.iter().map(|block| plain(block.counts().unwrap())).collect()
}

fn share() -> Watched {
    Watched::Share {
        events: r#"r{code=~"5.."}"#.parse().unwrap(),
        of: Selector::named("r"),
    }
}

/// Scrapes of both arms at some distance from each other, 15 s apart.
fn requests(codes: &[&str], baseline: &[f64], canary: &[f64]) -> Vec<Series> {
    let timed = |offset: f64, values: &[f64]| -> Vec<(f64, f64)> {
        let places = values.iter().enumerate();
        places.map(|(n, value)| (offset + 15.0 * n as f64, *value)).collect()
    };
    let of = |code: &&str| both("r", &[("code", code)], &timed(1.0, baseline), &timed(7.0, canary));
    codes.iter().flat_map(of).collect()
}

#[test]
fn counters_become_increments_between_the_scrapes_of_both_arms() {
    let all = requests(&["200", "503"], &[10.0, 20.0, 40.0], &[0.0, 5.0, 7.0]);
    let found = counts(&asked(&share(), &all, 0.0, 60.0, 15.0).unwrap());
    assert_eq!(found, [(16.0, [10.0, 5.0, 20.0, 10.0]), (31.0, [20.0, 2.0, 40.0, 4.0])]);
}

#[test]
fn a_later_question_goes_on_where_the_last_block_ended() {
    let values: Vec<f64> = (0..40).map(|n| f64::from(n * n)).collect();
    let all = requests(&["200", "500"], &values, &values);
    let whole = asked(&share(), &all, 0.0, 1000.0, 15.0).unwrap();
    let mut in_parts = Vec::new();
    let (mut from, mut now) = (0.0, 20.0);
    while now < 700.0 {
        let seen: Vec<Series> = all
            .iter()
            .map(|one| {
                let (first, last) = (at(f64::max(from - look_back_s(15.0), 0.0)), at(now));
                let mut seen = one.clone();
                seen.readings
                    .retain(|reading| reading.at >= first && reading.at <= last);
                seen
            })
            .collect();
        if let Ok(more) = asked(&share(), &seen, from, now, 15.0) {
            in_parts.extend(more);
        }
        from = in_parts
            .last()
            .map_or(from, |block: &Block| block.ends_at().as_millisecond() as f64 / 1000.0);
        now += 11.0;
    }
    assert_eq!(whole, in_parts);
    assert_eq!(whole.len(), 39);
}

#[test]
fn nothing_that_was_counted_before_the_window_is_in_it() {
    let all = requests(&["500"], &[10.0, 20.0, 40.0], &[0.0, 5.0, 7.0]);
    let found = counts(&asked(&share(), &all, 10.0, 60.0, 15.0).unwrap());
    assert_eq!(found, [(31.0, [20.0, 2.0, 20.0, 2.0])]);
}

#[test]
fn moments_whose_neighbours_may_still_come_are_left_for_the_next_question() {
    let all = requests(&["500"], &[10.0, 20.0, 40.0], &[0.0, 5.0, 7.0]);
    assert_eq!(asked(&share(), &all, 0.0, 39.0, 15.0).unwrap().len(), 1);
    assert_eq!(asked(&share(), &all, 0.0, 39.5, 15.0).unwrap().len(), 2);
}

#[test]
fn a_restart_counts_what_was_counted_since() {
    let all = requests(&["500"], &[10.0, 20.0, 40.0], &[100.0, 105.0, 7.0]);
    let found = counts(&asked(&share(), &all, 0.0, 60.0, 15.0).unwrap());
    assert_eq!(found[1].1, [20.0, 7.0, 20.0, 7.0]);
}

#[test]
fn errors_that_never_were_are_none_and_the_first_one_counts() {
    let mut all = requests(&["200"], &[10.0, 20.0, 40.0], &[0.0, 5.0, 7.0]);
    let found = counts(&asked(&share(), &all, 0.0, 60.0, 15.0).unwrap());
    assert_eq!(found[0].1, [0.0, 0.0, 10.0, 5.0]);
    all.push(series("r", "canary", &[("code", "500")], &[(37.0, 3.0)]));
    let found = counts(&asked(&share(), &all, 0.0, 60.0, 15.0).unwrap());
    assert_eq!(found[1].1, [0.0, 3.0, 20.0, 5.0]);
}

#[test]
fn an_arm_that_shows_no_requests_is_no_data() {
    let mut all = requests(&["200"], &[10.0, 20.0], &[0.0, 5.0]);
    all.remove(1);
    let said = asked(&share(), &all, 0.0, 60.0, 15.0).unwrap_err();
    assert_eq!(
        said.to_string(),
        "the source has no data: the canary shows none of these series: r"
    );
}

#[test]
fn a_scrape_that_failed_carries_both_arms_to_the_next() {
    let mut all = requests(&["500"], &[10.0, 20.0, 40.0], &[0.0, 5.0, 7.0]);
    all[1].readings.remove(1);
    let found = counts(&asked(&share(), &all, 0.0, 60.0, 15.0).unwrap());
    assert_eq!(found, [(31.0, [30.0, 7.0, 30.0, 7.0])]);
}

#[test]
fn a_target_that_answered_without_the_series_counts_from_its_first_request() {
    let mut all = both("r", &[("code", "200")], &[(16.0, 4.0), (31.0, 9.0)], &[(37.0, 3.0)]);
    let up = |arm, offset: f64| {
        series(
            "up",
            arm,
            &[],
            &[(offset, 1.0), (offset + 15.0, 1.0), (offset + 30.0, 1.0)],
        )
    };
    all.extend([up("baseline", 1.0), up("canary", 7.0)]);
    let found = counts(&asked(&share(), &all, 0.0, 60.0, 15.0).unwrap());
    assert_eq!(found, [(16.0, [0.0, 0.0, 4.0, 0.0]), (31.0, [0.0, 0.0, 5.0, 3.0])]);
}

#[test]
fn instances_of_an_arm_are_added() {
    let mut all = requests(&["500"], &[10.0, 20.0], &[0.0, 5.0]);
    let mut second = series("r", "canary", &[("code", "500")], &[(3.0, 100.0), (18.0, 101.0)]);
    second.labels.insert("instance".into(), "second".into());
    all.push(second);
    let found = counts(&asked(&share(), &all, 0.0, 60.0, 15.0).unwrap());
    assert_eq!(found[0].1, [10.0, 6.0, 10.0, 6.0]);
}

#[test]
fn scrapes_of_every_second_make_blocks_of_five() {
    let every: Vec<(f64, f64)> = (0..=17).map(|s| (f64::from(s) + 0.3, f64::from(s))).collect();
    let all = both("r", &[("code", "500")], &every, &every);
    let found = counts(&asked(&share(), &all, 0.0, 18.0, 1.0).unwrap());
    let ends: Vec<(f64, f64)> = found.iter().map(|(at, numbers)| (*at, numbers[0])).collect();
    assert_eq!(ends, [(4.3, 4.0), (9.3, 5.0), (14.3, 5.0)]);
    let later = counts(&asked(&share(), &all, 9.3, 18.0, 1.0).unwrap());
    assert_eq!(later, found[2..]);
}

#[test]
fn rates_are_events_in_seconds_of_all_instances_and_leave_restarts_out() {
    let all = requests(&["500"], &[10.0, 25.0, 40.0], &[9.0, 12.0, 3.0]);
    let found = counts(&asked(&Watched::Rate(Selector::named("r")), &all, 0.0, 60.0, 15.0).unwrap());
    assert_eq!(found, [(16.0, [15.0, 3.0, 15.0, 15.0])]);
}

#[test]
fn gauges_are_summed_within_an_instance_and_meant_over_a_block() {
    let every = |level: f64| -> Vec<(f64, f64)> { (0..=12).map(|s| (f64::from(s), level + f64::from(s))).collect() };
    let mut all = both("mem", &[("area", "heap")], &every(10.0), &every(20.0));
    all.extend(both("mem", &[("area", "other")], &every(1.0), &every(2.0)));
    let found = asked(&Watched::Level(Selector::named("mem")), &all, 0.0, 12.0, 1.0).unwrap();
    // The first block holds the seconds 1 to 4, the second 5 to 9.
    let expected = |ends_at: f64, mean: f64| {
        Block::Gauge(GaugeBlock {
            ends_at: at(ends_at),
            baseline: 11.0 + 2.0 * mean,
            canary: 22.0 + 2.0 * mean,
        })
    };
    assert_eq!(found, [expected(4.0, 2.5), expected(9.0, 7.0)]);
}

#[test]
fn processor_seconds_become_a_level_and_sums_by_counts_a_mean() {
    let mut all = both("s", &[], &[(0.0, 0.0), (15.0, 3.0)], &[(0.0, 1.0), (15.0, 7.0)]);
    all.extend(both("c", &[], &[(0.0, 0.0), (15.0, 6.0)], &[(0.0, 0.0), (15.0, 3.0)]));
    let gauge = |baseline, canary| {
        [Block::Gauge(GaugeBlock {
            ends_at: at(15.0),
            baseline,
            canary,
        })]
    };
    let speed = Watched::Speed(Selector::named("s"));
    assert_eq!(asked(&speed, &all, 0.0, 60.0, 15.0).unwrap(), gauge(0.2, 0.4));
    let mean = Watched::Mean {
        sum: Selector::named("s"),
        count: Selector::named("c"),
    };
    assert_eq!(asked(&mean, &all, 0.0, 60.0, 15.0).unwrap(), gauge(0.5, 2.0));
}

fn distribution(blocks: &[Block], place: usize) -> (&Buckets, &Buckets) {
    match &blocks[place] {
        Block::Histogram(block) => (&block.baseline, &block.canary),
        other @ (Block::Counts(_) | Block::Gauge(_)) => panic!("{other:?}"),
    }
}

#[test]
fn classic_buckets_are_differences_in_time_and_along_the_edges() {
    let bucket = |path: &str, le: &str, growth: f64| {
        let grown = [(0.0, 1.0), (15.0, 1.0 + growth)];
        both("d_bucket", &[("path", path), ("le", le)], &grown, &grown)
    };
    let all: Vec<Series> = [("/a", "0.1", 2.0), ("/a", "1.0", 5.0), ("/a", "+Inf", 6.0)]
        .into_iter()
        .chain([("/b", "0.1", 1.0), ("/b", "1", 1.0), ("/b", "+Inf", 1.0)])
        .flat_map(|(path, le, growth)| bucket(path, le, growth))
        .collect();
    let found = asked(&Watched::Buckets(Selector::named("d")), &all, 0.0, 60.0, 15.0).unwrap();
    let (baseline, canary) = distribution(&found, 0);
    assert_eq!(
        (&baseline.upper_edges[..], &baseline.counts[..]),
        (&[0.1, 1.0][..], &[3.0, 3.0, 1.0][..])
    );
    assert_eq!(baseline, canary);
}

fn native(s: f64, schema: i32, counts: &[(i32, f64)]) -> NativeReading {
    let edge = |index: i32| (f64::from(index) / f64::from(schema).exp2()).exp2();
    // The zero bucket reaches to both sides.
    let zero = (-1e-6, 1e-6, 1.0);
    let buckets: Vec<_> = counts.iter().map(|(i, n)| (edge(i - 1), edge(*i), *n)).collect();
    NativeReading {
        at: at(s),
        count: buckets.iter().map(|(.., n)| n).sum(),
        sum: 0.0,
        buckets: [zero].into_iter().chain(buckets).collect(),
    }
}

#[test]
fn native_buckets_are_reduced_to_one_resolution_and_restarts_found() {
    let mut all = both("d", &[], &[], &[]);
    all[0].histograms = vec![
        native(0.0, 4, &[(1, 5.0), (2, 5.0)]),
        native(15.0, 4, &[(1, 6.0), (2, 7.0), (3, 1.0)]),
    ];
    all[1].histograms = vec![native(0.0, 3, &[(1, 50.0)]), native(15.0, 3, &[(1, 3.0)])];
    let found = asked(&Watched::Buckets(Selector::named("d")), &all, 0.0, 60.0, 15.0).unwrap();
    let (baseline, canary) = distribution(&found, 0);
    assert_eq!(baseline.upper_edges, canary.upper_edges);
    assert_eq!(baseline.total(), 4.0);
    // Buckets 1 and 2 of schema 4 are bucket 1 of schema 3, which ends at 2^(1/8).
    let above_one = baseline.upper_edges.iter().position(|edge| *edge > 1.0).unwrap();
    assert_eq!(baseline.counts[above_one..=above_one + 1], [3.0, 1.0]);
    // The canary began anew: everything it shows, the zero bucket included.
    assert_eq!((canary.counts[0], canary.counts[above_one]), (1.0, 3.0));
}

#[test]
fn every_way_of_watching_suits_the_kind_it_makes() {
    for watched in [
        share(),
        Watched::Rate(Selector::named("r")),
        Watched::Buckets(Selector::named("r")),
    ] {
        assert!(watched.suits(watched.kind()));
        assert!(!watched.suits(MetricKind::Leak));
    }
    assert!(Watched::Level(Selector::named("r")).suits(MetricKind::Leak));
}

/// A share over scrapes with any offsets, some of them missed, asked at any moments.
fn shares_in_parts(scrape_s: f64, offsets: (f64, f64), missed: &[(bool, bool)], pauses: &[f64]) -> [Vec<Block>; 2] {
    let scrapes: f64 = pauses.iter().sum();
    let timed = |offset: f64, missed: &dyn Fn(usize) -> bool, step: f64| -> Vec<(f64, f64)> {
        let taken = (0..=scrapes as usize).filter(|n| !missed(*n));
        taken
            .map(|n| ((n as f64 + offset) * scrape_s, n as f64 * step))
            .collect()
    };
    let at_place = |n: usize| missed[n % missed.len()];
    let baseline = timed(offsets.0, &|n| at_place(n).0, 3.0);
    let canary = timed(offsets.1, &|n| at_place(n).1, 2.0);
    let all = both("r", &[("code", "500")], &baseline, &canary);
    let whole = asked(&share(), &all, 0.0, scrapes * scrape_s, scrape_s).unwrap_or_default();
    let (mut parts, mut from, mut now) = (Vec::new(), 0.0, 0.0);
    for pause in pauses {
        now += pause * scrape_s;
        let (first, last) = (at(f64::max(from - look_back_s(scrape_s), 0.0)), at(now));
        let seen: Vec<Series> = all
            .iter()
            .map(|one| {
                let mut seen = one.clone();
                seen.readings.retain(|reading| (first..=last).contains(&reading.at));
                seen
            })
            .collect();
        parts.extend(asked(&share(), &seen, from, now, scrape_s).unwrap_or_default());
        let last: Option<&Block> = parts.last();
        from = last.map_or(from, |block| block.ends_at().as_millisecond() as f64 / 1000.0);
    }
    [whole, parts]
}

proptest::proptest! {
    /// Nothing is counted twice and nothing lost, whenever it is asked.
    #[test]
    fn questions_at_any_moments_find_the_blocks_of_one_question(
        every_second in proptest::bool::ANY,
        offsets in (0.0f64..1.0, 0.0f64..1.0),
        missed in proptest::collection::vec((proptest::bool::weighted(0.1), proptest::bool::weighted(0.1)), 1..40),
        pauses in proptest::collection::vec(0.3f64..12.0, 1..12),
    ) {
        let scrape_s = if every_second { 1.0 } else { 15.0 };
        let [whole, parts] = shares_in_parts(scrape_s, offsets, &missed, &pauses);
        proptest::prop_assert_eq!(whole, parts);
    }
}
