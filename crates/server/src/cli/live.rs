//! Commands that speak to a running server.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::follow::{Follower, NOT_ENOUGH, code_of};
use super::{OnCancel, Patience, Session, Until, spec_file};
use crate::client::{Client, ClientError};
use crate::{output, signals};

/// Teardown waits for draining and for instances to end: minutes at the very most.
const DESTROY_WITHIN: Duration = Duration::from_secs(30 * 60);

/// Runs a blocking call where it may block.
pub(super) async fn call<T: Send + 'static>(
    client: &Client,
    work: impl FnOnce(&Client) -> Result<T, ClientError> + Send + 'static,
) -> anyhow::Result<T> {
    let client = client.clone();
    Ok(tokio::task::spawn_blocking(move || work(&client)).await??)
}

pub(super) async fn plan(session: &Session, file: &Path) -> anyhow::Result<u8> {
    let client = session.client()?;
    let spec = prepared(&client, file, session.json).await?;
    let plan = call(&client, move |client| client.post("/api/v1/plans", &spec)).await?;
    show_plan(&plan, session.json)
}

/// The plan as JSON or in words; both come from the same document.
pub(super) fn show_plan(plan: &Value, as_json: bool) -> anyhow::Result<u8> {
    if as_json {
        output::line(&plan.to_string())?;
        return Ok(0);
    }
    output::line(text(plan, "sentence"))?;
    for problem in list(plan, "problems") {
        let mark = if problem["blocking"] == true { "blocks" } else { "note" };
        output::line(&format!(
            "  [{mark}] {} {}",
            text(problem, "sentence"),
            text(problem, "next")
        ))?;
    }
    output::line("Rules afterwards:")?;
    for rule in list(plan, "rules_after") {
        let ours = if rule["ours"].is_string() { " +" } else { "  " };
        let (priority, conditions) = (text(rule, "priority"), text(rule, "conditions"));
        output::line(&format!(
            " {ours} {priority:>7}  {conditions} -> {}",
            text(rule, "actions")
        ))?;
    }
    output::line("Steps:")?;
    for step in list(plan, "checklist") {
        output::line(&format!("  {}", step.as_str().unwrap_or_default()))?;
    }
    let doors = list(plan, "other_doors");
    if !doors.is_empty() {
        output::line("Other ways in:")?;
    }
    for door in doors {
        output::line(&format!("  {}", text(door, "sentence")))?;
    }
    if let Some(note) = plan["other_doors_note"].as_str() {
        output::line(&format!("  {note}"))?;
    }
    let times = &plan["time_to_verdict"];
    output::line(text(times, "sentence"))?;
    for time in list(times, "by_kind") {
        output::line(&format!("  {}", text(time, "sentence")))?;
    }
    Ok(0)
}

pub(super) async fn apply(session: &Session, file: &Path, wait: bool, patience: Patience) -> anyhow::Result<u8> {
    let client = session.client()?;
    let spec = prepared(&client, file, session.json).await?;
    // A cancelled pipeline must find somebody listening from the moment there is something to destroy.
    let cancelled = signals::told_to_stop();
    let created = call(&client, move |client| client.post("/api/v1/deployments", &spec)).await?;
    let id = text(&created, "id").to_owned();
    if !wait {
        show(session, &created)?;
        return Ok(0);
    }
    if !session.json {
        output::line(&format!("Started {id}."))?;
    }
    Follower::new(session, client, id)
        .until_or(Until::Verdict, patience, cancelled)
        .await
}

/// Reads the spec and uploads its files; progress goes to standard error, so that JSON stays alone on its stream.
async fn prepared(client: &Client, file: &Path, quiet: bool) -> anyhow::Result<Value> {
    let (client, file) = (client.clone(), file.to_owned());
    let work = move || {
        spec_file::prepare(&client, &file, |sentence| {
            if !quiet {
                output::complain(sentence);
            }
            Ok(())
        })
    };
    tokio::task::spawn_blocking(work).await?
}

pub(super) async fn watch(session: &Session, word: &str, until: Until, patience: Patience) -> anyhow::Result<u8> {
    let client = session.client()?;
    let id = find(&client, word).await?;
    Follower::new(session, client, id).until(until, patience).await
}

pub(super) async fn weight(session: &Session, word: &str, percent: f64) -> anyhow::Result<u8> {
    act(session, word, "weight", json!({ "canary_percent": percent })).await
}

pub(super) async fn overrule(session: &Session, word: &str, reason: &str) -> anyhow::Result<u8> {
    act(session, word, "override", json!({ "reason": reason })).await
}

