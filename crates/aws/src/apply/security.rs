//! Security groups: the app's port from the load balancer, metrics from the monitor alone, the monitor's port from where
//! the spec says. Nothing else comes in; no port for a shell unless the spec names ranges and a key.

use std::collections::BTreeSet;

use arya_plan::cloud::CloudError;
use arya_plan::desired::Desired;
use arya_plan::identity::{LogicalId, SecurityGroupKind, resource_name};
use arya_plan::spec::Reach;
use arya_plan::user_data::monitor::{DOOR_PORT, NODE_EXPORTER_PORT};
use aws_sdk_ec2::types::{self as ec2, IpPermission, IpRange, Ipv6Range, ResourceType, UserIdGroupPair};

use crate::Inner;
use crate::calls::Call;
use crate::error::{Meaning, OrGone as _, ask};
use crate::tags::{ec2_tags, of_place, on_creation, owner};

/// SSH.
const SHELL_PORT: u16 = 22;

/// What may come in, from whom.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Opening {
    port: u16,
    from: From,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum From {
    Group(String),
    Range(ipnet::IpNet),
}

impl Inner {
    pub(super) async fn security_group(
        &self,
        desired: &Desired,
        kind: SecurityGroupKind,
    ) -> Result<Option<ec2::SecurityGroup>, CloudError> {
        let filters = of_place(desired, LogicalId::SecurityGroup(kind));
        Ok(self.security_groups(filters).await?.into_iter().next())
    }

    pub(super) async fn create_security_group(
        &self,
        desired: &Desired,
        kind: SecurityGroupKind,
    ) -> Result<(), CloudError> {
        let place = LogicalId::SecurityGroup(kind);
        let stands = self.security_group(desired, kind).await?.is_some();
        if !stands {
            let name = resource_name(&desired.id, place);
            let tags = ec2_tags(desired, &owner(desired, place, 1));
            let request = self.clients.changing.ec2.create_security_group();
            let request = request
                .vpc_id(self.vpc(desired).await?)
                .description(format!("arya:{}", desired.spec.name))
                .group_name(name)
                .tag_specifications(on_creation(ResourceType::SecurityGroup, &tags));
            match ask(Call::CreateSecurityGroup, request.send()).await {
                Ok(_) => {}
                // Made by a try whose answer was lost, and listed late.
                Err(failure) if failure.meaning == Meaning::There => return Ok(()),
                Err(failure) => return Err(failure.into()),
            }
        }
        // Everything is opened in one call, with the first launch at the latest.
        if kind == SecurityGroupKind::App
            && self
                .security_group(desired, SecurityGroupKind::Monitor)
                .await?
                .is_none()
        {
            return Ok(());
        }
        self.complete_security_group(desired, kind).await.map(drop)
    }

    /// The group's id, once everything is open in it that should be: a try that died between making it and opening its
    /// ports left it shut. `None` while it does not stand.
    pub(super) async fn complete_security_group(
        &self,
        desired: &Desired,
        kind: SecurityGroupKind,
    ) -> Result<Option<String>, CloudError> {
        let _one_at_a_time = self.opening.lock().await;
        let Some(group) = self.security_group(desired, kind).await? else {
            return Ok(None);
        };
        let id = group.group_id().unwrap_or_default().to_owned();
        let wanted = match kind {
            SecurityGroupKind::App => self.app_openings(desired).await?,
            SecurityGroupKind::Monitor => monitor_openings(desired),
        };
        let missing = missing(&wanted, group.ip_permissions());
        if !missing.is_empty() && self.open(&id, missing.clone()).await? == Opened::NotAll {
            // One of them is open already, and EC2 then opened none: each by itself.
            for one in missing {
                self.open(&id, vec![one]).await?;
            }
        }
        Ok(Some(id))
    }

    async fn open(&self, group: &str, permissions: Vec<IpPermission>) -> Result<Opened, CloudError> {
        let request = self.clients.changing.ec2.authorize_security_group_ingress();
        let request = request.group_id(group).set_ip_permissions(Some(permissions));
        match ask(Call::AuthorizeSecurityGroupIngress, request.send()).await {
            Ok(_) => Ok(Opened::All),
            Err(failure) if failure.meaning == Meaning::There => Ok(Opened::NotAll),
            Err(failure) => Err(failure.into()),
        }
    }

    /// Without the monitor's group only what does not name it: the rest is opened when the monitor is launched.
    async fn app_openings(&self, desired: &Desired) -> Result<Vec<Opening>, CloudError> {
        let (_, balancer) = self.door(desired).await?;
        let port = desired.spec.app.port;
        let from_balancer = balancer.security_groups().iter().map(|group| Opening {
            port,
            from: From::Group(group.clone()),
        });
        let monitor = self.security_group(desired, SecurityGroupKind::Monitor).await?;
        let monitor = monitor.and_then(|group| group.group_id).into_iter();
        let exporters = desired.spec.exporters.iter().map(|exporter| exporter.port);
        let watched: BTreeSet<u16> = exporters.chain([NODE_EXPORTER_PORT]).collect();
        let from_monitor = monitor.flat_map(|id| {
            watched.iter().map(move |port| Opening {
                port: *port,
                from: From::Group(id.clone()),
            })
        });
        let shell = shell_openings(desired);
        Ok(from_balancer.chain(from_monitor).chain(shell).collect())
    }

