//! Specs as JSON documents: what is refused names a key in a short sentence, what is taken reads back as the same.
//!
//! The first byte chooses how the rest is read: as a whole document, or as a JSON pointer and a value, with a zero byte
//! between them, that go into a document with every key.

use arya_plan::spec::Spec;
use serde_json::{Value, json};

use crate::bundle::check_message;

const WHOLE: u8 = 1;

pub(crate) fn run(bytes: &[u8]) {
    let Some((mode, rest)) = bytes.split_first() else {
        return;
    };
    let document = if mode & WHOLE != 0 {
        serde_json::from_slice(rest).ok()
    } else {
        patched(rest)
    };
    if let Some(document) = document {
        check(&document);
    }
}

fn patched(bytes: &[u8]) -> Option<Value> {
    let at = bytes.iter().position(|&byte| byte == 0)?;
    let pointer = std::str::from_utf8(&bytes[..at]).ok()?;
    let value = serde_json::from_slice(&bytes[at + 1..]).ok()?;
    let mut document = whole();
    match document.pointer_mut(pointer) {
        Some(place) => *place = value,
        // A key that is not there yet stands beside those that are.
        None => {
            let (parent, key) = pointer.rsplit_once('/')?;
            document
                .pointer_mut(parent)?
                .as_object_mut()?
                .insert(key.to_owned(), value);
        }
    }
    Some(document)
}

fn check(document: &Value) {
    let spec = match Spec::parse(document) {
        Ok(spec) => spec,
        Err(error) => {
            check_message(&error.sentence);
            assert!(
                !document.is_object() || error.field.is_some(),
                "no key is named: {error:?}"
            );
            return assert!(!error.next.is_empty());
        }
    };
    for problem in spec.problems() {
        check_message(&problem.sentence);
        assert!(problem.field.is_some() && problem.name.len() < 300, "{problem:?}");
    }
    let written = serde_json::to_value(&spec).expect("a spec is plain data");
    assert_eq!(Spec::parse(&written), Ok(spec));
}

/// A document with every key.
fn whole() -> Value {
    let digest = format!("sha256:{}", "a".repeat(64));
    let version = json!({
        "image": digest, "compose": digest, "env_file": digest, "env_from": ["ssm:/a"], "files": {"/etc/a": digest},
        "services": {"run": ["web"], "skip": ["worker"]},
    });
    json!({
        "name": "emr-1.1", "connection": "default", "listener": "local:web", "in_front_of": "default",
        "conditions": [
            {"field": "path-pattern", "values": ["/api/*"]},
            {"field": "http-header", "name": "x", "values": ["y"]},
            {"field": "query-string", "values": [{"key": "a", "value": "b"}]},
            {"field": "source-ip", "values": ["10.0.0.0/8"]},
        ],
        "canary_percent": 5, "stickiness_s": 0,
        "app": {
            "port": 8080, "protocol": "http", "health_check_path": "/health", "version_path": "/version",
            "warm_up": {"paths": ["/"], "host": "emr.example.com", "in_a_row": 5, "under_ms": 100},
        },
        "baseline": version, "canary": version,
        "instances": {
            "type": "t3.large", "per_arm": 1, "profile": "none", "security_groups": ["sg-1"], "subnets": "same_as_production",
            "ami": "default", "tags": {"Team": "blue"}, "key_pair": "none", "http_proxy": "none",
        },
        "monitor": {"type": "t3.medium", "reach": "vpc", "allow_cidrs": ["10.0.0.0/8"], "image_prefix": "none"},
        "exporters": [{"job": "app", "port": 8080, "path": "/metrics"}],
        "analysis": {"margin": "default", "on_harmful": "alert"},
        "lifetime_h": 4, "acknowledged": ["volume:pgdata"],
    })
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let whole = [&[WHOLE], whole().to_string().as_bytes()].concat();
    let patches = [
        ("/name", "\"\""),
        ("/canary_percent", "50.0001"),
        ("/app/port", "70000"),
        (
            "/conditions/0",
            "{\"field\":\"host-header\",\"values\":[\"a.example\"]}",
        ),
        ("/conditions/0/values", "[\"*\",\"?\"]"),
        ("/canary/files/~1x", "1"),
        ("/instances/security_groups", "[[]]"),
        ("/analysis/kayenta_config", "{\"a\":{}}"),
        ("/monitor/allow_cidrs/0", "\"::/0\""),
        ("/surprise", "null"),
    ];
    let patched = patches.map(|(pointer, value)| [&[0], pointer.as_bytes(), &[0], value.as_bytes()].concat());
    [vec![whole], patched.to_vec()].concat()
}
