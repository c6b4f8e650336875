//! Instances with their launch tokens, and the security groups that they live in.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use arya_plan::cloud::CloudError;
use arya_plan::desired::Desired;
use arya_plan::identity::{LogicalId, Place, Role, SecurityGroupKind, client_token};
use arya_plan::observed::InstanceState;
use arya_plan::spec::{Digest, Spec};

use super::{Outcome, assert_ours, effect_of, within};
use crate::world::fault::FaultKind;
use crate::world::journal::Effect;
use crate::world::settings::Tokens;
use crate::world::state::{App, Boot, Machine, State, owner};

impl State {
    pub(super) fn create_security_group(&mut self, desired: &Desired, kind: SecurityGroupKind) -> Outcome {
        if self.security_groups_of(&desired.id).any(|stands| stands == kind) {
            return Ok(Effect::Nothing);
        }
        within(
            "SecurityGroupLimitExceeded",
            self.security_groups.len(),
            self.settings.quotas.security_groups,
        )?;
        self.security_groups
            .push(owner(desired, LogicalId::SecurityGroup(kind), 1));
        Ok(Effect::Done)
    }

    pub(in crate::world) fn delete_security_group(&mut self, desired: &Desired, kind: SecurityGroupKind) -> Outcome {
        let lives_in_it = |machine: &Machine| {
            let place = machine.place();
            machine.state != InstanceState::Terminated && place.is_some_and(|(p, _)| security_group_of(p.role) == kind)
        };
        if self.machines_of(&desired.id).any(lives_in_it) {
            return Err(CloudError::not_yet(
                "DependencyViolation: an instance still uses the security group.",
            ));
        }
        let before = self.security_groups.len();
        let ours = LogicalId::SecurityGroup(kind);
        self.security_groups
            .retain(|owner| owner.deployment != desired.id || owner.logical_id != ours);
        Ok(effect_of(before != self.security_groups.len()))
    }

    pub(super) fn launch(
        &mut self,
        desired: &Desired,
        place: Place,
        incarnation: u32,
        fault: Option<FaultKind>,
    ) -> Outcome {
        let logical_id = LogicalId::Instance(place);
        let needed = security_group_of(place.role);
        if !self.security_groups_of(&desired.id).any(|stands| stands == needed) {
            let what = "InvalidGroup.NotFound: the security group does not stand yet.";
            return Err(CloudError::not_yet(what));
        }
        if self.bucket_of(&desired.id).is_none() {
            let what = "The bucket that the instance fetches from does not stand yet.";
            return Err(CloudError::not_yet(what));
        }
        let token = client_token(&desired.id, logical_id, incarnation);
        let parameters = parameters(&desired.spec, place.role, fault);
        if self.settings.tokens != Tokens::Ignored
            && let Some(used) = self.tokens.get(&token)
        {
            return self.used_token(desired, place, incarnation, *used == parameters);
        }
        let standing = |m: &&Machine| m.owner.is_some() && !m.state.is_ending();
        let count = self.machines.iter().filter(standing).count();
        within("VcpuLimitExceeded", count, self.settings.quotas.instances)?;
        self.tokens.insert(token, parameters);
        let id = self.new_name("i");
        self.machines.push(Machine {
            id,
            owner: Some(owner(desired, logical_id, incarnation)),
            state: InstanceState::Pending,
            next: Some(self.age + self.settings.pace.pending),
            address: self.new_address(),
            boot: Boot::Goes,
            phase: None,
            reports: vec![],
            app: App::Well,
            files: files(&desired.spec, place.role),
        });
        Ok(Effect::Done)
    }

    /// As EC2 does: a used token is answered with the instance that it made.
    fn used_token(&mut self, desired: &Desired, place: Place, incarnation: u32, same: bool) -> Outcome {
        if !same {
            let what =
                "IdempotentParameterMismatch: the token was used with other parameters, so an instance was launched.";
            return Err(CloudError::not_yet(what));
        }
        let lives = self
            .machines_at(desired.id, place, incarnation)
            .any(|machine| !machine.state.is_ending());
        if !lives && self.settings.tokens == Tokens::RefusedForTheDead {
            let what = "IdempotentInstanceTerminated: the token's instance has ended.";
            return Err(CloudError::not_yet(what));
        }
        Ok(Effect::Nothing)
    }

    pub(super) fn terminate(&mut self, desired: &Desired, place: Place, incarnation: u32) -> Effect {
        let end = self.age + self.settings.pace.ending;
        // By tags, so a twin goes as well.
        let mut effect = Effect::Nothing;
        for machine in self.machines_at(desired.id, place, incarnation) {
            assert_ours(machine.owner.as_ref(), desired);
            if !machine.state.is_ending() {
                end_machine(machine, end);
                effect = Effect::Done;
            }
        }
        effect
    }
}

/// Begins the end of an instance.
pub(in crate::world) fn end_machine(machine: &mut Machine, end: Duration) {
    machine.state = InstanceState::ShuttingDown;
    machine.next = Some(end);
}

/// Which security group an instance lives in.
const fn security_group_of(role: Role) -> SecurityGroupKind {
    match role {
        Role::Baseline | Role::Canary => SecurityGroupKind::App,
        Role::Monitor => SecurityGroupKind::Monitor,
    }
}

fn files(spec: &Spec, role: Role) -> Arc<[Digest]> {
    match role {
        Role::Baseline => spec.baseline.shared().map(Clone::clone).into(),
        Role::Canary => spec.canary.shared().map(Clone::clone).into(),
        Role::Monitor => Arc::default(),
    }
}

/// A digest of what a launch asks for besides its token.
fn parameters(spec: &Spec, role: Role, fault: Option<FaultKind>) -> u64 {
    let mut hasher = DefaultHasher::new();
    for digest in &*files(spec, role) {
        digest.hex().hash(&mut hasher);
    }
    (fault == Some(FaultKind::OtherParameters)).hash(&mut hasher);
    hasher.finish()
}
