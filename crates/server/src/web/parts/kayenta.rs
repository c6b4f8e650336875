//! The score of Kayenta's judge, for those who know it. It has no colour of ours: it is not what is acted on.

use crate::api::documents::KayentaDocument;
use crate::web::words;

#[derive(Debug, Clone)]
pub(crate) struct KayentaView {
    /// Such as `100` or `–`.
    pub(crate) score: String,
    pub(crate) classification: String,
    pub(crate) reason: String,
    /// Its values and thresholds, as a sentence.
    pub(crate) rests_on: String,
    pub(crate) lines: Vec<KayentaLine>,
    pub(crate) note: String,
    /// Where the meter ends, and its two marks, in percent of its width.
    pub(crate) meter: String,
    pub(crate) pass: String,
    pub(crate) marginal: String,
}

#[derive(Debug, Clone)]
pub(crate) struct KayentaLine {
    pub(crate) name: String,
    pub(crate) class: String,
    pub(crate) reason: String,
}

impl KayentaView {
    pub(crate) fn of(document: &KayentaDocument) -> Self {
        let percent = |points: f64| format!("{:.1}", points.clamp(0.0, 100.0));
        Self {
            score: document
                .score
                .map_or_else(|| "–".to_owned(), |score| words::factor(score.round())),
            classification: document.classification.clone(),
            reason: document.reason.clone(),
            rests_on: format!(
                "{}. Pass from {} points, marginal from {}.",
                match document.values {
                    0 => "One value a minute, and no minute was whole".to_owned(),
                    count => {
                        let values = words::of_them(count, "value", "values");
                        format!("Up to {values} of each side, one a minute")
                    }
                },
                words::factor(document.pass),
                words::factor(document.marginal)
            ),
            lines: document
                .metrics
                .iter()
                .map(|metric| KayentaLine {
                    name: metric.name.clone(),
                    class: if metric.critical {
                        format!("{}, critical", metric.classification)
                    } else {
                        metric.classification.clone()
                    },
                    reason: metric.reason.clone().unwrap_or_default(),
                })
                .collect(),
            note: document.note.clone(),
            meter: percent(document.score.unwrap_or(0.0)),
            pass: percent(document.pass),
            marginal: percent(document.marginal),
        }
    }
}
