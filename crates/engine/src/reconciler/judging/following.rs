//! The judge's state between looks: made from what is stored, then fed with what is new. It can be lost at any time, for
//! the stored blocks give the same verdict.

use std::collections::BTreeMap;
use std::sync::Arc;

use arya_judge::{Evidence, JudgeConfig, Judging, Timestamp};
use sha2::{Digest as _, Sha256};

use super::Judged;
use crate::report::Track;
use crate::store::{StoredDeployment, epoch};

/// What is being judged, and what the verdict will be traced back to.
#[derive(Debug, Clone)]
pub(crate) struct Following {
    of: Subject,
    /// What it judges by, but for the planned time.
    template: Arc<JudgeConfig>,
    pub(super) judging: Judging,
    digests: BTreeMap<String, Hashed>,
}

/// What the evidence is about.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Subject {
    /// Which filling of the arms.
    epoch: u32,
    /// When its evidence begins.
    from: Timestamp,
    /// When a person overruled what was measured before.
    overruled_at: Option<Timestamp>,
    /// Seconds that it is planned for.
    planned_s: f64,
}

impl Subject {
    fn of(stored: &StoredDeployment, from: Timestamp) -> Self {
        Self {
            epoch: epoch(&stored.desired),
            from,
            overruled_at: stored.desired.judged_from(),
            planned_s: stored.desired.spec.lifetime_h * 3600.0,
        }
    }
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
        (known, taught_until): (&[Evidence], Option<Timestamp>),
    ) -> Self {
        let of = Subject::of(stored, from);
        let config = JudgeConfig {
            planned_s: of.planned_s,
            taught_until,
            ..JudgeConfig::clone(template)
        };
        let mut judging = Judging::new(&config);
        known.iter().for_each(|evidence| judging.advance(evidence));
        Self {
            of,
            template: Arc::clone(template),
            judging,
            digests: BTreeMap::new(),
        }
    }

    /// Whether it is about the evidence of these arms and judges them by this plan and these metrics.
    pub(super) fn is_of(&self, stored: &StoredDeployment, from: Timestamp, template: &Arc<JudgeConfig>) -> bool {
        self.of == Subject::of(stored, from) && (Arc::ptr_eq(&self.template, template) || self.template == *template)
    }

    /// Takes what the sources answered since the last look, and what they said instead.
    pub(super) fn advance(&mut self, stored: &StoredDeployment, judged: &mut Judged) {
        if let Some(pauses) = judged.pausing.known() {
            self.judging.set_taught_until(pauses.taught_until());
        }
        for evidence in std::mem::take(&mut judged.fresh).into_values() {
            // A pause that was found since then may cover it.
            self.judging.advance(&judged.to_be_judged(stored, evidence));
        }
        for (metric, problem) in &judged.problems {
            self.judging.set_problem(metric, problem.to_string());
        }
    }

    /// SHA-256 of the blocks that were judged, metric by metric.
    pub(super) fn digest(&mut self) -> String {
        let mut whole = Sha256::new();
        for metric in &self.judging.config().metrics {
            let (revision, blocks) = (self.judging.revision(&metric.name), self.judging.blocks(&metric.name));
            let beside = self.judging.beside(&metric.name);
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
                let place = beside.binary_search_by_key(&block.ends_at(), |one| one.ends_at);
                if let Some(one) = place.ok().and_then(|place| beside.get(place)) {
                    hashed.hash.update(bytes(one));
                }
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

fn bytes(measured: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(measured).unwrap_or_default()
}
