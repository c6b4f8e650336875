//! The life of one app instance, from launch to its last byte on disk: fetch, load, start, warm up, serve, end.
//!
//! One task each. What goes wrong becomes a report, never a panic; the instance then stands until it is terminated, so
//! that its log can be read. An app that ends after it was ready takes its instance with it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arya_plan::identity::{DeploymentId, Owner};
use arya_plan::observed::{BootPhase, InstanceState, UploadState};
use arya_plan::spec::{Digest, WarmUp};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::folder::Folder;
use super::process::{Launch, Output, Process};
use super::reporter::{Fingerprint, Reporter};
use super::world::{Machine, Order, World};
use super::{Inner, asking, container, folder};

/// How long an instance waits for its files: a gigabyte on a slow disk, with room.
const FETCH_WITHIN: Duration = Duration::from_secs(10 * 60);
/// An app that is not healthy this long after its start is not coming up.
const UP_WITHIN: Duration = Duration::from_secs(30);
/// An app that is not warm after this long is too slow for what the spec asks. With the rest of the boot it stays below
/// the minute after which a deployment gives its instances up.
const WARM_WITHIN: Duration = Duration::from_secs(20);
/// Orders that wait for an instance; they come from a person's clicks.
const ORDERS_WAITING: usize = 16;

/// What an instance is born with, its user data.
#[derive(Debug)]
pub(super) struct Birth {
    /// `None` = one of production's.
    pub(super) owner: Option<Owner>,
    pub(super) source: Source,
    pub(super) app_port: u16,
    pub(super) health_path: String,
    pub(super) warm_up: WarmUp,
}

/// Where the archive and the compose file come from.
#[derive(Debug)]
pub(super) enum Source {
    Bucket {
        deployment: DeploymentId,
        image: Digest,
        compose: Digest,
    },
    Disk(Files),
}

/// An image archive and its compose file on disk.
#[derive(Debug, Clone)]
pub(super) struct Files {
    pub(super) image: PathBuf,
    pub(super) image_digest: Digest,
    pub(super) compose: PathBuf,
}

/// Why a boot did not get to the end.
enum Halt {
    /// It was told to.
    Terminated,
    Failed(String),
}

impl From<String> for Halt {
    fn from(sentence: String) -> Self {
        Self::Failed(sentence)
    }
}

/// Launches an instance: its record stands at once, the rest is a task. Gives its id.
pub(super) fn launch(inner: &Arc<Inner>, world: &mut World, birth: Birth) -> String {
    world.forget_ended();
    let id = world.new_name("i");
    let (orders, inbox) = mpsc::channel(ORDERS_WAITING);
    let (stop, output) = (inner.stopping.child_token(), Output::default());
    let machine = Machine {
        owner: birth.owner.clone(),
        state: InstanceState::Pending,
        address: None,
        report: None,
        version: None,
        output: output.clone(),
        ended: None,
        stop: stop.clone(),
        orders,
    };
    let reporter = Reporter {
        inner: Arc::clone(inner),
        id: id.clone(),
        place: machine.place(),
        bucket: birth
            .owner
            .as_ref()
            .and_then(|owner| Some(world.buckets.get(&owner.deployment)?.folder.clone())),
        fingerprint: Fingerprint::of_this_machine(),
    };
    world.machines.insert(id.clone(), machine);
    let directory = inner.instances_dir().join(id.replace(':', "-"));
    let life = Life {
        inner: Arc::clone(inner),
        id: id.clone(),
        birth,
        reporter,
        directory,
        output,
        stop,
    };
    inner.tasks.spawn(life.live(inbox));
    id
}

struct Life {
    inner: Arc<Inner>,
    id: String,
    birth: Birth,
    reporter: Reporter,
    directory: PathBuf,
    output: Output,
    stop: CancellationToken,
}

