//! The client against answers of every kind, and against a real Prometheus beside the embedded monitor.

mod answers;
mod beside_prometheus;
mod production;
mod together;

use arya_judge::source::{Origin, Selector};

use super::*;

/// A share of failures over a counter of this name.
fn share(name: &str) -> MetricConfig {
    let watched = Watched::Share {
        events: format!("{name}{{code=~\"5..\"}}").parse().unwrap(),
        of: Selector::named(name),
    };
    made_of(watched)
}

fn made_of(watched: Watched) -> MetricConfig {
    let (kind, query) = (watched.kind(), watched.promql());
    MetricConfig {
        from: Origin::Series(watched),
        ..MetricConfig::of(kind, "m", query)
    }
}

fn at(s: i64) -> Timestamp {
    Timestamp::from_second(s).unwrap()
}
