//! What is not a query, and what a query may not ask.

use super::*;

fn sample() -> Monitor {
    let labels = |path: &str| Labels::from_pairs([(METRIC_NAME, "x"), ("path", path)]);
    holding(&[
        (labels("/a"), vec![(1000, 1.0), (2000, 2.0)]),
        (labels("/b"), vec![(1000, 10.0), (2000, 20.0)]),
    ])
}

#[track_caller]
fn refused(query: &str, expected: &str) {
    let error = sample().query(query, at(2000)).unwrap_err().to_string();
    assert!(error.contains(expected), "{query}: {error}");
}

#[track_caller]
fn check(query: &str, expected: &[f64]) {
    assert_eq!(sample().query(query, at(2000)).unwrap().numbers(), expected, "{query}");
}

#[test]
fn errors_say_where() {
    refused("", "1:1: parse error: no expression found in input");
    refused("sum(x", "1:6: parse error: unexpected end of input, \")\" expected");
    refused("x +\n  * 2", "2:3: parse error: unexpected \"*\"");
    refused(
        "rate(x)",
        "1:6: parse error: expected type range vector here, got instant vector",
    );
    refused("x{path=~\"(\"}", "1:9: parse error: \"(\" is not a regular expression");
    refused("x{path=\"a}", "1:8: parse error: unterminated string");
    refused(
        "nofunction(x)",
        "1:1: parse error: unknown function with name \"nofunction\"",
    );
    refused("x[5 m]", "1:3: parse error: unexpected number 5");
    refused("x[0s]", "duration must be greater than 0");
    refused("x y", "1:3: parse error: unexpected \"y\"");
    refused("x §", "1:3: parse error: unexpected character: '§'");
    refused("1e", "neither a number nor a duration");
    refused("{path=~\".*\"}", "at least one non-empty matcher");
    refused("1 < 2", "comparisons between scalars must use BOOL");
    refused("x and 1", "between instant vectors");
    refused("x + bool x", "bool modifier");
    refused("x * on(path) group_left(path) x", "ON and GROUP");
    refused("clamp(x, 1)", "expected 3 argument(s)");
    refused("round(x, 1, 2)", "at most 2 argument(s)");
    refused("-x[5m]", "a sign is allowed before");
}

#[test]
fn what_is_left_out_is_said() {
    refused("rate(x[5m:1m])", "subqueries");
    refused("rate(x)[5m]", "expected type range vector");
    refused("abs(x)[5m]", "subqueries");
    refused("x @ 5", "the @ modifier");
}

#[test]
fn hostile_queries_end_early() {
    refused(&"(".repeat(100), "inside each other");
    refused(&"1 + ".repeat(1000), "inside each other");
    refused(&"x".repeat(9000), "longer than 8192 bytes");
    refused("x{path=~\"(a{1000}){1000}\"}", "is not a regular expression");
    let error = sample()
        .query_range("x", at(0), at(100_000_000), Duration::from_secs(1))
        .unwrap_err();
    assert!(error.to_string().contains("11,000 points"));
    let error = sample()
        .query_range("x[5m]", at(0), at(1000), Duration::from_secs(1))
        .unwrap_err();
    assert!(error.to_string().contains("for range query"));
    let error = sample().query_range("x", at(0), at(1000), Duration::ZERO).unwrap_err();
    assert!(error.to_string().contains("step"));
}

#[test]
fn many_to_many_is_refused() {
    let series = |arm: &str, path: &str| {
        (
            Labels::from_pairs([(METRIC_NAME, "y"), ("arm", arm), ("path", path)]),
            vec![(1000, 1.0)],
        )
    };
    let monitor = holding(&[series("a", "1"), series("a", "2")]);
    let error = |query| monitor.query(query, at(1000)).unwrap_err().to_string();
    assert!(error("y + on(arm) y").contains("many-to-many matching not allowed"));
    assert!(error("y + on(arm) sum by (arm) (y)").contains("group_left"));
    assert!(error("{__name__=~\"y\"} - ignoring(path) sum by (arm) (y)").contains("must be explicit"));
}

#[test]
fn precedence_is_that_of_arithmetic() {
    check("1 + 2 * 3", &[7.0]);
    check("(1 + 2) * 3", &[9.0]);
    check("2 ^ 3 ^ 2", &[512.0]);
    check("-2 ^ 2", &[-4.0]);
    check("10 - 2 - 3", &[5.0]);
    check("# a comment\nsum(x) # another", &[22.0]);
    check("SUM BY (path) (x)", &[2.0, 20.0]);
    check("x{path=\"/a\",} > 1 or vector(7)", &[2.0, 7.0]);
}

#[test]
fn a_series_that_ended_is_not_seen() {
    let monitor = sample();
    monitor
        .write()
        .end(&Labels::from_pairs([(METRIC_NAME, "x"), ("path", "/a")]), 2500);
    assert_eq!(monitor.query("x", at(3000)).unwrap().numbers(), [20.0]);
    assert_eq!(
        monitor.query("count_over_time(x[3s])", at(3000)).unwrap().numbers(),
        [2.0, 2.0]
    );
    assert_eq!(monitor.query("x", at(2400)).unwrap().numbers(), [2.0, 20.0]);
}

#[test]
fn a_sample_is_seen_for_five_minutes() {
    assert_eq!(sample().query("sum(x)", at(302_000)).unwrap().numbers(), [22.0]);
    assert!(sample().query("sum(x)", at(302_001)).unwrap().numbers().is_empty());
}
