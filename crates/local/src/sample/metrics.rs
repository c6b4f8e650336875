//! What the sample service counts, in Prometheus' text format. Must never know what a request means.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// The default buckets of the Prometheus client libraries, in seconds.
const BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Requests by method, status code and route template; templates, so that the number of series stays small.
type Requests = BTreeMap<(&'static str, u16, &'static str), u64>;

#[derive(Debug, Default)]
pub(super) struct Metrics {
    in_flight: AtomicI64,
    counted: Mutex<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    requests: Requests,
    durations: BTreeMap<(&'static str, &'static str), Histogram>,
}

#[derive(Debug, Default)]
struct Histogram {
    /// Per bucket, not cumulative; the last one holds what is slower than every bound.
    buckets: [u64; BUCKETS.len() + 1],
    sum_s: f64,
}

/// A request in flight; dropping it (also when its client went away) takes it off the gauge.
#[derive(Debug)]
pub(super) struct InFlight<'a>(&'a AtomicI64);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Metrics {
    pub(super) fn begin(&self) -> InFlight<'_> {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(&self.in_flight)
    }

    pub(super) fn count(&self, method: &'static str, code: u16, path: &'static str, took: Duration) {
        let mut counted = self.counted.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *counted.requests.entry((method, code, path)).or_default() += 1;
        let histogram = counted.durations.entry((method, path)).or_default();
        let seconds = took.as_secs_f64();
        histogram.buckets[BUCKETS.partition_point(|bound| *bound < seconds)] += 1;
        histogram.sum_s += seconds;
    }

    /// The exposition, with facts about the process that the caller knows.
    pub(super) fn render(&self, started_at_s: f64, resident_bytes: Option<u64>) -> String {
        let mut text = String::with_capacity(8 * 1024);
        self.render_counted(&mut text).expect("writing to a String cannot fail");
        let in_flight = self.in_flight.load(Ordering::Relaxed);
        gauge(
            &mut text,
            "http_requests_in_flight",
            "Requests being answered.",
            in_flight as f64,
        );
        let started = "Start time of the process, in seconds since the Unix epoch.";
        gauge(&mut text, "process_start_time_seconds", started, started_at_s);
        if let Some(bytes) = resident_bytes {
            gauge(
                &mut text,
                "process_resident_memory_bytes",
                "Resident memory in bytes.",
                bytes as f64,
            );
        }
        text
    }

    fn render_counted(&self, text: &mut String) -> std::fmt::Result {
        let counted = self.counted.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        text.push_str("# HELP http_requests_total Requests answered.\n# TYPE http_requests_total counter\n");
        for ((method, code, path), count) in &counted.requests {
            writeln!(
                text,
                "http_requests_total{{method=\"{method}\",code=\"{code}\",path=\"{path}\"}} {count}"
            )?;
        }
        text.push_str("# HELP http_request_duration_seconds Time to answer a request.\n");
        text.push_str("# TYPE http_request_duration_seconds histogram\n");
        for ((method, path), histogram) in &counted.durations {
            let labels = format!("method=\"{method}\",path=\"{path}\"");
            let mut so_far = 0;
            for (bound, count) in BUCKETS.iter().zip(histogram.buckets) {
                so_far += count;
                writeln!(
                    text,
                    "http_request_duration_seconds_bucket{{{labels},le=\"{bound}\"}} {so_far}"
                )?;
            }
            so_far += histogram.buckets[BUCKETS.len()];
            writeln!(
                text,
                "http_request_duration_seconds_bucket{{{labels},le=\"+Inf\"}} {so_far}"
            )?;
            writeln!(
                text,
                "http_request_duration_seconds_sum{{{labels}}} {}",
                histogram.sum_s
            )?;
            writeln!(text, "http_request_duration_seconds_count{{{labels}}} {so_far}")?;
        }
        Ok(())
    }
}

fn gauge(text: &mut String, name: &str, help: &str, value: f64) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}");
}

/// Resident memory of this process. Read from procfs; where there is none the metric is left out rather than wrong.
pub(super) fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_cumulative_and_inclusive() {
        let metrics = Metrics::default();
        for ms in [5, 6, 99, 20_000] {
            metrics.count("GET", 200, "/", Duration::from_millis(ms));
        }
        let text = metrics.render(1.5, None);
        for line in [
            r#"http_requests_total{method="GET",code="200",path="/"} 4"#,
            r#"http_request_duration_seconds_bucket{method="GET",path="/",le="0.005"} 1"#,
            r#"http_request_duration_seconds_bucket{method="GET",path="/",le="0.1"} 3"#,
            r#"http_request_duration_seconds_bucket{method="GET",path="/",le="10"} 3"#,
            r#"http_request_duration_seconds_bucket{method="GET",path="/",le="+Inf"} 4"#,
            r#"http_request_duration_seconds_count{method="GET",path="/"} 4"#,
            "process_start_time_seconds 1.5",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn a_request_that_ends_is_no_longer_in_flight() {
        let metrics = Metrics::default();
        let request = metrics.begin();
        assert!(metrics.render(0.0, None).contains("http_requests_in_flight 1\n"));
        drop(request);
        assert!(metrics.render(0.0, None).contains("http_requests_in_flight 0\n"));
    }
}
