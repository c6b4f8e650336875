//! The default metrics: chosen from what both arms show, by the names that common libraries give their series.
//!
//! One family per signal, so that the same requests are never judged twice. What is known of libraries is data: see
//! `table.rs` here, and docs/metrics.md for where each name comes from.

mod edit;
mod machine;
mod names;
mod table;

use std::collections::{BTreeMap, BTreeSet};

use super::origin::{Origin, Watched};
use super::scrapes::Side;
use super::selector::Selector;
use crate::sequential::histogram::Direction;
use crate::{MetricConfig, MetricKind, Unit};
pub use edit::{EditError, MetricEdit, edited};
pub use names::every_name;
pub use table::{FAMILIES, Family, Shape};

/// A level of memory, of open files or of threads that differs by less between two instances of one version is usual:
/// allocators and pools fill as requests happen to come. One pair of instances cannot show it.
const USUAL_OFFSET: f64 = 1.25;
/// What *no worse* excludes for such a level.
const USUAL_OFFSET_PASS: f64 = 1.5;

/// What is judged, one family of series each. In the order in which a person reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    /// Requests that the service answered with a failure of its own.
    Errors,
    /// The same of gRPC calls, whose HTTP status does not tell it.
    CallErrors,
    /// Time to answer.
    Latency,
    /// Time to answer of gRPC calls.
    CallLatency,
    /// Messages that the service itself logs as errors.
    ErrorLogs,
    /// Memory of the process.
    Memory,
    /// Memory of its runtime's objects.
    Heap,
    /// Processor time.
    Cpu,
    /// Open files and sockets.
    OpenFiles,
    /// Threads, or what the runtime has instead.
    Threads,
    /// Time that the runtime stops for its own sake.
    Pauses,
    /// How late an event loop is.
    LoopLag,
    /// Processor time of the whole machine.
    MachineCpu,
    /// Memory that the machine has left.
    MachineMemory,
    /// Processes that the machine ended for want of memory.
    OutOfMemory,
}

impl Signal {
    /// Every signal, in the order in which they are shown.
    pub const ALL: [Self; 15] = [
        Self::Errors,
        Self::CallErrors,
        Self::Latency,
        Self::CallLatency,
        Self::ErrorLogs,
        Self::Memory,
        Self::Heap,
        Self::Cpu,
        Self::OpenFiles,
        Self::Threads,
        Self::Pauses,
        Self::LoopLag,
        Self::MachineCpu,
        Self::MachineMemory,
        Self::OutOfMemory,
    ];

    /// The metric's name, by which a spec changes it or takes it out.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Errors => "error share",
            Self::CallErrors => "grpc error share",
            Self::Latency => "latency",
            Self::CallLatency => "grpc latency",
            Self::ErrorLogs => "error logs",
            Self::Memory => "memory",
            Self::Heap => "heap",
            Self::Cpu => "cpu",
            Self::OpenFiles => "open files",
            Self::Threads => "threads",
            Self::Pauses => "gc pauses",
            Self::LoopLag => "event loop lag",
            Self::MachineCpu => "machine cpu",
            Self::MachineMemory => "machine memory",
            Self::OutOfMemory => "out of memory kills",
        }
    }

    /// What users feel must be shown to be no worse; the rest can only show harm.
    pub const fn is_critical(self) -> bool {
        matches!(
            self,
            Self::Errors | Self::CallErrors | Self::Latency | Self::CallLatency
        )
    }

    /// How a metric of this signal is judged, where that is not its kind's default.
    fn tuned(self, metric: MetricConfig) -> MetricConfig {
        let metric = MetricConfig {
            critical: self.is_critical(),
            ..metric
        };
        match self {
            Self::Errors
            | Self::CallErrors
            | Self::Latency
            | Self::CallLatency
            | Self::ErrorLogs
            | Self::OutOfMemory => metric,
            Self::MachineMemory => MetricConfig {
                worse: Direction::Down,
                ..levelled(metric)
            },
            Self::Memory
            | Self::Heap
            | Self::Cpu
            | Self::OpenFiles
            | Self::Threads
            | Self::Pauses
            | Self::LoopLag
            | Self::MachineCpu => levelled(metric),
        }
    }
}

fn levelled(metric: MetricConfig) -> MetricConfig {
    MetricConfig {
        allowed_ratio: USUAL_OFFSET,
        pass_margin: USUAL_OFFSET_PASS,
        ..metric
    }
}

/// So many seconds back a deployment's series are looked for when its metrics are chosen.
pub const CHOOSE_FROM_S: i64 = 300;

/// What the targets of both arms show: names of series with the names of their labels.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Exposed {
    /// By side, then by name.
    names: [BTreeMap<String, BTreeSet<String>>; 2],
}

impl Exposed {
    /// From the label sets of all series of a deployment, each with its name as `__name__` and its arm as `arm`.
    pub fn of(label_sets: &[BTreeMap<String, String>]) -> Self {
        let mut exposed = Self::default();
        for labels in label_sets {
            let (Some(name), Some(arm)) = (labels.get("__name__"), labels.get(super::scrapes::ARM)) else {
                continue;
            };
            let side = Side::BOTH.into_iter().find(|side| side.name() == arm);
            if let Some(side) = side {
                let known = exposed.names[side as usize].entry(name.clone()).or_default();
                known.extend(labels.keys().cloned());
            }
        }
        exposed
    }

