//! The name of a series: its labels, the metric's name among them as `__name__`. Must never know a sample.

use std::fmt;
use std::sync::Arc;

use serde::ser::SerializeMap;

/// The label that holds the metric's name.
pub const METRIC_NAME: &str = "__name__";

/// Labels sorted by name, without empty values: to Prometheus an empty label is one that is not there.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Labels(Arc<[(Box<str>, Box<str>)]>);

impl Labels {
    /// From pairs in any order; of pairs with one name the last wins.
    pub fn from_pairs<N: Into<Box<str>>, V: Into<Box<str>>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut sorted: std::collections::BTreeMap<Box<str>, Box<str>> = std::collections::BTreeMap::new();
        for (name, value) in pairs {
            sorted.insert(name.into(), value.into());
        }
        sorted.into_iter().filter(|(_, value)| !value.is_empty()).collect()
    }

    /// The value of a label, empty when there is none.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        match self.0.binary_search_by(|(key, _)| (**key).cmp(name)) {
            Ok(found) => &self.0[found].1,
            Err(_) => "",
        }
    }

    /// The metric's name, empty for a computed series.
    #[must_use]
    pub fn metric(&self) -> &str {
        self.get(METRIC_NAME)
    }

    /// Names and values in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Only the labels for which `keep` holds.
    #[must_use]
    pub fn filtered(&self, keep: impl Fn(&str) -> bool) -> Self {
        if self.0.iter().all(|(name, _)| keep(name)) {
            return self.clone();
        }
        self.0.iter().filter(|(name, _)| keep(name)).cloned().collect()
    }

    /// Without the metric's name, as every computed series.
    #[must_use]
    pub fn unnamed(&self) -> Self {
        self.filtered(|name| name != METRIC_NAME)
    }

    /// With one label set, or taken away when `value` is empty.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        Self::from_pairs(self.iter().chain([(name, value)]))
    }
}

impl FromIterator<(Box<str>, Box<str>)> for Labels {
    fn from_iter<I: IntoIterator<Item = (Box<str>, Box<str>)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

/// As Prometheus writes a series: `http_requests_total{code="200"}`.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.metric())?;
        f.write_str("{")?;
        for (n, (name, value)) in self.iter().filter(|(name, _)| *name != METRIC_NAME).enumerate() {
            write!(f, "{}{name}={value:?}", if n > 0 { ", " } else { "" })?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for Labels {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.iter() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}
