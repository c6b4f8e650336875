//! Every listener that could take a canary, and every deployment that owns anything here.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use arya_plan::cloud::CloudError;
use arya_plan::identity::{DeploymentId, Owner};
use arya_plan::listener::{
    GroupId, ListenerId, LoadBalancerId, Priority, Rule, Site, SiteGroup, WeightedGroup, named_groups,
};
use arya_plan::remains::RulesShown;
use arya_plan::spec::{InFrontOf, Spec};
use aws_sdk_ec2::types::{Filter, InstanceStateName};
use aws_sdk_elasticloadbalancingv2::types as elb;
use aws_sdk_s3::types::Bucket;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::Inner;
use crate::calls::Call;
use crate::error::{Meaning, ask};
use crate::memory::{OF_OTHERS, RARELY};
use crate::tags::{ec2_owner, of_installation, s3_owner};
use crate::uploads::is_bucket_name;
use crate::words;

/// Load balancers, and groups of one, that are asked about at the same time. All of an account share 40 calls and then
/// 10 a second (Elastic Load Balancing, "API throttling").
const AT_ONCE: usize = 4;
/// What every name of ours begins with.
pub(crate) const OUR_PREFIX: &str = "arya-";

/// A page of every listener shows health so many times older than looks do: half a minute. Before users come it is asked anew.
const OF_PAGES: u32 = 16;

/// A listener with what is listed of it.
struct Listed {
    balancer: elb::LoadBalancer,
    listener: elb::Listener,
    rules: Vec<Rule>,
}

/// An owner, and for a rule the listener that it stands on.
pub(crate) type Located = (Owner, Option<ListenerId>);

/// What Elastic Load Balancing shows of ours.
#[derive(Debug, Default)]
pub(crate) struct Balancing {
    /// Owners of rules with their listener, and of groups.
    pub(crate) found: Vec<Located>,
    /// Every listener that was listed.
    pub(crate) listeners: Vec<ListenerId>,
    /// Why not all of it is there, each once.
    pub(crate) missed: Vec<CloudError>,
    pub(crate) rules: RulesShown,
}

impl Balancing {
    fn miss(&mut self, error: CloudError) {
        if !self.missed.contains(&error) {
            self.missed.push(error);
        }
    }

    /// What was listed on the way to rules; nothing, and noted, where it was not.
    fn of_rules<T>(&mut self, listed: Result<Vec<T>, CloudError>) -> Vec<T> {
        listed.unwrap_or_else(|error| {
            self.rules = RulesShown::NotAll;
            self.miss(error);
            vec![]
        })
    }
}

/// Whose health is asked anew.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fresh<'f> {
    /// Of none: nobody acts on what a page shows.
    Page,
    /// These; others' may be some minutes old.
    Only(&'f [WeightedGroup]),
}

impl Fresh<'_> {
    /// What a group is set to changes by hand alone, and is compared with the plan for production's only.
    fn age_of_settings(self, group: &GroupId) -> Duration {
        match self {
            Self::Only(groups) if groups.iter().any(|one| one.group == *group) => RARELY,
            Self::Page | Self::Only(_) => OF_OTHERS,
        }
    }

    fn age(self, group: &GroupId, shared: Duration) -> Duration {
        match self {
            Self::Only(groups) if !groups.iter().any(|one| one.group == *group) => OF_OTHERS,
            Self::Only(_) => shared,
            Self::Page => shared * OF_PAGES,
        }
    }
}

impl Inner {
    /// Every listener. Groups are listed for all of them at once, and so are the owners of rules.
    pub(crate) async fn discover(&self) -> Result<Vec<Site>, CloudError> {
        let (balancers, groups) = tokio::try_join!(self.load_balancers(), self.all_groups())?;
        let listed = stream::iter(balancers).map(|balancer| self.listed_of(balancer));
        let listed: Vec<Vec<Listed>> = listed.buffered(AT_ONCE).try_collect().await?;
        let listed: Vec<Listed> = listed.into_iter().flatten().collect();
        let rules = listed.iter().flat_map(|one| &one.rules);
        let arns: Vec<&str> = rules.map(|rule| rule.id.as_str()).collect();
        let gone = self.ask_owners(&arns).await?;
        let mut sites = Vec::new();
        for one in listed {
            let rules = self.owned(one.rules, &gone);
            let groups = self.site_groups(&rules, &groups, Fresh::Page).await?;
            sites.push(site(&one.balancer, &one.listener, rules, groups));
        }
        Ok(sites)
    }

