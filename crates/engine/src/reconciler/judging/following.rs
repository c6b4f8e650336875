//! The judge's state between looks: made from what is stored, then fed with what is new. It can be lost at any time, for
//! the stored blocks give the same verdict.

use std::collections::BTreeMap;
use std::sync::Arc;

use arya_judge::{Block, Evidence, JudgeConfig, Judging, Timestamp};
use sha2::{Digest as _, Sha256};

use super::Judged;
use crate::report::Track;
use crate::store::{StoredDeployment, epoch};

/// What is being judged, and what the verdict will be traced back to.
#[derive(Debug, Clone)]
pub(crate) struct Following {
    /// The filling of the arms, the beginning of its evidence, and the planned time that it is judged for.
    of: (u32, Timestamp, f64),
    /// What it judges by, but for the planned time.
    template: Arc<JudgeConfig>,
    pub(super) judging: Judging,
    digests: BTreeMap<String, Hashed>,
    /// Seconds compared before the latest change of the share.
    baked: Option<(Timestamp, f64)>,
}

/// The blocks of a metric that went into its digest.
#[derive(Debug, Clone)]
struct Hashed {
    revision: usize,
    blocks: usize,
    hash: Sha256,
}

impl Following {
    /// A judge of everything that is known.
    pub(super) fn new(
        template: &Arc<JudgeConfig>,
        stored: &StoredDeployment,
        from: Timestamp,
        known: &[Evidence],
    ) -> Self {
        let planned_s = stored.desired.spec.lifetime_h * 3600.0;
        let config = JudgeConfig {
            planned_s,
            ..JudgeConfig::clone(template)
        };
        let mut judging = Judging::new(&config);
        known.iter().for_each(|evidence| judging.advance(evidence));
        Self {
            of: (epoch(&stored.desired), from, planned_s),
            template: Arc::clone(template),
            judging,
            digests: BTreeMap::new(),
            baked: None,
        }
    }

    /// Whether it is about the evidence of these arms and judges them by this plan and these metrics.
    pub(super) fn is_of(&self, stored: &StoredDeployment, from: Timestamp, template: &Arc<JudgeConfig>) -> bool {
        self.of == (epoch(&stored.desired), from, stored.desired.spec.lifetime_h * 3600.0)
            && (Arc::ptr_eq(&self.template, template) || self.template == *template)
    }

    /// Takes what the sources answered since the last look, and what they said instead.
    pub(super) fn advance(&mut self, judged: &mut Judged) {
        for evidence in std::mem::take(&mut judged.fresh).values() {
            self.judging.advance(evidence);
        }
        for (metric, problem) in &judged.problems {
            self.judging.set_problem(metric, problem.to_string());
        }
    }

    /// The minimum bake counts from the latest change of the share. The judge counts compared seconds from the first
    /// block on, so what was compared before that change is added.
    pub(super) fn bake_since(&mut self, share_since: Option<Timestamp>, minimum_bake_s: f64) {
        let before = share_since.map_or(0.0, |since| match self.baked {
            Some((known, seconds)) if known == since => seconds,
            Some(_) | None => {
                let seconds = self.judging.compared_s_until(since);
                // Until a later block has come, one that belongs before it may still come.
                let final_count = self.judging.as_of().is_some_and(|latest| latest > since);
                self.baked = final_count.then_some((since, seconds));
                seconds
            }
        });
        self.judging.set_minimum_bake_s(minimum_bake_s + before);
    }

    /// SHA-256 of the blocks that were judged, metric by metric.
    pub(super) fn digest(&mut self) -> String {
        let mut whole = Sha256::new();
        for metric in &self.judging.config().metrics {
            let (revision, blocks) = (self.judging.revision(&metric.name), self.judging.blocks(&metric.name));
            let empty = || Hashed {
                revision,
                blocks: 0,
                hash: Sha256::new(),
            };
            let hashed = self.digests.entry(metric.name.clone()).or_insert_with(empty);
            if hashed.revision != revision || hashed.blocks > blocks.len() {
                *hashed = empty();
            }
            for block in &blocks[hashed.blocks..] {
                hashed.hash.update(bytes(block));
            }
            hashed.blocks = blocks.len();
            whole.update(metric.name.as_bytes());
            whole.update(hashed.hash.clone().finalize());
        }
        whole.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// How every metric's estimate grew.
    pub(super) fn tracks(&self) -> Vec<Track> {
        let metrics = self.judging.config().metrics.iter();
        metrics
            .filter(|metric| !self.judging.blocks(&metric.name).is_empty())
            .map(|metric| Track {
                metric: metric.name.clone(),
                points: self.judging.track(&metric.name),
            })
            .collect()
    }
}

fn bytes(block: &Block) -> Vec<u8> {
    serde_json::to_vec(block).unwrap_or_default()
}
