//! What a look shows: the world as it is, less what listings do not know yet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use arya_judge::Timestamp;
use arya_plan::cloud::CloudError;
use arya_plan::desired::Desired;
use arya_plan::identity::{Arm, DeploymentId, LogicalId, SecurityGroupKind};
use arya_plan::listener::{Rule, Site, SiteGroup};
use arya_plan::observed::{
    BootPhase, Instance, InstanceState, Observed, OurGroup, Status, Target, Upload, UploadState,
};
use arya_plan::plan::Step;

use super::Told;
use super::fault::CallKind;
use super::state::{Machine, Sending, State};
use crate::balancer::alb;

/// What listings show in the place of what was just done.
#[derive(Debug, Clone)]
pub(super) struct Stale {
    deployment: DeploymentId,
    what: LogicalId,
    incarnation: u32,
    before: Option<Listed>,
    pub(super) until: Duration,
}

/// One thing as a listing shows it.
#[derive(Debug, Clone)]
enum Listed {
    Bucket,
    SecurityGroup,
    Group(OurGroup),
    Instance(Instance),
    Rule(Rule),
}

/// The world as all listings show it for a while.
#[derive(Debug, Clone)]
pub(super) struct Frozen {
    pub(super) until: Duration,
    pub(super) state: Arc<State>,
}

impl Stale {
    /// The place that a step fills or empties, as listings show it before the step.
    pub(super) fn before(state: &State, desired: &Desired, step: &Step) -> Option<Self> {
        let (what, incarnation) = match step {
            Step::CreateBucket | Step::DeleteBucket => (LogicalId::Bucket, 1),
            Step::CreateSecurityGroup { kind } | Step::DeleteSecurityGroup { kind } => {
                (LogicalId::SecurityGroup(*kind), 1)
            }
            Step::CreateTargetGroup { arm }
            | Step::DeleteTargetGroup { arm }
            | Step::RegisterTarget { arm, .. }
            | Step::DeregisterTarget { arm, .. } => (LogicalId::TargetGroup(*arm), 1),
            Step::LaunchInstance { place, incarnation } | Step::TerminateInstance { place, incarnation } => {
                (LogicalId::Instance(*place), *incarnation)
            }
            Step::CreateRule { kind, .. } | Step::ModifyRule { kind, .. } | Step::DeleteRule { kind } => {
                (LogicalId::Rule(*kind), 1)
            }
            Step::StartUpload { .. } | Step::CancelUploads => return None,
        };
        let deployment = &desired.id;
        let before = match what {
            LogicalId::Bucket => state.bucket_of(deployment).map(|_| Listed::Bucket),
            LogicalId::SecurityGroup(kind) => state
                .security_groups_of(deployment)
                .any(|stands| stands == kind)
                .then_some(Listed::SecurityGroup),
            LogicalId::TargetGroup(arm) => state.our_group(deployment, arm).map(Listed::Group),
            LogicalId::Instance(place) => state
                .machines_of(deployment)
                .find(|machine| machine.place() == Some((place, incarnation)))
                .and_then(|machine| state.instance(machine))
                .map(Listed::Instance),
            LogicalId::Rule(kind) => state.rule_of(deployment, kind).cloned().map(Listed::Rule),
        };
        Some(Self {
            deployment: *deployment,
            what,
            incarnation,
            before,
            until: state.age + state.settings.pace.lag,
        })
    }

    fn cover(&self, observed: &mut Observed) {
        match self.what {
            LogicalId::Bucket => {
                // Its content is read consistently: of a deleted one there is nothing to read.
                observed.bucket = self.before.is_some();
                if !observed.bucket {
                    observed.uploads.clear();
                }
            }
            LogicalId::SecurityGroup(kind) => {
                let at = observed.security_groups.iter().position(|stands| *stands == kind);
                match (at, &self.before) {
                    (None, Some(_)) => observed.security_groups.push(kind),
                    (Some(at), None) => drop(observed.security_groups.remove(at)),
                    (Some(_), Some(_)) | (None, None) => {}
                }
            }
            LogicalId::TargetGroup(arm) => {
                observed.groups.remove(&arm);
                if let Some(Listed::Group(group)) = &self.before {
                    observed.groups.insert(arm, group.clone());
                }
            }
            LogicalId::Instance(place) => {
                let this = |i: &Instance| (i.place, i.incarnation) == (place, self.incarnation);
                let at = observed.instances.iter().position(this);
                observed.instances.retain(|instance| !this(instance));
                if let Some(Listed::Instance(instance)) = &self.before {
                    let at = at.unwrap_or(observed.instances.len());
                    observed.instances.insert(at, instance.clone());
                }
            }
            LogicalId::Rule(kind) => {
                let Some(site) = &mut observed.site else { return };
                let ours = |rule: &Rule| super::state::is(rule.owner.as_ref(), &self.deployment, LogicalId::Rule(kind));
                site.rules.retain(|rule| !ours(rule));
                if let Some(Listed::Rule(rule)) = &self.before {
                    site.rules.push(rule.clone());
                    site.rules.sort_by_key(|rule| rule.priority);
                }
            }
        }
    }
}

impl State {
    pub(super) fn discover(&mut self) -> Told<Result<Vec<Site>, CloudError>> {
        let Some(fate) = self.begin(CallKind::Discover) else {
            return Told::Silence;
        };
        fate.ask(|| self.site().into_iter().collect())
    }

