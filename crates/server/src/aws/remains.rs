//! Taking away what is left, from credentials and tags alone: the engine's own loop on a store in memory, so that what
//! removes with a server is what removes without one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use arya_aws::{AwsCloud, Leftover};
use arya_engine::{EVENTS_AT_ONCE, EngineSettings, Reconciler, Report, STEP_AT_MOST, Store};
use arya_judge::{JudgeConfig, Timestamp};
use arya_plan::cloud::{Cloud as _, ErrorKind};
use arya_plan::desired::{Actor, Desired};
use arya_plan::identity::{DeploymentId, LogicalId, RuleKind};
use arya_plan::listener::{ListenerId, LoadBalancerId, Rule, Site};
use arya_plan::observed::Observed;
use arya_plan::plan::Step;
use arya_plan::proof::RestoreProof;
use arya_plan::remains::remains;
use arya_plan::timing::Timing;
use tokio::time::{Instant, sleep, timeout};

use super::Nowhere;

/// Settling, draining and instances that end take some minutes.
const WITHIN: Duration = Duration::from_secs(30 * 60);
/// The same *no* so many looks in a row is the answer.
const ERRORS_IN_A_ROW: u32 = 10;
/// Taking users away is one short call. What cannot be done within this keeps nobody else's users waiting any longer.
const USERS_AWAY_WITHIN: Duration = Duration::from_secs(120);
/// Between two tries of that, and between two first looks.
const BETWEEN_TRIES: Duration = Duration::from_secs(2);
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

    /// Takes users away and then removes all of it, saying each step; answers the proof.
    pub(crate) async fn remove(&self, timing: Timing, mut say: impl FnMut(&str)) -> anyhow::Result<RestoreProof> {
        self.take_users_away(&mut say).await?;
        self.remove_the_rest(timing, say).await
    }

    /// Deletes the rule that sends it users, if one was found. Nothing is looked at before but that rule's listener: whatever
    /// else of the account does not answer has no say in this.
    pub(crate) async fn take_users_away(&self, mut say: impl FnMut(&str)) -> anyhow::Result<()> {
        if !self.has_users() {
            return Ok(());
        }
        let desired = self.desired(Timestamp::now());
        let step = Step::DeleteRule { kind: RuleKind::Main };
        let apply = || async {
            let done = self.cloud.apply(&desired, &step).await;
            done.map_err(|error| (error.to_string(), error.kind))
        };
        tried(apply).await?;
        say("The main rule is deleted; users go where production's own rules send them.");
        Ok(())
    }

    /// Removes what users are not sent to, saying each step; answers the proof.
    pub(crate) async fn remove_the_rest(&self, timing: Timing, say: impl FnMut(&str)) -> anyhow::Result<RestoreProof> {
        self.begin(timing).await?.finish(say).await
    }

    /// Takes it in, as what is to be removed. Nothing is removed yet.
    async fn begin(&self, timing: Timing) -> anyhow::Result<Removal> {
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

    /// The first look that is complete.
    async fn look(&self, desired: &Desired, now: Timestamp) -> anyhow::Result<Observed> {
        let (began, mut failures) = (Instant::now(), Failures::default());
        loop {
            match self.cloud.observe(desired, now).await {
                Ok(seen) => return Ok(seen),
                Err(error) if began.elapsed() < WITHIN => failures.count(Some(&error.to_string()), Some(error.kind))?,
                Err(error) => return Err(error.into()),
            }
            sleep(BETWEEN_TRIES).await;
        }
    }
}

/// Tries until it is done, the same *no* came too often, or its time is over.
async fn tried<F>(step: impl Fn() -> F) -> anyhow::Result<()>
where
    F: Future<Output = Result<(), (String, ErrorKind)>>,
{
    let mut failures = Failures::default();
    let tries = async {
        loop {
            let late = |_| {
                let what = format!("AWS did not answer within {} s.", STEP_AT_MOST.as_secs());
                Err((what, ErrorKind::Unknown))
            };
            match timeout(STEP_AT_MOST, step()).await.unwrap_or_else(late) {
                Ok(()) => return Ok(()),
                Err((error, kind)) => failures.count(Some(&error), Some(kind))?,
            }
            sleep(BETWEEN_TRIES).await;
        }
    };
    timeout(USERS_AWAY_WITHIN, tries).await.unwrap_or_else(|_| {
        Err(anyhow!(
            "Users could not be taken away within {} s. What is left stays; begin again.",
            USERS_AWAY_WITHIN.as_secs()
        ))
    })
}

