//! The form of a new canary and the spec are the same document: an input's name is the spec's key, dotted. What the form
//! does not show of a pasted file is kept beside it and handed on.

use std::collections::{BTreeMap, BTreeSet};

use arya_plan::spec::{Digest, SAME_AS_PRODUCTION};
use serde_json::{Map, Value, json};

use crate::api::input::shown;
use crate::api::text::json as read_json;

/// Rows beyond this in a posted form are not read; AWS allows five values in a rule.
const ROWS_MAX: usize = 16;

/// A rule as something to choose. The connection that a spec means where it names none goes without saying.
pub(crate) fn choice(listener: &str, rule: &str, connection: &str) -> String {
    match connection {
        "" | "default" => format!("{listener} {rule}"),
        named => format!("{listener} {rule} {named}"),
    }
}

/// What an input holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    /// Separated by commas.
    List,
    /// The same, or the word for *as production has it*.
    SameOrList,
    /// Names with values, `team=blue`, separated by commas, or that word.
    SameOrPairs,
}

/// A key of the spec that the form shows as one input.
struct Key {
    name: &'static str,
    kind: Kind,
    /// What is said when it is empty although the spec needs it.
    needed: Option<&'static str>,
}

const fn key(name: &'static str, kind: Kind, needed: Option<&'static str>) -> Key {
    Key { name, kind, needed }
}

const KEYS: [Key; 32] = [
    key("name", Kind::Text, Some("Give it a name, e.g. emr-1.1.")),
    key("connection", Kind::Text, None),
    key("listener", Kind::Text, Some("Choose a rule to stand in front of.")),
    key("in_front_of", Kind::Text, None),
    key("canary_percent", Kind::Number, None),
    key("stickiness_s", Kind::Number, None),
    key(
        "app.port",
        Kind::Number,
        Some("Write the port that the compose file publishes."),
    ),
    key("app.protocol", Kind::Text, None),
    key(
        "app.health_check_path",
        Kind::Text,
        Some("Write a path that answers 200 when the app is well, e.g. /health."),
    ),
    key("app.version_path", Kind::Text, None),
    key("app.warm_up.paths", Kind::List, None),
    key("app.warm_up.host", Kind::Text, None),
    key("app.warm_up.in_a_row", Kind::Number, None),
    key("app.warm_up.under_ms", Kind::Number, None),
    key(
        "baseline.image",
        Kind::Text,
        Some("Hand over the image archive of today's version."),
    ),
    key(
        "baseline.compose",
        Kind::Text,
        Some("Hand over the compose file of today's version."),
    ),
    key(
        "canary.image",
        Kind::Text,
        Some("Hand over the image archive of the new version."),
    ),
    key(
        "canary.compose",
        Kind::Text,
        Some("Hand over the compose file of the new version."),
    ),
    key("analysis.on_harmful", Kind::Text, None),
    key("analysis.aa_spell_s", Kind::Number, None),
    key("lifetime_h", Kind::Number, None),
    key("instances.per_arm", Kind::Number, None),
    key("instances.type", Kind::Text, None),
    key("instances.subnets", Kind::SameOrList, None),
    key("instances.security_groups", Kind::SameOrList, None),
    key("instances.profile", Kind::Text, None),
    key("instances.key_pair", Kind::Text, None),
    key("instances.ami", Kind::Text, None),
    key("instances.tags", Kind::SameOrPairs, None),
    key("monitor.type", Kind::Text, None),
    key("monitor.reach", Kind::Text, None),
    key("monitor.allow_cidrs", Kind::List, None),
];

/// A condition as the form has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ConditionRow {
    pub(crate) field: String,
    /// The header's name, for `http-header`.
    pub(crate) name: String,
    /// Separated by commas.
    pub(crate) values: String,
}

/// A metrics endpoint as the form has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ExporterRow {
    pub(crate) job: String,
    pub(crate) port: String,
    pub(crate) path: String,
}

/// Sentences by the key they are about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Problems(BTreeMap<String, String>);

impl Problems {
    pub(crate) fn say(&mut self, field: impl Into<String>, sentence: impl Into<String>) {
        self.0.entry(field.into()).or_insert_with(|| sentence.into());
    }

