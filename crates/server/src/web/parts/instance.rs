//! One instance: how far it has booted by its own report, what the load balancer thinks of it, and its log on failure.

use arya_plan::observed::BootPhase;

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
    pub(crate) tail: Option<String>,
}

const PHASES: [BootPhase; 6] = [
    BootPhase::Booting,
    BootPhase::DockerReady,
    BootPhase::Fetched,
    BootPhase::Loaded,
    BootPhase::Up,
    BootPhase::Ready,
];

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
        tail: instance.report.as_ref().and_then(|report| report.tail.clone()),
    }
}

fn bars(phase: Option<BootPhase>) -> Vec<&'static str> {
    if phase == Some(BootPhase::Failed) {
        return vec!["bad"; PHASES.len()];
    }
    PHASES
        .iter()
        .map(|step| if Some(*step) <= phase { "done" } else { "" })
        .collect()
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
    fn bars_fill_with_the_phases() {
        check(None, 0);
        check(Some(BootPhase::Booting), 1);
        check(Some(BootPhase::Ready), 6);
        check(Some(BootPhase::Failed), 0);
    }
}
