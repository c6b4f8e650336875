//! The port to a cloud. An adapter reads and carries out; it decides nothing.

use std::fmt;
use std::future::Future;

use arya_judge::Timestamp;
use serde::{Deserialize, Serialize};

use crate::desired::Desired;
use crate::identity::DeploymentId;
use crate::listener::Site;
use crate::observed::Observed;
use crate::plan::Step;

/// One account and region, or one local world.
pub trait Cloud: Send + Sync + 'static {
    /// Every listener that could take a canary.
    fn discover(&self) -> impl Future<Output = Result<Vec<Site>, CloudError>> + Send;

    /// The deployments that own anything here, by tags alone.
    fn list(&self) -> impl Future<Output = Result<Vec<DeploymentId>, CloudError>> + Send;

    /// One look. Our resources are found by tag; `desired` names the listener and the files whose upload is watched.
    fn observe(&self, desired: &Desired, now: Timestamp) -> impl Future<Output = Result<Observed, CloudError>> + Send;

    /// Carries out one step. May run twice for the same step; never waits for what the step sets going.
    fn apply(&self, desired: &Desired, step: &Step) -> impl Future<Output = Result<(), CloudError>> + Send;
}

/// What kind of *no* a cloud said; decides whether looking again helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// Too many requests; look again later.
    Throttled,
    /// Not now: the thing it needs is not there yet, or something still holds it. Look again.
    NotYet,
    /// The answer is unknown, e.g. a time-out. Look again; never assume.
    Unknown,
    /// Will not work however often it is tried: a missing permission, a limit.
    Refused,
}

/// A *no* in three parts, as a person reads it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub struct CloudError {
    pub kind: ErrorKind,
    pub what: String,
    /// What to do about it; empty where looking again is all there is.
    pub next: String,
}

impl fmt::Display for CloudError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if self.next.is_empty() {
            Ok(())
        } else {
            write!(f, " {}", self.next)
        }
    }
}

impl CloudError {
    pub fn new(kind: ErrorKind, what: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            kind,
            what: what.into(),
            next: next.into(),
        }
    }

    pub fn not_yet(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotYet, what, "")
    }

    pub fn refused(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(ErrorKind::Refused, what, next)
    }
}
