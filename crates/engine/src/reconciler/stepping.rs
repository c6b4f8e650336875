//! Carrying out a plan's steps: at the same time, each with a limit, one event each, and patience where the cloud says no.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arya_judge::{MetricSource, Timestamp};
use arya_plan::cloud::{Cloud, CloudError, ErrorKind};
use arya_plan::desired::Desired;
use arya_plan::identity::{DeploymentId, RuleKind};
use arya_plan::listener::Rule;
use arya_plan::observed::{Instance, Observed};
use arya_plan::plan::{Plan, Step, WaitReason, Waiting};
use arya_plan::spec::Digest;
use arya_plan::timing::Timing;
use futures_util::future::join_all;
use tokio::time::timeout;
use tracing::warn;

use super::memory::{BACK_OFF_AT_LEAST, BACK_OFF_AT_MOST, Memory};
use super::{Reconciler, after, no_answer};
use crate::event::{self, Event};
use crate::store::StoreError;

/// A step that takes longer is given up; the next look tells whether it worked all the same.
pub const STEP_AT_MOST: Duration = Duration::from_secs(15);
/// So many tries of a step without any change to what is seen, and the page says that it is stuck.
pub const STUCK_AFTER: u32 = 5;
/// The same refusal is told once, and then once in so many times.
pub const REFUSALS_PER_EVENT: u32 = 10;

/// A file that begins to upload again is told once, and then once in so many times.
pub const UPLOADS_PER_EVENT: u32 = 10;

/// The tries of the steps that the latest plan still wanted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attempts {
    steps: Vec<Attempt>,
    /// How often each file began to upload, also when its step left the plan in between. As many as the spec names.
    uploads: BTreeMap<Digest, u32>,
    /// What was seen of ours at the latest try.
    last_seen: Option<Arc<Observed>>,
}

#[derive(Debug, Clone)]
struct Attempt {
    step: Step,
    first_at: Timestamp,
    next_at: Timestamp,
    /// In a row without any change to what is seen.
    tries: u32,
    answer: Result<(), CloudError>,
    /// The same *no* in a row.
    refusals: u32,
}

/// Our main rule was created, which is not told yet.
#[derive(Debug)]
pub(super) struct MadeRule {
    pub(super) priority: u16,
    pub(super) event: Event,
}

impl<C: Cloud, M: MetricSource> Reconciler<C, M> {
    /// Carries out what is due, tells it, and adds to the plan what that makes it wait for. The creation of our main rule
    /// is left to the caller to store and tell.
    pub(super) async fn carry_out(
        &self,
        desired: &Desired,
        observed: &Arc<Observed>,
        plan: &mut Plan,
        memory: &mut Memory,
    ) -> Option<MadeRule> {
        let now = self.journal.clock.now();
        let timing = &self.settings.timing;
        memory.attempts.look(plan, observed);
        let due: Vec<Step> = plan
            .steps
            .iter()
            .filter(|step| memory.attempts.is_due(step, now))
            .cloned()
            .collect();
        self.note_begun(&desired.id, &due);
        let answers = join_all(due.iter().map(|step| async move {
            let answer = timeout(STEP_AT_MOST, self.cloud.apply(desired, step)).await;
            answer.unwrap_or_else(|_| Err(no_answer(&format!("\"{step}\""), STEP_AT_MOST)))
        }))
        .await;
        self.note_ended(&desired.id, &due);
        let is_throttled =
            |answer: &Result<(), CloudError>| answer.as_ref().is_err_and(|error| error.kind == ErrorKind::Throttled);
        if answers.iter().any(is_throttled) {
            plan.look_again_in = plan.look_again_in.max(memory.throttled(timing));
        } else {
            memory.not_throttled();
            // What was just done shows in the next look; pages should not wait a quiet interval for it.
            if answers.iter().any(Result::is_ok) {
                plan.look_again_in = plan.look_again_in.min(timing.look_moving);
            }
        }
        let mut made = None;
        for (step, answer) in due.into_iter().zip(answers) {
            made = self.take_answer(&desired.id, step, answer, memory).or(made);
        }
        plan.waiting
            .extend(memory.attempts.waiting(self.journal.clock.now(), timing));
        made
    }

