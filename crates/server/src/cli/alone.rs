//! What needs no server and no database: AWS credentials, and the tags on everything that Arya ever made.

mod asking;

use std::collections::BTreeSet;
use std::path::PathBuf;

use arya_aws::{Leftover, PolicyScope, policy};
use arya_plan::identity::{DeploymentId, InstallationId};
use clap::Args;
use futures_util::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::aws::{Config, ConnectionConfig, Found, PARTS, Pace};
use crate::output;
use asking::{Asked, ask, nothing_stands};

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
}

/// Prints the least policy for exactly the calls that this version makes.
pub(super) fn iam(asked: Iam, as_json: bool) -> anyhow::Result<u8> {
    let scope = PolicyScope {
        listener: asked.listener,
        installation: None,
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

/// Removes all of them at the same time: each waits for its own targets to drain.
async fn remove(found: &[Found], pace: Pace, as_json: bool) -> Vec<anyhow::Result<()>> {
    let one = |one: &Found| {
        let (one, short) = (one.clone(), one.id().short());
        async move {
            let say = |sentence: &str| {
                let line = format!("{short}: {sentence}");
                // Whoever reads JSON reads it alone; and a reader who left changes nothing about what is removed.
                if as_json {
                    output::complain(&line);
                } else {
                    let _ = output::line(&line);
                }
            };
            let proof = one.remove(pace.timing(), say).await?;
            anyhow::ensure!(proof.holds(), "something of ours is left on the listener");
            Ok(())
        }
    };
    join_all(found.iter().map(one)).await
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
    let outcomes = || before.found.iter().zip(removed);
    let mut failed = 0;
    for (one, outcome) in outcomes() {
        if let Err(error) = outcome {
            failed += 1;
            output::complain(&format!("{}: {error:#}", one.id().short()));
        }
    }
    let done: Vec<String> = outcomes()
        .filter(|(_, outcome)| outcome.is_ok())
        .map(|(one, _)| one.id().to_string())
        .collect();
    let is_done = after.found.is_empty() && failed == 0;
    let said = if is_done {
        let where_looked = asking::in_words(&after.places());
        format!("{} removed. Nothing of it is left in {where_looked}.", done.len())
    } else {
        format!("{} removed, {} still there.", done.len(), after.found.len())
    };
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
