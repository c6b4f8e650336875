//! A real HTTP/1.1 load balancer on this machine that treats requests as an Application Load Balancer does: rules,
//! weights, sticky cookies, health checks, draining, failing open, and the access log.
//!
//! Must never know of deployments, arms or verdicts: it is handed rules, groups and targets, and tells what it saw.
//! Rule semantics are `arya_plan::listener`'s, health semantics are [`alb`]'s; here they meet sockets.
//!
//! A request takes no lock that a change holds: rules are one value that is swapped whole, and so is each group's list
//! of targets. Changing either never ends a connection or a request in flight.
//!
//! Where it differs from AWS, on purpose:
//! - a draining target is gone when its last request is, where AWS shows it until the delay is over;
//! - trailers are dropped, `Expect: 100-continue` is answered here, HTTP/2 and TLS are not spoken;
//! - rules that authenticate or rewrite answer 501, since only AWS can do that;
//! - a kept connection that its target closed costs no 502: an idempotent request without a body is sent once more;
//! - a request that asks for both `Content-Length` and `Transfer-Encoding` is refused, where AWS's default may pass it.

mod access_log;
pub mod alb;
mod body;
mod chance;
mod client;
mod control;
mod cookie;
mod exchange;
mod front;
mod handle;
mod head;
mod headers;
mod health;
pub mod measured;
mod proxy;
mod replies;
pub mod settings;
mod table;
mod target;
mod target_socket;
mod upgrade;

pub use control::{BalancerError, GroupState, TargetStatus};
pub use handle::{Balancer, StartError};
pub use measured::Counts;
pub use settings::{AccessLogSettings, BalancerSettings, GroupSettings, Target};

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What every request needs.
#[derive(Debug)]
struct Shared {
    settings: BalancerSettings,
    address: SocketAddr,
    table: Arc<ArcSwap<table::Table>>,
    cookies: cookie::CookieKey,
    chance: chance::Chance,
    log: Option<Arc<access_log::AccessLog>>,
    /// Everything that holds a client's socket; a shutdown waits for it.
    clients: TaskTracker,
    /// One of the stages below; set before the token that tells of it.
    stage: AtomicU8,
    /// Shutting down: no new clients, the last request of each connection.
    closing: CancellationToken,
    /// The grace is over.
    ended: CancellationToken,
}

const STAGE_SERVING: u8 = 0;
const STAGE_CLOSING: u8 = 1;
const STAGE_ENDED: u8 = 2;
