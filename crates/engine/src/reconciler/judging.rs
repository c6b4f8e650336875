//! From the source's blocks to a verdict: each block is read once, and what is stored is judged as a whole.

use std::collections::BTreeMap;
use std::time::Duration;

use arya_judge::{
    CountBlock, Evidence, JudgeConfig, MAX_BLOCKS, MetricConfig, MetricSource, Outcome, SourceError, Timestamp,
    Verdict, history, judge,
};
use arya_plan::cloud::Cloud;
use arya_plan::desired::{Goal, MainRule};
use futures_util::future::join_all;
use sha2::{Digest as _, Sha256};
use tokio::time::timeout;
use tracing::error;

use super::memory::Memory;
use super::{Reconciler, after};
use crate::event::Event;
use crate::report::Track;
use crate::store::{StoreError, StoredDeployment, StoredVerdict, epoch};

/// A source that takes longer counts as silent for this look. Short, because the look's steps wait for it.
pub const EVIDENCE_AT_MOST: Duration = Duration::from_secs(5);
/// After a pause (a crash, a held deployment) so much of the past is read again; older spans stay unread, which costs
/// evidence and never invents any.
pub const CATCH_UP_AT_MOST: Duration = Duration::from_secs(3600);
/// A source that failed is asked again so soon.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// A block that is late is asked for again after this part of its length.
const LATE_BLOCK_PART: f64 = 0.25;
/// Block lengths that a source may name, in seconds; as in the judge.
const BLOCK_S: (f64, f64) = (0.1, 86_400.0);

/// What judging keeps between looks.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    pub(crate) verdict: Option<Verdict>,
    pub(crate) tracks: Vec<Track>,
    /// What each metric's source said instead of blocks, at the latest question.
    problems: BTreeMap<String, SourceError>,
    /// When each metric's source is asked next.
    ask_at: BTreeMap<String, Timestamp>,
    /// The share's beginning that the verdict took into account.
    share_since: Option<Timestamp>,
}

impl Judged {
    fn is_due(&self, metric: &MetricConfig, now: Timestamp) -> bool {
        self.ask_at.get(&metric.name).is_none_or(|at| *at <= now)
    }
}

impl<C: Cloud, M: MetricSource> Reconciler<C, M> {
    /// Asks for new blocks if some are due, and says what all blocks together show.
    pub(super) async fn judge(
        &self,
        stored: &StoredDeployment,
        now: Timestamp,
        memory: &mut Memory,
    ) -> Option<Verdict> {
        let from = stored.evidence_from?;
        let due = self
            .settings
            .judge
            .metrics
            .iter()
            .any(|metric| memory.judged.is_due(metric, now));
        if due {
            self.gather(stored, from, now, &mut memory.judged).await;
        }
        let stale = memory.judged.verdict.is_none() || memory.judged.share_since != stored.share_since;
        if due || stale {
            match self.judge_stored(stored, now, &memory.judged.problems) {
                Ok((verdict, tracks)) => {
                    self.tell_verdict(stored, &verdict, memory);
                    memory.judged.verdict = Some(verdict);
                    memory.judged.tracks = tracks;
                    memory.judged.share_since = stored.share_since;
                }
                Err(problem) => {
                    error!(deployment = %stored.desired.id, error = %problem, "the evidence was not judged")
                }
            }
        }
        memory.judged.verdict.clone()
    }

    /// What may be said now. Traffic that was removed never reads as a pass: without our rule nothing is judged.
    pub(super) fn verdict_to_report(&self, stored: &StoredDeployment, memory: &Memory) -> Option<Verdict> {
        let desired = &stored.desired;
        let said_last = |outcome| {
            let last = self.journal.store.last_verdict(&desired.id, outcome);
            last.inspect_err(|error| error!(deployment = %desired.id, %error, "the last verdict cannot be read"))
                .ok()
                .flatten()
        };
        let current = memory.judged.verdict.clone();
        if desired
            .harmful
            .as_ref()
            .is_some_and(|harmful| harmful.overruled.is_none())
        {
            let harmful = current.clone().filter(|verdict| verdict.outcome == Outcome::Harmful);
            return harmful
                .or_else(|| said_last(Some(Outcome::Harmful)).map(|said| said.verdict))
                .or(current);
        }
        match (desired.main_rule, desired.goal) {
            (MainRule::Seen, Goal::Serve { .. }) => current,
            // Destroyed while it served: the verdict of its last moment is its result.
            (MainRule::Seen, Goal::Absent) => current.or_else(|| said_last(None).map(|said| said.verdict)),
            (MainRule::NotYet | MainRule::Wanted | MainRule::Away, _) => None,
        }
    }

    async fn gather(&self, stored: &StoredDeployment, from: Timestamp, now: Timestamp, judged: &mut Judged) {
        let deployment = stored.desired.id.to_string();
        let oldest = now.checked_sub(CATCH_UP_AT_MOST).unwrap_or(from);
        let due = self
            .settings
            .judge
            .metrics
            .iter()
            .filter(|metric| judged.is_due(metric, now));
        let questions: Vec<(&MetricConfig, Timestamp)> = due
            .map(|metric| (metric, self.last_block(stored, metric).unwrap_or(from).max(oldest)))
            // A clock that was set back has nothing to ask for.
            .filter(|(_, start)| *start < now)
            .collect();
        let answers = join_all(questions.into_iter().map(|(metric, start)| {
            let deployment = deployment.as_str();
            async move {
                let answer = timeout(EVIDENCE_AT_MOST, self.source.evidence(deployment, metric, start..=now)).await;
                let limit = EVIDENCE_AT_MOST.as_secs();
                let silent = || SourceError::Unreachable {
                    what: format!("no answer within {limit} s"),
                };
                (metric, start, answer.unwrap_or_else(|_| Err(silent())))
            }
        }))
        .await;
        for (metric, start, answer) in answers {
            let ask_at = match answer {
                Ok(evidence) => {
                    judged.problems.remove(&metric.name);
                    self.keep(stored, metric, evidence, start, now)
                }
                Err(problem) => {
                    judged.problems.insert(metric.name.clone(), problem);
                    after(now, ASK_AGAIN_AFTER)
                }
            };
            judged.ask_at.insert(metric.name.clone(), ask_at);
        }
    }

