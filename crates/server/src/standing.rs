//! What stands on the accounts with Arya's tags and belongs to no open deployment of this server: shown as the last look
//! found it, and removed on a person's word.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arya_judge::Timestamp;
use arya_plan::identity::{DeploymentId, InstallationId};
use arya_plan::timing::Timing;
use axum::http::StatusCode;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use crate::api::problem::Problem;
use crate::app::App;
use crate::world::World;

/// A page that is open asks again and again; everything with our tags is listed this often at most.
const LOOKS_APART: Duration = Duration::from_secs(15);
/// Whoever asks before the first look has come back waits this long for it.
const FIRST_LOOK_WITHIN: Duration = Duration::from_secs(3);
/// Each lists its whole account again and again until it is done.
const REMOVALS_AT_ONCE: usize = 4;
/// What a removal said last.
const LINES_KEPT: usize = 8;
/// Removals that have ended and are still told of.
const ENDED_KEPT: usize = 32;

/// What one connection shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) connection: String,
    /// Account and region; empty while they are not known.
    pub(crate) place: String,
    /// Why it shows nothing.
    pub(crate) error: Option<String>,
    pub(crate) found: Vec<Remnant>,
}

/// What stands of one deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remnant {
    pub(crate) deployment: DeploymentId,
    pub(crate) installation: InstallationId,
    /// In words.
    pub(crate) places: Vec<String>,
}

/// What was seen last.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sight {
    /// `None` = nobody has looked yet.
    pub(crate) as_of: Option<Timestamp>,
    pub(crate) all: Arc<[Standing]>,
}

/// How far a removal is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Removal {
    /// What it said last, the latest at the end.
    pub(crate) lines: Vec<String>,
    /// Whether it is gone, or why it is not; `None` = it goes on.
    pub(crate) ended: Option<Result<(), String>>,
}

/// The last look, and what is being removed.
#[derive(Debug, Default)]
pub(crate) struct Standings {
    seen: watch::Sender<Sight>,
    asked: Notify,
    removals: Mutex<BTreeMap<DeploymentId, Removal>>,
}

impl Standings {
    /// What was seen last. Has it looked at again soon; waits only while nothing was seen ever.
    async fn last(&self) -> Sight {
        self.asked.notify_one();
        let mut seen = self.seen.subscribe();
        let _ = timeout(FIRST_LOOK_WITHIN, seen.wait_for(|sight| sight.as_of.is_some())).await;
        self.seen.borrow().clone()
    }

    /// Takes a removal in.
    fn begin(&self, id: DeploymentId) -> Result<(), Problem> {
        let mut removals = self.removals();
        let goes_on = |removal: &Removal| removal.ended.is_none();
        if removals.get(&id).is_some_and(goes_on) {
            return Err(Problem::new(
                StatusCode::CONFLICT,
                "removing",
                "That is being removed already. Nothing was changed.",
            ));
        }
        if removals.values().filter(|removal| goes_on(removal)).count() >= REMOVALS_AT_ONCE {
            let why = format!("{REMOVALS_AT_ONCE} others are being removed now. Nothing was changed.");
            return Err(Problem::new(StatusCode::CONFLICT, "removing", why).next("Try again when they are gone."));
        }
        if removals.len() >= ENDED_KEPT {
            removals.retain(|_, removal| goes_on(removal));
        }
        removals.insert(id, Removal::default());
        Ok(())
    }

    fn say(&self, id: DeploymentId, sentence: &str) {
        if let Some(removal) = self.removals().get_mut(&id) {
            let from = (removal.lines.len() + 1).saturating_sub(LINES_KEPT);
            removal.lines.drain(..from);
            removal.lines.push(sentence.to_owned());
        }
    }

    fn end(&self, id: DeploymentId, outcome: Result<(), String>) {
        if let Some(removal) = self.removals().get_mut(&id) {
            removal.ended = Some(outcome);
        }
        self.asked.notify_one();
    }

