//! The lab's form: read as it was filled in, understood as what is to be judged, or refused beside the field that is wrong.

use arya_judge::backtest::Change;
use arya_judge::kayenta::{CanaryConfig, Thresholds};
use arya_judge::source::pack::MetricEdit;

use crate::api::input::{deployment_id, shown};
use crate::api::lab::{kayenta_config, runs};
use crate::app::{Backtest, Chosen, RUNS_MAX, RUNS_USUAL};
use crate::web::fields::Fields;
use crate::web::form::Problems;

/// More rows than any canary has metrics; the rest is changed on the command line.
pub(super) const ROWS_MAX: usize = 60;
pub(super) const LATEST: &str = "latest";
pub(super) const EXAMPLES: &str = "examples";

/// The form as it was filled in.
#[derive(Debug, Clone, Default)]
pub(crate) struct LabForm {
    pub(super) which: String,
    pub(crate) last: String,
    pub(super) numbers: [String; 4],
    /// Name, use and margin of each metric.
    pub(super) metrics: Vec<(String, String, String)>,
    pub(crate) kayenta_config: String,
    pub(crate) pass: String,
    pub(crate) marginal: String,
    pub(crate) kayenta_used: bool,
}

/// The numbers of a configuration: name, word, hint.
pub(super) const NUMBERS: [(&str, &str, &str); 4] = [
    ("alpha_fail", "α for harmful, %", "Chance of a false alarm per canary"),
    (
        "alpha_pass",
        "α for no worse, %",
        "Chance of a false pass per critical metric",
    ),
    ("minimum_bake", "Minimum bake, seconds", "Before “no worse” may be said"),
    (
        "pass_margin",
        "Margin of every metric",
        "Such as 1.5: half again as much is excluded",
    ),
];

impl LabForm {
    pub(super) fn posted(fields: &Fields) -> Self {
        let one = |name: &str| fields.one(name).ok().flatten().unwrap_or_default().to_owned();
        let all = |name: &str| -> Vec<String> {
            let of = fields.0.iter().filter(|(key, _)| key == name);
            of.map(|(_, value)| value.trim().to_owned()).take(ROWS_MAX).collect()
        };
        let (names, uses, margins) = (all("metric"), all("use"), all("margin"));
        let row = |(place, name): (usize, String)| {
            let at = |values: &[String]| values.get(place).cloned().unwrap_or_default();
            (name, at(&uses), at(&margins))
        };
        Self {
            which: one("which"),
            last: one("last"),
            numbers: NUMBERS.map(|(name, ..)| one(name)),
            metrics: names.into_iter().enumerate().map(row).collect(),
            kayenta_config: one("kayenta_config"),
            pass: one("pass"),
            marginal: one("marginal"),
            kayenta_used: one("kayenta") == "on",
        }
    }

    /// What is asked for, or what is wrong beside which field.
    pub(super) fn asked(&self) -> Result<Backtest, Problems> {
        let mut problems = Problems::default();
        let of = self.chosen(&mut problems);
        let mut number = |name: &'static str, text: &str| match parsed(text) {
            Ok(number) => number,
            Err(sentence) => {
                problems.say(name, sentence);
                None
            }
        };
        let [alpha_fail, alpha_pass, bake, margin] = &self.numbers;
        let percent = |value: Option<f64>| value.map(|percent| percent / 100.0);
        let mut change = Change {
            alpha_fail: percent(number("alpha_fail", alpha_fail)),
            alpha_pass: percent(number("alpha_pass", alpha_pass)),
            minimum_bake_s: number("minimum_bake", bake),
            pass_margin: number("pass_margin", margin),
            metrics: Vec::new(),
        };
        let thresholds = Thresholds {
            pass: number("pass", &self.pass).unwrap_or(Thresholds::USUAL.pass),
            marginal: number("marginal", &self.marginal).unwrap_or(Thresholds::USUAL.marginal),
        };
        for (name, using, margin) in &self.metrics {
            match edit(name, using, margin) {
                Ok(Some(edit)) => change.metrics.push(edit),
                Ok(None) => {}
                Err(sentence) => problems.say(metric_field(name), sentence),
            }
        }
        let kayenta = self.kayenta(thresholds, &mut problems);
        match of {
            Some(of) if problems.is_empty() => Ok(Backtest { of, change, kayenta }),
            Some(_) | None => Err(problems),
        }
    }

    fn chosen(&self, problems: &mut Problems) -> Option<Chosen> {
        match self.which.as_str() {
            "" | LATEST => {
                let last = if self.last.is_empty() {
                    Ok(RUNS_USUAL)
                } else {
                    self.last.parse::<usize>()
                };
                match last.map(runs) {
                    Ok(Ok(last)) => Some(Chosen::Latest(last)),
                    Ok(Err(_)) | Err(_) => {
                        problems.say("last", format!("Write a whole number from 1 to {RUNS_MAX}."));
                        None
                    }
                }
            }
            EXAMPLES => Some(Chosen::Examples),
            id => match deployment_id(id) {
                Ok(id) => Some(Chosen::One(id)),
                Err(problem) => {
                    problems.say("which", problem.detail);
                    None
                }
            },
        }
    }

    fn kayenta(&self, thresholds: Thresholds, problems: &mut Problems) -> Option<(CanaryConfig, Thresholds)> {
        if !self.kayenta_used {
            return None;
        }
        match kayenta_config(&self.kayenta_config) {
            Ok(config) => Some((config, thresholds)),
            Err(problem) => {
                problems.say("kayenta_config", problem.detail);
                None
            }
        }
    }
}

