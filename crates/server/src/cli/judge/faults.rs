//! What is wrong with a JSON text, in the words of whoever wrote it: none of the parser's.

use serde_json::Error;
use serde_json::error::Category;

/// What the place of a fault is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Lines and columns of a file.
    File,
    /// Columns only: lines of standard input have their own numbers.
    Line,
}

/// What is wrong and where. It begins small, to stand after a colon.
pub(super) fn told(error: &Error, place: Place) -> String {
    let (line, column) = (error.line(), error.column());
    let whole = error.to_string();
    let words = whole
        .strip_suffix(&format!(" at line {line} column {column}"))
        .unwrap_or(&whole);
    let what = match error.classify() {
        Category::Eof => "it ends too early".to_owned(),
        Category::Syntax | Category::Io => syntax(words),
        Category::Data => mismatch(words),
    };
    // What opens wrongly is found before it is read, which counts as the column before.
    let column = column.max(1);
    match place {
        _ if line == 0 => what,
        Place::File => format!("{what}, at line {line} column {column}"),
        Place::Line => format!("{what}, at column {column}"),
    }
}

fn syntax(words: &str) -> String {
    if let Some(missing) = words.strip_prefix("expected `") {
        return format!("`{missing} is missing");
    }
    match words {
        "expected value" | "expected ident" => "what stands there is no JSON value",
        "key must be a string" => "a name in double quotes is missing",
        "trailing comma" => "a comma stands before a closing bracket",
        "trailing characters" => "more follows after its end",
        "recursion limit exceeded" => "it is nested too deep",
        "number out of range" => "a number is beyond all doubles",
        "invalid number" => "a number is not written as JSON has it",
        "invalid escape" => "a text has an escape that JSON does not know",
        words if words.starts_with("control character") => "a text has a line end or a control character in it",
        _ => "it is no JSON",
    }
    .to_owned()
}

/// A sound text that says something else than it should.
fn mismatch(words: &str) -> String {
    let after = |prefix: &str| words.strip_prefix(prefix);
    if let Some(field) = after("missing field ") {
        return format!("{field} is missing");
    }
    if let Some(field) = after("duplicate field ") {
        return format!("{field} stands there twice");
    }
    let wrong = after("invalid type: ").or(after("invalid value: "));
    let wrong = wrong.or(after("unknown variant ")).or(after("unknown field "));
    match wrong.and_then(|rest| rest.rsplit_once(", expected ")) {
        Some((found, needed)) => format!("{} stands where {} is needed", shown(found), wanted(needed)),
        None => words.to_owned(),
    }
}

fn shown(found: &str) -> String {
    let said = [
        ("string ", "the text "),
        ("integer ", "the number "),
        ("floating point ", "the number "),
        ("boolean ", ""),
    ];
    match found {
        "map" => "an object".to_owned(),
        "sequence" => "a list".to_owned(),
        "unit value" => "null".to_owned(),
        _ => said
            .iter()
            .find_map(|(prefix, words)| Some(format!("{words}{}", shortened(found.strip_prefix(prefix)?))))
            .unwrap_or_else(|| shortened(found)),
    }
}

fn wanted(needed: &str) -> &str {
    match needed {
        "a sequence" => "a list",
        "a map" => "an object",
        "a string" | "a borrowed string" => "a text",
        "a boolean" => "true or false",
        "f64" | "f32" => "a number",
        "u64" | "u32" | "usize" | "u16" | "u8" => "a whole number from 0",
        "i64" | "i32" | "isize" => "a whole number",
        _ if needed.starts_with("struct ") || needed.contains("tagged enum ") => "an object",
        _ => needed,
    }
}