    fn removals(&self) -> MutexGuard<'_, BTreeMap<DeploymentId, Removal>> {
        // Nothing panics while it is held.
        self.removals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl App {
    /// Looks whenever somebody has asked, never too often, until the server ends.
    pub(crate) async fn watch_standing(self) {
        let stopping = self.stopping.clone();
        let looking = async {
            loop {
                self.standings.asked.notified().await;
                let all = self.world.standing().await.into();
                let as_of = Some(self.now());
                self.standings.seen.send_replace(Sight { as_of, all });
                tokio::time::sleep(LOOKS_APART).await;
            }
        };
        stopping.run_until_cancelled(looking).await;
    }

    /// What stands without an open deployment of this server's.
    pub(crate) async fn standing(&self) -> Result<Sight, Problem> {
        let seen = self.standings.last().await;
        let open: BTreeSet<DeploymentId> = self.open_deployments()?.iter().map(|one| one.id).collect();
        let ours = self.engine.installation();
        let left = |standing: &Standing| Standing {
            found: standing
                .found
                .iter()
                .filter(|one| one.installation != ours || !open.contains(&one.deployment))
                .cloned()
                .collect(),
            ..standing.clone()
        };
        Ok(Sight {
            as_of: seen.as_of,
            all: seen.all.iter().map(left).collect(),
        })
    }

    /// What was asked to be removed, and how far it is.
    pub(crate) fn removals(&self) -> BTreeMap<DeploymentId, Removal> {
        self.standings.removals().clone()
    }

    /// Begins to remove what stands of a deployment that this installation made and does not look after.
    ///
    /// # Errors
    /// Nothing of it stands, it is open or another installation's, or it is being removed.
    pub(crate) async fn remove_remnant(&self, id: DeploymentId) -> Result<(), Problem> {
        let seen = self.standing().await?;
        let found = seen.all.iter().find_map(|standing| {
            let one = standing.found.iter().find(|one| one.deployment == id)?;
            Some((standing.connection.clone(), one.clone()))
        });
        let (connection, remnant) = found.ok_or_else(|| {
            let why = "Nothing of that stands outside of this server's deployments. Nothing was changed.";
            Problem::new(StatusCode::CONFLICT, "no-remnant", why).next("Look at the list again.")
        })?;
        if remnant.installation != self.engine.installation() {
            let why = "Another installation made that, and its server may look after it. Nothing was changed.";
            return Err(Problem::new(StatusCode::CONFLICT, "not-ours", why)
                .next("Destroy it there. If that server is gone, use the command beside it."));
        }
        self.standings.begin(id)?;
        let app = self.clone();
        tokio::spawn(async move {
            let say = |sentence: &str| app.standings.say(id, sentence);
            let outcome = app
                .world
                .remove_standing(&connection, id, app.settings.timing.clone(), say)
                .await;
            if let Err(why) = &outcome {
                tracing::warn!(deployment = %id, why, "what stood without a deployment is not gone");
            }
            app.standings.end(id, outcome);
        });
        Ok(())
    }
}

impl World {
    /// What every connection shows now. In the local world nothing outlives the program.
    async fn standing(&self) -> Vec<Standing> {
        match self {
            Self::Local(_) => vec![],
            #[cfg(feature = "aws")]
            Self::Aws(accounts) => accounts.standing().await,
        }
    }

    async fn remove_standing(
        &self,
        connection: &str,
        id: DeploymentId,
        timing: Timing,
        say: impl FnMut(&str) + Send,
    ) -> Result<(), String> {
        match self {
            Self::Local(_) => {
                let _ = (connection, id, timing, say);
                Ok(())
            }
            #[cfg(feature = "aws")]
            Self::Aws(accounts) => accounts.remove_standing(connection, id, timing, say).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn id(number: u128) -> DeploymentId {
        DeploymentId::new(Uuid::from_u128(number))
    }

    #[test]
    fn one_is_removed_once_and_few_at_a_time() {
        let standings = Standings::default();
        standings.begin(id(1)).unwrap();
        assert!(standings.begin(id(1)).unwrap_err().detail.contains("already"));
        for number in 2..=4 {
            standings.begin(id(number)).unwrap();
        }
        assert!(standings.begin(id(5)).unwrap_err().detail.contains("4 others"));
        standings.end(id(1), Err("no".into()));
        standings.begin(id(5)).unwrap();
        standings.end(id(5), Ok(()));
        standings.begin(id(1)).unwrap();
        assert_eq!(standings.removals()[&id(1)], Removal::default(), "it begins anew");
    }

    #[test]
    fn the_latest_lines_are_kept() {
        let standings = Standings::default();
        standings.begin(id(1)).unwrap();
        for number in 0..20 {
            standings.say(id(1), &number.to_string());
        }
        let lines = standings.removals()[&id(1)].lines.clone();
        assert_eq!(lines.len(), LINES_KEPT);
        assert_eq!(lines.last().map(String::as_str), Some("19"));
    }
}
