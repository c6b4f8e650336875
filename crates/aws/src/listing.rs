//! What AWS lists, a page at a time, and who owns it by its tags. Reads only.

use std::collections::BTreeSet;
use std::time::Duration;

use arya_plan::cloud::CloudError;
use arya_plan::desired::Desired;
use arya_plan::identity::{Arm, LogicalId, Owner, resource_name};
use arya_plan::listener::{GroupHealth, Rule};
use aws_sdk_ec2::types as ec2;
use aws_sdk_elasticloadbalancingv2::types as elb;

use crate::Inner;
use crate::calls::Call;
use crate::error::{Meaning, ask};
use crate::tags::elb_owner;
use crate::words;
use crate::words::groups::Attributes;

/// `DescribeTags` takes so many ARNs at once.
const TAGS_AT_ONCE: usize = 20;

impl Inner {
    /// Every Application Load Balancer; others have no rules.
    pub(crate) async fn load_balancers(&self) -> Result<Vec<elb::LoadBalancer>, CloudError> {
        let pages = self
            .clients
            .reading
            .elb
            .describe_load_balancers()
            .into_paginator()
            .items();
        let listed: Vec<_> = ask(Call::DescribeLoadBalancers, pages.send().collect::<Result<_, _>>()).await?;
        let is_application = |one: &elb::LoadBalancer| one.r#type() == Some(&elb::LoadBalancerTypeEnum::Application);
        Ok(listed.into_iter().filter(is_application).collect())
    }

    pub(crate) async fn listeners(&self, balancer: &str) -> Result<Vec<elb::Listener>, CloudError> {
        let request = self
            .clients
            .reading
            .elb
            .describe_listeners()
            .load_balancer_arn(balancer);
        let pages = request.into_paginator().items();
        Ok(ask(Call::DescribeListeners, pages.send().collect::<Result<_, _>>()).await?)
    }

