//! Taking away what is left, from credentials and tags alone: the engine's own loop on a store in memory, so that what
//! removes with a server is what removes without one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use arya_aws::{AwsCloud, Leftover};
use arya_engine::{EVENTS_AT_ONCE, EngineSettings, Reconciler, Report, Store};
use arya_judge::{JudgeConfig, Timestamp};
use arya_plan::cloud::{Cloud as _, CloudError, ErrorKind};
use arya_plan::desired::{Actor, Desired};
use arya_plan::identity::{DeploymentId, LogicalId, RuleKind};
use arya_plan::listener::{ListenerId, LoadBalancerId, Rule, Site};
use arya_plan::observed::Observed;
use arya_plan::proof::RestoreProof;
use arya_plan::remains::remains;
use arya_plan::timing::Timing;
use tokio::time::{Instant, sleep};

use super::Nowhere;

/// Settling, draining and instances that end take some minutes.
const WITHIN: Duration = Duration::from_secs(30 * 60);
/// The same *no* so many looks in a row is the answer.
const ERRORS_IN_A_ROW: u32 = 10;
/// Between two first looks that were asked for patience.
const WHEN_THROTTLED: Duration = Duration::from_secs(2);
/// Who is named where somebody is.
const BY: &str = "You";
/// A listener that no account has: where an account has none at all, looking for our rules there finds nothing.
const NO_LISTENER: &str = "listener/app/none/0000000000000000/0000000000000000";

/// What stands, and where it was found.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// By what name the configuration has it.
    pub(crate) connection: String,
    pub(crate) cloud: AwsCloud,
    pub(crate) leftover: Leftover,
}

impl Found {
    pub(crate) fn id(&self) -> DeploymentId {
        self.leftover.deployment
    }

    /// What stands, in words.
    pub(crate) fn places(&self) -> Vec<String> {
        self.leftover.places.iter().map(ToString::to_string).collect()
    }

    fn desired(&self, now: Timestamp) -> Desired {
        let identity = self.cloud.identity();
        let nowhere = || {
            let (region, account) = (&identity.region, &identity.account);
            ListenerId::new(format!("arn:aws:elasticloadbalancing:{region}:{account}:{NO_LISTENER}"))
        };
        let Leftover {
            installation,
            deployment,
            listener,
            ..
        } = &self.leftover;
        let listener = listener.clone().unwrap_or_else(nowhere);
        remains(*deployment, *installation, &self.connection, listener, now)
    }

    /// Whether users may still be sent to it, and so it goes before others.
    pub(crate) fn has_users(&self) -> bool {
        self.leftover.places.contains(&LogicalId::Rule(RuleKind::Main))
    }

    /// Removes it, saying each step; answers the proof.
    pub(crate) async fn remove(&self, timing: Timing, say: impl FnMut(&str)) -> anyhow::Result<RestoreProof> {
        self.begin(timing).await?.finish(say).await
    }

    /// Takes it in, as what is to be removed. Nothing is removed yet.
    pub(crate) async fn begin(&self, timing: Timing) -> anyhow::Result<Removal> {
        let settings = EngineSettings::new(timing, JudgeConfig::default());
        let now = settings.clock.now();
        let (id, desired) = (self.id(), self.desired(now));
        let seen = self.look(&desired, now).await?;
        let before = seen.site.map_or_else(|| no_site(&desired), |site| without(site, id));
        let store = Arc::new(Store::in_memory()?);
        store.create(&desired, &before, &Actor::Person(BY.into()), now)?;
        Ok(Removal {
            id,
            // That it was taken in is no news.
            told: store.latest_events(&id, 1)?.first().map_or(0, |event| event.seq),
            reconciler: Reconciler::new(store.clone(), self.cloud.clone(), Nowhere, settings),
            store,
        })
    }

    /// Who is asked for patience has some.
    async fn look(&self, desired: &Desired, now: Timestamp) -> Result<Observed, CloudError> {
        let began = Instant::now();
        loop {
            match self.cloud.observe(desired, now).await {
                Err(error) if error.kind == ErrorKind::Throttled && began.elapsed() < WITHIN => {
                    sleep(WHEN_THROTTLED).await;
                }
                seen => return seen,
            }
        }
    }
}

