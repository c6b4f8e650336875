//! Questions to CloudWatch and the reading of its answers.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use arya_judge::source::SourceError;
use arya_judge::source::minutes::{MINUTE_S, Minute};
use arya_judge::{Buckets, Timestamp};
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricDataResult, MetricStat, ScanBy, StatusCode};

use crate::calls::Call;
use crate::connect::Services;
use crate::error::{ask, clause};

const NAMESPACE: &str = "AWS/ApplicationELB";
const REQUESTS: &str = "RequestCount";
/// By the first digit of the status.
const ANSWERS: [&str; 4] = [
    "HTTPCode_Target_2XX_Count",
    "HTTPCode_Target_3XX_Count",
    "HTTPCode_Target_4XX_Count",
    "HTTPCode_Target_5XX_Count",
];
const TIME: &str = "TargetResponseTime";
/// Upper edges of times, in seconds. Each is a number more that is paid for.
const EDGES_S: [f64; 12] = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];
/// `GetMetricData` takes so many queries in one call.
const QUERIES_MAX: usize = 500;
/// Pages of one answer: two hours of 500 numbers a minute are one page of AWS's.
const PAGES_MAX: usize = 20;

/// Numbers that are asked for of each target group, once a minute.
pub const STATISTICS_OF_A_GROUP: usize = 1 + ANSWERS.len() + 1 + EDGES_S.len();
/// Dollars for each number that is asked for, as AWS's price list has it (10 US cents for 10,000).
pub const PRICE_OF_A_METRIC: f64 = 0.01 / 1000.0;

/// A target group as the metrics' dimensions name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Group {
    /// `app/name/id`
    balancer: String,
    /// `targetgroup/name/id`
    group: String,
}

impl Group {
    /// From both ARNs; `None` where one is not of that kind.
    pub(crate) fn of(balancer: &str, group: &str) -> Option<Self> {
        let (_, balancer) = balancer.split_once(":loadbalancer/")?;
        let place = group.rfind(":targetgroup/")?;
        Some(Self {
            balancer: balancer.to_owned(),
            group: group[place + 1..].to_owned(),
        })
    }

    fn dimensions(&self) -> Vec<Dimension> {
        let pairs = [("LoadBalancer", &self.balancer), ("TargetGroup", &self.group)];
        let dimension = |(name, value): (&str, &String)| Dimension::builder().name(name).value(value).build();
        pairs.into_iter().map(dimension).collect()
    }
}

/// A group, and from when on its minutes are wanted.
#[derive(Debug)]
pub(super) struct Span {
    pub(super) group: Group,
    pub(super) from: Timestamp,
}

/// One number of a minute.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Number {
    Requests,
    Answers(usize),
    Timed,
    NotAbove(usize),
}

impl Number {
    fn all() -> impl Iterator<Item = Self> {
        let answers = (0..ANSWERS.len()).map(Self::Answers);
        let times = (0..EDGES_S.len()).map(Self::NotAbove);
        [Self::Requests, Self::Timed].into_iter().chain(answers).chain(times)
    }

    fn metric(self) -> &'static str {
        match self {
            Self::Requests => REQUESTS,
            Self::Answers(class) => ANSWERS[class],
            Self::Timed | Self::NotAbove(_) => TIME,
        }
    }

    fn statistic(self) -> String {
        match self {
            Self::Requests | Self::Answers(_) => "Sum".into(),
            Self::Timed => "SampleCount".into(),
            // A trimmed count: how many were not above the edge.
            Self::NotAbove(edge) => format!("TC(:{})", EDGES_S[edge]),
        }
    }
}

/// What a group's minutes were, or why that is not known.
pub(super) type Told = (Group, Result<Vec<(Timestamp, Minute)>, SourceError>);

