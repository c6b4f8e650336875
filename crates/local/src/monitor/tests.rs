//! The monitor against recorded answers of a real Prometheus, and against targets on loopback.

mod equals_prometheus;
mod language;
mod over_http;
mod scraping;

use super::*;

/// A monitor that holds these samples; times in milliseconds.
fn holding(series: &[(Labels, Vec<(i64, f64)>)]) -> Monitor {
    let monitor = Monitor::new(Settings::default());
    let mut store = monitor.write();
    for (labels, points) in series {
        points.iter().for_each(|point| store.append(labels, *point));
    }
    drop(store);
    monitor
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap()
}