    /// Whether both arms have been scraped at all.
    pub fn is_complete(&self) -> bool {
        self.names.iter().all(|names| !names.is_empty())
    }

    /// Whether both arms show series of this name with all these labels.
    fn has(&self, selector: &Selector, more: &[&str]) -> bool {
        self.names.iter().all(|names| {
            let known = names.get(&selector.name);
            known.is_some_and(|labels| {
                selector.labels().all(|label| labels.contains(label))
                    && more.iter().all(|label| labels.contains(*label))
            })
        })
    }

    /// A native histogram is listed by its own name alone; a summary has quantiles, a gauge no business to be asked for.
    fn has_native(&self, selector: &Selector) -> bool {
        let sum = selector.with_suffix("_sum");
        self.has(selector, &[]) && !self.has(selector, &["quantile"]) && !self.has(&sum, &[])
    }

    fn shows(&self, watched: &Watched) -> bool {
        match watched {
            Watched::Share { events, of } => self.has(events, &[]) && self.has(of, &[]),
            Watched::Rate(one) | Watched::Level(one) | Watched::Speed(one) => self.has(one, &[]),
            Watched::Buckets(one) => self.has(&one.with_suffix("_bucket"), &["le"]) || self.has_native(one),
            Watched::Mean { sum, count } => self.has(sum, &[]) && self.has(count, &[]),
        }
    }
}

/// The metrics for what both arms show. Signals in `covered` are measured elsewhere: the load balancer counts every
/// request that users sent, so the service's own count of the same requests is left out.
pub fn choose(exposed: &Exposed, covered: &[Signal]) -> Vec<MetricConfig> {
    let wanted = Signal::ALL.into_iter().filter(|signal| !covered.contains(signal));
    let first = |signal: Signal| {
        let families = FAMILIES.iter().filter(move |family| family.signal == signal);
        families
            .map(|family| (family, family.shape.watched()))
            .find(|(_, watched)| exposed.shows(watched))
    };
    wanted
        .filter_map(|signal| first(signal).map(|(family, watched)| (signal, family, watched)))
        .map(|(signal, family, watched)| metric(signal, family, watched))
        .collect()
}

fn metric(signal: Signal, family: &Family, watched: Watched) -> MetricConfig {
    let kind = match signal {
        // What may grow without end.
        Signal::Memory | Signal::Heap | Signal::OpenFiles | Signal::Threads if watched.suits(MetricKind::Leak) => {
            MetricKind::Leak
        }
        _ => watched.kind(),
    };
    let query = watched.promql();
    signal.tuned(MetricConfig {
        unit: family.unit,
        from: Origin::Series(watched),
        ..MetricConfig::of(kind, signal.name(), query)
    })
}

/// The share of failed requests as users saw it, counted by the load balancer.
pub fn error_share_of_clients() -> MetricConfig {
    let query = "answers with status 500 to 599 of all answers, by target group, as the load balancer counted them";
    MetricConfig::error_share(Signal::Errors.name(), query)
}

/// The metrics of an app that speaks gRPC: a failed call has HTTP status 200, so that no load balancer counts it. Where none
/// of them counts calls that failed, one is added that has nothing to show: *no worse* needs it and says why not.
pub fn with_call_errors(mut metrics: Vec<MetricConfig>) -> Vec<MetricConfig> {
    let counts_calls = |metric: &MetricConfig| {
        let of_series = matches!(metric.from, Origin::Series(_)) && metric.kind == MetricKind::ErrorShare;
        metric.name == Signal::CallErrors.name() || (of_series && metric.critical)
    };
    if !metrics.iter().any(counts_calls) {
        metrics.push(call_errors_unseen());
    }
    metrics
}

/// By the names of the most common library, in case they appear later. Calls without their code say nothing of failures.
fn call_errors_unseen() -> MetricConfig {
    let failed = r#"grpc_server_handled_total{grpc_code=~"Unknown|DeadlineExceeded|Unimplemented|Internal|Unavailable|DataLoss"}"#;
    let watched = table::Shape::Share(failed, r#"grpc_server_handled_total{grpc_code=~".+"}"#).watched();
    MetricConfig {
        from: Origin::Series(watched),
        ..MetricConfig::error_share(
            Signal::CallErrors.name(),
            "failed gRPC calls of all, which no load balancer can count and no known series showed",
        )
    }
}

/// What [`latency_of_targets`] is called on AWS, beside the service's own `latency`: two places, two names.
pub const BALANCERS_LATENCY: &str = "latency at the balancer";

/// The names of everything that a deployment may be judged by without being asked to.
pub fn default_names() -> impl Iterator<Item = &'static str> {
    Signal::ALL.into_iter().map(Signal::name).chain([BALANCERS_LATENCY])
}

/// The time that targets took to answer, measured by the load balancer. It is judged beside what the service shows of
/// itself, because a monitor may die and a load balancer does not.
pub fn latency_at_the_balancer() -> MetricConfig {
    MetricConfig {
        name: BALANCERS_LATENCY.to_owned(),
        ..latency_of_targets()
    }
}

/// The time that targets took to answer, measured by the load balancer: where no series of the service tells it.
pub fn latency_of_targets() -> MetricConfig {
    let query =
        "seconds from the request's head to the answer's head, by target group, as the load balancer measured them";
    MetricConfig {
        from: Origin::TargetsSaid,
        unit: Unit::Seconds,
        ..MetricConfig::latency(Signal::Latency.name(), query)
    }
}

#[cfg(test)]
mod tests;