/// Asks for all of them, in as few calls as it goes.
pub(super) async fn ask_for(reading: &Services, spans: Vec<Span>, until: Timestamp) -> Result<Vec<Told>, SourceError> {
    let mut told = Vec::new();
    for spans in spans.chunks(QUERIES_MAX / STATISTICS_OF_A_GROUP) {
        let from = spans.iter().map(|span| span.from).min().unwrap_or(until);
        let answers = answers(reading, &queries(spans), from..=until).await?;
        told.extend(
            spans
                .iter()
                .enumerate()
                .map(|(place, span)| (span.group.clone(), answers.minutes(place))),
        );
    }
    Ok(told)
}

/// The requests that these groups got together, by the second in which each minute begins; a minute without any may be
/// missing. At most [`QUERIES_MAX`] of them are asked about.
pub(crate) async fn requests(
    reading: &Services,
    groups: &[Group],
    span: RangeInclusive<Timestamp>,
) -> Result<BTreeMap<i64, f64>, SourceError> {
    let groups = &groups[..groups.len().min(QUERIES_MAX)];
    let query = |(place, group): (usize, &Group)| query(name(place, 0), Number::Requests, group.dimensions());
    let queries: Vec<_> = groups.iter().enumerate().map(query).collect();
    let answers = answers(reading, &queries, span).await?;
    let mut minutes = BTreeMap::new();
    for place in 0..groups.len() {
        for (begins, count) in answers.whole(place, 0, Number::Requests)? {
            *minutes.entry(*begins).or_default() += count;
        }
    }
    Ok(minutes)
}

/// Asks, page by page.
async fn answers(
    reading: &Services,
    queries: &[MetricDataQuery],
    span: RangeInclusive<Timestamp>,
) -> Result<Answers, SourceError> {
    let mut answers = Answers::default();
    let mut next = None;
    for _ in 0..PAGES_MAX {
        let request = reading
            .cloudwatch
            .get_metric_data()
            .set_metric_data_queries(Some(queries.to_vec()))
            .start_time(DateTime::from_secs(span.start().as_second()))
            .end_time(DateTime::from_secs(span.end().as_second()))
            .scan_by(ScanBy::TimestampAscending)
            .set_next_token(next.take());
        let page = ask(Call::GetMetricData, request.send()).await;
        let page = page.map_err(|failure| SourceError::Unreachable { what: clause(&failure) })?;
        page.metric_data_results()
            .iter()
            .for_each(|result| answers.take(result));
        next = page.next_token;
        if next.is_none() {
            return Ok(answers);
        }
    }
    let what = format!("CloudWatch's answer has more than {PAGES_MAX} pages");
    Err(SourceError::Malformed { what })
}

/// The name of a query, by which its answer is found.
fn name(place: usize, number: usize) -> String {
    format!("g{place}_{number}")
}

fn queries(spans: &[Span]) -> Vec<MetricDataQuery> {
    let of_group = |(place, span): (usize, &Span)| {
        let dimensions = span.group.dimensions();
        Number::all()
            .enumerate()
            .map(move |(number, asked)| query(name(place, number), asked, dimensions.clone()))
    };
    spans.iter().enumerate().flat_map(of_group).collect()
}

fn query(name: String, asked: Number, dimensions: Vec<Dimension>) -> MetricDataQuery {
    let metric = Metric::builder()
        .namespace(NAMESPACE)
        .metric_name(asked.metric())
        .set_dimensions(Some(dimensions))
        .build();
    let stat = MetricStat::builder()
        .metric(metric)
        .period(MINUTE_S as i32)
        .stat(asked.statistic())
        .build();
    MetricDataQuery::builder().id(name).metric_stat(stat).build()
}

/// A question that is only asked whether it may be asked.
pub(crate) fn any_number() -> MetricDataQuery {
    let metric = Metric::builder().namespace(NAMESPACE).metric_name(REQUESTS).build();
    let stat = MetricStat::builder()
        .metric(metric)
        .period(MINUTE_S as i32)
        .stat("Sum")
        .build();
    MetricDataQuery::builder().id("any").metric_stat(stat).build()
}

/// What came back, by query.
#[derive(Debug, Default)]
struct Answers(BTreeMap<String, Answer>);