    pub(crate) fn of(&self, field: &str) -> Option<&str> {
        self.0.get(field).map(String::as_str)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those whose key has no place of its own on the page.
    pub(crate) fn homeless(&self, shown: &[&str]) -> Vec<&str> {
        self.0
            .iter()
            .filter(|(field, _)| !shown.contains(&field.as_str()))
            .map(|(_, text)| text.as_str())
            .collect()
    }
}

/// The form as it was filled in, right or wrong.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct NewForm {
    values: BTreeMap<&'static str, String>,
    pub(crate) conditions: Vec<ConditionRow>,
    pub(crate) exporters: Vec<ExporterRow>,
    pub(crate) acknowledged: Vec<String>,
    /// `off`, `on`, or nothing while it is not answered.
    pub(crate) sticky: String,
    /// The digest of the plan that was shown.
    pub(crate) plan_digest: String,
    /// A pasted file.
    pub(crate) yaml: String,
    /// Which button was pressed.
    pub(crate) action: String,
    /// Keys of a pasted file that the form has no input for.
    rest: Map<String, Value>,
    /// What cannot be followed in what was posted: a field that stands twice, or one that the form itself had filled in
    /// and that was changed.
    unclear: Vec<(String, &'static str)>,
}

/// Fields that a form has as often as it has rows.
const MANY: [&str; 7] = [
    "acknowledged",
    "condition_field",
    "condition_name",
    "condition_values",
    "exporter_job",
    "exporter_port",
    "exporter_path",
];

impl NewForm {
    /// An empty form with the defaults that the spec itself has.
    pub(crate) fn empty() -> Self {
        let mut form = Self::default();
        for (name, value) in [
            ("canary_percent", "5"),
            ("app.protocol", "http"),
            ("app.warm_up.paths", "/"),
            ("app.warm_up.in_a_row", "5"),
            ("app.warm_up.under_ms", "1000"),
            ("analysis.on_harmful", "remove_traffic"),
            ("lifetime_h", "4"),
            ("instances.per_arm", "1"),
        ] {
            form.values.insert(name, value.into());
        }
        form
    }

    /// The value of an input; empty when there is none.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }

    /// The files that the form names; what is no digest is said elsewhere.
    pub(crate) fn digests(&self) -> Vec<Digest> {
        let keys = ["baseline.image", "baseline.compose", "canary.image", "canary.compose"];
        keys.into_iter().filter_map(|key| self.get(key).parse().ok()).collect()
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        if let Some(key) = KEYS.iter().find(|key| key.name == name) {
            self.values.insert(key.name, value.into());
        }
    }

    /// The chosen rule as the radio buttons name it.
    pub(crate) fn chosen(&self) -> String {
        choice(self.get("listener"), self.get("in_front_of"), self.get("connection"))
    }

    /// The keys of a pasted file that the form has no input for, as text.
    pub(crate) fn rest(&self) -> String {
        if self.rest.is_empty() {
            String::new()
        } else {
            Value::Object(self.rest.clone()).to_string()
        }
    }

    /// Reads what a browser posted. Nothing is refused here; what is wrong is said by [`NewForm::document`].
    pub(crate) fn posted(pairs: Vec<(String, String)>) -> Self {
        let mut form = Self::default();
        let mut rows: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for (name, value) in pairs {
            if !MANY.contains(&name.as_str()) && !seen.insert(name.clone()) {
                let sentence = "The form says this twice. Nothing was changed; send it once.";
                form.unclear.push((name, sentence));
                continue;
            }
            match name.as_str() {
                "chosen" => {
                    // Ids have no spaces; a connection's name may.
                    let mut parts = value.splitn(3, ' ');
                    form.set("listener", parts.next().unwrap_or_default());
                    form.set("in_front_of", parts.next().unwrap_or("default"));
                    form.set("connection", parts.next().unwrap_or_default());
                }
                "sticky" => form.sticky = value,
                "acknowledged" => form.acknowledged.push(value),
                "plan_digest" => form.plan_digest = value,
                "yaml" => form.yaml = value,
                "action" => form.action = value,
                "rest" => form.take_rest(&value),
                "condition_field" => rows.entry("cf").or_default().push(value),
                "condition_name" => rows.entry("cn").or_default().push(value),
                "condition_values" => rows.entry("cv").or_default().push(value),
                "exporter_job" => rows.entry("ej").or_default().push(value),
                "exporter_port" => rows.entry("ep").or_default().push(value),
                "exporter_path" => rows.entry("ea").or_default().push(value),
                name => form.set(name, value.trim()),
            }
        }
        let cell = |column: &str, row: usize| {
            rows.get(column)
                .and_then(|cells| cells.get(row))
                .map_or_else(String::new, |cell| cell.trim().to_owned())
        };
        let count = |column: &str| rows.get(column).map_or(0, Vec::len).min(ROWS_MAX);
        form.conditions = (0..count("cf"))
            .map(|row| ConditionRow {
                field: cell("cf", row),
                name: cell("cn", row),
                values: cell("cv", row),
            })
            .filter(|row| !row.values.is_empty() || !row.name.is_empty())
            .collect();
        form.exporters = (0..count("ej"))
            .map(|row| ExporterRow {
                job: cell("ej", row),
                port: cell("ep", row),
                path: cell("ea", row),
            })
            .filter(|row| !row.job.is_empty() || !row.port.is_empty())
            .collect();
        form
    }

