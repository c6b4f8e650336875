//! What stands on every account with Arya's tags, and what of it is taken away.

use std::time::Duration;

use arya_aws::{Leftover, Leftovers, MeasuredBy};
use arya_plan::cloud::CloudError;
use arya_plan::remains::may_be_removed;
use arya_plan::timing::Timing;
use tokio::time::timeout;

use super::account::Account;
use super::{Accounts, Found};
use crate::app::ConnectionLine;
use crate::standing::{Remnant, Standing};

/// Everything with our tags in an account of some hundred load balancers, behind all that somebody waits for: two hundred
/// take more than five minutes.
const LIST_WITHIN: Duration = Duration::from_secs(20 * 60);

impl Accounts {
    pub(crate) fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    /// As a connection answers now.
    pub(crate) async fn standing(&self, connection: &str) -> Standing {
        let (place, listed) = match self.account(connection) {
            Ok(account) => {
                let listed = list(account).await;
                (place(account), listed)
            }
            Err(error) => (String::new(), Err(error)),
        };
        let (left, error) = match listed {
            Ok(mut left) => {
                left.found.retain(|one| may_be_removed(&one.places, left.rules));
                (left.found, in_words(&left.missed))
            }
            Err(error) => (vec![], Some(error.to_string())),
        };
        Standing {
            connection: connection.to_owned(),
            place,
            error,
            found: left.into_iter().map(remnant).collect(),
        }
    }

    /// Deletes the rule that sends users to it.
    pub(crate) async fn take_users_away(
        &self,
        connection: &str,
        remnant: &Remnant,
        say: impl FnMut(&str) + Send,
    ) -> Result<(), String> {
        let found = self.found(connection, remnant).await?;
        found.take_users_away(say).await.map_err(|error| format!("{error:#}"))
    }

    /// Removes what stands of a deployment from which users were taken away.
    pub(crate) async fn remove_standing(
        &self,
        connection: &str,
        remnant: &Remnant,
        timing: Timing,
        say: impl FnMut(&str) + Send,
    ) -> Result<(), String> {
        let found = self.found(connection, remnant).await?;
        match found.remove_the_rest(timing, say).await {
            Ok(proof) if proof.holds() => Ok(()),
            Ok(_) => Err("Something of ours is left on the listener. What is gone stays gone; begin again.".into()),
            Err(error) => Err(format!("{error:#}")),
        }
    }

    /// As it was listed. What became of it since, the first look tells: listing the account again would only take time.
    async fn found(&self, connection: &str, remnant: &Remnant) -> Result<Found, String> {
        let account = self.account(connection).map_err(|error| error.to_string())?;
        if remnant.installation != account.settings().installation {
            return Err("Another installation made that. Nothing was changed.".into());
        }
        Ok(Found {
            connection: connection.to_owned(),
            cloud: account.cloud().await.map_err(|error| error.to_string())?,
            leftover: Leftover {
                installation: remnant.installation,
                deployment: remnant.deployment,
                places: remnant.places.clone(),
                listener: remnant.listener.clone(),
            },
        })
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

/// Account and region, once they are known.
fn place(account: &Account) -> String {
    let place = account.connected().map(|cloud| {
        let identity = cloud.identity();
        format!("{} · {}", identity.account, identity.region)
    });
    place.unwrap_or_default()
}

fn in_words(errors: &[CloudError]) -> Option<String> {
    let words: Vec<String> = errors.iter().map(ToString::to_string).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

async fn list(account: &Account) -> Result<Leftovers, CloudError> {
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
        places: leftover.places,
        listener: leftover.listener,
    }
}
