//! Which library calls what by which name. Of several rows for one signal the first whose series both arms show is taken:
//! the service's own view before a proxy's in front of it, distributions before means.

use super::Signal;
use crate::Unit;
use crate::source::{Selector, Watched};

/// One way in which a signal is shown.
#[derive(Debug, Clone, Copy)]
pub struct Family {
    /// What it tells.
    pub signal: Signal,
    /// Whose names these are.
    pub made_by: &'static str,
    /// Its series.
    pub shape: Shape,
    /// What its numbers are.
    pub unit: Unit,
}

/// Series of a family, as selectors in writing.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// Failures of all.
    Share(&'static str, &'static str),
    /// Events per second.
    Rate(&'static str),
    /// A histogram.
    Buckets(&'static str),
    /// A level.
    Level(&'static str),
    /// A counter's speed.
    Speed(&'static str),
    /// A summary without buckets, by the name before `_sum` and `_count`.
    Mean(&'static str),
}

impl Shape {
    /// The same as it is asked for.
    pub(super) fn watched(self) -> Watched {
        let read = |text: &str| -> Selector { text.parse().expect("every row of the table is read by a test") };
        match self {
            Self::Share(events, of) => Watched::Share {
                events: read(events),
                of: read(of),
            },
            Self::Rate(one) => Watched::Rate(read(one)),
            Self::Buckets(one) => Watched::Buckets(read(one)),
            Self::Level(one) => Watched::Level(read(one)),
            Self::Speed(one) => Watched::Speed(read(one)),
            Self::Mean(one) => Watched::Mean {
                sum: read(one).with_suffix("_sum"),
                count: read(one).with_suffix("_count"),
            },
        }
    }
}

const fn row(signal: Signal, made_by: &'static str, shape: Shape, unit: Unit) -> Family {
    Family {
        signal,
        made_by,
        shape,
        unit,
    }
}

const fn errors(made_by: &'static str, events: &'static str, of: &'static str) -> Family {
    row(Signal::Errors, made_by, Shape::Share(events, of), Unit::Plain)
}

const fn call_errors(made_by: &'static str, events: &'static str, of: &'static str) -> Family {
    row(Signal::CallErrors, made_by, Shape::Share(events, of), Unit::Plain)
}

const fn seconds(signal: Signal, made_by: &'static str, shape: Shape) -> Family {
    row(signal, made_by, shape, Unit::Seconds)
}

/// Times in milliseconds or other units of the library's own; buckets are compared as they are.
const fn times(signal: Signal, made_by: &'static str, shape: Shape) -> Family {
    row(signal, made_by, shape, Unit::Plain)
}

const fn bytes(signal: Signal, made_by: &'static str, name: &'static str) -> Family {
    row(signal, made_by, Shape::Level(name), Unit::Bytes)
}

const fn level(signal: Signal, made_by: &'static str, name: &'static str) -> Family {
    row(signal, made_by, Shape::Level(name), Unit::Plain)
}

const fn speed(signal: Signal, made_by: &'static str, name: &'static str) -> Family {
    row(signal, made_by, Shape::Speed(name), Unit::Fraction)
}

use Shape::{Buckets, Mean, Rate};
use Signal::{
    CallLatency, Cpu, ErrorLogs, Heap, Latency, LoopLag, MachineCpu, MachineMemory, Memory, OpenFiles, OutOfMemory,
    Pauses, Threads,
};

/// Everything that is known.
#[rustfmt::skip] // A table: one row a line.
pub const FAMILIES: &[Family] = &[
    // Failures of the service's own making: 5xx. Libraries write the status as a number or as a class, and `5..` fits both.
    errors("OpenTelemetry, stable conventions; ASP.NET Core 8", r#"http_server_request_duration_seconds_count{http_response_status_code=~"5.."}"#, "http_server_request_duration_seconds_count"),
    errors("OpenTelemetry, older conventions", r#"http_server_duration_milliseconds_count{http_status_code=~"5.."}"#, "http_server_duration_milliseconds_count"),
    errors("OpenTelemetry, both conventions at once", r#"http_server_duration_milliseconds_count{http_response_status_code=~"5.."}"#, "http_server_duration_milliseconds_count"),
    errors("Micrometer: Spring Boot, Quarkus, Micronaut", r#"http_server_requests_seconds_count{status=~"5.."}"#, "http_server_requests_seconds_count"),
    errors("Ktor with Micrometer", r#"ktor_http_server_requests_seconds_count{status=~"5.."}"#, "ktor_http_server_requests_seconds_count"),
    errors("promhttp and most examples", r#"http_requests_total{code=~"5.."}"#, "http_requests_total"),
    errors("FastAPI instrumentator and many examples", r#"http_requests_total{status=~"5.."}"#, "http_requests_total"),
    errors("fiberprometheus and many examples", r#"http_requests_total{status_code=~"5.."}"#, "http_requests_total"),
    errors("prometheus-net", r#"http_requests_received_total{code=~"5.."}"#, "http_requests_received_total"),
    errors("Rack collector of the Ruby client", r#"http_server_requests_total{code=~"5.."}"#, "http_server_requests_total"),
    errors("go-http-metrics", r#"http_request_duration_seconds_count{code=~"5.."}"#, "http_request_duration_seconds_count"),
    errors("express-prom-bundle", r#"http_request_duration_seconds_count{status_code=~"5.."}"#, "http_request_duration_seconds_count"),
    errors("echo-contrib", r#"echo_requests_total{code=~"5.."}"#, "echo_requests_total"),
    errors("go-gin-prometheus", r#"gin_requests_total{code=~"5.."}"#, "gin_requests_total"),
    errors("axum-prometheus", r#"axum_http_requests_total{status=~"5.."}"#, "axum_http_requests_total"),
    errors("actix-web-prom", r#"api_http_requests_total{status=~"5.."}"#, "api_http_requests_total"),
    errors("Flask exporter", r#"flask_http_request_total{status=~"5.."}"#, "flask_http_request_total"),
    errors("starlette_exporter", r#"starlette_requests_total{status_code=~"5.."}"#, "starlette_requests_total"),
    errors("django-prometheus", r#"django_http_responses_total_by_status_total{status=~"5.."}"#, "django_http_responses_total_by_status_total"),
    errors("yabeda-rails", r#"rails_requests_total{status=~"5.."}"#, "rails_requests_total"),
    errors("prometheus_exporter for Ruby", r#"ruby_http_requests_total{status=~"5.."}"#, "ruby_http_requests_total"),
    errors("Traefik", r#"traefik_service_requests_total{code=~"5.."}"#, "traefik_service_requests_total"),
    errors("Caddy", r#"caddy_http_request_duration_seconds_count{code=~"5.."}"#, "caddy_http_request_duration_seconds_count"),
    errors("Envoy", r#"envoy_http_downstream_rq_xx{envoy_response_code_class="5"}"#, "envoy_http_downstream_rq_xx"),
    errors("HAProxy", r#"haproxy_frontend_http_responses_total{code="5xx"}"#, "haproxy_frontend_http_responses_total"),
    errors("nginx with the VTS module", r#"nginx_vts_server_requests_total{host!="*",code="5xx"}"#, r#"nginx_vts_server_requests_total{host!="*",code=~".xx"}"#),

    call_errors("go-grpc-prometheus", r#"grpc_server_handled_total{grpc_code=~"Unknown|DeadlineExceeded|Unimplemented|Internal|Unavailable|DataLoss"}"#, "grpc_server_handled_total"),
    call_errors("gRPC's own OpenTelemetry plugin", r#"grpc_server_call_duration_seconds_count{grpc_status=~"UNKNOWN|DEADLINE_EXCEEDED|UNIMPLEMENTED|INTERNAL|UNAVAILABLE|DATA_LOSS"}"#, "grpc_server_call_duration_seconds_count"),
    call_errors("OpenTelemetry, RPC conventions", r#"rpc_server_duration_milliseconds_count{rpc_grpc_status_code=~"2|4|12|13|14|15"}"#, "rpc_server_duration_milliseconds_count"),
    call_errors("OpenTelemetry, RPC conventions in seconds", r#"rpc_server_duration_seconds_count{rpc_grpc_status_code=~"2|4|12|13|14|15"}"#, "rpc_server_duration_seconds_count"),

    seconds(Latency, "OpenTelemetry, stable conventions; ASP.NET Core 8", Buckets("http_server_request_duration_seconds")),
    times(Latency, "OpenTelemetry, older conventions", Buckets("http_server_duration_milliseconds")),
    seconds(Latency, "Micrometer with percentile histograms", Buckets("http_server_requests_seconds")),
    seconds(Latency, "Ktor with Micrometer", Buckets("ktor_http_server_requests_seconds")),
    seconds(Latency, "FastAPI instrumentator, fine buckets", Buckets("http_request_duration_highr_seconds")),
    seconds(Latency, "promhttp, prometheus-net, express-prom-bundle and most examples", Buckets("http_request_duration_seconds")),
    seconds(Latency, "Rack collector of the Ruby client", Buckets("http_server_request_duration_seconds")),
    seconds(Latency, "echo-contrib", Buckets("echo_request_duration_seconds")),
    seconds(Latency, "go-gin-prometheus", Buckets("gin_request_duration_seconds")),
    seconds(Latency, "axum-prometheus", Buckets("axum_http_requests_duration_seconds")),
    seconds(Latency, "actix-web-prom", Buckets("api_http_requests_duration_seconds")),
    seconds(Latency, "Flask exporter", Buckets("flask_http_request_duration_seconds")),
    seconds(Latency, "starlette_exporter", Buckets("starlette_request_duration_seconds")),
    seconds(Latency, "django-prometheus", Buckets("django_http_requests_latency_including_middlewares_seconds")),
    seconds(Latency, "yabeda-rails", Buckets("rails_request_duration_seconds")),
    seconds(Latency, "Traefik", Buckets("traefik_service_request_duration_seconds")),
    seconds(Latency, "Caddy", Buckets("caddy_http_request_duration_seconds")),
    times(Latency, "Envoy", Buckets("envoy_http_downstream_rq_time")),
    seconds(Latency, "nginx with the VTS module", Buckets("nginx_vts_server_request_duration_seconds")),
    seconds(Latency, "Micrometer without histograms", Mean("http_server_requests_seconds")),
    seconds(Latency, "summaries of that name", Mean("http_request_duration_seconds")),
    seconds(Latency, "go-gin-prometheus, summaries", Mean("gin_request_duration_seconds")),
    seconds(Latency, "echo-contrib, older summaries", Mean("echo_request_duration_seconds")),
    seconds(Latency, "prometheus_exporter for Ruby", Mean("ruby_http_request_duration_seconds")),

    seconds(CallLatency, "go-grpc-prometheus", Buckets("grpc_server_handling_seconds")),
    seconds(CallLatency, "gRPC's own OpenTelemetry plugin", Buckets("grpc_server_call_duration_seconds")),
    times(CallLatency, "OpenTelemetry, RPC conventions", Buckets("rpc_server_duration_milliseconds")),
    seconds(CallLatency, "OpenTelemetry, RPC conventions in seconds", Buckets("rpc_server_duration_seconds")),

    row(ErrorLogs, "Micrometer, Logback", Rate(r#"logback_events_total{level="error"}"#), Unit::Plain),
    row(ErrorLogs, "Micrometer, Log4j 2", Rate(r#"log4j2_events_total{level="error"}"#), Unit::Plain),

    bytes(Memory, "process metrics of the client libraries", "process_resident_memory_bytes"),
    bytes(Memory, ".NET 9", "dotnet_process_memory_working_set_bytes"),
    bytes(Memory, "OpenTelemetry, process", "process_memory_usage_bytes"),

    bytes(Heap, "Micrometer and the JVM client", r#"jvm_memory_used_bytes{area="heap"}"#),
    bytes(Heap, "older JVM client", r#"jvm_memory_bytes_used{area="heap"}"#),
    bytes(Heap, "OpenTelemetry, JVM", r#"jvm_memory_used_bytes{jvm_memory_type="heap"}"#),
    bytes(Heap, "Go", "go_memstats_heap_inuse_bytes"),
    bytes(Heap, "Node.js", "nodejs_heap_size_used_bytes"),
    bytes(Heap, "prometheus-net", "dotnet_total_memory_bytes"),
    bytes(Heap, ".NET 9", "dotnet_gc_last_collection_heap_size_bytes"),

    speed(Cpu, "process metrics of the client libraries", "process_cpu_seconds_total"),
    row(Cpu, "Micrometer", Shape::Level("process_cpu_usage"), Unit::Fraction),
    speed(Cpu, ".NET 9", "dotnet_process_cpu_time_seconds_total"),

    level(OpenFiles, "process metrics of the client libraries", "process_open_fds"),
    level(OpenFiles, "Micrometer", "process_files_open_files"),
    level(OpenFiles, "prometheus-net", "process_open_handles"),

    level(Threads, "Go", "go_goroutines"),
    level(Threads, "Micrometer", "jvm_threads_live_threads"),
    level(Threads, "JVM client", "jvm_threads_current"),
    level(Threads, "OpenTelemetry, JVM", "jvm_thread_count"),
    level(Threads, "Node.js", "nodejs_active_handles_total"),
    level(Threads, ".NET 9", "dotnet_thread_pool_thread_count"),
    level(Threads, "prometheus-net", "process_num_threads"),

    speed(Pauses, "Micrometer", "jvm_gc_pause_seconds_sum"),
    speed(Pauses, "JVM client", "jvm_gc_collection_seconds_sum"),
    speed(Pauses, "OpenTelemetry, JVM", "jvm_gc_duration_seconds_sum"),
    speed(Pauses, "Go", "go_gc_duration_seconds_sum"),
    speed(Pauses, "Node.js", "nodejs_gc_duration_seconds_sum"),
    speed(Pauses, ".NET 9", "dotnet_gc_pause_time_seconds_total"),

    row(LoopLag, "Node.js", Shape::Level("nodejs_eventloop_lag_p99_seconds"), Unit::Seconds),

    speed(MachineCpu, "node_exporter", r#"node_cpu_seconds_total{mode!~"idle|iowait"}"#),
    bytes(MachineMemory, "node_exporter", "node_memory_MemAvailable_bytes"),
    row(OutOfMemory, "node_exporter", Rate("node_vmstat_oom_kill"), Unit::Plain),
];