    fn take_rest(&mut self, posted: &str) {
        match read_json(posted.as_bytes()) {
            _ if posted.is_empty() => {}
            Ok(Value::Object(rest)) => self.rest = rest,
            Ok(_) | Err(_) => self.unclear.push((
                "rest".into(),
                "What the form kept of the pasted file came back as something else. Paste the file again.",
            )),
        }
    }

    /// The spec's document, and what is wrong with the form by key.
    pub(crate) fn document(&self) -> (Value, Problems) {
        let mut problems = Problems::default();
        for (field, sentence) in &self.unclear {
            problems.say(shown(field), *sentence);
        }
        let mut document = Value::Object(self.rest.clone());
        for key in &KEYS {
            let text = self.get(key.name);
            if text.is_empty() {
                if let Some(needed) = key.needed {
                    problems.say(key.name, needed);
                }
                continue;
            }
            if let Some(value) = value_of(key, text, &mut problems) {
                put(&mut document, key.name, value);
            }
        }
        self.sticky_into(&mut document, &mut problems);
        if !self.conditions.is_empty() {
            put(
                &mut document,
                "conditions",
                self.conditions.iter().map(condition).collect(),
            );
        }
        if !self.exporters.is_empty() {
            let rows = self.exporters.iter().map(|row| exporter(row, &mut problems)).collect();
            put(&mut document, "exporters", rows);
        }
        if !self.acknowledged.is_empty() {
            put(&mut document, "acknowledged", json!(self.acknowledged));
        }
        (document, problems)
    }

    /// The problems without those of fields that are merely not filled in yet.
    pub(crate) fn without_missing(&self, problems: Problems) -> Problems {
        let empty = |field: &str| match field {
            "stickiness_s" => self.sticky.is_empty(),
            _ => KEYS.iter().any(|key| key.name == field && key.needed.is_some()) && self.get(field).is_empty(),
        };
        Problems(problems.0.into_iter().filter(|(field, _)| !empty(field)).collect())
    }

    fn sticky_into(&self, document: &mut Value, problems: &mut Problems) {
        match self.sticky.as_str() {
            "off" => put(document, "stickiness_s", json!(0)),
            "on" if matches!(self.get("stickiness_s"), "" | "0") => {
                problems.say(
                    "stickiness_s",
                    "Write for how many seconds a client stays with its version.",
                );
            }
            "on" => {}
            _ => problems.say(
                "stickiness_s",
                "Answer this one: there is no default, because either answer changes what users see.",
            ),
        }
    }

    /// Fills the form from a spec's document.
    pub(crate) fn of_document(document: &Value) -> Self {
        let mut form = Self::empty();
        let mut rest = document.clone();
        for key in &KEYS {
            let Some(value) = take(&mut rest, key.name) else {
                continue;
            };
            let text = match (key.kind, &value) {
                (Kind::SameOrPairs, Value::Object(tags)) => text_of_pairs(tags),
                _ => text_of(&value),
            };
            if key.kind == Kind::SameOrPairs && pairs(&text).as_ref() != Some(&value) {
                // What the input could not say again is kept as it is.
                put(&mut rest, key.name, value);
            } else {
                form.values.insert(key.name, text);
            }
        }
        if !form.get("listener").is_empty() && form.get("in_front_of").is_empty() {
            form.set("in_front_of", "default");
        }
        form.sticky = match form.get("stickiness_s") {
            "" => "",
            "0" => "off",
            _ => "on",
        }
        .into();
        let mut rows = |name: &str| match take(&mut rest, name) {
            Some(Value::Array(rows)) => rows.into_iter().take(ROWS_MAX).collect(),
            Some(_) | None => Vec::new(),
        };
        form.conditions = rows("conditions").iter().map(condition_row).collect();
        form.exporters = rows("exporters").iter().map(exporter_row).collect();
        form.acknowledged = rows("acknowledged").iter().map(text_of).collect();
        form.rest = rest.as_object().cloned().unwrap_or_default();
        form
    }
}

fn value_of(key: &Key, text: &str, problems: &mut Problems) -> Option<Value> {
    match key.kind {
        Kind::Text => Some(json!(text)),
        Kind::SameOrList if text == SAME_AS_PRODUCTION => Some(json!(text)),
        Kind::List | Kind::SameOrList => Some(json!(split(text))),
        Kind::SameOrPairs => {
            let read = pairs(text);
            if read.is_none() {
                problems.say(
                    key.name,
                    "Write them as name=value, separated by commas; each name once.",
                );
            }
            read
        }
        Kind::Number => {
            let number = number(text);
            if number.is_none() {
                problems.say(key.name, format!("“{text}” is not a number."));
            }
            number
        }
    }
}

/// A number as JSON has it; whole numbers stay whole, which ports and counts need.
fn number(text: &str) -> Option<Value> {
    let text = text.trim().replace(',', ".");
    if let Ok(whole) = text.parse::<i64>() {
        return Some(json!(whole));
    }
    text.parse::<f64>()
        .ok()
        .filter(|number| number.is_finite())
        .map(|number| json!(number))
}

/// Names with values, or the word for production's; `None` where it is neither.
fn pairs(text: &str) -> Option<Value> {
    if text == SAME_AS_PRODUCTION {
        return Some(json!(text));
    }
    let mut pairs = Map::new();
    for part in split(text) {
        let (name, value) = part.split_once('=')?;
        if pairs.insert(name.trim().to_owned(), json!(value.trim())).is_some() {
            return None;
        }
    }
    Some(Value::Object(pairs))
}

fn text_of_pairs(pairs: &Map<String, Value>) -> String {
    let pair = |(name, value): (&String, &Value)| format!("{name}={}", text_of(value));
    pairs.iter().map(pair).collect::<Vec<_>>().join(", ")
}

fn split(text: &str) -> Vec<&str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect()
}

