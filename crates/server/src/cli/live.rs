//! Commands that speak to a running server.

use std::io::IsTerminal as _;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{OnCancel, Patience, Session, TOOL_ERROR, Until, spec_file};
use crate::client::{Client, ClientError};
use crate::{output, signals};

/// How often a followed deployment is asked for; the server answers from memory.
const ASK_EVERY: Duration = Duration::from_millis(400);
/// A server that does not answer for this long while a deployment is followed is given up on; restarts take less.
const SILENCE_AT_MOST: Duration = Duration::from_secs(60);
/// Teardown waits for draining and for instances to end: minutes at the very most.
const DESTROY_WITHIN: Duration = Duration::from_secs(30 * 60);

/// Exit codes of a verdict.
const NO_WORSE: u8 = 0;
const HARMFUL: u8 = 1;
const NOT_ENOUGH: u8 = 2;

/// Runs a blocking call where it may block.
async fn call<T: Send + 'static>(
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
    if session.json {
        output::line(&plan.to_string())?;
        return Ok(0);
    }
    output::line(text(&plan, "sentence"))?;
    for problem in list(&plan, "problems") {
        let mark = if problem["blocking"] == true { "blocks" } else { "note" };
        output::line(&format!(
            "  [{mark}] {} {}",
            text(problem, "sentence"),
            text(problem, "next")
        ))?;
    }
    output::line("Rules afterwards:")?;
    for rule in list(&plan, "rules_after") {
        let ours = if rule["ours"].is_string() { " +" } else { "  " };
        let (priority, conditions) = (text(rule, "priority"), text(rule, "conditions"));
        output::line(&format!(
            " {ours} {priority:>7}  {conditions} -> {}",
            text(rule, "actions")
        ))?;
    }
    output::line("Steps:")?;
    for step in list(&plan, "checklist") {
        output::line(&format!("  {}", step.as_str().unwrap_or_default()))?;
    }
    output::line(text(&plan["time_to_verdict"], "sentence"))?;
    Ok(0)
}

pub(super) async fn apply(session: &Session, file: &Path, wait: bool, patience: Patience) -> anyhow::Result<u8> {
    let client = session.client()?;
    let spec = prepared(&client, file, session.json).await?;
    let created = call(&client, move |client| client.post("/api/v1/deployments", &spec)).await?;
    let id = text(&created, "id").to_owned();
    if !wait {
        show(session, &created)?;
        return Ok(0);
    }
    if !session.json {
        output::line(&format!("Started {id}."))?;
    }
    Follower::new(session, client, id).until(Until::Verdict, patience).await
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
    show(session, &document)?;
    Ok(0)
}

pub(super) async fn check(session: &Session, word: &str, soft_fail: bool) -> anyhow::Result<u8> {
    let client = session.client()?;
    let id = find(&client, word).await?;
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
    let answer = call(client, |client| client.get("/api/v1/deployments")).await?;
    let live = |deployment: &&Value| deployment["closed_at"].is_null() && text(deployment, "name") == word;
    let found = list(&answer, "deployments").iter().find(live);
    found.map(|deployment| text(deployment, "id").to_owned()).ok_or_else(|| {
        anyhow::anyhow!("There is no live deployment called `{word}`. Nothing was changed. Give an id, or the name of a live one.")
    })
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

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The exit code of something with an `outcome`.
fn code_of(verdict: &Value) -> Option<u8> {
    match text(verdict, "outcome") {
        "no_worse" => Some(NO_WORSE),
        "harmful" => Some(HARMFUL),
        "inconclusive" => Some(NOT_ENOUGH),
        _ => None,
    }
}

/// Follows one deployment: prints what happens, ends at what was waited for.
struct Follower<'s> {
    session: &'s Session,
    client: Client,
    id: String,
    /// The last event that was printed.
    after: u64,
    heard: Instant,
}

impl<'s> Follower<'s> {
    fn new(session: &'s Session, client: Client, id: String) -> Self {
        Self {
            session,
            client,
            id,
            after: 0,
            heard: Instant::now(),
        }
    }

    async fn until(mut self, until: Until, patience: Patience) -> anyhow::Result<u8> {
        let deadline = Instant::now() + patience.timeout;
        let cancelled = signals::told_to_stop();
        tokio::pin!(cancelled);
        loop {
            let deployment = self.look().await?;
            if let Some(deployment) = &deployment
                && let Some(code) = reached(until, deployment)
            {
                return self.end(deployment, code, patience);
            }
            if Instant::now() >= deadline {
                return self.late(until, deployment, patience);
            }
            tokio::select! {
                () = tokio::time::sleep(ASK_EVERY) => {}
                () = &mut cancelled => return self.cancel(patience).await,
            }
        }
    }

