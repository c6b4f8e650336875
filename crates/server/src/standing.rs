//! What stands on the accounts with Arya's tags and belongs to no open deployment of this server: shown as the last look
//! found it, and removed on a person's word.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arya_judge::Timestamp;
use arya_plan::identity::{DeploymentId, InstallationId, LogicalId, RuleKind};
use arya_plan::listener::ListenerId;
use arya_plan::timing::Timing;
use axum::http::StatusCode;
use futures_util::future::join_all;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::api::problem::Problem;
use crate::app::App;
use crate::auth::Caller;
use crate::world::World;

/// A page that is open asks again and again; everything with our tags is listed this often at most.
const LOOKS_APART: Duration = Duration::from_secs(15);
/// Whoever asks before the first look has come back waits this long for it.
const FIRST_LOOK_WITHIN: Duration = Duration::from_secs(3);
/// Each looks at its account again and again until it is done. Users are taken away before, from as many as it may be.
const REMOVALS_AT_ONCE: usize = 4;
/// What a removal said last.
const LINES_KEPT: usize = 8;
/// What is said of an account that was never listed to its end.
const NOT_SEEN_YET: &str = "It is being looked for. Look again in a moment.";
/// What is said of a removal whose task ended without an answer.
const BROKE_OFF: &str = "The removal broke off. What is left stays; begin again.";
/// Removals that have ended and are still told of.
const ENDED_KEPT: usize = 32;

/// What one connection shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) connection: String,
    /// Account and region; empty while they are not known.
    pub(crate) place: String,
    /// Why it shows nothing, or not everything.
    pub(crate) error: Option<String>,
    pub(crate) found: Vec<Remnant>,
}

/// What stands of one deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remnant {
    pub(crate) deployment: DeploymentId,
    pub(crate) installation: InstallationId,
    pub(crate) places: BTreeSet<LogicalId>,
    /// Where its rules stand, or could.
    pub(crate) listener: Option<ListenerId>,
}

impl Remnant {
    /// Whether users may still be sent to it.
    fn has_users(&self) -> bool {
        self.places.contains(&LogicalId::Rule(RuleKind::Main))
    }
}

/// What was seen last.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sight {
    /// When the account that answered last did; `None` = none has yet.
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
#[derive(Debug)]
pub(crate) struct Standings {
    seen: watch::Sender<Sight>,
    /// Each account has a loop of its own that hears it.
    asked: watch::Sender<()>,
    removals: Mutex<BTreeMap<DeploymentId, Removal>>,
    room: Semaphore,
}

impl Default for Standings {
    fn default() -> Self {
        Self {
            seen: watch::Sender::default(),
            asked: watch::Sender::default(),
            removals: Mutex::default(),
            room: Semaphore::new(REMOVALS_AT_ONCE),
        }
    }
}

impl Standings {
    /// What was seen last. Has it looked at again soon; waits only while nothing was seen ever.
    async fn last(&self) -> Sight {
        self.asked.send_replace(());
        let mut seen = self.seen.subscribe();
        let _ = timeout(FIRST_LOOK_WITHIN, seen.wait_for(|sight| sight.as_of.is_some())).await;
        self.seen.borrow().clone()
    }

    /// What will be seen.
    fn expect(&self, connections: Vec<String>, now: Timestamp) {
        let unseen = |connection: String| Standing {
            connection,
            place: String::new(),
            error: Some(NOT_SEEN_YET.into()),
            found: vec![],
        };
        self.seen.send_replace(Sight {
            as_of: connections.is_empty().then_some(now),
            all: connections.into_iter().map(unseen).collect(),
        });
    }

    /// One account has answered; the others are as they were.
    fn note(&self, answer: Standing, now: Timestamp) {
        self.seen.send_modify(|sight| {
            sight.as_of = Some(now);
            let mut all = sight.all.to_vec();
            if let Some(one) = all.iter_mut().find(|one| one.connection == answer.connection) {
                *one = answer;
            }
            sight.all = all.into();
        });
    }

