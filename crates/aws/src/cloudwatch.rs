//! The load balancer's own metrics, from CloudWatch: one question a minute for the target groups of all deployments.
//!
//! It carries numbers; what they mean for an arm is the judge's.

mod asking;

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arya_judge::Timestamp;
use arya_judge::source::SourceError;
use arya_judge::source::minutes::{MINUTE_S, Minutes};

pub(crate) use asking::{Group, any_number, requests};
pub use asking::{PRICE_OF_A_METRIC, STATISTICS_OF_A_GROUP};
use asking::{Span, ask_for};

use crate::connect::Services;
use crate::span::{before, whole};

/// Of what numbers are.
pub(crate) const MINUTE: Duration = Duration::from_secs(MINUTE_S.unsigned_abs());
/// Between two questions: there is a new number each minute, and every one asked for costs.
const ASK_EVERY: Duration = Duration::from_secs(60);
/// After a question that failed.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(20);
/// A minute's numbers come from every node of the load balancer by itself, most within two minutes of its end.
pub(crate) const SETTLES_WITHIN: Duration = Duration::from_secs(180);
/// So much before a window is read too: what was under way is told from what was lost by the minutes before.
const BEFORE_A_WINDOW: Duration = Duration::from_secs(15 * 60);
/// Minutes that were read before are read again for so long, in the same question.
const READ_AGAIN: Duration = Duration::from_secs(15 * 60);
/// The longest span that is asked for: what an engine that was away catches up on, and what goes before.
const SPAN_AT_MOST: Duration = Duration::from_secs(2 * 3600);
/// Groups that nobody asked about for so long are asked for no more.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(10 * 60);

/// What is known of every group that somebody asked about.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    known: Mutex<HashMap<Group, Known>>,
    /// Whoever asks holds it; the others wait for the same answer.
    asking: tokio::sync::Mutex<Asked>,
}

#[derive(Debug)]
struct Known {
    minutes: Minutes,
    /// Numbers up to here were there to be read.
    read_to: Option<Timestamp>,
    wanted_from: Timestamp,
    wanted_at: Timestamp,
    problem: Option<SourceError>,
}

#[derive(Debug, Default)]
struct Asked {
    at: Option<Timestamp>,
    problem: Option<SourceError>,
}

/// The minutes of some groups.
#[derive(Debug)]
pub(crate) struct Counts {
    groups: BTreeMap<Group, Minutes>,
    /// Minutes that end later may still change.
    pub(crate) settled: Timestamp,
}

impl Counts {
    /// Nothing where nothing is known.
    pub(crate) fn of(&self, group: &Group) -> &Minutes {
        static NOTHING: Minutes = Minutes::none();
        self.groups.get(group).unwrap_or(&NOTHING)
    }

    /// What was asked, for display.
    pub(crate) fn question(&self, arms: &[Group; 2]) -> String {
        asking::question(arms, SETTLES_WITHIN)
    }
}

impl Metrics {
    /// The minutes of these groups, asked anew where the last question is a minute old. The window's end is now.
    pub(crate) async fn of(
        &self,
        reading: &Services,
        groups: &[Group],
        window: &RangeInclusive<Timestamp>,
    ) -> Result<Counts, SourceError> {
        let now = *window.end();
        self.want(groups, before(*window.start(), BEFORE_A_WINDOW), now);
        let mut asked = self.asking.lock().await;
        let pause = if asked.problem.is_some() {
            ASK_AGAIN_AFTER
        } else {
            ASK_EVERY
        };
        if asked.at.is_none_or(|at| now.duration_since(at).unsigned_abs() >= pause) {
            // Said first: whoever is waited for in vain goes away in the middle, and must not be followed by the next at once.
            *asked = Asked {
                at: Some(now),
                problem: Some(SourceError::Unreachable {
                    what: "CloudWatch did not answer in time".into(),
                }),
            };
            asked.problem = self.ask(reading, now).await.err();
        }
        if let Some(problem) = &asked.problem {
            return Err(problem.clone());
        }
        drop(asked);
        self.answer(groups)
    }

    fn want(&self, groups: &[Group], from: Timestamp, now: Timestamp) {
        let mut known = self.known();
        for group in groups {
            let one = known.entry(group.clone()).or_insert_with(|| Known {
                minutes: Minutes::default(),
                read_to: None,
                wanted_from: from,
                wanted_at: now,
                problem: None,
            });
            one.wanted_at = now;
        }
        known.retain(|_, one| now.duration_since(one.wanted_at).unsigned_abs() <= FORGOTTEN_AFTER);
    }

    /// One question for everybody, in as few calls as it goes.
    async fn ask(&self, reading: &Services, now: Timestamp) -> Result<(), SourceError> {
        let until = whole(now, MINUTE);
        let oldest = before(until, SPAN_AT_MOST);
        let spans: Vec<Span> = self
            .known()
            .iter()
            .map(|(group, one)| {
                let from = one
                    .read_to
                    .map_or(one.wanted_from, |read_to| before(read_to, READ_AGAIN));
                Span {
                    group: group.clone(),
                    from: whole(from.max(oldest), MINUTE),
                }
            })
            .filter(|span| span.from < until)
            .collect();
        for (group, answer) in ask_for(reading, spans, until).await? {
            let mut known = self.known();
            let Some(one) = known.get_mut(&group) else { continue };
            one.problem = match answer {
                Ok(minutes) => {
                    minutes
                        .into_iter()
                        .for_each(|(ends_at, minute)| one.minutes.note(ends_at, minute));
                    one.minutes.forget_before(oldest);
                    one.read_to = Some(until);
                    None
                }
                Err(problem) => Some(problem),
            };
        }
        Ok(())
    }

    fn answer(&self, groups: &[Group]) -> Result<Counts, SourceError> {
        let known = self.known();
        let mut settled = Timestamp::MAX;
        let mut of = BTreeMap::new();
        for group in groups {
            let Some(one) = known.get(group) else { continue };
            if let Some(problem) = &one.problem {
                return Err(problem.clone());
            }
            let read_to = one.read_to.unwrap_or(Timestamp::MIN);
            settled = settled.min(before(read_to, SETTLES_WITHIN));
            of.insert(group.clone(), one.minutes.clone());
        }
        Ok(Counts { groups: of, settled })
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Group, Known>> {
        // Nothing panics while it is held.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
