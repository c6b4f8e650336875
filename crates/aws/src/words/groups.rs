//! Target groups, their attributes, and the health of their targets.

use std::collections::BTreeMap;

use arya_plan::listener::{GroupHealth, GroupSettings, Protocol, TargetStickiness, TargetType};
use arya_plan::observed::{TargetHealth, TargetState};
use aws_sdk_elasticloadbalancingv2::types as elb;

/// AWS's default of `deregistration_delay.timeout_seconds`.
const DEREGISTRATION_DELAY_S: u32 = 300;

/// The names of attributes, as AWS spells them.
pub(crate) mod attribute {
    pub(crate) const DEREGISTRATION_DELAY: &str = "deregistration_delay.timeout_seconds";
    pub(crate) const STICKINESS: &str = "stickiness.enabled";
    pub(crate) const STICKINESS_TYPE: &str = "stickiness.type";
    pub(crate) const ALGORITHM: &str = "load_balancing.algorithm.type";
    pub(crate) const CROSS_ZONE: &str = "load_balancing.cross_zone.enabled";
    /// Below this count of healthy targets a zone's addresses leave DNS, for every group of the load balancer.
    pub(crate) const DNS_FAILOVER: &str = "target_group_health.dns_failover.minimum_healthy_targets.count";
}

pub(crate) type Attributes = BTreeMap<String, String>;

pub(crate) fn attributes(listed: &[elb::TargetGroupAttribute]) -> Attributes {
    let pair = |one: &elb::TargetGroupAttribute| Some((one.key()?.to_owned(), one.value()?.to_owned()));
    listed.iter().filter_map(pair).collect()
}

pub(crate) fn protocol(group: &elb::TargetGroup) -> Protocol {
    match (group.protocol(), group.protocol_version()) {
        (_, Some("GRPC")) => Protocol::Grpc,
        (Some(elb::ProtocolEnum::Https), _) => Protocol::Https,
        (Some(_) | None, _) => Protocol::Http,
    }
}

pub(crate) fn settings(group: &elb::TargetGroup, attributes: &Attributes) -> GroupSettings {
    let is_on = attributes
        .get(attribute::STICKINESS)
        .is_some_and(|value| value == "true");
    let kind = attributes.get(attribute::STICKINESS_TYPE).map(String::as_str);
    let delay = attributes
        .get(attribute::DEREGISTRATION_DELAY)
        .and_then(|seconds| seconds.parse().ok());
    GroupSettings {
        name: group.target_group_name().unwrap_or_default().to_owned(),
        target_type: match group.target_type() {
            Some(elb::TargetTypeEnum::Lambda) => TargetType::Lambda,
            Some(elb::TargetTypeEnum::Ip) => TargetType::Ip,
            Some(_) | None => TargetType::Instance,
        },
        protocol: protocol(group),
        port: group.port().and_then(|port| u16::try_from(port).ok()).unwrap_or(0),
        deregistration_delay_s: delay.unwrap_or(DEREGISTRATION_DELAY_S),
        stickiness: match (is_on, kind) {
            (false, _) => TargetStickiness::Off,
            (true, Some("app_cookie")) => TargetStickiness::AppCookie,
            (true, _) => TargetStickiness::LoadBalancerCookie,
        },
    }
}

/// Registered are those that take requests, or will.
pub(crate) fn health(listed: &[elb::TargetHealthDescription]) -> GroupHealth {
    let states = || listed.iter().map(|target| target_health(target).state);
    let count = |wanted: &dyn Fn(TargetState) -> bool| u32::try_from(states().filter(|state| wanted(*state)).count());
    GroupHealth {
        registered: count(&|state| state != TargetState::Draining).unwrap_or(u32::MAX),
        healthy: count(&|state| state == TargetState::Healthy).unwrap_or(u32::MAX),
    }
}

pub(crate) fn target_health(listed: &elb::TargetHealthDescription) -> TargetHealth {
    let health = listed.target_health();
    let state = match health.and_then(|health| health.state()) {
        Some(elb::TargetHealthStateEnum::Healthy) => TargetState::Healthy,
        Some(elb::TargetHealthStateEnum::Initial) => TargetState::Initial,
        Some(elb::TargetHealthStateEnum::Unhealthy) => TargetState::Unhealthy,
        Some(elb::TargetHealthStateEnum::Unused) => TargetState::Unused,
        Some(elb::TargetHealthStateEnum::Draining | elb::TargetHealthStateEnum::UnhealthyDraining) => {
            TargetState::Draining
        }
        // A state that AWS invented since is not a healthy one.
        Some(_) | None => TargetState::Unavailable,
    };
    TargetHealth {
        state,
        reason: health
            .and_then(|health| health.reason())
            .map(|reason| reason.as_str().to_owned()),
        description: health.and_then(|health| health.description()).map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group() -> elb::builders::TargetGroupBuilder {
        elb::TargetGroup::builder()
            .target_group_name("web")
            .protocol(elb::ProtocolEnum::Http)
            .port(8080)
            .target_type(elb::TargetTypeEnum::Instance)
    }

    fn with(pairs: &[(&str, &str)]) -> Attributes {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn attributes_decide_delay_and_stickiness() {
        let plain = settings(&group().build(), &with(&[]));
        assert_eq!(plain.deregistration_delay_s, 300);
        assert_eq!(plain.stickiness, TargetStickiness::Off);
        let sticky = with(&[
            (attribute::STICKINESS, "true"),
            (attribute::STICKINESS_TYPE, "app_cookie"),
            (attribute::DEREGISTRATION_DELAY, "30"),
        ]);
        let sticky = settings(&group().build(), &sticky);
        assert_eq!(sticky.stickiness, TargetStickiness::AppCookie);
        assert_eq!(sticky.deregistration_delay_s, 30);
    }

    #[test]
    fn grpc_is_a_version_and_lambda_has_no_port() {
        assert_eq!(protocol(&group().protocol_version("GRPC").build()), Protocol::Grpc);
        let lambda = elb::TargetGroup::builder()
            .target_type(elb::TargetTypeEnum::Lambda)
            .build();
        let lambda = settings(&lambda, &with(&[]));
        assert_eq!((lambda.target_type, lambda.port), (TargetType::Lambda, 0));
    }

    #[test]
    fn who_drains_is_not_counted_and_an_unknown_state_is_not_healthy() {
        let target = |state: &str| {
            let health = elb::TargetHealth::builder().state(state.into()).build();
            elb::TargetHealthDescription::builder().target_health(health).build()
        };
        let listed = ["healthy", "draining", "unhealthy.draining", "initial", "enlightened"].map(target);
        assert_eq!(
            health(&listed),
            GroupHealth {
                registered: 3,
                healthy: 1
            }
        );
    }
}
