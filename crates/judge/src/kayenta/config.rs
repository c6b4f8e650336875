//! Kayenta's canary configuration. What it does not know it keeps and writes back, and what the judge never reads
//! (queries, templates, time stamps) is carried along as it came.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

pub use super::analysis::AnalysisConfigurations;

/// What to judge and how to weigh it. Nothing is required on reading; see [`super::validation`] for what is checked
/// when a configuration is stored or run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub struct CanaryConfig {
    /// Given by the store.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// See [`super::validation::check_stored`] for its letters.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// For people.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Written by user interfaces, read by nobody.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub config_version: Option<String>,
    /// Who uses it; `ad-hoc` by convention when nobody in particular does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applications: Option<Vec<String>>,
    /// Which judge; the only one here when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge: Option<JudgeChoice>,
    /// In the order of the report.
    #[serde(default, deserialize_with = "list")]
    pub metrics: Vec<CanaryMetric>,
    /// Filters by name, for queries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub templates: Option<BTreeMap<String, String>>,
    /// Weights of groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classifier: Option<ClassifierConfig>,
    /// Everything else, as it came.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// Which judge is asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub struct JudgeChoice {
    /// Empty or missing stands for the only judge there is.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Everything else, as it came; this judge reads none of it.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// One metric.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub struct CanaryMetric {
    /// Joins the metric with its data.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What a metrics service is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<Query>,
    /// The groups it counts in: twice if named twice, in none if empty. Missing, it ends the judgement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<String>>,
    /// The judge reads the entry `canary`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis_configurations: Option<AnalysisConfigurations>,
    /// Which of an execution's scopes it belongs to.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub scope_name: Option<String>,
    /// Everything else, as it came.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// Weights of groups.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub struct ClassifierConfig {
    /// Percent by group; a group without a weight gets its share of what is left of 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_weights: Option<GroupWeights>,
    /// Everything else, as it came: among it `scoreThresholds`, which Kayenta never uses.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// Weights in the order in which they were written, because sums of doubles depend on it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GroupWeights(pub Vec<(String, Option<f64>)>);

impl<'de> Deserialize<'de> for GroupWeights {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = GroupWeights;
            fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
                out.write_str("an object of group names and weights")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<GroupWeights, A::Error> {
                let mut weights: Vec<(String, Option<f64>)> = Vec::new();
                let mut place_of: BTreeMap<String, usize> = BTreeMap::new();
                while let Some((group, weight)) = map.next_entry::<String, Option<f64>>()? {
                    // Of two entries of one name the later counts, as everywhere in JSON objects.
                    match place_of.get(&group) {
                        Some(&place) => weights[place].1 = weight,
                        None => {
                            place_of.insert(group.clone(), weights.len());
                            weights.push((group, weight));
                        }
                    }
                }
                Ok(GroupWeights(weights))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

impl Serialize for GroupWeights {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (group, weight) in &self.0 {
            map.serialize_entry(group, weight)?;
        }
        map.end()
    }
}

/// Where a metric comes from. A name that is none of these is an error of the whole configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryType {
    /// `prometheus`
    Prometheus,
    /// `stackdriver`
    Stackdriver,
    /// `atlas`
    Atlas,
    /// `datadog`
    Datadog,
    /// `graphite`
    Graphite,
    /// `influxdb`
    Influxdb,
    /// `newrelic`
    Newrelic,
    /// `signalfx`
    Signalfx,
    /// `wavefront`
    Wavefront,
}

impl QueryType {
    /// All that Kayenta knows.
    pub const ALL: [Self; 9] = [
        Self::Prometheus,
        Self::Stackdriver,
        Self::Atlas,
        Self::Datadog,
        Self::Graphite,
        Self::Influxdb,
        Self::Newrelic,
        Self::Signalfx,
        Self::Wavefront,
    ];

    /// As it stands in `query.type`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prometheus => "prometheus",
            Self::Stackdriver => "stackdriver",
            Self::Atlas => "atlas",
            Self::Datadog => "datadog",
            Self::Graphite => "graphite",
            Self::Influxdb => "influxdb",
            Self::Newrelic => "newrelic",
            Self::Signalfx => "signalfx",
            Self::Wavefront => "wavefront",
        }
    }
}

/// A query: its type, and its fields exactly as they came, since what they mean is the metrics service's business.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// Whose query it is.
    pub of: QueryType,
    /// Everything but `type`.
    pub fields: Map<String, Value>,
}

impl<'de> Deserialize<'de> for Query {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut fields = Map::deserialize(deserializer)?;
        let written = match fields.remove("type") {
            Some(Value::String(name)) => name,
            Some(_) => return Err(D::Error::custom("the query's `type` is no text")),
            None => return Err(D::Error::custom("the query has no `type`")),
        };
        let known = QueryType::ALL.into_iter().find(|one| one.name() == written);
        let of = known.ok_or_else(|| {
            let names = QueryType::ALL.map(QueryType::name).join(", ");
            D::Error::custom(format!("`{written}` is no query type; those known are {names}"))
        })?;
        Ok(Self { of, fields })
    }
}

impl Serialize for Query {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1 + self.fields.len()))?;
        map.serialize_entry("type", self.of.name())?;
        for (name, value) in &self.fields {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// A text, for which Kayenta also takes a number or a truth value.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        Value::Bool(truth) => Ok(Some(truth.to_string())),
        Value::Number(number) => Ok(Some(number.to_string())),
        Value::Array(_) => Err(D::Error::custom("a list stands where a text is needed")),
        Value::Object(_) => Err(D::Error::custom("an object stands where a text is needed")),
    }
}

/// A list, for which `null` stands as the empty one.
fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<CanaryMetric>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