pub(super) async fn destroy(session: &Session, word: &str, wait: bool) -> anyhow::Result<u8> {
    if !wait {
        return act(session, word, "destroy", json!({})).await;
    }
    let client = session.client()?;
    let id = find(&client, word).await?;
    let path = format!("/api/v1/deployments/{id}/destroy");
    call(&client, move |client| client.post(&path, &json!({}))).await?;
    let patience = Patience {
        timeout: DESTROY_WITHIN,
        on_cancel: Some(OnCancel::Leave),
        soft_fail: false,
    };
    Follower::new(session, client, id)
        .until(Until::Destroyed, patience)
        .await
}

async fn act(session: &Session, word: &str, what: &str, body: Value) -> anyhow::Result<u8> {
    let client = session.client()?;
    let id = find(&client, word).await?;
    let path = format!("/api/v1/deployments/{id}/{what}");
    let document = call(&client, move |client| client.post(&path, &body)).await?;
    if session.json {
        show(session, &document)?;
    } else {
        // The document is from before the next look; what was asked says more.
        output::line(&asked(what, &document))?;
    }
    Ok(0)
}

/// What a command set going, in words.
fn asked(what: &str, document: &Value) -> String {
    let name = text(document, "name");
    let share = &document["weights"]["asked"]["canary"];
    match what {
        "destroy" => format!("Destroying {name}. Follow it with `arya watch {name} --until destroyed`."),
        "weight" => format!("{name}: canary and baseline are to get {share} % each, from the next look on."),
        _ => format!(
            "{name}: the harmful verdict is overruled. Raise the share with `arya weight {name} PERCENT`, or destroy."
        ),
    }
}

pub(super) async fn check(session: &Session, word: Option<&str>, soft_fail: bool) -> anyhow::Result<u8> {
    let client = session.client()?;
    let id = match word {
        Some(word) => find(&client, word).await?,
        None => only_one(&client).await?,
    };
    let verdict = call(&client, move |client| {
        client.get(&format!("/api/v1/deployments/{id}/verdict"))
    })
    .await?;
    output::line(&if session.json {
        verdict.to_string()
    } else {
        text(&verdict, "sentence").to_owned()
    })?;
    Ok(if soft_fail {
        0
    } else {
        code_of(&verdict).unwrap_or(NOT_ENOUGH)
    })
}

pub(super) async fn report(session: &Session, word: &str) -> anyhow::Result<u8> {
    let client = session.client()?;
    let id = find(&client, word).await?;
    let path = format!("/api/v1/deployments/{id}/report");
    let json = session.json;
    let work = move |client: &Client| {
        if json {
            client.get(&path).map(|v| v.to_string())
        } else {
            client.get_text(&path)
        }
    };
    output::line(&call(&client, work).await?)?;
    Ok(0)
}

/// An id as it is, or the id of the live deployment with that name.
async fn find(client: &Client, word: &str) -> anyhow::Result<String> {
    if uuid::Uuid::parse_str(word).is_ok() {
        return Ok(word.to_owned());
    }
    let found = live(client)
        .await?
        .into_iter()
        .find(|deployment| text(deployment, "name") == word);
    found.map(|deployment| text(&deployment, "id").to_owned()).ok_or_else(|| {
        anyhow::anyhow!(
            "There is no live deployment called `{word}`. Nothing was changed. Give an id, or the name of a live one."
        )
    })
}

/// An id as it is, or the id of the newest deployment with that name, live or past.
pub(super) async fn find_past(client: &Client, word: &str) -> anyhow::Result<String> {
    if uuid::Uuid::parse_str(word).is_ok() {
        return Ok(word.to_owned());
    }
    let answer = call(client, |client| client.get("/api/v1/deployments")).await?;
    let all = list(&answer, "deployments");
    let found = all.iter().find(|deployment| text(deployment, "name") == word);
    found
        .map(|deployment| text(deployment, "id").to_owned())
        .ok_or_else(|| {
            anyhow::anyhow!(
                "There is no deployment called `{word}`. Nothing was judged. Give an id, or the name of one."
            )
        })
}

/// The only live deployment.
async fn only_one(client: &Client) -> anyhow::Result<String> {
    let live = live(client).await?;
    match live.as_slice() {
        [one] => Ok(text(one, "id").to_owned()),
        several => anyhow::bail!(
            "{} deployments are live, so it is not clear which one is meant. Nothing was changed. Give an id or a name.",
            several.len()
        ),
    }
}

async fn live(client: &Client) -> anyhow::Result<Vec<Value>> {
    let answer = call(client, |client| client.get("/api/v1/deployments")).await?;
    let live = |deployment: &&Value| deployment["closed_at"].is_null();
    Ok(list(&answer, "deployments").iter().filter(live).cloned().collect())
}

fn show(session: &Session, document: &Value) -> anyhow::Result<()> {
    if session.json {
        output::line(&document.to_string())?;
    } else {
        let (name, id, phase) = (
            text(document, "name"),
            text(document, "id"),
            text(document, "phase_word"),
        );
        output::line(&format!("{name} ({id}): {phase}. {}", text(document, "headline")))?;
    }
    Ok(())
}

pub(super) fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
