//! Shares of the matching traffic: asked, applied, measured; and the form that asks for another.

use arya_plan::phase::Phase;

use crate::api::documents::{DeploymentDocument, Shares, Told};
use crate::web::words;

/// One row of the table.
#[derive(Debug, Clone)]
pub(crate) struct WeightRow {
    pub(crate) word: &'static str,
    pub(crate) shares: Option<SharesView>,
}

/// Three shares as words and as widths of a bar.
#[derive(Debug, Clone)]
pub(crate) struct SharesView {
    pub(crate) production: String,
    pub(crate) baseline: String,
    pub(crate) canary: String,
    pub(crate) production_width: String,
    pub(crate) baseline_width: String,
    pub(crate) canary_width: String,
    pub(crate) canary_x: String,
    /// For people who do not see the bar.
    pub(crate) words: String,
}

impl SharesView {
    /// For a share that canary and baseline each get, in percent.
    pub(crate) fn of_arm(percent: f64) -> Self {
        Self::of(&Shares {
            production: 100.0 - 2.0 * percent,
            baseline: percent,
            canary: percent,
        })
    }

    pub(crate) fn of(shares: &Shares) -> Self {
        let [production, baseline, canary] = [shares.production, shares.baseline, shares.canary].map(words::percent);
        let width = |value: f64| format!("{:.2}", value.clamp(0.0, 100.0));
        Self {
            words: format!("production {production}, baseline {baseline}, canary {canary}"),
            production,
            baseline,
            canary,
            production_width: width(shares.production),
            baseline_width: width(shares.baseline),
            canary_width: width(shares.canary),
            canary_x: width(shares.production + shares.baseline),
        }
    }
}

pub(crate) fn rows(document: &DeploymentDocument) -> Vec<WeightRow> {
    let weights = &document.weights;
    let row = |word, shares: Option<&Shares>| WeightRow {
        word,
        shares: shares.map(SharesView::of),
    };
    vec![
        row("asked", Some(&weights.asked)),
        row("applied", Some(&weights.applied)),
        row("measured", weights.measured.as_ref()),
    ]
}

/// The form for another share.
#[derive(Debug, Clone)]
pub(crate) struct ShareForm {
    pub(crate) shown: bool,
    /// The asked share as a number.
    pub(crate) value: String,
    pub(crate) presets: [u8; 5],
    pub(crate) twin_pattern: String,
    pub(crate) hint: String,
}

impl ShareForm {
    pub(crate) fn of(document: &DeploymentDocument) -> Self {
        let leaving = document.told() == Told::AtTheEnd;
        let failed = document.phase == Phase::Failed;
        let hint = if document.closed_at.is_some() {
            "It is gone; production answers everything."
        } else if leaving {
            "It is being removed; production answers everything."
        } else if failed {
            "It failed and cannot take traffic."
        } else if document.harmful_stands() {
            "While the verdict is harmful the share can be lowered but not raised; overrule it first, with a reason."
        } else {
            "0 removes our rule at once and keeps the instances. 50 leaves production nothing of the matching traffic."
        };
        let value = format!("{}", document.weights.asked.canary);
        Self {
            shown: !leaving && !failed,
            value,
            presets: [0, 5, 10, 20, 33],
            twin_pattern: format!("arya weight {} %", words::argument(&document.name)),
            hint: hint.into(),
        }
    }
}
