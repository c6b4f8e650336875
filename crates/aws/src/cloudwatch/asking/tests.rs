use super::*;

const BALANCER: &str = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/shop/50dc";
const GROUP: &str = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/arya-c/73e2";

fn result(number: Number, values: &[(i64, f64)], status: StatusCode) -> MetricDataResult {
    let place = Number::all().position(|one| one == number).unwrap();
    MetricDataResult::builder()
        .id(name(0, place))
        .set_timestamps(Some(values.iter().map(|(at, _)| DateTime::from_secs(*at)).collect()))
        .set_values(Some(values.iter().map(|(_, value)| *value).collect()))
        .status_code(status)
        .build()
}

/// Every query answered in full, with these values and nothing else.
fn answered(told: &[(Number, &[(i64, f64)])]) -> Answers {
    let mut answers = Answers::default();
    for number in Number::all() {
        let values = told
            .iter()
            .find(|(of, _)| *of == number)
            .map_or(&[][..], |(_, values)| values);
        answers.take(&result(number, values, StatusCode::Complete));
    }
    answers
}

#[test]
fn a_group_has_the_names_that_its_dimensions_need() {
    let group = Group::of(BALANCER, GROUP).unwrap();
    assert_eq!(
        (group.balancer.as_str(), group.group.as_str()),
        ("app/shop/50dc", "targetgroup/arya-c/73e2")
    );
    assert_eq!(Group::of(GROUP, GROUP), None);
    assert_eq!(Group::of(BALANCER, BALANCER), None);
}

#[test]
fn one_call_takes_the_groups_that_fit_and_every_query_has_its_name() {
    let group = Group::of(BALANCER, GROUP).unwrap();
    let spans: Vec<Span> = (0..QUERIES_MAX / STATISTICS_OF_A_GROUP)
        .map(|_| Span {
            group: group.clone(),
            from: Timestamp::UNIX_EPOCH,
        })
        .collect();
    let made = queries(&spans);
    let names: std::collections::BTreeSet<_> = made.iter().filter_map(|query| query.id()).collect();
    assert!(made.len() <= QUERIES_MAX && names.len() == made.len());
    assert_eq!(made.len(), spans.len() * STATISTICS_OF_A_GROUP);
}

#[test]
fn the_plan_says_what_it_costs() {
    let groups = 3.0;
    let per_hour = groups * 60.0 * STATISTICS_OF_A_GROUP as f64 * PRICE_OF_A_METRIC;
    assert!((per_hour - arya_plan::cost::MEASURING).abs() < 1e-9, "{per_hour}");
}

#[test]
fn numbers_become_minutes_and_what_is_not_written_down_is_zero() {
    let minutes = answered(&[
        (Number::Requests, &[(60, 10.0), (120, 4.0)]),
        (Number::Answers(0), &[(60, 7.0), (120, 4.0)]),
        (Number::Answers(3), &[(60, 2.0)]),
        (Number::Timed, &[(60, 9.0), (120, 4.0)]),
        (Number::NotAbove(5), &[(60, 6.0)]),
        (Number::NotAbove(11), &[(60, 9.0)]),
    ])
    .minutes(0)
    .unwrap();
    let [(first, one), (second, two)] = &minutes[..] else {
        panic!("{minutes:?}")
    };
    assert_eq!((first.as_second(), second.as_second()), (120, 180));
    assert_eq!((one.requests, one.answered, one.failed), (10.0, 9.0, 2.0));
    assert_eq!((two.requests, two.answered, two.failed), (4.0, 4.0, 0.0));
    assert_eq!(one.times.total(), 9.0);
    assert_eq!(one.times.counts[5], 6.0, "{:?}", one.times);
    assert_eq!(two.times, Buckets::default(), "no edge was told of it");
}

#[test]
fn a_query_that_was_not_answered_in_full_is_no_silence() {
    for status in [StatusCode::InternalError, StatusCode::PartialData] {
        let mut answers = answered(&[(Number::Requests, &[(60, 10.0)])]);
        answers.take(&result(Number::Answers(3), &[], status.clone()));
        let said = answers.minutes(0).unwrap_err().to_string();
        assert!(said.contains(status.as_str()) && said.contains("5XX"), "{said}");
    }
    let said = Answers::default().minutes(0).unwrap_err().to_string();
    assert!(said.contains("answered nothing"), "{said}");
}

#[test]
fn pages_of_one_query_are_one_answer() {
    let mut answers = answered(&[]);
    answers.take(&result(Number::Requests, &[(60, 10.0)], StatusCode::PartialData));
    answers.take(&result(Number::Requests, &[(120, 4.0)], StatusCode::Complete));
    let requests: Vec<f64> = answers
        .minutes(0)
        .unwrap()
        .iter()
        .map(|(_, minute)| minute.requests)
        .collect();
    assert_eq!(requests, [10.0, 4.0]);
}
