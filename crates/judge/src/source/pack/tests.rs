use super::*;

/// What both arms show, as lines of an exposition: a name and labels.
fn exposed(lines: &[&str]) -> Exposed {
    let both = ["baseline", "canary"].into_iter();
    Exposed::of(
        &both
            .flat_map(|arm| lines.iter().map(move |line| labels(line, arm)))
            .collect::<Vec<_>>(),
    )
}

fn labels(line: &str, arm: &str) -> BTreeMap<String, String> {
    let (name, rest) = line.split_once('{').unwrap_or((line, ""));
    let pairs = rest
        .trim_end_matches('}')
        .split(',')
        .filter_map(|pair| pair.split_once('='));
    pairs
        .chain([("__name__", name), ("arm", arm)])
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[track_caller]
fn check(lines: &[&str], covered: &[Signal], expected: &[(&str, &str)]) {
    let chosen = choose(&exposed(lines), covered);
    let queries: Vec<(&str, String)> = chosen
        .iter()
        .map(|metric| match &metric.from {
            Origin::Series(watched) => (metric.name.as_str(), watched.names().join(" ")),
            other @ (Origin::ClientsSaw | Origin::TargetsSaid) => panic!("{other:?}"),
        })
        .collect();
    let queries: Vec<(&str, &str)> = queries.iter().map(|(name, query)| (*name, query.as_str())).collect();
    assert_eq!(queries, expected);
}

#[test]
fn the_sample_service_is_judged_by_latency_and_memory_beside_the_balancers_count() {
    let lines = [
        "http_requests_total{method=GET,code=200,path=/}",
        "http_request_duration_seconds_bucket{method=GET,path=/,le=0.1}",
        "http_request_duration_seconds_sum{method=GET,path=/}",
        "http_request_duration_seconds_count{method=GET,path=/}",
        "http_requests_in_flight",
        "process_start_time_seconds",
        "process_resident_memory_bytes",
        "up",
    ];
    let latency = (
        "latency",
        "http_request_duration_seconds http_request_duration_seconds_bucket",
    );
    let memory = ("memory", "process_resident_memory_bytes");
    check(&lines, &[Signal::Errors], &[latency, memory]);
    let errors = ("error share", "http_requests_total http_requests_total");
    check(&lines, &[], &[errors, latency, memory]);
}

#[test]
fn spring_without_histograms_is_judged_by_the_mean() {
    check(
        &[
            "http_server_requests_seconds_count{method=GET,status=200,uri=/,outcome=SUCCESS}",
            "http_server_requests_seconds_sum{method=GET,status=200,uri=/,outcome=SUCCESS}",
            "jvm_memory_used_bytes{area=heap,id=eden}",
            "jvm_threads_live_threads",
            "logback_events_total{level=info}",
            "process_cpu_usage",
        ],
        &[],
        &[
            (
                "error share",
                "http_server_requests_seconds_count http_server_requests_seconds_count",
            ),
            (
                "latency",
                "http_server_requests_seconds_sum http_server_requests_seconds_count",
            ),
            ("error logs", "logback_events_total"),
            ("heap", "jvm_memory_used_bytes"),
            ("cpu", "process_cpu_usage"),
            ("threads", "jvm_threads_live_threads"),
        ],
    );
}

#[test]
fn of_two_families_for_one_signal_one_is_taken() {
    check(
        &[
            "http_request_duration_seconds_bucket{handler=/,le=1}",
            "http_request_duration_highr_seconds_bucket{le=1}",
            "http_requests_total{handler=/,status=2xx,method=GET}",
        ],
        &[],
        &[
            ("error share", "http_requests_total http_requests_total"),
            (
                "latency",
                "http_request_duration_highr_seconds http_request_duration_highr_seconds_bucket",
            ),
        ],
    );
}

#[test]
fn a_counter_without_a_status_shows_no_errors() {
    check(&["http_requests_total{method=GET}"], &[], &[]);
}

#[test]
fn a_native_histogram_is_known_by_its_bare_name_and_a_summary_is_none() {
    let latency = (
        "latency",
        "http_request_duration_seconds http_request_duration_seconds_bucket",
    );
    check(&["http_request_duration_seconds{path=/}"], &[], &[latency]);
    check(&["http_request_duration_seconds{quantile=0.5}"], &[], &[]);
}

#[test]
fn what_only_one_arm_shows_is_not_judged() {
    let one = [
        labels("process_resident_memory_bytes", "canary"),
        labels("up", "baseline"),
    ];
    assert!(Exposed::of(&one).is_complete());
    assert!(choose(&Exposed::of(&one), &[]).is_empty());
    assert!(!Exposed::of(&one[..1]).is_complete());
}

#[test]
fn every_row_can_be_read_asked_for_and_found_in_the_documentation() {
    let documented = include_str!("../../../../../docs/metrics.md");
    for family in FAMILIES {
        let watched = family.shape.watched();
        assert!(
            documented.contains(family.made_by),
            "docs/metrics.md lacks {}",
            family.made_by
        );
        for name in watched.names() {
            let bare = name
                .trim_end_matches("_sum")
                .trim_end_matches("_count")
                .trim_end_matches("_bucket");
            assert!(documented.contains(bare), "docs/metrics.md lacks {name}");
        }
        let metric = metric(family.signal, family, watched);
        let written = serde_json::to_string(&metric).unwrap();
        assert_eq!(serde_json::from_str::<MetricConfig>(&written).unwrap(), metric);
    }
    for signal in Signal::ALL {
        assert!(FAMILIES.iter().any(|family| family.signal == signal), "{signal:?}");
        assert!(
            documented.contains(signal.name()),
            "docs/metrics.md lacks {}",
            signal.name()
        );
    }
}

#[test]
fn calls_of_grpc_that_nobody_counts_are_needed_all_the_same() {
    let names = |metrics: Vec<MetricConfig>| -> Vec<(String, bool)> {
        metrics.into_iter().map(|one| (one.name, one.critical)).collect()
    };
    let balancers = || vec![error_share_of_clients(), latency_at_the_balancer()];
    let added = with_call_errors(balancers());
    assert_eq!(
        names(added.clone())[2..],
        [(Signal::CallErrors.name().to_owned(), true)]
    );
    assert_eq!(with_call_errors(added.clone()), added);
    // A share of one's own counts if *no worse* needs it.
    let own = |critical| MetricConfig {
        critical,
        from: added[2].from.clone(),
        ..MetricConfig::error_share("failed calls", "q")
    };
    for (critical, metrics) in [(true, 3), (false, 4)] {
        let chosen = balancers().into_iter().chain([own(critical)]).collect();
        assert_eq!(with_call_errors(chosen).len(), metrics);
    }
    // Calls without their code say nothing of failures.
    let Origin::Series(Watched::Share { of, .. }) = &added[2].from else {
        panic!("{added:?}");
    };
    let coded = |label: &str| of.fits(&BTreeMap::from([(label.to_owned(), "OK".to_owned())]));
    assert_eq!([coded("grpc_code"), coded("grpc_method")], [true, false]);
}
