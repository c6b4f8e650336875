//! JSON and YAML text as a document, read so that it can mean one thing only: a key that stands twice is named and
//! refused, and what a number cannot be is none.

use std::cell::RefCell;
use std::fmt;

use axum::http::StatusCode;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::problem::Problem;

/// Nodes of a YAML text once its aliases are replaced. The largest spec, with a Kayenta configuration of some hundred
/// metrics, has some ten thousand; a bomb has as many as it likes.
const YAML_NODES: usize = 100_000;
/// Mappings and lists within one another. A spec has five; a Kayenta configuration some ten.
const YAML_DEPTH: usize = 64;
/// Bytes of all texts, aliases replaced.
const YAML_TEXT: usize = 8 * super::input::BODY_LIMIT;
/// Keys and sentences of others are cut to this many characters.
const SHOWN: usize = 200;

/// JSON text as a document.
pub(crate) fn json(body: &[u8]) -> Result<Value, Unreadable> {
    let place = RefCell::new(Place::default());
    let mut reader = serde_json::Deserializer::from_slice(body);
    let read = Unique(&place).deserialize(&mut reader);
    let read = read.and_then(|value| reader.end().map(|()| value));
    read.map_err(|error| Unreadable {
        what: "JSON",
        sentence: parsers(&error.to_string()),
        doubled: place.into_inner().doubled,
    })
}

/// YAML text as a document.
pub(crate) fn yaml(body: &[u8]) -> Result<Value, Unreadable> {
    let unreadable = |what, sentence: &str| Unreadable {
        what,
        sentence: parsers(sentence),
        doubled: None,
    };
    let text = std::str::from_utf8(body).map_err(|error| unreadable("text in UTF-8", &error.to_string()))?;
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_nodes: YAML_NODES,
            max_events: 4 * YAML_NODES,
            max_depth: YAML_DEPTH,
            flow_nesting_limit: YAML_DEPTH,
            max_documents: 1,
            max_total_scalar_bytes: YAML_TEXT,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: YAML_NODES },
        // `yes` and `on` are texts in YAML 1.2, and a spec has no key that is true or false.
        strict_booleans: true,
        with_snippet: false,
    };
    let place = RefCell::new(Place::default());
    let read = serde_saphyr::with_deserializer_from_str_with_options(text, options, |reader| {
        Unique(&place).deserialize(reader)
    });
    read.map_err(|error| {
        let error = error.without_snippet();
        let doubled = match error {
            // Noticed before the visitor sees the key.
            serde_saphyr::Error::DuplicateMappingKey { key, .. } => {
                let mut place = place.into_inner();
                place.path.extend(key.clone());
                Some(place.dotted())
            }
            _ => place.into_inner().doubled,
        };
        // Parsers draw the place in several lines; the first says it.
        let sentence = error.to_string();
        Unreadable {
            doubled,
            ..unreadable("YAML", sentence.lines().next().unwrap_or_default())
        }
    })
}

/// A text that is no document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unreadable {
    /// What it is not.
    what: &'static str,
    sentence: String,
    /// The dotted key that stands twice.
    doubled: Option<String>,
}

impl Unreadable {
    /// As an answer; `whose` is what was read, e.g. `spec`.
    pub(crate) fn problem(self, status: StatusCode, whose: &str) -> Problem {
        let Self {
            what,
            sentence,
            doubled,
        } = self;
        let Some(key) = doubled else {
            let sentence = sentence.trim_end_matches('.');
            let detail = format!("The {whose} is not {what}: {sentence}. Nothing was changed.");
            let next = "Correct it at the place named, or start from the example in the README.";
            return Problem::new(status, "malformed", detail).next(next);
        };
        let detail = format!("The {whose} has the key `{key}` twice. Nothing was changed.");
        let next = "Leave one of the two away: readers differ in which one they follow.";
        Problem::new(status, "malformed", detail).at(key).next(next)
    }
}

/// The beginning of a text, so that an answer stays readable whatever was sent.
pub(crate) fn cut(text: &str) -> String {
    arya_bundle::beginning(text, SHOWN)
}

