//! What time does by itself: boots, reports, uploads, health checks, drains, ends.

use std::time::Duration;

use arya_plan::observed::{BootPhase, InstanceState, UploadState};

use super::state::{App, Boot, Machine, State};
use crate::balancer::alb::{CheckResult, Health, HealthCheckSettings, TargetState, UnusedReason, after_check};

/// AWS's smallest thresholds: our groups are created with them, production's may have others.
const CHECKS_IN_A_ROW: u32 = 2;

fn check_settings() -> HealthCheckSettings {
    HealthCheckSettings {
        healthy_threshold: CHECKS_IN_A_ROW,
        unhealthy_threshold: CHECKS_IN_A_ROW,
        ..HealthCheckSettings::default()
    }
}

impl State {
    pub(super) fn advance(&mut self, by: Duration) {
        let end = self.age + by;
        while let Some(due) = self.next_due().filter(|due| *due <= end) {
            self.age = self.age.max(due);
            self.happen();
        }
        self.age = end;
        self.stale.retain(|stale| stale.until > end);
        self.earlier_rules.retain(|(until, _)| *until > end);
        self.frozen = self.frozen.take().filter(|frozen| frozen.until > end);
    }

    fn next_due(&self) -> Option<Duration> {
        let machines = self.machines.iter().filter_map(|machine| machine.next);
        let members = self.groups.values().flat_map(|group| &group.members);
        let uploads = self.buckets.iter().flat_map(|bucket| bucket.uploads.values());
        machines
            .chain(members.filter_map(|member| member.next))
            .chain(uploads.filter_map(|sending| sending.done))
            .min()
    }

    fn happen(&mut self) {
        let age = self.age;
        for sending in self.buckets.iter_mut().flat_map(|bucket| bucket.uploads.values_mut()) {
            if sending.done.is_some_and(|done| done <= age) {
                sending.done = None;
                sending.upload.sent = sending.upload.size;
                sending.upload.state = UploadState::Done;
            }
        }
        for at in 0..self.machines.len() {
            if self.machines[at].next.is_some_and(|next| next <= age) {
                self.machine_moves(at);
            }
        }
        if self.machines.iter().any(is_forgotten) {
            self.forget();
        }
        self.check_members();
    }

    /// Instances that ended long ago are listed nowhere any more.
    fn forget(&mut self) {
        let gone: Vec<String> = self
            .machines
            .iter()
            .filter(|m| is_forgotten(m))
            .map(|m| m.id.clone())
            .collect();
        self.machines.retain(|machine| !gone.contains(&machine.id));
        for group in self.groups.values_mut() {
            group.members.retain(|member| !gone.contains(&member.machine));
        }
    }

    fn machine_moves(&mut self, at: usize) {
        let (age, pace) = (self.age, &self.settings.pace);
        let (boot_phase, listed) = (pace.boot_phase, pace.listed_after_end);
        let next_phase = self.next_phase(&self.machines[at]);
        let machine = &mut self.machines[at];
        machine.next = None;
        match machine.state {
            InstanceState::Pending => {
                machine.state = InstanceState::Running;
                machine.phase = Some(BootPhase::Booting);
                machine.next = Some(age + boot_phase);
                self.write_report(at);
            }
            InstanceState::Running if machine.boot == Boot::Hangs => {}
            InstanceState::Running => match next_phase {
                NextPhase::Wait => machine.next = Some(age + boot_phase),
                NextPhase::None => {}
                NextPhase::Is(phase) => {
                    machine.phase = Some(phase);
                    machine.next = Some(age + boot_phase);
                    self.write_report(at);
                }
            },
            InstanceState::ShuttingDown => {
                machine.state = InstanceState::Terminated;
                machine.next = Some(age + listed);
                let id = machine.id.clone();
                self.depart(&id);
            }
            InstanceState::Terminated => {}
        }
    }

    fn next_phase(&self, machine: &Machine) -> NextPhase {
        match machine.phase {
            None => NextPhase::Is(BootPhase::Booting),
            Some(BootPhase::Booting) => NextPhase::Is(BootPhase::DockerReady),
            Some(BootPhase::DockerReady) => self.fetch(machine),
            Some(BootPhase::Fetched) => NextPhase::Is(BootPhase::Loaded),
            Some(BootPhase::Loaded) => NextPhase::Is(BootPhase::Up),
            Some(BootPhase::Up) => NextPhase::Is(BootPhase::Ready),
            Some(BootPhase::Ready | BootPhase::Failed) => NextPhase::None,
        }
    }

    /// An instance asks for its files until they are there; without a bucket there is nothing to ask.
    fn fetch(&self, machine: &Machine) -> NextPhase {
        let owner = machine.owner.as_ref();
        let Some(bucket) = owner.and_then(|owner| self.bucket_of(&owner.deployment)) else {
            return NextPhase::Is(BootPhase::Failed);
        };
        let there = |digest| {
            bucket
                .uploads
                .get(digest)
                .is_some_and(|sending| sending.upload.state == UploadState::Done)
        };
        if machine.files.iter().all(there) {
            NextPhase::Is(BootPhase::Fetched)
        } else {
            NextPhase::Wait
        }
    }

    /// The instance writes its status document; without a bucket nobody ever reads it.
    pub(super) fn write_report(&mut self, at: usize) {
        let age = self.age;
        let deployment = self.machines[at].owner.as_ref().map(|owner| owner.deployment);
        let stands = deployment.is_some_and(|deployment| self.bucket_of(&deployment).is_some());
        let machine = &mut self.machines[at];
        if let Some(phase) = machine.phase.filter(|_| stands) {
            machine.reports.push((age, phase));
        }
    }

    /// The instance is gone: its registrations are of no use, and stay until somebody takes them out.
    fn depart(&mut self, id: &str) {
        let members = self.groups.values_mut().flat_map(|group| &mut group.members);
        for member in members.filter(|member| member.machine == id) {
            if member.health.state != TargetState::Draining {
                member.health = Health::from(TargetState::Unused {
                    reason: UnusedReason::InvalidState,
                });
                member.next = None;
            }
        }
    }

    fn check_members(&mut self) {
        let (age, every, settings) = (self.age, self.settings.pace.check_every, check_settings());
        for group in self.groups.values_mut() {
            group.members.retain_mut(|member| {
                if member.next.is_none_or(|next| next > age) {
                    return true;
                }
                if member.health.state == TargetState::Draining {
                    return false;
                }
                let machine = self.machines.iter().find(|machine| machine.id == member.machine);
                member.health = after_check(&member.health, &checked(machine), &settings);
                member.next = Some(age + every);
                true
            });
        }
    }
}

/// It ended, and nothing more will happen to it.
fn is_forgotten(machine: &Machine) -> bool {
    machine.state == InstanceState::Terminated && machine.next.is_none()
}

enum NextPhase {
    Is(BootPhase),
    /// Later, perhaps.
    Wait,
    /// It has come as far as it ever will.
    None,
}

/// What a health check finds.
fn checked(machine: Option<&Machine>) -> CheckResult {
    match machine {
        Some(machine) if machine.answers() => CheckResult::Status(200),
        Some(machine) if machine.state == InstanceState::Running && machine.app == App::Sick => {
            CheckResult::Status(500)
        }
        Some(_) | None => CheckResult::Failed,
    }
}
