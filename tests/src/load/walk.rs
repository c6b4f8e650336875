//! The walk of the soak: deploy, 5, 25, 0, 10, destroy, again and again, each state held until it has seen traffic.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;

use super::files::Uploads;
use super::{Counts, Load};
use crate::Arya;

const SERVING_MAX: Duration = Duration::from_secs(30);

/// How far to walk, and under how much.
#[derive(Debug, Clone, Copy)]
pub struct Walk {
    pub cycles: u32,
    /// Requests per second.
    pub per_s: u32,
    /// Requests that each state sees at the least; a walk that nobody uses would prove nothing.
    pub per_state: u64,
    pub destroyed_max: Duration,
}

/// What came of it.
#[derive(Debug)]
pub struct Walked {
    pub counts: Arc<Counts>,
    /// Files that Arya took meanwhile; one that it did not take ends the walk.
    pub files: u64,
}

/// Walks.
pub fn cycles_under_load(walk: Walk) -> Walked {
    let arya = Arya::start(&["--load", "0"]);
    let bare = |url: &str| url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let (balancer, server) = (bare(arya.balancer()), bare(&arya.origin()));
    let image = Bytes::from(std::fs::read(arya.sample("canary", "image")).unwrap());
    let compose = std::fs::read_to_string(arya.sample("canary", "compose")).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (load, uploads) = runtime.block_on(async {
        (
            Load::start(&balancer, walk.per_s),
            Uploads::start(&server, arya.token(), image, &compose),
        )
    });
    let until_used = || {
        let before = load.counts.sent.load(Ordering::SeqCst);
        while load.counts.sent.load(Ordering::SeqCst) < before + walk.per_state {
            std::thread::park_timeout(Duration::from_millis(20));
        }
    };
    let changes = || load.epoch.fetch_add(1, Ordering::SeqCst);
    for cycle in 0..walk.cycles {
        let deployment = arya.deploy(&arya.spec(&format!("cycle {cycle}"), "canary", 5.0));
        deployment.wait_phase("serving", SERVING_MAX);
        until_used();
        for share in [25.0, 0.0, 10.0] {
            changes();
            deployment.set_share(share);
            until_used();
        }
        changes();
        deployment.destroy_and_prove(walk.destroyed_max);
        until_used();
        assert_eq!(load.counts.failed(), 0, "cycle {cycle}: {:#?}", load.counts.words());
    }
    let files = runtime.block_on(uploads.stop()).unwrap();
    let counts = runtime.block_on(load.stop());
    Walked { counts, files }
}

impl std::fmt::Display for Walked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let of = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::SeqCst);
        let counts = &self.counts;
        write!(
            f,
            "{} failed of {} requests; {} with slow bodies, {} MiB sent up, {} taken whole by a canary whose share changed \
             meanwhile; {} files taken by Arya; from when each short one was due: p50 {:?}, p99 {:?}, p99.9 {:?}, at most {:?}",
            counts.failed(),
            of(&counts.sent),
            of(&counts.slow),
            of(&counts.uploaded) >> 20,
            of(&counts.straddled),
            self.files,
            counts.latency(0.5),
            counts.latency(0.99),
            counts.latency(0.999),
            counts.latency(1.0),
        )
    }
}
