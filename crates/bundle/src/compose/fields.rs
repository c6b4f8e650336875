//! Takes typed values out of a mapping and says where a wrong one stands. Must never know what the keys mean.

use serde_json::{Map, Number, Value};

use super::error::ComposeError;

/// A mapping being taken apart. What is left at the end was not understood.
pub(super) struct Fields {
    pub(super) at: String,
    map: Map<String, Value>,
}

impl Fields {
    pub(super) fn of(value: Value, at: &str) -> Result<Self, ComposeError> {
        match value {
            Value::Object(map) => Ok(Self { at: at.to_owned(), map }),
            Value::Null => Ok(Self {
                at: at.to_owned(),
                map: Map::new(),
            }),
            other => Err(ComposeError::invalid(
                at,
                format!("must be a mapping, but is {}", kind(&other)),
            )),
        }
    }

    pub(super) fn path(&self, key: &str) -> String {
        if self.at.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.at)
        }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.map.get(key).is_some_and(|value| !value.is_null())
    }

    /// The value of `key`; a `null` is as good as none.
    pub(super) fn take(&mut self, key: &str) -> Option<Value> {
        self.map.remove(key).filter(|value| !value.is_null())
    }

    pub(super) fn text(&mut self, key: &str) -> Result<Option<String>, ComposeError> {
        let at = self.path(key);
        self.take(key).map(|value| scalar(value, &at)).transpose()
    }

    /// A text, or a list of texts.
    pub(super) fn texts(&mut self, key: &str) -> Result<Vec<String>, ComposeError> {
        let at = self.path(key);
        match self.take(key) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => each(items, &at, scalar),
            Some(value) => Ok(vec![scalar(value, &at)?]),
        }
    }

    /// A list, each element read by `read`.
    pub(super) fn list<T>(
        &mut self,
        key: &str,
        read: impl FnMut(Value, &str) -> Result<T, ComposeError>,
    ) -> Result<Vec<T>, ComposeError> {
        let at = self.path(key);
        match self.take(key) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => each(items, &at, read),
            Some(other) => Err(ComposeError::invalid(
                at,
                format!("must be a list, but is {}", kind(&other)),
            )),
        }
    }

    /// A mapping of names, each value read by `read`.
    pub(super) fn named<T>(
        &mut self,
        key: &str,
        mut read: impl FnMut(String, Value, &str) -> Result<T, ComposeError>,
    ) -> Result<Vec<T>, ComposeError> {
        let at = self.path(key);
        let inner = Self::of(self.take(key).unwrap_or(Value::Null), &at)?;
        inner
            .map
            .into_iter()
            .map(|(name, value)| read(name.clone(), value, &format!("{at}.{name}")))
            .collect()
    }

    /// Paths of the keys that nobody took; extension fields (`x-…`) are left out.
    pub(super) fn rest(self) -> Vec<String> {
        let unknown = self.map.keys().filter(|key| !key.starts_with("x-"));
        unknown.map(|key| self.path(key)).collect()
    }
}

/// A value that stands for one text: YAML makes numbers and booleans of some.
pub(super) fn scalar(value: Value, at: &str) -> Result<String, ComposeError> {
    match value {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number_text(&number)),
        Value::Bool(flag) => Ok(flag.to_string()),
        other => Err(ComposeError::invalid(
            at,
            format!("must be a text, but is {}", kind(&other)),
        )),
    }
}

/// A number as Go prints it, because Compose does: `9.0` and `1e3` are `9` and `1000`, `1e21` is `1e+21`.
pub(super) fn number_text(number: &Number) -> String {
    const WITHOUT_EXPONENT: std::ops::Range<f64> = 1e-4..1e21;
    if number.is_i64() || number.is_u64() {
        return number.to_string();
    }
    let value = number.as_f64().unwrap_or_default();
    if value == 0.0 || WITHOUT_EXPONENT.contains(&value.abs()) {
        return value.to_string();
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    match exponent.strip_prefix('-') {
        Some(exponent) => format!("{digits}e-{exponent:0>2}"),
        None => format!("{digits}e+{exponent:0>2}"),
    }
}

fn each<T>(
    items: Vec<Value>,
    at: &str,
    mut read: impl FnMut(Value, &str) -> Result<T, ComposeError>,
) -> Result<Vec<T>, ComposeError> {
    items
        .into_iter()
        .enumerate()
        .map(|(index, item)| read(item, &format!("{at}[{index}]")))
        .collect()
}

pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "empty",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}
