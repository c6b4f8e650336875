//! Where evidence comes from in the local world: the load balancer for what clients saw, the monitor for everything else.
//! One place per metric, never two mixed. On AWS see aws/measured.rs: there the load balancer's latency has a name of its own.

use std::ops::RangeInclusive;

use arya_judge::source::Origin;
use arya_judge::source::pack::{Signal, error_share_of_clients, latency_of_targets};
use arya_judge::{Evidence, MetricConfig, MetricSource, SourceError, Timestamp};
use arya_local::live::LiveCloud;

use crate::prometheus::Prometheus;

/// The load balancer counts every answer to a user, so that failures are never judged by the service's own count too.
pub(crate) const COUNTED_BY_THE_BALANCER: [Signal; 1] = [Signal::Errors];

/// Both places.
#[derive(Debug)]
pub(crate) struct Sources {
    pub(crate) balancer: LiveCloud,
    pub(crate) monitor: Prometheus,
}

impl MetricSource for Sources {
    async fn evidence(
        &self,
        deployment: &str,
        metric: &MetricConfig,
        window: RangeInclusive<Timestamp>,
    ) -> Result<Evidence, SourceError> {
        match metric.from {
            Origin::ClientsSaw | Origin::TargetsSaid => self.balancer.evidence(deployment, metric, window).await,
            Origin::Series(_) => self.monitor.evidence(deployment, metric, window).await,
        }
    }

    async fn metrics(&self, deployment: &str, now: Timestamp) -> Result<Option<Vec<MetricConfig>>, SourceError> {
        let shown = self.monitor.choose(deployment, &COUNTED_BY_THE_BALANCER, now).await?;
        Ok(shown.map(|shown| with_the_balancers(shown).map(MetricConfig::on_one_machine).collect()))
    }
}

/// What the arms show, beside what the load balancer tells and they do not.
fn with_the_balancers(shown: Vec<MetricConfig>) -> impl Iterator<Item = MetricConfig> {
    let told = shown.iter().any(|metric| metric.name == Signal::Latency.name());
    let latency = (!told).then(latency_of_targets);
    std::iter::once(error_share_of_clients()).chain(latency).chain(shown)
}
