//! Everything that can be set on a balancer and its groups, with the limits' reasons.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::alb::HealthCheckSettings;

/// ALB's default idle timeout: no byte either way for this long ends the connection, or the wait for a target (504).
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// From the first byte of a request's head to its last: a person's slowest network needs less; a slow-loris needs more.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// ALB gives a target 10 s to accept a connection.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// ALB's quota for the whole head of a request.
pub const MAX_HEADER_BYTES: usize = 64 * 1024;
/// ALB's quota for the request line and for each header.
pub const MAX_HEADER_LINE_BYTES: usize = 16 * 1024;
/// ALB's quota for the whole head of a response. What comes before the head, 1xx answers, counts as well, so that a
/// target cannot keep a request waiting by sending those for ever.
pub const MAX_RESPONSE_HEADER_BYTES: usize = 32 * 1024;
/// ALB answers 463 to more addresses than this in `X-Forwarded-For`.
pub const MAX_FORWARDERS: usize = 30;
/// Bounds memory and file descriptors: at some 20 KB each this is 200 MB at the worst; more clients wait to be accepted.
pub const MAX_CLIENT_CONNECTIONS: usize = 10_000;
/// Shorter than the 5 s after which common servers close an idle connection, so that we close first.
pub const POOL_IDLE: Duration = Duration::from_secs(4);
/// More than one target of a small machine ever serves at once; beyond it a connection is closed after its request.
pub const POOL_SIZE: usize = 128;
/// How long `shutdown` lets requests in flight finish.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);
/// AWS's default is 300 s; `create_group` callers set what their deployment needs.
pub const DEREGISTRATION_DELAY: Duration = Duration::from_secs(300);

/// How a balancer treats its clients. The defaults are an ALB's, see the constants of this module.
#[derive(Debug, Clone)]
pub struct BalancerSettings {
    /// The load balancer's name in its access log, e.g. `app/try/1`.
    pub name: String,
    pub idle_timeout: Duration,
    pub header_timeout: Duration,
    pub connect_timeout: Duration,
    pub max_header_bytes: usize,
    pub max_header_line_bytes: usize,
    pub max_client_connections: usize,
    pub pool_idle: Duration,
    pub pool_size: usize,
    pub shutdown_grace: Duration,
    /// `None` writes no access log.
    pub access_log: Option<AccessLogSettings>,
}

impl Default for BalancerSettings {
    fn default() -> Self {
        Self {
            name: "app/local/1".to_owned(),
            idle_timeout: IDLE_TIMEOUT,
            header_timeout: HEADER_TIMEOUT,
            connect_timeout: CONNECT_TIMEOUT,
            max_header_bytes: MAX_HEADER_BYTES,
            max_header_line_bytes: MAX_HEADER_LINE_BYTES,
            max_client_connections: MAX_CLIENT_CONNECTIONS,
            pool_idle: POOL_IDLE,
            pool_size: POOL_SIZE,
            shutdown_grace: SHUTDOWN_GRACE,
            access_log: None,
        }
    }
}

/// Where the access log goes, and when it is turned over. At most `files` × `bytes_per_file` stay on disk.
#[derive(Debug, Clone)]
pub struct AccessLogSettings {
    pub path: PathBuf,
    /// A full file is renamed to `PATH.1`, that one to `PATH.2`, and so on.
    pub bytes_per_file: u64,
    /// Including the one being written; at least 1.
    pub files: u32,
}

impl AccessLogSettings {
    /// 4 files of 16 MiB: some 150,000 requests, and little enough to forget on a laptop.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            bytes_per_file: 16 * 1024 * 1024,
            files: 4,
        }
    }
}

/// What a target group is created with.
#[derive(Debug, Clone)]
pub struct GroupSettings {
    pub health_check: HealthCheckSettings,
    /// How long a deregistered target is kept for its requests in flight (AWS: 0 to 3,600 s).
    pub deregistration_delay: Duration,
}

impl Default for GroupSettings {
    fn default() -> Self {
        Self {
            health_check: HealthCheckSettings::default(),
            deregistration_delay: DEREGISTRATION_DELAY,
        }
    }
}

/// One place that answers requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Unique in its group, e.g. an instance's id.
    pub id: String,
    pub address: SocketAddr,
}
