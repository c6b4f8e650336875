//! Every call is counted, and may be one that goes wrong.

use std::time::Duration;

use arya_plan::cloud::{CloudError, ErrorKind};
use arya_plan::observed::UploadState;

use super::Told;
use super::fault::{At, CallKind, Fault, FaultKind};
use super::state::State;

/// Who asked how often, and what will go wrong.
#[derive(Debug, Clone)]
pub(super) struct Calls {
    counts: [u32; CallKind::ALL.len()],
    faults: Vec<Fault>,
    process: Process,
    pub(super) throttled_until: Duration,
}

impl Calls {
    pub(super) const fn with(faults: Vec<Fault>) -> Self {
        Self {
            counts: [0; CallKind::ALL.len()],
            faults,
            process: Process::Lives,
            throttled_until: Duration::ZERO,
        }
    }
}

/// Whoever asks the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Process {
    Lives,
    /// It waits for an answer that will not come.
    Waits,
    Dead,
}

impl State {
    pub(super) fn add_fault(&mut self, fault: Fault) {
        self.calls.faults.push(fault);
    }

    pub(super) fn faults_left(&self) -> &[Fault] {
        &self.calls.faults
    }

    pub(super) fn calls(&self) -> u32 {
        self.calls.counts.iter().sum()
    }

    pub(super) const fn calls_of(&self, kind: CallKind) -> u32 {
        self.calls.counts[kind as usize]
    }

    pub(super) fn is_silent(&self) -> bool {
        self.calls.process != Process::Lives
    }

    pub(super) fn is_dead(&self) -> bool {
        self.calls.process == Process::Dead
    }

    pub(super) fn restart(&mut self) {
        self.calls.process = Process::Lives;
        // The asking process was sending them; a multipart upload that was not completed is no object.
        for bucket in &mut self.buckets {
            bucket
                .uploads
                .retain(|_, sending| sending.upload.state != UploadState::Running);
        }
    }

    /// Counts a call, and says what becomes of it; `None` = a dead process cannot have made it.
    pub(super) fn begin(&mut self, kind: CallKind) -> Option<Fate> {
        if self.calls.process == Process::Dead {
            return None;
        }
        let (number, nth) = (self.calls(), self.calls_of(kind));
        self.calls.counts[kind as usize] += 1;
        let hit = |fault: &Fault| {
            let here = match fault.at {
                At::Call(call) => call == number,
                At::Nth(of, wanted) => of == kind && wanted == nth,
            };
            here && fault.kind.fits(kind)
        };
        let fault = self
            .calls
            .faults
            .iter()
            .position(hit)
            .map(|at| self.calls.faults.remove(at).kind);
        match fault {
            Some(FaultKind::HangsBefore | FaultKind::HangsAfter) => self.calls.process = Process::Waits,
            Some(FaultKind::DiesBefore | FaultKind::DiesAfter) => self.calls.process = Process::Dead,
            Some(
                FaultKind::Throttled
                | FaultKind::Refused
                | FaultKind::LostBefore
                | FaultKind::LostAfter
                | FaultKind::Lags
                | FaultKind::OtherParameters,
            )
            | None => {}
        }
        let throttled = (self.calls.throttled_until > self.age).then_some(FaultKind::Throttled);
        Some(Fate {
            number,
            fault: fault.or(throttled),
        })
    }
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fate {
    pub(super) number: u32,
    pub(super) fault: Option<FaultKind>,
}

impl Fate {
    /// What a call without effect gets: nothing, a *no*, or its own answer.
    pub(super) fn ask<T>(self, answer: impl FnOnce() -> T) -> Told<Result<T, CloudError>> {
        match self.fault {
            Some(fault) if is_silence(fault) => Told::Silence,
            Some(fault) => Told::Answer(said(fault).map_or_else(|| Ok(answer()), Err)),
            None => Told::Answer(Ok(answer())),
        }
    }
}

pub(super) const fn is_silence(fault: FaultKind) -> bool {
    matches!(
        fault,
        FaultKind::HangsBefore | FaultKind::HangsAfter | FaultKind::DiesBefore | FaultKind::DiesAfter
    )
}

/// The *no* that a fault puts in the place of an answer.
pub(super) fn said(fault: FaultKind) -> Option<CloudError> {
    match fault {
        FaultKind::Throttled => Some(CloudError::new(ErrorKind::Throttled, "Throttling: Rate exceeded.", "")),
        FaultKind::Refused => Some(CloudError::refused(
            "UnauthorizedOperation: the role may not do this. Nothing was changed.",
            "Allow it, and wait for the next try.",
        )),
        FaultKind::LostBefore | FaultKind::LostAfter => Some(CloudError::new(
            ErrorKind::Unknown,
            "The connection broke before the answer; what was done is not known.",
            "",
        )),
        FaultKind::HangsBefore
        | FaultKind::HangsAfter
        | FaultKind::DiesBefore
        | FaultKind::DiesAfter
        | FaultKind::Lags
        | FaultKind::OtherParameters => None,
    }
}
