//! What needs no server and no database: AWS credentials, and the tags on everything that Arya ever made.

mod asking;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use arya_aws::{Leftover, PolicyScope, policy};
use arya_plan::identity::{DeploymentId, InstallationId};
use clap::Args;
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::aws::{Config, ConnectionConfig, Found, PARTS, Pace};
use crate::output;
use asking::{Asked, ask, nothing_stands};

/// Each waits some minutes for its targets to drain and its instances to end, and all share the account's allowance of
/// listings: so many looks every two seconds are within it.
const REMOVED_AT_ONCE: usize = 4;
/// Taking users away is three short calls, and nobody's users wait for somebody else's removal.
const USERS_TAKEN_FROM_AT_ONCE: usize = 16;

/// Which accounts are asked.
#[derive(Debug, Clone, Args)]
pub(super) struct Where {
    /// The server's configuration, for its connections [default: the environment's credentials and region]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Where {
    /// Whether somebody said which accounts are meant.
    pub(super) const fn is_named(&self) -> bool {
        self.config.is_some()
    }

    pub(super) fn read(&self) -> anyhow::Result<(Vec<ConnectionConfig>, Pace)> {
        let config = self
            .config
            .as_deref()
            .map(Config::read)
            .transpose()?
            .unwrap_or_default();
        Ok((Config::connections_or_environment(config.connections), config.timing))
    }
}

#[derive(Debug, Args)]
pub(super) struct Sweep {
    /// Remove what was found, also what a server still looks after. Where more than one installation made something it
    /// needs --installation or --all
    #[arg(long)]
    yes: bool,
    /// Only what this installation made
    #[arg(long, value_name = "UUID")]
    installation: Option<Uuid>,
    /// Whatever installation made it
    #[arg(long, conflicts_with = "installation")]
    all: bool,
    #[command(flatten)]
    accounts: Where,
}

#[derive(Debug, Args)]
pub(super) struct Iam {
    /// The one listener that may get a rule; narrows the policy to its account and region too
    #[arg(long, value_name = "ARN")]
    listener: Option<String>,
    /// The bucket of the load balancer's access logs, where evidence is read from them
    #[arg(long, value_name = "BUCKET")]
    access_logs: Option<String>,
}

/// Prints the least policy for exactly the calls that this version makes.
pub(super) fn iam(asked: Iam, as_json: bool) -> anyhow::Result<u8> {
    let scope = PolicyScope {
        listener: asked.listener,
        installation: None,
        log_bucket: asked.access_logs,
    };
    if as_json {
        let parts = PARTS.map(|(name, part, _)| (name.to_owned(), policy(part, &scope)));
        output::line(&Value::Object(parts.into_iter().collect()).to_string())?;
        return Ok(0);
    }
    for (name, part, what) in PARTS {
        output::line(&format!("# {name}: {what}"))?;
        output::line(&serde_json::to_string_pretty(&policy(part, &scope))?)?;
    }
    Ok(0)
}

/// Shows what stands with Arya's tags, and removes it if asked to.
pub(super) async fn sweep(asked: Sweep, as_json: bool) -> anyhow::Result<u8> {
    let (connections, pace) = asked.accounts.read()?;
    let wanted = asked.installation.map(InstallationId::new);
    let whose = |one: &Leftover| wanted.is_none_or(|wanted| one.installation == wanted);
    let before = ask(&connections, whose).await;
    if !asked.yes || before.found.is_empty() {
        listed(&before, LISTED, as_json)?;
        return Ok(before.complain());
    }
    let makers: BTreeSet<InstallationId> = before.found.iter().map(|one| one.leftover.installation).collect();
    if let Some(refusal) = too_many(&makers, asked.all) {
        listed(&before, &refusal, as_json)?;
        before.complain();
        return Ok(super::TOOL_ERROR);
    }
    let removed = remove(&before.found, pace, as_json).await;
    finished(&before, &removed, &before.again(whose).await, as_json)
}

/// What several servers made is somebody else's too, as far as anybody can tell.
fn too_many(makers: &BTreeSet<InstallationId>, all: bool) -> Option<String> {
    if all || makers.len() < 2 {
        return None;
    }
    let makers: Vec<String> = makers.iter().map(ToString::to_string).collect();
    Some(format!(
        "{} installations made these: {}. Nothing was changed. Name one with `--installation UUID`, or remove what all \
         of them made with `--all`.",
        makers.len(),
        makers.join(", ")
    ))
}

