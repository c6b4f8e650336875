//! Which series are meant: a name and conditions on labels, written as in PromQL, matched as Prometheus matches.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A longer selector is no selector that a person wrote.
const LONGEST: usize = 2048;
/// What a pattern may take once it is compiled; real ones take some thousand bytes.
const PATTERN_BYTES: usize = 256 * 1024;

/// Series of one metric: `http_requests_total{code=~"5..",method!="OPTIONS"}`.
#[derive(Debug, Clone, PartialEq)]
pub struct Selector {
    /// The metric's name.
    pub name: String,
    matchers: Vec<Matcher>,
}

#[derive(Debug, Clone, PartialEq)]
struct Matcher {
    label: String,
    test: Test,
}

#[derive(Debug, Clone, PartialEq)]
enum Test {
    Equals(String),
    Differs(String),
    Like(Pattern),
    Unlike(Pattern),
}

/// A pattern that the whole value must match.
#[derive(Debug, Clone)]
struct Pattern {
    written: String,
    regex: Regex,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

/// Why a text is no selector, as a clause.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` selects no series: {why}")]
pub struct SelectorError {
    text: String,
    why: String,
}

impl Selector {
    /// Every series of a name.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            matchers: Vec::new(),
        }
    }

    /// The same conditions on another name: `_bucket`, `_sum` and `_count` of one family differ in nothing else.
    #[must_use]
    pub fn with_suffix(&self, suffix: &str) -> Self {
        Self {
            name: format!("{}{suffix}", self.name),
            matchers: self.matchers.clone(),
        }
    }

    /// The labels that its conditions are about.
    pub(super) fn labels(&self) -> impl Iterator<Item = &str> {
        self.matchers.iter().map(|matcher| matcher.label.as_str())
    }

    /// Whether these labels, without the name, fulfil every condition. A label that is not there is empty.
    pub fn fits(&self, labels: &BTreeMap<String, String>) -> bool {
        self.matchers.iter().all(|matcher| {
            let value = labels.get(&matcher.label).map_or("", String::as_str);
            match &matcher.test {
                Test::Equals(wanted) => value == wanted,
                Test::Differs(unwanted) => value != unwanted,
                Test::Like(pattern) => pattern.regex.is_match(value),
                Test::Unlike(pattern) => !pattern.regex.is_match(value),
            }
        })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        for (place, Matcher { label, test }) in self.matchers.iter().enumerate() {
            let (sign, value) = match test {
                Test::Equals(value) => ("=", value),
                Test::Differs(value) => ("!=", value),
                Test::Like(pattern) => ("=~", &pattern.written),
                Test::Unlike(pattern) => ("!~", &pattern.written),
            };
            let before = if place == 0 { "{" } else { "," };
            write!(f, "{before}{label}{sign}{}", Quoted(value))?;
        }
        f.write_str(if self.matchers.is_empty() { "" } else { "}" })
    }
}

/// A label's value as PromQL writes it.
pub(super) struct Quoted<'t>(pub(super) &'t str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                c => write!(f, "{c}")?,
            }
        }
        f.write_str("\"")
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        read(text).map_err(|why| SelectorError {
            text: text.chars().take(80).collect(),
            why,
        })
    }
}

fn read(text: &str) -> Result<Selector, String> {
    if text.len() > LONGEST {
        return Err(format!("it is longer than {LONGEST} bytes"));
    }
    let (name, rest) = word(text.trim(), Colons::Allowed).ok_or("it does not begin with a metric's name")?;
    let mut selector = Selector::named(name);
    let mut rest = rest.trim_start();
    if rest.is_empty() {
        return Ok(selector);
    }
    rest = rest
        .strip_prefix('{')
        .ok_or("after the name only conditions in { } may follow; functions and ranges have no place here")?;
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix('}') {
            return match after.trim() {
                "" => Ok(selector),
                _ => Err("something follows the }; functions and ranges have no place here".into()),
            };
        }
        let (matcher, after) = matcher(rest)?;
        selector.matchers.push(matcher);
        rest = after.trim_start();
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None if rest.starts_with('}') => {}
            None => return Err("a condition is followed by neither , nor }".into()),
        }
    }
}

