//! The local cloud of `arya try`: real time, a real balancer, instances as processes, a bucket as a folder.
//!
//! Carries out steps and tells what stands, as AWS would; it decides nothing. It must never know of verdicts, desired
//! phases or the engine: it could be handed any plan.
//!
//! Where it differs from AWS, on purpose: security groups are records without effect; an instance *is* its app, so one
//! that dies takes its instance with it; terminated instances are listed for a minute; an app listens where it likes on
//! loopback and says where; only known archives run, since there is no wall around a process.

mod apply;
mod asking;
mod container;
mod controls;
mod evidence;
mod folder;
mod life;
mod monitoring;
mod observe;
mod process;
mod production;
mod reporter;
mod traffic;
mod world;

use std::collections::BTreeSet;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arya_judge::Timestamp;
use arya_plan::cloud::{Cloud, CloudError};
use arya_plan::desired::Desired;
use arya_plan::identity::{DeploymentId, InstallationId};
use arya_plan::left::Log;
use arya_plan::listener::{ListenerId, Site};
use arya_plan::observed::Observed;
use arya_plan::plan::Step;
use arya_plan::spec::Digest;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::balancer::{AccessLogSettings, Balancer, BalancerSettings, StartError};
use crate::load::{Load, LoadCounts, LoadSettings};
use crate::monitor::Monitor;
use crate::samples::Samples;
use world::World;

pub use controls::ControlError;
pub use evidence::BLOCK_S;
pub use production::{ADMIN_RULE, DEFAULT_RULE, IMAGES_RULE};

/// The listener of the local site.
pub const LISTENER: &str = "local:web";
/// Its load balancer.
pub const LOAD_BALANCER: &str = "local:emr";
/// What people call the load balancer.
pub const LOAD_BALANCER_NAME: &str = "emr";

/// All children are told to end at once; each then has its own limit, which is below this.
const STOP_WITHIN: Duration = Duration::from_secs(8);

/// What a local cloud is started with.
#[derive(Debug, Clone)]
pub struct LiveSettings {
    /// `buckets/` and `instances/` in it are the cloud's own, and emptied at the start.
    pub data_dir: PathBuf,
    /// Uploaded files, named by the 64 hexadecimal digits of their SHA-256.
    pub artifacts_dir: PathBuf,
    /// Where the logs of a deployment are kept when its bucket goes, in a folder of its id.
    pub left_dir: PathBuf,
    /// What production runs, and the only archives that run here at all.
    pub samples: Samples,
    /// Where the load balancer listens; port 0 takes a free one.
    pub listen: SocketAddr,
    pub balancer: BalancerSettings,
    /// Background requests per second; 0 = none.
    pub load_per_s: u32,
    pub installation: InstallationId,
}

impl LiveSettings {
    /// A balancer with an ALB's settings on a free port of loopback, its access log in `data_dir`, 100 requests per
    /// second.
    pub fn new(data_dir: PathBuf, artifacts_dir: PathBuf, samples: Samples, installation: InstallationId) -> Self {
        let log = AccessLogSettings::at(data_dir.join("access.log"));
        Self {
            left_dir: data_dir.join("left"),
            data_dir,
            artifacts_dir,
            samples,
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            balancer: BalancerSettings {
                access_log: Some(log),
                ..BalancerSettings::default()
            },
            load_per_s: 100,
            installation,
        }
    }
}

/// The local cloud could not start; nothing runs.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    #[error(
        "The load balancer cannot listen on {address}. Nothing was started. Choose another address, or end what uses it."
    )]
    Listen {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("The load balancer did not start. Nothing runs.")]
    Balancer(#[from] StartError),
    #[error(
        "The folder {} cannot be prepared. Nothing was started. Choose a folder that this user may write to.", path.display()
    )]
    Folder {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("The site of the local cloud could not be built: {what} Nothing runs. This is a defect; report it.")]
    Site { what: String },
}

