//! One look at one deployment: what carries its tags, and the listener that it stands on.

mod console;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use arya_judge::Timestamp;
use arya_plan::cloud::CloudError;
use arya_plan::desired::Desired;
use arya_plan::identity::{Arm, LogicalId, Place, Role, SecurityGroupKind};
use arya_plan::listener::{GroupId, Site};
use arya_plan::observed::{Instance, InstanceState, Observed, OurGroup, Status, Target, TargetHealth};
use arya_plan::spec::Reach;
use arya_plan::user_data::monitor::DOOR_PORT;
use aws_sdk_ec2::types::{self as ec2, InstanceStateName};
use aws_sdk_s3::types::Object;
use futures_util::future::join_all;

use crate::Inner;
use crate::calls::Call;
use crate::discover::{self, Fresh};
use crate::error::{Meaning, ask};
use crate::memory::RARELY;
use crate::tags::{ec2_owner, of_deployment, of_installation};
use crate::uploads::{bucket_name, file_of, status_key};
use crate::words::groups::target_health;

/// A status document is some hundred bytes and the tail of a log; the instance writes it, so it is not trusted.
const STATUS_MAX: usize = 64 * 1024;

impl Inner {
    pub(crate) async fn observe(&self, desired: &Desired, now: Timestamp) -> Result<Observed, CloudError> {
        let asked = Instant::now();
        let (site, objects, security_groups, instances, baseline, canary) = tokio::try_join!(
            self.site(desired),
            self.objects(desired),
            self.security_group_kinds(desired),
            self.our_instances(desired),
            self.group(desired, Arm::Baseline),
            self.group(desired, Arm::Canary),
        )?;
        let mut seen: Vec<Instance> = instances.iter().filter_map(|one| instance(desired, one)).collect();
        if let Some(objects) = &objects {
            for one in &mut seen {
                one.report = self.report(desired, one, objects).await?;
            }
        }
        let silent = seen.iter_mut().filter(|one| {
            let listed = instances.iter().find(|listed| listed.instance_id() == Some(&one.id));
            one.report.is_none() && listed.is_some_and(|listed| console::is_worth_reading(listed, now))
        });
        join_all(silent.map(async |one| one.console = self.console(&one.id).await)).await;
        let groups = [(Arm::Baseline, baseline), (Arm::Canary, canary)];
        let groups = groups
            .into_iter()
            .filter_map(|(arm, group)| Some((arm, our_group(group?, &seen))));
        let in_bucket = objects.iter().flatten();
        let done = in_bucket.filter_map(|object| {
            let size = object.size().and_then(|size| u64::try_from(size).ok());
            file_of(object.key()?, size.unwrap_or(0))
        });
        Ok(Observed {
            at: now,
            bucket: objects.is_some(),
            uploads: self.uploads.seen(&desired.id, asked, done),
            security_groups,
            groups: groups.collect(),
            instances: seen,
            traffic: None,
            site,
            credentials_end: self.clients.tenure().await.end(),
            look_again_at_least: None,
        })
    }

    /// Those of the deployment, from the one listing that looks at all deployments share.
    async fn our_instances(&self, desired: &Desired) -> Result<Vec<ec2::Instance>, CloudError> {
        let (shared, whose) = (&self.memory.instances, desired.installation);
        let all = self.instances(of_installation(whose));
        let mut listed = shared.get(whose, self.pace.shared_for(), all).await?;
        listed.retain(|one| ec2_owner(one.tags()).is_some_and(|owner| owner.deployment == desired.id));
        Ok(listed)
    }

    /// Which of our security groups stand. Once all do, only we take them away, so they are asked for rarely.
    async fn security_group_kinds(&self, desired: &Desired) -> Result<Vec<SecurityGroupKind>, CloudError> {
        if let Some(kinds) = self.memory.secured.younger_than(RARELY, &desired.id) {
            return Ok(kinds);
        }
        let listed = self.security_groups(of_deployment(desired)).await?;
        let kinds = listed
            .iter()
            .filter_map(|group| match ec2_owner(group.tags())?.logical_id {
                LogicalId::SecurityGroup(kind) => Some(kind),
                LogicalId::Bucket | LogicalId::TargetGroup(_) | LogicalId::Instance(_) | LogicalId::Rule(_) => None,
            });
        let kinds: BTreeSet<SecurityGroupKind> = kinds.collect();
        let all = kinds.len() == [SecurityGroupKind::App, SecurityGroupKind::Monitor].len();
        let kinds: Vec<SecurityGroupKind> = kinds.into_iter().collect();
        Ok(if all {
            self.memory.secured.keep(desired.id, kinds)
        } else {
            kinds
        })
    }