/// A number as people write it; `None` where nothing is written.
fn parsed(text: &str) -> Result<Option<f64>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let number = text.trim_end_matches(['%', ' ']).replace(',', ".").parse::<f64>();
    match number {
        Ok(number) if number.is_finite() => Ok(Some(number)),
        Ok(_) | Err(_) => Err(format!("“{}” is no number.", shown(text))),
    }
}

/// What a row changes; `None` = nothing.
fn edit(name: &str, using: &str, margin: &str) -> Result<Option<MetricEdit>, String> {
    let edit = MetricEdit {
        name: name.to_owned(),
        off: using == "off",
        critical: match using {
            "critical" => Some(true),
            "plain" => Some(false),
            _ => None,
        },
        pass_margin: parsed(margin)?,
        ..MetricEdit::default()
    };
    edit.check().map_err(|error| error.to_string())?;
    let unchanged = MetricEdit {
        name: name.to_owned(),
        ..MetricEdit::default()
    };
    Ok((edit != unchanged).then_some(edit))
}

pub(super) fn metric_field(name: &str) -> String {
    format!("metric {name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(body: &str) -> LabForm {
        LabForm::posted(&Fields::parse(body.as_bytes()).unwrap())
    }

    #[track_caller]
    fn refused(body: &str, field: &str, words: &str) {
        let problems = form(body).asked().unwrap_err();
        let said = problems
            .of(field)
            .unwrap_or_else(|| panic!("nothing is said of {field}: {problems:?}"));
        assert!(said.contains(words), "{said}");
    }

    #[test]
    fn what_is_left_empty_changes_nothing() {
        let asked = form("which=latest&last=&alpha_fail=&metric=latency&use=&margin=")
            .asked()
            .unwrap();
        assert_eq!(
            (asked.of, asked.change),
            (Chosen::Latest(RUNS_USUAL), Change::default())
        );
        assert!(asked.kayenta.is_none());
    }

    #[test]
    fn percents_rows_and_commas_are_read_as_people_write_them() {
        let asked = form("last=3&alpha_fail=1,5+%25&metric=a&use=off&margin=&metric=b&use=plain&margin=2").asked();
        let asked = asked.unwrap();
        assert_eq!((asked.of, asked.change.alpha_fail), (Chosen::Latest(3), Some(0.015)));
        let [a, b] = asked.change.metrics.as_slice() else {
            panic!("{:?}", asked.change)
        };
        assert!(a.off && b.critical == Some(false) && b.pass_margin == Some(2.0));
    }

    #[test]
    fn what_is_wrong_is_said_beside_its_field() {
        refused("last=0", "last", "from 1 to 20");
        refused("last=many", "last", "from 1 to 20");
        refused("which=nobody", "which", "nobody");
        refused("alpha_fail=x", "alpha_fail", "“x” is no number");
        refused("alpha_fail=NaN", "alpha_fail", "no number");
        refused("metric=latency&use=&margin=1", "metric latency", "above 1");
        refused(
            "kayenta=on&kayenta_config={",
            "kayenta_config",
            "no configuration of Kayenta's",
        );
    }
}
