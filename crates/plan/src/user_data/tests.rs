mod boot;

use std::io::Write as _;
use std::process::{Command, Stdio};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;
use crate::spec::{WarmUp, limits};

/// What the boot of an instance is promised to fit in, with room to EC2's limit.
const PROMISED: usize = 12 * 1024;

/// As long as a URL of a role's session gets: its token alone has some 1,200 characters, none of which compress.
fn url(of: &str) -> PresignedUrl {
    let noise = |seed: u64, length: usize| -> String {
        let next = |state: &u64| {
            Some(
                state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407),
            )
        };
        let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789%-";
        let states = std::iter::successors(Some(seed), next).skip(1).take(length);
        states.map(|state| letters[(state >> 58) as usize] as char).collect()
    };
    let (token, signature) = (noise(1, 1200), Digest::of(of.as_bytes()));
    let query = format!("X-Amz-Security-Token={token}&X-Amz-Signature={}", signature.hex());
    PresignedUrl::parse(format!(
        "https://arya-abcdefghij.s3.eu-central-1.amazonaws.com/{of}?{query}"
    ))
    .unwrap()
}

fn object(name: &str) -> Object {
    Object {
        url: url(name),
        digest: Digest::of(name.as_bytes()),
    }
}

fn once(name: &str) -> Once {
    Once {
        object: object(name),
        remove: url(name),
    }
}

fn birth() -> Birth {
    Birth {
        role: Role::Canary,
        instance_type: "t3.medium".into(),
        ends_at: "2026-11-22T18:00:00Z".parse().unwrap(),
        status: url("status/canary-0-1.json"),
        settings: object("settings/canary-0-1"),
        http_proxy: None,
    }
}

fn settings() -> Settings {
    Settings {
        app: App {
            port: 8080,
            protocol: Protocol::Https,
            health_check_path: "/health".into(),
            warm_up: WarmUp {
                host: Some("emr.example.com".into()),
                ..WarmUp::default()
            },
            version_path: None,
        },
        patience: Patience::AWS,
        image: Some(object("image").into()),
        compose: Some(object("compose")),
        written: vec![("conf/it's.json".into(), "{\n}\n".into())],
        app_service: "web".into(),
        services: vec!["web".into(), "cache".into()],
        env_file: None,
        env_from: vec!["ssm:/shop".into()],
        aws_endpoint: None,
        later: vec![],
        files: vec![("conf/app's.yml".into(), once("file"))],
        urls: url("urls/canary-0-1"),
        referee: None,
    }
}

fn script(birth: &Birth) -> String {
    String::from_utf8(user_data(birth, &Patience::AWS).unwrap()).unwrap()
}

