//! What goes wrong by itself, done to the world.

use std::sync::Arc;

use arya_plan::desired::Desired;
use arya_plan::identity::{Arm, Place};
use arya_plan::observed::{BootPhase, InstanceState, UploadState};

use super::acting::end_machine;
use super::evidence::{Canary, Source};
use super::happening::{Happened, Mishap};
use super::looking::Frozen;
use super::state::{App, Boot, Machine, State};

impl State {
    pub(super) fn mishap(&mut self, desired: &Desired, mishap: Mishap) -> Happened {
        let happened = match mishap {
            Mishap::InstanceDies(place) => self.end_instance(desired, place),
            Mishap::BootFails(place) => self.boot_fails(desired, place),
            Mishap::BootHangs(place) => self.boot_hangs(desired, place),
            Mishap::ArmSickens(arm) => self.arm_is(desired, arm, App::Sick),
            Mishap::ArmRecovers(arm) => self.arm_is(desired, arm, App::Well),
            Mishap::OneSickens(arm) => self.one_sickens(desired, arm),
            Mishap::ProductionSickens => self.production_is(App::Sick),
            Mishap::ProductionRecovers => self.production_is(App::Well),
            Mishap::ProductionEmpties => self.empty_production(),
            Mishap::UploadsFail => self.uploads_fail(desired),
            Mishap::UploadsStall => self.uploads_stall(desired),
            Mishap::Throttling => {
                let before = self.calls.throttled_until;
                self.calls.throttled_until = self.age + self.settings.pace.throttling;
                before <= self.age
            }
            Mishap::ListingsFreeze => self.freeze(),
            Mishap::CanaryTurnsBad => {
                let since = self.age;
                let was = std::mem::replace(&mut self.measures.canary, Canary::Bad { since });
                was == Canary::Good
            }
            Mishap::TwinsTurnUnfit => {
                let since = self.age;
                let was = std::mem::replace(&mut self.measures.canary, Canary::AsBadAsItsTwin { since });
                was == Canary::Good
            }
            Mishap::CanaryTurnsGood => std::mem::replace(&mut self.measures.canary, Canary::Good) != Canary::Good,
            Mishap::SourceFails => std::mem::replace(&mut self.measures.source, Source::Fails) != Source::Fails,
            Mishap::SourceRecovers => std::mem::replace(&mut self.measures.source, Source::Answers) != Source::Answers,
        };
        Happened::when(happened)
    }

    /// Ends the newest filling of a place.
    pub(super) fn end_instance(&mut self, desired: &Desired, place: Place) -> bool {
        let end = self.age + self.settings.pace.ending;
        let Some(machine) = self.newest(desired, place) else {
            return false;
        };
        end_machine(machine, end);
        true
    }

    /// The newest filling of a place that is not ending.
    fn newest(&mut self, desired: &Desired, place: Place) -> Option<&mut Machine> {
        let id = desired.id;
        self.machines.iter_mut().rev().find(|machine| {
            !machine.state.is_ending()
                && machine.owner.as_ref().is_some_and(|owner| owner.deployment == id)
                && machine.place().is_some_and(|(p, _)| p == place)
        })
    }

    fn boot_fails(&mut self, desired: &Desired, place: Place) -> bool {
        let Some(machine) = self.newest(desired, place).filter(|machine| is_booting(machine)) else {
            return false;
        };
        machine.phase = Some(BootPhase::Failed);
        machine.next = None;
        let id = machine.id.clone();
        if let Some(at) = self.machines.iter().position(|machine| machine.id == id) {
            self.write_report(at);
        }
        true
    }

    fn boot_hangs(&mut self, desired: &Desired, place: Place) -> bool {
        let Some(machine) = self.newest(desired, place).filter(|machine| is_booting(machine)) else {
            return false;
        };
        machine.boot = Boot::Hangs;
        true
    }

    fn arm_is(&mut self, desired: &Desired, arm: Arm, app: App) -> bool {
        let id = desired.id;
        let ours = self.machines.iter_mut().filter(|machine| {
            !machine.state.is_ending()
                && machine.owner.as_ref().is_some_and(|owner| owner.deployment == id)
                && machine.place().is_some_and(|(place, _)| place.role.arm() == Some(arm))
        });
        become_app(ours, app)
    }

    fn one_sickens(&mut self, desired: &Desired, arm: Arm) -> bool {
        let mut places = desired.places_of(arm);
        let (Some(first), Some(_)) = (places.next(), places.next()) else {
            return false;
        };
        become_app(self.newest(desired, first).into_iter(), App::Sick)
    }

    fn production_is(&mut self, app: App) -> bool {
        become_app(self.machines.iter_mut().filter(|machine| machine.owner.is_none()), app)
    }

    fn empty_production(&mut self) -> bool {
        let production = self.groups.values_mut().filter(|group| group.owner.is_none());
        let mut emptied = false;
        for group in production {
            emptied |= !group.members.is_empty();
            group.members.clear();
        }
        emptied
    }

    fn uploads_fail(&mut self, desired: &Desired) -> bool {
        self.uploads_end(desired, Some("The connection to the bucket broke."))
    }

    fn uploads_stall(&mut self, desired: &Desired) -> bool {
        self.uploads_end(desired, None)
    }

    /// Uploads that run get no further; with a sentence, they have failed.
    fn uploads_end(&mut self, desired: &Desired, sentence: Option<&str>) -> bool {
        let bucket = self.bucket_mut(&desired.id);
        let uploads = bucket.into_iter().flat_map(|bucket| bucket.uploads.values_mut());
        let mut ended = false;
        for sending in uploads.filter(|s| s.upload.state == UploadState::Running && s.done.is_some()) {
            ended = true;
            sending.done = None;
            if let Some(sentence) = sentence {
                sending.upload.state = UploadState::Failed(sentence.into());
            }
        }
        ended
    }

    fn freeze(&mut self) -> bool {
        if self.frozen.is_some() {
            return false;
        }
        let state = Arc::new(self.clone());
        self.frozen = Some(Frozen {
            until: self.age + self.settings.pace.lag,
            state,
        });
        true
    }
}

fn is_booting(machine: &Machine) -> bool {
    let over = matches!(machine.phase, Some(BootPhase::Ready | BootPhase::Failed));
    machine.boot == Boot::Goes && !over && machine.state != InstanceState::Terminated
}

fn become_app<'m>(machines: impl Iterator<Item = &'m mut Machine>, app: App) -> bool {
    let mut changed = false;
    for machine in machines {
        changed |= std::mem::replace(&mut machine.app, app) != app;
    }
    changed
}
