//! What a document must say to be a spec, and what is said when it does not.

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
    let spell = "analysis.aa_spell_s";
    check("", "analysis", json!({"aa_spell_s": -1}), spell);
    check("", "analysis", json!({"aa_spell_s": 14_401}), spell);
    check("/app", "port", json!(0), "app.port");
    check("/app", "health_check_path", json!("health"), "app.health_check_path");
    check("/instances", "per_arm", json!(0), "instances.per_arm");
}

/// What people and machines write where something else belongs.
fn odd_values() -> Vec<Value> {
    let long = "x".repeat(100_000);
    let digest = format!("sha256:{}", "a".repeat(64));
    vec![
        Value::Null,
        json!(true),
        json!(0),
        json!(-1),
        json!(0.5),
        json!(1e300),
        json!(-1e300),
        json!(65_536),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(""),
        json!(" "),
        json!("5"),
        json!("yes"),
        json!("default"),
        json!("/a path"),
        json!("line\nbreak\u{0}"),
        json!("€𝄞\u{202e}"),
        json!(long),
        json!(digest),
        json!([]),
        json!([[]]),
        json!(["a", 1, null, {}]),
        json!(vec![Value::Null; 1000]),
        json!(vec!["a"; 1000]),
        json!({}),
        json!({"": 1}),
        json!({"a": {"b": {"c": []}}}),
        json!({long: "a"}),
    ]
}

/// Every place of a document that has all keys, as a JSON pointer and as a dotted key.
fn places(value: &Value, pointer: &str, dotted: &str, all: &mut Vec<(String, String)>) {
    let mut go = |key: &str, dotted: String, value: &Value| {
        let pointer = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
        all.push((pointer.clone(), dotted.clone()));
        places(value, &pointer, &dotted, all);
    };
    match value {
        Value::Object(keys) => {
            for (key, value) in keys {
                let dotted = if dotted.is_empty() {
                    key.clone()
                } else {
                    format!("{dotted}.{key}")
                };
                go(key, dotted, value);
            }
        }
        Value::Array(list) => {
            for (place, value) in list.iter().enumerate() {
                go(&place.to_string(), format!("{dotted}[{place}]"), value);
            }
        }
        _ => {}
    }
}

fn whole() -> Value {
    let mut document = serde_json::to_value(full_example()).unwrap();
    document["conditions"] = json!([
        {"field": "path-pattern", "values": ["/a"]},
        {"field": "http-header", "name": "x", "values": ["y"]},
        {"field": "query-string", "values": [{"key": "a", "value": "b"}]},
        {"field": "source-ip", "values": ["10.0.0.0/8"]},
    ]);
    document["monitor"]["allow_cidrs"] = json!(["10.0.0.0/8"]);
    document["acknowledged"] = json!(["volume:x"]);
    document["canary"]["services"] = json!({"run": ["web"], "skip": ["worker"]});
    document["canary"]["files"] = json!({"/etc/app": format!("sha256:{}", "b".repeat(64))});
    document
}

