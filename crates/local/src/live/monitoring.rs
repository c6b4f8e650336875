//! The monitor instance of a deployment: a record, and the embedded monitor that scrapes both arms while it stands.
//!
//! Knows which targets with which labels; never what is asked of their series.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use arya_plan::identity::{DeploymentId, Owner};
use arya_plan::observed::{BootPhase, InstanceState};
use arya_plan::spec::{Exporter, Spec};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Inner;
use super::process::Output;
use super::reporter::{Fingerprint, Reporter};
use super::world::{Machine, World};
use crate::monitor::{Monitor, ScrapeTarget, Settings};

pub(super) fn start() -> Monitor {
    Monitor::new(Settings::default())
}

/// Scrapes until the cloud stops.
pub(super) fn run(inner: &Arc<Inner>) {
    let (monitor, stopping) = (inner.monitor.clone(), inner.stopping.clone());
    inner
        .tasks
        .spawn(async move { monitor.run(stopping.cancelled()).await });
}

/// Launches a deployment's monitor instance.
pub(super) fn launch(inner: &Arc<Inner>, world: &mut World, owner: Owner, spec: &Spec) {
    let id = world.new_name("i");
    let stop = inner.stopping.child_token();
    let machine = Machine {
        owner: Some(owner.clone()),
        state: InstanceState::Running,
        address: None,
        report: None,
        version: None,
        output: Output::default(),
        ended: None,
        stop: stop.clone(),
        // Nobody reads it: the embedded monitor takes no orders.
        orders: mpsc::channel(1).0,
    };
    let reporter = Reporter {
        inner: Arc::clone(inner),
        id: id.clone(),
        place: machine.place(),
        bucket: world.buckets.get(&owner.deployment).map(|bucket| bucket.folder.clone()),
        fingerprint: Fingerprint::of_this_machine(),
    };
    world.machines.insert(id.clone(), machine);
    let (inner, jobs, deployment) = (Arc::clone(inner), jobs(spec), owner.deployment);
    inner.tasks.clone().spawn(async move {
        // With nothing to fetch or to load they follow at once.
        for phase in BootPhase::UP_TO_READY {
            reporter.phase(phase).await;
        }
        stop.run_until_cancelled(follow(&inner, &deployment, &jobs)).await;
        inner.monitor.remove(&deployment.to_string());
        inner.change(|world| {
            if let Some(machine) = world.machines.get_mut(&id) {
                machine.state = InstanceState::Terminated;
                machine.ended = Some(Instant::now());
            }
        });
    });
}

/// What to scrape on each app instance. Only the app's own port is reachable here; without exporters in the spec the
/// sample's metrics are taken.
fn jobs(spec: &Spec) -> Vec<(String, String)> {
    let reachable = |exporter: &&Exporter| exporter.port == spec.app.port;
    let asked: Vec<_> = spec
        .exporters
        .iter()
        .filter(reachable)
        .map(|e| (e.job.clone(), e.path.clone()))
        .collect();
    if spec.exporters.is_empty() {
        vec![("app".to_owned(), "/metrics".to_owned())]
    } else {
        asked
    }
}

/// Keeps the monitor's targets as the running instances are.
async fn follow(inner: &Inner, deployment: &DeploymentId, jobs: &[(String, String)]) {
    let mut changes = inner.changes.subscribe();
    let mut before = Vec::new();
    loop {
        let now = targets(&inner.world(), deployment, jobs);
        if now != before {
            if let Err(error) = inner.monitor.set_targets(&deployment.to_string(), now.clone()) {
                tracing::warn!(%deployment, "the monitor does not scrape all instances: {error}");
            }
            before = now;
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

fn targets(world: &World, deployment: &DeploymentId, jobs: &[(String, String)]) -> Vec<ScrapeTarget> {
    let running = world
        .machines_of(deployment)
        .filter(|(_, machine)| machine.state == InstanceState::Running);
    let named = |id, machine: &Machine, arm| {
        let version = machine.version.clone().unwrap_or_else(|| "unknown".into());
        Some((id, machine.address?, arm, version))
    };
    let apps = running.filter_map(|(id, machine)| named(id, machine, machine.place()?.0.role.arm()?.as_str()));
    // Production's own instances, as every monitor in the same network can scrape them: what they show stands beside.
    let others = world
        .machines
        .iter()
        .filter(|(_, machine)| machine.owner.is_none() && machine.state == InstanceState::Running)
        .filter_map(|(id, machine)| named(id, machine, "production"));
    let target = |id: &str, address: SocketAddr, arm: &str, version: &str, (job, path): &(String, String)| {
        let labels = [
            ("deployment", deployment.to_string().as_str()),
            ("arm", arm),
            ("instance", id),
            ("version", version),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        ScrapeTarget {
            job: job.clone(),
            address,
            path: path.clone(),
            labels: BTreeMap::from(labels),
        }
    };
    apps.chain(others)
        .flat_map(|(id, address, arm, version)| {
            jobs.iter()
                .map(move |job| target(id, address, arm, &version, job))
                .collect::<Vec<_>>()
        })
        .collect()
}
