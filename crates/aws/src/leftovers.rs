//! Everything in the account and region that any Arya ever made and that still stands, by tags alone: what a server has
//! forgotten, or what a server left that is gone with its database.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use arya_plan::cloud::{CloudError, ErrorKind};
use arya_plan::identity::{DeploymentId, InstallationId, LogicalId, Owner};
use arya_plan::listener::ListenerId;
use arya_plan::remains::RulesShown;
use tokio::time::timeout;

use crate::Inner;
use crate::discover::Balancing;
use crate::tags::of_anybody;

/// What stands of one deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    pub installation: InstallationId,
    pub deployment: DeploymentId,
    /// The places that are filled.
    pub places: BTreeSet<LogicalId>,
    /// Where its rules stand; without rules any listener, which is then looked at for them; `None` = there is none.
    pub listener: Option<ListenerId>,
}

/// What stands of every deployment, as far as the account shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leftovers {
    pub found: Vec<Leftover>,
    /// Whether all of their rules are.
    pub rules: RulesShown,
    /// Why not everything is among them: instances and security groups, buckets, target groups, or the rules of a listener.
    pub missed: Vec<CloudError>,
}

/// Whatever is listed by tag is there long before every load balancer is; where it is not, nobody's users wait for it.
const BY_TAG_WITHIN: Duration = Duration::from_secs(120);

impl Inner {
    /// Whether users are sent to something only the load balancers know, so nothing is known without them; what else AWS
    /// does not show must not keep anybody from taking users away.
    pub(crate) async fn leftovers(&self) -> Result<Leftovers, CloudError> {
        let (compute, balancing, files) = tokio::join!(
            within(
                BY_TAG_WITHIN,
                "instances and security groups",
                self.compute_owners(of_anybody())
            ),
            self.balancing_owners(),
            within(BY_TAG_WITHIN, "buckets", self.bucket_owners())
        );
        let Balancing {
            found: balancing,
            listeners,
            mut missed,
            rules,
        } = balancing?;
        let mut owners = Vec::new();
        for part in [compute, files] {
            match part {
                Ok(part) => owners.extend(part),
                Err(error) => missed.push(error),
            }
        }
        let owners = owners.into_iter().map(|owner| (owner, None));
        let found = by_deployment(owners.chain(balancing), listeners.first());
        Ok(Leftovers { found, rules, missed })
    }
}

async fn within(
    limit: Duration,
    what: &str,
    listing: impl Future<Output = Result<Vec<Owner>, CloudError>>,
) -> Result<Vec<Owner>, CloudError> {
    timeout(limit, listing).await.unwrap_or_else(|_| {
        let why = format!("AWS did not list {what} within {} s.", limit.as_secs());
        Err(CloudError::new(ErrorKind::Unknown, why, "Look again in a while."))
    })
}

/// Sorted by installation, then by deployment.
fn by_deployment(
    owners: impl Iterator<Item = (Owner, Option<ListenerId>)>,
    anywhere: Option<&ListenerId>,
) -> Vec<Leftover> {
    let mut found: BTreeMap<(InstallationId, DeploymentId), Leftover> = BTreeMap::new();
    for (owner, listener) in owners {
        let leftover = found
            .entry((owner.installation, owner.deployment))
            .or_insert_with(|| Leftover {
                installation: owner.installation,
                deployment: owner.deployment,
                places: BTreeSet::new(),
                listener: None,
            });
        leftover.places.insert(owner.logical_id);
        leftover.listener = leftover.listener.take().or(listener);
    }
    for leftover in found.values_mut() {
        leftover.listener = leftover.listener.take().or_else(|| anywhere.cloned());
    }
    found.into_values().collect()
}

#[cfg(test)]
mod tests {
    use arya_plan::identity::{Arm, RuleKind};
    use uuid::Uuid;

    use super::*;

    fn owner(deployment: u128, logical_id: LogicalId) -> Owner {
        Owner {
            installation: InstallationId::new(Uuid::from_u128(1)),
            deployment: DeploymentId::new(Uuid::from_u128(deployment)),
            logical_id,
            incarnation: 1,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_listing_that_hangs_is_missed_and_not_waited_for() {
        let missed = within(BY_TAG_WITHIN, "buckets", std::future::pending())
            .await
            .unwrap_err();
        assert_eq!(missed.what, "AWS did not list buckets within 120 s.");
    }

    #[test]
    fn a_deployment_is_looked_for_where_its_rule_stands_and_else_anywhere() {
        let (first, second) = (ListenerId::new("first"), ListenerId::new("second"));
        let owners = [
            (owner(1, LogicalId::Bucket), None),
            (owner(1, LogicalId::Rule(RuleKind::Main)), Some(second.clone())),
            (owner(2, LogicalId::TargetGroup(Arm::Canary)), None),
        ];
        let found = by_deployment(owners.into_iter(), Some(&first));
        let places: Vec<usize> = found.iter().map(|one| one.places.len()).collect();
        let listeners: Vec<_> = found.into_iter().map(|one| one.listener).collect();
        assert_eq!(places, [2, 1]);
        assert_eq!(listeners, [Some(second), Some(first)]);
    }
}
