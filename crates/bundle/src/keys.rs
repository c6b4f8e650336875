//! Refuses JSON keys that differ from a known one in case alone, or that come twice. Go, in which Docker is written, takes
//! `config` for `Config` and the last of both; a reader that is strict would see another image than the one that runs.
//! Must never know what the keys mean.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize as _;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The keys of an object that are read, and those below each. A list has the keys of its elements.
pub(crate) struct Keys(pub(crate) &'static [(&'static str, &'static Keys)]);

impl Keys {
    /// Below are names that somebody chose, or no object at all.
    pub(crate) const NONE: Keys = Keys(&[]);

    /// The known key that this one is, or that Go would take it for.
    fn like(&self, key: &str) -> Option<&'static (&'static str, &'static Keys)> {
        self.0.iter().find(|(known, _)| is_like(known, key))
    }
}

/// The document is well-formed and no key of it can be mistaken.
pub(crate) fn check(json: &[u8], keys: &'static Keys) -> Result<(), serde_json::Error> {
    let mut document = serde_json::Deserializer::from_slice(json);
    Below(keys).deserialize(&mut document)?;
    document.end()
}

/// Whether Go folds both to the same: ASCII letters, and the two letters beyond that fold to one.
fn is_like(known: &str, key: &str) -> bool {
    let fold = |c: char| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        c => c.to_ascii_lowercase(),
    };
    known.chars().map(fold).eq(key.chars().map(fold))
}

#[derive(Clone, Copy)]
struct Below(&'static Keys);

impl<'de> DeserializeSeed<'de> for Below {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.0.0.is_empty() {
            IgnoredAny::deserialize(deserializer).map(|_| ())
        } else {
            deserializer.deserialize_any(self)
        }
    }
}

impl<'de> Visitor<'de> for Below {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = BTreeSet::new();
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            let Some((known, below)) = self.0.like(&key) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if *known != key {
                return Err(A::Error::custom(format_args!(
                    "the key `{key}` could be taken for `{known}`"
                )));
            }
            if !seen.insert(*known) {
                return Err(A::Error::custom(format_args!("the key `{known}` is there twice")));
            }
            map.next_value_seed(Below(below))?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: Keys = Keys(&[("Config", &Keys::NONE), ("inner", &Keys(&[("Task", &Keys::NONE)]))]);

    #[track_caller]
    fn refused(json: &str, word: &str) {
        let text = check(json.as_bytes(), &KEYS).expect_err("must be refused").to_string();
        assert!(text.contains(word), "{text}");
    }

    #[test]
    fn keys_that_go_would_take_for_another_are_refused() {
        refused(r#"{"Config": 1, "config": 2}"#, "`config` could be taken for `Config`");
        refused(r#"{"config": 2}"#, "could be taken");
        refused(r#"[{"inner": [{"TASK": 1}]}]"#, "could be taken for `Task`");
        refused("{\"inner\": {\"ta\u{17f}k\": 1}}", "could be taken");
        refused("{\"inner\": {\"Tas\u{212a}\": 1}}", "could be taken");
        refused(r#"{"Config": 1, "Config": 1}"#, "twice");
        refused(r#"{"Config": 1} x"#, "trailing");
    }

    #[test]
    fn names_that_somebody_chose_are_free() {
        for json in [
            r#"{"Config": {"config": 1, "CONFIG": 2}}"#,
            r#"{"Task": 1, "task": 2, "inner": null, "x": [true, -1, 1.5, "a"]}"#,
            "[]",
            "3",
        ] {
            assert!(check(json.as_bytes(), &KEYS).is_ok(), "{json}");
        }
    }
}
