//! All blocks pooled on a fine lattice of exposure odds, so that a bound costs the same for ten blocks and for ten
//! thousand.
//!
//! The log-likelihood needs, for a ratio r, the sum of `n_t log(1 + odds_t r)` over blocks: a smooth function of
//! `log odds_t`. Each block's events are therefore spread over four lattice points with cubic weights. With a step of
//! 0.01 the error is below 1e-10 per event; the vectors are met far inside their tolerances.

use std::collections::BTreeMap;

use super::counts::{Block, Side};
use super::grid::{COUNT_GRID, POINTS};

/// Distance of lattice points in the logarithm of the odds.
const STEP: f64 = 0.01;

/// Events by lattice point.
#[derive(Debug, Clone, Default)]
pub struct Pooled {
    nodes: BTreeMap<i32, Node>,
    canary: f64,
}

/// One lattice point: the odds it stands for and the events it was given.
#[derive(Debug, Clone, Copy)]
struct Node {
    odds: f64,
    events: f64,
}

impl Pooled {
    /// Adds a block.
    pub fn add(&mut self, block: &Block) {
        let total = block.total();
        if total <= 0.0 {
            return;
        }
        self.canary += block.canary;
        let place = block.odds.ln() / STEP;
        let below = place.floor();
        let (node, t) = (below as i32, place - below);
        // Lagrange's cubic through the two points below and the two above.
        let weights = [
            -t * (t - 1.0) * (t - 2.0) / 6.0,
            (t + 1.0) * (t - 1.0) * (t - 2.0) / 2.0,
            -(t + 1.0) * t * (t - 2.0) / 2.0,
            (t + 1.0) * t * (t - 1.0) / 6.0,
        ];
        for (offset, weight) in (-1..).zip(weights) {
            if weight != 0.0 {
                self.put(node + offset, weight * total);
            }
        }
    }

    /// What was added after an earlier state of the same pool.
    pub fn since(&self, earlier: &Self) -> Self {
        let mut rest = self.clone();
        rest.canary -= earlier.canary;
        for (place, node) in &earlier.nodes {
            rest.put(*place, -node.events);
        }
        rest
    }

    fn put(&mut self, place: i32, events: f64) {
        let empty = || Node {
            odds: (f64::from(place) * STEP).exp(),
            events: 0.0,
        };
        self.nodes.entry(place).or_insert_with(empty).events += events;
    }

    /// Logarithm of the evidence that the ratio is past an edge, for a given dispersion.
    pub fn log_e(&self, log_edge: f64, side: Side, phi: f64) -> f64 {
        let base = self.log_likelihood(log_edge);
        let ratios: [f64; POINTS] =
            std::array::from_fn(|k| self.log_likelihood(side.past(log_edge, COUNT_GRID.delta[k])) - base);
        COUNT_GRID.mix(&ratios, phi)
    }

    /// Log-likelihood of a ratio, without the terms that do not depend on it (S1.2).
    fn log_likelihood(&self, log_ratio: f64) -> f64 {
        let ratio = log_ratio.exp();
        let spread: f64 = self
            .nodes
            .values()
            .map(|node| node.events * (node.odds * ratio).ln_1p())
            .sum();
        self.canary * log_ratio - spread
    }
}

#[cfg(test)]
mod tests {
    use super::super::counts::EdgeTrack;
    use super::*;

    #[test]
    fn pooling_agrees_with_the_block_by_block_sum() {
        let (mut pooled, mut track) = (Pooled::default(), EdgeTrack::new(1.25, Side::Above));
        for i in 0..500 {
            let odds = 0.3 + f64::from(i % 37) * 0.0713;
            let block = Block {
                baseline: f64::from(i % 11) * 20.0,
                canary: f64::from(i % 7) * 35.0,
                odds,
            };
            pooled.add(&block);
            track.push(&block);
        }
        let (pool, exact) = (pooled.log_e(1.25f64.ln(), Side::Above, 1.0), track.log_e(1.0));
        assert!((pool - exact).abs() < 1e-5, "{pool} pooled, {exact} block by block");
    }

    #[test]
    fn what_came_since_is_what_was_added_since() {
        let blocks: Vec<Block> = (1..40)
            .map(|i| Block {
                baseline: 3.0,
                canary: f64::from(i % 5),
                odds: 0.02 * f64::from(i),
            })
            .collect();
        let (mut whole, mut late) = (Pooled::default(), Pooled::default());
        blocks[..20].iter().for_each(|block| whole.add(block));
        let earlier = whole.clone();
        for block in &blocks[20..] {
            whole.add(block);
            late.add(block);
        }
        let difference = whole.since(&earlier).log_e(0.1, Side::Below, 2.0) - late.log_e(0.1, Side::Below, 2.0);
        assert!(difference.abs() < 1e-9, "{difference}");
    }
}
