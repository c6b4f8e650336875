//! One instance: how far it has booted by its own report, what the load balancer thinks of it, and its log on failure.

use std::time::Duration;

use arya_plan::observed::{BootPhase, Reached};

use crate::api::documents::InstanceDocument;

#[derive(Debug, Clone)]
pub(crate) struct InstanceLine {
    /// Its role, as a class.
    pub(crate) class: &'static str,
    pub(crate) place: String,
    pub(crate) state: String,
    pub(crate) health: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) address: String,
    /// A bar per boot phase: `done`, `bad` or nothing.
    pub(crate) boot: Vec<&'static str>,
    pub(crate) boot_word: String,
    /// How long each phase took; `None` where nobody measured.
    pub(crate) timeline: Option<String>,
    pub(crate) tail: Option<String>,
}

pub(crate) fn line(instance: &InstanceDocument) -> InstanceLine {
    let phase = instance.report.as_ref().map(|report| report.phase);
    let is_monitor = instance.role.arm().is_none();
    InstanceLine {
        class: instance.role.as_str(),
        place: instance.place.clone(),
        state: instance.state.to_owned(),
        health: instance.health.map(str::to_owned),
        reason: instance.health_reason.clone(),
        address: instance.address.clone().unwrap_or_default(),
        boot: if is_monitor { Vec::new() } else { bars(phase) },
        boot_word: phase.map_or("no report yet", word).to_owned(),
        timeline: instance.report.as_ref().and_then(|report| timeline(&report.timeline)),
        tail: instance.report.as_ref().and_then(|report| report.tail.clone()),
    }
}

fn bars(phase: Option<BootPhase>) -> Vec<&'static str> {
    if phase == Some(BootPhase::Failed) {
        return vec!["bad"; BootPhase::UP_TO_READY.len()];
    }
    BootPhase::UP_TO_READY
        .iter()
        .map(|step| if Some(*step) <= phase { "done" } else { "" })
        .collect()
}

/// The end of each phase less the end of the one before. A reboot begins a new one.
fn timeline(reached: &[Reached]) -> Option<String> {
    let mut before = Duration::ZERO;
    let mut parts = Vec::new();
    for step in reached {
        let took = step.after.saturating_sub(before).as_secs_f64();
        before = step.after;
        if step.phase != BootPhase::Booting {
            parts.push(format!("{} {took:.1} s", part(step.phase)));
        }
    }
    let last = reached.last().filter(|_| !parts.is_empty())?;
    Some(format!(
        "{} ({:.1} s in all)",
        parts.join(" · "),
        last.after.as_secs_f64()
    ))
}

/// What the time before a phase was spent on.
const fn part(phase: BootPhase) -> &'static str {
    match phase {
        BootPhase::Booting => "start",
        BootPhase::DockerReady => "packages and Docker",
        BootPhase::Fetched => "files",
        BootPhase::Loaded => "images",
        BootPhase::Up => "app",
        BootPhase::Ready => "warm-up",
        BootPhase::Failed => "until it failed",
    }
}

const fn word(phase: BootPhase) -> &'static str {
    match phase {
        BootPhase::Booting => "booting",
        BootPhase::DockerReady => "Docker is ready",
        BootPhase::Fetched => "files fetched",
        BootPhase::Loaded => "images loaded",
        BootPhase::Up => "app is up, warming up",
        BootPhase::Ready => "ready",
        BootPhase::Failed => "failed to start",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(phase: Option<BootPhase>, done: usize) {
        assert_eq!(
            bars(phase).iter().filter(|bar| **bar == "done").count(),
            done,
            "{phase:?}"
        );
    }

    #[test]
    fn each_phase_is_told_with_the_time_it_took() {
        let reached = |phase, after_ms| Reached {
            phase,
            after: Duration::from_millis(after_ms),
        };
        let told = [
            reached(BootPhase::Booting, 40),
            reached(BootPhase::DockerReady, 7_140),
            reached(BootPhase::Fetched, 8_000),
        ];
        assert_eq!(
            timeline(&told).unwrap(),
            "packages and Docker 7.1 s · files 0.9 s (8.0 s in all)"
        );
        assert_eq!(timeline(&told[..1]), None);
        assert_eq!(timeline(&[]), None);
    }

    #[test]
    fn bars_fill_with_the_phases() {
        check(None, 0);
        check(Some(BootPhase::Booting), 1);
        check(Some(BootPhase::Ready), 6);
        check(Some(BootPhase::Failed), 0);
    }
}