/// A running local cloud. Clones are the same cloud; it runs until [`LiveCloud::stop`], or until its runtime ends.
#[derive(Debug, Clone)]
pub struct LiveCloud(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: LiveSettings,
    balancer: Balancer,
    monitor: Monitor,
    world: Mutex<World>,
    /// Turns whenever something in `world` changed that a task may wait for.
    changes: watch::Sender<u64>,
    load: Mutex<Option<Load>>,
    /// The background load that is wanted; production may not be ready for it yet.
    load_per_s: AtomicU32,
    /// One production deploy at a time.
    deploying: Arc<tokio::sync::Mutex<()>>,
    stopping: CancellationToken,
    tasks: TaskTracker,
}

impl Inner {
    fn world(&self) -> MutexGuard<'_, World> {
        // Records are changed field by field with nothing in between that panics.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the records and wakes who waits for a change.
    fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let answer = change(&mut self.world());
        self.changes.send_modify(|turn| *turn += 1);
        answer
    }

    /// Looks at every change of the records or of the load balancer until there is an answer; `None` after `limit`, or
    /// when the cloud stops.
    async fn until<T>(&self, limit: Duration, mut look: impl FnMut(&World) -> Option<T>) -> Option<T> {
        let (mut records, mut balancer) = (self.changes.subscribe(), self.balancer.changes());
        let looking = async {
            loop {
                let found = look(&self.world());
                if found.is_some() {
                    return found;
                }
                tokio::select! {
                    turned = records.changed() => turned.ok()?,
                    turned = balancer.changed() => turned.ok()?,
                    () = self.stopping.cancelled() => return None,
                }
            }
        };
        tokio::time::timeout(limit, looking).await.ok().flatten()
    }

    fn load(&self) -> MutexGuard<'_, Option<Load>> {
        self.load.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Called when production is ready; before that every request would fail.
    fn start_load(&self) {
        let mut load = self.load();
        let settings = LoadSettings {
            rate: self.load_per_s.load(Relaxed),
            ..LoadSettings::to(self.balancer.address())
        };
        match Load::start(settings) {
            Ok(started) => *load = Some(started),
            Err(error) => tracing::error!(%error, "the background load did not start; the site runs without it"),
        }
    }

    fn runnable(&self) -> BTreeSet<Digest> {
        let Samples {
            production,
            baseline,
            canary,
            canary_bad,
        } = &self.settings.samples;
        [production, baseline, canary, canary_bad]
            .into_iter()
            .map(|sample| sample.image_digest.clone())
            .collect()
    }

    fn buckets_dir(&self) -> PathBuf {
        self.settings.data_dir.join("buckets")
    }

    fn instances_dir(&self) -> PathBuf {
        self.settings.data_dir.join("instances")
    }
}

