//! What speaks against a plan, as a value that a page, a terminal and a test can all use.

use serde::{Deserialize, Serialize};

/// Whether a problem stops the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Nothing may be created.
    Blocks,
    /// Nothing may be created until the spec's `acknowledged` lists its name.
    NeedsAcknowledgement,
    /// Good to know.
    Note,
}

/// One thing that speaks against a plan. `sentence` says what and why, `next` what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Stable, e.g. `volume:pgdata`; what `acknowledged` lists.
    pub name: String,
    pub severity: Severity,
    pub sentence: String,
    pub next: String,
    /// The key of the spec that it is about, dotted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

impl Problem {
    pub fn blocks(name: impl Into<String>, sentence: impl Into<String>, next: impl Into<String>) -> Self {
        Self::of(Severity::Blocks, name, sentence, next)
    }

    pub fn needs_acknowledgement(name: impl Into<String>, sentence: impl Into<String>) -> Self {
        let name = name.into();
        let next = format!("Change it, or accept it by adding `{name}` to `acknowledged`.");
        Self::of(Severity::NeedsAcknowledgement, name, sentence, next)
    }

    pub fn note(name: impl Into<String>, sentence: impl Into<String>) -> Self {
        Self::of(Severity::Note, name, sentence, "Nothing needs to be done.")
    }

    fn of(severity: Severity, name: impl Into<String>, sentence: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            severity,
            sentence: sentence.into(),
            next: next.into(),
            field: None,
        }
    }

    #[must_use]
    pub fn at(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Whether it stops this spec, given what the spec accepts by name.
    pub fn stops(&self, acknowledged: &[String]) -> bool {
        match self.severity {
            Severity::Blocks => true,
            Severity::NeedsAcknowledgement => !acknowledged.contains(&self.name),
            Severity::Note => false,
        }
    }
}
