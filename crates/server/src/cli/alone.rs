//! What needs no server and no database: AWS credentials, and the tags on everything that Arya ever made.

use std::path::PathBuf;

use anyhow::Context as _;
use arya_aws::{AwsCloud, Leftover, PolicyScope, policy};
use arya_plan::identity::{DeploymentId, InstallationId};
use clap::Args;
use futures_util::future::{join_all, try_join_all};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::aws::{Config, ConnectionConfig, Found, PARTS, Pace, Shared};
use crate::output;

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
    /// Remove what was found, also what a server still looks after
    #[arg(long)]
    yes: bool,
    /// Only what this installation made
    #[arg(long, value_name = "UUID")]
    installation: Option<Uuid>,
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
    let found = find(&connections, whose).await?;
    if !asked.yes || found.is_empty() {
        listed(&found, as_json)?;
        return Ok(0);
    }
    let removed = remove(&found, pace, as_json).await;
    let left = find(&connections, whose).await?;
    finished(&found, &removed, &left, as_json)
}

/// Removes one deployment.
pub(super) async fn destroy(word: &str, accounts: &Where, as_json: bool) -> anyhow::Result<u8> {
    let (connections, pace) = accounts.read()?;
    let is_meant = |one: &Leftover| is_called(one.deployment, word);
    let found = find(&connections, is_meant).await?;
    if found.is_empty() {
        let names: Vec<&str> = connections.iter().map(|one| one.name.as_str()).collect();
        let said = format!(
            "Nothing stands with the tags of a deployment `{word}`, looked for with: {}. Nothing was changed.",
            names.join(", ")
        );
        output::line(&if as_json {
            json!({"found": [], "removed": [], "left": [], "sentence": said}).to_string()
        } else {
            said
        })?;
        return Ok(0);
    }
    let removed = remove(&found, pace, as_json).await;
    let left = find(&connections, is_meant).await?;
    finished(&found, &removed, &left, as_json)
}

/// An id as it is, or its short form as names of resources have it. The name of a deployment is in no tag.
fn is_called(id: DeploymentId, word: &str) -> bool {
    id.to_string().eq_ignore_ascii_case(word) || id.short() == word
}

async fn find(connections: &[ConnectionConfig], wanted: impl Fn(&Leftover) -> bool) -> anyhow::Result<Vec<Found>> {
    let of_one = |connection: &ConnectionConfig| {
        let connection = connection.clone();
        async move {
            let cloud = AwsCloud::connect(Shared::of_nobody().settings(&connection)).await;
            let cloud = cloud.with_context(|| format!("The connection `{}` could not be made", connection.name))?;
            let left = cloud.leftovers().await?;
            let found = left.into_iter().map(|leftover| Found {
                connection: connection.name.clone(),
                cloud: cloud.clone(),
                leftover,
            });
            anyhow::Ok(found.collect::<Vec<_>>())
        }
    };
    let all = try_join_all(connections.iter().map(of_one)).await?;
    // Two connections may lead to the same account.
    let mut found: Vec<Found> = Vec::new();
    for one in all.into_iter().flatten().filter(|one| wanted(&one.leftover)) {
        if !found.iter().any(|known| known.leftover == one.leftover) {
            found.push(one);
        }
    }
    Ok(found)
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

fn listed(found: &[Found], as_json: bool) -> anyhow::Result<()> {
    if as_json {
        output::line(
            &json!({"found": found.iter().map(document).collect::<Vec<_>>(), "removed": [], "left": []}).to_string(),
        )?;
        return Ok(());
    }
    if found.is_empty() {
        output::line("Nothing stands with Arya's tags.")?;
        return Ok(());
    }
    for one in found {
        output::line(&in_words(one))?;
    }
    output::line(
        "Nothing was changed. A server may still look after some of these; `arya sweep --yes` removes them all, \
         `arya destroy ID` one.",
    )?;
    Ok(())
}

fn finished(found: &[Found], removed: &[anyhow::Result<()>], left: &[Found], as_json: bool) -> anyhow::Result<u8> {
    let failed: Vec<(&Found, &anyhow::Error)> = found
        .iter()
        .zip(removed)
        .filter_map(|(one, outcome)| Some((one, outcome.as_ref().err()?)))
        .collect();
    for (one, error) in &failed {
        output::complain(&format!("{}: {error:#}", one.id().short()));
    }
    let done: Vec<String> = found
        .iter()
        .zip(removed)
        .filter(|(_, outcome)| outcome.is_ok())
        .map(|(one, _)| one.id().to_string())
        .collect();
    if as_json {
        let line = json!({
            "found": found.iter().map(document).collect::<Vec<_>>(),
            "removed": done,
            "left": left.iter().map(document).collect::<Vec<_>>(),
        });
        output::line(&line.to_string())?;
    } else if left.is_empty() && failed.is_empty() {
        output::line(&format!("{} removed. Nothing of it is left.", done.len()))?;
    } else {
        for one in left {
            output::line(&format!("Still there: {}", in_words(one)))?;
        }
    }
    Ok(if left.is_empty() && failed.is_empty() {
        0
    } else {
        super::TOOL_ERROR
    })
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
