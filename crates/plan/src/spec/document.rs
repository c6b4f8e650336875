//! Reading a spec: unknown keys are named with the nearest known one, values with the key they stand at.

use serde_json::Value;

use arya_judge::source::pack::MetricEdit;
use arya_judge::source::{Selector, Watched};
use arya_judge::{Direction, MetricKind, Unit};

use super::ranges::short_text;
use super::{
    Analysis, App, Exporter, InFrontOf, Instances, Monitor, ProductionTargets, RefereeImage, Services, Spec, Tags,
    Version, WarmUp,
};
use crate::listener::{ListenerId, Protocol};

/// Why a document is no spec. `field` is the dotted key where there is one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct SpecError {
    pub sentence: String,
    pub field: Option<String>,
    pub next: String,
}

/// A known key counts as meant when it is at most this many edits away.
const NEAR: usize = 4;

impl Spec {
    /// Parses a document. What parses may still be refused by the plan; see [`Spec::problems`].
    pub fn parse(document: &Value) -> Result<Self, SpecError> {
        if !document.is_object() {
            return Err(SpecError {
                sentence: "A spec is a mapping of keys to values; this is something else.".into(),
                field: None,
                next: "Start from the example in the README.".into(),
            });
        }
        unknown_key(document, &known_keys(), "")?;
        serde_path_to_error::deserialize(document).map_err(|error| {
            let path = error.path().to_string();
            let within = (path != ".").then_some(path);
            let why = error.inner().to_string();
            let field = match (within, missing_field(&why)) {
                // A condition is taken in whole before its kind is known, so the path ends there; `value` is a key of one
                // of its values.
                (Some(within), Some(missing)) if missing == "value" => Some(format!("{within}.values")),
                (Some(within), Some(missing)) => Some(format!("{within}.{missing}")),
                (within, missing) => within.or(missing),
            };
            let field = field.map(|field| short_text(&field));
            let why = short_text(&arya_bundle::in_plain_words(&why));
            SpecError {
                sentence: match &field {
                    Some(field) => format!("`{field}` cannot be read: {why}."),
                    None => format!("The spec cannot be read: {why}."),
                },
                field,
                next: "Correct it; docs/spec.md lists every key with its default.".into(),
            }
        })
    }
}

fn missing_field(message: &str) -> Option<String> {
    message
        .strip_prefix("missing field `")
        .and_then(|rest| rest.split('`').next())
        .map(str::to_owned)
}

/// Walks the document beside an example that has every key.
fn unknown_key(document: &Value, known: &Value, at: &str) -> Result<(), SpecError> {
    match (document, known) {
        (Value::Object(given), Value::Object(known)) => {
            for (key, value) in given {
                let path = if at.is_empty() {
                    key.clone()
                } else {
                    format!("{at}.{key}")
                };
                match known.get(key) {
                    Some(inner) => unknown_key(value, inner, &path)?,
                    // Where the example holds a free mapping, any key is fine.
                    None if known.contains_key(ANY_KEY) => {}
                    None => return Err(unknown(key, path, known.keys())),
                }
            }
            Ok(())
        }
        (Value::Array(given), Value::Array(known)) => match known.first() {
            Some(shape) => given
                .iter()
                .enumerate()
                .try_for_each(|(i, v)| unknown_key(v, shape, &format!("{at}[{i}]"))),
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

fn unknown<'k>(key: &str, path: String, known: impl Iterator<Item = &'k String>) -> SpecError {
    // Comparing costs the product of the lengths, and what is so much longer is not near.
    let comparable = known.filter(|candidate| key.len() <= candidate.len() + NEAR);
    let nearest = comparable.min_by_key(|candidate| strsim::damerau_levenshtein(candidate, key));
    let near = nearest.filter(|candidate| strsim::damerau_levenshtein(candidate, key) <= NEAR);
    let path = short_text(&path);
    SpecError {
        sentence: match near {
            Some(near) => format!("The spec has no key `{path}`; the nearest known one is `{near}`."),
            None => format!("The spec has no key `{path}`."),
        },
        field: Some(path),
        next: near.map_or_else(|| "Remove it.".into(), |near| format!("Write `{near}`, or remove it.")),
    }
}

/// Marks a free mapping in the example.
const ANY_KEY: &str = "*";

/// The example as a document.
fn known_keys() -> Value {
    let mut known = serde_json::to_value(full_example()).expect("the example is plain data");
    if let Some(series) = known.pointer_mut("/analysis/metrics/0/series") {
        // Which keys it has depends on what is watched; reading it tells.
        *series = serde_json::json!({ (ANY_KEY): null });
    }
    known
}

/// A spec with every key present, so that the list of known keys cannot drift from the types.
fn full_example() -> Spec {
    let digest: super::Digest = format!("sha256:{}", "0".repeat(64))
        .parse()
        .expect("64 zeros are hexadecimal digits");
    let version = Version {
        image: digest.clone(),
        compose: digest.clone(),
        env_file: Some(digest.clone()),
        env_from: vec!["ssm:/path".into()],
        files: [(ANY_KEY.to_owned(), digest)].into(),
        services: Services::default(),
    };
    Spec {
        name: "example".into(),
        connection: "default".into(),
        listener: ListenerId::new("listener"),
        in_front_of: InFrontOf::Default,
        // Conditions check their own keys, which differ by field.
        conditions: vec![],
        canary_percent: super::default_percent(),
        stickiness_s: 0,
        app: App {
            port: 8080,
            protocol: Protocol::Http,
            health_check_path: "/health".into(),
            warm_up: WarmUp {
                host: Some("emr.example.com".into()),
                ..WarmUp::default()
            },
            version_path: Some("/version".into()),
        },
        baseline: version.clone(),
        canary: version,
        instances: Instances {
            tags: Tags::Named([(ANY_KEY.to_owned(), String::new())].into()),
            ..Instances::default()
        },
        monitor: Monitor {
            // Left out where it is the default.
            referee_image: RefereeImage::Off,
            production_targets: ProductionTargets::Instances,
            ..Monitor::default()
        },
        exporters: vec![Exporter {
            job: "app".into(),
            port: 8080,
            path: "/metrics".into(),
        }],
        analysis: Analysis {
            metrics: vec![metric_example()],
            kayenta_config: Some(serde_json::json!({ (ANY_KEY): null })),
            aa_spell_s: 600.0,
            ..Analysis::default()
        },
        lifetime_h: 4.0,
        acknowledged: vec![],
    }
}

fn metric_example() -> MetricEdit {
    MetricEdit {
        name: "latency".into(),
        off: true,
        critical: Some(true),
        worse: Some(Direction::Up),
        allowed_ratio: Some(1.0),
        effect_gate_ratio: Some(1.0),
        absolute_floor: Some(0.0),
        pass_margin: Some(1.5),
        kind: Some(MetricKind::Gauge),
        unit: Some(Unit::Plain),
        series: Some(Watched::Level(Selector::named("example"))),
    }
}

#[cfg(test)]
mod tests;