    /// Takes a removal in. One that has users is never sent away.
    fn begin(&self, remnant: &Remnant) -> Result<(), Problem> {
        let id = remnant.deployment;
        let mut removals = self.removals();
        let goes_on = |removal: &Removal| removal.ended.is_none();
        if removals.get(&id).is_some_and(goes_on) {
            let why = "That is being removed already. Nothing was changed.";
            return Err(Problem::new(StatusCode::CONFLICT, "removing", why).next("Wait until it is gone."));
        }
        let going = removals.values().filter(|removal| goes_on(removal)).count();
        if !remnant.has_users() && going >= REMOVALS_AT_ONCE {
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
        self.asked.send_replace(());
    }

    fn removals(&self) -> MutexGuard<'_, BTreeMap<DeploymentId, Removal>> {
        // Nothing panics while it is held.
        self.removals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A removal that goes on. However its task ends, the end is told and written down.
#[derive(Debug)]
struct Going {
    standings: Arc<Standings>,
    id: DeploymentId,
    by: String,
    outcome: Result<(), String>,
}

impl Going {
    fn begun(standings: &Arc<Standings>, id: DeploymentId, connection: &str, caller: &Caller) -> Self {
        let by = caller.name.clone();
        tracing::info!(deployment = %id, by, connection, "what stands without a deployment is being removed");
        Self {
            standings: standings.clone(),
            id,
            by,
            outcome: Err(BROKE_OFF.into()),
        }
    }

    fn ends(mut self, outcome: Result<(), String>) {
        self.outcome = outcome;
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        let (id, by) = (self.id, &self.by);
        match &self.outcome {
            Ok(()) => tracing::info!(deployment = %id, by, "what stood without a deployment is gone"),
            Err(why) => tracing::warn!(deployment = %id, by, why, "what stood without a deployment is not gone"),
        }
        self.standings.end(id, std::mem::replace(&mut self.outcome, Ok(())));
    }
}

impl App {
    /// Looks whenever somebody has asked, never too often, until the server ends.
    pub(crate) async fn watch_standing(self) {
        let connections = self.world.looked_at();
        self.standings.expect(connections.clone(), self.now());
        let one = async |connection: String| {
            let mut asked = self.standings.asked.subscribe();
            while asked.changed().await.is_ok() {
                let answer = self.world.standing(&connection).await;
                self.standings.note(answer, self.now());
                tokio::time::sleep(LOOKS_APART).await;
            }
        };
        // One that answers slowly holds back no other's answer.
        let looking = join_all(connections.into_iter().map(one));
        self.stopping.run_until_cancelled(looking).await;
    }

    /// What stands without an open deployment of this server's.
    pub(crate) async fn standing(&self) -> Result<Sight, Problem> {
        let seen = self.standings.last().await;
        let open: BTreeSet<DeploymentId> = self.open_deployments()?.iter().map(|one| one.id).collect();
        let ours = self.engine.installation();
        // Two connections may lead to the same account.
        let mut told = Vec::new();
        let left = |standing: &Standing| {
            let mut found = standing.found.clone();
            found.retain(|one| (one.installation != ours || !open.contains(&one.deployment)) && !told.contains(one));
            told.extend(found.iter().cloned());
            Standing {
                found,
                ..standing.clone()
            }
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
    pub(crate) async fn remove_remnant(&self, id: DeploymentId, caller: &Caller) -> Result<(), Problem> {
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
        self.standings.begin(&remnant)?;
        let going = Going::begun(&self.standings, id, &connection, caller);
        let app = self.clone();
        tokio::spawn(async move {
            let outcome = app.removed(&connection, &remnant).await;
            going.ends(outcome);
        });
        Ok(())
    }

    /// Users first, and that waits for nobody; the rest when there is room.
    async fn removed(&self, connection: &str, remnant: &Remnant) -> Result<(), String> {
        let (standings, timing) = (&self.standings, self.settings.timing.clone());
        let say = |sentence: &str| standings.say(remnant.deployment, sentence);
        if remnant.has_users() {
            self.world.take_users_away(connection, remnant, say).await?;
        }
        let _room = match standings.room.try_acquire() {
            Ok(room) => room,
            Err(_) => {
                say("The rest waits until others are gone.");
                standings.room.acquire().await.map_err(|closed| closed.to_string())?
            }
        };
        self.world.remove_standing(connection, remnant, timing, say).await
    }
}

impl World {
    /// The accounts of which is told what stands there. In the local world nothing outlives the program.
    fn looked_at(&self) -> Vec<String> {
        match self {
            Self::Local(_) => vec![],
            #[cfg(feature = "aws")]
            Self::Aws(accounts) => accounts.names(),
        }
    }

    /// What one of them shows now.
    async fn standing(&self, connection: &str) -> Standing {
        match self {
            Self::Local(_) => Standing {
                connection: connection.to_owned(),
                place: String::new(),
                error: None,
                found: vec![],
            },
            #[cfg(feature = "aws")]
            Self::Aws(accounts) => accounts.standing(connection).await,
        }
    }

    async fn take_users_away(
        &self,
        connection: &str,
        remnant: &Remnant,
        say: impl FnMut(&str) + Send,
    ) -> Result<(), String> {
        match self {
            Self::Local(_) => {
                let _ = (connection, remnant, say);
                Ok(())
            }
            #[cfg(feature = "aws")]
            Self::Aws(accounts) => accounts.take_users_away(connection, remnant, say).await,
        }
    }

    async fn remove_standing(
        &self,
        connection: &str,
        remnant: &Remnant,
        timing: Timing,
        say: impl FnMut(&str) + Send,
    ) -> Result<(), String> {
        match self {
            Self::Local(_) => {
                let _ = (connection, remnant, timing, say);
                Ok(())
            }
            #[cfg(feature = "aws")]
            Self::Aws(accounts) => accounts.remove_standing(connection, remnant, timing, say).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::auth::Credential;

    fn id(number: u128) -> DeploymentId {
        DeploymentId::new(Uuid::from_u128(number))
    }

    fn remnant(number: u128, place: LogicalId) -> Remnant {
        Remnant {
            deployment: id(number),
            installation: InstallationId::new(Uuid::from_u128(1)),
            places: BTreeSet::from([place]),
            listener: None,
        }
    }

    fn bucket(number: u128) -> Remnant {
        remnant(number, LogicalId::Bucket)
    }

    #[test]
    fn one_is_removed_once_and_few_at_a_time() {
        let standings = Standings::default();
        standings.begin(&bucket(1)).unwrap();
        assert!(standings.begin(&bucket(1)).unwrap_err().detail.contains("already"));
        for number in 2..=4 {
            standings.begin(&bucket(number)).unwrap();
        }
        assert!(standings.begin(&bucket(5)).unwrap_err().detail.contains("4 others"));
        standings.end(id(1), Err("no".into()));
        standings.begin(&bucket(5)).unwrap();
        standings.end(id(5), Ok(()));
        standings.begin(&bucket(1)).unwrap();
        assert_eq!(standings.removals()[&id(1)], Removal::default(), "it begins anew");
    }

    #[test]
    fn one_that_has_users_waits_for_no_other() {
        let standings = Standings::default();
        for number in 1..=4 {
            standings.begin(&bucket(number)).unwrap();
        }
        let main = LogicalId::Rule(RuleKind::Main);
        standings.begin(&remnant(5, main)).unwrap();
        assert!(
            standings
                .begin(&remnant(5, main))
                .unwrap_err()
                .detail
                .contains("already")
        );
    }

    #[tokio::test]
    async fn a_removal_whose_task_panics_has_ended() {
        let standings = Arc::new(Standings::default());
        let caller = Caller {
            name: "Ana".into(),
            by: Credential::Session,
        };
        let outcomes = [None, Some(Ok(())), Some(Err("no".to_owned()))];
        for (number, outcome) in (1..).zip(outcomes) {
            standings.begin(&bucket(number)).unwrap();
            let going = Going::begun(&standings, id(number), "shop", &caller);
            let task = tokio::spawn(async move {
                let outcome = outcome.expect("it panics");
                going.ends(outcome);
            });
            let _ = task.await;
        }
        let ended: Vec<_> = standings.removals().values().map(|one| one.ended.clone()).collect();
        assert_eq!(
            ended,
            [Some(Err(BROKE_OFF.into())), Some(Ok(())), Some(Err("no".into()))]
        );
    }

    #[tokio::test]
    async fn an_account_is_shown_as_soon_as_it_answers_and_the_slow_one_says_that_it_has_not() {
        let standings = Standings::default();
        let (now, names) = (Timestamp::UNIX_EPOCH, ["fast", "slow"].map(str::to_owned));
        standings.expect(names.to_vec(), now);
        standings.note(
            Standing {
                connection: "fast".into(),
                place: "here".into(),
                error: None,
                found: vec![bucket(1)],
            },
            now,
        );
        let sight = standings.last().await;
        let told: Vec<_> = sight
            .all
            .iter()
            .map(|one| (one.error.as_deref(), one.found.len()))
            .collect();
        assert_eq!(told, [(None, 1), (Some(NOT_SEEN_YET), 0)]);
        assert_eq!(sight.as_of, Some(now));
    }

    #[test]
    fn the_latest_lines_are_kept() {
        let standings = Standings::default();
        standings.begin(&bucket(1)).unwrap();
        for number in 0..20 {
            standings.say(id(1), &number.to_string());
        }
        let lines = standings.removals()[&id(1)].lines.clone();
        assert_eq!(lines.len(), LINES_KEPT);
        assert_eq!(lines.last().map(String::as_str), Some("19"));
    }
}
