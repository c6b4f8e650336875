//! Carries out one step as AWS would: looks by tags first, so that twice is once; refuses what AWS refuses.

mod bucket;
mod groups;
mod instances;
mod rules;

use std::sync::Arc;

use arya_plan::cloud::{CloudError, ErrorKind};
use arya_plan::desired::Desired;
use arya_plan::identity::Owner;
use arya_plan::listener::Rule;
use arya_plan::plan::Step;

use super::Told;
use super::calls::{is_silence, said};
use super::fault::{CallKind, FaultKind};
use super::journal::{Answer, Effect, Entry};
use super::looking::Stale;
use super::state::State;

pub(super) use instances::end_machine;

type Outcome = Result<Effect, CloudError>;

impl State {
    pub(super) fn apply(&mut self, desired: &Desired, step: &Step) -> Told<Result<(), CloudError>> {
        let Some(fate) = self.begin(CallKind::of(step)) else {
            return Told::Silence;
        };
        let works = fate.fault.is_none_or(has_effect);
        let rules = Arc::clone(self.rules());
        let outcome = works.then(|| self.carry_out(desired, step, fate.fault));
        assert_strangers_kept(&rules, self.rules(), desired, step);
        let effect = match &outcome {
            Some(Ok(effect)) => *effect,
            Some(Err(_)) | None => Effect::Nothing,
        };
        let told = match fate.fault {
            Some(fault) if is_silence(fault) => Told::Silence,
            Some(fault) if said(fault).is_some() => Told::Answer(said(fault).map_or(Ok(()), Err)),
            Some(_) | None => Told::Answer(outcome.unwrap_or(Ok(Effect::Nothing)).map(|_| ())),
        };
        let answer = match &told {
            Told::Silence => Answer::Silence,
            Told::Answer(Ok(())) => Answer::Yes,
            Told::Answer(Err(error)) => Answer::No(error.kind),
        };
        self.journal.push(Entry {
            at: self.now(),
            call: fate.number,
            deployment: desired.id,
            step: Arc::new(step.clone()),
            effect,
            answer,
        });
        told
    }

    fn carry_out(&mut self, desired: &Desired, step: &Step, fault: Option<FaultKind>) -> Outcome {
        let before = (fault == Some(FaultKind::Lags)).then(|| Stale::before(self, desired, step));
        let outcome = self.act(desired, step, fault)?;
        if outcome == Effect::Done {
            self.stale.extend(before.flatten());
        }
        Ok(outcome)
    }

    fn act(&mut self, desired: &Desired, step: &Step, fault: Option<FaultKind>) -> Outcome {
        match step {
            Step::CreateBucket => Ok(self.create_bucket(desired)),
            Step::StartUpload { digest } => self.start_upload(desired, digest),
            Step::CreateSecurityGroup { kind } => self.create_security_group(desired, *kind),
            Step::CreateTargetGroup { arm } => self.create_target_group(desired, *arm),
            Step::LaunchInstance { place, incarnation } => self.launch(desired, *place, *incarnation, fault),
            Step::RegisterTarget {
                arm,
                place,
                incarnation,
            } => self.register(desired, *arm, *place, *incarnation),
            Step::CreateRule {
                kind,
                priority,
                conditions,
                actions,
            } => self.create_rule(desired, *kind, *priority, conditions, actions),
            Step::ModifyRule { kind, actions } => self.modify_rule(desired, *kind, actions),
            Step::DeleteRule { kind } => Ok(self.delete_rule(desired, *kind)),
            Step::CancelUploads => Ok(self.cancel_uploads(&desired.id)),
            Step::DeregisterTarget {
                arm,
                place,
                incarnation,
            } => Ok(self.deregister(desired, *arm, (*place, *incarnation))),
            Step::TerminateInstance { place, incarnation } => Ok(self.terminate(desired, *place, *incarnation)),
            Step::DeleteTargetGroup { arm } => self.delete_target_group(desired, *arm),
            Step::DeleteSecurityGroup { kind } => self.delete_security_group(desired, *kind),
            Step::DeleteBucket => Ok(self.delete_bucket(desired)),
        }
    }
}

const fn effect_of(changed: bool) -> Effect {
    if changed { Effect::Done } else { Effect::Nothing }
}

/// Whether a call with that fault is carried out all the same.
const fn has_effect(fault: FaultKind) -> bool {
    match fault {
        FaultKind::Throttled
        | FaultKind::Refused
        | FaultKind::LostBefore
        | FaultKind::HangsBefore
        | FaultKind::DiesBefore => false,
        FaultKind::LostAfter
        | FaultKind::HangsAfter
        | FaultKind::DiesAfter
        | FaultKind::Lags
        | FaultKind::OtherParameters => true,
    }
}

fn within(code: &str, have: usize, most: usize) -> Result<(), CloudError> {
    if have < most {
        return Ok(());
    }
    let what = format!("{code}: the account has {have} of {most} already. Nothing was created.");
    Err(CloudError::new(
        ErrorKind::Refused,
        what,
        "Ask AWS for more, or delete what nobody needs.",
    ))
}

/// The net under the types: a step cannot name a stranger's resource, and if one is reached all the same, the run ends.
fn assert_ours(found: Option<&Owner>, desired: &Desired) {
    let ours = found.is_some_and(|o| o.deployment == desired.id && o.installation == desired.installation);
    assert!(ours, "{} would touch what it does not own: {found:?}", desired.id);
}

/// Whatever a step does, the rules of others are the same before and after, in the same order.
fn assert_strangers_kept(before: &Arc<Vec<Rule>>, after: &Arc<Vec<Rule>>, desired: &Desired, step: &Step) {
    if Arc::ptr_eq(before, after) {
        return;
    }
    let stranger = |rule: &&Rule| rule.owner.as_ref().is_none_or(|owner| owner.deployment != desired.id);
    assert!(
        before.iter().filter(stranger).eq(after.iter().filter(stranger)),
        "{} touched a stranger's rule: {step}",
        desired.id
    );
}