/// Runs bash with `script` as a file and these arguments and input; its standard output.
#[track_caller]
fn bash(arguments: &[&str], input: &str) -> String {
    let mut child = Command::new("bash")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn user_data_is_small_for_the_largest_spec() {
    // Of a spec only the type of the instances and their proxy reach the user data; the rest is in the settings.
    let hostile: String = ('!'..='~').cycle().take(limits::TEXT_LENGTH).collect();
    let largest = Birth {
        instance_type: hostile.chars().rev().collect(),
        http_proxy: Some(hostile),
        ..birth()
    };
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(script(&largest).as_bytes()).unwrap();
    let size = gzip.finish().unwrap().len();
    assert!(size < PROMISED, "{size} bytes");
}

#[test]
fn the_block_stands_where_the_script_finds_it() {
    let script = script(&birth());
    assert_eq!(script, self::script(&birth()));
    assert!(script.starts_with("#!/usr/bin/env bash\nreadonly ARYA_ROLE='canary'\n"));
    assert!(script.contains("readonly ARYA_ENDS_AT=1795370400\n"));
    let told: Vec<&str> = script.lines().collect();
    let is_said = |line: &&str| !line.trim_start().starts_with('#') && !line.is_empty();
    assert!(
        SCRIPT
            .lines()
            .skip(1)
            .filter(is_said)
            .eq(told[told.len() - SCRIPT.lines().skip(1).filter(is_said).count()..]
                .iter()
                .copied())
    );
    assert!(!script.contains("# ---"), "comments stay at home");
    bash(&["-n"], &script);
}

#[test]
fn every_value_that_the_script_reads_is_in_a_block() {
    let blocks = script(&birth()) + &text(&settings());
    let scripts = SCRIPT.to_owned() + &PARTS.concat();
    let names = scripts.split("ARYA_").skip(1).map(|rest| {
        rest.split(|c: char| !c.is_ascii_uppercase() && c != '_' && !c.is_ascii_digit())
            .next()
            .unwrap()
    });
    for name in names.filter(|name| !name.is_empty()) {
        let written = format!(" ARYA_{name}=");
        assert!(blocks.contains(&written), "nothing writes ARYA_{name}");
    }
}

fn text(settings: &Settings) -> String {
    String::from_utf8(settings.bytes().unwrap()).unwrap()
}

#[test]
fn settings_are_read_by_a_function_of_the_script_as_they_were_meant() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings");
    std::fs::write(&file, settings().bytes().unwrap()).unwrap();
    // Sourced in a function, as the script does it: what is read must be there afterwards.
    let program = "read_settings() { . \"$1\"; }; read_settings \"$1\"; \
         printf '%s\\n' \"$ARYA_APP_SCHEME\" \"$ARYA_WARM_HOST\" \"${ARYA_SERVICES[@]}\" \"${ARYA_FILES[0]}\" \
         \"${#ARYA_FILES[@]}\" \"${ARYA_WRITTEN[@]}\" \"[$ARYA_ENV_FILE_URL]\"";
    let said = bash(&["-euc", program, "-", file.to_str().unwrap()], "");
    assert_eq!(
        said,
        "https\nemr.example.com\nweb\ncache\nconf/app's.yml\n4\nconf/it's.json\n{\n}\n\n[]\n"
    );
}

#[test]
fn secrets_are_only_pointed_at() {
    let with_secrets = Settings {
        env_file: Some(once("secret")),
        ..settings()
    };
    let told = script(&birth());
    // The user data knows its two objects; image, secret and logs are named in the bucket alone.
    for line in told.lines().filter(|line| line.contains("https://arya-")) {
        assert!(
            line.starts_with("readonly ARYA_STATUS_URL=") || line.starts_with("readonly ARYA_SETTINGS_URL="),
            "{line}"
        );
    }
    assert!(text(&with_secrets).contains("readonly ARYA_ENV_FILE_URL='https://"));
    let shown = format!("{with_secrets:?} {:?}", birth());
    assert!(!shown.contains("X-Amz-Signature"), "{shown}");
}

#[test]
fn a_url_that_would_end_its_line_is_refused_and_not_repeated() {
    for text in [
        "ftp://a",
        "https://a/\"\nurl = b",
        "https://a/\\",
        "https://a b",
        "https://ä",
    ] {
        assert_eq!(PresignedUrl::parse(text), Err(NotAUrl));
    }
}

#[test]
fn the_app_and_what_it_needs_are_started() {
    let compose = b"services:\n  web: {image: a, ports: [\"8080:80\"], depends_on: [cache]}\n  cache: {image: b}\n  \
                    worker: {image: c}\n";
    let digest = Digest::of(compose);
    let version = Version {
        image: digest.clone(),
        compose: digest,
        env_file: None,
        env_from: vec![],
        files: std::collections::BTreeMap::new(),
        services: crate::spec::Services::default(),
    };
    let started = super::started(&version, 8080, compose).unwrap();
    assert_eq!(
        (started.app.as_str(), started.all),
        ("web", vec!["web".into(), "cache".into()])
    );
    assert!(super::started(&version, 81, compose).is_err());
}

#[track_caller]
fn check_mask(line: &str, expected: &str) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../provisioning/boot.sh");
    assert_eq!(bash(&[script, "mask"], line), expected);
    // The server's own rules are the same.
    assert_eq!(crate::discreet::masked(line), expected);
}