    /// Stores an answer's blocks; says when the next one can be complete.
    fn keep(
        &self,
        stored: &StoredDeployment,
        metric: &MetricConfig,
        mut evidence: Evidence,
        start: Timestamp,
        now: Timestamp,
    ) -> Timestamp {
        let id = &stored.desired.id;
        evidence.metric.clone_from(&metric.name);
        if !evidence.block_s.is_finite() {
            evidence.block_s = BLOCK_S.1;
        }
        evidence.block_s = evidence.block_s.clamp(BLOCK_S.0, BLOCK_S.1);
        evidence
            .blocks
            .retain(|block| block.ends_at > start && block.ends_at <= now);
        evidence.blocks.truncate(MAX_BLOCKS);
        if let Err(problem) = self.journal.store.add_blocks(id, epoch(&stored.desired), &evidence) {
            error!(deployment = %id, error = %problem, "measurements could not be stored; they are asked for again");
        }
        let block = |part: f64| Duration::from_secs_f64(evidence.block_s * part);
        let last = self.last_block(stored, metric).unwrap_or(start);
        after(last, block(1.0)).max(after(now, block(LATE_BLOCK_PART)))
    }

    fn last_block(&self, stored: &StoredDeployment, metric: &MetricConfig) -> Option<Timestamp> {
        let desired = &stored.desired;
        let last = self.journal.store.last_block(&desired.id, epoch(desired), &metric.name);
        last.inspect_err(|error| error!(deployment = %desired.id, %error, "measurements cannot be read"))
            .ok()
            .flatten()
    }

    /// Judges everything that is stored of this filling of the arms, and keeps what was said.
    fn judge_stored(
        &self,
        stored: &StoredDeployment,
        now: Timestamp,
        problems: &BTreeMap<String, SourceError>,
    ) -> Result<(Verdict, Vec<Track>), StoreError> {
        let desired = &stored.desired;
        let mut evidence = Vec::new();
        for metric in &self.settings.judge.metrics {
            let known = self.journal.store.evidence(&desired.id, epoch(desired), metric)?;
            let problem = problems.get(&metric.name);
            match (known, problem) {
                (Some(known), problem) => {
                    evidence.push(Evidence {
                        problem: problem.map(ToString::to_string),
                        ..known
                    });
                }
                (None, Some(problem)) => evidence.push(Evidence::failed(metric, "", problem)),
                (None, None) => {}
            }
        }
        let config = config(&self.settings.judge, stored, &evidence);
        let verdict = judge(&config, &evidence);
        let evidence_digest = digest(&evidence);
        self.journal.store.keep_verdict(
            &desired.id,
            &StoredVerdict {
                at: now,
                verdict: verdict.clone(),
                evidence_digest,
            },
        )?;
        let tracks = evidence
            .iter()
            .map(|one| Track {
                metric: one.metric.clone(),
                points: history(&config, one, 1),
            })
            .collect();
        Ok((verdict, tracks))
    }

    fn tell_verdict(&self, stored: &StoredDeployment, verdict: &Verdict, memory: &mut Memory) {
        let told = memory.outcome.replace(verdict.outcome);
        // The first verdict always is that there is no evidence yet; a harmful one is told by the change it leads to.
        let expected = match verdict.outcome {
            Outcome::Inconclusive => told.is_none(),
            Outcome::Harmful => stored.desired.harmful.is_none(),
            Outcome::NoWorse => false,
        };
        if told != Some(verdict.outcome) && !expected {
            let event = Event::VerdictChanged {
                outcome: verdict.outcome,
                sentence: verdict.sentence(),
            };
            self.journal.mention(&stored.desired.id, event);
        }
    }
}

/// The template for this deployment: its lifetime, and the minimum bake counted from the latest change of the share.
/// The judge counts compared seconds from the first block on, so what was compared before that change is added.
fn config(template: &JudgeConfig, stored: &StoredDeployment, evidence: &[Evidence]) -> JudgeConfig {
    let earlier = |block: &&CountBlock| {
        stored
            .share_since
            .is_some_and(|since| block.compares() && block.ends_at <= since)
    };
    let baked = evidence
        .iter()
        .map(|one| one.blocks.iter().filter(earlier).count() as f64 * one.block_s);
    JudgeConfig {
        minimum_bake_s: template.minimum_bake_s + baked.fold(0.0, f64::max),
        planned_s: stored.desired.spec.lifetime_h * 3600.0,
        ..template.clone()
    }
}

fn digest(evidence: &[Evidence]) -> String {
    let json = serde_json::to_vec(evidence).unwrap_or_default();
    Sha256::digest(json).iter().map(|byte| format!("{byte:02x}")).collect()
}