#[derive(Debug, Default)]
struct Answer {
    /// By the second in which the minute begins.
    values: BTreeMap<i64, f64>,
    status: Option<StatusCode>,
}

impl Answers {
    /// A later page has more of the same query, and its status is the one that counts.
    fn take(&mut self, result: &MetricDataResult) {
        let Some(id) = result.id() else { return };
        let answer = self.0.entry(id.to_owned()).or_default();
        let values = result
            .timestamps()
            .iter()
            .map(DateTime::secs)
            .zip(result.values().iter().copied());
        answer.values.extend(values);
        answer.status = result.status_code().cloned().or(answer.status.take());
    }

    /// One number of the group at this place, by the second in which its minute begins.
    fn whole(&self, place: usize, number: usize, asked: Number) -> Result<&BTreeMap<i64, f64>, SourceError> {
        let answer = self.0.get(&name(place, number));
        let status = answer.and_then(|answer| answer.status.as_ref());
        match (answer, status) {
            (Some(answer), Some(StatusCode::Complete)) => Ok(&answer.values),
            _ => {
                let status = status.map_or("nothing", StatusCode::as_str);
                let what = format!("CloudWatch answered {status} for {} of a target group", asked.metric());
                Err(SourceError::Unreachable { what })
            }
        }
    }

    /// The minutes of the group at this place. A number that is missing where requests were counted is zero, which AWS
    /// does not write down; a query that was not answered in full makes the whole group unknown, since it is not.
    fn minutes(&self, place: usize) -> Result<Vec<(Timestamp, Minute)>, SourceError> {
        let mut numbers = Vec::new();
        for (number, asked) in Number::all().enumerate() {
            numbers.push((asked, self.whole(place, number, asked)?));
        }
        let mut minutes: BTreeMap<i64, (Minute, Vec<(f64, f64)>)> = BTreeMap::new();
        for (asked, values) in numbers {
            for (begins, value) in values {
                let (minute, below) = minutes.entry(*begins).or_default();
                match asked {
                    Number::Requests => minute.requests = *value,
                    Number::Answers(class) => {
                        minute.answered += value;
                        if ANSWERS[class].contains("5XX") {
                            minute.failed = *value;
                        }
                    }
                    Number::Timed => below.push((f64::INFINITY, *value)),
                    Number::NotAbove(edge) => below.push((EDGES_S[edge], *value)),
                }
            }
        }
        let minutes = minutes.into_iter().filter_map(|(begins, (mut minute, below))| {
            let ends_at = Timestamp::from_second(begins.checked_add(MINUTE_S)?).ok()?;
            minute.times = times(&below);
            Some((ends_at, minute))
        });
        Ok(minutes.collect())
    }
}

/// A histogram, where all were counted; without edges where AWS told none, so that nobody takes them for slow.
fn times(below: &[(f64, f64)]) -> Buckets {
    let is_counted = below.iter().any(|(edge, _)| edge.is_infinite()) && below.len() > 1;
    if !is_counted {
        return Buckets::default();
    }
    // An edge below which there was nothing is not written down.
    let count = |edge: f64| {
        below
            .iter()
            .find(|(of, _)| *of == edge)
            .map_or(0.0, |(_, count)| *count)
    };
    let edges = EDGES_S.iter().copied().chain([f64::INFINITY]);
    Buckets::from_cumulative(edges.map(|edge| (edge, count(edge))))
}

/// What is asked, in words.
pub(super) fn question(arms: &[Group; 2], settles_within: Duration) -> String {
    let [baseline, canary] = arms.each_ref().map(|arm| arm.group.as_str());
    format!(
        "GetMetricData of {NAMESPACE} by the minute, {} s after its end, for {baseline} and {canary}: {REQUESTS}, \
         HTTPCode_Target_*_Count, and of {TIME} how many were not above {} edges. A request without a target's answer \
         counts as failed once it is known not to be under way.",
        settles_within.as_secs(),
        EDGES_S.len()
    )
}

#[cfg(test)]
mod tests;
