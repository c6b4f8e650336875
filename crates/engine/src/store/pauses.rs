//! When nothing was judged of a deployment, and why: what marks the blocks of that time.

use arya_judge::{Begin, Evidence, MetricConfig, Pause, Timestamp};
use arya_plan::desired::Desired;
use arya_plan::identity::DeploymentId;
use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::{Store, StoreError, StoredDeployment, epoch, from_json, to_json};

/// Pauses of one deployment that are told apart. Beyond them the two oldest are taken as one, which leaves out more.
pub const PAUSES_KEPT: usize = 500;

/// A pause, and what is made of the blocks of its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPause {
    pub pause: Pause,
    pub meanwhile: Meanwhile,
}

/// What is made of the blocks of a pause. All are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Meanwhile {
    /// They are not judged.
    LeftOut,
    /// The canary's app starts anew: they are not judged, and a pass has to be earned anew after them, or an app that
    /// falls again and again would pass by the time between.
    RestartLeftOut,
    /// They can show harm, and a pass has to be earned anew after them.
    HarmOnly,
    /// The same, and it is the canary's machines that disturb the comparison rather than the split of the traffic.
    HarmOnlyOfPart,
    /// The canary had no users: they teach how much the metrics scatter, baseline beside production.
    Teaches,
}

impl Meanwhile {
    /// Whether harm is looked for in its blocks.
    pub(crate) const fn shows_harm(self) -> bool {
        matches!(self, Self::HarmOnly | Self::HarmOnlyOfPart)
    }

    /// Whether its blocks are not judged at all.
    pub(crate) const fn leaves_out(self) -> bool {
        matches!(self, Self::LeftOut | Self::RestartLeftOut)
    }

    /// Whether a pass has to be earned anew after it.
    const fn puts_off_a_pass(self) -> bool {
        matches!(self, Self::HarmOnly | Self::HarmOnlyOfPart | Self::RestartLeftOut)
    }
}

/// The pauses of one deployment, oldest first; only the latest one may go on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pauses(Vec<StoredPause>);

impl Pauses {
    /// The one that goes on.
    pub fn open(&self) -> Option<&StoredPause> {
        self.0.last().filter(|last| last.pause.until.is_none())
    }

    /// All of them, oldest first.
    pub fn all(&self) -> impl Iterator<Item = &Pause> {
        self.0.iter().map(|stored| &stored.pause)
    }

    /// Those whose blocks are not judged.
    pub(crate) fn left_out(&self) -> Vec<Pause> {
        let left_out = self.0.iter().filter(|stored| stored.meanwhile.leaves_out());
        left_out.map(|stored| stored.pause.clone()).collect()
    }

    /// The same, and everything from before a person overruled it.
    pub(crate) fn left_out_of(&self, desired: &Desired) -> Vec<Pause> {
        let overruled = desired.judged_from().map(|from| Pause::until(from, String::new()));
        self.left_out().into_iter().chain(overruled).collect()
    }

    /// Until when a pass is put off by pauses after which it has to be earned anew, to the end of time by one that goes on;
    /// `None` = there was none.
    pub(crate) fn pass_put_off_until(&self) -> Option<Timestamp> {
        let put_off = self.0.iter().filter(|stored| stored.meanwhile.puts_off_a_pass());
        put_off.map(|stored| stored.pause.until.unwrap_or(Timestamp::MAX)).max()
    }

    /// Until when the canary had no users, so that everything before it only teaches; `None` = it had some from the start.
    pub(crate) fn taught_until(&self) -> Option<Timestamp> {
        #[cfg(feature = "simulation")]
        if arya_plan::planted::is_planted(arya_plan::planted::Bug::JudgesTheSpell) {
            return None;
        }
        let teaches = self.0.iter().filter(|stored| stored.meanwhile == Meanwhile::Teaches);
        teaches.map(|stored| stored.pause.until.unwrap_or(Timestamp::MAX)).max()
    }

