//! Numbers as a person reads them. One place, so that a share, a price or a time looks the same on every page.

use std::fmt;

use arya_judge::Timestamp;
use askama::filters::{Html, HtmlSafe, escape};

/// A share in percent: whole numbers bare, else one decimal, below 1 % two.
pub(crate) fn percent(value: f64) -> String {
    if !value.is_finite() {
        return "–".into();
    }
    let decimals = if value != 0.0 && value.abs() < 1.0 { 2 } else { 1 };
    let text = format!("{value:.decimals$}");
    format!("{} %", trimmed(&text))
}

/// A factor, such as 1.5.
pub(crate) fn factor(value: f64) -> String {
    if !value.is_finite() {
        return "–".into();
    }
    let decimals = if value.abs() < 10.0 { 2 } else { 0 };
    trimmed(&format!("{value:.decimals$}")).to_owned()
}

fn trimmed(text: &str) -> &str {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        text
    }
}

/// A count with separators: `12,345`.
pub(crate) fn count(value: f64) -> String {
    let digits = format!("{:.0}", value.max(0.0));
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A rate of requests per second.
pub(crate) fn rate(per_second: f64) -> String {
    if per_second < 10.0 {
        trimmed(&format!("{per_second:.1}")).to_owned()
    } else {
        count(per_second)
    }
}

/// A length of time with its two largest units.
pub(crate) fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => two(whole / 60, "min", whole % 60, "s"),
        3600..86_400 => two(whole / 3600, "h", whole % 3600 / 60, "min"),
        _ => two(whole / 86_400, "d", whole % 86_400 / 3600, "h"),
    }
}

fn two(large: u64, large_unit: &str, small: u64, small_unit: &str) -> String {
    if small == 0 {
        format!("{large} {large_unit}")
    } else {
        format!("{large} {large_unit} {small} {small_unit}")
    }
}

/// Seconds from one time to a later one, negative when it is earlier.
pub(crate) fn seconds_between(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}

/// How long ago.
pub(crate) fn ago(at: Timestamp, now: Timestamp) -> String {
    format!("{} ago", duration(seconds_between(at, now)))
}

/// The time of day in UTC; the pages always print both numbers' zone once, in the foot.
pub(crate) fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M:%S").to_string()
}

/// A day and a time.
pub(crate) fn day(at: Timestamp) -> String {
    at.strftime("%-d %b %Y, %H:%M").to_string()
}

/// US dollars; small amounts keep the digits that say something.
pub(crate) fn money(dollars: f64) -> String {
    if dollars != 0.0 && dollars < 1.0 {
        format!("${dollars:.3}")
    } else {
        format!("${dollars:.2}")
    }
}

/// A size in bytes with a decimal unit.
pub(crate) fn size(bytes: u64) -> String {
    let value = bytes as f64;
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.0} kB", value / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", value / 1e6),
        1_000_000_000..10_000_000_000 => format!("{} GB", trimmed(&format!("{:.2}", value / 1e9))),
        _ => format!("{:.0} GB", value / 1e9),
    }
}

/// A sentence as HTML: escaped, and what stands between backticks as code.
pub(crate) fn prose<T: AsRef<str>>(sentence: T) -> Prose<T> {
    Prose(sentence)
}

/// What [`prose`] makes; a page writes it as it is, because it escapes by itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prose<T>(T);

impl<T: AsRef<str>> HtmlSafe for Prose<T> {}

impl<T: AsRef<str>> fmt::Display for Prose<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<&str> = self.0.as_ref().split('`').collect();
        // A backtick without another is a backtick.
        let paired = parts.len() - 1 + parts.len() % 2;
        for (index, part) in parts.iter().enumerate() {
            let Ok(escaped) = escape(part, Html);
            match index % 2 {
                0 => write!(f, "{escaped}")?,
                _ if index < paired => write!(f, "<code>{escaped}</code>")?,
                _ => write!(f, "`{escaped}")?,
            }
        }
        Ok(())
    }
}

/// How many of something.
pub(crate) fn of_them(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// The first twelve digits of a digest.
pub(crate) fn short(digest: &str) -> &str {
    let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
    hex.get(..12).unwrap_or(hex)
}

/// A name as an argument of a shell: quoted where it must be.
pub(crate) fn argument(name: &str) -> String {
    let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:/".contains(&b));
    if plain {
        name.to_owned()
    } else {
        format!("'{}'", name.replace('\'', r"'\''"))
    }
}

/// A name as a value in an address.
pub(crate) fn in_address(name: &str) -> String {
    form_urlencoded::byte_serialize(name.as_bytes()).collect()
}

/// An ARN's own part without partition, service and account, which stand elsewhere; other ids as they are.
pub(crate) fn short_arn(id: &str) -> &str {
    let parts = id.splitn(6, ':');
    match parts.last() {
        Some(own) if id.starts_with("arn:") => own,
        Some(_) | None => id,
    }
}

/// An ARN of a listener or a rule by what people know it by: the load balancer's name, and the end that tells it from
/// others. Other ids as they are.
pub(crate) fn known_by(id: &str) -> String {
    let own = short_arn(id);
    let parts: Vec<&str> = own.split('/').collect();
    match parts.as_slice() {
        ["listener" | "listener-rule", _, balancer, .., end] if own != id => format!("{balancer} … {end}"),
        _ => own.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_is_known_by_its_balancer_and_its_end() {
        let listener = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener/app/shop/1f0b/8d66";
        assert_eq!(known_by(listener), "shop … 8d66");
        let rule = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener-rule/app/shop/1f0b/8d66/7d31";
        assert_eq!(known_by(rule), "shop … 7d31");
        assert_eq!(known_by("local:web"), "local:web");
    }

    #[test]
    fn shares_keep_the_digits_that_matter() {
        for (value, expected) in [
            (5.0, "5 %"),
            (9.74, "9.7 %"),
            (0.25, "0.25 %"),
            (0.0, "0 %"),
            (90.0, "90 %"),
        ] {
            assert_eq!(percent(value), expected);
        }
    }

    #[test]
    fn times_have_two_units_at_most() {
        for (value, expected) in [
            (4.2, "4 s"),
            (61.0, "1 min 1 s"),
            (3600.0, "1 h"),
            (90_000.0, "1 d 1 h"),
            (-3.0, "0 s"),
        ] {
            assert_eq!(duration(value), expected);
        }
    }

    #[test]
    fn what_stands_between_backticks_is_code_and_everything_is_escaped() {
        for (text, expected) in [
            ("no `x` here", "no <code>x</code> here"),
            ("`<b>`", "<code>&#60;b&#62;</code>"),
            ("a ` b", "a ` b"),
            ("`a` ` \"b\"", "<code>a</code> ` &#34;b&#34;"),
            ("", ""),
        ] {
            assert_eq!(prose(text).to_string(), expected, "{text}");
        }
    }

    #[test]
    fn counts_and_sizes_are_grouped() {
        assert_eq!(count(1_234_567.0), "1,234,567");
        assert_eq!(count(999.0), "999");
        assert_eq!(size(14_200_000), "14.2 MB");
        assert_eq!([size(2_147_483_648), size(107_374_182_400)], ["2.15 GB", "107 GB"]);
        assert_eq!(
            [of_them(1, "layer", "layers"), of_them(2, "layer", "layers")],
            ["1 layer", "2 layers"]
        );
        assert_eq!(money(0.0416), "$0.042");
        assert_eq!(factor(1.50), "1.5");
        assert_eq!(short("sha256:0123456789abcdef"), "0123456789ab");
    }
}
