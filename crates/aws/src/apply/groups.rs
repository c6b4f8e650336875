//! Target groups, and instances in them.

use arya_plan::cloud::CloudError;
use arya_plan::desired::Desired;
use arya_plan::identity::{Arm, LogicalId, Place, resource_name};
use arya_plan::listener::Protocol;
use aws_sdk_elasticloadbalancingv2::types as elb;

use crate::Inner;
use crate::calls::Call;
use crate::error::{Meaning, OrGone as _, ask};
use crate::memory::RARELY;
use crate::tags::{elb_tags, owner};
use crate::words::groups::{Attributes, attribute};

/// The fastest that the service takes: a target is known to be well after one check, and to be sick after two.
const CHECK_EVERY_S: i32 = 5;
const CHECK_AT_MOST_S: i32 = 2;
const CHECKS_IN_A_ROW: i32 = 2;

impl Inner {
    /// The listener of a deployment and its load balancer, which must stand for anything to be built.
    pub(super) async fn door(&self, desired: &Desired) -> Result<(elb::Listener, elb::LoadBalancer), CloudError> {
        let door = self.remembered_listener(desired.spec.listener.as_str()).await?;
        door.ok_or_else(|| CloudError::not_yet("ListenerNotFound: the listener is gone; nothing was created."))
    }

    pub(super) async fn vpc(&self, desired: &Desired) -> Result<String, CloudError> {
        let (_, balancer) = self.door(desired).await?;
        Ok(balancer.vpc_id().unwrap_or_default().to_owned())
    }

    pub(super) async fn create_target_group(&self, desired: &Desired, arm: Arm) -> Result<(), CloudError> {
        let arn = match self.our_group(desired, arm).await? {
            Some(group) => group.target_group_arn().unwrap_or_default().to_owned(),
            None => self.make_target_group(desired, arm).await?,
        };
        self.complete_attributes(desired, &arn).await
    }

    async fn make_target_group(&self, desired: &Desired, arm: Arm) -> Result<String, CloudError> {
        let (place, settings) = (LogicalId::TargetGroup(arm), &desired.placement.group);
        let name = resource_name(&desired.id, place);
        let production = self.production_group(desired).await?;
        let (protocol, version) = spoken(settings.protocol, production.as_ref());
        let matcher = match settings.protocol {
            // What the boot asks too. AWS's usual one is of a method that nobody has.
            Protocol::Grpc => Some(elb::Matcher::builder().grpc_code("0").build()),
            Protocol::Http | Protocol::Https => production.as_ref().and_then(|group| group.matcher().cloned()),
        };
        let request = self.clients.changing.elb.create_target_group().name(&name);
        let request = request
            .protocol(protocol)
            .set_protocol_version(version)
            .port(i32::from(settings.port))
            .vpc_id(self.vpc(desired).await?)
            .target_type(elb::TargetTypeEnum::Instance)
            .health_check_path(&settings.health_check_path)
            .health_check_interval_seconds(CHECK_EVERY_S)
            .health_check_timeout_seconds(CHECK_AT_MOST_S)
            .healthy_threshold_count(CHECKS_IN_A_ROW)
            .unhealthy_threshold_count(CHECKS_IN_A_ROW)
            .set_matcher(matcher)
            .set_tags(Some(elb_tags(desired, &owner(desired, place, 1))));
        match ask(Call::CreateTargetGroup, request.send()).await {
            Ok(answer) => {
                let made = answer.target_groups.unwrap_or_default().into_iter().next();
                Ok(made.and_then(|group| group.target_group_arn).unwrap_or_default())
            }
            Err(failure) if failure.meaning == Meaning::There => match self.our_group(desired, arm).await? {
                Some(group) => Ok(group.target_group_arn.unwrap_or_default()),
                None => Err(CloudError::refused(
                    format!("DuplicateTargetGroupName: a group {name} stands that is not ours. Nothing was created."),
                    "Rename or remove it; it is tried again.",
                )),
            },
            Err(failure) => Err(failure.into()),
        }
    }

    /// The group of production's that gets the most, whose protocol version and matcher ours take over.
    async fn production_group(&self, desired: &Desired) -> Result<Option<elb::TargetGroup>, CloudError> {
        let Some(production) = desired.placement.production.iter().max_by_key(|one| one.weight) else {
            return Ok(None);
        };
        let (_, balancer) = self.door(desired).await?;
        let groups = self
            .remembered_groups_of(balancer.load_balancer_arn().unwrap_or_default())
            .await?;
        let is_it = |group: &elb::TargetGroup| group.target_group_arn() == Some(production.group.as_str());
        Ok(groups.into_iter().find(is_it))
    }

    /// Sets what is not as it should be. DNS failover is off before anything else: a group of ours that is empty or sick
    /// would otherwise take the load balancer's addresses out of DNS, production's with them.
    async fn complete_attributes(&self, desired: &Desired, group: &str) -> Result<(), CloudError> {
        let mut wanted = Attributes::from([
            (attribute::DNS_FAILOVER.into(), "off".into()),
            (
                attribute::DEREGISTRATION_DELAY.into(),
                desired.placement.group.deregistration_delay_s.to_string(),
            ),
        ]);
        if let Some(production) = self.production_group(desired).await? {
            let arn = production.target_group_arn().unwrap_or_default();
            let theirs = self.remembered_attributes(arn, RARELY).await?;
            let (_, balancer) = self.door(desired).await?;
            let zones = balancer.availability_zones().len();
            wanted.extend(copied(&theirs, usize::from(desired.spec.instances.per_arm), zones));
        }
        let there = self.attributes(group).await?;
        wanted.retain(|name, value| there.get(name) != Some(value));
        if wanted.is_empty() {
            return Ok(());
        }
        let pair = |(name, value)| elb::TargetGroupAttribute::builder().key(name).value(value).build();
        let request = self.clients.changing.elb.modify_target_group_attributes();
        let request = request
            .target_group_arn(group)
            .set_attributes(Some(wanted.into_iter().map(pair).collect()));
        ask(Call::ModifyTargetGroupAttributes, request.send()).await?;
        Ok(())
    }

