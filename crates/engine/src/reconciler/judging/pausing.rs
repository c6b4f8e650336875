//! Judging pauses while the arms do not differ by their version alone, and goes on by itself. What is measured meanwhile
//! is kept and not judged, so a pause begins at the latest look that saw nothing of it: no block that was judged lies in it.

use arya_judge::{MetricSource, Outcome, Timestamp, Verdict};
use arya_plan::cloud::Cloud;
use arya_plan::confounder::{Confounder, confounder};
use arya_plan::desired::Goal;
use arya_plan::identity::Arm;
use arya_plan::observed::Observed;
use tracing::error;

use crate::event::Event;
use crate::reconciler::Reconciler;
use crate::reconciler::memory::Memory;
use crate::store::{Joined, Meanwhile, Pauses, StoreError, StoredDeployment};

/// What follows the sentence of a pause that can show harm.
const HARM_COUNTS: &str = "Harm is still looked for.";

/// The pauses of a deployment, as they are known in memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pausing {
    /// `None` = not read yet.
    known: Option<Pauses>,
    /// The store did not take the latest change of them.
    unsaved: bool,
    /// The one that goes on began before what was judged: when it ends, what came after it is read again.
    takes_back: bool,
}

impl Pausing {
    pub(crate) fn known(&self) -> Option<&Pauses> {
        self.known.as_ref()
    }
}

impl<C: Cloud, M: MetricSource> Reconciler<C, M> {
    /// The pauses, read once.
    ///
    /// # Errors
    /// When the store cannot be read: nothing may be judged then, for nobody knows what to leave out.
    pub(super) fn pauses<'m>(
        &self,
        stored: &StoredDeployment,
        pausing: &'m mut Pausing,
    ) -> Result<&'m mut Pauses, StoreError> {
        let known = match pausing.known.take() {
            Some(known) => known,
            None => self.journal.store.pauses(&stored.desired.id)?,
        };
        Ok(pausing.known.insert(known))
    }

    /// Begins, continues or ends a pause by what a look shows.
    pub(in crate::reconciler) fn note_confounder(
        &self,
        stored: &StoredDeployment,
        observed: &Observed,
        memory: &mut Memory,
    ) {
        let measured = stored.evidence_from.is_some() && !self.settings.judge.metrics.is_empty();
        if !measured || stored.desired.goal == Goal::Absent {
            return;
        }
        let latest_look = memory.observed.as_ref().map(|observed| observed.at);
        let pausing = &mut memory.judged.pausing;
        let pauses = match self.pauses(stored, pausing) {
            Ok(pauses) => pauses,
            Err(problem) => {
                error!(deployment = %stored.desired.id, error = %problem, "the pauses of judging cannot be read");
                return;
            }
        };
        let open = pauses.open().filter(|open| open.meanwhile != Meanwhile::HarmOnly);
        let open = open.map(|open| (open.meanwhile, open.pause.why.clone()));
        match (open, confounder(&stored.desired, observed)) {
            (None, None) => {}
            // Until our main rule was first seen there is nothing to interrupt.
            (None, Some(Confounder::NotBackYet)) => {}
            (Some((meanwhile, why)), Some(found)) if meanwhile == meanwhile_of(&found) => {
                let now = self::why(&found);
                if why != now {
                    pauses.goes_on_because(now);
                    pausing.unsaved = true;
                }
            }
            (open, Some(found)) => {
                let since = match (open, meanwhile_of(&found)) {
                    // What disturbed goes on until now.
                    (Some((meanwhile, _)), _) if meanwhile.leaves_out() => observed.at,
                    _ => latest_look.unwrap_or_else(|| self.judged_last(stored).unwrap_or(observed.at)),
                };
                let why = why(&found);
                let joined = pauses.begin(since.min(observed.at), why.clone(), meanwhile_of(&found));
                self.begun(stored, memory, joined, told(&found, why));
            }
            (Some(_), None) => self.end(stored, observed.at, memory),
        }
        self.save_pauses(stored, memory);
    }

    /// Begins or ends a pause by what the judge says of the comparison: it can show harm, and no pass. A canary that drives
    /// its users away gets too few of them by being bad, so silence would shield it. Before the verdict is said, for a
    /// pass has to be earned anew from the moment on at which such a pause ends.
    pub(super) fn note_doubt(&self, stored: &StoredDeployment, verdict: &Verdict, now: Timestamp, memory: &mut Memory) {
        let Some(pauses) = &mut memory.judged.pausing.known else {
            return;
        };
        match (pauses.open().map(|open| open.meanwhile), &verdict.comparison_unsound) {
            (None, Some(why)) if verdict.outcome != Outcome::Harmful => {
                let why = format!("{why} {HARM_COUNTS}");
                let joined = pauses.begin(now, why.clone(), Meanwhile::HarmOnly);
                self.begun(stored, memory, joined, Some(Event::JudgingPaused { why }));
                self.save_pauses(stored, memory);
            }
            (Some(Meanwhile::HarmOnly), None) => {
                self.end(stored, now, memory);
                self.save_pauses(stored, memory);
            }
            (None | Some(Meanwhile::HarmOnly), Some(_))
            | (None, None)
            | (
                Some(Meanwhile::LeftOut | Meanwhile::RestartLeftOut | Meanwhile::Teaches | Meanwhile::HarmOnlyOfPart),
                _,
            ) => {}
        }
    }

    fn begun(&self, stored: &StoredDeployment, memory: &mut Memory, joined: Joined, told: Option<Event>) {
        memory.judged.pausing.unsaved = true;
        // More is left out than was, or blocks were judged already that the pause covers (a look was judged and then could
        // not be finished, so the next one takes itself for the first to see anything): the judge begins anew from what is
        // stored.
        let open = memory.judged.pausing.known().and_then(Pauses::open);
        let since = open
            .filter(|open| open.meanwhile.leaves_out())
            .map(|open| open.pause.since);
        let judged_to = memory
            .judged
            .following
            .as_ref()
            .and_then(|following| following.judging.as_of());
        if joined == Joined::TheOldest || since.zip(judged_to).is_some_and(|(since, judged)| judged > since) {
            memory.judged.judge_anew();
            memory.judged.pausing.takes_back = true;
        }
        if let Some(event) = told {
            self.journal.mention(&stored.desired.id, event);
        }
    }

    fn end(&self, stored: &StoredDeployment, now: Timestamp, memory: &mut Memory) {
        let Some(pauses) = &mut memory.judged.pausing.known else {
            return;
        };
        if let Some(open) = pauses.open() {
            let paused_s = now.duration_since(open.pause.since).as_secs_f64().max(0.0);
            pauses.end(now);
            memory.judged.pausing.unsaved = true;
            if std::mem::take(&mut memory.judged.pausing.takes_back) {
                memory.judged.judge_anew();
            }
            self.journal
                .mention(&stored.desired.id, Event::JudgingResumed { paused_s });
        }
    }

    fn save_pauses(&self, stored: &StoredDeployment, memory: &mut Memory) {
        let Pausing { known, unsaved, .. } = &mut memory.judged.pausing;
        if let Some(pauses) = known.as_ref().filter(|_| *unsaved) {
            match self.journal.store.keep_pauses(&stored.desired.id, pauses) {
                Ok(()) => *unsaved = false,
                Err(problem) => {
                    error!(deployment = %stored.desired.id, error = %problem, "a pause of judging counts although it could not be stored");
                }
            }
        }
    }

    /// When the deployment was judged last, by this process or one before it.
    fn judged_last(&self, stored: &StoredDeployment) -> Option<Timestamp> {
        let said = self.journal.store.last_verdict(&stored.desired.id, None);
        let said = said.inspect_err(
            |problem| error!(deployment = %stored.desired.id, error = %problem, "the last verdict cannot be read"),
        );
        said.ok().flatten().map(|said| said.at).or(stored.evidence_from)
    }
}

