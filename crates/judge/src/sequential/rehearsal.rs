//! The rehearsal of the alarm on two old instances: each of their hours is judged as if one of them were a canary, both
//! ways round. Whatever the noise is, it is in these hours; none of them should come near an alarm.

use super::cautious::{CautiousOnset, Spread};
use super::counts::{Block, Side, Totals};
use super::guard::{Guard, Known};
use super::pooled::Pooled;
use super::restart::Starts;

/// A rehearsed canary lives so long.
const LENGTH_S: f64 = 3600.0;
/// Starting points of a rehearsed canary are this far apart, as those of a real one.
const EVERY_S: f64 = 300.0;
/// The log evidence that no rehearsal may pass: ten to one, half of an alarm's, because a dozen hours show less than a
/// year does.
const QUIET: f64 = 2.3;
/// More doubt than this would keep any fault from being seen.
const MOST_CAUTION: f64 = 100.0;
/// Halvings of the logarithm of the doubt: to less than a percent.
const HALVINGS: usize = 10;

/// How many times more than their dispersion says the counts must be doubted, at least 1.
pub fn caution(blocks: &[Block], block_s: f64, known: Known, spread: Spread) -> f64 {
    let length = (LENGTH_S / block_s).round().max(1.0) as usize;
    let guard = Guard::new(known, block_s);
    let mut caution = 1.0;
    for hour in blocks.chunks_exact(length) {
        let turned: Vec<Block> = hour.iter().map(Block::turned).collect();
        for canary in [hour, &turned] {
            caution = rehearse(canary, block_s, &guard, spread, caution);
        }
    }
    caution
}

/// The caution that keeps one rehearsed canary quiet, at least what was needed before.
fn rehearse(blocks: &[Block], block_s: f64, guard: &Guard, spread: Spread, mut caution: f64) -> f64 {
    let every = (EVERY_S / block_s).round().max(1.0) as usize;
    let starts = Starts::blocks(every, blocks.len());
    let mut onset = CautiousOnset::new(starts, 1.0, Side::Above, block_s, Some(spread));
    let (mut totals, nothing) = (Totals::default(), Pooled::default());
    for (index, block) in blocks.iter().enumerate() {
        onset.push(block, &totals, &nothing);
        totals.add(block);
        // Tempering divides what the evidence cannot exceed.
        if onset.ceiling() <= QUIET * caution {
            continue;
        }
        let phi = guard.dispersion_within(&blocks[..=index], totals.log_ratio(), onset.largest_score());
        let loud = |caution: f64| onset.evidence(phi * caution).log_e > QUIET;
        if loud(caution) {
            caution = least_quiet(loud, caution);
        }
    }
    caution
}

/// The least caution that is quiet, above one that is not.
fn least_quiet(loud: impl Fn(f64) -> bool, from: f64) -> f64 {
    let (mut low, mut high) = (from.ln(), MOST_CAUTION.ln());
    if loud(MOST_CAUTION) {
        return MOST_CAUTION;
    }
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        if loud(middle.exp()) {
            low = middle;
        } else {
            high = middle;
        }
    }
    high.exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPREAD: Spread = Spread::seen(1.0, 10.0);
    const INDEPENDENT: Known = Known::Dispersion(1.0);

    /// Two hours of 15 s blocks, by their number.
    fn past(arms: impl Fn(usize) -> (f64, f64)) -> Vec<Block> {
        let block = |index: usize| {
            let (baseline, canary) = arms(index);
            Block {
                baseline,
                canary,
                odds: 1.0,
            }
        };
        (0..480).map(block).collect()
    }

    fn check(blocks: &[Block], expected: std::ops::Range<f64>) {
        let found = caution(blocks, 15.0, INDEPENDENT, SPREAD);
        assert!(expected.contains(&found), "{found} is not in {expected:?}");
        let turned: Vec<Block> = blocks.iter().map(Block::turned).collect();
        assert_eq!(
            caution(&turned, 15.0, INDEPENDENT, SPREAD),
            found,
            "either arm may be the canary"
        );
        let guard = Guard::new(INDEPENDENT, 15.0);
        for hour in blocks.chunks_exact(240) {
            assert_eq!(
                rehearse(hour, 15.0, &guard, SPREAD, found),
                found,
                "an hour is loud still"
            );
        }
    }

    #[test]
    fn quiet_hours_need_no_caution() {
        check(
            &past(|i| (20.0 + (i % 3) as f64, 20.0 + (i % 5) as f64 - 1.0)),
            1.0..1.001,
        );
    }

    #[test]
    fn an_arm_that_was_bad_for_five_minutes_teaches_caution() {
        let bad = |i: usize| if (100..120).contains(&i) { 3.0 } else { 1.0 };
        check(&past(|i| (20.0, 20.0 * bad(i))), 1.5..MOST_CAUTION);
    }

    #[test]
    fn less_than_an_hour_teaches_nothing() {
        assert_eq!(caution(&past(|_| (0.0, 99.0))[..200], 15.0, INDEPENDENT, SPREAD), 1.0);
    }
}
