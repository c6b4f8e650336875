//! Three cautions on top of the late-onset mixture, for an alarm that acts by itself. Each only takes evidence away, so
//! what is valid without them stays valid; what they are for is noise that no model of independent events covers.
//!
//! 1. *Bounded spans.* A likelihood believes one violent half minute as much as ten bad minutes; about the version it
//!    says less. What a span of 15 s adds is therefore at most what so many standard deviations of a usual span would.
//! 2. *Offsets of instances.* Two machines of one version fail at rates that differ for good, and one pair cannot show
//!    by how much. The evidence is against a null whose ratio is spread around the edge, not only at it.
//! 3. *A rehearsal.* Where two old instances are known, each of their hours is judged as if one of them were a canary,
//!    both ways round; how much more the counts must be doubted for none of these hours to alarm is kept.

use super::counts::{Block, EdgeTrack, Side, Totals, gains};
use super::grid::{COUNT_GRID, POINTS, raise};
use super::guard::{ASSUMED_WANDER, REFERENCE_BLOCK_S};
use super::pooled::Pooled;
use super::restart::{OnsetEvidence, Origins, Starts};

/// A usual span is believed up to so many standard deviations: one more extreme comes once in 2,000 harmless ones.
pub const BOUND: f64 = 3.5;
/// The same where usual spans are not known: what is assumed of them may be wrong, and a plainly broken canary of a
/// service without a history must be found within seconds.
const BOUND_UNKNOWN: f64 = 4.5;
/// Spread of the logarithm of the ratio of two machines of one version: rates that differ by some 6 % from machine to
/// machine. Larger ones were tried: they cost more time than half again.
pub const OFFSET_SPREAD: f64 = 0.08;
/// An offset beyond so many of its standard deviations is not put down to the machines.
const LARGEST_OFFSET: f64 = 3.0;
/// What spans add up to: for every size in the grid, and for a small offset by its first two derivatives.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sums {
    log_ratios: [f64; POINTS],
    excess: f64,
    information: f64,
}

impl Sums {
    fn plus(&self, other: &Self, weight: f64) -> Self {
        Self {
            log_ratios: std::array::from_fn(|k| self.log_ratios[k] + weight * other.log_ratios[k]),
            excess: self.excess + weight * other.excess,
            information: self.information + weight * other.information,
        }
    }

    fn add(&mut self, block: &Block, edge: f64, gains: &[f64; POINTS]) {
        let total = block.total();
        if total <= 0.0 {
            return;
        }
        self.log_ratios
            .iter_mut()
            .zip(gains)
            .for_each(|(sum, gain)| *sum += gain);
        let odds = block.odds * edge;
        let share = odds / (1.0 + odds);
        self.excess += block.canary - total * share;
        self.information += total * share * (1.0 - share);
    }

    /// The tempered mixture over sizes, less what a mere offset of the machines explains.
    fn log_e(&self, phi: f64, spread: f64) -> f64 {
        let worse = COUNT_GRID.mix(&self.log_ratios, phi);
        worse - self.explained(phi, spread)
    }

    /// Logarithm of how much better than the edge a normal spread of offsets around it explains the data, at least 0.
    /// The log-likelihood of a small offset is a parabola, so the integral has a closed form.
    fn explained(&self, phi: f64, spread: f64) -> f64 {
        let variance = spread * spread;
        let (slope, curve) = (self.excess / phi, self.information / phi);
        let most = LARGEST_OFFSET * spread;
        let best = (variance * slope / (1.0 + variance * curve)).clamp(-most, most);
        let at_best = slope * best - 0.5 * curve * best * best - 0.5 * best * best / variance.max(f64::MIN_POSITIVE);
        (at_best - 0.5 * (variance * curve).ln_1p()).max(0.0)
    }
}

/// Events of the span that is being filled.
#[derive(Debug, Clone, Copy, Default)]
struct Span {
    sums: Sums,
    blocks: usize,
    baseline: f64,
    canary: f64,
    /// Events of the canary that the edge expects.
    expected: f64,
}

impl Span {
    fn add(&mut self, block: &Block, edge: f64, gains: &[f64; POINTS]) {
        self.sums.add(block, edge, gains);
        self.blocks += 1;
        self.baseline += block.baseline;
        self.canary += block.canary;
        let odds = block.odds * edge;
        self.expected += block.total() * odds / (1.0 + odds);
    }