    /// By tags alone. What was made a moment ago may be missing, as in any listing.
    pub(super) fn list(&mut self) -> Told<Result<Vec<DeploymentId>, CloudError>> {
        let Some(fate) = self.begin(CallKind::List) else {
            return Told::Silence;
        };
        let hidden = |owner: &arya_plan::identity::Owner| {
            let mut stale = self.stale.iter().filter(|stale| stale.until > self.age);
            stale.any(|stale| {
                stale.before.is_none() && (stale.deployment, stale.what) == (owner.deployment, owner.logical_id)
            })
        };
        fate.ask(|| {
            let listed = self.owners().filter(|owner| !hidden(owner));
            let found: BTreeSet<_> = listed.map(|owner| owner.deployment).collect();
            found.into_iter().collect()
        })
    }

    pub(super) fn observe(&mut self, desired: &Desired, now: Timestamp) -> Told<Result<Observed, CloudError>> {
        let Some(fate) = self.begin(CallKind::Look) else {
            return Told::Silence;
        };
        fate.ask(|| {
            let frozen = self.frozen.as_ref().filter(|frozen| frozen.until > self.age);
            let shown = frozen.map_or(&*self, |frozen| &frozen.state);
            Observed {
                at: now,
                ..shown.listed(desired)
            }
        })
    }

    fn listed(&self, desired: &Desired) -> Observed {
        let mut observed = self.truth(desired);
        // The oldest last: what listings showed before the first of several changes counts.
        for stale in self.stale.iter().rev() {
            if stale.deployment == desired.id && stale.until > self.age {
                stale.cover(&mut observed);
            }
        }
        observed
    }

    pub(super) fn truth(&self, desired: &Desired) -> Observed {
        let listener = self
            .listener
            .as_ref()
            .filter(|site| site.listener == desired.spec.listener);
        let deployment = &desired.id;
        Observed {
            at: self.now(),
            site: listener.and_then(|_| self.site()),
            bucket: self.bucket_of(deployment).is_some(),
            uploads: self.uploads(deployment),
            security_groups: self.security_groups_of(deployment).collect::<Vec<SecurityGroupKind>>(),
            groups: Arm::BOTH
                .into_iter()
                .filter_map(|arm| Some((arm, self.our_group(deployment, arm)?)))
                .collect(),
            instances: self
                .machines_of(deployment)
                .filter_map(|machine| self.instance(machine))
                .collect(),
            traffic: None,
            credentials_end: None,
            look_again_at_least: None,
        }
    }

    pub(super) fn site(&self) -> Option<Site> {
        let listener = self.listener.as_ref()?;
        let groups = self.named().iter().filter_map(|id| {
            let group = self.groups.get(id)?;
            let shown = SiteGroup {
                settings: (*group.settings).clone(),
                health: alb::group_health(group.members.iter().map(|member| &member.health.state)),
            };
            Some((id.clone(), shown))
        });
        Some(Site {
            rules: self.rules().to_vec(),
            groups: groups.collect(),
            listener: listener.listener.clone(),
            load_balancer: listener.load_balancer.clone(),
            load_balancer_name: listener.load_balancer_name.clone(),
            address: listener.address.clone(),
            port: listener.port,
        })
    }

    fn uploads(&self, deployment: &DeploymentId) -> BTreeMap<arya_plan::spec::Digest, Upload> {
        let uploads = self
            .bucket_of(deployment)
            .into_iter()
            .flat_map(|bucket| &bucket.uploads);
        uploads
            .map(|(digest, sending)| (digest.clone(), self.upload(sending)))
            .collect()
    }

    fn upload(&self, sending: &Sending) -> Upload {
        let mut upload = sending.upload.clone();
        if let (UploadState::Running, Some(done)) = (&upload.state, sending.done) {
            let (gone, whole) = (self.age - sending.begun, done - sending.begun);
            upload.sent = (upload.size as f64 * gone.as_secs_f64() / whole.as_secs_f64()) as u64;
        }
        upload
    }

    fn our_group(&self, deployment: &DeploymentId, arm: Arm) -> Option<OurGroup> {
        let (id, group) = self.group_of(deployment, arm)?;
        let targets = group.members.iter().filter_map(|member| {
            let (place, incarnation) = member.place?;
            Some(Target {
                place,
                incarnation,
                health: member.health.state.as_observed(),
            })
        });
        Some(OurGroup {
            id: id.clone(),
            targets: targets.collect(),
        })
    }

    fn instance(&self, machine: &Machine) -> Option<Instance> {
        let (place, incarnation) = machine.place()?;
        let late = self.settings.pace.report;
        let arrived = machine.reports.iter().rev().find(|(at, _)| *at + late <= self.age);
        Some(Instance {
            place,
            incarnation,
            id: machine.id.clone(),
            state: machine.state,
            address: (machine.state != InstanceState::Terminated).then_some(machine.address),
            report: arrived.map(|(at, phase)| Status {
                tail: (*phase == BootPhase::Failed).then(|| "The app ended while it was starting.".into()),
                ..Status::new(*phase, self.moment(*at))
            }),
            ended_because: None,
            console: None,
        })
    }
}
