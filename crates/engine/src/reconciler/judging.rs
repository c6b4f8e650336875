//! From the source's blocks to a verdict: each block is read once, stored, and given to the judge.

mod choosing;
mod following;
mod pausing;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use arya_judge::{
    Begin, Block, Evidence, JudgeConfig, MAX_BLOCKS, MetricConfig, MetricSource, Outcome, SourceError, Timestamp,
    Verdict, judge,
};
use arya_plan::cloud::Cloud;
use futures_util::future::join_all;
use tokio::time::timeout;
use tracing::error;

pub use self::choosing::CHOSEN_WITHIN;
use self::choosing::Chosen;
pub(crate) use self::choosing::of_its_protocol;
use self::following::Following;
use self::pausing::Pausing;
use super::memory::Memory;
use super::{Reconciler, after};
use crate::event::Event;
use crate::report::{Track, verdict_to_say};
use crate::store::{Pauses, StoreError, StoredDeployment, StoredVerdict, epoch};

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
#[derive(Debug, Clone, Default)]
pub(crate) struct Judged {
    pub(crate) verdict: Option<Verdict>,
    pub(crate) tracks: Vec<Track>,
    /// By what it is judged.
    chosen: Chosen,
    /// The judge's state; shared until it changes, because moments of a simulation remember it too.
    following: Option<Arc<Following>>,
    /// What the sources answered since the judge last heard of it, and when the blocks of it began.
    fresh: BTreeMap<String, (Evidence, Begin)>,
    /// What each metric's source said instead of blocks, at the latest question.
    problems: BTreeMap<String, SourceError>,
    /// Each metric's latest blocks, while the store does not take them; they are asked for again.
    unstored: BTreeMap<String, Evidence>,
    /// When each metric's source is asked next.
    ask_at: BTreeMap<String, Timestamp>,
    /// The beginnings of the share and of the evidence that the verdict took into account.
    judged_for: Option<JudgedFor>,
    /// When nothing was judged.
    pausing: Pausing,
}

/// What a verdict is about besides its blocks; when it changes, the verdict is out of date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct JudgedFor {
    epoch: u32,
    /// A person overruled what was measured before.
    from: Option<Timestamp>,
    /// The minimum bake counts from here.
    bake_from: Option<Timestamp>,
}

impl Judged {
    fn is_due(&self, metric: &MetricConfig, now: Timestamp) -> bool {
        self.ask_at.get(&metric.name).is_none_or(|at| *at <= now)
    }

    /// The judge's state is made from what is stored at the next look, and its verdict with it.
    fn judge_anew(&mut self) {
        self.following = None;
        self.judged_for = None;
    }

    /// What a verdict of now is about.
    fn now_for(&self, stored: &StoredDeployment) -> JudgedFor {
        let pass_put_off = self.pausing.known().and_then(Pauses::pass_put_off_until);
        JudgedFor {
            epoch: epoch(&stored.desired),
            from: stored.desired.judged_from(),
            bake_from: stored.share_since.max(pass_put_off),
        }
    }

    /// What of an answer may be judged: nothing of a pause, nothing from before a person overruled it.
    fn to_be_judged(&self, stored: &StoredDeployment, (mut evidence, begin): (Evidence, Begin)) -> Evidence {
        let none = Pauses::default();
        let pauses = self.pausing.known().unwrap_or(&none);
        evidence.leave_out(&pauses.left_out_of(&stored.desired), begin);
        evidence
    }

    /// Whether what was said last is about these instances, and nobody overruled it since.
    fn is_about(&self, now: &JudgedFor) -> bool {
        self.judged_for
            .is_some_and(|then| (then.epoch, then.from) == (now.epoch, now.from))
    }

