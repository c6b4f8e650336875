//! Prometheus' text exposition format 0.0.4, read strictly. Must never know where the text came from.

use super::labels::METRIC_NAME;

/// One line: labels in the order written (the metric's name first) and a value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    pub(super) labels: Vec<(String, String)>,
    pub(super) value: f64,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ExpositionError {
    #[error("line {line}: {expected} expected")]
    Line { line: usize, expected: &'static str },
    #[error("more than {limit} samples in one scrape")]
    TooManySamples { limit: usize },
}

/// Reads every sample. A timestamp on a line is checked and not used: the time of the scrape counts, so that one
/// window means the same thing for every target.
pub(super) fn parse(text: &str, limit: usize) -> Result<Vec<Line>, ExpositionError> {
    let mut lines = Vec::new();
    for (n, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if lines.len() == limit {
            return Err(ExpositionError::TooManySamples { limit });
        }
        lines.push(sample(line).map_err(|expected| ExpositionError::Line { line: n + 1, expected })?);
    }
    Ok(lines)
}

fn sample(line: &str) -> Result<Line, &'static str> {
    let (metric, mut rest) = name(line, true).ok_or("the name of a metric")?;
    let mut labels = vec![(METRIC_NAME.to_owned(), metric.to_owned())];
    rest = rest.trim_start();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = label_pairs(inside, &mut labels)?;
    }
    let mut words = rest.split_whitespace();
    let value = words.next().and_then(number).ok_or("a number")?;
    match (words.next().map(str::parse::<i64>), words.next()) {
        (None | Some(Ok(_)), None) => Ok(Line { labels, value }),
        _ => Err("a timestamp in milliseconds and nothing more"),
    }
}

fn label_pairs<'a>(mut rest: &'a str, labels: &mut Vec<(String, String)>) -> Result<&'a str, &'static str> {
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix('}') {
            return Ok(after);
        }
        let (label, after) = name(rest, false).ok_or("the name of a label or }")?;
        let after = after
            .trim_start()
            .strip_prefix('=')
            .ok_or("= after the name of a label")?;
        let after = after.trim_start().strip_prefix('"').ok_or("a label value in quotes")?;
        let (value, after) = quoted(after).ok_or("the closing quote of a label value")?;
        labels.push((label.to_owned(), value));
        rest = after.trim_start();
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None if rest.starts_with('}') => {}
            None => return Err(", or } after a label"),
        }
    }
}

fn name(text: &str, colons: bool) -> Option<(&str, &str)> {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_' || (colons && c == ':');
    let end = text
        .find(|c: char| !(letter(c) || c.is_ascii_digit()))
        .unwrap_or(text.len());
    text.starts_with(letter).then(|| text.split_at(end))
}

fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                c @ ('\\' | '"') => value.push(c),
                other => value.extend(['\\', other]),
            },
            c => value.push(c),
        }
    }
    None
}

fn number(word: &str) -> Option<f64> {
    match word {
        "+Inf" | "Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        "NaN" => Some(f64::NAN),
        // Rust also reads "infinity" and the like, which the format does not know.
        _ if word.contains(|c: char| c.is_ascii_alphabetic() && !matches!(c, 'e' | 'E')) => None,
        _ => word.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: &[(&str, &str)], value: f64) {
        let parsed = parse(line, 1).unwrap().remove(0);
        let pairs: Vec<(&str, &str)> = parsed.labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(pairs, expected);
        assert_eq!(parsed.value, value);
    }

    #[track_caller]
    fn refused(text: &str, line: usize) {
        assert!(
            matches!(parse(text, 9).unwrap_err(), ExpositionError::Line { line: l, .. } if l == line),
            "{text}"
        );
    }

    #[test]
    fn lines_of_every_shape_are_read() {
        check("up 1", &[(METRIC_NAME, "up")], 1.0);
        check("a:b_c{} -1.5e3 1700000000000", &[(METRIC_NAME, "a:b_c")], -1500.0);
        check(r#"h{le="+Inf",} 3"#, &[(METRIC_NAME, "h"), ("le", "+Inf")], 3.0);
        check(
            r#"h { a = "1" , b="}" } +Inf"#,
            &[(METRIC_NAME, "h"), ("a", "1"), ("b", "}")],
            f64::INFINITY,
        );
        check(
            r#"e{a="q\"b\\s\nn"} 0"#,
            &[(METRIC_NAME, "e"), ("a", "q\"b\\s\nn")],
            0.0,
        );
    }

    #[test]
    fn a_broken_line_is_named_by_its_number() {
        refused("# fine\nup one", 2);
        refused("{a=\"b\"} 1", 1);
        refused("up{a=b} 1", 1);
        refused("up{a=\"b} 1", 1);
        refused("up{a=\"b\" c=\"d\"} 1", 1);
        refused("up 1 2 3", 1);
        refused("up infinity", 1);
    }

    #[test]
    fn a_flood_of_samples_is_refused() {
        assert_eq!(
            parse("a 1\nb 2\n", 1).unwrap_err(),
            ExpositionError::TooManySamples { limit: 1 }
        );
    }
}
