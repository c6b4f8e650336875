//! What was asked of a world, step by step: for checkers and stories.

use std::sync::Arc;

use arya_judge::Timestamp;
use arya_plan::cloud::ErrorKind;
use arya_plan::identity::DeploymentId;
use arya_plan::plan::Step;

/// One step that arrived.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub at: Timestamp,
    /// Its number among all calls, as [`At::Call`](super::At::Call) counts.
    pub call: u32,
    pub deployment: DeploymentId,
    pub step: Arc<Step>,
    pub effect: Effect,
    pub answer: Answer,
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    Done,
    /// It was done before, so that nothing changed.
    Nothing,
}

/// What the caller heard of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Yes,
    No(ErrorKind),
    /// Nothing at all: the call hung, or the caller died.
    Silence,
}
