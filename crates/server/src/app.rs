//! What every handler gets: the engine, the world, the files, who may ask.

mod about;
mod act;
mod ask;
mod evidence;
mod examples;
mod housekeeping;
mod lab;
mod logs;

use std::path::PathBuf;
use std::sync::Arc;

use arya_engine::Engine;
use arya_judge::Timestamp;
use arya_local::samples::Samples;
use arya_plan::timing::Timing;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::artifacts::Artifacts;
use crate::auth::Auth;
use crate::counters::Counters;
use crate::guard::Hosts;
use crate::standing::Standings;
use crate::tools::Shown;
use crate::world::World;

#[cfg(feature = "aws")]
pub(crate) use about::TOKEN_FILE;
pub(crate) use about::{About, ConnectionLine};
pub(crate) use evidence::{Closer, Scores};
#[cfg(test)]
pub(crate) use lab::judged_again;
pub(crate) use lab::{Backtest, Chosen, Named, RUNS_MAX, RUNS_USUAL};

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
    /// What stands without a deployment.
    pub(crate) standings: Arc<Standings>,
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
    /// The configuration that it was started with, if any: commands beside it need the same.
    pub(crate) config: Option<PathBuf>,
    /// Where the monitors' tools are shown, if anywhere.
    pub(crate) tools: Option<Shown>,
    /// The bundled versions of the sample service; `None` outside `arya try`.
    pub(crate) samples: Option<Samples>,
}

impl App {
    pub(crate) fn now(&self) -> Timestamp {
        self.engine.now()
    }
}
