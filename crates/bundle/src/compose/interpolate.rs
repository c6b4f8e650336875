//! Fills `${NAME}` in values as Docker Compose does, and notes the names that have no value.
//! Must never know YAML, read this process's environment, or repeat a value in an error: values may be secret.

use std::collections::BTreeMap;

use serde_json::Value;

use super::error::ComposeError;

/// Defaults within defaults. People write two.
const NESTING: usize = 16;

/// Different variables without a value. The largest files in use have some fifty.
const VARIABLES: usize = 1000;

/// Paths of the places where they are used, in bytes all together.
const PLACES_BYTES: usize = 1024 * 1024;

/// A variable that the file uses and nothing gives a value: Compose would ask the environment or `.env` for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    pub name: String,
    /// Where it is used, such as `services.web.image`; at least one place.
    pub used_at: Vec<String>,
    /// The message of `${NAME:?message}`: without a value Compose refuses the file. Otherwise it takes an empty text.
    pub required: Option<String>,
}

pub(super) struct Interpolation<'a> {
    given: &'a BTreeMap<String, String>,
    missing: BTreeMap<String, Variable>,
    /// Bytes of the paths in `missing`.
    places: usize,
    /// Bytes that texts may still have: a short name may stand for a long value, many times.
    left: usize,
}

impl<'a> Interpolation<'a> {
    /// `bytes` bounds all texts together after their variables are filled in.
    pub(super) fn new(given: &'a BTreeMap<String, String>, bytes: usize) -> Self {
        Self {
            given,
            missing: BTreeMap::new(),
            places: 0,
            left: bytes,
        }
    }

    /// Names without a value, in alphabetical order.
    pub(super) fn missing(self) -> Vec<Variable> {
        self.missing.into_values().collect()
    }

    /// Replaces every text below `value`; keys stay as they are, and so do extension fields.
    pub(super) fn tree(&mut self, value: &mut Value, at: &str) -> Result<(), ComposeError> {
        match value {
            Value::String(text) if text.contains('$') => {
                *text = self.text(text, at)?;
                self.left -= text.len();
                Ok(())
            }
            Value::Array(items) => items
                .iter_mut()
                .enumerate()
                .try_for_each(|(index, item)| self.tree(item, &format!("{at}[{index}]"))),
            Value::Object(map) => {
                map.iter_mut()
                    .filter(|(key, _)| !key.starts_with("x-"))
                    .try_for_each(|(key, item)| {
                        self.tree(
                            item,
                            &if at.is_empty() {
                                key.clone()
                            } else {
                                format!("{at}.{key}")
                            },
                        )
                    })
            }
            Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
        }
    }

    fn text(&mut self, text: &str, at: &str) -> Result<String, ComposeError> {
        self.expand(text, at, NESTING)
    }

    fn expand(&mut self, text: &str, at: &str, nesting: usize) -> Result<String, ComposeError> {
        if nesting == 0 {
            return Err(ComposeError::invalid(
                at,
                format!("nests variables deeper than {NESTING}"),
            ));
        }
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(dollar) = rest.find('$') {
            out.push_str(&rest[..dollar]);
            self.check_size(&out, at)?;
            rest = &rest[dollar + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                out.push('$');
                rest = after;
            } else if let Some(inside) = rest.strip_prefix('{') {
                let Some(end) = closing_brace(inside) else {
                    return Err(ComposeError::invalid(at, "has a `${` without `}`"));
                };
                out.push_str(&self.braced(&inside[..end], at, nesting)?);
                rest = &inside[end + 1..];
            } else {
                let length = name_length(rest);
                if length == 0 {
                    return Err(ComposeError::invalid(
                        at,
                        "has a lone `$`; write `$$` for the character",
                    ));
                }
                out.push_str(&self.value(&rest[..length], None, at)?);
                rest = &rest[length..];
            }
        }
        out.push_str(rest);
        self.check_size(&out, at)?;
        Ok(out)
    }

    fn check_size(&self, text: &str, at: &str) -> Result<(), ComposeError> {
        if text.len() > self.left {
            return Err(ComposeError::invalid(
                at,
                "grows too long when its variables are filled in",
            ));
        }
        Ok(())
    }

