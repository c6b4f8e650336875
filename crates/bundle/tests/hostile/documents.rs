//! The JSON documents: too many, too deep, too large, and with keys that two readers take differently.

use arya_bundle::{Digest, Limits};
use serde_json::{Value, json};

use crate::make::{Tar, check_message, describe_within, refused};

fn config(more: &Value) -> Vec<u8> {
    let mut config = json!({"os": "linux", "rootfs": {"type": "layers", "diff_ids": []}});
    config["config"] = more.clone();
    serde_json::to_vec(&config).unwrap()
}

/// One image without layers that says this of itself, in both layouts.
fn images(config: &[u8]) -> [Vec<u8>; 2] {
    let list = json!([{"Config": "c.json", "RepoTags": [], "Layers": []}]);
    let points = |bytes: &[u8]| json!({"digest": Digest::of(bytes).as_str(), "size": bytes.len()});
    let manifest = serde_json::to_vec(&json!({"schemaVersion": 2, "config": points(config), "layers": []})).unwrap();
    let index = json!({"schemaVersion": 2, "manifests": [points(&manifest)]});
    [
        Tar::new().json("manifest.json", &list).file("c.json", config).end(),
        Tar::new().blob(config).blob(&manifest).json("index.json", &index).end(),
    ]
}

#[track_caller]
fn config_refused(config: &[u8], words: &[&str]) {
    for archive in images(config) {
        refused(&archive, words);
    }
}

