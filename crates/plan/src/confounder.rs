//! Question: do the two arms differ by their version alone? While they do not, what is measured says nothing of it.

use std::fmt;

use arya_judge::Timestamp;

use crate::desired::{Desired, Goal, HoldReason, MainRule};
use crate::identity::{Arm, Place};
use crate::observed::{BootPhase, Observed};
use crate::route::{not_healthy, spell_ends_at};

/// What disturbs the comparison. Its text is a whole sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confounder {
    /// Our main rule is away, and why.
    Held(HoldReason),
    /// The share is 0.
    NoShare,
    /// Users are to come again, and our main rule is not seen yet.
    NotBackYet,
    /// An instance runs its app anew: what is cold says nothing of a version.
    WarmingUp { place: Place, phase: BootPhase },
    /// Some of the arm's targets take no requests, so that each of the others has more of them.
    ArmIncomplete { arm: Arm, state: String },
    /// The canary has no users yet, so that baseline and production show how much the metrics scatter by themselves; until
    /// about when.
    Spell { until: Option<Timestamp> },
}

impl fmt::Display for Confounder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held(reason) => reason.fmt(f),
            Self::NoShare => f.write_str("The share is 0: users get production only."),
            Self::NotBackYet => f.write_str("Our main rule is not seen on the listener yet."),
            Self::WarmingUp { place, phase } => {
                write!(f, "The {place} starts anew ({}) and has to warm up.", phase.as_str())
            }
            Self::ArmIncomplete { arm, state } => write!(
                f,
                "The {arm} does not take its whole share: {state}. The arms' instances carry different loads."
            ),
            Self::Spell { until: Some(until) } => write!(
                f,
                "A/A spell: until about {} UTC the baseline alone has users beside production, the canary none yet. Both \
                 run the old version, so what differs between them teaches how much the metrics scatter by themselves.",
                until.strftime("%H:%M:%S")
            ),
            Self::Spell { until: None } => {
                f.write_str("The A/A spell is over, and the canary's first users are on their way.")
            }
        }
    }
}

/// The arm whose own state disturbs the comparison, if that is what disturbs it.
pub(crate) fn disturbed_arm(desired: &Desired, observed: &Observed) -> Option<Arm> {
    match confounder(desired, observed)? {
        Confounder::WarmingUp { place, .. } => place.role.arm(),
        Confounder::ArmIncomplete { arm, .. } => Some(arm),
        Confounder::Held(_) | Confounder::NoShare | Confounder::NotBackYet | Confounder::Spell { .. } => None,
    }
}

/// What disturbs the comparison now. Before users first came there is none, and when everything is to go there is nothing
/// to disturb any more.
pub fn confounder(desired: &Desired, observed: &Observed) -> Option<Confounder> {
    if desired.goal == Goal::Absent {
        return None;
    }
    match desired.main_rule {
        MainRule::NotYet => return None,
        MainRule::Away => {
            let held = desired.hold.as_ref().map(|hold| Confounder::Held(hold.reason.clone()));
            return Some(held.unwrap_or(Confounder::NoShare));
        }
        MainRule::Wanted | MainRule::Made { .. } => return Some(Confounder::NotBackYet),
        MainRule::Seen => {}
    }
    // Nobody is on the canary in a spell: its machines disturb nothing that is compared then.
    let compared = |arm: &Arm| desired.spell.is_over() || *arm == Arm::Baseline;
    let arms = || Arm::BOTH.into_iter().filter(compared);
    let starting = |place: Place| {
        let phase = observed.instance(place, desired.incarnation(place))?.phase()?;
        (phase < BootPhase::Ready).then_some(Confounder::WarmingUp { place, phase })
    };
    let missing = |arm: Arm| {
        let group = observed.groups.get(&arm)?;
        let missing = desired.places_of(arm).find(|place| group.target(*place).is_none())?;
        Some(format!("the {missing} is not registered"))
    };
    let incomplete = |arm: Arm| {
        let state = not_healthy(desired, observed, arm).or_else(|| missing(arm))?;
        Some(Confounder::ArmIncomplete { arm, state })
    };
    let starting = arms().flat_map(|arm| desired.places_of(arm)).find_map(starting);
    let spell = || {
        let until = spell_ends_at(desired);
        (!desired.spell.is_over()).then_some(Confounder::Spell { until })
    };
    starting.or_else(|| arms().find_map(incomplete)).or_else(spell)
}
