//! Past verdicts, and what they would have been under a changed configuration.

use arya_judge::backtest::Change;
use arya_judge::{Outcome, Timestamp, Verdict};
use arya_plan::identity::DeploymentId;
use serde::{Deserialize, Serialize};

use super::KayentaDocument;
use crate::app::{Backtest, Named};

/// All that was judged again: what changed comes first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct BacktestDocument {
    pub(crate) sentence: String,
    /// What was changed.
    pub(crate) config: Change,
    pub(crate) runs: Vec<BacktestRunDocument>,
    pub(crate) left_out: Vec<LeftOutDocument>,
}

/// One deployment, judged twice by the same evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct BacktestRunDocument {
    /// `None` = an example that came with the program.
    pub(crate) deployment: Option<DeploymentId>,
    pub(crate) name: String,
    pub(crate) created_at: Timestamp,
    /// What was said last while it was judged; `None` of examples.
    pub(crate) said: Option<Outcome>,
    /// Blocks of evidence.
    pub(crate) blocks: usize,
    pub(crate) changed: bool,
    /// By its own configuration, and by the changed one.
    pub(crate) old: SaidDocument,
    pub(crate) new: SaidDocument,
    pub(crate) metrics: Vec<BacktestMetricDocument>,
    pub(crate) kayenta: Option<KayentasDocument>,
}

/// A verdict in short.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SaidDocument {
    pub(crate) outcome: Outcome,
    pub(crate) word: String,
    pub(crate) sentence: String,
}

/// One metric of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct BacktestMetricDocument {
    pub(crate) name: String,
    pub(crate) old: Outcome,
    /// `None` = off.
    pub(crate) new: Option<Outcome>,
    /// What the new one says, or the old one of a metric that is off.
    pub(crate) sentence: String,
}

/// Kayenta's judge by our metrics with its defaults, and by the configuration that was given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct KayentasDocument {
    pub(crate) usual: KayentaDocument,
    pub(crate) given: KayentaDocument,
}

/// A deployment that was not judged again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct LeftOutDocument {
    pub(crate) name: String,
    pub(crate) why: String,
}

impl BacktestDocument {
    pub(crate) fn of(asked: &Backtest, mut runs: Vec<BacktestRunDocument>, left_out: Vec<LeftOutDocument>) -> Self {
        // A stable sort: within changed and unchanged the newest stay first.
        runs.sort_by_key(|run| !run.changed);
        Self {
            sentence: sentence(&runs),
            config: asked.change.clone(),
            runs,
            left_out,
        }
    }
}

fn sentence(runs: &[BacktestRunDocument]) -> String {
    let changed = runs.iter().filter(|run| run.changed).count();
    match (changed, runs.len()) {
        (_, 0) => "Nothing was judged again: there is no evidence of any deployment yet.".to_owned(),
        (0, 1) => "The verdict would have been the same.".to_owned(),
        (1, 1) => "The verdict would have been another one.".to_owned(),
        (0, all) => format!("All {all} verdicts would have been the same."),
        (changed, all) => format!("{changed} of {all} verdicts would have been another one."),
    }
}

impl BacktestRunDocument {
    pub(crate) fn of(
        named: &Named,
        old: &Verdict,
        new: &Verdict,
        kayenta: Option<(KayentaDocument, KayentaDocument)>,
    ) -> Self {
        let metrics = old.metrics.iter().map(|metric| {
            let now = new.metrics.iter().find(|now| now.name == metric.name);
            BacktestMetricDocument {
                name: metric.name.clone(),
                old: metric.outcome,
                new: now.map(|now| now.outcome),
                sentence: now.unwrap_or(metric).sentence(),
            }
        });
        Self {
            deployment: named.id,
            name: named.kept.name.clone(),
            created_at: named.kept.created_at,
            said: named.kept.said.map(|(_, outcome)| outcome),
            blocks: named.kept.run.blocks(),
            changed: old.outcome != new.outcome,
            old: SaidDocument::of(old),
            new: SaidDocument::of(new),
            metrics: metrics.collect(),
            kayenta: kayenta.map(|(usual, given)| KayentasDocument { usual, given }),
        }
    }
}

impl SaidDocument {
    fn of(verdict: &Verdict) -> Self {
        Self {
            outcome: verdict.outcome,
            word: verdict.outcome.word().to_owned(),
            sentence: verdict.sentence(),
        }
    }
}
