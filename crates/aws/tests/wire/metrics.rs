//! CloudWatch's side of the wire: numbers of what the load balancer served, by the minute.

use serde_json::{Value, json};

use crate::account::{Account, No};
use crate::common::cbor::moment;

/// Results in one page of an answer, so few that whoever forgets the rest is found.
const PAGE: usize = 25;
const MINUTE_S: i64 = 60;

/// What a target group did in a minute.
#[derive(Debug, Clone, Default)]
pub(crate) struct Served {
    /// The second in which the minute begins.
    pub(crate) begins: i64,
    pub(crate) group: String,
    pub(crate) requests: u32,
    /// Answers by the first digit of the status, from 2.
    pub(crate) answers: [u32; 4],
    /// Seconds until targets answered.
    pub(crate) times: Vec<f64>,
}

/// A metric that CloudWatch does not answer for now.
pub(crate) type Withheld = (&'static str, &'static str);

pub(crate) fn answer(account: &Account, operation: &str, asked: &Value) -> Result<Value, No> {
    assert_eq!(operation, "GetMetricData", "nobody told this endpoint of {asked}");
    let queries = asked["MetricDataQueries"].as_array().unwrap();
    assert!(queries.len() <= 500, "CloudWatch takes 500 queries at once");
    let second = |name: &str| asked[name].as_f64().unwrap() as i64;
    let span = second("StartTime")..second("EndTime");
    let from: usize = asked["NextToken"].as_str().map_or(0, |token| token.parse().unwrap());
    let page = queries.iter().skip(from).take(PAGE);
    let results: Vec<Value> = page.map(|query| result(account, query, &span)).collect();
    let mut told = json!({"MetricDataResults": results, "Messages": []});
    if from + PAGE < queries.len() {
        told["NextToken"] = (from + PAGE).to_string().into();
    }
    Ok(told)
}

fn result(account: &Account, query: &Value, span: &std::ops::Range<i64>) -> Value {
    let (stat, metric) = (&query["MetricStat"], &query["MetricStat"]["Metric"]);
    assert_eq!(
        (&metric["Namespace"], &stat["Period"]),
        (&json!("AWS/ApplicationELB"), &json!(MINUTE_S))
    );
    let dimension = |name: &str| {
        let listed = metric["Dimensions"].as_array().unwrap().iter();
        listed
            .filter(|one| one["Name"] == name)
            .map(|one| one["Value"].as_str().unwrap())
            .collect::<String>()
    };
    assert_eq!(dimension("LoadBalancer"), "app/shop/50dc");
    let (name, statistic) = (metric["MetricName"].as_str().unwrap(), stat["Stat"].as_str().unwrap());
    let withheld = account.withheld.filter(|(of, _)| *of == name);
    let served = account
        .served
        .iter()
        .filter(|one| one.group == dimension("TargetGroup"));
    let numbers: Vec<(i64, f64)> = served
        .filter(|one| span.contains(&one.begins) && withheld.is_none())
        .filter_map(|one| Some((one.begins, number(one, name, statistic)?)))
        .collect();
    json!({
        "Id": query["Id"],
        "Label": name,
        "StatusCode": withheld.map_or("Complete", |(_, status)| status),
        "Timestamps": numbers.iter().map(|(begins, _)| moment(*begins)).collect::<Vec<_>>(),
        "Values": numbers.iter().map(|(_, value)| *value).collect::<Vec<_>>(),
    })
}

/// AWS writes no zeros down.
fn number(served: &Served, metric: &str, statistic: &str) -> Option<f64> {
    let value = match (metric, statistic) {
        ("RequestCount", "Sum") => f64::from(served.requests),
        ("HTTPCode_Target_2XX_Count", "Sum") => f64::from(served.answers[0]),
        ("HTTPCode_Target_3XX_Count", "Sum") => f64::from(served.answers[1]),
        ("HTTPCode_Target_4XX_Count", "Sum") => f64::from(served.answers[2]),
        ("HTTPCode_Target_5XX_Count", "Sum") => f64::from(served.answers[3]),
        ("TargetResponseTime", "SampleCount") => served.times.len() as f64,
        ("TargetResponseTime", trimmed) => {
            let edge: f64 = trimmed
                .strip_prefix("TC(:")
                .unwrap()
                .strip_suffix(')')
                .unwrap()
                .parse()
                .unwrap();
            served.times.iter().filter(|time| **time <= edge).count() as f64
        }
        other => panic!("nobody told this endpoint of {other:?}"),
    };
    (value > 0.0).then_some(value)
}
