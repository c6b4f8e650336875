//! `arya judge` on files and lines: the answers of the contract, and a sentence for whatever cannot be judged.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::running::ARYA;

fn vectors() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/kayenta"))
}

fn vector(name: &str) -> Value {
    let text = std::fs::read_to_string(vectors().join(format!("{name}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Runs the judge on a configuration and data, each given as text.
fn on_files(config: &str, data: &str, more: &[&str]) -> Output {
    let dir = TempDir::new().unwrap();
    let written = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (config, data) = (written("config.json", config), written("data.json", data));
    run(&config, &data, more)
}

fn run(config: &Path, data: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(ARYA);
    command.arg("judge").arg("--config").arg(config).arg("--data").arg(data);
    command.args(more).stdin(Stdio::null()).output().unwrap()
}

fn on_lines(input: &[u8]) -> Output {
    let mut judge = Command::new(ARYA)
        .args(["judge", "--data", "-", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = judge.stdin.take().unwrap();
    let writing = std::thread::spawn({
        let input = input.to_vec();
        move || stdin.write_all(&input)
    });
    let output = judge.wait_with_output().unwrap();
    // The judge may end before it has read everything; what it said is checked.
    let _ = writing.join().unwrap();
    output
}

fn split(case: &Value) -> (String, String) {
    let data = json!({"metrics": case["metrics"], "thresholds": case["thresholds"]});
    (case["canaryConfig"].to_string(), data.to_string())
}

#[test]
fn the_answer_has_kayentas_result_and_the_numbers_behind_it() {
    let case = vector("large-001-n60");
    let (config, data) = split(&case);
    let output = on_files(&config, &data, &["--json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let answer: Value = serde_json::from_str(&out(&output)).unwrap();
    let expected = &case["expected"]["metrics"][0];
    for field in [
        "name",
        "lower",
        "upper",
        "estimate",
        "effectSize",
        "testRan",
        "noiseApplied",
        "reasonCategory",
    ] {
        assert_eq!(answer["details"][0][field], expected[field], "{field}");
    }
    let result = &answer["judgeResult"];
    assert_eq!(result["judgeName"], "NetflixACAJudge-v1.0");
    assert_eq!(result["results"][0]["classification"], expected["classification"]);
    assert_eq!(result["score"]["score"], case["expected"]["summary"]["score"]);
    assert_eq!(
        answer["summaryReasonCategory"],
        case["expected"]["summary"]["reasonCategory"]
    );
}

#[test]
fn a_table_says_the_same_to_people() {
    let (config, data) = split(&vector("edge-opt-direction-number"));
    let output = on_files(&config, &data, &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = out(&output);
    for words in [
        "Fail: score 0 (pass from 95, marginal from 75)",
        "m1",
        "High",
        "3 of 5",
        "13 of 5",
        "4.3333",
        "Kayenta's score",
    ] {
        assert!(text.contains(words), "{words:?} in {text}");
    }
}

#[test]
fn names_cannot_command_the_terminal() {
    let config = json!({"metrics": [{"name": "\u{1b}[2J", "groups": ["a\u{7}"]}], "classifier": {}});
    let data = json!({"metrics": [{"name": "\u{1b}[2J", "controlValues": [1], "experimentValues": [1]}],
        "thresholds": {"pass": 1, "marginal": 0}});
    let text = out(&on_files(&config.to_string(), &data.to_string(), &[]));
    assert!(
        text.contains("Pass") && !text.contains('\u{1b}') && !text.contains('\u{7}'),
        "{text:?}"
    );
}

#[test]
fn what_kayenta_aborts_is_said_and_exits_3() {
    for (name, words) in [
        ("edge-unknown-metric", "`other`"),
        ("edge-no-classifier", "classifier"),
        ("edge-no-groups", "`m1`"),
        ("edge-opt-string-bool", "`critical`"),
        ("edge-opt-factor-zero", "`outliers.outlierFactor`"),
    ] {
        let (config, data) = split(&vector(name));
        let output = on_files(&config, &data, &["--json"]);
        assert_eq!(output.status.code(), Some(3), "{name}: {output:?}");
        let answer: Value = serde_json::from_str(&out(&output)).unwrap();
        assert_eq!(answer["aborted"], true, "{name}");
        assert!(answer["reason"].as_str().unwrap().contains(words), "{name}: {answer}");
        let output = on_files(&config, &data, &[]);
        assert_eq!(output.status.code(), Some(3), "{name}: {output:?}");
        assert!(
            String::from_utf8_lossy(&output.stderr).contains(words),
            "{name}: {output:?}"
        );
    }
}

#[test]
fn what_cannot_be_read_is_named_with_line_and_column_and_exits_3() {
    let config = r#"{"metrics":[{"name":"m","groups":[]}],"classifier":{}}"#;
    let data =
        r#"{"metrics":[{"name":"m","controlValues":[1],"experimentValues":[2]}],"thresholds":{"pass":1,"marginal":0}}"#;
    let wrong_value = data.replace("[1]", "[1,\n \"x\"]");
    let unknown_query = config.replace("\"groups\"", "\"query\":{\"type\":\"cloudwatch\"},\"groups\"");
    let list_of_options = config.replace("\"groups\"", "\"analysisConfigurations\":{\"canary\":[]},\"groups\"");
    let cases = [
        ("{\n  \"metrics\": [}", data, "config.json", "line 2 column 15"),
        ("", data, "config.json", "it ends too early, at line 1 column 1"),
        (
            "{\"metrics\":{}}",
            data,
            "config.json",
            "an object stands where a list is needed",
        ),
        (&unknown_query, data, "config.json", "`cloudwatch` is no query type"),
        (
            "{\"classifier\":{\"groupWeights\":{\"g\":\"x\"}}}",
            data,
            "config.json",
            "line 1 column 38",
        ),
        (config, "not json", "data.json", "line 1 column 2"),
        (config, &wrong_value, "data.json", "line 2 column 4"),
        (
            config,
            "{\"thresholds\":{\"pass\":1,\"marginal\":0}}",
            "data.json",
            "`metrics` is missing",
        ),
        (config, "{\"metrics\":[{\"name\":3}]}", "data.json", "line 1 column 21"),
        (config, "\u{0}", "data.json", "line 1 column 1"),
        (
            config,
            "[[],{}]",
            "data.json",
            "a list stands where an object is needed",
        ),
        ("name: c\nmetrics: []", data, "config.json", "line 1 column 2"),
        (
            &list_of_options,
            data,
            "config.json",
            "`analysisConfigurations.canary`: a list",
        ),
        (
            config,
            "{\"metrics\":[],\"thresholds\":[95,75]}",
            "data.json",
            "line 1 column 27",
        ),
        (config, "{\"metrics\":[[\"m\"]]}", "data.json", "line 1 column 12"),
    ];
    for (config, data, file, words) in cases {
        let output = on_files(config, data, &["--json"]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{config} {data}: {text}");
        assert!(output.stdout.is_empty(), "{output:?}");
        assert!(text.contains(file) && text.contains(words), "{words:?} in {text}");
        for word in ["panicked", "expected", "struct", "sequence", "EOF", "f64"] {
            assert!(!text.contains(word), "{word:?} in {text}");
        }
        let capital = |after: &str| after.starts_with(char::is_uppercase);
        assert!(!text.split(": ").skip(1).any(capital), "{text}");
    }
}

#[test]
fn a_mark_of_the_byte_order_is_no_part_of_a_text() {
    let (config, data) = split(&vector("edge-2v1"));
    let output = on_files(&format!("\u{feff}{config}"), &format!("\u{feff}{data}"), &["--json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let output = on_lines(format!("\u{feff}{}\r\n", vector("edge-2v1")).as_bytes());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn a_reader_that_has_enough_is_not_complained_to() {
    let good = vector("edge-2v1").to_string();
    let mut judge = Command::new(ARYA)
        .args(["judge", "--data", "-", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Nobody reads any more when the first answer comes.
    drop(judge.stdout.take());
    let mut stdin = judge.stdin.take().unwrap();
    // The judge may have ended before it reads this.
    let _ = stdin.write_all(format!("{good}\n").as_bytes());
    drop(stdin);
    let output = judge.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[test]
fn an_aborted_line_is_answered_like_others_and_ends_with_3() {
    let aborting = vector("edge-unknown-metric");
    let output = on_lines(format!("{aborting}\n{}\n", vector("edge-2v1")).as_bytes());
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let text = out(&output);
    let answers: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&answers[0]["line"], &answers[0]["aborted"]), (&json!(1), &json!(true)));
    assert_eq!(answers[1]["line"], 2);
    assert_eq!(answers[1]["judgeResult"]["judgeName"], "NetflixACAJudge-v1.0");
}

#[test]
fn a_file_beyond_the_limit_is_refused_before_it_is_read_whole() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("large.json");
    std::fs::File::create(&path)
        .unwrap()
        .set_len(100 * 1024 * 1024)
        .unwrap();
    let config = dir.path().join("config.json");
    std::fs::write(&config, "{}").unwrap();
    for (config, data) in [(&config, &path), (&path, &config)] {
        let output = run(config, data, &["--json"]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{text}");
        let limit = if config == &path { "1 MiB" } else { "32 MiB" };
        assert!(text.contains(&format!("large.json is larger than {limit}.")), "{text}");
    }
}

#[test]
fn each_line_is_answered_in_order() {
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(vectors()).unwrap() {
        let case: Value = serde_json::from_str(&std::fs::read_to_string(entry.unwrap().path()).unwrap()).unwrap();
        if case["kind"] == "judge" {
            cases.push(case);
        }
    }
    let input: String = cases.iter().map(|case| format!("{case}\n")).collect();
    let output = on_lines(input.as_bytes());
    // Some of them are aborted.
    assert_eq!(
        output.status.code(),
        Some(3),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let answers: Vec<Value> = out(&output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(cases.len() >= 200 && answers.len() == cases.len());
    for ((case, answer), number) in cases.iter().zip(answers).zip(1..) {
        assert_eq!(answer["line"], json!(number));
        let expected = &case["expected"];
        assert_eq!(
            answer["aborted"] == true,
            expected["aborts"] == true,
            "{}",
            case["name"]
        );
        if answer["aborted"] != true && expected["nondeterministic"] != true {
            let score = &answer["judgeResult"]["score"]["score"];
            assert_eq!(
                score.as_f64(),
                expected["summary"]["score"].as_f64(),
                "{}",
                case["name"]
            );
        }
    }
}

#[test]
fn a_bad_line_is_answered_with_its_number_and_the_rest_goes_on() {
    let good = vector("edge-2v1").to_string();
    let mut input =
        format!("{good}\n{{\"canaryConfig\": }}\n\n[]\n{{}}\n{{\"metrics\": []}}\n{{\"metrics\": [\n").into_bytes();
    input.extend(std::iter::repeat_n(b'7', 100 * 1024 * 1024));
    input.extend(b"\n{\"canaryConfig\":{\"metrics\":3},\"metrics\":[]}\n\xff\n");
    input.extend(good.as_bytes());
    let output = on_lines(&input);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let answers: Vec<Value> = out(&output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let errors: Vec<(Option<u64>, String)> = answers[1..answers.len() - 1]
        .iter()
        .map(|answer| (answer["line"].as_u64(), answer["error"].as_str().unwrap().to_owned()))
        .collect();
    let expected = [
        (2, "column 18"),
        (4, "a list stands where an object is needed, at column 1"),
        (5, "`metrics` is missing, at column 2"),
        (6, "no `canaryConfig`"),
        (7, "it ends too early, at column 13"),
        (8, "longer than 32 MiB"),
        (
            9,
            "in `canaryConfig`, counted from its start: the number `3` stands where a list is needed, at column 12",
        ),
        (10, "column 1"),
    ];
    assert_eq!(errors.len(), expected.len(), "{errors:?}");
    for ((line, error), (number, words)) in errors.iter().zip(expected) {
        assert_eq!(*line, Some(number), "{error}");
        assert!(error.contains(words), "{words:?} in {error}");
        assert!(!error.contains("line 1"), "{error}");
    }
    let judged = |answer: Option<&Value>| answer.map(|answer| answer["judgeResult"].clone());
    assert_eq!(judged(answers.first()), judged(answers.last()));
    assert_eq!(answers[0]["judgeResult"]["judgeName"], "NetflixACAJudge-v1.0");
}
