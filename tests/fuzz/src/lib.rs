//! Every reader of bytes that a stranger may send, each as one function that takes any bytes.
//!
//! A target panics if the reader breaks a promise; refusing is no break. To add one: a module with `run(&[u8])`, a line
//! in `TARGETS`, and a few seeds in `corpus/<name>/`. `cargo xtask fuzz NAME --seconds 600 --keep` searches for new
//! inputs and keeps those that reach new code; the test `replay` runs all that were kept.

mod archive;
mod bundle;
mod compose;
mod documents;
mod evidence;
mod http;
mod kayenta;
mod layer;
mod metrics;
mod seeds;
mod sequential;
mod server;
mod spec;

use std::path::PathBuf;

/// Tells the fuzzing program which target it is.
pub const TARGET_VARIABLE: &str = "ARYA_FUZZ_TARGET";
/// Tells it into which folder the made inputs go first.
pub const SEEDS_VARIABLE: &str = "ARYA_FUZZ_SEEDS";

/// One reader under fuzz.
#[derive(Debug)]
pub struct Target {
    /// Also the name of its folder in `corpus/`.
    pub name: &'static str,
    pub run: fn(&[u8]),
    /// Inputs that are made and not found: valid ones, so that mutation begins behind the first check.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// In alphabetical order.
pub const TARGETS: &[Target] = &[
    Target {
        name: "access_log",
        run: evidence::run_log,
        seeds: evidence::log_seeds,
    },
    Target {
        name: "archive",
        run: archive::run,
        seeds: seeds::archives,
    },
    Target {
        name: "body",
        run: server::run_body,
        seeds: server::body_seeds,
    },
    Target {
        name: "caller",
        run: server::run_caller,
        seeds: server::caller_seeds,
    },
    Target {
        name: "compose",
        run: compose::run,
        seeds: seeds::composes,
    },
    Target {
        name: "documents",
        run: documents::run,
        seeds: seeds::documents,
    },
    Target {
        name: "form",
        run: server::run_form,
        seeds: server::form_seeds,
    },
    Target {
        name: "http",
        run: http::run,
        seeds: http::seeds,
    },
    Target {
        name: "interpolation",
        run: compose::run_interpolation,
        seeds: seeds::interpolations,
    },
    Target {
        name: "kayenta",
        run: kayenta::run,
        seeds: kayenta::seeds,
    },
    Target {
        name: "layer",
        run: layer::run,
        seeds: seeds::layers,
    },
    Target {
        name: "metrics",
        run: metrics::run,
        seeds: metrics::seeds,
    },
    Target {
        name: "monitor",
        run: evidence::run_monitor,
        seeds: evidence::monitor_seeds,
    },
    Target {
        name: "posted",
        run: evidence::run_posted,
        seeds: evidence::posted_seeds,
    },
    Target {
        name: "sequential",
        run: sequential::run,
        seeds: sequential::seeds,
    },
    Target {
        name: "spec",
        run: spec::run,
        seeds: spec::seeds,
    },
];

/// The target of this name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// Where the kept inputs of a target lie.
#[must_use]
pub fn corpus(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target)
}