    fn was_harmful_by_the_same(&self, now: &JudgedFor) -> bool {
        let harmful = |verdict: &Verdict| verdict.outcome == Outcome::Harmful;
        self.verdict.as_ref().is_some_and(harmful) && self.is_about(now)
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
        let config = self.choose(stored, now, &mut memory.judged.chosen).await;
        let due = config.metrics.iter().any(|metric| memory.judged.is_due(metric, now));
        if due {
            self.gather(stored, &config, from..=now, &mut memory.judged).await;
        }
        let judged_for = memory.judged.now_for(stored);
        let stale = memory.judged.verdict.is_none() || memory.judged.judged_for != Some(judged_for);
        if due || stale {
            let followed = self.follow_evidence(stored, &config, from, &mut memory.judged);
            if followed.is_ok() || !memory.judged.was_harmful_by_the_same(&judged_for) {
                let (verdict, tracks) = match followed {
                    Ok(following) => self.judge_known(stored, now, following, memory),
                    Err(problem) => (unread(&config, &problem), Vec::new()),
                };
                self.tell_verdict(stored, &verdict, memory);
                memory.judged.verdict = Some(verdict);
                memory.judged.tracks = tracks;
                // A doubt that began or ended with this verdict is taken into account in it.
                memory.judged.judged_for = Some(memory.judged.now_for(stored));
            }
        }
        memory.judged.verdict.clone()
    }

    pub(super) fn verdict_to_report(&self, stored: &StoredDeployment, memory: &Memory) -> Option<Verdict> {
        let desired = &stored.desired;
        let judged = &memory.judged;
        let (now_for, bake_s) = (judged.now_for(stored), self.settings.judge.minimum_bake_s);
        let current = judged.verdict.clone().filter(|_| judged.is_about(&now_for));
        // The share may have changed since it was judged, also within this look.
        let current = match judged.judged_for {
            Some(then) if then != now_for => current.map(|verdict| verdict.outdated(bake_s)),
            Some(_) | None => current,
        };
        let read = || self.journal.store.pauses(&desired.id);
        let pauses = memory
            .judged
            .pausing
            .known()
            .map_or_else(read, |known| Ok(known.clone()));
        let said = pauses.and_then(|pauses| {
            verdict_to_say(stored, bake_s, current.clone(), pauses.open(), |outcome| {
                self.journal.store.last_verdict(&desired.id, outcome)
            })
        });
        said.unwrap_or_else(|error| {
            error!(deployment = %desired.id, %error, "the last verdict cannot be read");
            current
        })
    }

    async fn gather(
        &self,
        stored: &StoredDeployment,
        config: &JudgeConfig,
        span: RangeInclusive<Timestamp>,
        judged: &mut Judged,
    ) {
        let (from, now) = span.into_inner();
        let deployment = stored.desired.id.to_string();
        let oldest = now.checked_sub(CATCH_UP_AT_MOST).unwrap_or(from);
        let due = config.metrics.iter().filter(|metric| judged.is_due(metric, now));
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
                    self.keep(stored, metric, evidence, start..=now, judged)
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
        window: RangeInclusive<Timestamp>,
        judged: &mut Judged,
    ) -> Timestamp {
        let (start, now) = window.into_inner();
        let id = &stored.desired.id;
        evidence.metric.clone_from(&metric.name);
        if !evidence.block_s.is_finite() {
            evidence.block_s = BLOCK_S.1;
        }
        evidence.block_s = evidence.block_s.clamp(BLOCK_S.0, BLOCK_S.1);
        evidence
            .blocks
            .retain(|block| block.ends_at() > start && block.ends_at() <= now);
        evidence.blocks.truncate(MAX_BLOCKS);
        evidence
            .production
            .retain(|beside| beside.ends_at > start && beside.ends_at <= now);
        evidence.production.truncate(MAX_BLOCKS);
        let newest = evidence.blocks.iter().map(Block::ends_at).max();
        let last_end = self.last_block(stored, metric);
        let block = |part: f64| Duration::from_secs_f64(evidence.block_s * part);
        let ask_at = after(newest.unwrap_or(start), block(1.0)).max(after(now, block(LATE_BLOCK_PART)));
        judged.fresh.insert(
            metric.name.clone(),
            (evidence.clone(), Begin::of(&metric.from, last_end)),
        );
        match self.journal.store.add_blocks(id, epoch(&stored.desired), &evidence) {
            Ok(_) => {
                judged.unstored.remove(&metric.name);
            }
            Err(problem) => {
                error!(deployment = %id, error = %problem, "measurements count, but could not be stored; they are asked for again");
                judged.unstored.insert(metric.name.clone(), evidence);
            }
        }
        ask_at
    }

    fn last_block(&self, stored: &StoredDeployment, metric: &MetricConfig) -> Option<Timestamp> {
        let desired = &stored.desired;
        let last = self.journal.store.last_block(&desired.id, epoch(desired), &metric.name);
        last.inspect_err(|error| error!(deployment = %desired.id, %error, "measurements cannot be read"))
            .ok()
            .flatten()
    }