    /// Prints what is new. A server that is silent for a moment, as while it restarts, is asked again.
    async fn look(&mut self) -> anyhow::Result<Option<Value>> {
        let (path, after) = (format!("/api/v1/deployments/{}", self.id), self.after);
        let work =
            move |client: &Client| Ok((client.get(&format!("{path}/events?after={after}"))?, client.get(&path)?));
        match call(&self.client, work).await {
            Ok((events, deployment)) => {
                self.heard = Instant::now();
                self.tell(&events)?;
                Ok(Some(deployment))
            }
            Err(error) => {
                let silent = matches!(error.downcast_ref(), Some(ClientError::Unreachable { .. }));
                if silent && self.after > 0 && self.heard.elapsed() < SILENCE_AT_MOST {
                    Ok(None)
                } else {
                    Err(error)
                }
            }
        }
    }

    fn tell(&mut self, events: &Value) -> anyhow::Result<()> {
        for event in list(events, "events") {
            self.after = event["seq"].as_u64().unwrap_or(self.after);
            if self.session.json {
                output::line(&event.to_string())?;
            } else {
                // RFC 3339: the time of day stands behind the T.
                let time = text(event, "at").get(11..19).unwrap_or_default();
                output::line(&format!("{time}  {}", text(event, "sentence")))?;
            }
        }
        Ok(())
    }

    fn end(&self, deployment: &Value, code: u8, patience: Patience) -> anyhow::Result<u8> {
        if self.session.json {
            output::line(&json!({ "deployment": deployment, "exit_code": code }).to_string())?;
        } else {
            output::line(text(deployment, "headline"))?;
        }
        let verdict = code != TOOL_ERROR;
        Ok(if patience.soft_fail && verdict { 0 } else { code })
    }

    fn late(&self, until: Until, deployment: Option<Value>, patience: Patience) -> anyhow::Result<u8> {
        let seconds = patience.timeout.as_secs();
        match (until, deployment) {
            (Until::Verdict, Some(deployment)) => {
                output::complain(&format!(
                    "No verdict within {seconds} s: not enough evidence. The deployment goes on."
                ));
                self.end(&deployment, NOT_ENOUGH, patience)
            }
            (Until::Verdict | Until::Serving | Until::Destroyed, _) => anyhow::bail!(
                "What was waited for did not happen within {seconds} s. The deployment goes on. Look at `arya watch {}`.",
                self.id
            ),
        }
    }

    async fn cancel(&self, patience: Patience) -> anyhow::Result<u8> {
        let without_terminal = !std::io::stdin().is_terminal();
        let default = if without_terminal {
            OnCancel::Destroy
        } else {
            OnCancel::Leave
        };
        match patience.on_cancel.unwrap_or(default) {
            OnCancel::Leave => output::complain(&format!(
                "Stopped watching. The deployment goes on; `arya destroy {}` ends it.",
                self.id
            )),
            OnCancel::Destroy => {
                let path = format!("/api/v1/deployments/{}/destroy", self.id);
                call(&self.client, move |client| client.post(&path, &json!({}))).await?;
                output::complain(
                    "Cancelled. The server destroys the deployment, and goes on doing so without this command.",
                );
            }
        }
        Ok(TOOL_ERROR)
    }
}

/// The exit code, if what was waited for has happened or cannot happen any more.
fn reached(until: Until, deployment: &Value) -> Option<u8> {
    let phase = text(deployment, "phase");
    let over = phase == "destroyed";
    match until {
        Until::Destroyed => over.then_some(0),
        Until::Serving => match phase {
            "serving" => Some(0),
            "failed" | "draining" | "destroying" | "destroyed" => Some(TOOL_ERROR),
            _ => None,
        },
        Until::Verdict => match code_of(&deployment["verdict"]) {
            Some(decided @ (NO_WORSE | HARMFUL)) => Some(decided),
            // A deployment that failed or was removed brings no verdict any more.
            _ if phase == "failed" => Some(TOOL_ERROR),
            _ if over => Some(NOT_ENOUGH),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(until: Until, phase: &str, outcome: Option<&str>, expected: Option<u8>) {
        let verdict = outcome.map(|outcome| json!({ "outcome": outcome }));
        let deployment = json!({ "phase": phase, "verdict": verdict });
        assert_eq!(reached(until, &deployment), expected, "{until:?} {phase} {outcome:?}");
    }

    #[test]
    fn a_verdict_ends_the_wait_with_its_code() {
        check(Until::Verdict, "serving", Some("no_worse"), Some(0));
        check(Until::Verdict, "held", Some("harmful"), Some(1));
        check(Until::Verdict, "serving", Some("inconclusive"), None);
        check(Until::Verdict, "provisioning", None, None);
    }

    #[test]
    fn what_cannot_come_any_more_is_not_waited_for() {
        check(Until::Verdict, "failed", None, Some(3));
        check(Until::Verdict, "destroyed", Some("inconclusive"), Some(2));
        check(Until::Verdict, "destroyed", Some("harmful"), Some(1));
        check(Until::Serving, "destroying", None, Some(3));
    }

    #[test]
    fn phases_end_their_waits() {
        check(Until::Serving, "warming_up", None, None);
        check(Until::Serving, "serving", None, Some(0));
        check(Until::Destroyed, "draining", None, None);
        check(Until::Destroyed, "destroyed", None, Some(0));
    }
}
