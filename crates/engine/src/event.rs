//! What happened, one enum; how it reads, one `Display`. Pages, command line and JSON use these sentences and no others.
//! Events are history for people, never the source of truth.

use std::fmt;

use arya_judge::{Outcome, Timestamp};
use arya_plan::desired::{Actor, Change};
use arya_plan::identity::{DeploymentId, Place};
use arya_plan::listener::shares::CanaryPercent;
use arya_plan::observed::BootPhase;
use arya_plan::phase::Phase;
use arya_plan::plan::Step;
use serde::{Deserialize, Serialize};

/// One line of a deployment's feed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordedEvent {
    /// Rises over all deployments; what `Last-Event-ID` carries.
    pub seq: u64,
    pub at: Timestamp,
    pub deployment: DeploymentId,
    pub actor: Actor,
    pub event: Event,
    pub sentence: String,
}

/// Something that happened to a deployment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    Created {
        by: Actor,
        name: String,
        canary: CanaryPercent,
    },
    /// The desired state was edited; `before` and `after` are the canary's asked shares.
    Changed {
        by: Actor,
        change: Change,
        before: CanaryPercent,
        after: CanaryPercent,
    },
    /// The world of an earlier run is gone, so the deployment is wound up.
    Abandoned,
    PhaseChanged {
        to: Phase,
    },
    Launched {
        place: Place,
        incarnation: u32,
    },
    /// A step other than a launch was carried out; `act` in the past tense.
    Done {
        act: String,
    },
    /// The cloud said no; `times` in a row with the same answer.
    Refused {
        step: String,
        error: String,
        times: u32,
    },
    /// Nobody knows whether a step was carried out; `times` in a row.
    Unanswered {
        step: String,
        what: String,
        times: u32,
    },
    /// An instance reported how far it is; seconds since its launch where that is known.
    InstanceReported {
        place: Place,
        incarnation: u32,
        phase: BootPhase,
        after_s: Option<f64>,
    },
    VerdictChanged {
        outcome: Outcome,
        sentence: String,
    },
    /// Nothing is judged for a while, or only harm; why is a sentence.
    JudgingPaused {
        why: String,
    },
    /// Judging goes on by itself.
    JudgingResumed {
        paused_s: f64,
    },
    /// The process ended, however it ended, while it carried out these steps.
    Interrupted {
        steps: Vec<String>,
    },
    /// `ours` is what was left behind, `others` what other people changed meanwhile.
    Restored {
        ours: usize,
        others: usize,
    },
    /// Something the world told, e.g. that production deploys now.
    Noted {
        sentence: String,
    },
}

impl Event {
    pub fn actor(&self) -> Actor {
        match self {
            Self::Created { by, .. } | Self::Changed { by, .. } => by.clone(),
            Self::VerdictChanged { .. } | Self::JudgingPaused { .. } | Self::JudgingResumed { .. } => Actor::Judge,
            Self::Abandoned
            | Self::PhaseChanged { .. }
            | Self::Launched { .. }
            | Self::Done { .. }
            | Self::Refused { .. }
            | Self::Unanswered { .. }
            | Self::InstanceReported { .. }
            | Self::Interrupted { .. }
            | Self::Restored { .. }
            | Self::Noted { .. } => Actor::Arya,
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Created { by, name, canary } => started(f, by, name, *canary),
            Self::Changed {
                by,
                change,
                before,
                after,
            } => changed(f, by, change, *before, *after),
            Self::Abandoned => f.write_str(
                "This deployment is from an earlier run. The local world lives in memory and ended with it, so what is \
                 left is being destroyed.",
            ),
            Self::PhaseChanged { to } => f.write_str(phase_sentence(*to)),
            Self::Launched { place, incarnation: 1 } => write!(f, "Arya launched the {place}."),
            Self::Launched { place, incarnation } => write!(f, "Arya launched the {place} again (try {incarnation})."),
            Self::Done { act } => write!(f, "Arya {act}."),
            Self::Refused { step, error, times: 1 } => {
                write!(
                    f,
                    "The cloud said no to \"{step}\": {} It will be tried again.",
                    sentence(error)
                )
            }
            Self::Refused { step, error, times } => write!(
                f,
                "The cloud said no to \"{step}\" {times} times in a row: {} It will be tried again.",
                sentence(error)
            ),
            Self::Unanswered { step, what, times } => {
                write!(f, "No answer to \"{step}\"")?;
                if *times > 1 {
                    write!(f, " {times} times in a row")?;
                }
                write!(f, ": {} The next look shows what was done.", sentence(what))
            }
            Self::InstanceReported {
                place, phase, after_s, ..
            } => reported(f, *place, *phase, *after_s),
            Self::VerdictChanged { sentence, .. } => write!(f, "Verdict: {sentence}"),
            Self::JudgingPaused { why } => write!(
                f,
                "Judging pauses. {} What is measured meanwhile is kept and is no evidence for a pass.",
                sentence(why)
            ),
            Self::JudgingResumed { paused_s } => write!(f, "Judging goes on after a pause of {}.", lasting(*paused_s)),
            Self::Interrupted { steps } => {
                f.write_str("Arya stopped in the middle of this: ")?;
                f.write_str(&steps.join(", "))?;
                f.write_str(". The next look shows what was done.")
            }
            Self::Restored { ours, others } => restored(f, *ours, *others),
            Self::Noted { sentence } => f.write_str(sentence),
        }
    }
}