    /// How much the span says at best: the log-likelihood ratio of its own ratio against the edge.
    fn surprise(&self) -> f64 {
        let part = |seen: f64, expected: f64| if seen > 0.0 { seen * (seen / expected).ln() } else { 0.0 };
        let total = self.baseline + self.canary;
        part(self.canary, self.expected) + part(self.baseline, total - self.expected)
    }

    /// The part of the span that is believed.
    fn weight(&self, spread: Spread) -> f64 {
        let most = 0.5 * spread.bound * spread.bound * spread.variance(self.sums.information);
        let surprise = self.surprise();
        if surprise > most { most / surprise } else { 1.0 }
    }
}

/// How far the score of a usual span strays, in standard deviations of independent events.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// What a span's score strays by; at least 1.
    pub scores: f64,
    /// How much such a span said; excess is scaled by it to what a span says, but never up.
    pub information: f64,
    /// A span is believed up to so many times what a usual one strays by.
    pub bound: f64,
}

impl Spread {
    /// What was seen of two old instances.
    pub const fn seen(scores: f64, information: f64) -> Self {
        Self {
            scores,
            information,
            bound: BOUND,
        }
    }

    /// What is assumed of spans that say so much on average, when nothing is known.
    fn assumed(information: f64) -> Self {
        Self {
            scores: (1.0 + 2.0 * ASSUMED_WANDER * ASSUMED_WANDER * information).sqrt(),
            information,
            bound: BOUND_UNKNOWN,
        }
    }

    fn variance(&self, information: f64) -> f64 {
        let excess = self.scores * self.scores - 1.0;
        // A violent span says much, and must not lift its own bound.
        let scale = if self.information > 0.0 {
            (information / self.information).min(1.0)
        } else {
            0.0
        };
        1.0 + excess.max(0.0) * scale
    }
}

/// The cautious mixture over starting points.
#[derive(Debug, Clone)]
pub struct CautiousOnset {
    origins: Origins<Sums>,
    side: Side,
    edge: f64,
    /// The evidence from the beginning on, without cautions.
    plain: EdgeTrack,
    offset_spread: f64,
    blocks_per_span: usize,
    known: Option<Spread>,
    before: Sums,
    span: Span,
    /// Spans that are full, and how much they said in all.
    spans: usize,
    information: f64,
}

impl CautiousOnset {
    /// A mixture that has seen nothing, for blocks of a length in seconds; `known` is what usual spans were seen to do.
    pub fn new(starts: Starts, edge: f64, side: Side, block_s: f64, known: Option<Spread>) -> Self {
        Self {
            origins: Origins::new(starts),
            side,
            edge,
            plain: EdgeTrack::new(edge, side),
            // What is assumed of instances without a history is doubt enough.
            offset_spread: if known.is_some() { OFFSET_SPREAD } else { 0.0 },
            blocks_per_span: ((REFERENCE_BLOCK_S / block_s).round() as usize).max(1),
            known,
            before: Sums::default(),
            span: Span::default(),
            spans: 0,
            information: 0.0,
        }
    }

    /// Adds a block. `totals` and `pooled` are those before it.
    pub fn push(&mut self, block: &Block, totals: &Totals, pooled: &Pooled) {
        let due = self.origins.is_due(totals.blocks);
        if self.span.blocks > 0 && (due || self.span.blocks >= self.blocks_per_span) {
            self.before = self.now();
            self.spans += 1;
            self.information += self.span.sums.information;
            self.span = Span::default();
        }
        if due {
            self.origins.push(self.before, totals, pooled);
        }
        let gains = gains(block, self.edge, self.side);
        self.plain.add(&gains);
        self.span.add(block, self.edge, &gains);
    }

    /// The evidence from the beginning on, without cautions: what a forecast goes on from.
    pub fn plain(&self) -> &EdgeTrack {
        &self.plain
    }

    /// How far usual spans stray: as they are known to, or as is assumed of spans like those before.
    pub fn spread(&self) -> Spread {
        self.known.unwrap_or_else(|| {
            let own = self.span.sums.information;
            let usual = if self.spans == 0 {
                own
            } else {
                self.information / self.spans as f64
            };
            Spread::assumed(usual)
        })
    }

    /// The largest score that is believed of a usual span.
    pub fn largest_score(&self) -> f64 {
        let spread = self.spread();
        spread.bound * spread.scores
    }

    fn now(&self) -> Sums {
        self.before.plus(&self.span.sums, self.span.weight(self.spread()))
    }

