//! The documents under `docs/api/`: one real answer per call. `ARYA_BLESS=1` writes them anew; otherwise every answer
//! must have the same keys and types as its document.

use std::path::PathBuf;

use regex::Regex;
use serde_json::Value;

/// Checks or rewrites the example of that name.
pub(crate) fn example(name: &str, fresh: &Value) {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/api")).join(format!("{name}.json"));
    if std::env::var_os("ARYA_BLESS").is_some() {
        let text = stable(&serde_json::to_string_pretty(fresh).unwrap());
        std::fs::write(&path, text + "\n").unwrap();
        return;
    }
    let known: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    same_shape(name, &known, fresh);
}

/// What differs from run to run is written as the same in every run.
fn stable(text: &str) -> String {
    let replaced = [
        (
            r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
            "3b241101-e2bb-4255-8caf-4136c566a962",
        ),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "2026-01-01T12:00:00Z"),
        (r"\d\d:\d\d:\d\d UTC", "12:00:00 UTC"),
        (r"127\.0\.0\.1:\d+", "127.0.0.1:8000"),
        (r#""port": \d{5}"#, r#""port": 8000"#),
        (r"arya-[a-z2-7]{10}", "arya-abcdefghij"),
        (
            r"[0-9a-f]{64}",
            "5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9",
        ),
        (r"file [0-9a-f]{12}", "file 5feceb66ffc8"),
        (r"\bi-[0-9a-f]{8,}", "i-0123456789abcdef0"),
    ];
    replaced.iter().fold(text.to_owned(), |text, (pattern, with)| {
        Regex::new(pattern).unwrap().replace_all(&text, *with).into_owned()
    })
}

/// The same keys and types. Null stands for any type; events differ in what they carry.
fn same_shape(place: &str, known: &Value, fresh: &Value) {
    match (known, fresh) {
        (Value::Null, _) | (_, Value::Null) => {}
        (Value::Object(known), Value::Object(fresh)) => {
            for (key, value) in known {
                let found = fresh.get(key).unwrap_or_else(|| panic!("{place}: `{key}` is missing"));
                if key != "event" {
                    same_shape(&format!("{place}.{key}"), value, found);
                }
            }
            let new = fresh.keys().find(|key| !known.contains_key(*key));
            assert_eq!(new, None, "{place}: a new key; run with ARYA_BLESS=1");
        }
        (Value::Array(known), Value::Array(fresh)) => {
            if let Some(first) = known.first() {
                for item in fresh {
                    shallow(place, first, item);
                }
            }
        }
        (Value::Bool(_), Value::Bool(_))
        | (Value::Number(_), Value::Number(_))
        | (Value::String(_), Value::String(_)) => {}
        (known, fresh) => panic!("{place}: {fresh} where the example has {known}"),
    }
}

/// Items of one list may leave out optional keys, so only their own type must agree.
fn shallow(place: &str, known: &Value, fresh: &Value) {
    let kind = |value: &Value| std::mem::discriminant(value);
    assert!(
        kind(known) == kind(fresh) || known.is_null() || fresh.is_null(),
        "{place}: {fresh} beside {known}"
    );
}
