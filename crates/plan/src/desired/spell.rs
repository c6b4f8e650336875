//! The A/A spell, in which the canary has no users yet.

use arya_judge::Timestamp;
use serde::{Deserialize, Serialize};

use crate::spec::Spec;

/// The A/A spell: before the canary's first users the baseline alone has some, beside production. Both run the old version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spell {
    /// It begins when the main rule is first seen.
    Asked,
    /// The listener was seen to send users to the baseline alone.
    Since { at: Timestamp },
    /// The canary's users are to come, and the listener was not seen to send them yet.
    Ending,
    /// None was asked for, or it is over.
    #[default]
    Over,
}

impl Spell {
    /// What a spec asks for.
    pub fn of(spec: &Spec) -> Self {
        if spec.analysis.aa_spell_s > 0.0 {
            Self::Asked
        } else {
            Self::Over
        }
    }

    pub const fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }

    /// Users were taken away: what was begun begins anew with the next ones.
    pub(super) const fn interrupted(self) -> Self {
        match self {
            Self::Asked | Self::Since { .. } => Self::Asked,
            Self::Ending => Self::Ending,
            Self::Over => Self::Over,
        }
    }

    /// The listener was seen as we wrote it.
    pub(super) const fn seen(self, at: Timestamp) -> Self {
        match self {
            Self::Asked => Self::Since { at },
            Self::Since { at } => Self::Since { at },
            Self::Ending | Self::Over => Self::Over,
        }
    }
}