#[test]
fn lists_of_a_hundred_thousand_are_refused() {
    let layers = vec!["l"; 100_000];
    let list = json!([{"Config": "c.json", "RepoTags": [], "Layers": layers}]);
    refused(&Tar::new().json("manifest.json", &list).end(), &["`layers`", "127"]);
    let list = vec![json!({"Config": "", "Layers": []}); 20_000];
    refused(
        &Tar::new().json("manifest.json", &json!(list)).end(),
        &["`images`", "32"],
    );
    let diff_ids = vec![Digest::of(b""); 12_000];
    let many = json!({"os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}});
    config_refused(&serde_json::to_vec(&many).unwrap(), &["12000 layers", "lists 0"]);
    let none = json!({"digest": Digest::of(b"absent").as_str(), "size": 1});
    let index = json!({"schemaVersion": 2, "manifests": vec![none; 8_000]});
    refused(&Tar::new().json("index.json", &index).end(), &["index descriptors"]);
}

#[test]
fn deep_and_large_documents_are_refused() {
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(50_000), close.repeat(50_000));
    for text in [deep("[", "]"), deep("{\"a\":", "}"), "[".repeat(900_000)] {
        refused(
            &Tar::new().file("manifest.json", text.as_bytes()).end(),
            &["manifest.json", "what it must"],
        );
        refused(
            &Tar::new().file("index.json", text.as_bytes()).end(),
            &["index.json", "what it must"],
        );
        config_refused(text.as_bytes(), &["what it must"]);
    }
    // Passed over without being entered, so it may be as deep as it likes.
    let unread = format!(r#"{{"rootfs": {{}}, "unread": {}}}"#, deep("[", "]"));
    for archive in images(unread.as_bytes()) {
        assert!(describe_within(&archive[..], &Limits::default()).is_ok());
    }
    config_refused(&config(&json!({"Unread": "x".repeat(2 << 20)})), &["json_bytes"]);
}

#[test]
fn small_documents_do_not_become_large_in_memory() {
    let words = |key: &str| config(&json!({key: vec![""; 300_000]}));
    for key in ["Env", "Entrypoint", "Cmd"] {
        config_refused(&words(key), &["image_words"]);
    }
    let ports: serde_json::Map<_, _> = (0..30_000)
        .map(|number| (format!("0{number}-65535"), json!({})))
        .collect();
    config_refused(&config(&json!({"ExposedPorts": ports})), &["image_words"]);
    // Read by nobody, so there may be any number of them.
    let labels: serde_json::Map<_, _> = (0..60_000).map(|number| (number.to_string(), json!(""))).collect();
    let mut unread: Value = serde_json::from_slice(&config(&json!({"Labels": labels}))).unwrap();
    unread["history"] = json!(vec![json!({}); 100_000]);
    for archive in images(&serde_json::to_vec(&unread).unwrap()) {
        assert!(describe_within(&archive[..], &Limits::default()).is_ok());
    }
    let names = json!([{"Config": "c.json", "RepoTags": vec![""; 200_000], "Layers": []}]);
    let archive = Tar::new()
        .json("manifest.json", &names)
        .file("c.json", &config(&json!({})))
        .end();
    refused(&archive, &["image_words"]);
}

#[test]
fn ranges_that_cover_each_other_cost_no_more_than_one() {
    let ports: serde_json::Map<_, _> = (0..19_000)
        .map(|zeros| (format!("{}1-65535", "0".repeat(zeros % 30)), json!({})))
        .collect();
    let ports = ports
        .into_iter()
        .chain((1..15_000).map(|port| (format!("{port}-65535/tcp"), json!({}))));
    let ports: serde_json::Map<_, _> = ports.collect();
    for archive in images(&config(&json!({"ExposedPorts": ports}))) {
        let found = describe_within(&archive[..], &Limits::default()).unwrap();
        assert_eq!(found.images[0].exposed_ports.len(), 65_535);
    }
}

#[test]
fn one_document_named_many_times_is_not_parsed_many_times() {
    let large = config(&json!({"Unread": "x".repeat(400_000), "Env": vec!["A=b"; 100]}));
    let one = json!({"Config": "c.json", "RepoTags": [], "Layers": []});
    let saved = Tar::new()
        .json("manifest.json", &json!(vec![one; 32]))
        .file("c.json", &large)
        .end();
    assert!(
        describe_within(&saved[..], &Limits::default()).is_ok(),
        "32 times 0.4 MB may be parsed"
    );
    let limits = Limits {
        json_total_bytes: 8 << 20,
        ..Limits::default()
    };
    let text = describe_within(&saved[..], &limits).unwrap_err().to_string();
    check_message(&text, &["json_total_bytes"]);
    let padding = "x".repeat(900_000);
    let manifest = json!({"schemaVersion": 2, "config": {"digest": Digest::of(b"x").as_str(), "size": 1,
        "mediaType": "application/vnd.cncf.helm.config.v1+json"}, "layers": [], "unread": padding});
    let manifest = serde_json::to_vec(&manifest).unwrap();
    let points = json!({"digest": Digest::of(&manifest).as_str(), "size": manifest.len()});
    let index = json!({"schemaVersion": 2, "manifests": vec![points; 1000]});
    refused(
        &Tar::new().blob(&manifest).json("index.json", &index).end(),
        &["json_total_bytes"],
    );
}

#[test]
fn keys_that_docker_would_take_for_another_are_refused() {
    let good = config(&json!({}));
    for list in [
        r#"[{"Config": "c.json", "config": "other.json", "RepoTags": [], "Layers": []}]"#,
        r#"[{"Config": "c.json", "RepoTags": [], "Layers": [], "LAYERS": ["x"]}]"#,
        "[{\"Config\": \"c.json\", \"RepoTag\u{17f}\": [], \"Layers\": []}]",
    ] {
        let archive = Tar::new()
            .file("manifest.json", list.as_bytes())
            .file("c.json", &good)
            .end();
        refused(&archive, &["manifest.json", "could be taken for"]);
    }
    let twice = r#"[{"Config": "other.json", "Config": "c.json", "RepoTags": [], "Layers": []}]"#;
    refused(
        &Tar::new().file("manifest.json", twice.as_bytes()).end(),
        &["there twice"],
    );
    config_refused(
        br#"{"config": {"Env": [], "env": ["A=b"]}, "rootfs": {}}"#,
        &["could be taken for `Env`"],
    );
    config_refused(
        br#"{"config": {}, "Config": {"Env": []}, "rootfs": {}}"#,
        &["could be taken for `config`"],
    );
}

#[test]
fn documents_that_are_no_json_are_refused() {
    for bytes in [
        &b"[\xff]"[..],
        b"\xef\xbb\xbf[]",
        b"[] []",
        b"{",
        b" ",
        b"[\"\\ud800\"]",
        b"[1e999]",
    ] {
        refused(&Tar::new().file("manifest.json", bytes).end(), &["manifest.json"]);
    }
}