fn condition(row: &ConditionRow) -> Value {
    let values = split(&row.values);
    let query = |text: &&str| match text.split_once('=') {
        Some((key, value)) => json!({ "key": key, "value": value }),
        None => json!({ "value": text }),
    };
    match row.field.as_str() {
        "http-header" => json!({ "field": row.field, "name": row.name, "values": values }),
        "query-string" => json!({ "field": row.field, "values": values.iter().map(query).collect::<Vec<_>>() }),
        _ => json!({ "field": row.field, "values": values }),
    }
}

fn condition_row(value: &Value) -> ConditionRow {
    let text = |key: &str| value.get(key).map(text_of).unwrap_or_default();
    let one = |value: &Value| match (value.get("key"), value.get("value")) {
        (Some(key), Some(value)) => format!("{}={}", text_of(key), text_of(value)),
        (None, Some(value)) => text_of(value),
        (_, None) => text_of(value),
    };
    let values = value
        .get("values")
        .and_then(Value::as_array)
        .map(|values| values.iter().map(one).collect::<Vec<_>>());
    ConditionRow {
        field: text("field"),
        name: text("name"),
        values: values.unwrap_or_default().join(", "),
    }
}

fn exporter(row: &ExporterRow, problems: &mut Problems) -> Value {
    let port = number(&row.port).unwrap_or_else(|| {
        problems.say(
            "exporters",
            format!("The port “{}” of an exporter is not a number.", row.port),
        );
        json!(0)
    });
    let path = if row.path.is_empty() { "/metrics" } else { &row.path };
    json!({ "job": row.job, "port": port, "path": path })
}

fn exporter_row(value: &Value) -> ExporterRow {
    let text = |key: &str| value.get(key).map(text_of).unwrap_or_default();
    ExporterRow {
        job: text("job"),
        port: text("port"),
        path: text("path"),
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(text_of).collect::<Vec<_>>().join(", "),
        Value::Null => String::new(),
        // 20.0 is written 20.
        Value::Number(number) => number
            .as_f64()
            .map_or_else(|| number.to_string(), |number| number.to_string()),
        Value::Bool(_) | Value::Object(_) => value.to_string(),
    }
}

/// Sets a dotted key. What stands in the way of it is replaced.
fn put(document: &mut Value, name: &str, value: Value) {
    let mut place = document;
    for part in name.split('.') {
        if !place.is_object() {
            *place = json!({});
        }
        place = place
            .as_object_mut()
            .expect("it was just made an object")
            .entry(part)
            .or_insert(Value::Null);
    }
    *place = value;
}

/// Takes a dotted key out; an object that is empty then goes too.
fn take(document: &mut Value, name: &str) -> Option<Value> {
    let object = document.as_object_mut()?;
    let Some((head, tail)) = name.split_once('.') else {
        return object.remove(name);
    };
    let taken = take(object.get_mut(head)?, tail);
    if object.get(head).and_then(Value::as_object).is_some_and(Map::is_empty) {
        object.remove(head);
    }
    taken
}

#[cfg(test)]
mod tests;
