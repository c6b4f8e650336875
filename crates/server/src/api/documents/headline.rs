//! The one sentence in large type.

use std::fmt;

use serde::Serialize;

/// What a verdict says where it is told, and how things stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Headline {
    /// The verdict's own sentence.
    pub(crate) verdict: Option<String>,
    /// What there is to say beside it.
    pub(crate) state: Option<String>,
}

impl Headline {
    pub(crate) fn judged(verdict: impl Into<String>) -> Self {
        Self {
            verdict: Some(verdict.into()),
            state: None,
        }
    }

    /// What is left to say where a verdict's sentence is told already.
    pub(crate) fn beside(&self, told: &str) -> Option<String> {
        match &self.verdict {
            Some(verdict) if verdict == told => self.state.clone(),
            Some(_) | None => Some(self.to_string()),
        }
    }
}

impl<T: Into<String>> From<T> for Headline {
    fn from(state: T) -> Self {
        Self {
            verdict: None,
            state: Some(state.into()),
        }
    }
}

impl fmt::Display for Headline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said: Vec<&str> = [&self.verdict, &self.state]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect();
        f.write_str(&said.join(" "))
    }
}

impl Serialize for Headline {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_already_is_not_told_again() {
        let mut headline = Headline::judged("Harmful: it fails.");
        assert_eq!(headline.beside("Harmful: it fails."), None);
        headline.state = Some("Its traffic was removed.".into());
        assert_eq!(headline.to_string(), "Harmful: it fails. Its traffic was removed.");
        assert_eq!(
            headline.beside("Harmful: it fails.").as_deref(),
            Some("Its traffic was removed.")
        );
        assert_eq!(
            headline.beside("Harmful:").as_deref(),
            Some(headline.to_string().as_str())
        );
    }
}
