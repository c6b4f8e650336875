//! The handle that the rest of the program holds.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use arya_plan::listener::{GroupId, Rule, RuleId};
use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::access_log::AccessLog;
use super::chance::Chance;
use super::control::{BalancerError, Control, GroupState};
use super::cookie::CookieKey;
use super::front::accept;
use super::measured::Counts;
use super::settings::{BalancerSettings, GroupSettings, Target};
use super::{STAGE_CLOSING, STAGE_ENDED, STAGE_SERVING, Shared};

/// How often connections are looked at that were idle for too long.
const FORGET_EVERY: Duration = Duration::from_secs(1);

/// The balancer could not start; nothing runs.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the load balancer cannot use its listening socket; nothing was started")]
    Listener(#[source] io::Error),
    #[error("the system gives no random numbers, which sticky cookies need; nothing was started")]
    Randomness(#[source] getrandom::Error),
    #[error("the access log {path} cannot be written; nothing was started, choose another place")]
    AccessLog {
        path: String,
        #[source]
        source: io::Error,
    },
}

/// A running load balancer. Clones are the same balancer; it runs until [`Balancer::shutdown`], or until its runtime ends.
///
/// All changes are synchronous, may come from any thread, and hold for the next request, also on connections that are
/// open.
#[derive(Debug, Clone)]
pub struct Balancer {
    shared: Arc<Shared>,
    control: Arc<Control>,
    tasks: TaskTracker,
}

impl Balancer {
    /// Serves on a bound socket, without rules at first: every request gets 503.
    ///
    /// # Errors
    /// The socket cannot be used, the access log cannot be opened, or there is no randomness.
    pub async fn start(listener: TcpListener, settings: BalancerSettings) -> Result<Self, StartError> {
        listener.set_nonblocking(true).map_err(StartError::Listener)?;
        let listener = tokio::net::TcpListener::from_std(listener).map_err(StartError::Listener)?;
        let address = listener.local_addr().map_err(StartError::Listener)?;
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(StartError::Randomness)?;
        let seed = getrandom::u64().map_err(StartError::Randomness)?;
        if let Some(log) = &settings.access_log {
            let opened = tokio::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(&log.path)
                .await;
            let path = || log.path.display().to_string();
            opened.map_err(|source| StartError::AccessLog { path: path(), source })?;
        }
        let table = Arc::new(ArcSwap::default());
        let control = Arc::new(Control::new(Arc::clone(&table), Handle::current()));
        let shared = Arc::new(Shared {
            log: settings.access_log.as_ref().map(|_| Arc::default()),
            settings,
            address,
            table,
            cookies: CookieKey::new(secret),
            chance: Chance::seeded(seed),
            clients: TaskTracker::new(),
            stage: AtomicU8::new(STAGE_SERVING),
            closing: CancellationToken::new(),
            ended: CancellationToken::new(),
        });
        let balancer = Self {
            shared,
            control,
            tasks: TaskTracker::new(),
        };
        balancer.spawn_tasks(listener);
        Ok(balancer)
    }

    fn spawn_tasks(&self, listener: tokio::net::TcpListener) {
        self.tasks.spawn(accept(Arc::clone(&self.shared), listener));
        if let (Some(log), Some(settings)) = (&self.shared.log, &self.shared.settings.access_log) {
            self.tasks.spawn(AccessLog::keep_writing(
                Arc::clone(log),
                settings.clone(),
                self.shared.ended.clone(),
            ));
        }
        let (control, max_idle, ended) = (
            Arc::clone(&self.control),
            self.shared.settings.pool_idle,
            self.shared.ended.clone(),
        );
        self.tasks.spawn(async move {
            let mut ticks = interval(FORGET_EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while ended.run_until_cancelled(ticks.tick()).await.is_some() {
                control.forget_old_connections(max_idle);
            }
        });
    }

    /// Where clients reach it.
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// Replaces all rules at once; they are looked at in the order of their priorities. Groups that are named for the
    /// first time are checked at once; those no longer named become unused.
    ///
    /// # Errors
    /// A rule names a group that does not exist: the old rules stay.
    pub fn set_rules(&self, rules: Vec<Rule>) -> Result<(), BalancerError> {
        self.control.set_rules(rules)
    }

    /// In the order in which they are looked at.
    pub fn rules(&self) -> Vec<Rule> {
        self.shared.table.load().rules().to_vec()
    }

    /// # Errors
    /// It exists, or it asks for a protocol or path that cannot be checked.
    pub fn create_group(&self, id: GroupId, settings: GroupSettings) -> Result<(), BalancerError> {
        self.control.create_group(id, settings)
    }

    /// # Errors
    /// It does not exist, or a rule names it.
    pub fn delete_group(&self, id: &GroupId) -> Result<(), BalancerError> {
        self.control.delete_group(id)
    }

    /// Registering the same target again changes nothing; another address, or one that drains, starts anew.
    ///
    /// # Errors
    /// The group does not exist.
    pub fn register(&self, group: &GroupId, target: Target) -> Result<(), BalancerError> {
        self.control.register(group, target)
    }

    /// Takes a target out: no new requests; it is `draining` until its last request or the group's deregistration delay
    /// is over, and then gone. An unknown target is none to take out, which is fine.
    ///
    /// # Errors
    /// The group does not exist.
    pub fn deregister(&self, group: &GroupId, target: &str) -> Result<(), BalancerError> {
        self.control.deregister(group, target)
    }

    pub fn group_state(&self, id: &GroupId) -> Option<GroupState> {
        self.control.state(id)
    }

    pub fn group_states(&self) -> Vec<GroupState> {
        self.control.states()
    }

    /// Turns with every change of rules, groups, targets and their states; what changed is for the caller to look up.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.control.changes()
    }

    /// What went to a group in whole seconds of the range, as far back as [`super::measured::REMEMBERED_SECONDS`].
    pub fn measured(&self, group: &GroupId, range: Range<Timestamp>) -> Option<Counts> {
        Some(self.control.group(group)?.series.sum(&range))
    }

    /// What a rule answered; forgotten with the rule.
    pub fn measured_rule(&self, rule: &RuleId, range: Range<Timestamp>) -> Option<Counts> {
        let table = self.shared.table.load();
        let route = table.routes().iter().find(|route| route.rule.id == *rule)?;
        Some(route.series.sum(&range))
    }

    /// Accepts nobody any more, lets requests in flight finish within the grace of the settings, then ends everything
    /// and writes out the access log.
    pub async fn shutdown(&self) {
        self.shared.stage.store(STAGE_CLOSING, Ordering::Release);
        self.shared.closing.cancel();
        self.shared.clients.close();
        if timeout(self.shared.settings.shutdown_grace, self.shared.clients.wait())
            .await
            .is_err()
        {
            tracing::warn!(
                clients = self.shared.clients.len(),
                "clients were cut off: their requests did not end in time"
            );
        }
        self.control.stop();
        self.shared.stage.store(STAGE_ENDED, Ordering::Release);
        self.shared.ended.cancel();
        self.tasks.close();
        self.shared.clients.wait().await;
        self.tasks.wait().await;
    }
}