    /// Begins one; whether two older ones became one, so that more is left out than before.
    pub(crate) fn begin(&mut self, since: Timestamp, why: String, meanwhile: Meanwhile) -> Joined {
        self.end(since);
        let pause = Pause {
            since,
            until: None,
            why,
        };
        self.0.push(StoredPause { pause, meanwhile });
        if self.0.len() <= PAUSES_KEPT {
            return Joined::None;
        }
        let oldest = self.0.remove(0);
        self.0[0].pause.since = oldest.pause.since;
        match oldest.meanwhile {
            Meanwhile::LeftOut | Meanwhile::RestartLeftOut | Meanwhile::Teaches => {
                self.0[0].meanwhile = Meanwhile::LeftOut;
            }
            Meanwhile::HarmOnly | Meanwhile::HarmOnlyOfPart => {}
        }
        Joined::TheOldest
    }

    /// Ends the one that goes on.
    pub(crate) fn end(&mut self, until: Timestamp) {
        if let Some(last) = self.0.last_mut().filter(|last| last.pause.until.is_none()) {
            last.pause.until = Some(until.max(last.pause.since));
        }
    }

    /// Another reason for the one that goes on.
    pub(crate) fn goes_on_because(&mut self, why: String) {
        if let Some(last) = self.0.last_mut() {
            last.pause.why = why;
        }
    }
}

/// Whether older pauses were taken as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Joined {
    None,
    TheOldest,
}

impl Store {
    /// The pauses of a deployment.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn pauses(&self, id: &DeploymentId) -> Result<Pauses, StoreError> {
        let json: Option<String> = self
            .db()
            .prepare_cached("SELECT pauses FROM pauses WHERE deployment = ?1")?
            .query_row([id.to_string()], |row| row.get(0))
            .optional()?;
        json.map_or_else(
            || Ok(Pauses::default()),
            |json| from_json(&json, "the pauses of a deployment"),
        )
    }

    pub(crate) fn keep_pauses(&self, id: &DeploymentId, pauses: &Pauses) -> Result<(), StoreError> {
        self.db()
            .prepare_cached(
                "INSERT INTO pauses (deployment, pauses) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET pauses = ?2",
            )?
            .execute(params![id.to_string(), to_json(pauses)?])?;
        Ok(())
    }

    /// What is judged of a metric: everything that was measured of these instances, but for pauses and for what a person
    /// overruled.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn judged_evidence(
        &self,
        stored: &StoredDeployment,
        pauses: &Pauses,
        metric: &MetricConfig,
    ) -> Result<Option<Evidence>, StoreError> {
        let desired = &stored.desired;
        let mut known = self.evidence(&desired.id, epoch(desired), metric)?;
        if let Some(evidence) = &mut known {
            evidence.leave_out(&pauses.left_out_of(desired), Begin::of(&metric.from, None));
        }
        Ok(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn spans(pauses: &Pauses) -> Vec<(i64, Option<i64>)> {
        let span = |pause: &Pause| (pause.since.as_second(), pause.until.map(|until| until.as_second()));
        pauses.all().map(span).collect()
    }

    #[test]
    fn one_pause_goes_on_at_a_time() {
        let mut pauses = Pauses::default();
        pauses.begin(at(10), "A.".into(), Meanwhile::HarmOnly);
        pauses.begin(at(20), "B.".into(), Meanwhile::LeftOut);
        assert_eq!(spans(&pauses), [(10, Some(20)), (20, None)]);
        assert_eq!(pauses.open().unwrap().pause.why, "B.");
        pauses.end(at(30));
        assert_eq!(pauses.open(), None);
        assert_eq!(pauses.left_out().len(), 1);
        assert_eq!(pauses.pass_put_off_until(), Some(at(20)));
    }

    #[test]
    fn a_clock_that_was_set_back_ends_no_pause_before_it_began() {
        let mut pauses = Pauses::default();
        pauses.begin(at(10), "A.".into(), Meanwhile::LeftOut);
        pauses.end(at(5));
        assert_eq!(spans(&pauses), [(10, Some(10))]);
    }

    #[test]
    fn more_pauses_than_are_kept_leave_out_more_and_never_less() {
        let mut pauses = Pauses::default();
        let count = PAUSES_KEPT as i64 + 2;
        for number in 0..count {
            pauses.begin(at(10 * number), "A.".into(), Meanwhile::LeftOut);
            pauses.end(at(10 * number + 1));
        }
        let spans = spans(&pauses);
        assert_eq!(spans.len(), PAUSES_KEPT);
        assert_eq!((spans[0], spans[1]), ((0, Some(21)), (30, Some(31))));
    }
}