    /// The listener with its rules and groups; `None` = it is gone. Groups that our rules send nobody to may be older.
    async fn site(&self, desired: &Desired) -> Result<Option<Site>, CloudError> {
        let listener = desired.spec.listener.as_str();
        let (door, rules) = tokio::try_join!(self.remembered_listener(listener), self.shared_rules(listener))?;
        let (Some((listener, balancer)), Some(rules)) = (door, rules) else {
            self.memory.listeners.forget(&listener.to_owned());
            return Ok(None);
        };
        let arn = balancer.load_balancer_arn().unwrap_or_default().to_owned();
        let fresh = Fresh::Only(&desired.placement.production);
        let known = self.memory.groups.younger_than(RARELY, &arn);
        let is_known = known.is_some();
        let listed = match known {
            Some(listed) => listed,
            None => self.memory.groups.keep(arn.clone(), self.groups_of(&arn).await?),
        };
        let mut groups = self.site_groups(&rules, &listed, fresh).await?;
        let named = rules
            .iter()
            .filter_map(|rule| rule.forward())
            .flat_map(|forward| &forward.groups);
        if is_known && named.into_iter().any(|weighted| !groups.contains_key(&weighted.group)) {
            let listed = self.memory.groups.keep(arn.clone(), self.groups_of(&arn).await?);
            groups = self.site_groups(&rules, &listed, fresh).await?;
        }
        Ok(Some(discover::site(&balancer, &listener, rules, groups)))
    }

    /// What lies in the deployment's bucket; `None` = there is no bucket.
    async fn objects(&self, desired: &Desired) -> Result<Option<Vec<Object>>, CloudError> {
        let request = self.clients.reading.s3.list_objects_v2();
        let request = request
            .bucket(bucket_name(desired, &self.identity.account))
            .expected_bucket_owner(&self.identity.account);
        let mut pages = request.into_paginator().send();
        let mut objects = Vec::new();
        while let Some(page) = pages.next().await {
            match ask(Call::ListObjectsV2, async { page }).await {
                Ok(page) => objects.extend(page.contents.unwrap_or_default()),
                Err(failure) if failure.meaning == Meaning::Gone => return Ok(None),
                Err(failure) => return Err(failure.into()),
            }
        }
        Ok(Some(objects))
    }

    /// The status document of an instance, read again only when it changed.
    async fn report(&self, desired: &Desired, of: &Instance, objects: &[Object]) -> Result<Option<Status>, CloudError> {
        let key = status_key(of.place, of.incarnation);
        let Some(object) = objects.iter().find(|object| object.key() == Some(&key)) else {
            return Ok(None);
        };
        let bucket = bucket_name(desired, &self.identity.account);
        let version = (format!("{bucket}/{key}"), object.e_tag().unwrap_or_default().to_owned());
        if let Some(known) = self.memory.reports.younger_than(Duration::MAX, &version) {
            return Ok(known);
        }
        if object
            .size()
            .is_none_or(|size| usize::try_from(size).is_ok_and(|size| size > STATUS_MAX))
        {
            return Ok(None);
        }
        // It may have been written again since it was listed.
        let at_most = format!("bytes=0-{}", STATUS_MAX - 1);
        let request = self
            .clients
            .reading
            .s3
            .get_object()
            .bucket(bucket)
            .key(key)
            .range(at_most);
        let answer = match ask(Call::GetObject, request.send()).await {
            Ok(answer) => answer,
            Err(failure) if failure.meaning == Meaning::Gone => return Ok(None),
            Err(failure) => return Err(failure.into()),
        };
        let Ok(body) = answer.body.collect().await else {
            return Err(CloudError::not_yet(
                "A status document broke off while it was read. The next look reads it again.",
            ));
        };
        // What is no status document is no word of the instance's.
        let status = serde_json::from_slice(&body.into_bytes()).ok();
        Ok(self.memory.reports.keep(version, status))
    }