    /// The judge's state with everything that is known by now; read from the store when there is none of these arms.
    fn follow_evidence(
        &self,
        stored: &StoredDeployment,
        config: &Arc<JudgeConfig>,
        from: Timestamp,
        judged: &mut Judged,
    ) -> Result<Arc<Following>, StoreError> {
        if let Some(mut following) = judged
            .following
            .take()
            .filter(|following| following.is_of(stored, from, config))
        {
            Arc::make_mut(&mut following).advance(stored, judged);
            return Ok(following);
        }
        let pauses = self.pauses(stored, &mut judged.pausing)?.clone();
        let known = self.known(stored, config, &pauses, judged)?;
        judged.fresh.clear();
        Ok(Arc::new(Following::new(
            config,
            stored,
            from,
            (&known, pauses.taught_until()),
        )))
    }

    /// Everything known of this filling of the arms: what is stored, and what could not be stored yet.
    fn known(
        &self,
        stored: &StoredDeployment,
        config: &JudgeConfig,
        pauses: &Pauses,
        judged: &Judged,
    ) -> Result<Vec<Evidence>, StoreError> {
        let mut evidence = Vec::new();
        for metric in &config.metrics {
            let mut known = self.journal.store.judged_evidence(stored, pauses, metric)?;
            if let Some(fresh) = judged.unstored.get(&metric.name) {
                let last_end = self.last_block(stored, metric);
                let fresh = judged.to_be_judged(stored, (fresh.clone(), Begin::of(&metric.from, last_end)));
                let known = known.get_or_insert_with(|| Evidence {
                    blocks: Vec::new(),
                    production: Vec::new(),
                    ..fresh.clone()
                });
                // What stands beside a block that is not known here is not looked at.
                known.production.extend(fresh.production.iter().cloned());
                let start = known.blocks.last().map(Block::ends_at);
                let newer = |block: &Block| block.is_readable() && start.is_none_or(|start| block.ends_at() > start);
                known.blocks.extend(fresh.blocks.into_iter().filter(newer));
            }
            let problem = judged.problems.get(&metric.name);
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
        Ok(evidence)
    }

    /// Judges, and keeps what was said if the store allows.
    fn judge_known(
        &self,
        stored: &StoredDeployment,
        now: Timestamp,
        mut following: Arc<Following>,
        memory: &mut Memory,
    ) -> (Verdict, Vec<Track>) {
        let id = &stored.desired.id;
        let following_now = Arc::make_mut(&mut following);
        let put_off = |judged: &Judged| judged.pausing.known().and_then(Pauses::pass_put_off_until);
        let before = put_off(&memory.judged);
        following_now.judging.set_bake_from(stored.share_since);
        following_now.judging.put_off_pass(before);
        let mut verdict = following_now.judging.verdict();
        self.note_doubt(stored, &verdict, now, memory);
        let after = put_off(&memory.judged);
        if after != before {
            following_now.judging.put_off_pass(after);
            verdict = following_now.judging.verdict();
        }
        let said = StoredVerdict {
            at: now,
            verdict: verdict.clone(),
            evidence_digest: following_now.digest(),
        };
        if let Err(problem) = self.journal.store.keep_verdict(id, &said) {
            error!(deployment = %id, error = %problem, "a verdict counts although it could not be stored");
        }
        let tracks = following_now.tracks();
        memory.judged.following = Some(following);
        (verdict, tracks)
    }

    fn tell_verdict(&self, stored: &StoredDeployment, verdict: &Verdict, memory: &mut Memory) {
        let told = memory.outcome.replace(verdict.outcome);
        // The first verdict always is that there is no evidence yet; a harmful one is told by the change it leads to.
        let expected = match verdict.outcome {
            Outcome::Inconclusive => told.is_none(),
            Outcome::Harmful => !stored.desired.is_harmful(),
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

/// What is said while the stored evidence cannot be read: nothing, and why. An older pass may be untrue by now.
fn unread(config: &JudgeConfig, problem: &StoreError) -> Verdict {
    error!(error = %problem, "the evidence was not judged");
    let what = format!("what was measured cannot be read from the store: {problem}");
    let failed = |metric: &MetricConfig| Evidence {
        problem: Some(what.clone()),
        ..Evidence::of(metric, "", Vec::new())
    };
    let evidence: Vec<Evidence> = config.metrics.iter().map(failed).collect();
    judge(config, &evidence)
}
