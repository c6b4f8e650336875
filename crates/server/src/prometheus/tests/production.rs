//! A machine of production counts all that reaches it, so its series are for panels wherever it is one of somebody's own.

use std::collections::BTreeMap;

use arya_judge::Reading;
use arya_local::monitor::{Monitor, Settings};

use super::*;

/// Requests of one instance, 100 more at each of eight scrapes.
fn counted(name: &str, arm: &str) -> Series {
    let labels = [("arm", arm), ("instance", arm), ("job", "app"), ("code", "500")];
    let reading = |scrape: i32| Reading {
        at: at(15 * i64::from(scrape)),
        value: 100.0 * f64::from(scrape),
    };
    Series {
        name: name.into(),
        labels: BTreeMap::from(labels.map(|(name, value)| (name.to_owned(), value.to_owned()))),
        readings: (0..8).map(reading).collect(),
        histograms: Vec::new(),
    }
}

#[test]
fn production_is_compared_with_in_the_local_world_alone() {
    let metric = share("requests_total");
    let watched = metric.watched().unwrap();
    let series = ["baseline", "canary", "production"].map(|arm| counted("requests_total", arm));
    let read = |monitor| {
        let source = Prometheus::new(monitor, Duration::from_secs(15));
        source.read(&metric, watched, &series, &(at(0)..=at(110))).unwrap()
    };
    let (arms, beside) = read(Monitored::at("http://127.0.0.1:9"));
    assert!(!arms.is_empty() && beside.is_empty(), "{beside:?}");
    let (same, beside) = read(Monitored::Embedded(Monitor::new(Settings::default())));
    assert_eq!(same, arms);
    assert_eq!(beside.len(), arms.len());
}
