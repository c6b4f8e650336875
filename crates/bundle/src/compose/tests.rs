//! What is understood of compose files, what is refused, and what is found in them.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::digest::Digest;

const WHOLE: &str = r#"
name: shop
x-common: &common
  restart: always
  environment: &env
    TZ: UTC
services:
  web:
    <<: *common
    image: emr:${TAG:-1.1}
    command: run --port 80 "two words"
    entrypoint: [/app, serve]
    environment:
      <<: *env
      COUNT: 3
      DEBUG: true
      TOKEN:
      PASSWORD: hunter2
    env_file:
      - .env
      - path: more.env
        required: false
    ports: ["8080:80", "127.0.0.1:9000:9000", {target: 443, published: "8443", protocol: tcp}]
    expose: [7000, "7001/tcp"]
    volumes:
      - uploads:/srv/uploads
      - ./conf:/conf:ro
      - /cache
      - {type: tmpfs, target: /run}
    depends_on: {db: {condition: service_healthy}}
    platform: linux/amd64
    healthcheck: {test: curl -f http://localhost, interval: 5s}
    deploy: {replicas: 2}
    secrets: [key]
  worker:
    image: emr:1.1
    profiles: [jobs]
    depends_on: [db]
  db:
    image: docker.io/bitnami/postgresql:16
    volumes: ["pgdata:/data"]
volumes:
  uploads:
  pgdata: {external: true}
secrets:
  key: {file: ./key.pem}
networks: {inner: {}}
"#;

#[track_caller]
fn parse(text: &str) -> ComposeFile {
    ComposeFile::parse(text.as_bytes()).unwrap()
}

/// A file with one service `web` of image `x` and these further lines.
fn web(lines: &str) -> String {
    format!(
        "services:\n  web:\n    image: x\n{}",
        lines.lines().map(|line| format!("    {line}\n")).collect::<String>()
    )
}

/// The file is refused and the reason contains each of these words.
#[track_caller]
fn refused(text: &str, words: &[&str]) {
    let reason = ComposeFile::parse(text.as_bytes())
        .expect_err("must be refused")
        .to_string();
    for word in words {
        assert!(reason.contains(word), "`{word}` is not in: {reason}");
    }
}

fn image(references: &[&str]) -> ImageDescription {
    ImageDescription {
        references: references.iter().map(|name| (*name).to_owned()).collect(),
        architecture: "amd64".to_owned(),
        os: "linux".to_owned(),
        variant: None,
        exposed_ports: vec![],
        env_names: vec![],
        env: crate::description::ImageEnvironment::default(),
        entrypoint: vec![],
        cmd: vec![],
        working_dir: String::new(),
        user: String::new(),
        layers: vec![],
        image_id: Digest::of(b"config"),
    }
}

#[test]
fn a_whole_file_is_understood() {
    let file = parse(WHOLE);
    let web = &file.services["web"];
    assert_eq!(file.name.as_deref(), Some("shop"));
    assert_eq!(web.image.as_deref(), Some("emr:1.1"));
    assert_eq!(web.command.as_deref().unwrap(), ["run", "--port", "80", "two words"]);
    assert_eq!(web.entrypoint.as_deref().unwrap(), ["/app", "serve"]);
    assert_eq!(web.restart.as_deref(), Some("always"));
    assert_eq!(web.env_files.len(), 2);
    assert!(web.env_files[0].required && !web.env_files[1].required);
    assert_eq!(web.container_port(8443), Some(443));
    assert_eq!(web.expose, [7000..=7000, 7001..=7001]);
    assert_eq!(web.mounts.len(), 4);
    assert_eq!(web.depends_on[0].condition, "service_healthy");
    assert_eq!(web.platform.as_deref(), Some("linux/amd64"));
    assert_eq!(
        web.healthcheck.as_ref().unwrap().test,
        ["CMD-SHELL", "curl -f http://localhost"]
    );
    assert_eq!(file.services["worker"].profiles, ["jobs"]);
    assert!(file.volumes.iter().eq(["pgdata", "uploads"]));
    assert_eq!(file.secrets["key"].as_deref(), Some("./key.pem"));
    assert_eq!(file.unhandled, ["services.web.deploy", "networks"]);
}

#[test]
fn environments_of_both_forms_are_read() {
    let map = parse(WHOLE);
    let map = map.services["web"].environment.pairs();
    let value = |pairs: &[(String, EnvironmentValue)], name: &str| {
        pairs.iter().find(|(key, _)| key == name).map(|(_, value)| match value {
            EnvironmentValue::Set(value) => value.clone(),
            EnvironmentValue::FromOutside => "(outside)".to_owned(),
        })
    };
    for (name, expected) in [("TZ", "UTC"), ("COUNT", "3"), ("DEBUG", "true"), ("TOKEN", "(outside)")] {
        assert_eq!(value(map, name).as_deref(), Some(expected), "{name}");
    }
    let list = parse(&web("environment: [A=1=2, B, C=]"));
    let list = list.services["web"].environment.pairs();
    for (name, expected) in [("A", "1=2"), ("B", "(outside)"), ("C", "")] {
        assert_eq!(value(list, name).as_deref(), Some(expected), "{name}");
    }
}

#[test]
fn environment_values_are_not_shown() {
    assert!(!format!("{:?}", parse(WHOLE)).contains("hunter2"));
}

#[test]
fn texts_that_look_like_booleans_stay_texts() {
    let file = parse(&web("restart: no\ncommand: [yes, on, 010]"));
    assert_eq!(file.services["web"].restart.as_deref(), Some("no"));
    assert_eq!(file.services["web"].command.as_deref().unwrap()[..2], ["yes", "on"]);
}

#[test]
fn numbers_become_the_texts_that_compose_makes_of_them() {
    let numbers = [
        ("1.10", "1.1"),
        ("9.0", "9"),
        ("1e3", "1000"),
        ("1e21", "1e+21"),
        ("0.00001", "1e-05"),
        ("-0.5", "-0.5"),
        ("0755", "493"),
        ("0x1F", "31"),
        ("12345678901234567890", "12345678901234567890"),
        ("'0755'", "0755"),
    ];
    for (written, text) in numbers {
        let file = parse(&web(&format!("user: {written}")));
        assert_eq!(file.services["web"].user.as_deref(), Some(text), "{written}");
    }
}

#[test]
fn any_number_of_comment_lines_may_stand_anywhere() {
    let comments = "    # image: y\n".repeat(300);
    let file = parse(&format!(
        "services:\n{comments}  web:\n{comments}    image: x\n{comments}    ports:\n{comments}    - 80:80\n"
    ));
    assert_eq!(file.services["web"].ports.len(), 1);
}

#[test]
fn ports_without_quotes_are_ports_and_no_times() {
    let file = parse(&web("ports:\n  - 22:22\n  - 3306:3306\n  - 80\n"));
    let shown: Vec<_> = file.services["web"].ports.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["22:22", "3306:3306", "any:80"]);
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_do_not_matter() {
    let file = parse("\u{feff}services:\r\n  web:\r\n    image: x\r\n");
    assert_eq!(file.services["web"].image.as_deref(), Some("x"));
}

#[test]
fn an_empty_command_takes_the_images_away() {
    assert_eq!(parse(&web("command: []")).services["web"].command, Some(vec![]));
    assert_eq!(parse(&web("command:")).services["web"].command, None);
}

#[test]
fn the_app_is_the_service_that_publishes_the_port() {
    let file = parse(WHOLE);
    assert_eq!(file.app_service(8080).unwrap().name, "web");
    let text = file.app_service(1).unwrap_err().to_string();
    assert!(text.contains("`web` publishes 8080:80, 9000:9000, 8443:443"), "{text}");
    let text = parse(&web("")).app_service(80).unwrap_err().to_string();
    assert!(text.contains("none publishes any"), "{text}");
    let text = parse(&web("network_mode: host"))
        .app_service(80)
        .unwrap_err()
        .to_string();
    assert!(text.contains("host's network"), "{text}");
    let twice = "services: {a: {image: x, ports: ['80:1']}, b: {image: x, ports: ['79-81:2']}}";
    let text = parse(twice).app_service(80).unwrap_err().to_string();
    assert!(text.contains("`a`, `b`"), "{text}");
}

#[test]
fn images_are_compared_as_docker_does() {
    let file = parse(WHOLE);
    assert_eq!(file.services_of(&image(&["docker.io/library/emr:1.1"])).len(), 2);
    assert!(file.names_image(&image(&["other:1", "emr:1.1"])));
    assert!(!file.names_image(&image(&["emr:1.2"])));
    assert!(!file.names_image(&image(&[])));
    let by_id = parse(&format!("services: {{web: {{image: '{}'}}}}", Digest::of(b"config")));
    assert!(by_id.names_image(&image(&[])));
}

#[track_caller]
fn check_findings(text: &str, run: &[&str], expected: &[&str]) {
    let mut names: Vec<_> = parse(text).findings(run).iter().map(Finding::name).collect();
    names.sort();
    assert_eq!(names, expected);
}

#[test]
fn findings_are_those_of_the_services_that_run() {
    let web = [
        "bind:./conf",
        "dependency:web:db",
        "env_file:.env",
        "env_file:more.env",
        "file:./key.pem",
        "variable:TOKEN",
        "volume:uploads",
        "volume:web:/cache",
    ];
    check_findings(WHOLE, &["web"], &web);
    let with_database = [
        "bind:./conf",
        "database:db",
        "env_file:.env",
        "env_file:more.env",
        "file:./key.pem",
        "service:db",
        "variable:TOKEN",
        "volume:pgdata",
        "volume:uploads",
        "volume:web:/cache",
    ];
    check_findings(WHOLE, &["web", "db", "gone"], &with_database);
}

#[test]
fn builds_host_networks_extensions_and_includes_are_found() {
    check_findings("services: {web: {build: ./src}}", &["web"], &["build:web"]);
    check_findings(&web("network_mode: host"), &["web"], &["host_network:web"]);
    check_findings(
        "services: {web: {extends: {file: base.yml, service: b}}}",
        &["web"],
        &["extends:web"],
    );
    check_findings(
        "include: [a.yml, {path: [b.yml]}]\nservices: {web: {image: x}}",
        &["web"],
        &["include:a.yml", "include:b.yml"],
    );
}

#[test]
fn variables_without_a_value_are_found_where_they_are_used() {
    let text =
        "services: {a: {image: '${A}'}, web: {image: 'x:${A}${B:-1}', user: '${C:?say who}'}, z: {image: '${Z}'}}";
    check_findings(text, &["web"], &["variable:A", "variable:C"]);
    let file = parse(text);
    assert_eq!(
        file.missing_variables[0].used_at,
        ["services.a.image", "services.web.image"]
    );
    assert_eq!(file.missing_variables[1].required.as_deref(), Some("say who"));
    let given = [("A".to_owned(), "2".to_owned())].into();
    let file = ComposeFile::parse_with(text.as_bytes(), &given, &Limits::default()).unwrap();
    assert_eq!(file.services["web"].image.as_deref(), Some("x:21"));
}

#[test]
fn databases_are_known_by_their_image() {
    let names = |image: &str| parse(&format!("services: {{web: {{image: '{image}'}}}}")).findings(&["web"]);
    for image in [
        "postgres",
        "postgres:16-alpine",
        "bitnami/postgresql",
        "ghcr.io/x/mariadb@sha256:00",
        "redis/redis-stack-server",
        "mcr.microsoft.com/mssql/server:2022-latest",
        "localhost:5000/mongo",
        "docker.elastic.co/elasticsearch/elasticsearch:8.1",
    ] {
        assert!(matches!(names(image)[..], [Finding::Database { .. }]), "{image}");
    }
    for image in ["postgres-exporter", "me/redis-commander", "emr", "mysql/app"] {
        assert_eq!(names(image), [], "{image}");
    }
}

#[test]
fn every_finding_says_whom_it_concerns() {
    for finding in parse(WHOLE).findings(&["web", "worker", "db"]) {
        let sentence = finding.sentence();
        assert!(sentence.contains('`') && sentence.ends_with('.'), "{sentence}");
    }
}

#[test]
fn what_is_no_compose_file_is_refused() {
    for text in [
        "",
        "hello",
        "- a\n- b",
        "a: 1",
        "services:",
        "services: []",
        "services: {}",
        "null",
        "42",
    ] {
        refused(text, &["no `services`"]);
    }
}

#[test]
fn broken_yaml_is_refused_with_its_place() {
    refused("services:\n  web:\n   image: [x\n", &["not valid YAML", "line "]);
    refused("services:\n\tweb: {}", &["not valid YAML", "line 2"]);
    refused("services: {a: {image: x}}\nservices: {}", &["not valid YAML", "line 2"]);
    refused("services: {a: {image: x}}\n---\nservices: {}", &["not valid YAML"]);
    refused("services: *nothing", &["not valid YAML"]);
    let error = ComposeFile::parse(b"services: \xff").unwrap_err();
    assert_eq!(error, ComposeError::NotText { at: 10 });
}

#[test]
fn wrong_values_are_refused_by_their_path() {
    refused("services: {web: {}}", &["services.web", "names no `image`"]);
    refused("services: {web: x}", &["services.web", "must be a mapping", "a text"]);
    refused("services: {web: {image: [x]}}", &["services.web.image", "a list"]);
    refused(&web("ports: 80"), &["services.web.ports", "must be a list"]);
    refused(&web("ports: ['80', x]"), &["services.web.ports[1]", "`x`"]);
    refused(&web("ports: [{published: 80}]"), &["target"]);
    refused(&web("ports: [[80]]"), &["services.web.ports[0]"]);
    refused(&web("ports: [99999999999999999999]"), &["port"]);
    refused(&web("ports: [80.5]"), &["port"]);
    refused(&web("expose: [x]"), &["services.web.expose[0]"]);
    refused(&web("environment: 3"), &["services.web.environment"]);
    refused(&web("environment: {A: [1]}"), &["services.web.environment.A"]);
    refused(&web("environment: ['=x']"), &["without a name"]);
    refused(&web("command: 'open \"quote'"), &["quote"]);
    refused(&web("image2: ${"), &["${"]);
    refused(&web("env_file: [{required: true}]"), &["path"]);
    refused(&web("healthcheck: {test: {a: b}}"), &["healthcheck"]);
}

#[test]
fn names_that_lead_nowhere_are_refused() {
    refused(&web("volumes: ['v:/v']"), &["volume `v`", "not declare"]);
    refused(&web("depends_on: [gone]"), &["service `gone`"]);
    refused(&web("secrets: [s]"), &["secret `s`"]);
    refused(&web("configs: [{source: c}]"), &["config `c`"]);
    parse(&web("depends_on: {gone: {required: false}}"));
}

#[test]
fn an_alias_bomb_is_refused() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let before = vec![format!("*a{}", level - 1); 9].join(", ");
        writeln!(text, "a{level}: &a{level} [{before}]").unwrap();
    }
    text.push_str("services: {web: {image: x, labels: *a11}}\n");
    refused(&text, &["not valid YAML"]);
}

