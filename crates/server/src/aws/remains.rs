//! Taking away what is left, from credentials and tags alone: the engine's own loop on a store in memory, so that what
//! removes with a server is what removes without one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use arya_aws::{AwsCloud, Leftover};
use arya_engine::{EVENTS_AT_ONCE, EngineSettings, Reconciler, Report, Store};
use arya_judge::{JudgeConfig, Timestamp};
use arya_plan::cloud::Cloud as _;
use arya_plan::desired::{Actor, Desired};
use arya_plan::identity::DeploymentId;
use arya_plan::listener::{ListenerId, LoadBalancerId, Rule, Site};
use arya_plan::proof::RestoreProof;
use arya_plan::remains::remains;
use arya_plan::timing::Timing;
use tokio::time::{Instant, sleep};

use super::Nowhere;

/// Settling, draining and instances that end take some minutes.
const WITHIN: Duration = Duration::from_secs(30 * 60);
/// The same *no* so many looks in a row is the answer.
const ERRORS_IN_A_ROW: u32 = 10;
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

    /// Removes it, saying each step; answers the proof. What cannot be removed now is tried again for half an hour.
    pub(crate) async fn remove(&self, timing: Timing, mut say: impl FnMut(&str)) -> anyhow::Result<RestoreProof> {
        let settings = EngineSettings::new(timing, JudgeConfig::default());
        let now = settings.clock.now();
        let (id, desired) = (self.id(), self.desired(now));
        let seen = self.cloud.observe(&desired, now).await?;
        let before = seen.site.map_or_else(|| no_site(&desired), |site| without(site, id));
        let store = Arc::new(Store::in_memory()?);
        store.create(&desired, &before, &Actor::Person(BY.into()), now)?;
        // That it was taken in is no news.
        let mut told = store.latest_events(&id, 1)?.first().map_or(0, |event| event.seq);
        let reconciler = Reconciler::new(store.clone(), self.cloud.clone(), Nowhere, settings);
        let (began, mut failures) = (Instant::now(), Failures::default());
        loop {
            let report = reconciler.tick(&id).await?;
            for event in store.events(&id, told, EVENTS_AT_ONCE)? {
                told = event.seq;
                say(&event.sentence);
            }
            if report.closed_at.is_some() {
                return report.restore_proof.context("it closed without its proof");
            }
            failures.count(&report)?;
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
    fn count(&mut self, report: &Report) -> anyhow::Result<()> {
        self.in_a_row = match &report.cloud_error {
            None => 0,
            error if *error == self.last => self.in_a_row + 1,
            Some(_) => 1,
        };
        self.last.clone_from(&report.cloud_error);
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
