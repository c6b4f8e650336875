//! The status document of an instance: written into the bucket, as its boot script would, and mirrored in the records.
//!
//! Knows what a phase is called; never why it was reached.

use std::sync::Arc;
use std::time::Duration;

use arya_plan::discreet::masked;
use arya_plan::identity::Place;
use arya_plan::left::log_key;
use arya_plan::observed::{BootPhase, Reached, Status};
use serde::Serialize;

use super::Inner;
use super::folder::Folder;
use super::process::TAIL_LIMIT;
use crate::clock::clock;

/// Who reports.
#[derive(Debug)]
pub(super) struct Reporter {
    pub(super) inner: Arc<Inner>,
    pub(super) id: String,
    pub(super) place: Option<(Place, u32)>,
    /// Where its documents go; production's instances write none.
    pub(super) bucket: Option<Folder>,
    pub(super) fingerprint: Fingerprint,
}

/// What ran where, so that two arms can be shown to differ in their image only.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Fingerprint {
    /// Digests of the file and of the image in it.
    pub(super) images: Vec<String>,
    pub(super) kernel: String,
    #[serde(rename = "type")]
    pub(super) instance_type: &'static str,
}

impl Fingerprint {
    pub(super) fn of_this_machine() -> Self {
        // Only Linux has it; elsewhere the system's name must do.
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let kernel = format!("{} {}", std::env::consts::OS, release.trim()).trim().to_owned();
        Self {
            images: Vec::new(),
            kernel,
            instance_type: "local process",
        }
    }
}

#[derive(Debug, Serialize)]
struct Document<'d> {
    role: &'static str,
    instance: &'d str,
    #[serde(flatten)]
    status: &'d Status,
    fingerprint: &'d Fingerprint,
}

impl Reporter {
    pub(super) async fn phase(&self, phase: BootPhase) {
        self.status(Status::new(phase, clock())).await;
    }

    pub(super) async fn failed(&self, sentence: &str, output: &str) {
        let text = if output.is_empty() {
            sentence.to_owned()
        } else {
            format!("{sentence}\n{output}")
        };
        self.status(Status {
            tail: Some(last(&masked(&text)).to_owned()),
            ..Status::new(BootPhase::Failed, clock())
        })
        .await;
    }

    /// Adds the last output to what was said last; for an app that ended.
    pub(super) async fn ended(&self, output: &str) {
        let phase = self
            .inner
            .world()
            .machines
            .get(&self.id)
            .and_then(|m| m.report.as_ref().map(|r| r.phase));
        if let Some(phase) = phase {
            self.status(Status {
                tail: Some(last(&masked(output)).to_owned()),
                ..Status::new(phase, clock())
            })
            .await;
        }
    }

    /// Puts what the process printed into the bucket, as its last act.
    pub(super) async fn log(&self, printed: Vec<u8>) {
        let (Some(folder), Some((place, incarnation))) = (self.bucket.clone(), self.place) else {
            return;
        };
        let log = masked(&String::from_utf8_lossy(&printed)).into_bytes();
        let key = log_key(place, incarnation);
        let written = tokio::task::spawn_blocking(move || folder.write(&key, &log)).await;
        if let Ok(Err(error)) = written {
            tracing::debug!(instance = %self.id, %error, "a log was not written");
        }
    }

    fn timeline(&self, now: &Status) -> Vec<Reached> {
        let world = self.inner.world();
        let before = world.machines.get(&self.id).and_then(|machine| machine.report.as_ref());
        followed(before, now)
    }

    async fn status(&self, mut status: Status) {
        status.timeline = self.timeline(&status);
        if let (Some(folder), Some((place, incarnation))) = (&self.bucket, self.place) {
            let document = Document {
                role: place.role.as_str(),
                instance: &self.id,
                status: &status,
                fingerprint: &self.fingerprint,
            };
            if let Ok(text) = serde_json::to_vec(&document) {
                let (folder, name) = (folder.clone(), format!("{}-{}-{incarnation}", place.role, place.index));
                let written = tokio::task::spawn_blocking(move || folder.write_status(&name, &text)).await;
                if let Ok(Err(error)) = written {
                    // The bucket may be gone already; what the page shows comes from the records.
                    tracing::debug!(instance = %self.id, %error, "a status document was not written");
                }
            }
        }
        self.inner.change(|world| {
            if let Some(machine) = world.machines.get_mut(&self.id) {
                machine.report = Some(status);
            }
        });
    }
}

/// What was reached before, and what is reached now. Phases follow each other, so each is the last one's time later.
fn followed(before: Option<&Status>, now: &Status) -> Vec<Reached> {
    let mut timeline = before.map(|before| before.timeline.clone()).unwrap_or_default();
    if timeline.last().is_none_or(|last| last.phase != now.phase) {
        let passed = before.map(|before| now.at.duration_since(before.at));
        let passed = passed
            .and_then(|passed| Duration::try_from(passed).ok())
            .unwrap_or_default();
        let last = timeline.last().map_or(Duration::ZERO, |last| last.after);
        timeline.push(Reached {
            phase: now.phase,
            after: last + passed,
        });
    }
    timeline
}

/// The end of a text within the limit, from the start of a character.
fn last(text: &str) -> &str {
    let from = text.len().saturating_sub(TAIL_LIMIT);
    let from = (from..=text.len())
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(text.len());
    &text[from..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_phase_is_noted_once_with_its_time() {
        let at = |second: i64| arya_judge::Timestamp::from_second(second).unwrap();
        let mut last: Option<Status> = None;
        for (phase, second) in [
            (BootPhase::Booting, 100),
            (BootPhase::Loaded, 103),
            (BootPhase::Loaded, 110),
        ] {
            let mut now = Status::new(phase, at(second));
            now.timeline = followed(last.as_ref(), &now);
            last = Some(now);
        }
        let told = last.unwrap().timeline;
        let told: Vec<_> = told
            .iter()
            .map(|reached| (reached.phase, reached.after.as_secs()))
            .collect();
        assert_eq!(told, [(BootPhase::Booting, 0), (BootPhase::Loaded, 3)]);
    }

    #[test]
    fn a_tail_is_cut_between_characters() {
        assert_eq!(last("short"), "short");
        let long = "ä".repeat(TAIL_LIMIT);
        assert_eq!(last(&long).len(), TAIL_LIMIT);
        assert!(last(&format!("{long}x")).len() <= TAIL_LIMIT);
    }
}