/// What is made of the blocks of a pause, by what disturbs.
fn meanwhile_of(found: &Confounder) -> Meanwhile {
    match found {
        Confounder::WarmingUp { place, .. } if place.role.arm() == Some(Arm::Canary) => Meanwhile::RestartLeftOut,
        Confounder::Held(_)
        | Confounder::NoShare
        | Confounder::NotBackYet
        | Confounder::WarmingUp { .. }
        | Confounder::ArmIncomplete { arm: Arm::Baseline, .. } => Meanwhile::LeftOut,
        // A canary whose machines fall out is not spared the verdict by that.
        Confounder::ArmIncomplete { arm: Arm::Canary, .. } => Meanwhile::HarmOnlyOfPart,
        Confounder::Spell { .. } => Meanwhile::Teaches,
    }
}

/// Why it pauses, as the sentence that is shown.
fn why(found: &Confounder) -> String {
    if meanwhile_of(found).shows_harm() {
        format!("{found} {HARM_COUNTS}")
    } else {
        found.to_string()
    }
}

/// The event of a pause that begins. That users were taken away was told by the change that did it.
fn told(found: &Confounder, why: String) -> Option<Event> {
    match found {
        Confounder::Held(_) | Confounder::NoShare | Confounder::NotBackYet => None,
        Confounder::WarmingUp { .. } | Confounder::ArmIncomplete { .. } | Confounder::Spell { .. } => {
            Some(Event::JudgingPaused { why })
        }
    }
}
