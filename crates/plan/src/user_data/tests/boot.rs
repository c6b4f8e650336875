//! Functions of the boot script, with Docker and the bucket played by functions beside them.

use super::*;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../provisioning/boot.sh");

#[track_caller]
fn check_range(taken: &str, expected: &str) {
    assert_eq!(bash(&[SCRIPT, "range"], taken).trim(), expected, "{taken}");
}

#[test]
fn containers_get_a_range_that_nobody_has() {
    let (first, second, third) = ("192.168.240.0/20", "10.254.240.0/20", "172.31.240.0/20");
    check_range("", first);
    check_range("10.0.0.0/16\n172.18.0.0/16\n192.168.0.0/17\n", first);
    check_range("192.168.0.0/16\n", second);
    check_range("192.168.255.255 dev eth0 scope link\n", second);
    check_range("10.254.255.0/28\n192.168.241.1/32\n", third);
    check_range("10.0.0.0/8\n172.16.0.0/12\n192.168.0.0/16\n", "198.18.240.0/20");
    // A route to everywhere takes nothing.
    check_range("default via 192.168.240.1 dev eth0\n", first);
}

/// Runs the script's functions on a machine of its own, with the bucket played by a function; what `program` says.
#[track_caller]
fn on_a_machine(folder: &std::path::Path, program: &str) -> String {
    let state = format!("readonly STATE={}", folder.display());
    let script = std::fs::read_to_string(SCRIPT).unwrap();
    let script = script.replace("readonly STATE=/var/lib/arya", &state);
    let script = script.replace(
        "readonly SAID=/run/arya",
        &format!("readonly SAID={}", folder.display()),
    );
    let file = folder.join("program.sh");
    std::fs::write(&file, format!("{script}\n{}\n{program}", PARTS.concat())).unwrap();
    // Its own command reads standard input, where nothing is, and says one line.
    let said = bash(&[file.to_str().unwrap(), "range"], "");
    said.lines().skip(1).collect::<Vec<_>>().join("\n")
}

/// What `load_referee` says when the bucket answers so, its code, and what it had Docker do.
fn loads_referee(status: u16, answer: &str, loaded: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let program = format!(
        "docker() {{
    case \"$1 $2\" in
    'image inspect') return 1 ;;
    'load --input') printf '%s' '{loaded}' ;;
    *) echo \"$*\" >>\"$STATE/asked\" ;;
    esac
}}
at_url() {{
    printf '%s' '{answer}' >\"$STATE/referee\"
    printf {status}
}}
ARYA_REFEREE_URL=https://bucket/referee ARYA_REFEREE_SHA256={}
load_referee || echo \"code $?\"
[[ ! -e $STATE/asked ]] || cat \"$STATE/asked\"
",
        Digest::of(b"archive").hex()
    );
    on_a_machine(folder.path(), &program)
}

#[test]
fn an_archive_of_referee_has_the_compose_files_name_alone() {
    let loaded = "Loaded image: referee:1\nLoaded image: arya/referee:archive\nLoaded image: other:2\n";
    assert_eq!(
        loads_referee(200, "archive", loaded),
        "tag referee:1 arya/referee:archive\nimage rm --no-prune referee:1\nimage rm --no-prune other:2"
    );
    let id = "Loaded image ID: sha256:00\n";
    assert_eq!(loads_referee(200, "archive", id), "tag sha256:00 arya/referee:archive");
}

#[test]
fn a_url_of_referee_that_ended_is_not_asked_for_again() {
    for answer in [
        "<Error><Code>ExpiredToken</Code></Error>",
        "<Message>Request has expired</Message>",
    ] {
        let said = loads_referee(403, answer, "");
        assert!(
            said.contains("expired before it was fetched") && said.ends_with("code 2"),
            "{said}"
        );
    }
    let waits = loads_referee(404, "<Code>NoSuchKey</Code>", "");
    assert!(
        waits.contains("the last answer was 404") && waits.ends_with("code 1"),
        "{waits}"
    );
    let other = loads_referee(200, "something else", "");
    assert!(other.contains("another digest") && other.ends_with("code 1"), "{other}");
}

#[test]
fn urls_are_read_by_the_last_ones_and_half_of_them_is_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let said = on_a_machine(
        folder.path(),
        r#"
at_url() {
    printf 'asked %s\n' "$1"
    printf "$answer" >"$URLS.new"
}
put() { printf 'put to %s\n' "$1"; }
ARYA_URLS_URL=https://first ARYA_STATUS_URL=https://status/1
put_status
answer='these https://second\nstatus https://status/2\nend\n' && renew_urls
put_status
answer='these https://third\nstatus https://status/3\n' && renew_urls
put_status
answer='these https://third\nthese output = "/x\nstatus https://status/3\nend\n' && renew_urls
put_status
[[ -z $(url_of export) ]] && echo 'no export'
answer='these https://fourth\nend\n' && renew_urls
renew_urls
"#,
    );
    assert_eq!(
        said,
        "put to https://status/1\nasked https://first\nput to https://status/2\nasked https://second\n\
         put to https://status/2\nasked https://second\nput to https://status/2\nno export\nasked https://second\n\
         asked https://fourth"
    );
}
