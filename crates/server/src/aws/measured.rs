//! Where evidence comes from on AWS: the load balancer's own numbers for what clients saw. One place per metric, never two
//! mixed.

use std::ops::RangeInclusive;

use arya_judge::source::pack::{error_share_of_clients, latency_of_targets};
use arya_judge::{Evidence, MetricConfig, MetricSource, SourceError, Timestamp};

use super::Accounts;

/// The load balancers of every account.
#[derive(Debug)]
pub(crate) struct Measured {
    accounts: Accounts,
}

impl Measured {
    pub(crate) const fn of(accounts: Accounts) -> Self {
        Self { accounts }
    }

    /// What every deployment is judged by, whether or not anything scrapes its arms.
    pub(crate) fn always() -> Vec<MetricConfig> {
        vec![error_share_of_clients(), latency_of_targets()]
    }
}

impl MetricSource for Measured {
    async fn evidence(
        &self,
        deployment: &str,
        metric: &MetricConfig,
        window: RangeInclusive<Timestamp>,
    ) -> Result<Evidence, SourceError> {
        let cloud = self.accounts.measuring(deployment).ok_or_else(|| SourceError::NoData {
            what: "no look has found both target groups yet".into(),
        })?;
        cloud.evidence(deployment, metric, window).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::{ConnectionConfig, Shared};
    use arya_engine::Clock;
    use futures_util::FutureExt as _;

    #[tokio::test]
    async fn evidence_waits_for_no_connection() {
        let never_made = ConnectionConfig::of_environment();
        let accounts = Accounts::new(&[never_made], &Shared::of_nobody(), &Clock::system());
        let measured = Measured::of(accounts);
        let (id, metric) = (uuid::Uuid::nil().to_string(), error_share_of_clients());
        let at = Timestamp::UNIX_EPOCH;
        let asked = measured.evidence(&id, &metric, at..=at).now_or_never();
        assert!(matches!(asked, Some(Err(SourceError::NoData { .. }))), "{asked:?}");
    }
}
