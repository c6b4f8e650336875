//! Carries out one step as AWS would: looks by tags first, so that twice is once; refuses what AWS refuses.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use arya_plan::cloud::{CloudError, ErrorKind};
use arya_plan::desired::Desired;
use arya_plan::identity::{
    Arm, DeploymentId, LogicalId, Owner, Place, Role, RuleKind, SecurityGroupKind, client_token, resource_name,
};
use arya_plan::listener::{
    Action, Condition, GroupId, GroupSettings, Priority, Rule, RuleId, TargetStickiness, TargetType,
};
use arya_plan::observed::{InstanceState, Upload, UploadState};
use arya_plan::plan::Step;
use arya_plan::spec::{Digest, Spec};

use super::Told;
use super::fault::{CallKind, FaultKind};
use super::journal::{Answer, Effect, Entry};
use super::looking::Stale;
use super::settings::Tokens;
use super::state::{App, Boot, Bucket, Group, Machine, Sending, State, is_silence, owner, said};
use crate::balancer::alb::{GroupUse, TargetState};
use crate::rules::{check_actions, check_new, forwards, not_found, position};

/// Bytes of every file here: nobody reads them.
const FILE_SIZE: u64 = 1_000;

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

    fn create_bucket(&mut self, desired: &Desired) -> Effect {
        if self.bucket_of(&desired.id).is_some() {
            return Effect::Nothing;
        }
        self.buckets.push(Bucket {
            owner: owner(desired, LogicalId::Bucket, 1),
            uploads: BTreeMap::new(),
        });
        Effect::Done
    }

    fn start_upload(&mut self, desired: &Desired, digest: &Digest) -> Outcome {
        let (begun, takes) = (self.age, self.settings.pace.upload);
        let bucket = self
            .bucket_mut(&desired.id)
            .ok_or_else(|| CloudError::not_yet("NoSuchBucket: the bucket does not stand yet; nothing was sent."))?;
        let under_way = |sending: &Sending| !matches!(sending.upload.state, UploadState::Failed(_));
        if bucket.uploads.get(digest).is_some_and(under_way) {
            return Ok(Effect::Nothing);
        }
        let upload = Upload {
            sent: 0,
            size: FILE_SIZE,
            state: UploadState::Running,
        };
        let sending = Sending {
            begun,
            done: Some(begun + takes),
            upload,
        };
        bucket.uploads.insert(digest.clone(), sending);
        Ok(Effect::Done)
    }

    fn cancel_uploads(&mut self, deployment: &DeploymentId) -> Effect {
        let uploads = self
            .bucket_mut(deployment)
            .into_iter()
            .flat_map(|b| b.uploads.values_mut());
        let mut effect = Effect::Nothing;
        for sending in uploads.filter(|sending| sending.upload.state == UploadState::Running) {
            sending.done = None;
            sending.upload.state = UploadState::Failed("The upload was stopped.".into());
            effect = Effect::Done;
        }
        effect
    }

    pub(super) fn delete_bucket(&mut self, desired: &Desired) -> Effect {
        let before = self.buckets.len();
        self.buckets.retain(|bucket| bucket.owner.deployment != desired.id);
        self.lose_reports(&desired.id);
        effect_of(before != self.buckets.len())
    }

    /// Status documents lie in the bucket.
    pub(super) fn lose_reports(&mut self, deployment: &DeploymentId) {
        for machine in &mut self.machines {
            if machine.owner.as_ref().is_some_and(|o| o.deployment == *deployment) {
                machine.reports.clear();
            }
        }
    }

    fn create_security_group(&mut self, desired: &Desired, kind: SecurityGroupKind) -> Outcome {
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

    pub(super) fn delete_security_group(&mut self, desired: &Desired, kind: SecurityGroupKind) -> Outcome {
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

    fn create_target_group(&mut self, desired: &Desired, arm: Arm) -> Outcome {
        let (ours, settings) = (LogicalId::TargetGroup(arm), &desired.placement.group);
        let name = resource_name(&desired.id, ours);
        let settings = GroupSettings {
            name: name.clone(),
            target_type: TargetType::Instance,
            protocol: settings.protocol,
            port: settings.port,
            deregistration_delay_s: settings.deregistration_delay_s,
            stickiness: TargetStickiness::Off,
        };
        if let Some(other) = self.groups.values().find(|group| group.settings.name == name) {
            let same = other.owner == Some(owner(desired, ours, 1)) && *other.settings == settings;
            return if same {
                Ok(Effect::Nothing)
            } else {
                let what = format!("DuplicateTargetGroupName: there is another target group {name}.");
                Err(CloudError::refused(what, "Delete it, if nobody needs it."))
            };
        }
        within(
            "TooManyTargetGroups",
            self.groups.len(),
            self.settings.quotas.target_groups,
        )?;
        let group = Group {
            owner: Some(owner(desired, ours, 1)),
            settings: Arc::new(settings),
            members: vec![],
        };
        self.groups.insert(GroupId::new(format!("world:{name}")), group);
        Ok(Effect::Done)
    }

    pub(super) fn delete_target_group(&mut self, desired: &Desired, arm: Arm) -> Outcome {
        let Some((id, _)) = self.group_of(&desired.id, arm) else {
            return Ok(Effect::Nothing);
        };
        if self.use_of(id) == GroupUse::Named {
            let what = format!("ResourceInUse: a rule still names the target group {id}.");
            return Err(CloudError::not_yet(what));
        }
        let id = id.clone();
        self.groups.remove(&id);
        Ok(Effect::Done)
    }

    fn launch(&mut self, desired: &Desired, place: Place, incarnation: u32, fault: Option<FaultKind>) -> Outcome {
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

    fn terminate(&mut self, desired: &Desired, place: Place, incarnation: u32) -> Effect {
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

    fn register(&mut self, desired: &Desired, arm: Arm, place: Place, incarnation: u32) -> Outcome {
        let running = self
            .machines_at(desired.id, place, incarnation)
            .find(|machine| machine.state == InstanceState::Running)
            .map(|machine| machine.id.clone());
        let machine = running.ok_or_else(|| {
            CloudError::not_yet(format!(
                "InvalidTarget: the {place} is not running, so it was not registered."
            ))
        })?;
        let group = self.group_of(&desired.id, arm).map(|(id, _)| id.clone());
        let group = group.ok_or_else(|| {
            CloudError::not_yet(format!(
                "TargetGroupNotFound: the {arm} target group does not stand yet."
            ))
        })?;
        let member = self.new_member(&group, &machine, Some((place, incarnation)));
        let Some(record) = self.groups.get_mut(&group) else {
            return Ok(Effect::Nothing);
        };
        assert_ours(record.owner.as_ref(), desired);
        let known = record.members.iter_mut().find(|known| known.machine == machine);
        match known {
            Some(known) if known.health.state != TargetState::Draining => return Ok(Effect::Nothing),
            Some(known) => *known = member,
            None => record.members.push(member),
        }
        Ok(Effect::Done)
    }

    pub(super) fn deregister(&mut self, desired: &Desired, arm: Arm, who: (Place, u32)) -> Effect {
        let Some((id, group)) = self.group_of(&desired.id, arm) else {
            return Effect::Nothing;
        };
        assert_ours(group.owner.as_ref(), desired);
        let delay = std::time::Duration::from_secs(u64::from(group.settings.deregistration_delay_s));
        let (id, end) = (id.clone(), self.age + delay);
        let members = self
            .groups
            .get_mut(&id)
            .into_iter()
            .flat_map(|group| &mut group.members);
        let mut effect = Effect::Nothing;
        for member in members.filter(|member| member.place == Some(who)) {
            if member.health.state != TargetState::Draining {
                member.health = member.health.clone().deregistered();
                member.next = Some(end);
                effect = Effect::Done;
            }
        }
        effect
    }

    fn create_rule(
        &mut self,
        desired: &Desired,
        kind: RuleKind,
        priority: u16,
        conditions: &[Condition],
        actions: &[Action],
    ) -> Outcome {
        if self.listener.is_none() {
            return Err(CloudError::refused("ListenerNotFound: the listener is gone.", ""));
        }
        if position(self.rules(), &desired.id, kind).is_some() {
            return Ok(Effect::Nothing);
        }
        check_new(self.rules(), kind, priority, self.settings.quotas.rules)?;
        self.check_forwards(desired, actions)?;
        let id = RuleId::new(self.new_name("rule"));
        let mut rules = self.rules().to_vec();
        rules.push(Rule {
            id,
            priority: Priority::At(priority),
            conditions: conditions.to_vec(),
            actions: actions.to_vec(),
            transforms: desired.placement.composed.transforms.clone(),
            owner: Some(owner(desired, LogicalId::Rule(kind), 1)),
        });
        self.set_rules(rules);
        if kind == RuleKind::Main {
            self.note_main_rule(desired.id, true);
        }
        Ok(Effect::Done)
    }

    fn modify_rule(&mut self, desired: &Desired, kind: RuleKind, actions: &[Action]) -> Outcome {
        self.check_forwards(desired, actions)?;
        let at = position(self.rules(), &desired.id, kind).ok_or_else(|| not_found(kind))?;
        assert_ours(self.rules()[at].owner.as_ref(), desired);
        if self.rules()[at].actions == actions {
            return Ok(Effect::Nothing);
        }
        let mut rules = self.rules().to_vec();
        rules[at].actions = actions.to_vec();
        self.set_rules(rules);
        Ok(Effect::Done)
    }

    pub(super) fn delete_rule(&mut self, desired: &Desired, kind: RuleKind) -> Effect {
        let Some(at) = position(self.rules(), &desired.id, kind) else {
            return Effect::Nothing;
        };
        assert_ours(self.rules()[at].owner.as_ref(), desired);
        let mut rules = self.rules().to_vec();
        rules.remove(at);
        self.set_rules(rules);
        if kind == RuleKind::Main {
            self.note_main_rule(desired.id, false);
        }
        Effect::Done
    }

    fn check_forwards(&self, desired: &Desired, actions: &[Action]) -> Result<(), CloudError> {
        check_actions(actions)?;
        for weighted in forwards(actions).flatten() {
            let Some(group) = self.groups.get(&weighted.group) else {
                let what = format!("TargetGroupNotFound: {} does not stand.", weighted.group);
                return Err(CloudError::not_yet(what));
            };
            let ours = group.owner.as_ref().is_some_and(|owner| owner.deployment == desired.id);
            let production = desired.placement.production.iter().any(|p| p.group == weighted.group);
            assert!(
                ours || production,
                "a rule of {} would send users to {}, which is neither ours nor the chosen rule's",
                desired.id,
                weighted.group
            );
        }
        Ok(())
    }
}

/// Begins the end of an instance.
pub(super) fn end_machine(machine: &mut Machine, end: std::time::Duration) {
    machine.state = InstanceState::ShuttingDown;
    machine.next = Some(end);
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

/// Which security group an instance lives in.
const fn security_group_of(role: Role) -> SecurityGroupKind {
    match role {
        Role::Baseline | Role::Canary => SecurityGroupKind::App,
        Role::Monitor => SecurityGroupKind::Monitor,
    }
}

fn files(spec: &Spec, role: Role) -> Arc<[Digest]> {
    match role {
        Role::Baseline => spec.baseline.digests().cloned().collect(),
        Role::Canary => spec.canary.digests().cloned().collect(),
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
