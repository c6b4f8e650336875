//! One deployment's loop: look, publish, sleep until it is time or until somebody wakes it. The retry of everything.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use arya_judge::MetricSource;
use arya_plan::cloud::Cloud;
use arya_plan::desired::Desired;
use arya_plan::identity::DeploymentId;
use arya_plan::phase::Phase;
use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tracing::error;

use crate::reconciler::{Reconciler, TickError};
use crate::report::Report;
use crate::store::StoredDeployment;

/// After a look that failed on our own side (store, panic): long enough not to spin, short enough to watch a canary.
const AFTER_A_FAILURE: Duration = Duration::from_secs(2);

/// A loop and how to speak to it.
#[derive(Debug)]
pub(crate) struct Running {
    reports: Arc<watch::Sender<Arc<Report>>>,
    wake: Arc<Notify>,
    task: JoinHandle<()>,
    bake_s: f64,
}

impl Running {
    pub(crate) fn reports(&self) -> watch::Receiver<Arc<Report>> {
        self.reports.subscribe()
    }

    pub(crate) fn phase(&self) -> Phase {
        self.reports.borrow().phase
    }

    /// Shows an edit at once, before the look that follows it.
    pub(crate) fn take(&self, desired: Desired) {
        self.reports.send_if_modified(|report| {
            let newer = desired.generation > report.desired.generation;
            if newer {
                Arc::make_mut(report).show(desired, self.bake_s);
            }
            newer
        });
        self.wake();
    }

    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    pub(crate) fn into_task(self) -> JoinHandle<()> {
        self.task
    }
}

/// A function that starts loops on a runtime.
pub(crate) fn starter<C: Cloud, M: MetricSource>(
    reconciler: Arc<Reconciler<C, M>>,
    runtime: Handle,
    closing: watch::Sender<bool>,
    bake_s: f64,
) -> impl Fn(&StoredDeployment) -> Running + Send + Sync {
    move |stored| {
        let reports = Arc::new(watch::Sender::new(Arc::new(reconciler.first_report(stored))));
        let wake = Arc::new(Notify::new());
        let one = Loop {
            reconciler: reconciler.clone(),
            id: stored.desired.id,
            reports: reports.clone(),
            wake: wake.clone(),
            closing: closing.subscribe(),
            bake_s,
        };
        Running {
            reports,
            wake,
            task: runtime.spawn(one.run()),
            bake_s,
        }
    }
}

struct Loop<C, M> {
    reconciler: Arc<Reconciler<C, M>>,
    id: DeploymentId,
    reports: Arc<watch::Sender<Arc<Report>>>,
    wake: Arc<Notify>,
    closing: watch::Receiver<bool>,
    /// The least time in which a pass is earned, in seconds.
    bake_s: f64,
}

impl<C: Cloud, M: MetricSource> Loop<C, M> {
    async fn run(mut self) {
        while !*self.closing.borrow() {
            let Some(pause) = self.look().await else { break };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.wake.notified() => {}
                // An error means that the last handle of the engine is gone.
                told = self.closing.changed() => if told.is_err() { break },
            }
        }
        self.reconciler.forget(&self.id);
    }

    /// One look; `None` = there is nothing more to do.
    async fn look(&self) -> Option<Duration> {
        // A bug in one look must not end the watch over production.
        let looked = AssertUnwindSafe(self.reconciler.tick(&self.id)).catch_unwind().await;
        match looked {
            Ok(Ok(report)) => {
                let pause = report.plan.as_ref().map_or(AFTER_A_FAILURE, |plan| plan.look_again_in);
                let closed = report.closed_at.is_some();
                self.publish(report);
                (!closed).then_some(pause)
            }
            Ok(Err(TickError::Unknown(id))) => {
                error!(deployment = %id, "the deployment is no longer in the store; its loop ends");
                None
            }
            Ok(Err(TickError::Store(problem))) => {
                error!(deployment = %self.id, error = %problem, "a look failed");
                let sentence = problem.to_string();
                self.reports
                    .send_modify(|report| Arc::make_mut(report).cloud_error = Some(sentence));
                Some(AFTER_A_FAILURE)
            }
            Err(_) => {
                error!(deployment = %self.id, "a look panicked; the next one starts from nothing");
                self.reconciler.forget(&self.id);
                Some(AFTER_A_FAILURE)
            }
        }
    }

    fn publish(&self, mut report: Report) {
        self.reports.send_modify(|last| {
            // An edit that came during the look is newer than what the look saw.
            if last.desired.generation > report.desired.generation {
                report.show(last.desired.clone(), self.bake_s);
            }
            *last = Arc::new(report);
        });
    }
}