    /// The evidence now.
    pub fn evidence(&self, phi: f64) -> OnsetEvidence {
        let now = self.now();
        self.origins
            .mix(|before| now.plus(before, -1.0).log_e(phi, self.offset_spread))
    }

    /// What the evidence cannot exceed, whatever the dispersion. It costs no exponential, so most blocks of a harmless
    /// canary need nothing more.
    pub fn ceiling(&self) -> f64 {
        let (now, mut largest) = (self.now(), [0.0; POINTS]);
        for before in self.origins.sums() {
            raise(&mut largest, &now.log_ratios, &before.log_ratios);
        }
        largest.into_iter().fold(0.0, f64::max)
    }

    /// The starting points that were reached.
    pub fn origins(&self) -> &Origins<Sums> {
        &self.origins
    }

    /// The smallest ratio that is ever shown, however much traffic there is: a smaller one is put down to the machines.
    pub fn least_shown(&self) -> f64 {
        (LARGEST_OFFSET * self.offset_spread).exp()
    }

    /// As [`Origins::bound`], on the side that is claimed.
    pub fn bound(&self, start: usize, threshold: f64, now: &Pooled, phi: f64) -> f64 {
        self.origins.bound(self.side, start, threshold, now, phi)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: f64 = 10.0;

    fn block(baseline: f64, canary: f64) -> Block {
        Block {
            baseline,
            canary,
            odds: 1.0,
        }
    }

    /// The evidence after some blocks that are bet on from the beginning only.
    fn after(blocks: &[Block], block_s: f64, known: Option<Spread>) -> f64 {
        let mut onset = CautiousOnset::new(Starts::blocks(1, 1), 1.0, Side::Above, block_s, known);
        let mut totals = Totals::default();
        for block in blocks {
            onset.push(block, &totals, &Pooled::default());
            totals.add(block);
        }
        let log_e = onset.evidence(1.0).log_e;
        assert!(log_e <= onset.ceiling() + 1e-9, "{log_e} is above its ceiling");
        log_e
    }

    fn plain(blocks: &[Block]) -> f64 {
        let mut track = EdgeTrack::new(1.0, Side::Above);
        blocks.iter().for_each(|block| track.push(block));
        track.log_e(1.0)
    }

    fn known() -> Option<Spread> {
        Some(Spread::seen(1.0, USUAL))
    }

    #[test]
    fn a_violent_span_says_no_more_than_a_bounded_one() {
        let violent = [block(4.0, 400.0)];
        assert!(plain(&violent) > 100.0);
        assert!(after(&violent, 15.0, known()) <= 0.5 * BOUND * BOUND);
    }

    #[test]
    fn a_span_in_short_blocks_is_bounded_alike() {
        let whole = after(&[block(6.0, 90.0), block(9.0, 30.0)], 15.0, known());
        let parts = [
            (2.0, 30.0),
            (1.0, 40.0),
            (3.0, 20.0),
            (4.0, 10.0),
            (4.0, 15.0),
            (1.0, 5.0),
        ];
        let short = after(&parts.map(|(b, c)| block(b, c)), 5.0, known());
        assert!((whole - short).abs() < 1e-9, "{whole} and {short}");
    }

    #[test]
    fn a_small_lasting_difference_is_put_down_to_the_machines() {
        let blocks = [block(1_000.0, 1_100.0); 200];
        assert!(plain(&blocks) > 100.0);
        assert!(after(&blocks, 15.0, known()) < 1.0);
    }

    #[test]
    fn a_large_lasting_difference_is_shown() {
        assert!(after(&[block(20.0, 30.0); 100], 15.0, known()) > 5.0);
    }

    #[test]
    fn without_a_history_nothing_is_put_down_to_the_machines() {
        let blocks = [block(10.0, 13.0); 100];
        assert!((after(&blocks, 15.0, None) - plain(&blocks)).abs() < 1e-9);
    }

    #[test]
    fn cautions_only_take_evidence_away() {
        for (b, c) in [
            (0.0, 3.0),
            (5.0, 5.0),
            (2.0, 50.0),
            (40.0, 60.0),
            (900.0, 1_000.0),
            (3.0, 0.0),
        ] {
            let blocks = [block(b, c); 12];
            let (cautious, plain) = (after(&blocks, 15.0, known()), plain(&blocks));
            assert!(
                cautious <= plain + 1e-9 || plain < 0.0,
                "{b} {c}: {cautious} above {plain}"
            );
        }
    }
}