impl LiveCloud {
    /// Starts the load balancer with its site, production's instances and the background load. Returns as soon as the
    /// balancer listens; [`LiveCloud::production_ready`] tells when it answers.
    ///
    /// # Errors
    /// A folder cannot be written, or the address cannot be listened on. Nothing is left running.
    pub async fn start(settings: LiveSettings) -> Result<Self, LiveError> {
        // First of all: where another cloud runs, its folders must not be emptied.
        let address = settings.listen;
        let listener = TcpListener::bind(address).map_err(|source| LiveError::Listen { address, source })?;
        let settings = prepare(settings).await?;
        let balancer = Balancer::start(listener, settings.balancer.clone()).await?;
        let inner = Arc::new(Inner {
            monitor: monitoring::start(),
            load_per_s: AtomicU32::new(settings.load_per_s),
            settings,
            balancer,
            world: Mutex::default(),
            changes: watch::Sender::new(0),
            load: Mutex::default(),
            deploying: Arc::default(),
            stopping: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        let cloud = Self(inner);
        monitoring::run(&cloud.0);
        if let Err(error) = production::build(&cloud.0) {
            cloud.stop().await;
            return Err(LiveError::Site { what: error });
        }
        Ok(cloud)
    }

    /// Where clients reach the load balancer.
    pub fn address(&self) -> SocketAddr {
        self.0.balancer.address()
    }

    /// The balancer itself, for its counters and its access log.
    pub fn balancer(&self) -> &Balancer {
        &self.0.balancer
    }

    /// The embedded monitor, for its query API.
    pub fn monitor(&self) -> &Monitor {
        &self.0.monitor
    }

    /// What the instances of a deployment printed so far, also those that ended.
    ///
    /// # Errors
    /// When what the ended ones printed cannot be read from the bucket's folder.
    pub async fn logs(&self, deployment: &DeploymentId) -> std::io::Result<Vec<Log>> {
        let (mut logs, bucket) = {
            let world = self.0.world();
            let machines = world.machines_of(deployment);
            let logs = machines.filter_map(|(_, machine)| {
                let (place, incarnation) = machine.place()?;
                let bytes = machine.output.bytes();
                Some(Log {
                    place,
                    incarnation,
                    bytes,
                })
            });
            let bucket = world.buckets.get(deployment);
            (logs.collect::<Vec<_>>(), bucket.map(|bucket| bucket.folder.clone()))
        };
        let Some(folder) = bucket else { return Ok(logs) };
        let ended = tokio::task::spawn_blocking(move || folder.logs()).await;
        for log in ended.map_err(std::io::Error::other)?? {
            let is_it = |known: &Log| known.place == log.place && known.incarnation == log.incarnation;
            if !logs.iter().any(is_it) {
                logs.push(log);
            }
        }
        Ok(logs)
    }

    /// The archives that may run here, by the digests of their files.
    pub fn runnable(&self) -> BTreeSet<Digest> {
        self.0.runnable()
    }

    /// What became of the background load's requests so far; `None` before production is ready.
    pub fn load_counts(&self) -> Option<LoadCounts> {
        self.0.load().as_ref().map(Load::counts)
    }

    /// The listener to name in a spec.
    pub fn listener(&self) -> ListenerId {
        ListenerId::new(LISTENER)
    }

    /// Ends every process and the balancer; returns when they are gone, or after a limit.
    pub async fn stop(&self) {
        self.0.stopping.cancel();
        // Dropping it ends it.
        self.0.load().take();
        for machine in self.0.world().machines.values() {
            machine.stop.cancel();
        }
        self.0.tasks.close();
        if tokio::time::timeout(STOP_WITHIN, self.0.tasks.wait()).await.is_err() {
            tracing::warn!(
                left = self.0.tasks.len(),
                "the local cloud was cut off: not all of it ended in time"
            );
        }
        self.0.balancer.shutdown().await;
        // Nobody can find what the world kept for its instances once it has ended.
        for name in WORLD_FOLDERS {
            let _ = folder::remove_folder(&self.0.settings.data_dir.join(name));
        }
    }
}

/// What belongs to one run of the world.
const WORLD_FOLDERS: [&str; 2] = ["buckets", "instances"];

/// Whatever an earlier run left is removed: its processes died with it, and nobody can find its folders any more.
async fn prepare(mut settings: LiveSettings) -> Result<LiveSettings, LiveError> {
    let work = move || {
        let at = |path: &PathBuf| {
            let path = path.clone();
            move |source| LiveError::Folder { path, source }
        };
        std::fs::create_dir_all(&settings.data_dir).map_err(at(&settings.data_dir))?;
        // Children run in other folders, so that no path of theirs may be relative.
        settings.data_dir = settings.data_dir.canonicalize().map_err(at(&settings.data_dir))?;
        for name in WORLD_FOLDERS {
            let path = settings.data_dir.join(name);
            folder::remove_folder(&path)
                .and_then(|()| std::fs::create_dir(&path))
                .map_err(at(&path))?;
        }
        Ok(settings)
    };
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|broken| std::panic::resume_unwind(broken.into_panic()))
}

impl Cloud for LiveCloud {
    async fn discover(&self) -> Result<Vec<Site>, CloudError> {
        Ok(vec![observe::site(&self.0)])
    }

    async fn list(&self) -> Result<Vec<DeploymentId>, CloudError> {
        Ok(observe::list(&self.0))
    }

    async fn observe(&self, desired: &Desired, now: Timestamp) -> Result<Observed, CloudError> {
        Ok(observe::observe(&self.0, desired, now))
    }

    async fn apply(&self, desired: &Desired, step: &Step) -> Result<(), CloudError> {
        apply::apply(&self.0, desired, step).await
    }
}