/// A limit of bytes in words, exactly.
pub(crate) fn limit(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["bytes", "KiB", "MiB", "GiB"];
    let mut units = UNITS.into_iter();
    let (mut count, mut unit) = (bytes, units.next().unwrap_or_default());
    while let Some(next) = units.next().filter(|_| count >= 1024 && count.is_multiple_of(1024)) {
        (count, unit) = (count / 1024, next);
    }
    format!("{count} {unit}")
}

/// What a parser said, for people.
pub(super) fn parsers(said: &str) -> String {
    cut(&arya_bundle::in_plain_words(said))
}

/// Where the reader is.
#[derive(Debug, Default)]
struct Place {
    path: Vec<String>,
    doubled: Option<String>,
}

impl Place {
    fn dotted(&self) -> String {
        let mut text = String::new();
        for part in &self.path {
            if !text.is_empty() && !part.starts_with('[') {
                text.push('.');
            }
            text.push_str(part);
        }
        cut(&text)
    }
}

/// A value whose mappings have every key once.
#[derive(Clone, Copy)]
struct Unique<'p>(&'p RefCell<Place>);

impl<'de> DeserializeSeed<'de> for Unique<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value).map(Value::Number);
        number.ok_or_else(|| E::custom("a number must be finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        loop {
            self.0.borrow_mut().path.push(format!("[{}]", values.len()));
            let next = list.next_element_seed(self)?;
            self.0.borrow_mut().path.pop();
            match next {
                Some(value) => values.push(value),
                None => return Ok(Value::Array(values)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut mapping: A) -> Result<Value, A::Error> {
        let mut values = Map::new();
        while let Some(key) = mapping.next_key::<String>()? {
            self.0.borrow_mut().path.push(key.clone());
            if values.contains_key(&key) {
                let mut place = self.0.borrow_mut();
                place.doubled = Some(place.dotted());
                return Err(A::Error::custom("a key stands twice"));
            }
            values.insert(key, mapping.next_value_seed(self)?);
            self.0.borrow_mut().path.pop();
        }
        Ok(Value::Object(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    type Reader = fn(&[u8]) -> Result<Value, Unreadable>;

    fn good(read: Reader, text: &str, expected: &Value) {
        assert_eq!(&read(text.as_bytes()).unwrap(), expected, "{text}");
    }

    /// What is said, and the key if one is at fault.
    fn bad(read: Reader, text: impl AsRef<[u8]>, field: Option<&str>, words: &str) {
        let problem = read(text.as_ref())
            .unwrap_err()
            .problem(StatusCode::BAD_REQUEST, "body");
        assert_eq!(problem.field.as_deref(), field, "{problem:?}");
        assert!(problem.detail.contains(words), "{problem:?}");
        assert!(problem.detail.len() < 500, "{problem:?}");
    }

    #[test]
    fn both_read_what_is_meant() {
        let document = json!({"a": [1, -2, 0.5, null, "x", {}], "b": {"c": true}});
        good(json, &document.to_string(), &document);
        good(yaml, &document.to_string(), &document);
        good(yaml, "a: [1, -2, 0.5, null, x, {}]\nb:\n  c: true\n", &document);
        good(json, " 18446744073709551615 ", &json!(u64::MAX));
        good(yaml, "a: no\nb: 0o17\nd: '5'", &json!({"a": "no", "b": 15, "d": "5"}));
    }

    #[test]
    fn a_key_that_stands_twice_is_named() {
        bad(json, r#"{"a":1,"a":1}"#, Some("a"), "`a` twice");
        bad(
            yaml,
            "expected u8: 1\nexpected u8: 2\n",
            Some("expected u8"),
            "`expected u8` twice",
        );
        bad(
            json,
            r#"{"a":{"b":[{},{"c":1,"d":2,"c":3}]}}"#,
            Some("a.b[1].c"),
            "`a.b[1].c` twice",
        );
        bad(json, r#"{"a":1,"\u0061":2}"#, Some("a"), "twice");
        bad(yaml, "a: 1\nb: 2\na: 3\n", Some("a"), "`a` twice");
        bad(yaml, "a:\n  b: 1\n  'b': 2\n", Some("a.b"), "twice");
        good(json, r#"{"a":{"b":1},"b":{"a":1}}"#, &json!({"a":{"b":1},"b":{"a":1}}));
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in [
            r#"{"a":NaN}"#,
            r#"{"a":Infinity}"#,
            r#"{"a":1e999}"#,
            r#"{"a":01}"#,
            r#"{"a":0x10}"#,
        ] {
            bad(json, text, None, "not JSON");
        }
        for text in ["a: .nan", "a: .inf", "a: -.INF", "a: 1e999"] {
            bad(yaml, text, None, "not YAML");
        }
    }

    #[test]
    fn depth_and_length_have_limits() {
        bad(json, "[".repeat(100_000), None, "recursion limit");
        bad(json, r#"{"a":"#.repeat(100_000), None, "recursion limit");
        bad(yaml, "[".repeat(100_000), None, "not YAML");
        let deep: String = (0..200).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
        bad(yaml, deep, None, "not YAML");
        bad(json, format!("{{\"{}\":", "k".repeat(1 << 20)), None, "not JSON");
        let twice = format!("{{\"{0}\":1,\"{0}\":1}}", "k".repeat(1 << 19));
        assert!(
            json(twice.as_bytes())
                .unwrap_err()
                .problem(StatusCode::BAD_REQUEST, "body")
                .detail
                .len()
                < 500
        );
    }

    #[test]
    fn aliases_are_followed_but_do_not_explode() {
        good(yaml, "a: &x [1]\nb: *x\n", &json!({"a": [1], "b": [1]}));
        good(
            yaml,
            "base: &x {p: 1, q: 2}\nb:\n  <<: *x\n  q: 3\n",
            &json!({"base": {"p": 1, "q": 2}, "b": {"q": 3, "p": 1}}),
        );
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let inner = format!("*a{}", level - 1);
            bomb += &format!("a{level}: &a{level} [{}]\n", [inner.as_str(); 10].join(", "));
        }
        bad(yaml, &bomb, None, "not YAML");
        let text = "y".repeat(100_000);
        let long = format!("a: &a {text}\nb: [{}]\n", ["*a"; 1000].join(", "));
        bad(yaml, &long, None, "not YAML");
        bad(yaml, "a: &a [*a]\n", None, "not YAML");
    }

    #[test]
    fn limits_are_said_exactly() {
        let said = [1, 1_000, 1 << 20, 4 << 20, 20 << 30, 2048 << 30].map(limit);
        assert_eq!(said, ["1 bytes", "1000 bytes", "1 MiB", "4 MiB", "20 GiB", "2048 GiB"]);
    }

    #[test]
    fn other_texts_are_said_to_be_none() {
        bad(json, "", None, "not JSON");
        bad(json, r#"{"a":1} {"b":2}"#, None, "trailing");
        bad(json, "\u{feff}{}", None, "not JSON");
        bad(json, b"{\"a\":\"\xff\"}", None, "not JSON");
        bad(yaml, b"a: \xff", None, "UTF-8");
        bad(yaml, b"\xff\xfea\0:\0", None, "UTF-8");
        bad(yaml, "a: 1\n---\nb: 2\n", None, "not YAML");
        bad(yaml, "a: [1,\n b: {", None, "not YAML");
        bad(yaml, "a: \0", None, "not YAML");
        bad(yaml, "\ta: 1\n  b: 2", None, "not YAML");
    }

    proptest::proptest! {
        #[test]
        fn no_text_brings_the_readers_down(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
            for read in [json as Reader, yaml as Reader] {
                if let Err(unreadable) = read(&bytes) {
                    let problem = unreadable.problem(StatusCode::BAD_REQUEST, "body");
                    proptest::prop_assert!(problem.detail.len() < 1500);
                }
            }
        }

        #[test]
        fn what_is_written_is_read(text in "[ -~]{0,6}([\\[\\]{}:,\"'&*<! \n#|>-][a-z0-9.]{0,3}){0,40}") {
            if let Ok(document) = yaml(text.as_bytes()) {
                proptest::prop_assert_eq!(json(document.to_string().as_bytes()), Ok(document));
            }
        }
    }
}
