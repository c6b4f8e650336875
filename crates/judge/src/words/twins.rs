//! Sentences about production beside the arms: twins that are unfit, and what was learnt.

use super::numbers::{amount, capitalised, clock, digits, duration};
use super::{counts, share};
use crate::sequential::guard::ASSUMED_WANDER;
use crate::{DispersionFrom, Measured, MetricVerdict, TwinsUnfit, Unit};

impl TwinsUnfit {
    /// What happened and what it means: a sentence and what to look for.
    pub fn sentence(&self) -> String {
        let what = match self.slower {
            None => format!(
                "baseline and canary both fail far more than production: {}, {} and {} of requests",
                side("the baseline", &self.baseline),
                side("the canary", &self.canary),
                side("production", &self.production),
            ),
            Some((usual, slow)) => format!(
                "baseline and canary are both far slower than production: over {} take {} and {}, over {} only {}",
                amount(slow, Unit::Seconds),
                side("the baseline", &self.baseline),
                side("the canary", &self.canary),
                amount(usual, Unit::Seconds),
                side("production", &self.production),
            ),
        };
        format!(
            "{what}, in the last five minutes and without a break since {}, at no more load on a machine. Comparing them \
             says nothing of the new version. Look for what production has and these machines lack: size, environment \
             and files, security groups, a partner's list of allowed addresses.",
            clock(self.since)
        )
    }
}

fn side(who: &str, count: &crate::ArmCount) -> String {
    format!("{who} {} ({})", share(count), counts(count))
}

/// What is said of a dispersion that the configuration names.
const KNOWN_BEFOREHAND: &str = "How much it scatters was given beforehand.";

impl MetricVerdict {
    /// What production beside the baseline taught, as a sentence; `None` where there was no such thing, or a better past.
    pub fn learnt_beside(&self) -> Option<String> {
        let minutes = self.beside_s.filter(|seconds| *seconds >= 60.0)? / 60.0;
        let spell = match self.spell_s.filter(|seconds| *seconds >= 60.0) {
            Some(seconds) if seconds < 60.0 * minutes => {
                format!(
                    " ({} of them before the canary had users)",
                    duration(Some(seconds / 60.0))
                )
            }
            Some(_) => " (all before the canary had users)".to_owned(),
            None => String::new(),
        };
        let beside = format!("{} of production beside the baseline{spell}", duration(Some(minutes)));
        match self.dispersion_from {
            DispersionFrom::Production => {
                Some(format!("Dispersion {}, learnt from {beside}.", digits(self.dispersion)))
            }
            DispersionFrom::Assumption | DispersionFrom::History => {
                Some(capitalised(&format!("{beside} showed no more scatter than that.")))
            }
        }
    }

    /// What was assumed about this metric for want of history.
    pub fn assumption(&self) -> Option<String> {
        let assumed = match (self.dispersion_from, &self.measured) {
            (DispersionFrom::History | DispersionFrom::Production, _) => return None,
            (DispersionFrom::Assumption, Measured::Share) => format!(
                "assuming an instance's error rate may wander by {:.0} %",
                100.0 * ASSUMED_WANDER
            ),
            (DispersionFrom::Assumption, Measured::Rate) => format!(
                "assuming an instance's rate of events may wander by {:.0} %",
                100.0 * ASSUMED_WANDER
            ),
            (DispersionFrom::Assumption, Measured::Quantiles(_)) => {
                "assuming an instance's speed may wander a little for about two minutes".to_owned()
            }
            (DispersionFrom::Assumption, Measured::Means(_)) => {
                "assuming that it remembers its level for about two and a half minutes".to_owned()
            }
        };
        Some(format!("No history of this service: {assumed}."))
    }

    /// What the dispersion rests on, learnt or assumed.
    pub(super) fn rests_on(&self) -> Option<String> {
        if let Some(from) = &self.learnt_from {
            return Some(format!("Its scatter was learnt from {from}."));
        }
        let known = (self.dispersion_from == DispersionFrom::History).then(|| KNOWN_BEFOREHAND.to_owned());
        let parts = [known, self.assumption(), self.learnt_beside()];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(" "))
    }
}
