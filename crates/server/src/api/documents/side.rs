//! The two arms and production beside them: instances and their traffic.

use arya_plan::identity::{Arm, Place, Role};
use arya_plan::observed::{Instance, Observed, SideTraffic, Status, TargetHealth, Traffic};
use serde::Serialize;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct InstanceDocument {
    pub(crate) role: Role,
    /// Its place in words, e.g. `canary instance 2`.
    pub(crate) place: String,
    pub(crate) id: String,
    /// Which filling of the place, from 1.
    pub(crate) incarnation: u32,
    pub(crate) state: &'static str,
    /// As the load balancer sees it; `None` for an instance that is not registered.
    pub(crate) health: Option<&'static str>,
    /// Why it is not healthy, in the load balancer's words.
    pub(crate) health_reason: Option<String>,
    pub(crate) address: Option<String>,
    pub(crate) report: Option<Status>,
}

/// One side of the traffic picture.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct SideDocument {
    pub(crate) requests_per_s: f64,
    /// Answers with a 5xx status, in percent; `None` without requests.
    pub(crate) error_percent: Option<f64>,
    pub(crate) p95_ms: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct TrafficDocument {
    pub(crate) window_s: f64,
    pub(crate) production: SideDocument,
    pub(crate) baseline: SideDocument,
    pub(crate) canary: SideDocument,
}

pub(super) fn instances(observed: &Observed) -> Vec<InstanceDocument> {
    observed
        .instances
        .iter()
        .map(|instance| InstanceDocument::of(instance, observed))
        .collect()
}

impl InstanceDocument {
    fn of(instance: &Instance, observed: &Observed) -> Self {
        let health = instance
            .place
            .role
            .arm()
            .and_then(|arm| target_health(observed, arm, instance));
        Self {
            role: instance.place.role,
            place: Place::to_string(&instance.place),
            id: instance.id.clone(),
            incarnation: instance.incarnation,
            state: instance.state.as_str(),
            health: health.map(|health| health.state.as_str()),
            health_reason: health.and_then(|health| health.description.clone().or_else(|| health.reason.clone())),
            address: instance.address.map(|address| address.to_string()),
            report: instance.report.clone(),
        }
    }
}

fn target_health<'o>(observed: &'o Observed, arm: Arm, instance: &Instance) -> Option<&'o TargetHealth> {
    let target = observed.groups.get(&arm)?.target(instance.place)?;
    (target.incarnation == instance.incarnation).then_some(&target.health)
}

impl TrafficDocument {
    pub(super) fn of(traffic: &Traffic) -> Self {
        let side = |side: &SideTraffic| SideDocument {
            requests_per_s: if traffic.window_s > 0.0 {
                side.requests as f64 / traffic.window_s
            } else {
                0.0
            },
            error_percent: (side.requests > 0).then(|| 100.0 * side.errors as f64 / side.requests as f64),
            p95_ms: side.p95_ms,
        };
        Self {
            window_s: traffic.window_s,
            production: side(&traffic.production),
            baseline: side(&traffic.baseline),
            canary: side(&traffic.canary),
        }
    }
}
