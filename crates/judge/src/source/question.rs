//! What a monitor is asked: raw samples by a range selector, so that scrapes keep their true times.

use std::collections::BTreeSet;

use super::blocks::block_s;
use super::production::PRODUCTION;
use super::scrapes::{ARM, Side, UP};
use super::selector::Quoted;
use crate::{Block, Evidence, MetricConfig};

/// Whose series are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Both arms'.
    Arms,
    /// Production's too, with which the arms are compared: only where each of its series counts what the arms' do.
    ArmsAndProduction,
}

/// The range selector that brings all series of these names, with `up`, over so many seconds back.
///
/// Names must be of selectors: they hold no character that means something in a pattern.
pub fn samples_of(deployment: &str, whose: Whose, names: &BTreeSet<String>, seconds: u64) -> String {
    format!("{}[{seconds}s]", series_of(deployment, whose, names))
}

/// The selector of the same series, without a range.
pub fn series_of(deployment: &str, whose: Whose, names: &BTreeSet<String>) -> String {
    let names: BTreeSet<&str> = names.iter().map(String::as_str).chain([UP]).collect();
    let alternatives = names.into_iter().collect::<Vec<_>>().join("|");
    let condition = format!("__name__=~{},", Quoted(&alternatives));
    format!("{{{condition}{}}}", of(deployment, whose))
}

impl Evidence {
    /// Blocks that were made of a monitor's raw samples, which it scrapes so many seconds apart; `samples` is the selector
    /// that brings them.
    pub fn of_samples(
        metric: &MetricConfig,
        source: impl Into<String>,
        samples: &str,
        scrape_s: f64,
        blocks: Vec<Block>,
    ) -> Self {
        Self {
            query: format!("{}, from the raw samples of {samples}", metric.query),
            block_s: block_s(scrape_s),
            ..Self::of(metric, source, blocks)
        }
    }
}

/// The selector of every series of both arms.
pub fn everything_of(deployment: &str) -> String {
    format!("{{{}}}", of(deployment, Whose::Arms))
}

fn of(deployment: &str, whose: Whose) -> String {
    let arms = [Side::Baseline.name(), Side::Canary.name()];
    let others: &[&str] = match whose {
        Whose::Arms => &[],
        Whose::ArmsAndProduction => &[PRODUCTION],
    };
    let all = arms.iter().chain(others).copied().collect::<Vec<_>>().join("|");
    format!("deployment={},{ARM}=~\"{all}\"", Quoted(deployment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_asked_for_together_and_a_strange_deployment_cannot_end_the_quotes() {
        let names = ["b_total".to_owned(), "a".to_owned()].into();
        assert_eq!(
            samples_of("x\"}", Whose::ArmsAndProduction, &names, 90),
            r#"{__name__=~"a|b_total|up",deployment="x\"}",arm=~"baseline|canary|production"}[90s]"#
        );
        assert_eq!(everything_of("d"), r#"{deployment="d",arm=~"baseline|canary"}"#);
    }

    #[test]
    fn production_is_asked_for_where_it_is_wanted_alone() {
        assert_eq!(
            series_of("d", Whose::Arms, &["a".to_owned()].into()),
            r#"{__name__=~"a|up",deployment="d",arm=~"baseline|canary"}"#
        );
    }
}
