//! The three colours and what they mean. Never a colour alone: each comes with its word and its icon.

use arya_judge::Outcome;

use crate::api::documents::Told;

/// What a coloured thing says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Harmful,
    NoWorse,
    /// Not enough evidence, or not known.
    Unknown,
    /// No statement about harm at all.
    Plain,
}

impl Tone {
    pub(crate) const fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Harmful => Self::Harmful,
            Outcome::NoWorse => Self::NoWorse,
            Outcome::Inconclusive => Self::Unknown,
        }
    }

    /// The class in `app.css`.
    pub(crate) const fn class(self) -> &'static str {
        match self {
            Self::Harmful => "bad",
            Self::NoWorse => "good",
            Self::Unknown => "unknown",
            Self::Plain => "plain",
        }
    }

    /// The symbol in `base.html`.
    pub(crate) const fn icon(self) -> &'static str {
        match self {
            Self::Harmful => "i-bad",
            Self::NoWorse => "i-good",
            Self::Unknown => "i-unknown",
            Self::Plain => "i-dot",
        }
    }
}

/// A coloured word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chip {
    pub(crate) tone: Tone,
    pub(crate) word: String,
}

impl Chip {
    pub(crate) fn outcome(outcome: Outcome, told: Told) -> Self {
        Self {
            tone: Tone::of(outcome),
            word: arya_judge::capitalised(told.word(outcome)),
        }
    }

    pub(crate) fn plain(word: impl Into<String>) -> Self {
        Self {
            tone: Tone::Plain,
            word: word.into(),
        }
    }
}