    pub(super) async fn register(
        &self,
        desired: &Desired,
        arm: Arm,
        place: Place,
        incarnation: u32,
    ) -> Result<(), CloudError> {
        let (group, instance) =
            tokio::try_join!(self.our_group(desired, arm), self.standing(desired, place, incarnation))?;
        let group = group.and_then(|group| group.target_group_arn).ok_or_else(|| {
            CloudError::not_yet(format!(
                "TargetGroupNotFound: the {arm} target group does not stand yet; nothing was registered."
            ))
        })?;
        let instance = instance.ok_or_else(|| {
            CloudError::not_yet(format!(
                "InvalidTarget: the {place} is not running, so it was not registered."
            ))
        })?;
        self.complete_attributes(desired, &group).await?;
        // Before users can come, so that they never do unwatched.
        self.tell_targets(desired).await?;
        let request = self.clients.changing.elb.register_targets().target_group_arn(group);
        ask(
            Call::RegisterTargets,
            request.targets(target(desired, &instance)).send(),
        )
        .await?;
        Ok(())
    }

    pub(super) async fn deregister(
        &self,
        desired: &Desired,
        arm: Arm,
        place: Place,
        incarnation: u32,
    ) -> Result<(), CloudError> {
        let (group, instances) =
            tokio::try_join!(self.our_group(desired, arm), self.fillings(desired, place, incarnation))?;
        let Some(group) = group.and_then(|group| group.target_group_arn) else {
            return Ok(());
        };
        let ids: Vec<String> = instances.into_iter().filter_map(|one| one.instance_id).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let targets = ids.iter().map(|id| target(desired, id)).collect();
        let request = self.clients.changing.elb.deregister_targets().target_group_arn(group);
        let answer = ask(Call::DeregisterTargets, request.set_targets(Some(targets)).send()).await;
        match answer {
            // Who is not in the group is out of it.
            Err(failure) if failure.meaning == Meaning::NotYet => Ok(()),
            answer => answer.or_gone(),
        }
    }

    pub(super) async fn delete_target_group(&self, desired: &Desired, arm: Arm) -> Result<(), CloudError> {
        let Some(group) = self.our_group(desired, arm).await? else {
            return Ok(());
        };
        let request = self.clients.changing.elb.delete_target_group();
        let request = request.set_target_group_arn(group.target_group_arn);
        ask(Call::DeleteTargetGroup, request.send()).await.or_gone()
    }
}

/// What ours take over from production's. A zone without a target of its own serves nobody once zones keep to themselves,
/// so that is not taken over by arms that do not fill every zone.
fn copied(theirs: &Attributes, per_arm: usize, zones: usize) -> Attributes {
    let keeps_apart = theirs.get(attribute::CROSS_ZONE).is_some_and(|value| value == "false");
    let names: &[&str] = if keeps_apart && per_arm < zones {
        &[attribute::ALGORITHM]
    } else {
        &[attribute::ALGORITHM, attribute::CROSS_ZONE]
    };
    let pair = |name: &&str| Some(((*name).to_owned(), theirs.get(*name)?.clone()));
    names.iter().filter_map(pair).collect()
}

fn target(desired: &Desired, instance: &str) -> elb::TargetDescription {
    elb::TargetDescription::builder()
        .id(instance)
        .port(i32::from(desired.placement.group.port))
        .build()
}

/// A forward action takes only groups of one protocol version, so production's is taken over.
fn spoken(ours: Protocol, production: Option<&elb::TargetGroup>) -> (elb::ProtocolEnum, Option<String>) {
    let theirs = production.and_then(|group| group.protocol_version().map(str::to_owned));
    match ours {
        Protocol::Http => (elb::ProtocolEnum::Http, theirs),
        Protocol::Https => (elb::ProtocolEnum::Https, theirs),
        Protocol::Grpc => (elb::ProtocolEnum::Http, Some("GRPC".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_kept_apart_only_where_every_zone_has_a_target() {
        let theirs = |cross: &str| {
            Attributes::from([
                (attribute::ALGORITHM.to_owned(), "least_outstanding_requests".to_owned()),
                (attribute::CROSS_ZONE.to_owned(), cross.to_owned()),
            ])
        };
        let apart = theirs("false");
        assert_eq!(copied(&apart, 3, 3), apart);
        let alone = copied(&apart, 1, 3);
        assert_eq!(alone.keys().collect::<Vec<_>>(), [attribute::ALGORITHM]);
        assert_eq!(copied(&theirs("true"), 1, 3), theirs("true"));
    }

    #[test]
    fn the_protocol_version_is_productions_and_grpcs_own() {
        let production = elb::TargetGroup::builder().protocol_version("HTTP2").build();
        let http2 = Some("HTTP2".to_owned());
        assert_eq!(
            spoken(Protocol::Http, Some(&production)),
            (elb::ProtocolEnum::Http, http2.clone())
        );
        assert_eq!(
            spoken(Protocol::Https, Some(&production)),
            (elb::ProtocolEnum::Https, http2)
        );
        assert_eq!(spoken(Protocol::Http, None), (elb::ProtocolEnum::Http, None));
        assert_eq!(
            spoken(Protocol::Grpc, None),
            (elb::ProtocolEnum::Http, Some("GRPC".into()))
        );
    }
}