fn matcher(text: &str) -> Result<(Matcher, &str), String> {
    let (label, rest) = word(text, Colons::Forbidden).ok_or("a label's name is missing")?;
    let rest = rest.trim_start();
    let sign = ["=~", "!~", "!=", "="].into_iter().find(|sign| rest.starts_with(sign));
    let sign = sign.ok_or_else(|| format!("after `{label}` none of = != =~ !~ follows"))?;
    let quoted = rest[sign.len()..].trim_start();
    let (value, rest) = unquoted(quoted).ok_or_else(|| format!("the value of `{label}` is not in quotes"))?;
    let pattern = |written: String| {
        let regex = RegexBuilder::new(&format!("^(?s:{written})$"))
            .size_limit(PATTERN_BYTES)
            .build();
        let regex = regex.map_err(|_| format!("`{written}` is no pattern"))?;
        Ok::<_, String>(Pattern { written, regex })
    };
    let test = match sign {
        "=~" => Test::Like(pattern(value)?),
        "!~" => Test::Unlike(pattern(value)?),
        "!=" => Test::Differs(value),
        _ => Test::Equals(value),
    };
    let label = label.to_owned();
    Ok((Matcher { label, test }, rest))
}

/// Names of metrics may hold colons, names of labels may not.
#[derive(Clone, Copy, PartialEq)]
enum Colons {
    Allowed,
    Forbidden,
}

fn word(text: &str, colons: Colons) -> Option<(&str, &str)> {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_' || (c == ':' && colons == Colons::Allowed);
    let end = text.find(|c: char| !(letter(c) || c.is_ascii_digit()));
    text.starts_with(letter)
        .then(|| text.split_at(end.unwrap_or(text.len())))
}

fn unquoted(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                't' => value.push('\t'),
                c @ ('\\' | '"' | '\'') => value.push(c),
                _ => return None,
            },
            c => value.push(c),
        }
    }
    None
}

impl Serialize for Selector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Selector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
    }

    #[track_caller]
    fn check(text: &str, fitting: &[(&str, &str)], other: &[(&str, &str)]) {
        let selector: Selector = text.parse().unwrap();
        assert!(selector.fits(&labels(fitting)), "{text}");
        assert!(!selector.fits(&labels(other)), "{text}");
        assert_eq!(selector.to_string().parse::<Selector>().unwrap(), selector);
    }

    #[track_caller]
    fn refused(text: &str, why: &str) {
        let said = text.parse::<Selector>().unwrap_err().to_string();
        assert!(said.contains(why), "{said}");
    }

    #[test]
    fn labels_are_matched_as_prometheus_matches_them() {
        check(r#"a{code="500"}"#, &[("code", "500")], &[("code", "5000")]);
        check(r#"a{code=~"5.."}"#, &[("code", "5xx")], &[("code", "1500")]);
        check(r#"a{code!~"2..|3..",m!="GET"}"#, &[("code", "404")], &[("code", "201")]);
        check("a{ code != '' , }", &[("code", "1")], &[]);
        check(r#"a:b{p="\"\\\n"}"#, &[("p", "\"\\\n")], &[]);
    }

    #[test]
    fn what_is_no_selector_is_named() {
        refused("rate(a[5m])", "functions and ranges");
        refused("a[5m]", "functions and ranges");
        refused("a{} offset 5m", "something follows");
        refused(r#"{code="1"}"#, "metric's name");
        refused(r#"a{code="1}"#, "not in quotes");
        refused(r#"a{code=~"("}"#, "no pattern");
        refused(r#"a{code=~"(\\w{900}){900}"}"#, "no pattern");
        refused(&format!("a{{b=\"{}\"}}", "x".repeat(LONGEST)), "longer than");
    }
}