    /// A listener with its load balancer; `None` = it is gone.
    pub(crate) async fn listener(&self, arn: &str) -> Result<Option<(elb::Listener, elb::LoadBalancer)>, CloudError> {
        let request = self.clients.reading.elb.describe_listeners().listener_arns(arn);
        let listener = match ask(Call::DescribeListeners, request.send()).await {
            Ok(answer) => answer.listeners.unwrap_or_default().into_iter().next(),
            Err(failure) if failure.meaning == Meaning::Gone => None,
            Err(failure) => return Err(failure.into()),
        };
        let Some(listener) = listener else { return Ok(None) };
        let balancer = listener.load_balancer_arn().unwrap_or_default();
        let request = self.clients.reading.elb.describe_load_balancers();
        let request = request.load_balancer_arns(balancer);
        match ask(Call::DescribeLoadBalancers, request.send()).await {
            Ok(answer) => {
                let balancer = answer.load_balancers.unwrap_or_default().into_iter().next();
                Ok(balancer.map(|balancer| (listener, balancer)))
            }
            Err(failure) if failure.meaning == Meaning::Gone => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }

    /// The same, at most a minute old.
    pub(crate) async fn remembered_listener(
        &self,
        arn: &str,
    ) -> Result<Option<(elb::Listener, elb::LoadBalancer)>, CloudError> {
        let (known, key) = (&self.memory.listeners, arn.to_owned());
        match known.younger_than(crate::memory::RARELY, &key) {
            Some(answer) => Ok(answer),
            None => Ok(known.keep(key, self.listener(arn).await?)),
        }
    }

    /// The rules of a listener in the order in which they are looked at, ours with their owner. `None` = no listener.
    pub(crate) async fn rules(&self, listener: &str) -> Result<Option<Vec<Rule>>, CloudError> {
        let Some(listed) = self.listed_rules(listener).await? else {
            return Ok(None);
        };
        let arns: Vec<&str> = listed.iter().map(|rule| rule.id.as_str()).collect();
        let gone = self.ask_owners(&arns).await?;
        Ok(Some(self.owned(listed, &gone)))
    }

    /// The same without saying whose they are.
    pub(crate) async fn listed_rules(&self, listener: &str) -> Result<Option<Vec<Rule>>, CloudError> {
        let request = self.clients.reading.elb.describe_rules().listener_arn(listener);
        let pages = request.into_paginator().items();
        let listed: Vec<elb::Rule> = match ask(Call::DescribeRules, pages.send().collect::<Result<_, _>>()).await {
            Ok(listed) => listed,
            Err(failure) if failure.meaning == Meaning::Gone => return Ok(None),
            Err(failure) => return Err(failure.into()),
        };
        let mut rules: Vec<Rule> = listed.iter().filter_map(words::rule).collect();
        rules.sort_by_key(|rule| rule.priority);
        Ok(Some(rules))
    }

    /// Rules with their owners, as far as they were asked for, without those that are gone.
    pub(crate) fn owned(&self, mut rules: Vec<Rule>, gone: &BTreeSet<String>) -> Vec<Rule> {
        for rule in &mut rules {
            rule.owner = self.memory.noted_owner(rule.id.as_str());
        }
        // One of ours that was just deleted must not look like a stranger's.
        rules.retain(|rule| !gone.contains(rule.id.as_str()));
        rules
    }

    /// The same, as old as looks may share it.
    pub(crate) async fn shared_rules(&self, listener: &str) -> Result<Option<Vec<Rule>>, CloudError> {
        let rules = &self.memory.rules;
        rules
            .get(listener.to_owned(), self.pace.shared_for(), self.rules(listener))
            .await
    }

    /// Who owns each ARN of the load balancing service; strangers' are `None`.
    pub(crate) async fn owners(&self, arns: &[&str]) -> Result<Vec<Option<Owner>>, CloudError> {
        self.ask_owners(arns).await?;
        Ok(arns.iter().map(|arn| self.memory.noted_owner(arn)).collect())
    }

    /// Notes who owns them; answers those that were gone when their tags were asked for.
    pub(crate) async fn ask_owners(&self, arns: &[&str]) -> Result<BTreeSet<String>, CloudError> {
        let mut gone = BTreeSet::new();
        let unknown: Vec<&str> = arns
            .iter()
            .filter(|arn| self.memory.owner(arn).is_none())
            .copied()
            .collect();
        for some in unknown.chunks(TAGS_AT_ONCE) {
            if !self.ask_tags(some).await? {
                // One of them is gone since it was listed, and AWS then tells of none: each by itself.
                for one in some {
                    if !self.ask_tags(&[one]).await? {
                        gone.insert((*one).to_owned());
                    }
                }
            }
        }
        Ok(gone)
    }

    /// Notes the owners of at most twenty ARNs; `false` where one of them is gone.
    async fn ask_tags(&self, arns: &[&str]) -> Result<bool, CloudError> {
        let arns = arns.iter().map(ToString::to_string).collect();
        let request = self.clients.reading.elb.describe_tags().set_resource_arns(Some(arns));
        let answer = match ask(Call::DescribeTags, request.send()).await {
            Ok(answer) => answer,
            Err(failure) if failure.meaning == Meaning::Gone => return Ok(false),
            Err(failure) => return Err(failure.into()),
        };
        for described in answer.tag_descriptions() {
            let arn = described.resource_arn().unwrap_or_default();
            self.memory.note_owner(arn, elb_owner(described.tags()));
        }
        Ok(true)
    }

    /// Every target group that rules of the load balancer use.
    pub(crate) async fn groups_of(&self, balancer: &str) -> Result<Vec<elb::TargetGroup>, CloudError> {
        let request = self
            .clients
            .reading
            .elb
            .describe_target_groups()
            .load_balancer_arn(balancer);
        let pages = request.into_paginator().items();
        Ok(ask(Call::DescribeTargetGroups, pages.send().collect::<Result<_, _>>()).await?)
    }

    /// The same, at most a minute old.
    pub(crate) async fn remembered_groups_of(&self, balancer: &str) -> Result<Vec<elb::TargetGroup>, CloudError> {
        let (known, key) = (&self.memory.groups, balancer.to_owned());
        match known.younger_than(crate::memory::RARELY, &key) {
            Some(groups) => Ok(groups),
            None => Ok(known.keep(key, self.groups_of(balancer).await?)),
        }
    }

    /// Every target group of the region.
    pub(crate) async fn all_groups(&self) -> Result<Vec<elb::TargetGroup>, CloudError> {
        let pages = self
            .clients
            .reading
            .elb
            .describe_target_groups()
            .into_paginator()
            .items();
        Ok(ask(Call::DescribeTargetGroups, pages.send().collect::<Result<_, _>>()).await?)
    }

    /// Our group of an arm, by its name and then by its tags. A stranger's of the same name is not ours.
    pub(crate) async fn our_group(&self, desired: &Desired, arm: Arm) -> Result<Option<elb::TargetGroup>, CloudError> {
        let place = LogicalId::TargetGroup(arm);
        let name = resource_name(&desired.id, place);
        let request = self.clients.reading.elb.describe_target_groups().names(name);
        let group = match ask(Call::DescribeTargetGroups, request.send()).await {
            Ok(answer) => answer.target_groups.unwrap_or_default().into_iter().next(),
            Err(failure) if failure.meaning == Meaning::Gone => None,
            Err(failure) => return Err(failure.into()),
        };
        let Some(group) = group else { return Ok(None) };
        let owner = self
            .owners(&[group.target_group_arn().unwrap_or_default()])
            .await?
            .remove(0);
        let is_ours = owner.is_some_and(|owner| owner.deployment == desired.id && owner.logical_id == place);
        Ok(is_ours.then_some(group))
    }

    pub(crate) async fn attributes(&self, group: &str) -> Result<Attributes, CloudError> {
        let request = self.clients.reading.elb.describe_target_group_attributes();
        let answer = ask(
            Call::DescribeTargetGroupAttributes,
            request.target_group_arn(group).send(),
        )
        .await?;
        let attributes = words::groups::attributes(answer.attributes());
        Ok(self.memory.attributes.keep(group.to_owned(), attributes))
    }

    /// The same, at most so old.
    pub(crate) async fn remembered_attributes(&self, group: &str, age: Duration) -> Result<Attributes, CloudError> {
        let known = self.memory.attributes.younger_than(age, &group.to_owned());
        match known {
            Some(attributes) => Ok(attributes),
            None => self.attributes(group).await,
        }
    }

    /// The targets of a group; none where it is gone.
    pub(crate) async fn targets(&self, group: &str) -> Result<Vec<elb::TargetHealthDescription>, CloudError> {
        Ok(self.targets_if_it_stands(group).await?.unwrap_or_default())
    }

    /// The targets of a group; `None` = it is gone.
    pub(crate) async fn targets_if_it_stands(
        &self,
        group: &str,
    ) -> Result<Option<Vec<elb::TargetHealthDescription>>, CloudError> {
        let request = self
            .clients
            .reading
            .elb
            .describe_target_health()
            .target_group_arn(group);
        match ask(Call::DescribeTargetHealth, request.send()).await {
            Ok(answer) => Ok(Some(answer.target_health_descriptions.unwrap_or_default())),
            Err(failure) if failure.meaning == Meaning::Gone => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }

    /// How many targets are healthy, at most so old.
    pub(crate) async fn health(&self, group: &str, age: Duration) -> Result<GroupHealth, CloudError> {
        let (known, key) = (&self.memory.health, group.to_owned());
        match known.younger_than(age, &key) {
            Some(health) => Ok(health),
            None => Ok(known.keep(key, words::groups::health(&self.targets(group).await?))),
        }
    }

    /// Instances that the filters choose, those that ended too while EC2 lists them.
    pub(crate) async fn instances(&self, filters: Vec<ec2::Filter>) -> Result<Vec<ec2::Instance>, CloudError> {
        let request = self.clients.reading.ec2.describe_instances().set_filters(Some(filters));
        let pages = request.into_paginator().items();
        let reservations: Vec<ec2::Reservation> =
            ask(Call::DescribeInstances, pages.send().collect::<Result<_, _>>()).await?;
        let instances = reservations
            .into_iter()
            .flat_map(|one| one.instances.unwrap_or_default());
        Ok(instances.collect())
    }

    pub(crate) async fn security_groups(
        &self,
        filters: Vec<ec2::Filter>,
    ) -> Result<Vec<ec2::SecurityGroup>, CloudError> {
        let request = self
            .clients
            .reading
            .ec2
            .describe_security_groups()
            .set_filters(Some(filters));
        let pages = request.into_paginator().items();
        Ok(ask(Call::DescribeSecurityGroups, pages.send().collect::<Result<_, _>>()).await?)
    }
}
