//! How a metric is to be judged, as its configuration has it: kept to the letter, read by [`super::reading`].

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// The entry that the judge reads.
const CANARY: &str = "canary";

/// `analysisConfigurations`: objects by name. Read from JSON only, for it keeps the text.
#[derive(Debug, Clone)]
pub struct AnalysisConfigurations {
    written: Box<RawValue>,
    canary: Option<Value>,
    /// Whole numbers of [`CANARY`] beyond 64 bits, by their path. A [`Value`] has them as doubles, and so they would look
    /// like decimals, which Kayenta takes where it does not take these.
    overlong: BTreeMap<String, String>,
}

impl AnalysisConfigurations {
    pub(super) fn canary(&self) -> Option<&Value> {
        self.canary.as_ref()
    }

    /// The digits of a whole number beyond 64 bits, if one stands at this path below [`CANARY`].
    pub(super) fn overlong(&self, path: &[&str]) -> Option<&str> {
        self.overlong.get(&path.join(".")).map(String::as_str)
    }
}

impl PartialEq for AnalysisConfigurations {
    fn eq(&self, other: &Self) -> bool {
        self.written.get() == other.written.get()
    }
}

impl Serialize for AnalysisConfigurations {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.written.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for AnalysisConfigurations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Box::<RawValue>::deserialize(deserializer)?;
        let parsed = serde_json::from_str(written.get()).map_err(|_| {
            // The text is sound, so only these are left; the reader that goes through it knows no such limits.
            D::Error::custom("`analysisConfigurations` is nested too deep, or has a number beyond all doubles")
        })?;
        let Value::Object(mut entries) = parsed else {
            return Err(no_object("analysisConfigurations", &parsed));
        };
        let is_object = |entry: &Value| matches!(entry, Value::Null | Value::Object(_));
        if let Some((name, entry)) = entries.iter().find(|(_, entry)| !is_object(entry)) {
            return Err(no_object(&format!("analysisConfigurations.{name}"), entry));
        }
        let canary = entries.remove(CANARY);
        let overlong = overlong(written.get());
        Ok(Self {
            written,
            canary,
            overlong,
        })
    }
}

fn no_object<E: serde::de::Error>(place: &str, found: &Value) -> E {
    let found = match found {
        Value::Array(_) => "a list",
        Value::String(_) => "a text",
        Value::Number(_) => "a number",
        Value::Bool(_) => "a truth value",
        Value::Null => "null",
        Value::Object(_) => "an object",
    };
    E::custom(format!("`{place}`: {found} stands where an object is needed"))
}

fn overlong(written: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let Some(canary) = members(written).remove(CANARY) else {
        return found;
    };
    // All numbers that the judge reads stand two levels down, and a list on the way ends the judgement anyway.
    for (section, options) in members(canary.get()) {
        for (option, literal) in members(options.get()) {
            if is_overlong(literal.get()) {
                found.insert(format!("{section}.{option}"), literal.get().to_owned());
            }
        }
    }
    found
}

/// Of what is no object there are none; of two of one name the later counts.
fn members(text: &str) -> BTreeMap<String, &RawValue> {
    serde_json::from_str(text).unwrap_or_default()
}

fn is_overlong(literal: &str) -> bool {
    let digits = literal.strip_prefix('-').unwrap_or(literal);
    let is_whole = digits.bytes().all(|letter| letter.is_ascii_digit());
    is_whole && literal.parse::<i64>().is_err() && literal.parse::<u64>().is_err()
}
