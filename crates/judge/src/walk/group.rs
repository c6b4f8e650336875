//! Short blocks are joined until they span 15 s (S7.3): the scores of a distribution and the memory of a gauge are stated
//! for spans of that length.

use crate::sequential::guard::REFERENCE_BLOCK_S;

/// So many blocks of a length in seconds are judged as one span.
pub(crate) fn blocks_per_span(block_s: f64) -> usize {
    ((REFERENCE_BLOCK_S / block_s).round() as usize).max(1)
}

/// Requests by bucket of a span that is not full yet.
#[derive(Debug, Clone)]
pub(crate) struct HistogramGroup {
    block_s: f64,
    per_span: usize,
    blocks: usize,
    baseline: Vec<f64>,
    canary: Vec<f64>,
}

impl HistogramGroup {
    pub(crate) fn new(block_s: f64) -> Self {
        Self {
            block_s,
            per_span: blocks_per_span(block_s),
            blocks: 0,
            baseline: Vec::new(),
            canary: Vec::new(),
        }
    }

    /// Length of a span in seconds.
    pub(crate) fn span_s(&self) -> f64 {
        self.block_s * self.per_span as f64
    }

    /// Adds a block; both arms' requests when it fills the span. All blocks of a span have the same buckets.
    pub(crate) fn push(&mut self, baseline: &[f64], canary: &[f64]) -> Option<(Vec<f64>, Vec<f64>)> {
        self.baseline.resize(baseline.len(), 0.0);
        self.canary.resize(canary.len(), 0.0);
        self.baseline
            .iter_mut()
            .zip(baseline)
            .for_each(|(sum, count)| *sum += count);
        self.canary
            .iter_mut()
            .zip(canary)
            .for_each(|(sum, count)| *sum += count);
        self.blocks += 1;
        if self.blocks < self.per_span {
            return None;
        }
        self.blocks = 0;
        Some((std::mem::take(&mut self.baseline), std::mem::take(&mut self.canary)))
    }

    /// Changes the buckets of what waits.
    pub(crate) fn rebucket(&mut self, change: impl Fn(&[f64]) -> Vec<f64>) {
        if self.blocks > 0 {
            self.baseline = change(&self.baseline);
            self.canary = change(&self.canary);
        }
    }
}

/// Samples of a span that is not full yet.
#[derive(Debug, Clone)]
pub(crate) struct GaugeGroup {
    block_s: f64,
    per_span: usize,
    blocks: usize,
    baseline: f64,
    canary: f64,
}

impl GaugeGroup {
    pub(crate) fn new(block_s: f64) -> Self {
        Self {
            block_s,
            per_span: blocks_per_span(block_s),
            blocks: 0,
            baseline: 0.0,
            canary: 0.0,
        }
    }

    /// Length of a span in seconds.
    pub(crate) fn span_s(&self) -> f64 {
        self.block_s * self.per_span as f64
    }

    /// Adds a pair of samples; the means of both arms when it fills the span.
    pub(crate) fn push(&mut self, baseline: f64, canary: f64) -> Option<(f64, f64)> {
        self.baseline += baseline;
        self.canary += canary;
        self.blocks += 1;
        if self.blocks < self.per_span {
            return None;
        }
        let count = self.blocks as f64;
        let means = (self.baseline / count, self.canary / count);
        (self.blocks, self.baseline, self.canary) = (0, 0.0, 0.0);
        Some(means)
    }
}
