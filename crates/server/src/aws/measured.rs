//! Where evidence comes from on AWS: the load balancer's own numbers for what clients saw, the deployment's monitor for
//! everything else. One place per metric, never two mixed.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::{Mutex, MutexGuard, PoisonError};

use arya_judge::source::Origin;
use arya_judge::source::pack::{error_share_of_clients, latency_at_the_balancer};
use arya_judge::{Evidence, MetricConfig, MetricSource, SourceError, Timestamp};

use jiff::SignedDuration;

use super::Accounts;
use crate::sources::COUNTED_BY_THE_BALANCER;

/// Monitors boot beside the arms, but fetch more. One that has shown nothing after this long is not waited for: what is
/// chosen then stays chosen, so that no metric is read in two places. Waiting costs nothing, since the load balancer's
/// numbers are judged meanwhile. Below the engine's own patience.
const SHOWN_WITHIN: SignedDuration = SignedDuration::from_secs(150);
/// More deployments than can be live.
const ASKED_MAX: usize = 1024;

/// The load balancers of every account, and the monitors of its deployments.
#[derive(Debug)]
pub(crate) struct Measured {
    accounts: Accounts,
    /// Deployments whose metrics are not chosen yet, with the moment at which that was asked first.
    asked: Mutex<HashMap<String, Timestamp>>,
}

impl Measured {
    pub(crate) fn of(accounts: Accounts) -> Self {
        Self {
            accounts,
            asked: Mutex::default(),
        }
    }

    /// What every deployment is judged by, whatever else is known of its arms. Each name stands for one place, so that
    /// what was measured before the choice is never taken for what the monitor showed after it.
    pub(crate) fn always() -> Vec<MetricConfig> {
        vec![error_share_of_clients(), latency_at_the_balancer()]
    }
}

impl MetricSource for Measured {
    async fn evidence(
        &self,
        deployment: &str,
        metric: &MetricConfig,
        window: RangeInclusive<Timestamp>,
    ) -> Result<Evidence, SourceError> {
        match metric.from {
            Origin::ClientsSaw | Origin::TargetsSaid => {
                let cloud = self.accounts.measuring(deployment).ok_or_else(|| SourceError::NoData {
                    what: "no look has found both target groups yet".into(),
                })?;
                cloud.evidence(deployment, metric, window).await
            }
            Origin::Series(_) => {
                let monitor = self.accounts.watching(deployment).ok_or_else(|| SourceError::NoData {
                    what: "the deployment's monitor is not ready".into(),
                })?;
                monitor.ask(|series| series.evidence(deployment, metric, window)).await
            }
        }
    }

    async fn metrics(&self, deployment: &str, now: Timestamp) -> Result<Option<Vec<MetricConfig>>, SourceError> {
        let shown = match self.accounts.watching(deployment) {
            Some(monitor) => {
                let asked = monitor.ask(|series| series.choose(deployment, &COUNTED_BY_THE_BALANCER, now));
                asked.await
            }
            None => Ok(None),
        };
        let waited = now.duration_since(self.asked_since(deployment, now));
        let chosen = match shown {
            Ok(Some(shown)) => shown,
            // One that gives no answer yet is asked again; what it said is told once it is given up.
            Ok(None) | Err(_) if waited < SHOWN_WITHIN => return Ok(None),
            Ok(None) | Err(_) => {
                let why = shown
                    .err()
                    .map_or_else(|| "it showed nothing".to_owned(), |error| error.to_string());
                tracing::warn!(
                    deployment,
                    why,
                    "no monitor showed the arms in time; the load balancer's numbers are judged"
                );
                Vec::new()
            }
        };
        self.asked().remove(deployment);
        Ok(Some(Self::always().into_iter().chain(chosen).collect()))
    }
}

impl Measured {
    /// Since when it is asked what the arms of a deployment show.
    fn asked_since(&self, deployment: &str, now: Timestamp) -> Timestamp {
        let mut asked = self.asked();
        if asked.len() >= ASKED_MAX && !asked.contains_key(deployment) {
            asked.clear();
        }
        *asked.entry(deployment.to_owned()).or_insert(now)
    }

    fn asked(&self) -> MutexGuard<'_, HashMap<String, Timestamp>> {
        // Nothing panics while it is held.
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::{ConnectionConfig, Shared};
    use arya_engine::Clock;
    use arya_judge::source::pack::{BALANCERS_LATENCY, Signal};
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

    #[tokio::test]
    async fn without_a_monitor_the_load_balancers_numbers_are_chosen_in_the_end() {
        let connection = ConnectionConfig::of_environment();
        let accounts = Accounts::new(&[connection], &Shared::of_nobody(), &Clock::system());
        let measured = Measured::of(accounts);
        let id = uuid::Uuid::nil().to_string();
        let after = |s| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(s);
        assert_eq!(measured.metrics(&id, after(0)).await, Ok(None));
        assert_eq!(measured.metrics(&id, after(149)).await, Ok(None));
        let chosen = measured.metrics(&id, after(150)).await.unwrap().unwrap();
        assert_eq!(chosen, Measured::always());
        // What the monitor may show later is never under one of these names.
        let balancers: Vec<&str> = chosen.iter().map(|metric| metric.name.as_str()).collect();
        assert_eq!(balancers, ["error share", BALANCERS_LATENCY]);
        let from_series = Signal::ALL
            .iter()
            .filter(|signal| !COUNTED_BY_THE_BALANCER.contains(signal));
        assert!(
            from_series
                .into_iter()
                .all(|signal| !balancers.contains(&signal.name()))
        );
        assert!(measured.asked().is_empty());
    }
}
