//! Numbers as people write them.

use crate::{Timestamp, Unit};

/// Evidence beyond a billion to one is not told apart: no model is that exact.
const LARGEST_ODDS: f64 = 1e9;

/// A number with its unit, as people write it.
pub(super) fn amount(number: f64, unit: Unit) -> String {
    let scaled = |steps: &[(f64, &str)]| {
        let fits = steps.iter().find(|(size, _)| number.abs() >= *size);
        let (size, name) = fits.or(steps.last()).copied().unwrap_or((1.0, ""));
        format!("{} {name}", three_digits(number / size))
    };
    match unit {
        Unit::Plain => three_digits(number),
        Unit::Seconds => scaled(&[(1.0, "s"), (1e-3, "ms"), (1e-6, "µs")]),
        Unit::Bytes => scaled(&[(1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "bytes")]),
        Unit::Fraction => format!("{} %", three_digits(100.0 * number)),
    }
}

/// Three significant digits; none after the point from a hundred on.
fn three_digits(number: f64) -> String {
    let text = match number.abs() {
        size if size >= 1e15 => format!("{number:.2e}"),
        size if size >= 1000.0 => whole(number),
        size if size >= 100.0 => format!("{number:.0}"),
        size if size >= 10.0 => format!("{number:.1}"),
        size if size >= 1.0 => format!("{number:.2}"),
        size if size >= 0.001 => format!("{number:.4}"),
        0.0 => "0".to_owned(),
        _ => format!("{number:.2e}"),
    };
    if text.contains('e') { text } else { trimmed(&text) }
}

/// One decimal, or two significant digits below one.
pub(super) fn digits(number: f64) -> String {
    let text = match number {
        number if number >= 1.0 || number <= 0.0 => format!("{number:.1}"),
        number if number >= 0.1 => format!("{number:.2}"),
        number if number >= 0.01 => format!("{number:.3}"),
        number => format!("{number:.4}"),
    };
    trimmed(&text)
}

fn trimmed(text: &str) -> String {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text.to_owned()
    }
}

/// A count without decimals, in groups of three.
pub(super) fn whole(count: f64) -> String {
    let rounded = format!("{:.0}", count.abs());
    let (sign, plain) = if count < -0.5 { ("-", rounded) } else { ("", rounded) };
    let mut grouped = String::with_capacity(plain.len() + plain.len() / 3);
    for (index, digit) in plain.chars().enumerate() {
        if index > 0 && (plain.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{sign}{grouped}")
}

/// A factor that is claimed as a lower bound is never rounded up.
pub(super) fn factor_down(factor: f64) -> String {
    rounded_factor(factor, f64::floor)
}

/// A factor that is claimed as an upper bound is never rounded down.
pub(super) fn factor_up(factor: f64) -> String {
    rounded_factor(factor, f64::ceil)
}

fn rounded_factor(factor: f64, round: fn(f64) -> f64) -> String {
    let steps = if factor >= 5.0 {
        1.0
    } else if factor >= 2.0 {
        10.0
    } else {
        100.0
    };
    // A millionth of a step is arithmetic, not evidence: 1.5 must not become 1.51.
    let nudge = if round(0.5) > 0.5 { -1e-6 } else { 1e-6 };
    format!("{}x", trimmed(&format!("{:.2}", round(factor * steps + nudge) / steps)))
}

pub(super) fn odds(log_e: f64) -> String {
    match log_e.exp() {
        odds if odds > LARGEST_ODDS => "over 1,000,000,000:1".to_owned(),
        odds if odds >= 10.0 => format!("{}:1", whole(odds.floor())),
        odds => format!("{}:1", trimmed(&format!("{odds:.1}"))),
    }
}

pub(super) fn duration(minutes: Option<f64>) -> String {
    match minutes {
        None => "more than a day".to_owned(),
        Some(minutes) if minutes <= 1.0 => "about 1 min".to_owned(),
        Some(minutes) if minutes < 120.0 => format!("about {:.0} min", minutes.ceil()),
        Some(minutes) => format!("about {:.0} h", (minutes / 60.0).ceil()),
    }
}

pub(super) fn clock(at: Timestamp) -> String {
    format!("{} UTC", at.strftime("%H:%M"))
}

/// To the second, for what a person wants to find in a feed.
pub(super) fn exact_clock(at: Timestamp) -> String {
    format!("{} UTC", at.strftime("%H:%M:%S"))
}

/// As at the start of a sentence.
pub fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(said: String, expected: &str) {
        assert_eq!(said, expected);
    }

    #[test]
    fn shares_have_two_digits_below_one() {
        check(digits(10.2007), "10.2");
        check(digits(0.1658), "0.17");
        check(digits(0.05), "0.05");
        check(digits(0.00312), "0.0031");
        check(digits(0.0), "0");
        check(digits(-1.25), "-1.2");
    }

    #[test]
    fn a_lower_bound_is_never_rounded_up() {
        check(factor_down(8.99), "8x");
        check(factor_down(1.999), "1.99x");
        check(factor_down(1.5), "1.5x");
        check(factor_down(0.0), "0x");
    }

    #[test]
    fn an_upper_bound_is_never_rounded_down() {
        check(factor_up(8.01), "9x");
        check(factor_up(1.411), "1.42x");
        check(factor_up(1.5), "1.5x");
    }

    #[test]
    fn counts_come_in_groups_of_three() {
        check(whole(999.0), "999");
        check(whole(1_234_567.4), "1,234,567");
    }

    #[test]
    fn amounts_have_units_and_three_digits() {
        check(amount(0.2401, Unit::Seconds), "240 ms");
        check(amount(1.5, Unit::Seconds), "1.5 s");
        check(amount(0.0, Unit::Seconds), "0 µs");
        check(amount(536_870_912.0, Unit::Bytes), "537 MB");
        check(amount(-1_200.0, Unit::Bytes), "-1.2 kB");
        check(amount(0.125, Unit::Fraction), "12.5 %");
        check(amount(12_345.6, Unit::Plain), "12,346");
        check(amount(1e-9, Unit::Plain), "1.00e-9");
    }

    #[test]
    fn evidence_beyond_a_billion_is_not_told_apart() {
        check(odds(3.0), "20:1");
        check(odds(-1.0), "0.4:1");
        check(odds(800.0), "over 1,000,000,000:1");
    }

    #[test]
    fn waiting_times_are_rounded_up() {
        check(duration(Some(0.2)), "about 1 min");
        check(duration(Some(8.2)), "about 9 min");
        check(duration(Some(121.0)), "about 3 h");
        check(duration(None), "more than a day");
    }
}
