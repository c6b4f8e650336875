//! What every handler gets: the engine, the world, the files, who may ask. The only place where worlds are told apart.

mod act;
mod ask;
mod evidence;
mod examples;
mod housekeeping;
mod lab;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arya_engine::Engine;
use arya_judge::Timestamp;
use arya_local::live::LiveCloud;
use arya_local::samples::Samples;
use arya_plan::cloud::{Cloud as _, CloudError};
use arya_plan::cost::Prices;
use arya_plan::listener::{Protocol, RuleId, Site};
use arya_plan::preview::Capabilities;
use arya_plan::timing::Timing;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::artifacts::Artifacts;
use crate::auth::Auth;
use crate::counters::Counters;
use crate::guard::Hosts;

pub(crate) use evidence::{Closer, Scores};
#[cfg(test)]
pub(crate) use lab::judged_again;
pub(crate) use lab::{Backtest, Chosen, Named, RUNS_MAX, RUNS_USUAL};

/// Traffic is averaged over this span: long enough to be steady, short enough to be now.
const TRAFFIC_WINDOW: Duration = Duration::from_secs(10);

/// The program's parts; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct App {
    pub(crate) engine: Engine,
    pub(crate) world: World,
    pub(crate) artifacts: Artifacts,
    pub(crate) auth: Auth,
    pub(crate) settings: Arc<Settings>,
    pub(crate) counters: Counters,
    /// Kayenta's latest score of each deployment.
    pub(crate) scores: Scores,
    /// Whoever judges past deployments again: one at a time.
    pub(crate) lab: Arc<Semaphore>,
    /// Cancelled when the server ends, so that streams do not hold it up.
    pub(crate) stopping: CancellationToken,
}

/// What was decided at the start.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) hosts: Hosts,
    pub(crate) timing: Timing,
    pub(crate) data_dir: PathBuf,
    /// Where this server's pages are, without a slash at the end.
    pub(crate) ui: String,
    /// The bundled versions of the sample service; `None` outside `arya try`.
    pub(crate) samples: Option<Samples>,
}

/// The cloud that this server works on. AWS is a second variant, in its own crate.
#[derive(Debug, Clone)]
pub(crate) enum World {
    Local(LiveCloud),
}

impl World {
    /// Every listener that could take a canary, looked at now. In the local world that is a look at memory.
    pub(crate) async fn discover(&self) -> Result<Vec<Site>, CloudError> {
        match self {
            Self::Local(cloud) => cloud.discover().await,
        }
    }

    pub(crate) const fn prices(&self) -> Prices {
        match self {
            Self::Local(_) => Prices::Free,
        }
    }

    pub(crate) fn capabilities(&self) -> Capabilities {
        match self {
            Self::Local(cloud) => Capabilities {
                runnable: Some(cloud.runnable()),
                architectures: vec![docker_architecture().to_owned()],
                protocols: vec![Protocol::Http],
                prices: self.prices(),
            },
        }
    }

    /// Requests per second that a rule answered lately; `None` = not known.
    pub(crate) fn traffic_per_s(&self, rule: &RuleId, now: Timestamp) -> Option<f64> {
        match self {
            Self::Local(cloud) => {
                let from = now.checked_sub(TRAFFIC_WINDOW).ok()?;
                let counts = cloud.balancer().measured_rule(rule, from..now)?;
                // Counts of ten seconds lie far below the 2^53 up to which a double is exact.
                Some(counts.requests as f64 / TRAFFIC_WINDOW.as_secs_f64())
            }
        }
    }

    /// The local cloud with its demo controls, if this is one.
    pub(crate) const fn local(&self) -> Option<&LiveCloud> {
        match self {
            Self::Local(cloud) => Some(cloud),
        }
    }
}

/// This machine's architecture as image configs name it.
fn docker_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

impl App {
    pub(crate) fn now(&self) -> Timestamp {
        self.engine.now()
    }
}