impl Life {
    async fn live(mut self, mut inbox: mpsc::Receiver<Order>) {
        self.run();
        let mut process = None;
        match self.boot(&mut process).await {
            Ok(()) => self.serve(&mut process, &mut inbox).await,
            Err(Halt::Terminated) => {}
            Err(Halt::Failed(sentence)) => {
                let output = output_of(&mut process).await;
                tracing::warn!(instance = %self.id, "an instance failed to start: {sentence}");
                self.reporter.failed(&sentence, &output).await;
                self.stop.cancelled().await;
            }
        }
        self.set_state(InstanceState::ShuttingDown);
        if let Some(process) = process {
            process.end().await;
        }
        self.reporter.log(self.output.bytes()).await;
        let directory = self.directory.clone();
        let removed = tokio::task::spawn_blocking(move || folder::remove_folder(&directory)).await;
        if let Ok(Err(error)) = removed {
            tracing::warn!(instance = %self.id, %error, "the folder of an instance could not be removed");
        }
        self.depart();
    }

    async fn boot(&mut self, process: &mut Option<Process>) -> Result<(), Halt> {
        self.reporter.phase(BootPhase::Booting).await;
        self.reporter.phase(BootPhase::DockerReady).await;
        let files = self.fetch().await?;
        self.reporter.fingerprint.images.push(files.image_digest.to_string());
        self.reporter.phase(BootPhase::Fetched).await;
        self.admit(&files.image_digest)?;
        let launch = self.load(files).await?;
        self.reporter.phase(BootPhase::Loaded).await;
        if self.stop.is_cancelled() {
            return Err(Halt::Terminated);
        }
        let started = Process::start(&launch, self.output.clone()).await;
        let running = process.insert(started.map_err(|error| {
            format!(
                "The program {} could not be started: {error}.",
                launch.program.display()
            )
        })?);
        let address = self.unless_stopped(running.address()).await??;
        self.while_running(running, asking::until_up(address, &self.birth.health_path, UP_WITHIN))
            .await?;
        self.reporter.phase(BootPhase::Up).await;
        self.while_running(running, asking::until_warm(address, &self.birth.warm_up, WARM_WITHIN))
            .await?;
        self.inner.change(|world| {
            if let Some(machine) = world.machines.get_mut(&self.id) {
                machine.address = Some(address);
            }
        });
        self.reporter.phase(BootPhase::Ready).await;
        Ok(())
    }

    /// Waits until both files are in the bucket.
    async fn fetch(&self) -> Result<Files, Halt> {
        let (deployment, image, compose) = match &self.birth.source {
            Source::Disk(files) => return Ok(files.clone()),
            Source::Bucket {
                deployment,
                image,
                compose,
            } => (deployment, image, compose),
        };
        let mut changes = self.inner.changes.subscribe();
        let waiting = async {
            loop {
                if let Some(folder) = arrived(&self.inner.world(), deployment, [image, compose])? {
                    return Ok(folder);
                }
                if changes.changed().await.is_err() {
                    return Err("The local cloud is stopping.");
                }
            }
        };
        let waited = self.unless_stopped(timeout(FETCH_WITHIN, waiting)).await?;
        let limit = FETCH_WITHIN.as_secs();
        let folder = waited
            .map_err(|_| format!("The files were not in the bucket within {limit} s."))?
            .map_err(str::to_owned)?;
        Ok(Files {
            image: folder.file(image),
            image_digest: image.clone(),
            compose: folder.file(compose),
        })
    }

    /// There is no wall around a process here, so a stranger's program does not run.
    fn admit(&self, image: &Digest) -> Result<(), Halt> {
        if self.inner.runnable().contains(image) {
            return Ok(());
        }
        Err(Halt::Failed(format!(
            "The image archive {image} is none of the samples, and only those run on this machine: a process here has no \
             wall around it. Nothing of it was started. Deploy a sample, or connect AWS."
        )))
    }

