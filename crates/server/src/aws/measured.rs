//! Where evidence comes from on AWS: the load balancer's own numbers for what clients saw, the deployment's monitor for
//! everything else. One place per metric, never two mixed.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::{Mutex, MutexGuard, PoisonError};

use arya_judge::source::Origin;
use arya_judge::source::pack::{Signal, error_share_of_clients, latency_at_the_balancer};
use arya_judge::{Evidence, MetricConfig, MetricSource, SourceError, Timestamp};

use jiff::SignedDuration;

use super::Accounts;
use crate::sources::COUNTED_BY_THE_BALANCER;

/// Monitors boot beside the arms, but fetch more. One that has shown nothing after this long is not waited for: what is
/// chosen then stays chosen, so that no metric is read in two places. Waiting costs nothing, since the load balancer's
/// numbers are judged meanwhile. Below the engine's own patience, [`arya_engine::CHOSEN_WITHIN`].
const SHOWN_WITHIN: SignedDuration = SignedDuration::from_secs(150);
/// What the arms show is chosen from once it has been the same for this long: many series exist only from the first
/// request on, and exporters are not all scraped at the same moment.
const SAME_FOR: SignedDuration = SignedDuration::from_secs(15);
/// More deployments than can be live.
const ASKED_MAX: usize = 1024;

/// The load balancers of every account, and the monitors of its deployments.
#[derive(Debug)]
pub(crate) struct Measured {
    accounts: Accounts,
    /// Deployments whose metrics are not chosen yet.
    asked: Mutex<HashMap<String, Asked>>,
}

/// What is known of a choice that is not made yet.
#[derive(Debug)]
struct Asked {
    since: Timestamp,
    /// What would be chosen now, and since when.
    shown: Vec<MetricConfig>,
    shown_since: Timestamp,
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
        let now_shown = shown.as_ref().ok().and_then(Option::as_deref);
        if !self.settles(deployment, now_shown, now) {
            // What it said instead is told once it is given up.
            return Ok(None);
        }
        let chosen = match shown {
            Ok(Some(shown)) => shown,
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
    fn settles(&self, deployment: &str, shown: Option<&[MetricConfig]>, now: Timestamp) -> bool {
        let mut all = self.asked();
        if all.len() >= ASKED_MAX && !all.contains_key(deployment) {
            all.clear();
        }
        let asked = all.entry(deployment.to_owned()).or_insert_with(|| Asked::first(now));
        asked.settles(shown, now)
    }

    fn asked(&self) -> MutexGuard<'_, HashMap<String, Asked>> {
        // Nothing panics while it is held.
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Asked {
    fn first(now: Timestamp) -> Self {
        Self {
            since: now,
            shown: Vec::new(),
            shown_since: now,
        }
    }

    /// Whether to choose now, from what is `shown` or without it.
    fn settles(&mut self, shown: Option<&[MetricConfig]>, now: Timestamp) -> bool {
        if let Some(shown) = shown
            && self.shown != shown
        {
            self.shown = shown.to_vec();
            self.shown_since = now;
        }
        let whole = shown.is_some_and(|shown| shown.iter().any(times_answers));
        (whole && now.duration_since(self.shown_since) >= SAME_FOR) || now.duration_since(self.since) >= SHOWN_WITHIN
    }
}

/// Whether it is the service's own time to answer, which appears with its first requests.
fn times_answers(metric: &MetricConfig) -> bool {
    let times = [Signal::Latency, Signal::CallLatency];
    times.iter().any(|signal| signal.name() == metric.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::{ConnectionConfig, Shared};
    use arya_engine::Clock;
    use arya_judge::source::pack::BALANCERS_LATENCY;
    use futures_util::FutureExt as _;

    #[test]
    fn a_choice_is_made_before_the_engine_does_without() {
        assert!(SHOWN_WITHIN < arya_engine::CHOSEN_WITHIN);
    }

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

    #[test]
    fn what_appears_with_the_first_requests_is_waited_for() {
        let at = |s| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(s);
        let metric = |signal: Signal| MetricConfig::error_share(signal.name(), "");
        let (early, all) = (
            [metric(Signal::Memory)],
            [metric(Signal::Memory), metric(Signal::Latency)],
        );
        let mut asked = Asked::first(at(0));
        assert!(!asked.settles(Some(&early), at(1)));
        assert!(!asked.settles(Some(&early), at(60)), "nobody was served yet");
        assert!(
            !asked.settles(Some(&all), at(61)),
            "the other exporter may come a moment later"
        );
        assert!(
            !asked.settles(None, at(70)),
            "a monitor that does not answer shows nothing"
        );
        assert!(!asked.settles(Some(&all), at(75)));
        assert!(asked.settles(Some(&all), at(76)));
        let mut silent = Asked::first(at(0));
        assert!(!silent.settles(Some(&early), at(149)));
        assert!(
            silent.settles(Some(&early), at(150)),
            "a service may time nothing at all"
        );
    }
}
