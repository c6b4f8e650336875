//! What stands on every account with Arya's tags, and what of it is taken away.

use std::time::Duration;

use arya_aws::{Leftover, MeasuredBy};
use arya_plan::cloud::CloudError;
use arya_plan::identity::DeploymentId;
use arya_plan::timing::Timing;
use futures_util::future::join_all;
use tokio::time::timeout;

use super::account::Account;
use super::{Accounts, Found};
use crate::app::ConnectionLine;
use crate::standing::{Remnant, Standing};

/// Everything with our tags in an account of some hundred load balancers, behind all that somebody waits for.
const LIST_WITHIN: Duration = Duration::from_secs(300);

impl Accounts {
    /// As each connection answers.
    pub(crate) async fn standing(&self) -> Vec<Standing> {
        let one = async |(name, account): (&String, &std::sync::Arc<Account>)| {
            let listed = list(account).await;
            let place = account.connected().map(|cloud| {
                let identity = cloud.identity();
                format!("{} · {}", identity.account, identity.region)
            });
            let (left, error) = match listed {
                Ok(left) => (left, None),
                Err(error) => (vec![], Some(error.to_string())),
            };
            Standing {
                connection: name.clone(),
                place: place.unwrap_or_default(),
                error,
                found: left.into_iter().map(remnant).collect(),
            }
        };
        let mut all = join_all(self.0.iter().map(one)).await;
        // Two connections may lead to the same account.
        let mut told = Vec::new();
        for standing in &mut all {
            standing.found.retain(|one| !told.contains(one));
            told.extend(standing.found.iter().cloned());
        }
        all
    }

    /// Removes what stands of a deployment now.
    pub(crate) async fn remove_standing(
        &self,
        connection: &str,
        id: DeploymentId,
        timing: Timing,
        say: impl FnMut(&str) + Send,
    ) -> Result<(), String> {
        let account = self.account(connection).map_err(|error| error.to_string())?;
        let left = list(account).await.map_err(|error| error.to_string())?;
        let Some(leftover) = left.into_iter().find(|one| one.deployment == id) else {
            // Somebody else was faster.
            return Ok(());
        };
        let found = Found {
            connection: connection.to_owned(),
            cloud: account.cloud().await.map_err(|error| error.to_string())?,
            leftover,
        };
        match found.remove(timing, say).await {
            Ok(proof) if proof.holds() => Ok(()),
            Ok(_) => Err("Something of ours is left on the listener.".into()),
            Err(error) => Err(format!("{error:#}")),
        }
    }

    /// As the configuration has them.
    pub(crate) fn lines(&self) -> Vec<ConnectionLine> {
        let line = |(name, account): (&String, &std::sync::Arc<Account>)| {
            let connection = &account.settings().connection;
            let environment = || "the environment's".to_owned();
            ConnectionLine {
                name: name.clone(),
                profile: connection.profile.clone().unwrap_or_else(environment),
                role: connection.role_arn.clone(),
                region: connection.region.clone(),
                endpoint: connection.endpoint.clone(),
                measured_by: match connection.measured_by {
                    MeasuredBy::CloudWatch => "CloudWatch",
                    MeasuredBy::AccessLogs => "access logs",
                },
            }
        };
        self.0.iter().map(line).collect()
    }
}

async fn list(account: &Account) -> Result<Vec<Leftover>, CloudError> {
    let cloud = account.cloud().await?;
    let listed = timeout(LIST_WITHIN, cloud.leftovers()).await;
    listed.unwrap_or_else(|_| {
        let why = format!(
            "The account did not list what stands within {} s.",
            LIST_WITHIN.as_secs()
        );
        Err(CloudError::refused(why, "Look again in a while."))
    })
}

fn remnant(leftover: Leftover) -> Remnant {
    Remnant {
        deployment: leftover.deployment,
        installation: leftover.installation,
        places: leftover.places.iter().map(ToString::to_string).collect(),
    }
}