fn reported(f: &mut fmt::Formatter<'_>, place: Place, phase: BootPhase, after_s: Option<f64>) -> fmt::Result {
    write!(f, "The {place} {}", boot_words(phase))?;
    match after_s {
        Some(seconds) => write!(f, " ({seconds:.1} s after its start)."),
        None => f.write_str("."),
    }
}

fn started(f: &mut fmt::Formatter<'_>, by: &Actor, name: &str, canary: CanaryPercent) -> fmt::Result {
    let who = subject(by);
    if canary.is_zero() {
        write!(f, "{who} started \"{name}\" with share 0: users stay on production.")
    } else {
        write!(
            f,
            "{who} started \"{name}\": canary and baseline are to get {canary} each."
        )
    }
}

fn changed(
    f: &mut fmt::Formatter<'_>,
    by: &Actor,
    change: &Change,
    before: CanaryPercent,
    after: CanaryPercent,
) -> fmt::Result {
    let who = subject(by);
    match change {
        Change::SetShare { canary_percent } if canary_percent.is_zero() => {
            write!(
                f,
                "{who} set the canary share to 0 % (before: {before}); our main rule goes."
            )
        }
        Change::SetShare { .. } if before == after => write!(f, "{who} set the canary share to {after} again."),
        Change::SetShare { .. } => write!(f, "{who} set the canary share to {after} (before: {before})."),
        // Not that our rule goes: it may never have stood, or be gone already. Its deletion is an event of its own.
        Change::RemoveTraffic { reason } => {
            write!(f, "{who} took the canary share to 0 % (before: {before}): {reason}")
        }
        Change::LatchHarmful { sentence } if after < before => {
            write!(f, "{who} removed the canary's traffic (before: {before}). {sentence}")
        }
        Change::LatchHarmful { sentence } => write!(f, "{who} raised the alarm. {sentence}"),
        Change::Overrule { reason } => write!(f, "{who} overruled the harmful verdict: \"{}\".", reason.trim()),
        Change::BeginServing => {
            write!(
                f,
                "{who} began: the canary gets {after} of matching traffic, the baseline {after}."
            )
        }
        Change::MainRuleMade { priority } => write!(f, "{who} created the main rule at priority {priority}."),
        Change::MainRuleSeen => write!(
            f,
            "Our main rule stands on the listener: canary and baseline get {after} each."
        ),
        Change::EndSpell => write!(
            f,
            "{who} ended the A/A spell, in which the baseline alone had users beside production: now the canary gets {after}, \
             as the baseline does."
        ),
        Change::Replace { place } => write!(f, "The {place} ended by itself; {} launches it anew.", by),
        Change::GiveUp { why } => write!(
            f,
            "{who} gave up: {} Users stay on production; what stands waits for destroy.",
            sentence(why)
        ),
        Change::Destroy if *by == Actor::Deadline => {
            f.write_str("The deployment's lifetime is over: everything of ours is to be removed.")
        }
        Change::Destroy => write!(f, "{who} asked for everything of ours to be removed."),
    }
}

