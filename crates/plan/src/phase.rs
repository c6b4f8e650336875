//! The one word for where a deployment is; derived at every look, never stored.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::desired::{Desired, Goal, MainRule, Spell};
use crate::identity::{Arm, RuleKind};
use crate::observed::{BootPhase, Observed, UploadState};
use crate::remove;
use crate::seen::{Fact, Seen};
use crate::timing::Timing;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Uploading,
    Provisioning,
    WarmingUp,
    Serving,
    /// Our main rule is away, the instances stand; `waiting` says why and who decides.
    Held,
    Draining,
    Destroying,
    Destroyed,
    /// It cannot go on; what stands stays until destroy.
    Failed,
}

impl Phase {
    /// Every one, in the order of a life.
    pub const ALL: [Self; 9] = [
        Self::Uploading,
        Self::Provisioning,
        Self::WarmingUp,
        Self::Serving,
        Self::Held,
        Self::Draining,
        Self::Destroying,
        Self::Destroyed,
        Self::Failed,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Uploading => "uploading",
            Self::Provisioning => "provisioning",
            Self::WarmingUp => "warming_up",
            Self::Serving => "serving",
            Self::Held => "held",
            Self::Draining => "draining",
            Self::Destroying => "destroying",
            Self::Destroyed => "destroyed",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether users ever came to a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Users {
    Came,
    NobodyCame,
    /// What is kept does not tell.
    NotKnown,
}

/// What a desired state tells of users. Who judged it knows more: nothing is judged before users come.
pub fn users(desired: &Desired) -> Users {
    // The listener was seen with our rule as it was written: each of these is kept from then on, or for a while.
    let seen = desired.share_seen.is_some() || desired.spell != Spell::of(&desired.spec);
    if seen || desired.harmful.is_some() {
        return Users::Came;
    }
    match desired.main_rule {
        MainRule::NotYet => Users::NobodyCame,
        MainRule::Made { .. } | MainRule::Seen => Users::Came,
        // It may be the first or the next one, and what is away may have stood: after giving up, too.
        MainRule::Wanted | MainRule::Away => Users::NotKnown,
    }
}

pub(crate) fn phase(desired: &Desired, observed: &Observed, seen: &Seen, timing: &Timing) -> Phase {
    match desired.goal {
        Goal::Absent => removing(desired, observed, seen, timing),
        Goal::Serve { .. } if desired.failed.is_some() => Phase::Failed,
        Goal::Serve { .. } => building(desired, observed),
    }
}

fn removing(desired: &Desired, observed: &Observed, seen: &Seen, timing: &Timing) -> Phase {
    if remove::destroyed(seen, timing) {
        return Phase::Destroyed;
    }
    let draining = Arm::BOTH.into_iter().any(|arm| remove::draining(observed, arm) > 0);
    if draining && seen.held_for(Fact::RulesAway).is_some() && !remove::nothing_left(desired, observed) {
        return Phase::Draining;
    }
    Phase::Destroying
}

fn building(desired: &Desired, observed: &Observed) -> Phase {
    let main_stands = observed.our_rule(&desired.id, RuleKind::Main).is_some();
    if main_stands && desired.wants_traffic() {
        return Phase::Serving;
    }
    match desired.main_rule {
        MainRule::Away => return Phase::Held,
        MainRule::Wanted | MainRule::Made { .. } | MainRule::Seen => return Phase::WarmingUp,
        MainRule::NotYet => {}
    }
    if desired.hold.is_some() {
        return Phase::Held;
    }
    let uploading = observed
        .uploads
        .values()
        .any(|upload| upload.state != UploadState::Done);
    if uploading || observed.uploads.is_empty() {
        return Phase::Uploading;
    }
    let arms = Arm::BOTH.into_iter().flat_map(|arm| desired.places_of(arm));
    let phases = arms.map(|place| {
        observed
            .instance(place, desired.incarnation(place))
            .and_then(|instance| instance.phase())
    });
    // An instance reports `up` when the app runs and before it is warmed up.
    match phases.min().flatten() {
        Some(BootPhase::Ready) if desired.share().is_zero() && crate::route::arms_healthy(desired, observed) => {
            Phase::Held
        }
        Some(BootPhase::Up | BootPhase::Ready) => Phase::WarmingUp,
        Some(
            BootPhase::Booting | BootPhase::DockerReady | BootPhase::Fetched | BootPhase::Loaded | BootPhase::Failed,
        )
        | None => Phase::Provisioning,
    }
}