    pub(super) async fn delete_security_group(
        &self,
        desired: &Desired,
        kind: SecurityGroupKind,
    ) -> Result<(), CloudError> {
        self.memory.secured.forget(&desired.id);
        let filters = of_place(desired, LogicalId::SecurityGroup(kind));
        for group in self.security_groups(filters).await? {
            let request = self.clients.changing.ec2.delete_security_group();
            let request = request.set_group_id(group.group_id);
            ask(Call::DeleteSecurityGroup, request.send()).await.or_gone()?;
        }
        Ok(())
    }
}

/// A key opens nothing by itself: whoever has it comes from the networks that the spec names.
fn shell_openings(desired: &Desired) -> Vec<Opening> {
    let ranges = desired.spec.shell_from().iter();
    let opening = |range: &ipnet::IpNet| Opening {
        port: SHELL_PORT,
        from: From::Range(range.trunc()),
    };
    ranges.map(opening).collect()
}

fn monitor_openings(desired: &Desired) -> Vec<Opening> {
    let monitor = &desired.spec.monitor;
    match monitor.reach {
        Reach::Vpc | Reach::Public => {
            let ranges = monitor.allow_cidrs.iter();
            let opening = |range: &ipnet::IpNet| Opening {
                port: DOOR_PORT,
                // As AWS keeps it: without the bits behind the prefix.
                from: From::Range(range.trunc()),
            };
            ranges.map(opening).collect()
        }
        Reach::Bucket => vec![],
    }
}

/// What an answer says of several openings together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opened {
    All,
    NotAll,
}

/// Each once: EC2 refuses a call that names one twice.
fn missing(wanted: &[Opening], open: &[IpPermission]) -> Vec<IpPermission> {
    let mut missing: Vec<&Opening> = Vec::new();
    for opening in wanted {
        if !missing.contains(&opening) && !open.iter().any(|one| opens(one, opening)) {
            missing.push(opening);
        }
    }
    missing.into_iter().map(permission).collect()
}

fn permission(opening: &Opening) -> IpPermission {
    let port = i32::from(opening.port);
    let builder = IpPermission::builder().ip_protocol("tcp").from_port(port).to_port(port);
    match &opening.from {
        From::Group(id) => builder.user_id_group_pairs(UserIdGroupPair::builder().group_id(id).build()),
        From::Range(ipnet::IpNet::V4(range)) => {
            builder.ip_ranges(IpRange::builder().cidr_ip(range.to_string()).build())
        }
        From::Range(ipnet::IpNet::V6(range)) => {
            builder.ipv6_ranges(Ipv6Range::builder().cidr_ipv6(range.to_string()).build())
        }
    }
    .build()
}

fn opens(open: &IpPermission, opening: &Opening) -> bool {
    let port = Some(i32::from(opening.port));
    let same_port = open.ip_protocol() == Some("tcp") && open.from_port() == port && open.to_port() == port;
    let from = match &opening.from {
        From::Group(id) => open
            .user_id_group_pairs()
            .iter()
            .any(|pair| pair.group_id() == Some(id)),
        From::Range(range) => {
            let range = range.to_string();
            open.ip_ranges().iter().any(|one| one.cidr_ip() == Some(&range))
                || open.ipv6_ranges().iter().any(|one| one.cidr_ipv6() == Some(&range))
        }
    };
    same_port && from
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_twice_is_opened_once() {
        let opening = |port| Opening {
            port,
            from: From::Group("sg-1".into()),
        };
        let wanted = [opening(8080), opening(9100), opening(8080)];
        assert_eq!(
            missing(&wanted, &[]),
            [permission(&opening(8080)), permission(&opening(9100))]
        );
        assert_eq!(
            missing(&wanted, &[permission(&opening(9100))]),
            [permission(&opening(8080))]
        );
    }

    #[test]
    fn what_is_open_is_not_opened_again() {
        let group = Opening {
            port: 8080,
            from: From::Group("sg-1".into()),
        };
        let range = |text: &str| Opening {
            port: 443,
            from: From::Range(text.parse().unwrap()),
        };
        for opening in [group.clone(), range("10.0.0.0/8"), range("2001:db8::/32")] {
            assert!(opens(&permission(&opening), &opening));
        }
        let elsewhere = Opening {
            port: 9100,
            ..group.clone()
        };
        assert!(!opens(&permission(&elsewhere), &group));
        assert!(!opens(&permission(&range("10.0.0.0/8")), &range("10.0.0.0/16")));
    }
}
