//! The life of a small deployment on an account: it serves, its weights change, it goes, and nothing of it is left, also
//! where something goes wrong in between. `cargo xtask live` has a real account live it; moto shows that it can.
#![allow(clippy::print_stdout, reason = "somebody watches while a real account lives it")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use arya_aws::{AwsCloud, AwsSettings};
use arya_engine::{EngineSettings, Reconciler, Report, Store};
use arya_judge::JudgeConfig;
use arya_plan::cloud::Cloud as _;
use arya_plan::desired::{Actor, Change, Desired};
use arya_plan::identity::RuleKind;
use arya_plan::listener::shares::CanaryPercent;
use arya_plan::phase::Phase;
use arya_plan::spec::Spec;
use arya_plan::timing::Timing;

use crate::common::{Silence, desired};

/// To a share that is not the one it began with, in percent.
const OTHER_SHARE: f64 = 2.0;

/// What is lived, and where.
pub(crate) struct Asked {
    /// Twelve digits. In any other account nothing is done.
    pub(crate) account: String,
    pub(crate) spec: Spec,
    pub(crate) timing: Timing,
    /// For each of: serving, other weights, gone.
    pub(crate) within: Duration,
}

struct Life {
    store: Arc<Store>,
    reconciler: Reconciler<AwsCloud, Silence>,
    desired: Desired,
    within: Duration,
    said: u64,
}

/// Lives it; what went wrong otherwise, in sentences. `between` two looks is whatever else has to happen.
pub(crate) async fn live(mut settings: AwsSettings, asked: Asked, between: impl AsyncFn()) -> Result<(), String> {
    let words = |error: &dyn std::fmt::Display| error.to_string();
    let store = Arc::new(Store::in_memory().map_err(|error| words(&error))?);
    settings.installation = store.installation();
    let cloud = AwsCloud::connect(settings).await.map_err(|error| words(&error))?;
    let found = cloud.identity().account.clone();
    if found != asked.account {
        return Err(format!(
            "The credentials are of account {found}; you named {}. Nothing was done.",
            asked.account
        ));
    }
    let spec = cloud.resolve(&asked.spec).await.map_err(|error| words(&error))?;
    let sites = cloud.discover().await.map_err(|error| words(&error))?;
    let site = sites
        .iter()
        .find(|site| site.listener.as_str() == spec.listener.as_str());
    let site = site.ok_or_else(|| format!("There is no listener {}. Nothing was done.", spec.listener))?;
    let mut desired = desired(spec, site);
    desired.installation = store.installation();
    let by = Actor::Person("live".into());
    let created = store.create(&desired, site, &by, desired.created_at);
    created.map_err(|error| words(&error))?;
    let engine = EngineSettings::new(asked.timing, JudgeConfig::default());
    let mut life = Life {
        reconciler: Reconciler::new(store.clone(), cloud.clone(), Silence, engine),
        store,
        desired,
        within: asked.within,
        said: 0,
    };
    let lived = life.up(&between).await;
    let gone = life.down(&between).await;
    let left = match cloud.list().await {
        Ok(left) if left.is_empty() => Ok(()),
        Ok(left) => Err(format!("After all of it this is left: {left:?}. Run `arya sweep`.")),
        Err(error) => Err(format!("What is left could not be asked: {error}. Run `arya sweep`.")),
    };
    let wrong: Vec<String> = [lived, gone, left].into_iter().filter_map(Result::err).collect();
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(wrong.join("\n"))
    }
}

impl Life {
    async fn up(&mut self, between: &impl AsyncFn()) -> Result<(), String> {
        self.until("serving", between, |report| report.phase == Phase::Serving)
            .await?;
        let canary_percent = CanaryPercent::new(OTHER_SHARE).map_err(|error| error.to_string())?;
        let before = self.weights().await?;
        self.submit(&Change::SetShare { canary_percent })?;
        self.until("at other weights", between, |report| {
            weights(report).is_some_and(|now| now != before)
        })
        .await
        .map(drop)
    }

    async fn down(&mut self, between: &impl AsyncFn()) -> Result<(), String> {
        self.submit(&Change::Destroy)?;
        let report = self
            .until("destroyed", between, |report| report.phase == Phase::Destroyed)
            .await?;
        match report.restore_proof {
            Some(proof) if proof.holds() => Ok(()),
            Some(proof) => Err(format!("The listener is not as it was: {:?}", proof.differences)),
            None => Err("There is no proof that the listener is as it was.".into()),
        }
    }

    async fn weights(&self) -> Result<Vec<u16>, String> {
        let report = self.look().await?;
        weights(&report).ok_or_else(|| "There is no main rule although it serves.".into())
    }

    async fn look(&self) -> Result<Report, String> {
        self.reconciler
            .tick(&self.desired.id)
            .await
            .map_err(|error| error.to_string())
    }

    async fn until(
        &mut self,
        what: &str,
        between: &impl AsyncFn(),
        wanted: impl Fn(&Report) -> bool,
    ) -> Result<Report, String> {
        let begun = Instant::now();
        let mut last = None;
        while begun.elapsed() < self.within {
            let report = self.look().await?;
            self.tell();
            if wanted(&report) {
                println!("== {what} after {:.0} s", begun.elapsed().as_secs_f64());
                return Ok(report);
            }
            let pause = report.plan.as_ref().map(|plan| plan.look_again_in);
            last = report.cloud_error.map(|error| error.to_string()).or(last);
            between().await;
            tokio::time::sleep(pause.unwrap_or(Duration::from_secs(2))).await;
        }
        Err(format!(
            "Not {what} within {} s; the last error: {last:?}",
            self.within.as_secs()
        ))
    }

    /// What happened since, for whoever watches.
    fn tell(&mut self) {
        for event in self.store.events(&self.desired.id, self.said, 100).unwrap_or_default() {
            self.said = self.said.max(event.seq);
            println!("{}", event.sentence);
        }
    }

    fn submit(&self, change: &Change) -> Result<(), String> {
        let by = Actor::Person("live".into());
        let edited = self
            .store
            .edit(&self.desired.id, change, &by, arya_judge::Timestamp::now());
        edited.map(drop).map_err(|error| error.to_string())
    }
}

fn weights(report: &Report) -> Option<Vec<u16>> {
    let rule = report.observed.as_ref()?.our_rule(&report.desired.id, RuleKind::Main)?;
    Some(rule.forward()?.groups.iter().map(|one| one.weight).collect())
}