    /// The inside of `${…}`: a name, or a name with an operator and a text that may hold variables itself.
    fn braced(&mut self, inside: &str, at: &str, nesting: usize) -> Result<String, ComposeError> {
        let (name, rest) = inside.split_at(name_length(inside));
        if name.is_empty() {
            return Err(ComposeError::invalid(at, "has no variable name in `${…}`"));
        }
        let set = self.given.get(name).cloned();
        let filled = set.clone().filter(|value| !value.is_empty());
        let (present, operator, operand) = match rest.strip_prefix(':') {
            Some(rest) => (filled, rest.chars().next(), rest.get(1..)),
            None => (set, rest.chars().next(), rest.get(1..)),
        };
        let operand = operand.unwrap_or_default();
        match (operator, present) {
            (None, _) if rest.is_empty() => self.value(name, None, at),
            (Some('-' | '?'), Some(value)) => Ok(value),
            (Some('-'), None) => self.expand(operand, at, nesting - 1),
            (Some('?'), None) => {
                let message = self.expand(operand, at, nesting - 1)?;
                self.value(name, Some(message), at)
            }
            (Some('+'), Some(_)) => self.expand(operand, at, nesting - 1),
            (Some('+'), None) => Ok(String::new()),
            _ => Err(ComposeError::invalid(
                at,
                format!("has an unknown operator after `${{{name}`"),
            )),
        }
    }

    fn value(&mut self, name: &str, required: Option<String>, at: &str) -> Result<String, ComposeError> {
        // A given value stands even if empty, except where the file requires a filled one.
        match self.given.get(name) {
            Some(value) if required.is_none() || !value.is_empty() => Ok(value.clone()),
            _ => {
                self.places += at.len();
                if self.places > PLACES_BYTES || self.missing.len() >= VARIABLES {
                    return Err(ComposeError::invalid(
                        at,
                        "is one of too many places that need variables",
                    ));
                }
                let new = || Variable {
                    name: name.to_owned(),
                    used_at: Vec::new(),
                    required: None,
                };
                let variable = self.missing.entry(name.to_owned()).or_insert_with(new);
                if variable.used_at.last().is_none_or(|last| last != at) {
                    variable.used_at.push(at.to_owned());
                }
                variable.required = variable.required.take().or(required);
                Ok(String::new())
            }
        }
    }
}

fn name_length(text: &str) -> usize {
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if starts {
        text.find(|c| !is_part(c)).unwrap_or(text.len())
    } else {
        0
    }
}

/// Where the brace that is open at the start closes; `${` within opens another, `$$` is no opening.
fn closing_brace(text: &str) -> Option<usize> {
    let mut open = 1_usize;
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], bytes.get(at + 1)) {
            (b'$', Some(b'{')) => {
                open += 1;
                at += 1;
            }
            (b'$', Some(b'$')) => at += 1,
            (b'}', _) => {
                open -= 1;
                if open == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str) -> Result<(String, Vec<Variable>), ComposeError> {
        let given = [("SET", "value"), ("EMPTY", "")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into();
        let mut interpolation = Interpolation::new(&given, 10_000);
        let out = interpolation.text(text, "here")?;
        Ok((out, interpolation.missing()))
    }

    fn check(text: &str, expected: &str, missing: &[&str]) {
        let (out, unset) = run(text).unwrap();
        assert_eq!(out, expected, "{text}");
        assert_eq!(
            unset.iter().map(|v| v.name.as_str()).collect::<Vec<_>>(),
            missing,
            "{text}"
        );
    }

    #[test]
    fn given_values_are_filled_in() {
        check("a $SET b ${SET} c", "a value b value c", &[]);
        check("${EMPTY}", "", &[]);
    }

    #[test]
    fn defaults_stand_in_for_what_is_missing() {
        check("${TAG:-1.1}", "1.1", &[]);
        check("${EMPTY:-d}-${EMPTY-d}", "d-", &[]);
        check("${A:-${B:-deep}}", "deep", &[]);
        check("${A:-http://x:80/${SET}}", "http://x:80/value", &[]);
        check("${A:-}", "", &[]);
    }

    #[test]
    fn names_without_a_value_are_reported_once() {
        check("$NO ${NO} ${OTHER}", "  ", &["NO", "OTHER"]);
    }

    #[test]
    fn a_doubled_dollar_is_the_character() {
        check("$$HOME $${X} 5$$", "$HOME ${X} 5$", &[]);
    }

    #[test]
    fn alternatives_need_a_value() {
        check("${SET:+yes}${NO:+yes}${EMPTY+yes}${EMPTY:+no}", "yesyes", &[]);
    }

    #[test]
    fn a_required_variable_keeps_its_message() {
        let (_, missing) = run("${DB:?set DB}").unwrap();
        assert_eq!(missing[0].required.as_deref(), Some("set DB"));
        check("${SET:?no}", "value", &[]);
    }

    #[test]
    fn broken_syntax_is_an_error() {
        for text in [
            "${", "${A", "$", "a $ b", "${}", "${A!b}", "${1A}", "${A:}", "$é", "${A:é}", "${Aé}",
        ] {
            assert!(run(text).is_err(), "{text}");
            assert!(
                !run(&format!("hunter2{text}"))
                    .unwrap_err()
                    .to_string()
                    .contains("hunter2"),
                "{text}"
            );
        }
        assert!(run(&format!("{}x{}", "${A:-".repeat(40), "}".repeat(40))).is_err());
    }
}
