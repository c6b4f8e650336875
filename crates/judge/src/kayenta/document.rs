//! Data from a document. It parses no text itself: the structures are serde's to fill.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

use super::abort::Abort;
use super::judging::MetricPair;
use super::scoring::Thresholds;

/// Some hundred metrics by some ten tags are a large configuration. Without a limit a document of 32 MiB could name two
/// million empty metrics, each of which takes ten times the room that its text does.
const MOST_PAIRS: usize = 10_000;

/// What is to be judged.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(from = "Object<Entries>")]
pub struct DataDocument(Entries);

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Entries {
    #[serde(deserialize_with = "pairs")]
    metrics: Vec<PairDocument>,
    thresholds: Option<Object<ThresholdsDocument>>,
}

impl From<Object<Entries>> for DataDocument {
    fn from(object: Object<Entries>) -> Self {
        Self(object.0)
    }
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct PairDocument {
    name: String,
    id: Option<String>,
    tags: Option<BTreeMap<String, String>>,
    control_values: Option<Vec<Value>>,
    experiment_values: Option<Vec<Value>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
struct ThresholdsDocument {
    pass: Option<f64>,
    marginal: Option<f64>,
}

impl DataDocument {
    /// The thresholds; both are needed.
    pub fn thresholds(&self) -> Result<Thresholds, Abort> {
        let threshold = |which, read: fn(ThresholdsDocument) -> Option<f64>| {
            let given = self.0.thresholds.as_ref();
            given
                .and_then(|given| read(given.0))
                .ok_or(Abort::NoThreshold { which })
        };
        Ok(Thresholds {
            pass: threshold("pass", |thresholds| thresholds.pass)?,
            marginal: threshold("marginal", |thresholds| thresholds.marginal)?,
        })
    }

    /// The values; both sides of each metric are needed.
    pub fn pairs(self) -> Result<Vec<MetricPair>, Abort> {
        self.0.metrics.into_iter().map(PairDocument::pair).collect()
    }
}

impl PairDocument {
    fn pair(self) -> Result<MetricPair, Abort> {
        let missing = |side| Abort::NoValues {
            metric: self.name.clone(),
            side,
        };
        let numbers = |values: Vec<Value>| values.into_iter().map(|value| value.0).collect();
        Ok(MetricPair {
            control: self
                .control_values
                .map(numbers)
                .ok_or_else(|| missing("controlValues"))?,
            experiment: self
                .experiment_values
                .map(numbers)
                .ok_or_else(|| missing("experimentValues"))?,
            id: self.id,
            tags: self.tags.unwrap_or_default(),
            name: self.name,
        })
    }
}

/// A structure that stands as a JSON object: serde would also fill one from a list.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = Object<T>;
            fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
                out.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }
        deserializer.deserialize_map(Fields(PhantomData))
    }
}

/// A measured value: a number, `null` or `"NaN"` for a missing one, or an infinity as text.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Value(f64);

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Numbers;
        impl Visitor<'_> for Numbers {
            type Value = Value;
            fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
                out.write_str("a number, null, \"NaN\", \"Infinity\" or \"-Infinity\"")
            }
            fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
                Ok(Value(number))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
                Ok(Value(number as f64))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
                Ok(Value(number as f64))
            }
            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value(f64::NAN))
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
                match text {
                    "NaN" => Ok(Value(f64::NAN)),
                    "Infinity" => Ok(Value(f64::INFINITY)),
                    "-Infinity" => Ok(Value(f64::NEG_INFINITY)),
                    _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_any(Numbers)
    }
}

/// A list that stops growing at [`MOST_PAIRS`].
fn pairs<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<PairDocument>, D::Error> {
    struct Pairs;
    impl<'de> Visitor<'de> for Pairs {
        type Value = Vec<PairDocument>;
        fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
            out.write_str("a list of metrics")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut pairs = Vec::new();
            while let Some(Object(pair)) = list.next_element()? {
                if pairs.len() == MOST_PAIRS {
                    return Err(A::Error::custom(format!(
                        "there are more than {MOST_PAIRS} metrics; judge them in parts"
                    )));
                }
                pairs.push(pair);
            }
            Ok(pairs)
        }
    }
    deserializer.deserialize_seq(Pairs)
}
