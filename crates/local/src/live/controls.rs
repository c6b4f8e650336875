//! What a person, a demo or a test may do to the local cloud by hand. Each answers with a sentence for the event feed.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use arya_plan::identity::{Arm, DeploymentId, Place};
use arya_plan::listener::{Rule, RuleId};
use arya_plan::observed::InstanceState;

use super::world::Order;
use super::{LiveCloud, production};
use crate::load::RATE_LIMIT;
use crate::sample::Faults;

/// What *worse* means: one request in ten fails, and all take longer. As the bad sample is from its start.
const WORSE: Faults = Faults {
    error_share: Some(0.10),
    extra_latency_ms: Some(150),
};
const HEALED: Faults = Faults {
    error_share: Some(0.0),
    extra_latency_ms: Some(0),
};

/// A control that did nothing, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    #[error(
        "There is no running {what} of this deployment. Nothing was changed. Wait until it runs, or look at its log."
    )]
    NotRunning { what: String },
    #[error("An instance does not take orders just now. Nothing was changed. Try again.")]
    Busy,
    #[error("A production deploy is running already. Nothing was started. Wait until it is over.")]
    DeployRuns,
    #[error("Production has no group, so there is nothing to deploy. Start `arya try` again.")]
    NoProduction,
    #[error("Production's new instances did not {what} in time. The old ones serve on. Try again.")]
    TooSlow { what: &'static str },
    #[error("Production's new instances did not start: {what} The old ones serve on. Try again.")]
    ProductionFailed { what: String },
    #[error("There is no rule {rule}. Nothing was changed.")]
    NoRule { rule: RuleId },
    #[error("The load balancer refused the rule: {what}.")]
    RuleRefused { what: String },
}

impl LiveCloud {
    /// Lets the canary's processes fail and dawdle from now on.
    ///
    /// # Errors
    /// No canary runs, or it does not listen.
    pub fn make_canary_worse(&self, deployment: &DeploymentId) -> Result<String, ControlError> {
        self.set_faults(deployment, WORSE)?;
        Ok("The canary was made worse: it now fails 10 % of its requests and answers 150 ms later.".into())
    }

    /// Takes the canary's faults away, also those that its image came with.
    ///
    /// # Errors
    /// No canary runs, or it does not listen.
    pub fn heal_canary(&self, deployment: &DeploymentId) -> Result<String, ControlError> {
        self.set_faults(deployment, HEALED)?;
        Ok("The canary was healed: it behaves like the baseline again.".into())
    }

    fn set_faults(&self, deployment: &DeploymentId, faults: Faults) -> Result<(), ControlError> {
        let line = serde_json::to_string(&faults).map_err(|_| ControlError::Busy)?;
        let world = self.0.world();
        let canaries = world.machines_of(deployment).filter(|(_, machine)| {
            let arm = machine.place().and_then(|(place, _)| place.role.arm());
            machine.state == InstanceState::Running && machine.address.is_some() && arm == Some(Arm::Canary)
        });
        let mut told = 0;
        for (_, machine) in canaries {
            machine
                .orders
                .try_send(Order::Tell(line.clone()))
                .map_err(|_| ControlError::Busy)?;
            told += 1;
        }
        if told == 0 {
            Err(ControlError::NotRunning {
                what: "canary instance".into(),
            })
        } else {
            Ok(())
        }
    }

    /// Production deploys its next version, blue/green, as if the team beside did it: new instances in a new group, the
    /// chosen rules swap to it, the old group empties. Returns when the rules have swapped.
    ///
    /// # Errors
    /// A deploy runs already, or the new instances did not start; the old ones serve on then.
    pub async fn production_deploys_now(&self) -> Result<String, ControlError> {
        let inner = std::sync::Arc::clone(&self.0);
        // A task of its own: a caller that goes away must not leave half a deploy.
        let deploying = self.0.tasks.spawn(async move { production::deploy(&inner).await });
        deploying.await.unwrap_or(Err(ControlError::ProductionFailed {
            what: "the deploy broke off.".into(),
        }))
    }

    /// Sets the background load, at most [`RATE_LIMIT`].
    pub fn set_load(&self, per_s: u32) -> String {
        let per_s = per_s.min(RATE_LIMIT);
        // Under the lock: a load that starts meanwhile takes the new rate.
        let load = self.0.load();
        self.0.load_per_s.store(per_s, Relaxed);
        match load.as_ref() {
            Some(load) => {
                load.set_rate(per_s);
                format!("The background load is now {per_s} requests per second.")
            }
            None => format!("The background load will be {per_s} requests per second once production is ready."),
        }
    }

    /// Kills an instance's process, as a crash would: its instance goes with it.
    ///
    /// # Errors
    /// It does not run.
    pub fn kill_instance(&self, deployment: &DeploymentId, place: Place) -> Result<String, ControlError> {
        let world = self.0.world();
        let running = world.machines_of(deployment).find(|(_, machine)| {
            machine.state == InstanceState::Running && machine.place().is_some_and(|(at, _)| at == place)
        });
        let (id, machine) = running.ok_or_else(|| ControlError::NotRunning {
            what: place.to_string(),
        })?;
        machine.orders.try_send(Order::Die).map_err(|_| ControlError::Busy)?;
        Ok(format!("The {place} ({id}) was killed."))
    }

    /// Edits a rule by hand, whoever's it is.
    ///
    /// # Errors
    /// There is no such rule, or the balancer refuses what it became.
    pub fn edit_rule(&self, rule: &RuleId, edit: impl FnOnce(&mut Rule)) -> Result<String, ControlError> {
        self.edit_rules(|rules| {
            let found = rules.iter_mut().find(|known| known.id == *rule);
            edit(found.ok_or_else(|| ControlError::NoRule { rule: rule.clone() })?);
            Ok(format!("Rule {rule} was edited by hand."))
        })
    }

    /// Edits the list of rules by hand: adds a stranger's, removes one.
    ///
    /// # Errors
    /// What the edit says, or the balancer refuses what became of it.
    pub fn edit_rules(
        &self,
        edit: impl FnOnce(&mut Vec<Rule>) -> Result<String, ControlError>,
    ) -> Result<String, ControlError> {
        self.0.change(|_| {
            let mut rules = self.0.balancer.rules();
            let sentence = edit(&mut rules)?;
            let refused = |error: crate::balancer::BalancerError| ControlError::RuleRefused {
                what: error.to_string(),
            };
            self.0.balancer.set_rules(rules).map_err(refused)?;
            Ok(sentence)
        })
    }

    /// Returns when production's current group is healthy, so that users are answered.
    ///
    /// # Errors
    /// It is not after `limit`.
    pub async fn production_ready(&self, limit: Duration) -> Result<(), ControlError> {
        let ready = async {
            let group = production::current_group(&self.0).ok_or(ControlError::NoProduction)?;
            production::healthy(&self.0, &group).await
        };
        tokio::time::timeout(limit, ready)
            .await
            .unwrap_or(Err(ControlError::TooSlow { what: "become healthy" }))
    }
}