    async fn load(&mut self, files: Files) -> Result<Launch, Halt> {
        let (directory, port) = (self.directory.clone(), self.birth.app_port);
        // Not interrupted: it must not write any more when the folder is removed.
        let loaded = tokio::task::spawn_blocking(move || {
            std::fs::create_dir_all(&directory).map_err(|error| format!("The disk took no folder: {error}."))?;
            container::prepare(&files.image, &files.compose, port, &directory)
        });
        let (image, launch) = loaded
            .await
            .map_err(|_| "Unpacking the image broke off.".to_owned())??;
        self.reporter.fingerprint.images.push(image.image_id.to_string());
        let version = image
            .references
            .first()
            .and_then(|name| Some(name.rsplit_once(':')?.1.to_owned()));
        self.inner.change(|world| {
            if let Some(machine) = world.machines.get_mut(&self.id) {
                machine.version = version;
            }
        });
        Ok(launch)
    }

    async fn serve(&self, process: &mut Option<Process>, inbox: &mut mpsc::Receiver<Order>) {
        let Some(running) = process else { return };
        loop {
            let order = tokio::select! {
                () = self.stop.cancelled() => return,
                Some(order) = inbox.recv() => order,
                _ = running.exited() => {
                    tracing::warn!(instance = %self.id, "an app ended by itself, and its instance with it");
                    self.reporter.ended(&running.tail()).await;
                    return;
                }
            };
            match order {
                Order::Die => running.kill(),
                Order::Tell(line) => {
                    if let Err(error) = running.tell(&line).await {
                        tracing::warn!(instance = %self.id, %error, "an app does not read its control channel");
                    }
                }
            }
        }
    }

    async fn unless_stopped<T>(&self, waiting: impl Future<Output = T>) -> Result<T, Halt> {
        self.stop.run_until_cancelled(waiting).await.ok_or(Halt::Terminated)
    }

    async fn while_running(
        &self,
        running: &mut Process,
        asking: impl Future<Output = Result<(), String>>,
    ) -> Result<(), Halt> {
        let first = async {
            tokio::select! {
                answer = asking => answer,
                _ = running.exited() => Err("The app ended while it was starting.".to_owned()),
            }
        };
        Ok(self.unless_stopped(first).await??)
    }

    /// Pending no more, unless it was terminated before it got here.
    fn run(&self) {
        self.inner.change(|world| {
            let pending = |machine: &&mut Machine| machine.state == InstanceState::Pending;
            if let Some(machine) = world.machines.get_mut(&self.id).filter(pending) {
                machine.state = InstanceState::Running;
            }
        });
    }

    fn set_state(&self, state: InstanceState) {
        self.inner.change(|world| {
            if let Some(machine) = world.machines.get_mut(&self.id) {
                machine.state = state;
            }
        });
    }

    /// The instance is gone: as in AWS, it leaves the groups it was registered in.
    fn depart(&self) {
        self.inner.change(|world| {
            if let Some(machine) = world.machines.get_mut(&self.id) {
                machine.state = InstanceState::Terminated;
                machine.ended = Some(tokio::time::Instant::now());
            }
            for id in world.groups.keys() {
                // A group that was deleted meanwhile has no targets either.
                let _ = self.inner.balancer.deregister(id, &self.id);
            }
        });
    }
}

/// The bucket's folder once all these files are in it.
fn arrived(world: &World, deployment: &DeploymentId, files: [&Digest; 2]) -> Result<Option<Folder>, &'static str> {
    let bucket = world
        .buckets
        .get(deployment)
        .ok_or("The bucket is gone, so there are no files to fetch.")?;
    let done = |digest: &Digest| {
        bucket
            .uploads
            .get(digest)
            .is_some_and(|sending| sending.upload.state == UploadState::Done)
    };
    Ok(files.into_iter().all(done).then(|| bucket.folder.clone()))
}

async fn output_of(process: &mut Option<Process>) -> String {
    let Some(mut process) = process.take() else {
        return String::new();
    };
    process.kill();
    let _ = process.exited().await;
    process.tail()
}
