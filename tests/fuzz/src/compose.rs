//! Compose files as bytes, and the `${…}` language within their values.

use std::collections::BTreeMap;

use arya_bundle::{ComposeError, ComposeFile, Limits};

use crate::bundle::check_message;

pub(crate) fn run(bytes: &[u8]) {
    let file = match ComposeFile::parse(bytes) {
        Ok(file) => file,
        Err(error) => return check_message(&error.to_string()),
    };
    let names: Vec<&str> = file.services.keys().map(String::as_str).collect();
    for finding in file.findings(&names) {
        assert!(!finding.name().is_empty());
        check_message(&finding.sentence());
    }
    for port in [1, 80, 8080, u16::MAX] {
        if let Err(error) = file.app_service(port) {
            check_message(&error.to_string());
        }
    }
    if let Err(error) = file.service("no such service") {
        check_message(&error.to_string());
    }
    assert!(!format!("{file:?}").is_empty());
}

/// A text as the value of a field: without a dollar it stays, with doubled dollars it comes out as it went in.
pub(crate) fn run_interpolation(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let filled = fill(text);
    if let Err(error) = &filled {
        check_message(&error.to_string());
    }
    if !text.contains('$') && is_plain(text) {
        assert_eq!(filled.as_deref(), Ok(text));
    }
    if is_plain(text) {
        assert_eq!(fill(&text.replace('$', "$$")).as_deref(), Ok(text));
    }
}

/// What YAML allows between double quotes as JSON writes it.
fn is_plain(text: &str) -> bool {
    text.chars()
        .all(|c| matches!(c, ' '..='~' | '\u{a0}'..='\u{2027}' | '\u{2030}'..='\u{d7ff}'))
}

fn fill(text: &str) -> Result<String, ComposeError> {
    let quoted = serde_json::to_string(text).expect("a text can be written as JSON");
    let given = BTreeMap::from([("SET", "value"), ("EMPTY", ""), ("DOLLAR", "$SET")]);
    let given = given.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    let file = ComposeFile::parse_with(
        format!("services: {{web: {{image: x, user: {quoted}}}}}").as_bytes(),
        &given,
        &Limits::default(),
    )?;
    Ok(file.services["web"].user.clone().unwrap_or_default())
}