/// One that is on its way out.
#[derive(Debug)]
struct Removal {
    id: DeploymentId,
    store: Arc<Store>,
    reconciler: Reconciler<AwsCloud, Nowhere>,
    /// The last event that was said.
    told: u64,
}

impl Removal {
    /// Removes all of it, saying each step; answers the proof. What cannot be removed now is tried again for half an hour.
    async fn finish(mut self, say: impl FnMut(&str)) -> anyhow::Result<RestoreProof> {
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
                bail!(
                    "It is not gone after {} minutes. What is left stays; begin again.",
                    WITHIN.as_secs() / 60
                );
            }
            sleep(report.plan.map_or(Duration::from_secs(1), |plan| plan.look_again_in)).await;
        }
    }
}

/// How often the cloud said the same *no*.
#[derive(Debug, Default)]
struct Failures {
    last: Option<(String, Option<ErrorKind>)>,
    in_a_row: u32,
}

impl Failures {
    /// To be asked for patience is no *no*: everybody who is removed at the same time shares one allowance. Of several
    /// rights that are missing each look names another one, which is the same *no*.
    fn count(&mut self, error: Option<&str>, kind: Option<ErrorKind>) -> anyhow::Result<()> {
        if kind == Some(ErrorKind::Throttled) {
            return Ok(());
        }
        let is_same = self.last.as_ref().is_some_and(|(said, of)| {
            Some(said.as_str()) == error || (kind == Some(ErrorKind::Refused) && *of == kind)
        });
        self.in_a_row = match error {
            None => 0,
            Some(_) if is_same => self.in_a_row + 1,
            Some(_) => 1,
        };
        self.last = error.map(|error| (error.to_owned(), kind));
        match &self.last {
            Some((error, _)) if self.in_a_row >= ERRORS_IN_A_ROW => bail!("{error} What is left stays; begin again."),
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
    use std::cell::Cell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn users_are_taken_away_at_the_first_yes_and_a_no_holds_nobody_up_for_long() {
        let asked = Cell::new(0);
        let answers = async |number: u32| match number {
            1 => Err(("patience".to_owned(), ErrorKind::Throttled)),
            2 => std::future::pending().await,
            3 => Err(("lost".to_owned(), ErrorKind::Unknown)),
            _ => Ok(()),
        };
        tried(|| answers(asked.replace(asked.get() + 1) + 1)).await.unwrap();
        assert_eq!(asked.get(), 4);

        for (kind, said) in [
            (ErrorKind::Refused, "lacks a right"),
            (ErrorKind::Throttled, "within 120 s"),
        ] {
            let began = Instant::now();
            let refused = tried(|| async move { Err(("lacks a right".to_owned(), kind)) })
                .await
                .unwrap_err()
                .to_string();
            assert!(refused.contains(said) && refused.contains("stays"), "{refused}");
            assert!(began.elapsed() <= USERS_AWAY_WITHIN, "{:?}", began.elapsed());
        }
        let began = Instant::now();
        tried(std::future::pending).await.unwrap_err();
        assert!(began.elapsed() <= USERS_AWAY_WITHIN, "{:?}", began.elapsed());
    }

    #[test]
    fn the_same_no_ten_times_is_the_answer_and_patience_is_asked_for_as_often_as_it_takes() {
        let mut failures = Failures::default();
        for _ in 0..1_000 {
            failures.count(Some("patience"), Some(ErrorKind::Throttled)).unwrap();
        }
        let mut number = 0;
        let mut refused = || {
            number += 1;
            failures.count(Some(&format!("lacks right {}", number % 2)), Some(ErrorKind::Refused))
        };
        for _ in 1..ERRORS_IN_A_ROW {
            refused().unwrap();
        }
        let said = refused().unwrap_err().to_string();
        assert!(said.starts_with("lacks right 0 What is left stays"), "{said}");
        failures.count(None, None).unwrap();
        failures.count(Some("lacks a right"), Some(ErrorKind::Refused)).unwrap();
    }
}