/// As much of a value as shows which one it is.
fn shortened(text: &str) -> String {
    const SHOWN: usize = 60;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use arya_judge::kayenta::CanaryConfig;
    use arya_judge::kayenta::document::DataDocument;
    use arya_judge::sequential::document::Document;
    use serde::de::DeserializeOwned;

    use super::*;

    fn check<T: DeserializeOwned>(text: &str, expected: &str) {
        let error = serde_json::from_str::<T>(text).err().expect("the text is wrong");
        assert_eq!(told(&error, Place::File), expected, "{text}: {error}");
    }

    #[test]
    fn a_configuration_is_told_in_its_own_words() {
        check::<CanaryConfig>("[]", "a list stands where an object is needed, at line 1 column 1");
        check::<CanaryConfig>(
            r#"{"metrics":{}}"#,
            "an object stands where a list is needed, at line 1 column 11",
        );
        check::<CanaryConfig>(
            r#"{"metrics":[3]}"#,
            "the number `3` stands where an object is needed, at line 1 column 13",
        );
        check::<CanaryConfig>(
            r#"{"judge":"X"}"#,
            "the text \"X\" stands where an object is needed, at line 1 column 12",
        );
        check::<CanaryConfig>(
            r#"{"metrics":[{"groups":"g"}]}"#,
            "the text \"g\" stands where a list is needed, at line 1 column 25",
        );
        check::<CanaryConfig>(
            r#"{"classifier":{"groupWeights":{"g":"50"}}}"#,
            "the text \"50\" stands where a number is needed, at line 1 column 39",
        );
        check::<CanaryConfig>(
            r#"{"applications":[true]}"#,
            "`true` stands where a text is needed, at line 1 column 21",
        );
        check::<CanaryConfig>("name: c", "what stands there is no JSON value, at line 1 column 2");
        check::<CanaryConfig>("", "it ends too early, at line 1 column 1");
    }

    #[test]
    fn data_are_told_in_their_own_words() {
        check::<DataDocument>("{}", "`metrics` is missing, at line 1 column 2");
        check::<DataDocument>("null", "null stands where an object is needed, at line 1 column 4");
        check::<DataDocument>(
            r#"{"metrics":[],"metrics":[]}"#,
            "`metrics` stands there twice, at line 1 column 23",
        );
        check::<DataDocument>(
            r#"{"metrics":[{"name":"m","controlValues":"x"}]}"#,
            "the text \"x\" stands where a list is needed, at line 1 column 43",
        );
        check::<DataDocument>(
            r#"{"metrics":[],"thresholds":{"pass":1.5,"marginal":"a"}}"#,
            "the text \"a\" stands where a number is needed, at line 1 column 53",
        );
        check::<Document>(
            "3",
            "the number `3` stands where an object is needed, at line 1 column 1",
        );
        check::<Document>("{}", "`kind` is missing, at line 1 column 2");
    }

    #[test]
    fn what_is_no_json_is_told_without_the_parsers_words() {
        for (text, expected) in [
            ("[1 2]", "`,` or `]` is missing, at line 1 column 4"),
            ("{\"a\" 1}", "`:` is missing, at line 1 column 6"),
            ("{1: 2}", "a name in double quotes is missing, at line 1 column 2"),
            ("[1,]", "a comma stands before a closing bracket, at line 1 column 4"),
            ("{}\n x", "more follows after its end, at line 2 column 2"),
            ("1e999", "a number is beyond all doubles, at line 1 column 5"),
            ("01", "a number is not written as JSON has it, at line 1 column 2"),
            (
                "\"\\x\"",
                "a text has an escape that JSON does not know, at line 1 column 3",
            ),
            (
                "\"a\n\"",
                "a text has a line end or a control character in it, at line 2 column 0",
            ),
        ] {
            let expected = expected.replace("column 0", "column 1");
            check::<serde_json::Value>(text, &expected);
        }
        check::<serde_json::Value>(&"[".repeat(200), "it is nested too deep, at line 1 column 128");
    }

    #[test]
    fn lines_have_columns_only_and_long_values_are_shortened() {
        let error = serde_json::from_str::<BTreeMap<String, f64>>(&format!(r#"{{"a":"{}"}}"#, "x".repeat(9000)));
        let text = told(&error.unwrap_err(), Place::Line);
        assert!(
            text.ends_with("x… stands where a number is needed, at column 9007") && text.len() < 150,
            "{text}"
        );
    }
}
