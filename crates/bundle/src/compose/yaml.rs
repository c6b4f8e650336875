//! YAML within limits, as Compose reads it. Must never know what the keys mean.

use serde_json::Value;
use serde_saphyr::Error;
use serde_saphyr::budget::BudgetBreach;

use super::error::ComposeError;
use crate::limits::Limits;

/// YAML nodes after aliases are expanded. The largest compose files in use have a few thousand.
const NODES: usize = 50_000;
/// Depth of nesting; a compose file needs eight.
const DEPTH: usize = 32;
/// Text after aliases are expanded, in bytes: four times what the file itself may have.
const TEXT_FACTOR: usize = 4;
/// One key, in bytes: a name, a variable, a label. Paths to places in the file are made of keys, and there are many.
const KEY_BYTES: usize = 255;

/// The tree of a file, aliases and merge keys resolved.
pub(super) fn parse(text: &[u8], limits: &Limits) -> Result<Value, ComposeError> {
    if text.len() as u64 > limits.compose_bytes {
        return Err(ComposeError::TooLarge {
            allowed: limits.compose_bytes,
        });
    }
    let text = std::str::from_utf8(text).map_err(|e| ComposeError::NotText { at: e.valid_up_to() })?;
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_nodes: NODES,
            max_events: 4 * NODES,
            max_depth: DEPTH,
            flow_nesting_limit: DEPTH,
            max_documents: 1,
            max_total_scalar_bytes: text_bytes(limits),
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: NODES },
        // Comments are counted and bounded otherwise, and people comment out whole services.
        emit_comments: false,
        // Compose is written in Go, whose YAML takes `yes` and `on` for texts, as YAML 1.2 does, but `0755` for octal, as
        // YAML 1.1 did.
        strict_booleans: true,
        legacy_octal_numbers: true,
        with_snippet: false,
    };
    let tree = serde_saphyr::from_str_with_options(text, options).map_err(|error| not_yaml(&error))?;
    check_keys(&tree, "the file")?;
    Ok(tree)
}

/// All text of a file after aliases, and after variables, are filled in.
pub(super) fn text_bytes(limits: &Limits) -> usize {
    usize::try_from(limits.compose_bytes).map_or(usize::MAX, |bytes| bytes.saturating_mul(TEXT_FACTOR))
}

/// No key is longer than a name may be. Recursion is as deep as the parser allowed.
fn check_keys(value: &Value, at: &str) -> Result<(), ComposeError> {
    match value {
        Value::Object(map) => map.iter().try_for_each(|(key, below)| {
            if key.len() > KEY_BYTES {
                let problem = format!("has the key `{key}`, which is longer than {KEY_BYTES} bytes");
                return Err(ComposeError::invalid(at, problem));
            }
            // One name is enough to find the place, and no path of a hostile file is built.
            check_keys(below, key)
        }),
        Value::Array(items) => items.iter().try_for_each(|item| check_keys(item, at)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

fn not_yaml(error: &Error) -> ComposeError {
    let error = error.without_snippet();
    let (line, column) = error
        .location()
        .map_or((1, 1), |at| (at.line().max(1), at.column().max(1)));
    ComposeError::NotYaml {
        reason: reason(error),
        line,
        column,
    }
}

/// The library's texts are for the programmer who calls it; where a compose file can cause one, these are for its author.
fn reason(error: &Error) -> String {
    match error {
        Error::AliasError { error, .. } => reason(error),
        Error::Budget { breach, .. } => too_much(breach),
        Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => "its aliases repeat each other too often".to_owned(),
        Error::RecursiveReferencesRequireWeakTypes { .. } => "an alias stands within what it names".to_owned(),
        Error::UnknownAnchor { .. } => "an alias names nothing that stands above it".to_owned(),
        Error::DuplicateMappingKey { key: Some(key), .. } => format!("the key `{key}` is there twice"),
        Error::DuplicateMappingKey { key: None, .. } => "a key is there twice".to_owned(),
        Error::NonFiniteFloat { value, .. } => format!("`{value}` is no number that can be read; put it in quotes"),
        Error::NullIntoString { .. } => "a key is empty".to_owned(),
        Error::MergeValueNotMapOrSeqOfMaps { .. } => "`<<` merges something that is no mapping".to_owned(),
        other => {
            let text = other.to_string();
            // The place may be repeated, and the text may run over several lines; one clause is wanted here.
            let first = text.lines().next().unwrap_or_default();
            let clause = first.split(" at line ").next().unwrap_or_default();
            clause.trim_end_matches('.').to_owned()
        }
    }
}

fn too_much(breach: &BudgetBreach) -> String {
    match breach {
        BudgetBreach::Depth { .. } => format!("it nests deeper than {DEPTH} levels"),
        BudgetBreach::Documents { .. } => {
            "it holds a second document, of which Compose would read one alone".to_owned()
        }
        BudgetBreach::Nodes { .. } | BudgetBreach::Events { .. } => {
            format!("it has more than {NODES} values, those that aliases repeat included")
        }
        BudgetBreach::ScalarBytes { .. } => {
            "its texts are too long together, with those that aliases repeat".to_owned()
        }
        // The rest is about aliases, anchors and merge keys.
        _ => "its aliases repeat each other too often".to_owned(),
    }
}
