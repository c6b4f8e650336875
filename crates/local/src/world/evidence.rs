//! Measurements of both arms, as cheap as they can be: constant rates while our main rule stands.

use std::ops::RangeInclusive;
use std::time::Duration;

use arya_judge::{
    ArmCount, Beside, Block, CountBlock, Evidence, Machines, MetricConfig, Shown, SourceError, Timestamp,
};
use arya_plan::identity::DeploymentId;

use super::Told;
use super::calls::is_silence;
use super::fault::{CallKind, FaultKind};
use super::settings::Counted;
use super::state::State;

/// Seconds of one block.
pub const BLOCK_S: i64 = 5;
/// Requests of each arm in a block: so many that harm is found within a minute.
const REQUESTS: f64 = 10_000.0;
/// Failed requests of an arm that is well, in a block.
const FAILURES: f64 = 100.0;
/// How much more often a bad canary fails.
const BAD: f64 = 3.0;
/// The most blocks of one answer, the newest ones: a day's.
const BLOCKS_AT_MOST: usize = 17_280;

/// What can be measured, and since when.
#[derive(Debug, Clone, Default)]
pub(super) struct Measures {
    /// When the main rule of a deployment stood, the end open while it does.
    spans: Vec<(DeploymentId, Duration, Option<Duration>)>,
    pub(super) canary: Canary,
    pub(super) source: Source,
}

/// How the canary does, since when.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Canary {
    #[default]
    Good,
    Bad {
        since: Duration,
    },
    /// So does the baseline.
    AsBadAsItsTwin {
        since: Duration,
    },
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Source {
    #[default]
    Answers,
    Fails,
}

impl State {
    /// Our main rule came, or went.
    pub(super) fn note_main_rule(&mut self, deployment: DeploymentId, stands: bool) {
        let age = self.age;
        if stands {
            self.measures.spans.push((deployment, age, None));
        } else if let Some((_, _, end)) = self
            .measures
            .spans
            .iter_mut()
            .rev()
            .find(|(id, _, _)| *id == deployment)
        {
            end.get_or_insert(age);
        }
    }

    pub(super) fn evidence(
        &mut self,
        deployment: &str,
        metric: &MetricConfig,
        window: &RangeInclusive<Timestamp>,
    ) -> Told<Result<Evidence, SourceError>> {
        let Some(fate) = self.begin(CallKind::Evidence) else {
            return Told::Silence;
        };
        if fate.fault.is_some_and(is_silence) {
            return Told::Silence;
        }
        if self.measures.source == Source::Fails || fate.fault.is_some_and(|f| f != FaultKind::Lags) {
            let what = "nobody answered".to_owned();
            return Told::Answer(Err(SourceError::Unreachable { what }));
        }
        let Ok(id) = deployment.parse() else {
            let what = format!("`{deployment}` is no deployment's id");
            return Told::Answer(Err(SourceError::Malformed { what }));
        };
        let blocks = self.blocks(&id, window);
        Told::Answer(Ok(Evidence {
            query: "answers with status 500 to 599, of all requests through the main rule".into(),
            block_s: BLOCK_S as f64,
            production: self.beside(&blocks),
            ..Evidence::of(metric, "the simulated load balancer's counters", blocks)
        }))
    }

    /// Production's machines are well, two of them have the load that each arm's has.
    fn beside(&self, blocks: &[Block]) -> Vec<Beside> {
        if self.settings.beside == Counted::Arms {
            return Vec::new();
        }
        let of = |block: &Block| Beside {
            ends_at: block.ends_at(),
            shown: Shown::Counts(ArmCount {
                events: 2.0 * FAILURES,
                exposure: 2.0 * REQUESTS,
            }),
            machines: Machines {
                production: 2,
                each_arm: 1,
            },
        };
        blocks.iter().map(of).collect()
    }

    /// The whole blocks in the window in which the main rule stood all the time.
    fn blocks(&self, id: &DeploymentId, window: &RangeInclusive<Timestamp>) -> Vec<Block> {
        let start = self.settings.start.as_second();
        let at = |age: Duration| start + i64::try_from(age.as_secs()).unwrap_or(i64::MAX - start);
        let last = window.end().as_second().min(at(self.age));
        let first = window.start().as_second() + i64::from(window.start().subsec_nanosecond() > 0);
        let mut blocks = Vec::new();
        for (_, from, until) in self.measures.spans.iter().filter(|(of, _, _)| of == id) {
            let from = (at(*from) + i64::from(from.subsec_nanos() > 0)).max(first);
            let until = until.map_or(last, |until| at(until).min(last));
            let first_end = from.div_euclid(BLOCK_S) * BLOCK_S + BLOCK_S;
            let first_end = first_end + i64::from(from.rem_euclid(BLOCK_S) > 0) * BLOCK_S;
            let mut end = first_end;
            while end <= until {
                let (baseline, canary) = match self.measures.canary {
                    Canary::Bad { since } if at(since) < end => (1.0, BAD),
                    Canary::AsBadAsItsTwin { since } if at(since) < end => (BAD, BAD),
                    Canary::Good | Canary::Bad { .. } | Canary::AsBadAsItsTwin { .. } => (1.0, 1.0),
                };
                if let Ok(ends_at) = Timestamp::from_second(end) {
                    blocks.push(Block::Counts(CountBlock {
                        ends_at,
                        baseline_events: FAILURES * baseline,
                        canary_events: FAILURES * canary,
                        baseline_exposure: REQUESTS,
                        canary_exposure: REQUESTS,
                    }));
                }
                end += BLOCK_S;
            }
        }
        let old = blocks.len().saturating_sub(BLOCKS_AT_MOST);
        blocks.drain(..old);
        blocks
    }
}