#[test]
fn query_strings_leave_no_machine() {
    check_mask(
        "GET /search?name=Anna%20B&born=1970 HTTP/1.1 200",
        "GET /search?… HTTP/1.1 200",
    );
    check_mask("reset?token=abc", "reset?…");
    check_mask("why? because", "why? because");
}

#[test]
fn parts_of_paths_that_may_be_identifiers_leave_no_machine() {
    check_mask(
        "GET /patients/4711/visits/2 HTTP/2 404",
        "GET /patients/…/visits/… HTTP/2 404",
    );
    check_mask("/a/1/22/333", "/a/…/…/…");
    check_mask("\"/p/MRN-004213\"", "\"/p/…\"");
    check_mask("/p/P12345/x", "/p/…/x");
    check_mask("/u/anna@example.com/x /u/b%40c.de", "/u/…/x /u/…");
    check_mask("/x/550E8400-e29b-41d4-a716-446655440000", "/x/…");
    check_mask("/s/d41d8cd98f00b204e9800998ecf8427e", "/s/…");
    check_mask("/invite/abcdefGHIJ1klmnopqrst", "/invite/…");
    check_mask("[/a/77] (/b/0a1b2c3d)x '/c/9'", "[/a/…] (/b/…)x '/c/…'");
    check_mask("?name[first]=Anna <?q>/1<", "?… <?…>/…<");
    check_mask("//12//id_2024-11-21.1/7", "//…//…/…");
}

#[test]
fn what_helps_to_understand_a_failure_stays() {
    for line in [
        "at /app/main.js:120:3",
        "http://127.0.0.1:8080/health answered 503",
        "/api/v1/records /usr/lib/x86_64-linux-gnu/libc.so.6",
        "open /app/static/site.css: no such file",
    ] {
        check_mask(line, line);
    }
}

#[test]
fn values_of_the_apps_environment_leave_no_machine() {
    let machine = tempfile::tempdir().unwrap();
    let state = machine.path().to_str().unwrap();
    let script = machine.path().join("boot.sh");
    std::fs::write(
        &script,
        SCRIPT.replace("STATE=/var/lib/arya", &format!("STATE={state}")),
    )
    .unwrap();
    let hide = |line: &str| bash(&[script.to_str().unwrap(), "hide"], line);
    assert_eq!(hide("nothing is secret yet\n"), "nothing is secret yet\n");

    std::fs::create_dir(machine.path().join("app")).unwrap();
    let env_file = r##"# COMMENT=not-a-secret
PLAIN=a.*b[c\d$&|/
SPACED = with a blank # and a comment
export QUOTED="say \"when\" at=ten" # the rest
SINGLE='it costs $1,000'
KEY="-----BEGIN KEY-----
MIIBVgIBADANBgkqhkiG9w0=
-----END KEY-----"
ESCAPED="first line\nsecond line"
SHORT=1234567
LONGER=a.*b[c\d$&|/and-more
"##;
    std::fs::write(machine.path().join("app/.env"), env_file).unwrap();
    for (line, expected) in [
        ("password=a.*b[c\\d$&|/;", "password=…;"),
        ("a.*b[c\\d$&|/and-more a.*b[c\\d$&|/a.*b[c\\d$&|/", "… ……"),
        ("axxb[c\\d$&|/", "axxb[c\\d$&|/"),
        ("<with a blank>", "<…>"),
        ("say \\\"when\\\" at=ten; say \"when\" at=ten", "…; …"),
        ("it costs $1,000", "…"),
        ("app-1 | MIIBVgIBADANBgkqhkiG9w0=", "app-1 | …"),
        ("first line and second line", "… and …"),
        ("1234567 and not-a-secret", "1234567 and not-a-secret"),
    ] {
        assert_eq!(hide(&format!("{line}\n")), format!("{expected}\n"), "{line}");
    }

    // What came from the account's stores; where that cannot be read, nothing leaves.
    std::fs::write(machine.path().join("environment"), "{}").unwrap();
    assert_eq!(hide("anything\n"), "");
    std::fs::write(machine.path().join("environment.values"), "пароль-1\n--help me\n").unwrap();
    assert_eq!(hide("x пароль-1 --help me y\0\n"), "x … … y\n");
}
