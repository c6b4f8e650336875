//! A judgement for people at a terminal.

use std::io;

use arya_judge::kayenta::classifier::Test;
use arya_judge::kayenta::{CONFIDENCE, Judgement, MetricResult, Thresholds};

use crate::output;

/// Prints the score, the groups and one row per metric.
pub(super) fn print(judgement: &Judgement, thresholds: Thresholds) -> io::Result<()> {
    let score = &judgement.score;
    output::line(&format!(
        "{}: score {} (pass from {}, marginal from {})",
        score.rating.name(),
        score.score,
        thresholds.pass,
        thresholds.marginal
    ))?;
    if let Some(outright) = &score.outright {
        output::line(&printable(&outright.sentence()))?;
    }
    if !score.groups.is_empty() {
        output::line("")?;
        rows(
            ["group", "score"],
            score
                .groups
                .iter()
                .map(|group| [printable(&group.name), short(group.score)]),
        )?;
    }
    if !judgement.results.is_empty() {
        output::line("")?;
        let shift = format!("shift ({} %)", CONFIDENCE * 100.0);
        let header = [
            "metric",
            "class",
            "baseline mean",
            "canary mean",
            "ratio",
            &shift,
            "why",
        ];
        rows(header, judgement.results.iter().map(row))?;
    }
    output::line("")?;
    output::line(
        "This is Kayenta's score. It passes metrics that could not be judged, knows no minimum sample, and alarms more \
         often the more often one looks.",
    )
}

fn row(result: &MetricResult) -> [String; 7] {
    let classified = &result.classified;
    let mut class = classified.classification.name().to_owned();
    if classified.critical {
        class.push_str(", critical");
    }
    if result.muted {
        class.push_str(", muted");
    }
    let mean = |side: &arya_judge::kayenta::statistics::Summary| match side.count {
        0 => "no data".to_owned(),
        count => format!("{} of {count}", short(side.mean)),
    };
    let shift = match classified.test {
        Test::Ran { interval, .. } => format!("{} to {}", short(interval.lower), short(interval.upper)),
        Test::NotRun | Test::Constant | Test::Threw => "-".to_owned(),
    };
    [
        printable(&named(result)),
        class,
        mean(&result.control),
        mean(&result.experiment),
        classified.ratio.map_or("-".to_owned(), short),
        shift,
        printable(result.reason.as_deref().unwrap_or_default()),
    ]
}

fn named(result: &MetricResult) -> String {
    let tags: Vec<String> = result
        .tags
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    if tags.is_empty() {
        result.name.clone()
    } else {
        format!("{} ({})", result.name, tags.join(", "))
    }
}

/// Enough digits to compare, few enough for a column.
fn short(number: f64) -> String {
    let size = number.abs();
    if number == 0.0 || (1e-3..1e7).contains(&size) {
        let text = format!("{number:.4}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else if number.is_finite() {
        format!("{number:.3e}")
    } else {
        number.to_string()
    }
}

/// Names come from files, and a terminal obeys control characters.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .map(|letter| if letter.is_control() { '\u{fffd}' } else { letter })
        .collect()
}

/// Columns as wide as their widest cell, the last one as it comes.
fn rows<const N: usize>(header: [&str; N], body: impl Iterator<Item = [String; N]>) -> io::Result<()> {
    let all: Vec<[String; N]> = std::iter::once(header.map(str::to_owned)).chain(body).collect();
    let width = |column: usize| {
        all.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: [usize; N] = std::array::from_fn(width);
    for row in &all {
        let cells: Vec<String> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        output::line(cells.join("  ").trim_end())?;
    }
    Ok(())
}