    /// Keeps what is about to be done, so that a start after a crash can tell it. That it cannot be kept stops nothing.
    fn note_begun(&self, id: &DeploymentId, steps: &[Step]) {
        let words: Vec<String> = steps.iter().map(Step::to_string).collect();
        if !words.is_empty()
            && let Err(problem) = self.journal.store.begin_steps(id, &words)
        {
            warn!(deployment = %id, error = %problem, "what is about to be done could not be stored");
        }
    }

    fn note_ended(&self, id: &DeploymentId, steps: &[Step]) {
        if !steps.is_empty()
            && let Err(problem) = self.journal.store.end_steps(id)
        {
            warn!(deployment = %id, error = %problem, "that everything was answered could not be stored");
        }
    }

    /// Tells once what an earlier process was doing when it ended.
    pub(super) fn tell_interrupted(&self, id: &DeploymentId) -> Result<(), StoreError> {
        let steps = self.journal.store.steps_in_flight(id)?;
        if !steps.is_empty() {
            self.journal.mention(id, Event::Interrupted { steps });
            self.journal.store.end_steps(id)?;
        }
        Ok(())
    }

    fn take_answer(
        &self,
        id: &DeploymentId,
        step: Step,
        answer: Result<(), CloudError>,
        memory: &mut Memory,
    ) -> Option<MadeRule> {
        let now = self.journal.clock.now();
        if let (Ok(()), Step::LaunchInstance { place, incarnation }) = (&answer, &step) {
            memory.launched.entry((*place, *incarnation)).or_insert(now);
        }
        let made = match (&answer, &step) {
            (
                Ok(()),
                Step::CreateRule {
                    kind: RuleKind::Main,
                    priority,
                    ..
                },
            ) => Some(*priority),
            _ => None,
        };
        let event = memory.attempts.note(step, answer, now, &self.settings.timing)?;
        if let Some(priority) = made {
            return Some(MadeRule { priority, event });
        }
        self.journal.mention(id, event);
        None
    }
}

impl Attempts {
    /// The steps whose latest answer was a *no* of that kind.
    #[cfg(feature = "simulation")]
    pub(super) fn without_answer(&self, kind: ErrorKind) -> Vec<Step> {
        let said = |attempt: &&Attempt| attempt.answer.as_ref().is_err_and(|error| error.kind == kind);
        self.steps
            .iter()
            .filter(said)
            .map(|attempt| attempt.step.clone())
            .collect()
    }

    /// Forgets steps that are no longer wanted, and starts counting anew when something moved.
    fn look(&mut self, plan: &Plan, observed: &Arc<Observed>) {
        self.steps.retain(|attempt| plan.steps.contains(&attempt.step));
        if !self.last_seen.as_ref().is_some_and(|last| same_of_ours(last, observed)) {
            self.last_seen = Some(observed.clone());
            for attempt in &mut self.steps {
                attempt.tries = 0;
            }
        }
    }

    /// Taking our rules away is never put off.
    fn is_due(&self, step: &Step, now: Timestamp) -> bool {
        matches!(step, Step::DeleteRule { .. })
            || self
                .steps
                .iter()
                .find(|attempt| attempt.step == *step)
                .is_none_or(|attempt| attempt.next_at <= now)
    }

