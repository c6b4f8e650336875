//! Reading a spec: unknown keys are named with the nearest known one, values with the key they stand at.

use serde_json::Value;

use super::{Analysis, App, Exporter, InFrontOf, Instances, Monitor, Services, Spec, Version, WarmUp, limits};
use crate::listener::{ListenerId, Protocol, limits as alb};
use crate::problem::Problem;

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
        let known = serde_json::to_value(full_example()).expect("the example is plain data");
        unknown_key(document, &known, "")?;
        serde_path_to_error::deserialize(document).map_err(|error| {
            let path = error.path().to_string();
            let field = (path != ".").then_some(path);
            SpecError {
                sentence: match &field {
                    Some(field) => format!("`{field}` cannot be read: {}.", error.inner()),
                    None => format!("The spec cannot be read: {}.", error.inner()),
                },
                field: field.or_else(|| missing_field(&error.inner().to_string())),
                next: "Correct it; docs/spec.md lists every key with its default.".into(),
            }
        })
    }

    /// Everything about the spec alone that the plan must refuse: ranges, lengths, AWS's limits.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut refuse = |field: &str, sentence: String, next: &str| {
            problems.push(Problem::blocks(format!("spec:{field}"), sentence, next).at(field));
        };
        if !name_is_good(&self.name) {
            refuse(
                "name",
                format!(
                    "The name must have 1 to {} letters, digits, spaces, dots, hyphens or underscores, and begin and end with \
                     a letter or digit.",
                    limits::NAME_LENGTH
                ),
                "Choose another name.",
            );
        }
        if self.app.port == 0 {
            refuse(
                "app.port",
                "The port is 0; ports are 1 to 65535.".into(),
                "Write the port that the compose file publishes.",
            );
        }
        if self.stickiness_s > alb::STICKINESS_MAX_S {
            refuse(
                "stickiness_s",
                format!(
                    "Stickiness is {} s; AWS allows 1 to {} s (a week), 0 = off.",
                    self.stickiness_s,
                    alb::STICKINESS_MAX_S
                ),
                "Choose less; at most the length of the canary makes sense.",
            );
        }
        if !(1..=limits::PER_ARM).contains(&self.instances.per_arm) {
            refuse(
                "instances.per_arm",
                format!(
                    "{} instances per arm were asked; 1 to {} are possible.",
                    self.instances.per_arm,
                    limits::PER_ARM
                ),
                "Choose a number in that range.",
            );
        }
        let (shortest, longest) = (limits::LIFETIME_AT_LEAST_H, f64::from(limits::LIFETIME_H));
        if !(shortest..=longest).contains(&self.lifetime_h) {
            refuse(
                "lifetime_h",
                format!(
                    "The lifetime is out of range: {shortest} h (a few seconds) to {longest} h (seven days) are possible."
                ),
                "Choose a number in that range.",
            );
        }
        if self.app.protocol == Protocol::Grpc {
            refuse(
                "app.protocol",
                "gRPC is not supported yet.".into(),
                "Use http or https.",
            );
        }
        self.warm_up_problems(&mut problems);
        self.analysis_problems(&mut problems);
        self.path_problems(&mut problems);
        self.count_problems(&mut problems);
        problems
    }

    fn analysis_problems(&self, problems: &mut Vec<Problem>) {
        let mut refuse = |field: &str, sentence: String, next: &str| {
            problems.push(Problem::blocks(format!("spec:{field}"), sentence, next).at(field));
        };
        if self.analysis.margin != "default" {
            let sentence = format!(
                "The margin \"{}\" is not known; this version has only `default`.",
                short_text(&self.analysis.margin)
            );
            refuse("analysis.margin", sentence, "Leave it out.");
        }
        if self.analysis.kayenta_config.is_some() {
            let sentence = "This version has no Kayenta-equal judge, so `kayenta_config` cannot be followed.".into();
            refuse("analysis.kayenta_config", sentence, "Leave it out.");
        }
    }

    fn warm_up_problems(&self, problems: &mut Vec<Problem>) {
        let warm_up = &self.app.warm_up;
        let mut refuse = |field: &str, sentence: &str, next: &str| {
            problems.push(Problem::blocks(format!("spec:{field}"), sentence, next).at(field));
        };
        if warm_up.in_a_row == 0 {
            refuse(
                "app.warm_up.in_a_row",
                "Warm-up asks for 0 answers in a row.",
                "Ask for at least 1; leave `paths` empty for no warm-up.",
            );
        }
        if warm_up.under_ms == 0 {
            refuse(
                "app.warm_up.under_ms",
                "No answer can come within 0 ms.",
                "Allow at least 1 ms.",
            );
        }
        let visible = |host: &String| !host.is_empty() && host.bytes().all(|b| b.is_ascii_graphic());
        if warm_up.host.as_ref().is_some_and(|host| !visible(host)) {
            refuse(
                "app.warm_up.host",
                "The Host header must be a name without spaces or control characters.",
                "Correct it.",
            );
        }
    }

    fn path_problems(&self, problems: &mut Vec<Problem>) {
        let app = &self.app;
        let paths = std::iter::once(("app.health_check_path", &app.health_check_path))
            .chain(app.version_path.iter().map(|p| ("app.version_path", p)))
            .chain(app.warm_up.paths.iter().map(|p| ("app.warm_up.paths", p)))
            .chain(self.exporters.iter().map(|e| ("exporters.path", &e.path)));
        for (field, path) in paths {
            let visible = path.bytes().all(|b| b.is_ascii_graphic());
            if !path.starts_with('/') || path.len() > limits::HEALTH_PATH_LENGTH || !visible {
                let sentence = format!(
                    "The path \"{path}\" must start with / and have at most {} visible characters.",
                    limits::HEALTH_PATH_LENGTH
                );
                problems.push(Problem::blocks(format!("spec:{field}"), sentence, "Correct the path.").at(field));
            }
        }
    }

    fn count_problems(&self, problems: &mut Vec<Problem>) {
        let mut at_most = |field: &str, count: usize, limit: usize| {
            if count > limit {
                let sentence = format!("`{field}` has {count} entries; at most {limit} are possible.");
                problems.push(Problem::blocks(format!("spec:{field}"), sentence, "Use fewer.").at(field));
            }
        };
        at_most("app.warm_up.paths", self.app.warm_up.paths.len(), limits::WARM_UP_PATHS);
        at_most(
            "app.warm_up.in_a_row",
            self.app.warm_up.in_a_row as usize,
            limits::WARM_UP_IN_A_ROW as usize,
        );
        at_most("exporters", self.exporters.len(), limits::EXPORTERS);
        at_most("acknowledged", self.acknowledged.len(), limits::ACKNOWLEDGED);
    }
}

