//! What a monitor is asked: raw samples by a range selector, so that scrapes keep their true times.

use std::collections::BTreeSet;

use super::production::PRODUCTION;
use super::scrapes::{ARM, Side, UP};
use super::selector::Quoted;

/// The range selector that brings all series of these names of both arms and of production, with `up`, over so many seconds back.
///
/// Names must be of selectors: they hold no character that means something in a pattern.
pub fn samples_of(deployment: &str, names: &BTreeSet<String>, seconds: u64) -> String {
    format!("{}[{seconds}s]", series_of(deployment, names))
}

/// The selector of the same series, without a range.
pub fn series_of(deployment: &str, names: &BTreeSet<String>) -> String {
    let names: BTreeSet<&str> = names.iter().map(String::as_str).chain([UP]).collect();
    let alternatives = names.into_iter().collect::<Vec<_>>().join("|");
    let condition = format!("__name__=~{},", Quoted(&alternatives));
    format!("{{{condition}{}}}", of_arms(deployment))
}

/// The selector of every series of both arms, and of production where it is scraped too.
pub fn everything_of(deployment: &str) -> String {
    format!("{{{}}}", of_arms(deployment))
}

fn of_arms(deployment: &str) -> String {
    let arms = [Side::Baseline.name(), Side::Canary.name(), PRODUCTION].join("|");
    format!("deployment={},{ARM}=~\"{arms}\"", Quoted(deployment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_asked_for_together_and_a_strange_deployment_cannot_end_the_quotes() {
        let names = ["b_total".to_owned(), "a".to_owned()].into();
        assert_eq!(
            samples_of("x\"}", &names, 90),
            r#"{__name__=~"a|b_total|up",deployment="x\"}",arm=~"baseline|canary|production"}[90s]"#
        );
        assert_eq!(
            everything_of("d"),
            r#"{deployment="d",arm=~"baseline|canary|production"}"#
        );
    }
}