    /// Remembers an answer; gives the event that the feed should tell, if any.
    fn note(&mut self, step: Step, answer: Result<(), CloudError>, now: Timestamp, timing: &Timing) -> Option<Event> {
        let known = self.steps.iter().position(|attempt| attempt.step == step);
        let first_try = known.is_none();
        let index = known.unwrap_or(self.steps.len());
        if first_try {
            self.steps.push(Attempt {
                step,
                first_at: now,
                next_at: now,
                tries: 0,
                answer: Ok(()),
                refusals: 0,
            });
        }
        let attempt = &mut self.steps[index];
        let said_before = std::mem::replace(&mut attempt.answer, answer);
        attempt.tries = attempt.tries.saturating_add(1);
        attempt.next_at = after(now, pause(attempt.tries, timing));
        match &attempt.answer {
            Ok(()) => {
                attempt.refusals = 0;
                if let Step::StartUpload { digest } = &attempt.step {
                    let begun = self.uploads.entry(digest.clone()).or_default();
                    *begun = begun.saturating_add(1);
                    let tell = *begun == 1 || begun.is_multiple_of(UPLOADS_PER_EVENT);
                    return tell.then(|| event::done(&attempt.step));
                }
                // A repeated success is a listing that lags, not news.
                (first_try || said_before.is_err()).then(|| event::done(&attempt.step))
            }
            Err(error) => {
                let same = said_before.as_ref().is_err_and(|before| before == error);
                attempt.refusals = if same { attempt.refusals.saturating_add(1) } else { 1 };
                let times = attempt.refusals;
                let tell = times == 1 || times.is_multiple_of(REFUSALS_PER_EVENT);
                let (step, what) = (attempt.step.to_string(), error.to_string());
                let news = match error.kind {
                    // Patience is a reason to wait, not news.
                    ErrorKind::Throttled | ErrorKind::NotYet => return None,
                    ErrorKind::Unknown => Event::Unanswered { step, what, times },
                    ErrorKind::Refused => Event::Refused {
                        step,
                        error: what,
                        times,
                    },
                };
                tell.then_some(news)
            }
        }
    }

    /// Why the steps that are still wanted are not done.
    fn waiting(&self, now: Timestamp, timing: &Timing) -> Vec<Waiting> {
        let mut waiting: Vec<Waiting> = Vec::new();
        for attempt in &self.steps {
            let reason = match &attempt.answer {
                Err(error) if attempt.tries >= STUCK_AFTER => WaitReason::Stuck {
                    step: attempt.step.to_string(),
                    error: error.to_string(),
                },
                Ok(()) if attempt.tries >= STUCK_AFTER && lasted(attempt, now) >= timing.listing_lag => {
                    let error = "The cloud accepted it each time.".to_owned();
                    WaitReason::Stuck {
                        step: attempt.step.to_string(),
                        error,
                    }
                }
                Err(error) => WaitReason::Cloud {
                    error: error.to_string(),
                },
                Ok(()) => continue,
            };
            if waiting.iter().all(|known| known.reason != reason) {
                waiting.push(Waiting {
                    reason,
                    since: attempt.first_at,
                });
            }
        }
        waiting
    }
}

fn lasted(attempt: &Attempt, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(attempt.first_at)).unwrap_or(Duration::ZERO)
}

/// How long to leave a step alone: not at all at first, then twice as long each time.
fn pause(tries: u32, timing: &Timing) -> Duration {
    match tries.checked_sub(STUCK_AFTER) {
        None => Duration::ZERO,
        Some(more) => {
            let first = timing.look_moving.max(BACK_OFF_AT_LEAST);
            first.saturating_mul(2_u32.saturating_pow(more)).min(BACK_OFF_AT_MOST)
        }
    }
}

/// Whether two looks show the same of ours, but for what moves by itself: times, log lines, users' traffic, bytes on
/// their way, other people's rules.
fn same_of_ours(one: &Observed, other: &Observed) -> bool {
    one.bucket == other.bucket
        && one.security_groups == other.security_groups
        && one.groups == other.groups
        && one
            .uploads
            .iter()
            .map(|(digest, upload)| (digest, upload.size, &upload.state))
            .eq(other
                .uploads
                .iter()
                .map(|(digest, upload)| (digest, upload.size, &upload.state)))
        && one
            .instances
            .iter()
            .map(without_moving_parts)
            .eq(other.instances.iter().map(without_moving_parts))
        && one.site.is_some() == other.site.is_some()
        && our_rules(one).eq(our_rules(other))
}

fn without_moving_parts(of: &Instance) -> impl PartialEq {
    (of.place, of.incarnation, &of.id, of.state, of.address, of.phase())
}

fn our_rules(observed: &Observed) -> impl Iterator<Item = &Rule> {
    let rules = observed.site.iter().flat_map(|site| &site.rules);
    rules.filter(|rule| rule.owner.is_some())
}