/// What the restore proof found.
fn restored(f: &mut fmt::Formatter<'_>, ours: usize, others: usize) -> fmt::Result {
    if (ours, others) == (0, 0) {
        return f.write_str("Production is exactly as before: 0 differences.");
    }
    let changed = counted(others, "difference");
    if ours == 0 {
        return write!(
            f,
            "Everything of ours is gone. Others changed production meanwhile: {changed}."
        );
    }
    let left = counted(ours, "thing");
    write!(
        f,
        "The restore proof failed: {left} of ours still there; others made {changed}. Arya goes on removing."
    )
}

/// A length of time, to the unit that a person would name.
fn lasting(seconds: f64) -> String {
    match seconds {
        short if short < 120.0 => format!("{short:.0} s"),
        minutes if minutes < 7200.0 => format!("{:.0} min", minutes / 60.0),
        hours => format!("{:.1} h", hours / 3600.0),
    }
}

/// A number of things that form their plural with an s.
fn counted(number: usize, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

/// An actor at the start of a sentence.
fn subject(actor: &Actor) -> String {
    let name = actor.to_string();
    match actor {
        Actor::Person(_) => name,
        Actor::Judge | Actor::Watchdog | Actor::Deadline | Actor::Arya => {
            let mut letters = name.chars();
            letters
                .next()
                .map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
        }
    }
}

/// A text as a sentence: with a full stop.
fn sentence(text: &str) -> String {
    let text = text.trim_end();
    if text.ends_with(['.', '!', '?']) {
        text.to_owned()
    } else {
        format!("{text}.")
    }
}

const fn phase_sentence(phase: Phase) -> &'static str {
    match phase {
        Phase::Uploading => "The files are being uploaded.",
        Phase::Provisioning => "The files are up; the instances are being made ready.",
        Phase::WarmingUp => "The apps run; no user reaches them yet.",
        Phase::Serving => "Users reach baseline and canary now.",
        Phase::Held => "Users reach production only; the instances stand, and a person decides.",
        Phase::Draining => "No new requests reach our instances; those they have are being finished.",
        Phase::Destroying => "Everything of ours is being removed.",
        Phase::Destroyed => "Nothing of ours is left.",
        Phase::Failed => "The deployment failed; what stands stays until destroy.",
    }
}

const fn boot_words(phase: BootPhase) -> &'static str {
    match phase {
        BootPhase::Booting => "is booting",
        BootPhase::DockerReady => "has its container runtime ready",
        BootPhase::Fetched => "has fetched its files",
        BootPhase::Loaded => "has loaded its images",
        BootPhase::Up => "is up",
        BootPhase::Ready => "is warmed up and ready",
        BootPhase::Failed => "failed to start",
    }
}

/// The event of a step that was carried out. Conditions are left out: the probe rule's holds a secret.
pub(crate) fn done(step: &Step) -> Event {
    let act = match step {
        Step::LaunchInstance { place, incarnation } => {
            return Event::Launched {
                place: *place,
                incarnation: *incarnation,
            };
        }
        Step::StartUpload { .. } => format!("began to {step}"),
        Step::CreateBucket
        | Step::CreateSecurityGroup { .. }
        | Step::CreateTargetGroup { .. }
        | Step::RegisterTarget { .. }
        | Step::CreateRule { .. }
        | Step::ModifyRule { .. }
        | Step::DeleteRule { .. }
        | Step::CancelUploads
        | Step::DeregisterTarget { .. }
        | Step::TerminateInstance { .. }
        | Step::DeleteTargetGroup { .. }
        | Step::DeleteSecurityGroup { .. }
        | Step::DeleteBucket => past_tense(&step.to_string()),
    };
    Event::Done { act }
}

/// A step's own words start with one of a handful of verbs.
fn past_tense(words: &str) -> String {
    let (verb, rest) = words.split_once(' ').unwrap_or((words, ""));
    let past = match verb {
        "stop" => "stopped",
        "take" => "took",
        "empty" => return "emptied and deleted the temporary bucket".into(),
        "create" | "delete" | "change" | "terminate" => return format!("{verb}d {rest}"),
        other => return format!("{other}ed {rest}"),
    };
    format!("{past} {rest}")
}

#[cfg(test)]
mod tests;
