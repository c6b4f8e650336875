//! The rehearsal beside the real thing: production and baseline run the same old version, so they are judged as if one of
//! them were the canary, both ways round, at the same moments and by the same rules. What would have been said of them is
//! how much the real alarm must be doubted.
//!
//! It only ever adds doubt: with it a canary is called harmful later or not at all, never earlier.
//!
//! What they show is not scaled between the two pairs. A rate that wanders by itself on each machine makes the scores of production
//! (of n machines) and baseline scatter as much as those of baseline and canary where every machine has the same load: the
//! n machines average out to `1 + 1/n` instead of 2, and say `2n / (n + 1)` times as much. Where the arms' machines have
//! less load than production's, the pair beside scatters more than the real one, so the doubt is too large, not too small.
//! Only what is *assumed* of a pair of single machines is scaled to one of n machines and one.

use super::{Charts, Walk};
use crate::beside::turned;
use crate::sequential::guard::REFERENCE_BLOCK_S;
use crate::{Block, JudgeConfig, MetricConfig};

/// The log evidence that no rehearsal may pass: three to two. Hours that are past show the noise as often as they are many;
/// here it is seen for no longer than the canary is, so less of it has to count. Ten to one met a sixth of the false alarms
/// of drifts and outages, two to one half of them, this one a little more.
const QUIET: f64 = 0.4;
/// The same where a span holds fewer events than [`MANY_EVENTS`], seven to four: so few are louder by chance, and less than
/// this costs a tenth of the time to find a canary that fails twice as often at 5 requests a second.
const QUIET_OF_FEW: f64 = 0.55;
/// From so many events of both in 15 s on their difference is about normal, as the dispersion guard has it.
const MANY_EVENTS: f64 = 5.0;
/// However unlike production and baseline are, the alarm is doubted at most so many times more, scatter and caution
/// together: a lasting difference of old machines and new ones must not hide a canary that is plainly broken.
const MOST_CAUTION: f64 = 4.0;
/// Halvings of the logarithm of the doubt: to a part in a hundred.
const HALVINGS: usize = 8;
/// The rehearsal's own alarm is never heard: without a part of the error rate no evidence is enough.
const NO_PART: f64 = 0.0;

/// How much the real alarm is doubted, by what was seen beside it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Doubt {
    /// Dispersion for the alarm, at least 1.
    pub(crate) dispersion: f64,
    /// The same for what is said beside the alarm.
    pub(crate) plain_dispersion: f64,
    /// So many times more the alarm's is taken, from 1 to [`MOST_CAUTION`].
    pub(crate) caution: f64,
}

impl Doubt {
    /// Nothing beside: no doubt.
    pub(crate) const NONE: Self = Self {
        dispersion: 1.0,
        plain_dispersion: 1.0,
        caution: 1.0,
    };

    /// The dispersion for an alarm, of arms whose own blocks show so much.
    pub(super) fn on(&self, own: f64) -> f64 {
        (self.caution * own.max(self.dispersion)).min(MOST_CAUTION * own)
    }
}

/// Production and baseline, judged as a canary both ways round.
#[derive(Debug, Clone)]
pub(crate) struct Rehearsed {
    ways: [Way; 2],
    doubt: Doubt,
    /// The minute in which the scatter was read last.
    read_at: Option<i64>,
    /// Events of both so far: requests, where they are measured.
    events: f64,
}

/// One of them as the canary.
#[derive(Debug, Clone)]
struct Way {
    walk: Walk,
    /// Its dispersion, and the minute in which it was read: it costs a pass over the blocks.
    read: Option<(i64, f64)>,
}

impl Rehearsed {
    pub(crate) fn new(config: &JudgeConfig, metric: &MetricConfig, block_s: f64) -> Self {
        let way = || Way {
            walk: Walk::new(config, metric, NO_PART, block_s, Charts::None),
            read: None,
        };
        Self {
            ways: [way(), way()],
            doubt: Doubt::NONE,
            read_at: None,
            events: 0.0,
        }
    }