/// Whether what is said is about this key, one that it stands in, or one that stands in it.
fn is_about(said: &str, key: &str) -> bool {
    let within = |inner: &str, outer: &str| {
        inner
            .strip_prefix(outer)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    within(said, key) || within(key, said)
}

/// A refusal names the key and stays short; what is taken reads back as the same.
fn answers_well(document: &Value, key: &str) {
    match Spec::parse(document) {
        Err(error) => {
            let field = error.field.clone().unwrap_or_default();
            assert!(is_about(&field, key), "{key}: {error:?}");
            assert!(
                error.sentence.contains('`') && error.sentence.len() < 800,
                "{key}: {error:?}"
            );
            assert!(!error.next.is_empty() && error.next.len() < 300, "{key}: {error:?}");
        }
        Ok(spec) => {
            for problem in spec.problems() {
                assert!(problem.field.is_some(), "{problem:?}");
                assert!(
                    problem.sentence.len() < 800 && problem.name.len() < 300,
                    "{key}: {problem:?}"
                );
            }
            assert_eq!(Spec::parse(&serde_json::to_value(&spec).unwrap()), Ok(spec), "{key}");
        }
    }
}

#[test]
fn every_key_wrong_in_every_way_is_named() {
    let document = whole();
    let mut all = Vec::new();
    places(&document, "", "", &mut all);
    assert!(all.len() > 60, "{}", all.len());
    for (pointer, key) in &all {
        for value in odd_values() {
            let mut changed = document.clone();
            *changed.pointer_mut(pointer).unwrap() = value;
            answers_well(&changed, key);
        }
        let (parent, last) = pointer.rsplit_once('/').unwrap();
        let mut changed = document.clone();
        if let Some(Value::Object(keys)) = changed.pointer_mut(parent) {
            keys.remove(&last.replace("~1", "/"));
            answers_well(&changed, key);
        }
    }
}

#[test]
fn a_key_beside_any_other_is_unknown_and_named() {
    let document = whole();
    let mut all = vec![(String::new(), String::new())];
    places(&document, "", "", &mut all);
    for (pointer, key) in &all {
        let free = [
            "instances.tags",
            "analysis.kayenta_config",
            "canary.files",
            "baseline.files",
        ];
        let mut changed = document.clone();
        let Some(Value::Object(keys)) = changed.pointer_mut(pointer) else {
            continue;
        };
        if free.contains(&key.as_str()) {
            continue;
        }
        keys.insert("surprise".into(), json!(1));
        let error = Spec::parse(&changed).unwrap_err();
        let named = if key.is_empty() {
            "surprise".to_owned()
        } else {
            format!("{key}.surprise")
        };
        // The words of a condition are checked by its own type, which knows its place in the list.
        let field = error.field.unwrap();
        assert!(
            // What series a metric is made of is one of several shapes; that none fits is said of the whole.
            field == named
                || key.starts_with("conditions") && is_about(&field, key)
                || key.ends_with(".series") && field == *key,
            "{field} for {named}"
        );
    }
}

#[test]
fn no_text_and_no_list_is_long() {
    let check = |pointer: &str, value: Value, field: &str| {
        let mut document = whole();
        *document.pointer_mut(pointer).unwrap() = value;
        let problems = Spec::parse(&document).unwrap().problems();
        assert!(
            problems.iter().any(|p| p.field.as_deref() == Some(field)),
            "{field}: {problems:?}"
        );
    };
    let digest = format!("sha256:{}", "c".repeat(64));
    let files = |count: usize| (0..count).map(|n| (format!("/{n}"), json!(digest))).collect();
    check("/listener", json!("x".repeat(2000)), "listener");
    check("/instances/key_pair", json!("x".repeat(2000)), "instances.key_pair");
    check("/canary/env_from", json!(vec!["ssm:/a"; 100]), "canary.env_from");
    check("/canary/files", Value::Object(files(100)), "canary.files");
    check("/instances/subnets", json!(vec!["subnet-1"; 100]), "instances.subnets");
    check(
        "/exporters",
        json!(vec![json!({"job": "a", "port": 1}); 100]),
        "exporters",
    );
}

proptest::proptest! {
    #[test]
    fn no_document_brings_the_reader_down(text in "\\PC{0,200}", cut in 0_usize..4000, with in "[\\x00-\\x7f]{0,8}") {
        let mut json = whole().to_string();
        let at = (0..=cut.min(json.len())).rev().find(|at| json.is_char_boundary(*at)).unwrap_or(0);
        json.insert_str(at, &with);
        for text in [text, json] {
            if let Ok(document) = serde_json::from_str::<Value>(&text)
                && let Ok(spec) = Spec::parse(&document)
            {
                let _ = spec.problems();
            }
        }
    }
}
