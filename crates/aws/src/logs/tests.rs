use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn a_files_name_tells_its_five_minutes() {
    let name = "20260131T2340Z_172.160.1.5_4f2a.log.gz";
    assert_eq!(ends_at(name), Some(at("2026-01-31T23:40:00Z")));
    for other in [
        "",
        "20260131T2340Z.log.gz",
        "x_y.log.gz",
        "ELBAccessLogTestFile",
        "20261331T2340Z_a_b.log.gz",
    ] {
        assert_eq!(ends_at(other), None, "{other}");
    }
}

#[test]
fn names_sort_as_their_times_do() {
    assert_eq!(minute(at("2026-01-31T23:40:59.5Z")), "20260131T2340Z");
    let night = at("2026-01-31T23:50:00Z")..=at("2026-02-01T00:10:00Z");
    assert_eq!(folders(&night), ["2026/01/31", "2026/02/01"]);
    let noon = at("2026-01-31T11:50:00Z")..=at("2026-01-31T12:10:00Z");
    assert_eq!(folders(&noon), ["2026/01/31"]);
}

#[test]
fn a_file_that_is_not_packed_is_said_to_be_so() {
    let mut log = AccessLog::default();
    let said = unpacked("key", Bytes::from_static(b"http 2026-"), |lines| log.read_from(lines))
        .unwrap_err()
        .to_string();
    assert!(said.contains("key cannot be unpacked"), "{said}");
}
