//! The server's process around a reconciler, as simulated lives and text stories have it: it looks, it gives up on what
//! never answers, and it may die in the middle of a call.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use arya_engine::{Reconciler, Report, TickError};
use arya_local::world::World;
use arya_plan::identity::DeploymentId;
use tokio::runtime::Runtime;

/// What came of a look.
pub(crate) enum Looked {
    Report(Box<Report>),
    Died,
}

/// A runtime whose time passes by itself, so that waiting for an answer that never comes takes no time here.
pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O")
}

/// One look. The world's time moves on by what the process waited.
pub(crate) fn look(
    runtime: &Runtime,
    reconciler: &Reconciler<World, World>,
    world: &World,
    id: &DeploymentId,
) -> Result<Looked, TickError> {
    let (looked, waited) = runtime.block_on(async {
        let begun = tokio::time::Instant::now();
        let mut tick = pin!(reconciler.tick(id));
        let looked = poll_fn(|context| match tick.as_mut().poll(context) {
            Poll::Ready(report) => Poll::Ready(Some(report)),
            Poll::Pending if world.is_dead() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await;
        (looked, begun.elapsed())
    });
    if !waited.is_zero() {
        world.advance(waited);
    }
    match looked {
        None => Ok(Looked::Died),
        Some(report) => Ok(Looked::Report(Box::new(report?))),
    }
}