    async fn listed_of(&self, balancer: elb::LoadBalancer) -> Result<Vec<Listed>, CloudError> {
        let listeners = self.listeners(balancer.load_balancer_arn().unwrap_or_default()).await?;
        let mut listed = Vec::new();
        for listener in listeners {
            let rules = self.listed_rules(listener.listener_arn().unwrap_or_default()).await?;
            let balancer = balancer.clone();
            listed.extend(rules.map(|rules| Listed {
                balancer,
                listener,
                rules,
            }));
        }
        Ok(listed)
    }

    /// The listener that a spec names and the groups of its load balancer, as they are now where the chosen rule sends.
    pub(crate) async fn site_for(&self, spec: &Spec) -> Result<Option<Site>, CloudError> {
        let arn = spec.listener.as_str();
        let (door, rules) = tokio::try_join!(self.listener(arn), self.rules(arn))?;
        let door = self.memory.listeners.keep(arn.to_owned(), door);
        let (Some((listener, balancer)), Some(rules)) = (door, rules) else {
            return Ok(None);
        };
        let balancer_arn = balancer.load_balancer_arn().unwrap_or_default();
        let listed = self.groups_of(balancer_arn).await?;
        let listed = self.memory.groups.keep(balancer_arn.to_owned(), listed);
        let forward = chosen(&rules, spec).and_then(Rule::forward);
        let production: &[WeightedGroup] = forward.map_or(&[], |forward| &forward.groups);
        let groups = self.site_groups(&rules, &listed, Fresh::Only(production)).await?;
        Ok(Some(site(&balancer, &listener, rules, groups)))
    }