/// Removes one deployment.
pub(super) async fn destroy(word: &str, accounts: &Where, as_json: bool) -> anyhow::Result<u8> {
    anyhow::ensure!(
        is_an_id(word),
        "`{word}` is no id, and without a server a deployment has no other name: names are in no tag. Nothing was changed. \
         Give its UUID or the ten characters of its short form (`arya sweep` shows them), or say where the server is with \
         --server and --token."
    );
    let (connections, pace) = accounts.read()?;
    let is_meant = |one: &Leftover| is_called(one.deployment, word);
    let before = ask(&connections, is_meant).await;
    if before.found.is_empty() {
        let mut said = nothing_stands(&format!("the tags of a deployment `{word}`"), &before.places());
        if Uuid::parse_str(word).is_err() {
            said.push_str(" If that is a name: only a server knows names.");
        }
        output::line(&if as_json {
            before.document(&[], &[], &said).to_string()
        } else {
            said
        })?;
        return Ok(before.complain());
    }
    let removed = remove(&before.found, pace, as_json).await;
    finished(&before, &removed, &before.again(is_meant).await, as_json)
}

/// Whether it could be an id or its short form.
fn is_an_id(word: &str) -> bool {
    let is_short = || word.len() == 10 && word.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'));
    Uuid::parse_str(word).is_ok() || is_short()
}

/// An id as it is, or its short form as names of resources have it. The name of a deployment is in no tag.
fn is_called(id: DeploymentId, word: &str) -> bool {
    Uuid::parse_str(word).is_ok_and(|meant| DeploymentId::new(meant) == id) || id.short() == word
}

/// Removes all of them, a few at a time, and says of each what came of it. The law's order: first nobody's users are sent
/// to any of them any more, then they go.
async fn remove(found: &[Found], pace: Pace, as_json: bool) -> Vec<anyhow::Result<()>> {
    let say = |one: &Found, sentence: &str| {
        let line = format!("{}: {sentence}", one.id().short());
        // Whoever reads JSON reads it alone; and a reader who left changes nothing about what is removed.
        if as_json {
            output::complain(&line);
        } else {
            let _ = output::line(&line);
        }
    };
    let take_users_away = async |at: usize| found[at].take_users_away(|sentence| say(&found[at], sentence)).await;
    let finish = async |(at, is_away): (usize, anyhow::Result<()>)| {
        let (one, timing) = (&found[at], pace.timing());
        let say = |sentence: &str| say(one, sentence);
        let proof = match is_away {
            Ok(()) => one.remove_the_rest(timing, say).await?,
            // It is tried once more, and that tells.
            Err(_) => one.remove(timing, say).await?,
        };
        anyhow::ensure!(proof.holds(), "something of ours is left on the listener");
        Ok(())
    };
    let (first, then): (Vec<usize>, Vec<usize>) = (0..found.len()).partition(|at| found[*at].has_users());
    let away = in_turn(USERS_TAKEN_FROM_AT_ONCE, first.clone(), take_users_away).await;
    let nobody = then.into_iter().map(|at| (at, Ok(())));
    let mut all: Vec<_> = first.into_iter().zip(away).chain(nobody).collect();
    // What said no is tried again behind what did not.
    all.sort_by_key(|(_, is_away)| is_away.is_err());
    let order: Vec<usize> = all.iter().map(|(at, _)| *at).collect();
    let gone = in_turn(REMOVED_AT_ONCE, all, finish).await;
    let by_place: BTreeMap<usize, anyhow::Result<()>> = order.into_iter().zip(gone).collect();
    by_place.into_values().collect()
}

/// Does it for each, beginning in that order, a few at a time; one that takes long holds up no other. Answers in that order.
async fn in_turn<T, R>(at_once: usize, all: Vec<T>, work: impl AsyncFn(T) -> R) -> Vec<R> {
    let each = stream::iter(all).enumerate().map(|(at, one)| {
        let work = work(one);
        async move { (at, work.await) }
    });
    let done: BTreeMap<usize, R> = each.buffer_unordered(at_once).collect().await;
    done.into_values().collect()
}

/// What is said below a list.
const LISTED: &str = "Nothing was changed. A server may still look after some of these; `arya sweep --yes` removes them all, \
                      `arya destroy ID` one.";

/// What stands, and below it what to do about it.
fn listed(asked: &Asked, below: &str, as_json: bool) -> anyhow::Result<()> {
    let below = if asked.found.is_empty() {
        nothing_stands("Arya's tags", &asked.places())
    } else {
        below.to_owned()
    };
    if as_json {
        output::line(&asked.document(&[], &[], &below).to_string())?;
        return Ok(());
    }
    for one in &asked.found {
        output::line(&in_words(one))?;
    }
    output::line(&below)?;
    Ok(())
}

