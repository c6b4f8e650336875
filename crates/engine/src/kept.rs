//! What is kept of a deployment's judging, as it was judged: read for those who look closer or judge it again. Nothing is
//! written here.

use arya_judge::backtest::Run;
use arya_judge::{Evidence, JudgeConfig, Outcome, Timestamp};
use arya_plan::identity::DeploymentId;

use crate::Engine;
use crate::reconciler::of_its_protocol;
use crate::store::{Pauses, Store, StoreError, StoredDeployment, epoch};

/// A deployment's latest filling of its arms, with everything that was measured of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    pub id: DeploymentId,
    pub name: String,
    pub created_at: Timestamp,
    pub closed_at: Option<Timestamp>,
    /// What was said last, and when.
    pub said: Option<(Timestamp, Outcome)>,
    pub run: Run,
}

impl Engine {
    /// What is kept of a deployment; `None` = there is no such deployment, or nothing was measured of it.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn kept(&self, id: &DeploymentId) -> Result<Option<Kept>, StoreError> {
        self.store().kept(id, &self.inner.judge)
    }

    /// The same without what was measured, for those who only list: it reads no block. `None` = there is no such deployment,
    /// or nothing was measured of it.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn kept_head(&self, id: &DeploymentId) -> Result<Option<Kept>, StoreError> {
        self.store().kept_head(id, &self.inner.judge)
    }

    /// The configuration of one metric's judging, with what was measured of it; `None` = there is no such deployment or
    /// metric, or nothing was measured.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn kept_metric(&self, id: &DeploymentId, metric: &str) -> Result<Option<(JudgeConfig, Evidence)>, StoreError> {
        let store = self.store();
        let Some(stored) = store.deployment(id)? else {
            return Ok(None);
        };
        let pauses = store.pauses(id)?;
        let config = config_of(store, &stored, &pauses, &self.inner.judge)?;
        let Some(one) = config.metrics.iter().find(|one| one.name == metric) else {
            return Ok(None);
        };
        let evidence = store.judged_evidence(&stored, &pauses, one)?;
        Ok(evidence.map(|evidence| (config, evidence)))
    }
}

impl Store {
    /// What is kept of a deployment, which was judged by its chosen metrics, or by the usual ones without a choice.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn kept(&self, id: &DeploymentId, usual: &JudgeConfig) -> Result<Option<Kept>, StoreError> {
        let Some(stored) = self.deployment(id)? else {
            return Ok(None);
        };
        let pauses = self.pauses(id)?;
        let head = self.head(&stored, &pauses, usual)?;
        let known = |metric| self.judged_evidence(&stored, &pauses, metric).transpose();
        let evidence = head.run.config.metrics.iter().filter_map(known);
        let evidence = evidence.collect::<Result<Vec<Evidence>, StoreError>>()?;
        if evidence.iter().all(|evidence| evidence.blocks.is_empty()) {
            return Ok(None);
        }
        let run = Run { evidence, ..head.run };
        Ok(Some(Kept { run, ..head }))
    }

    /// The same without what was measured: no block is read.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn kept_head(&self, id: &DeploymentId, usual: &JudgeConfig) -> Result<Option<Kept>, StoreError> {
        let Some(stored) = self.deployment(id)? else {
            return Ok(None);
        };
        let head = self.head(&stored, &self.pauses(id)?, usual)?;
        for metric in &head.run.config.metrics {
            let newest = self.last_block(id, epoch(&stored.desired), &metric.name)?;
            if newest.is_some_and(|newest| stored.desired.judged_from().is_none_or(|from| newest > from)) {
                return Ok(Some(head));
            }
        }
        Ok(None)
    }

    fn head(&self, stored: &StoredDeployment, pauses: &Pauses, usual: &JudgeConfig) -> Result<Kept, StoreError> {
        let id = stored.desired.id;
        let config = config_of(self, stored, pauses, usual)?;
        let said = self.last_verdict(&id, None)?;
        Ok(Kept {
            id,
            name: stored.desired.spec.name.clone(),
            created_at: stored.desired.created_at,
            closed_at: stored.closed_at,
            said: said.map(|said| (said.at, said.verdict.outcome)),
            run: Run {
                config,
                // The end took the share away, and nothing was measured of that: of what has ended all of it counts.
                share_since: stored
                    .share_since
                    .filter(|_| stored.desired.wants_traffic())
                    .max(pauses.pass_put_off_until()),
                evidence: Vec::new(),
            },
        })
    }
}

/// What a deployment is judged by: as the loop has it, but for what it did not store.
fn config_of(
    store: &Store,
    stored: &StoredDeployment,
    pauses: &Pauses,
    usual: &JudgeConfig,
) -> Result<JudgeConfig, StoreError> {
    let chosen = store.metrics(&stored.desired.id, epoch(&stored.desired))?;
    let config = JudgeConfig {
        planned_s: stored.desired.spec.lifetime_h * 3600.0,
        taught_until: pauses.taught_until(),
        metrics: chosen.unwrap_or_else(|| usual.metrics.clone()),
        ..usual.clone()
    };
    Ok(of_its_protocol(stored, config))
}
