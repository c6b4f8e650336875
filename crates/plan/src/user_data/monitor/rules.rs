//! Recording rules: whichever library a service uses, its standard panels read the same few names.
//!
//! Made from the judge's own table of libraries, so that what is shown and what is judged are the same series.

use arya_judge::Unit;
use arya_judge::source::pack::{FAMILIES, Family, Shape, Signal};
use serde_json::{Value, json};

/// Requests a second.
pub(super) const REQUESTS: &str = "arya:requests:rate1m";
/// Failures of the service's own, a second.
pub(super) const ERRORS: &str = "arya:errors:rate1m";
/// Of all requests, 0 to 1.
pub(super) const ERROR_SHARE: &str = "arya:errors:share1m";
/// Seconds that 95 of 100 requests stay below.
pub(super) const LATENCY_P95: &str = "arya:latency_p95:1m";
/// Processors that the process keeps busy.
pub(super) const CPU: &str = "arya:cpu:rate1m";
/// Bytes of the process.
pub(super) const MEMORY: &str = "arya:memory:bytes";
/// Share of the machine's processors that is busy, 0 to 1.
pub(super) const MACHINE_CPU: &str = "arya:machine_cpu:share1m";

/// Kept apart everywhere: side by side is what the panels are for.
const BY: &str = "by (deployment, arm, instance, version)";

pub(super) fn all() -> Value {
    let requests = first_of(Signal::Errors, |shape| match shape {
        Shape::Share(_, of) => Some(rate(of)),
        _ => None,
    });
    let errors = first_of(Signal::Errors, |shape| match shape {
        Shape::Share(events, _) => Some(rate(events)),
        _ => None,
    });
    let latency = first_of(Signal::Latency, |shape| match shape {
        Shape::Buckets(name) => Some(format!(
            "histogram_quantile(0.95, sum by (deployment, arm, instance, version, le) (rate({name}_bucket[1m])))"
        )),
        _ => None,
    });
    let cpu = first_of(Signal::Cpu, |shape| match shape {
        Shape::Speed(name) => Some(rate(name)),
        Shape::Level(name) => Some(format!("sum {BY} ({name})")),
        _ => None,
    });
    let memory = first_of(Signal::Memory, |shape| match shape {
        Shape::Level(name) => Some(format!("sum {BY} ({name})")),
        _ => None,
    });
    let idle = format!("avg {BY} (rate(node_cpu_seconds_total{{mode=\"idle\"}}[1m]))");
    let rules = [
        (REQUESTS, requests),
        // A counter of failures is there after the first one only.
        (ERRORS, format!("{errors} or 0 * {REQUESTS}")),
        (ERROR_SHARE, format!("{ERRORS} / ({REQUESTS} > 0)")),
        (LATENCY_P95, latency),
        (CPU, cpu),
        (MEMORY, memory),
        (MACHINE_CPU, format!("1 - {idle}")),
    ];
    let rules: Vec<Value> = rules
        .iter()
        .map(|(record, expr)| json!({"record": record, "expr": expr}))
        .collect();
    json!({"groups": [{"name": "arya", "rules": rules}]})
}

fn rate(selector: &str) -> String {
    format!("sum {BY} (rate({selector}[1m]))")
}

/// The first family that an instance shows: `or` takes from the right only what the left has not.
fn first_of(signal: Signal, expression: impl Fn(Shape) -> Option<String>) -> String {
    let families = FAMILIES
        .iter()
        .filter(|family| family.signal == signal && in_base_units(family));
    let mut expressions: Vec<String> = Vec::new();
    for one in families.filter_map(|family| expression(family.shape)) {
        // Some libraries share their names and differ in labels only.
        if !expressions.contains(&one) {
            expressions.push(one);
        }
    }
    expressions.join(" or ")
}

/// Milliseconds and seconds have no place on one axis.
fn in_base_units(family: &Family) -> bool {
    family.signal != Signal::Latency || family.unit == Unit::Seconds
}