fn finished(before: &Asked, removed: &[anyhow::Result<()>], after: &Asked, as_json: bool) -> anyhow::Result<u8> {
    for (one, outcome) in before.found.iter().zip(removed) {
        if let Err(error) = outcome {
            output::complain(&format!("{}: {error:#}", one.id().short()));
        }
    }
    // What was not seen again is only known to be gone where everybody answered who had shown it.
    let is_left = |one: &Found| after.found.iter().any(|left| left.id() == one.id());
    let is_asked = after.is_as_whole_as(before);
    let outcomes = before.found.iter().zip(removed);
    let gone = outcomes.filter(|(one, outcome)| !is_left(one) && (is_asked || outcome.is_ok()));
    let done: Vec<String> = gone.map(|(one, _)| one.id().to_string()).collect();
    let is_done = done.len() == before.found.len() && after.found.is_empty() && is_asked;
    let said = outcome_in_words(done.len(), before.found.len(), after);
    if as_json {
        output::line(&before.document(&done, &after.found, &said).to_string())?;
    } else {
        for one in &after.found {
            output::line(&format!("Still there: {}", in_words(one)))?;
        }
        output::line(&said)?;
    }
    let unasked = after.complain();
    Ok(if is_done { unasked } else { super::TOOL_ERROR })
}

/// How many of those that were to go have gone.
fn outcome_in_words(gone: usize, of: usize, after: &Asked) -> String {
    let places = asking::in_words(&after.places());
    if gone < of {
        return match after.found.len() {
            0 => format!("{gone} of {of} removed. Whether the rest still stands is not known. Run it again."),
            left => format!("{gone} of {of} removed, {left} still there. Run it again."),
        };
    }
    match after.found.len() {
        0 if places.is_empty() => format!("{gone} removed. Nobody answered when asked what is left."),
        0 => format!("{gone} removed. Nothing of it is left in {places}."),
        new => format!("{gone} removed, {new} there that began meanwhile."),
    }
}

fn document(found: &Found) -> Value {
    let identity = found.cloud.identity();
    json!({
        "id": found.id(),
        "installation": found.leftover.installation,
        "connection": found.connection,
        "account": identity.account,
        "region": identity.region,
        "places": found.places(),
    })
}

fn in_words(found: &Found) -> String {
    let identity = found.cloud.identity();
    format!(
        "{} ({}, {}; of the installation {}): {}",
        found.id(),
        identity.account,
        identity.region,
        found.leftover.installation,
        found.places().join(", ")
    )
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::time::Duration;

    use tokio::sync::Notify;

    use super::*;

    #[test]
    fn a_name_is_no_id() {
        let id = DeploymentId::new(Uuid::from_u128(0x0192_a5b0_3c4d_7e5f_8a9b_0c1d_2e3f_4a5b));
        let (long, short) = (id.to_string(), id.short());
        for word in [long.as_str(), &long.to_uppercase(), &short] {
            assert!(is_an_id(word) && is_called(id, word), "{word}");
        }
        for word in ["shop-next", "shop-next2", "", "abcdefghi", "abcdefgh01", &long[1..]] {
            assert!(!is_an_id(word), "{word}");
        }
    }

    #[tokio::test]
    async fn destroy_by_a_name_is_refused_before_anybody_is_asked() {
        let nowhere = Where {
            config: Some("/nonexistent".into()),
        };
        let refused = destroy("shop-next", &nowhere, true).await.unwrap_err().to_string();
        assert!(refused.contains("`shop-next` is no id"), "{refused}");
    }

    #[tokio::test]
    async fn only_a_few_go_at_a_time_and_in_the_order_that_was_asked_for() {
        let (running, most) = (Cell::new(0), Cell::new(0));
        let begun = RefCell::new(Vec::new());
        let one = async |number: usize| {
            begun.borrow_mut().push(number);
            running.set(running.get() + 1);
            most.set(most.get().max(running.get()));
            for _ in 0..10 - number % 10 {
                tokio::task::yield_now().await;
            }
            running.set(running.get() - 1);
            number * 2
        };
        let all: Vec<usize> = (0..50).collect();
        let done = in_turn(REMOVED_AT_ONCE, all.clone(), one).await;
        assert_eq!(done, all.iter().map(|number| number * 2).collect::<Vec<_>>());
        assert_eq!((most.get(), begun.into_inner()), (REMOVED_AT_ONCE, all));
    }

    #[tokio::test]
    async fn the_first_one_that_hangs_holds_up_no_other() {
        let (others, all_done) = (Cell::new(0), Notify::new());
        let one = async |number: usize| {
            if number == 0 {
                all_done.notified().await;
                return;
            }
            others.set(others.get() + 1);
            if others.get() == 49 {
                all_done.notify_one();
            }
        };
        let done = in_turn(REMOVED_AT_ONCE, (0..50).collect(), one);
        tokio::time::timeout(Duration::from_secs(10), done).await.unwrap();
    }

    #[test]
    fn what_several_installations_made_is_removed_only_by_name_or_all() {
        let makers: BTreeSet<_> = (1..=2).map(|n| InstallationId::new(Uuid::from_u128(n))).collect();
        let refusal = too_many(&makers, false).unwrap();
        for maker in &makers {
            assert!(refusal.contains(&maker.to_string()), "{refusal}");
        }
        assert_eq!(too_many(&makers, true), None);
        assert_eq!(too_many(&makers.into_iter().take(1).collect(), false), None);
    }
}
