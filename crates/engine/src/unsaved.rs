//! Changes that are followed although the store does not answer. Failing towards production's own rule does not wait
//! for a disk; whatever could raise exposure does. It must never know why a change was asked for.

use arya_judge::Timestamp;
use arya_plan::desired::{Actor, Change, Desired};
use arya_plan::plan::{WaitReason, Waiting};

/// A change that every look follows in memory and tries to store. It is lost when the process ends.
#[derive(Debug, Clone)]
pub(crate) struct Unsaved {
    pub(crate) change: Change,
    pub(crate) by: Actor,
    pub(crate) since: Timestamp,
    pub(crate) problem: String,
}

impl Unsaved {
    pub(crate) fn waiting(&self) -> Waiting {
        let reason = WaitReason::Stuck {
            step: "store a change".into(),
            error: self.problem.clone(),
        };
        Waiting {
            reason,
            since: self.since,
        }
    }
}

/// Whether following a change without having stored it cannot bring more users to the canary.
pub(crate) fn does_not_raise(change: &Change, desired: &Desired) -> bool {
    match change {
        Change::RemoveTraffic { .. }
        | Change::LatchHarmful { .. }
        | Change::MainRuleMade { .. }
        | Change::MainRuleSeen
        | Change::Destroy => true,
        Change::SetShare { canary_percent } => *canary_percent <= desired.share(),
        Change::Overrule { .. }
        | Change::BeginServing
        | Change::EndSpell
        | Change::Replace { .. }
        | Change::GiveUp { .. } => false,
    }
}

/// Follows a change in memory. The generation stays: it counts what is stored.
pub(crate) fn follow(desired: &mut Desired, change: &Change, by: &Actor, at: Timestamp) -> bool {
    let generation = desired.generation;
    let changed = desired.apply(change, by, at).unwrap_or(false);
    desired.generation = generation;
    changed
}
