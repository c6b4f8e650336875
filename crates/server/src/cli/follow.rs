//! Following a deployment: what happens is printed, and what was waited for becomes the exit code.

use std::io::IsTerminal as _;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::live::{call, list, text};
use super::{OnCancel, Patience, Session, TOOL_ERROR, Until};
use crate::client::{Client, ClientError};
use crate::{output, signals};

/// How often a followed deployment is asked for; the server answers from memory.
const ASK_EVERY: Duration = Duration::from_millis(400);
/// A server that does not answer for this long while a deployment is followed is given up on; restarts take less.
const SILENCE_AT_MOST: Duration = Duration::from_secs(60);
/// Exit codes of a verdict.
const NO_WORSE: u8 = 0;
const HARMFUL: u8 = 1;
pub(super) const NOT_ENOUGH: u8 = 2;

/// The exit code of something with an `outcome`.
pub(super) fn code_of(verdict: &Value) -> Option<u8> {
    match text(verdict, "outcome") {
        "no_worse" => Some(NO_WORSE),
        "harmful" => Some(HARMFUL),
        "inconclusive" => Some(NOT_ENOUGH),
        _ => None,
    }
}

/// Follows one deployment: prints what happens, ends at what was waited for.
pub(super) struct Follower<'s> {
    session: &'s Session,
    client: Client,
    id: String,
    /// The last event that was printed.
    after: u64,
    heard: Instant,
}

impl<'s> Follower<'s> {
    pub(super) fn new(session: &'s Session, client: Client, id: String) -> Self {
        Self {
            session,
            client,
            id,
            after: 0,
            heard: Instant::now(),
        }
    }

    pub(super) async fn until(self, until: Until, patience: Patience) -> anyhow::Result<u8> {
        self.until_or(until, patience, signals::told_to_stop()).await
    }

    /// As `until`, with a cancellation that was listened for before there was anything to follow.
    pub(super) async fn until_or(
        mut self,
        until: Until,
        patience: Patience,
        cancelled: impl Future<Output = ()>,
    ) -> anyhow::Result<u8> {
        let deadline = Instant::now() + patience.timeout;
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
            let mut deployment = deployment.clone();
            // Pipelines keep what is printed here; the probe header's secret does not belong into their logs.
            deployment["probe"] = Value::Null;
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