fn name_is_good(name: &str) -> bool {
    let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ');
    let edges = [name.chars().next(), name.chars().last()];
    name.chars().count() <= limits::NAME_LENGTH
        && name.chars().all(inside)
        && edges.iter().all(|edge| edge.is_some_and(|c| c.is_ascii_alphanumeric()))
}

/// The beginning of what somebody wrote, for a sentence.
fn short_text(text: &str) -> String {
    text.chars().take(40).collect()
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
    let nearest = known.min_by_key(|candidate| strsim::damerau_levenshtein(candidate, key));
    let near = nearest.filter(|candidate| strsim::damerau_levenshtein(candidate, key) <= NEAR);
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
            tags: [(ANY_KEY.to_owned(), String::new())].into(),
            ..Instances::default()
        },
        monitor: Monitor::default(),
        exporters: vec![Exporter {
            job: "app".into(),
            port: 8080,
            path: "/metrics".into(),
        }],
        analysis: Analysis {
            kayenta_config: Some(serde_json::json!({ (ANY_KEY): null })),
            ..Analysis::default()
        },
        lifetime_h: 4.0,
        acknowledged: vec![],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn minimal() -> Value {
        let digest = format!("sha256:{}", "a".repeat(64));
        json!({
            "name": "emr-1.1", "listener": "web",
            "app": {"port": 8080, "health_check_path": "/health"},
            "baseline": {"image": digest, "compose": digest},
            "canary": {"image": digest, "compose": digest},
        })
    }

    #[test]
    fn the_smallest_spec_takes_the_documented_defaults() {
        let spec = Spec::parse(&minimal()).unwrap();
        assert_eq!(spec.canary_percent.percent(), 5.0);
        assert_eq!(spec.in_front_of, InFrontOf::Default);
        assert_eq!(
            (spec.stickiness_s, spec.instances.per_arm, spec.lifetime_h),
            (0, 1, 4.0)
        );
        assert_eq!(spec.problems(), []);
    }

    #[test]
    fn a_spec_written_out_reads_back_the_same() {
        let spec = full_example();
        assert_eq!(Spec::parse(&serde_json::to_value(&spec).unwrap()), Ok(spec));
    }

    #[test]
    fn what_cannot_be_read_is_named_with_its_key() {
        let check = |pointer: &str, key: &str, value: Value, field: &str, words: &str| {
            let mut document = minimal();
            document.pointer_mut(pointer).unwrap()[key] = value;
            let error = Spec::parse(&document).unwrap_err();
            assert_eq!(error.field.as_deref(), Some(field), "{error:?}");
            assert!(error.sentence.contains(words), "{error:?}");
        };
        check("", "canary_percnt", json!(5), "canary_percnt", "`canary_percent`");
        check("", "canary_percent", json!(51), "canary_percent", "0.001 to 50");
        check("", "canary_percent", json!("five"), "canary_percent", "cannot be read");
        check(
            "/app",
            "helth_check_path",
            json!("/"),
            "app.helth_check_path",
            "`health_check_path`",
        );
        check("/app", "port", json!(70000), "app.port", "70000");
        check(
            "/canary",
            "image",
            json!("sha256:12"),
            "canary.image",
            "64 lower-case hexadecimal",
        );
        check(
            "",
            "conditions",
            json!([{"field": "cookie", "values": []}]),
            "conditions[0].field",
            "cookie",
        );
        check("", "name", Value::Null, "name", "null");
    }

    #[test]
    fn a_missing_key_is_named() {
        let mut document = minimal();
        document.as_object_mut().unwrap().remove("listener");
        let error = Spec::parse(&document).unwrap_err();
        assert_eq!(error.field.as_deref(), Some("listener"));
    }

    #[test]
    fn free_mappings_take_any_key() {
        let mut document = minimal();
        document["instances"] = json!({"tags": {"Team": "blue"}});
        document["canary"]["files"] = json!({"/etc/app.conf": format!("sha256:{}", "b".repeat(64))});
        assert!(Spec::parse(&document).is_ok());
    }

    #[test]
    fn ranges_are_checked_with_field_value_and_limit() {
        let check = |pointer: &str, key: &str, value: Value, field: &str| {
            let mut document = minimal();
            if pointer == "/instances" {
                document["instances"] = json!({});
            }
            document.pointer_mut(pointer).unwrap()[key] = value;
            let problems = Spec::parse(&document).unwrap().problems();
            assert!(
                problems.iter().any(|p| p.field.as_deref() == Some(field)),
                "{field}: {problems:?}"
            );
        };
        check("", "name", json!(""), "name");
        check("", "name", json!("a/b"), "name");
        check("", "name", json!(" "), "name");
        check("", "name", json!("-rf"), "name");
        check("", "lifetime_h", json!(1e-9), "lifetime_h");
        check("", "analysis", json!({"margin": "banana"}), "analysis.margin");
        check(
            "",
            "analysis",
            json!({"kayenta_config": "sha256:0"}),
            "analysis.kayenta_config",
        );
        check("/app", "warm_up", json!({"under_ms": 0}), "app.warm_up.under_ms");
        check("/app", "warm_up", json!({"in_a_row": 0}), "app.warm_up.in_a_row");
        check("/app", "warm_up", json!({"host": "a\r\nX: b"}), "app.warm_up.host");
        check("", "stickiness_s", json!(604_801), "stickiness_s");
        check("", "lifetime_h", json!(0), "lifetime_h");
        check("", "lifetime_h", json!(169), "lifetime_h");
        check("/app", "port", json!(0), "app.port");
        check("/app", "health_check_path", json!("health"), "app.health_check_path");
        check("/instances", "per_arm", json!(0), "instances.per_arm");
    }
}