#[test]
fn a_long_text_repeated_by_aliases_is_refused() {
    let long = "x".repeat(500_000);
    let aliases = vec!["*a"; 90].join(", ");
    refused(
        &format!("x-a: &a {long}\nx-b: [{aliases}]\nservices: {{web: {{image: x}}}}"),
        &["not valid YAML"],
    );
}

#[test]
fn deep_and_large_files_are_refused() {
    refused(
        &format!("services: {}{}", "[".repeat(5000), "]".repeat(5000)),
        &["not valid YAML"],
    );
    refused(
        &format!("services: {}x{}", "{a: ".repeat(5000), "}".repeat(5000)),
        &["not valid YAML"],
    );
    let blocks: String = (0..1000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    refused(&blocks, &["not valid YAML"]);
    refused(
        &format!("services: {{web: {{image: {}}}}}", "x".repeat(2 << 20)),
        &["compose_bytes"],
    );
    refused(
        &format!("services: {{web: {{image: x, a: [{}]}}}}", "1,".repeat(100_000)),
        &["not valid YAML"],
    );
}

#[test]
fn merge_keys_may_be_lists_and_are_bounded() {
    let file = parse("x-a: &a {image: x}\nx-b: &b {user: u}\nservices: {web: {<<: [*a, *b], user: v}}");
    assert_eq!(file.services["web"].user.as_deref(), Some("v"));
    refused("services: {web: {<<: 3, image: x}}", &["not valid YAML"]);
}

proptest! {
    #[test]
    fn random_text_never_panics(text in ".{0,300}") {
        let _ = ComposeFile::parse(text.as_bytes());
    }

    #[test]
    fn random_values_never_panic(key in prop::sample::select(vec!["image", "command", "environment", "env_file",
        "ports", "expose", "volumes", "depends_on", "healthcheck", "build", "secrets", "extends", "profiles"]),
        value in "[-a-z0-9:/.${}\\[\\], '\"=&*!|>~é]{0,40}") {
        let _ = ComposeFile::parse(web(&format!("{key}: {value}")).as_bytes());
    }

    #[test]
    fn a_file_cut_anywhere_never_panics(length in 0..WHOLE.len()) {
        let _ = ComposeFile::parse(&WHOLE.as_bytes()[..length]);
    }
}