    async fn group(
        &self,
        desired: &Desired,
        arm: Arm,
    ) -> Result<Option<(GroupId, Vec<(String, TargetHealth)>)>, CloudError> {
        let (known, key) = (&self.memory.our_groups, (desired.id, arm));
        let arn = match known.younger_than(Duration::MAX, &key) {
            Some(arn) => arn,
            None => {
                let Some(group) = self.our_group(desired, arm).await? else {
                    return Ok(None);
                };
                known.keep(key, group.target_group_arn.unwrap_or_default())
            }
        };
        let Some(listed) = self.targets_if_it_stands(&arn).await? else {
            known.forget(&key);
            return Ok(None);
        };
        let targets = listed
            .iter()
            .filter_map(|one| Some((one.target()?.id()?.to_owned(), target_health(one))));
        Ok(Some((GroupId::new(arn), targets.collect())))
    }
}

/// The group with those of its targets that are instances of ours.
fn our_group((id, targets): (GroupId, Vec<(String, TargetHealth)>), instances: &[Instance]) -> OurGroup {
    let ours = targets.into_iter().filter_map(|(id, health)| {
        let instance = instances.iter().find(|instance| instance.id == id)?;
        Some(Target {
            place: instance.place,
            incarnation: instance.incarnation,
            health,
        })
    });
    OurGroup {
        id,
        targets: ours.collect(),
    }
}

fn instance(desired: &Desired, listed: &ec2::Instance) -> Option<Instance> {
    let owner = ec2_owner(listed.tags())?;
    let LogicalId::Instance(place) = owner.logical_id else {
        return None;
    };
    let is_monitor = place.role == Role::Monitor;
    let reached = match desired.spec.monitor.reach {
        Reach::Public if is_monitor => listed.public_ip_address(),
        Reach::Vpc | Reach::Public | Reach::Bucket => listed.private_ip_address(),
    };
    let address: Option<IpAddr> = reached.and_then(|address| address.parse().ok());
    let port = if is_monitor { DOOR_PORT } else { desired.spec.app.port };
    Some(Instance {
        place,
        incarnation: owner.incarnation,
        id: listed.instance_id()?.to_owned(),
        state: state(listed.state().and_then(|state| state.name())),
        address: address.map(|address| SocketAddr::new(address, port)),
        report: None,
        ended_because: ended_because(listed),
        console: None,
    })
}

/// EC2's own words, e.g. that there was no room for it, for one that ends or has ended.
fn ended_because(listed: &ec2::Instance) -> Option<String> {
    if !state(listed.state().and_then(|state| state.name())).is_ending() {
        return None;
    }
    let reason = listed.state_reason()?;
    let words = reason.message().or(reason.code())?.trim();
    (!words.is_empty()).then(|| words.to_owned())
}

/// An instance that somebody stopped still stands and costs: its health tells the rest, and *Destroy* terminates it.
const fn state(name: Option<&InstanceStateName>) -> InstanceState {
    match name {
        Some(InstanceStateName::Pending) => InstanceState::Pending,
        Some(InstanceStateName::ShuttingDown) => InstanceState::ShuttingDown,
        Some(InstanceStateName::Terminated) => InstanceState::Terminated,
        Some(_) | None => InstanceState::Running,
    }
}

/// An instance of an arm, for who watches it.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    pub(crate) place: Place,
    pub(crate) id: String,
    pub(crate) address: IpAddr,
}

/// Instances of both arms that stand: of each place the newest.
pub(crate) fn arms(instances: &[ec2::Instance]) -> Vec<Standing> {
    let standing = instances.iter().filter_map(|one| {
        let owner = ec2_owner(one.tags())?;
        let LogicalId::Instance(place) = owner.logical_id else {
            return None;
        };
        let ends = state(one.state().and_then(|state| state.name())).is_ending();
        (place.role.arm().is_some() && !ends).then_some(())?;
        let standing = Standing {
            place,
            id: one.instance_id()?.to_owned(),
            address: one.private_ip_address()?.parse().ok()?,
        };
        Some(((place, owner.incarnation), standing))
    });
    let standing: BTreeMap<_, _> = standing.collect();
    let newest: BTreeMap<Place, Standing> = standing.into_iter().map(|((place, _), one)| (place, one)).collect();
    newest.into_values().collect()
}