/// One that is on its way out.
#[derive(Debug)]
pub(crate) struct Removal {
    id: DeploymentId,
    store: Arc<Store>,
    reconciler: Reconciler<AwsCloud, Nowhere>,
    /// The last event that was said.
    told: u64,
}

impl Removal {
    /// Deletes the rule that sends it users, saying each step.
    pub(crate) async fn take_users_away(&mut self, say: impl FnMut(&str)) -> anyhow::Result<()> {
        let id = self.id;
        let has_none = |report: &Report| {
            let seen = report.observed.as_ref().filter(|_| report.cloud_error.is_none());
            seen.is_some_and(|seen| seen.our_rule(&id, RuleKind::Main).is_none())
        };
        self.until(say, |report| report.closed_at.is_some() || has_none(report))
            .await
            .map(drop)
    }

    /// Removes all of it, saying each step; answers the proof. What cannot be removed now is tried again for half an hour.
    pub(crate) async fn finish(&mut self, say: impl FnMut(&str)) -> anyhow::Result<RestoreProof> {
        let report = self.until(say, |report| report.closed_at.is_some()).await?;
        report.restore_proof.context("it closed without its proof")
    }

    async fn until(&mut self, mut say: impl FnMut(&str), is_it: impl Fn(&Report) -> bool) -> anyhow::Result<Report> {
        let (began, mut failures) = (Instant::now(), Failures::default());
        loop {
            let report = self.reconciler.tick(&self.id).await?;
            for event in self.store.events(&self.id, self.told, EVENTS_AT_ONCE)? {
                self.told = event.seq;
                say(&event.sentence);
            }
            if is_it(&report) {
                return Ok(report);
            }
            failures.count(report.cloud_error.as_deref(), report.cloud_said)?;
            if began.elapsed() > WITHIN {
                bail!("It is not gone after {} minutes; run it again.", WITHIN.as_secs() / 60);
            }
            sleep(report.plan.map_or(Duration::from_secs(1), |plan| plan.look_again_in)).await;
        }
    }
}

/// How often the cloud said the same *no*.
#[derive(Debug, Default)]
struct Failures {
    last: Option<String>,
    in_a_row: u32,
}

impl Failures {
    /// To be asked for patience is no *no*: everybody who is removed at the same time shares one allowance.
    fn count(&mut self, error: Option<&str>, kind: Option<ErrorKind>) -> anyhow::Result<()> {
        if kind == Some(ErrorKind::Throttled) {
            return Ok(());
        }
        self.in_a_row = match error {
            None => 0,
            error if error == self.last.as_deref() => self.in_a_row + 1,
            Some(_) => 1,
        };
        self.last = error.map(str::to_owned);
        match &self.last {
            Some(error) if self.in_a_row >= ERRORS_IN_A_ROW => bail!("{error} What is left stays; run it again."),
            Some(_) | None => Ok(()),
        }
    }
}

/// The listener as it will be: without the rules of this deployment.
fn without(mut site: Site, id: DeploymentId) -> Site {
    let ours = |rule: &Rule| rule.owner.as_ref().is_some_and(|owner| owner.deployment == id);
    site.rules.retain(|rule| !ours(rule));
    site
}

fn no_site(desired: &Desired) -> Site {
    Site {
        listener: desired.spec.listener.clone(),
        load_balancer: LoadBalancerId::new("none"),
        load_balancer_name: "none".into(),
        address: String::new(),
        port: 0,
        rules: vec![],
        groups: BTreeMap::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_no_ten_times_is_the_answer_and_patience_is_asked_for_as_often_as_it_takes() {
        let mut failures = Failures::default();
        for _ in 0..1_000 {
            failures.count(Some("patience"), Some(ErrorKind::Throttled)).unwrap();
        }
        let mut refused = || failures.count(Some("lacks a right"), Some(ErrorKind::Refused));
        for _ in 1..ERRORS_IN_A_ROW {
            refused().unwrap();
        }
        let said = refused().unwrap_err().to_string();
        assert!(said.starts_with("lacks a right What is left stays"), "{said}");
        failures.count(None, None).unwrap();
        failures.count(Some("lacks a right"), Some(ErrorKind::Refused)).unwrap();
    }
}
