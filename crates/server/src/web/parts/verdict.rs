//! The sentence in large type, what colour it may have, and what is waited for.

use arya_judge::Outcome;
use arya_plan::phase::Phase;

use crate::api::documents::{DeploymentDocument, Told, VerdictDocument};
use crate::web::tone::{Chip, Tone};
use crate::web::words;

/// The head of a deployment's page.
#[derive(Debug, Clone)]
pub(crate) struct Says {
    pub(crate) tone: Tone,
    pub(crate) icon: &'static str,
    /// `None` where the sentence begins with it.
    pub(crate) word: Option<String>,
    pub(crate) sentence: String,
    /// Smaller lines below it.
    pub(crate) under: Vec<String>,
}

/// One thing that is waited for.
#[derive(Debug, Clone)]
pub(crate) struct WaitLine {
    pub(crate) sentence: String,
    pub(crate) since: String,
    pub(crate) person: bool,
}

pub(crate) fn says(document: &DeploymentDocument, verdict: &VerdictDocument) -> Says {
    let tone = tone(document);
    let icon = match tone {
        Tone::Plain => phase_icon(document.phase),
        Tone::Harmful | Tone::NoWorse | Tone::Unknown => tone.icon(),
    };
    let sentence = document.headline.to_string();
    let word = word(document, tone);
    let word = (!sentence.starts_with(&word)).then_some(word);
    Says {
        tone,
        icon,
        word,
        sentence,
        under: under(document, verdict),
    }
}

/// The head of a report: what was found out, also when the deployment is long gone.
pub(crate) fn last(document: &DeploymentDocument, verdict: &VerdictDocument) -> Says {
    let now = says(document, verdict);
    let harmful = document.harmful.as_ref().filter(|harmful| harmful.overruled.is_none());
    let (outcome, sentence) = match (harmful, &document.verdict) {
        (Some(harmful), _) => (Outcome::Harmful, &harmful.sentence),
        (None, Some(line)) => (line.outcome, &line.sentence),
        (None, None) => return now,
    };
    let tone = Tone::of(outcome);
    let word = Chip::outcome(outcome, document.told()).word;
    let word = Some(word).filter(|word| !sentence.starts_with(word.as_str()));
    Says {
        tone,
        icon: tone.icon(),
        word,
        sentence: sentence.clone(),
        under: Vec::from_iter(document.headline.beside(sentence)),
    }
}

/// Only a verdict has a colour, and only while users reach the canary or the harm stands.
pub(crate) fn tone(document: &DeploymentDocument) -> Tone {
    if document.harmful_stands() && document.told() != Told::AtTheEnd {
        return Tone::Harmful;
    }
    match (document.phase, &document.verdict) {
        (Phase::Serving, Some(verdict)) => Tone::of(verdict.outcome),
        (Phase::Serving, None) => Tone::Unknown,
        (
            Phase::Uploading
            | Phase::Provisioning
            | Phase::WarmingUp
            | Phase::Held
            | Phase::Draining
            | Phase::Destroying
            | Phase::Destroyed
            | Phase::Failed,
            _,
        ) => Tone::Plain,
    }
}

const fn phase_icon(phase: Phase) -> &'static str {
    match phase {
        Phase::Uploading => "i-upload",
        Phase::Held => "i-hold",
        Phase::Destroyed => "i-good",
        Phase::Failed => "i-bad",
        Phase::Provisioning | Phase::WarmingUp | Phase::Serving | Phase::Draining | Phase::Destroying => "i-now",
    }
}

fn word(document: &DeploymentDocument, tone: Tone) -> String {
    chip(tone).map_or_else(|| arya_judge::capitalised(document.phase_word), |chip| chip.word)
}

/// The verdict's word in its colour; `None` where there is nothing to say about harm.
pub(crate) fn chip(tone: Tone) -> Option<Chip> {
    let word = match tone {
        Tone::Harmful => "Harmful",
        Tone::NoWorse => "No worse",
        Tone::Unknown => "Not enough evidence yet",
        Tone::Plain => return None,
    };
    Some(Chip {
        tone,
        word: word.to_owned(),
    })
}

fn under(document: &DeploymentDocument, verdict: &VerdictDocument) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(harmful) = &document.harmful {
        match &harmful.overruled {
            Some(overruled) => lines.push(format!(
                "Harmful at {}, overruled by {}: “{}”",
                words::clock(harmful.at),
                overruled.by,
                overruled.reason
            )),
            None if document.told() == Told::AtTheEnd => {
                // The sentence begins with the word itself.
                let said = harmful.sentence.strip_prefix("Harmful");
                lines.push(said.map_or_else(|| harmful.sentence.clone(), |said| format!("It was harmful{said}")));
            }
            None => lines.push(format!(
                "Shown at {}. It stays until a person overrules it with a reason; destroying is always possible.",
                words::clock(harmful.at)
            )),
        }
    }
    if let (Some(at), Phase::Serving) = (verdict.as_of, document.phase) {
        lines.push(format!("Judged on everything up to {}.", words::clock(at)));
    }
    lines
}

pub(crate) fn waiting(document: &DeploymentDocument) -> Vec<WaitLine> {
    // The headline already says what the first one says.
    let headline = document.headline.to_string();
    let others = document.waiting.iter().filter(|wait| wait.why != headline);
    others
        .map(|wait| WaitLine {
            sentence: wait.why.clone(),
            since: words::duration(words::seconds_between(wait.since, document.as_of)),
            person: wait.reason == "person",
        })
        .collect()
}
