//! The rail of phases: done, now, to come.

use arya_plan::phase::Phase;

use crate::api::documents::{DeploymentDocument, State};
use crate::web::words;

/// One stop.
#[derive(Debug, Clone)]
pub(crate) struct Stop {
    pub(crate) class: &'static str,
    pub(crate) word: String,
    /// A short line below it.
    pub(crate) note: String,
    pub(crate) now: bool,
}

pub(crate) fn stops(document: &DeploymentDocument) -> Vec<Stop> {
    document
        .rail
        .iter()
        .map(|stop| Stop {
            class: match stop.state {
                State::Done => "done",
                State::Now if stop.phase == Phase::Failed => "bad now",
                State::Now => "now",
                State::ToDo => "",
                State::Skipped => "skipped",
            },
            word: arya_judge::capitalised(&stop.word),
            note: note(document, stop.phase, stop.state),
            now: stop.state == State::Now,
        })
        .collect()
}

fn note(document: &DeploymentDocument, phase: Phase, state: State) -> String {
    match state {
        State::Done => "done".into(),
        State::Now if phase == Phase::Serving => format!("{} each", words::percent(document.weights.applied.canary)),
        State::Now => "now".into(),
        State::ToDo => String::new(),
        State::Skipped => "never did".into(),
    }
}