    /// The groups that rules name, with attributes and health.
    pub(crate) async fn site_groups(
        &self,
        rules: &[Rule],
        listed: &[elb::TargetGroup],
        fresh: Fresh<'_>,
    ) -> Result<BTreeMap<GroupId, SiteGroup>, CloudError> {
        let known = named_groups(rules).into_iter().filter_map(|id| {
            let group = listed
                .iter()
                .find(|group| group.target_group_arn() == Some(id.as_str()))?;
            Some((id, group.clone()))
        });
        let known: Vec<(GroupId, elb::TargetGroup)> = known.collect();
        let groups = stream::iter(known).map(|(id, group)| self.site_group(id, group, fresh));
        groups.buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn site_group(
        &self,
        id: GroupId,
        group: elb::TargetGroup,
        fresh: Fresh<'_>,
    ) -> Result<(GroupId, SiteGroup), CloudError> {
        let (attributes, health) = tokio::try_join!(
            self.remembered_attributes(id.as_str(), fresh.age_of_settings(&id)),
            self.health(id.as_str(), fresh.age(&id, self.pace.shared_for())),
        )?;
        let settings = words::groups::settings(&group, &attributes);
        Ok((id, SiteGroup { settings, health }))
    }

    pub(crate) async fn list(&self) -> Result<Vec<DeploymentId>, CloudError> {
        let installation = self.settings.installation;
        let (compute, balancing, files) = tokio::try_join!(
            self.compute_owners(of_installation(installation)),
            self.balancing_owners(),
            self.bucket_owners()
        )?;
        if let Some(missed) = balancing.missed.into_iter().next() {
            return Err(missed);
        }
        let balancing = balancing.found.into_iter().map(|(owner, _)| owner);
        let owners = compute.into_iter().chain(balancing).chain(files);
        let ours = owners.filter(|owner| owner.installation == installation);
        let found: BTreeSet<DeploymentId> = ours.map(|owner| owner.deployment).collect();
        Ok(found.into_iter().collect())
    }

    pub(crate) async fn compute_owners(&self, whose: Vec<Filter>) -> Result<Vec<Owner>, CloudError> {
        let (instances, groups) = tokio::try_join!(self.instances(whose.clone()), self.security_groups(whose))?;
        let stands = |instance: &&aws_sdk_ec2::types::Instance| {
            instance.state().and_then(|state| state.name()) != Some(&InstanceStateName::Terminated)
        };
        let instances = instances.iter().filter(stands).filter_map(|one| ec2_owner(one.tags()));
        let groups = groups.iter().filter_map(|one| ec2_owner(one.tags()));
        Ok(instances.chain(groups).collect())
    }

    /// Elastic Load Balancing has no filter by tag: every rule of every listener, and every group with a name of ours. What
    /// one listing does not show keeps back nothing that another one does.
    pub(crate) async fn balancing_owners(&self) -> Result<Balancing, CloudError> {
        let mut all = Balancing::default();
        // Rules first: they are what sends users.
        for balancer in self.load_balancers().await? {
            let listeners = self.listeners(balancer.load_balancer_arn().unwrap_or_default()).await;
            for listener in all.of_rules(listeners) {
                let id = ListenerId::new(listener.listener_arn().unwrap_or_default());
                let rules = all.of_rules(self.rules(id.as_str()).await.map(Option::unwrap_or_default));
                let owned = rules
                    .into_iter()
                    .filter_map(|rule| Some((rule.owner?, Some(id.clone()))));
                all.found.extend(owned);
                all.listeners.push(id);
            }
        }
        match self.group_owners().await {
            Ok(groups) => all.found.extend(groups.into_iter().map(|owner| (owner, None))),
            Err(error) => all.miss(error),
        }
        Ok(all)
    }

    async fn group_owners(&self) -> Result<Vec<Owner>, CloudError> {
        let groups = self.all_groups().await?;
        let ours = |group: &&elb::TargetGroup| group.target_group_name().unwrap_or_default().starts_with(OUR_PREFIX);
        let arns: Vec<&str> = groups
            .iter()
            .filter(ours)
            .filter_map(|group| group.target_group_arn())
            .collect();
        Ok(self.owners(&arns).await?.into_iter().flatten().collect())
    }

    pub(crate) async fn bucket_owners(&self) -> Result<Vec<Owner>, CloudError> {
        let region = &self.clients.region;
        // A bucket of another region is not answered for here.
        let pages = self
            .clients
            .reading
            .s3
            .list_buckets()
            .prefix(OUR_PREFIX)
            .bucket_region(region)
            .into_paginator()
            .items();
        let buckets: Vec<Bucket> = ask(Call::ListBuckets, pages.send().collect::<Result<_, _>>()).await?;
        // Whoever answers may not know the filters.
        let here = |bucket: &&Bucket| bucket.bucket_region().is_none_or(|of| of == region);
        let names = buckets.iter().filter(here).filter_map(|bucket| bucket.name());
        let mut found = Vec::new();
        // Somebody else's may have the prefix too, and not let us ask.
        for name in names.filter(|name| is_bucket_name(name, &self.identity.account)) {
            let request = self.clients.reading.s3.get_bucket_tagging().bucket(name);
            match ask(Call::GetBucketTagging, request.send()).await {
                Ok(answer) => found.extend(s3_owner(answer.tag_set())),
                // Gone since it was listed, or without tags.
                Err(failure) if failure.meaning == Meaning::Gone => {}
                Err(failure) => return Err(failure.into()),
            }
        }
        Ok(found)
    }
}

/// The rule that a spec stands in front of.
pub(crate) fn chosen<'r>(rules: &'r [Rule], spec: &Spec) -> Option<&'r Rule> {
    rules.iter().find(|rule| match &spec.in_front_of {
        InFrontOf::Default => rule.priority == Priority::Default,
        InFrontOf::Rule(id) => rule.id == *id,
    })
}

pub(crate) fn site(
    balancer: &elb::LoadBalancer,
    listener: &elb::Listener,
    rules: Vec<Rule>,
    groups: BTreeMap<GroupId, SiteGroup>,
) -> Site {
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    let port = listener.port().and_then(|port| u16::try_from(port).ok()).unwrap_or(0);
    let (scheme, usual) = match listener.protocol() {
        Some(elb::ProtocolEnum::Https) => ("https", 443),
        Some(_) | None => ("http", 80),
    };
    let host = balancer.dns_name().unwrap_or_default();
    let address = if port == usual {
        format!("{scheme}://{host}")
    } else {
        format!("{scheme}://{host}:{port}")
    };
    Site {
        listener: ListenerId::new(text(listener.listener_arn())),
        load_balancer: LoadBalancerId::new(text(balancer.load_balancer_arn())),
        load_balancer_name: text(balancer.load_balancer_name()),
        address,
        port,
        rules,
        groups,
    }
}