    /// Adds a block of production and baseline, and how many machines of production there are for one of the baseline.
    pub(crate) fn push(&mut self, block: &Block, machines: f64) {
        self.ways[0].walk.push(block, Doubt::NONE);
        self.ways[1].walk.push(&turned(block), Doubt::NONE);
        let minute = block.ends_at().as_second().div_euclid(60);
        if self.read_at != Some(minute) {
            self.read_at = Some(minute);
            // The two ways round scatter alike.
            (self.doubt.dispersion, self.doubt.plain_dispersion) = self.ways[0].walk.follow().scatter();
        }
        self.events += events(block);
        let quiet = self.quiet();
        let assumed = 0.5 * (1.0 + 1.0 / machines.max(1.0));
        for way in &mut self.ways {
            self.doubt.caution = way.needed(minute, (assumed, quiet), &self.doubt);
        }
    }

    /// The log evidence that neither way round may pass.
    fn quiet(&self) -> f64 {
        let in_a_span = self.events * REFERENCE_BLOCK_S / self.compared_s().max(REFERENCE_BLOCK_S);
        if in_a_span < MANY_EVENTS { QUIET_OF_FEW } else { QUIET }
    }

    /// Seconds in which both were seen.
    pub(crate) fn compared_s(&self) -> f64 {
        self.ways[0].walk.follow().frame().compared_s()
    }

    /// What follows for the real alarm.
    pub(crate) fn doubt(&self) -> Doubt {
        self.doubt
    }
}

impl Way {
    /// The caution that keeps it quiet, at least what was needed before. Of the excess scatter that is assumed of a pair of
    /// single machines this pair has a part.
    fn needed(&mut self, minute: i64, (assumed, quiet): (f64, f64), doubt: &Doubt) -> f64 {
        let (walk, caution) = (self.walk.follow(), doubt.caution);
        // Tempering divides what the evidence cannot exceed, and evidence that is quiet at less doubt is quiet at more.
        let least = caution * doubt.dispersion;
        if caution >= MOST_CAUTION || walk.ceiling() <= quiet * least || walk.log_e_at(least) <= quiet {
            return caution;
        }
        let own = match self.read {
            Some((at, own)) if at == minute => own,
            Some(_) | None => walk.settled().dispersion,
        };
        self.read = Some((minute, own));
        if !walk.gate_open_at(own) {
            return caution;
        }
        let dispersion = (1.0 + assumed * (own - 1.0)).max(doubt.dispersion);
        least_quiet(|caution| walk.log_e_at(caution * dispersion) > quiet, caution)
    }
}

/// How much a block says of both: events, or requests where they are measured.
fn events(block: &Block) -> f64 {
    match block {
        Block::Counts(counts) => counts.baseline_events + counts.canary_events,
        Block::Histogram(_) => block.exposures().map_or(0.0, |(baseline, canary)| baseline + canary),
        Block::Gauge(_) => 0.0,
    }
}

/// The least caution from one on that is quiet, or the most that is taken.
fn least_quiet(loud: impl Fn(f64) -> bool, from: f64) -> f64 {
    if !loud(from) {
        return from;
    }
    if loud(MOST_CAUTION) {
        return MOST_CAUTION;
    }
    let (mut low, mut high) = (from.ln(), MOST_CAUTION.ln());
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        (low, high) = if loud(middle.exp()) {
            (middle, high)
        } else {
            (low, middle)
        };
    }
    high.exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scatter_and_caution_together_doubt_an_alarm_four_times_at_most() {
        let check = |dispersion: f64, caution: f64, own: f64, expected: f64| {
            let doubt = Doubt {
                dispersion,
                plain_dispersion: dispersion,
                caution,
            };
            assert_eq!(doubt.on(own), expected, "{doubt:?} on {own}");
        };
        check(1.0, 1.0, 3.0, 3.0);
        check(2.0, 1.0, 1.0, 2.0);
        check(2.0, 1.5, 1.0, 3.0);
        check(9.0, 1.0, 1.0, 4.0);
        check(3.0, 4.0, 2.0, 8.0);
        assert_eq!(Doubt::NONE.on(1.7), 1.7);
    }

    #[test]
    fn the_least_quiet_caution_is_found_between_its_bounds() {
        let check = |needed: f64, from: f64, expected: f64| {
            let found = least_quiet(|caution| caution < needed, from);
            assert!((found / expected - 1.0).abs() < 0.01, "{found}, not {expected}");
        };
        check(0.5, 1.0, 1.0);
        check(2.0, 1.0, 2.0);
        check(2.0, 3.0, 3.0);
        check(99.0, 1.0, MOST_CAUTION);
    }
}
