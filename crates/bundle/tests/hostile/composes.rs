//! Compose files that are large, deep, self-referring, oddly encoded, or odd in what they publish.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use arya_bundle::{ComposeError, ComposeFile, Limits, Transport};

use crate::make::check_message;
use crate::measure::{DESCRIBING, within};

fn parse(text: &[u8]) -> Result<ComposeFile, ComposeError> {
    within(DESCRIBING, || ComposeFile::parse(text))
}

#[track_caller]
fn refused(text: impl AsRef<[u8]>, words: &[&str]) {
    let error = parse(text.as_ref()).expect_err("must be refused");
    check_message(&error.to_string(), words);
}

#[track_caller]
fn taken(text: impl AsRef<[u8]>) -> ComposeFile {
    parse(text.as_ref()).unwrap_or_else(|e| panic!("{e}"))
}

fn web(lines: &str) -> String {
    let lines: String = lines.lines().map(|line| format!("    {line}\n")).collect();
    format!("services:\n  web:\n    image: x\n{lines}")
}

#[test]
fn aliases_do_not_multiply() {
    let mut lists = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    let mut maps = "a0: &a0 {k: x}\n".to_owned();
    for level in 1..30 {
        let before = vec![format!("*a{}", level - 1); 9].join(", ");
        writeln!(lists, "a{level}: &a{level} [{before}]").unwrap();
        writeln!(maps, "a{level}: &a{level} {{p: *a{0}, q: *a{0}}}", level - 1).unwrap();
    }
    refused(
        format!("{lists}services: {{web: {{image: x, labels: *a29}}}}"),
        &["not valid YAML"],
    );
    refused(
        format!("{maps}services: {{web: {{image: x, labels: *a29}}}}"),
        &["not valid YAML"],
    );
    let long = format!("a: &a '{}'\nb: [{}]\n", "x".repeat(900_000), vec!["*a"; 1000].join(","));
    refused(format!("{long}services: {{web: {{image: x}}}}"), &["not valid YAML"]);
    refused(
        "a: &a [*a]\nservices: {web: {image: x, labels: *a}}",
        &["not valid YAML"],
    );
    refused("services: &s {web: {image: x, labels: *s}}", &["not valid YAML"]);
    refused("services: {web: &w {<<: *w, image: x}}", &["not valid YAML"]);
    let anchors: String = (0..40_000).map(|number| format!("&a{number} x, ")).collect();
    let _ = parse(format!("a: [{anchors}]\nservices: {{web: {{image: x}}}}").as_bytes());
}

#[test]
fn merge_keys_follow_compose() {
    let file = taken(
        "x-a: &a {image: a, user: a}\nx-b: &b {<<: *a, user: b, restart: no}\n\
         services: {web: {<<: [*b, *a], restart: always}, own: {<<: *a, image: own}, last: {image: own, <<: *a}}",
    );
    let web = &file.services["web"];
    assert_eq!(
        (web.image.as_deref(), web.user.as_deref(), web.restart.as_deref()),
        (Some("a"), Some("b"), Some("always"))
    );
    assert_eq!(file.services["own"].image.as_deref(), Some("own"));
    assert_eq!(
        file.services["last"].image.as_deref(),
        Some("own"),
        "an own key wins wherever it stands"
    );
    for merge in ["3", "x", "[3]", "[[a]]", "*gone"] {
        refused(
            format!("services: {{web: {{<<: {merge}, image: x}}}}"),
            &["not valid YAML"],
        );
    }
    let keys: String = (0..2000).map(|number| format!("k{number}: x, ")).collect();
    let many: String = (0..2000).map(|number| format!("  s{number}: {{<<: *a}}\n")).collect();
    refused(
        format!("x-a: &a {{image: x, {keys}}}\nservices:\n{many}"),
        &["not valid YAML"],
    );
}

#[test]
fn large_files_are_not_read() {
    refused(vec![b'#'; 10 << 20], &["compose_bytes", "1048576"]);
    let comments = "#\n".repeat(520_000);
    refused(&comments, &["no `services`"]);
    taken(format!(
        "services: {{web: {{image: x, labels: {{a: '{}'}}}}}}",
        "x".repeat(1_000_000)
    ));
    taken(format!(
        "services:\n  web:\n    image: x\n    command: |\n{}",
        "      line\n".repeat(80_000)
    ));
}

/// Each line is a shape that some YAML parser takes quadratic time for.
#[test]
fn no_shape_takes_for_ever() {
    let shapes = [
        "[",
        "{",
        "- ",
        "? ",
        "!!x ",
        "&a ",
        "*a ",
        "[{",
        "{a: [",
        "a: ",
        "'",
        "\"",
        "|\n",
        ">\n ",
        "--- \n",
        "...\n",
        "%TAG ! x\n",
        "a:\n  ",
        "\t",
        " ",
        "\n",
        "[a, ",
        "{a: b, ",
        "x,",
        "\"a\" ",
        "? a\n",
        "- - ",
        "'' ",
        "#",
        "\\x",
        "a\n\n",
        "\u{feff}",
        "é",
        "[],",
        "{},",
        "<<: {",
        "{? ",
        "a: &b *b\n",
        "\r",
        "@",
        "`",
        "!<",
        "!",
        ": ",
        "-\n",
    ];
    for shape in shapes {
        for start in [
            "",
            "services: {web: {image: x, labels: ",
            "services:\n  web:\n    image: ",
        ] {
            let text = format!("{start}{}", shape.repeat(120_000 / shape.len()));
            if let Err(error) = parse(text.as_bytes()) {
                check_message(&error.to_string(), &[]);
            }
        }
    }
}

#[test]
fn other_encodings_are_named() {
    let utf16 = |text: &str, order: fn(u16) -> [u8; 2]| -> Vec<u8> { text.encode_utf16().flat_map(order).collect() };
    let text = "\u{feff}services: {web: {image: x}}";
    for bytes in [utf16(text, u16::to_le_bytes), utf16(text, u16::to_be_bytes)] {
        refused(&bytes, &["not UTF-8"]);
        let error = arya_bundle::describe(&bytes[..], &Limits::default()).unwrap_err();
        check_message(&error.to_string(), &["UTF-16", "save it as UTF-8"]);
    }
    taken("\u{feff}services: {web: {image: x}}");
    refused(b"services: {web: {image: \xe9}}", &["not UTF-8", "byte 24"]);
    for control in ["\0", "\x01", "\x1b", "\x7f"] {
        let text = format!("services: {{web: {{image: 'a{control}b'}}}}");
        if let Err(error) = parse(text.as_bytes()) {
            check_message(&error.to_string(), &["not valid YAML"]);
        }
    }
    refused("services:\n\tweb: {image: x}", &["not valid YAML", "line 2"]);
}

#[test]
fn keys_are_names() {
    refused("services: {a: {image: x}, a: {image: y}}", &["not valid YAML"]);
    refused("services: {web: {image: x, image: y}}", &["not valid YAML"]);
    refused("services: {[a]: {image: x}}", &["not valid YAML"]);
    refused("services: {? {a: b} : {image: x}}", &["not valid YAML"]);
    for name in ["a b", "a/b", "größe", "''", "'a:b'", "'$A'"] {
        refused(format!("services: {{{name}: {{image: x}}}}"), &["service name"]);
    }
    // A number is a name, as Compose has it.
    for (written, name) in [("1", "1"), ("01x", "01x"), ("a.b-c_d", "a.b-c_d")] {
        assert!(
            taken(format!("services: {{{written}: {{image: x}}}}"))
                .services
                .contains_key(name),
            "{written}"
        );
    }
    let long = "k".repeat(300);
    refused(
        format!("services: {{web: {{image: x, labels: {{{long}: x}}}}}}"),
        &["longer than 255 bytes"],
    );
    let nested = format!("{}x{}", format!("{{{}: ", "k".repeat(250)).repeat(25), "}".repeat(25));
    let leaves = vec!["$A"; 20_000].join(",");
    let text = format!(
        "services: {{web: {{image: x, labels: {}}}}}",
        nested.replace('x', &format!("[{leaves}]"))
    );
    refused(text, &["too many places"]);
}

#[test]
fn scalars_of_any_size_are_texts() {
    for number in [
        "9".repeat(30),
        format!("0.{}", "1".repeat(5000)),
        "-0".to_owned(),
        "0x1F".to_owned(),
    ] {
        taken(web(&format!("user: {number}")));
    }
    for number in ["9".repeat(5000), "1e400".to_owned()] {
        refused(web(&format!("user: {number}")), &["no number that can be read"]);
    }
    for word in [
        ".inf",
        ".nan",
        "~",
        "null",
        "!!binary aGk=",
        "2001-01-01",
        "!custom x",
        "0o17",
        "1_000",
    ] {
        if let Err(error) = parse(web(&format!("user: {word}")).as_bytes()) {
            check_message(&error.to_string(), &[]);
        }
    }
}

#[track_caller]
fn ports(line: &str, shown: &[&str]) {
    let file = taken(web(&format!("ports: {line}")));
    let found: Vec<_> = file.services["web"].ports.iter().map(ToString::to_string).collect();
    assert_eq!(found, shown, "{line}");
}

#[test]
fn ports_are_read_as_compose_reads_them() {
    ports(
        "[80, '80', '8080:80', '8080:80/udp', '9-10:9-10', '127.0.0.1:1:1', '[::1]:1:1']",
        &["any:80", "any:80", "8080:80", "8080:80/udp", "9-10:9-10", "1:1", "1:1"],
    );
    ports(
        "['${P:-8080}:80', '${NONE}:80', '1:1/SCTP']",
        &["8080:80", "any:80", "1:1/sctp"],
    );
    ports(
        "[{target: 80, published: '8080-8090', mode: host, app_protocol: http, name: web}]",
        &["8080-8090:80"],
    );
    ports(
        "[{target: '80', published: 8080, host_ip: '::1', protocol: udp}]",
        &["8080:80/udp"],
    );
    ports("['8080:80', '8080:80']", &["8080:80", "8080:80"]);
    ports("['1-65535:1-65535']", &["1-65535:1-65535"]);
    let text = web("ports: ['127.0.0.1:8080:80', {target: 1, published: 2, host_ip: 127.0.0.1}]");
    assert!(
        taken(text).services["web"]
            .ports
            .iter()
            .all(arya_bundle::PortMapping::only_on_loopback)
    );
    assert_eq!(
        taken(web("ports: ['1:1/sctp']")).services["web"].ports[0].transport,
        Transport::Sctp
    );
    assert_eq!(
        taken(web("ports: ['1:1/sctp']")).services["web"].container_port(1),
        None
    );
}

#[test]
fn odd_ports_are_refused_by_their_place() {
    for port in [
        "0",
        "70000",
        "'0:80'",
        "'80:0'",
        "'8080:70000'",
        "'8080: 80'",
        "' 8080:80'",
        "'8080:80 '",
        "-1",
        "'+80'",
        "80.5",
        "0x50x",
        "'80/'",
        "'80/icmp'",
        "'a:b'",
        "'1:2:3:4'",
        "'90-80'",
        "'80-82:80-81'",
        "'80-'",
        "[80]",
        "true",
        "null",
        "''",
        "':'",
        "'host:80:80'",
        "'300.0.0.1:80:80'",
        "'８０:80'",
        "'80\\n:80'",
        "99999999999999999999",
        "{target: 0}",
        "{target: 70000}",
        "{target: [80]}",
        "{published: 80}",
        "{target: 80, published: 'x'}",
        "{target: 80, host_ip: nowhere}",
        "{target: 80, protocol: icmp}",
        "{target: 80, published: '90-80'}",
        "{}",
        "{target: ' 80'}",
        "{target: 80, host_ip: 5}",
    ] {
        refused(web(&format!("ports: [{port}]")), &["services.web.ports"]);
    }
    refused(web("ports: '80:80'"), &["must be a list"]);
    refused(web("ports: {a: 80}"), &["must be a list"]);
}

#[test]
fn ranges_of_ports_stay_ranges() {
    let many = vec!["'1-65535'"; 10_000].join(",");
    taken(web(&format!("expose: [{many}]")));
    taken(web(&format!(
        "ports: [{}]",
        vec!["'1-65535:1-65535'"; 10_000].join(",")
    )));
}

#[test]
fn other_files_are_named_and_not_read() {
    let file = taken(
        "include: [/etc/passwd, {path: ['../a', '${B:-b}']}]\nservices: {web: {extends: {file: /etc/shadow, service: s}, \
         profiles: [p]}, other: {image: x, extends: web}}",
    );
    assert_eq!(file.includes, ["/etc/passwd", "../a", "b"]);
    let names: Vec<_> = file.findings(&["web"]).iter().map(arya_bundle::Finding::name).collect();
    assert_eq!(
        names,
        ["extends:web", "include:../a", "include:/etc/passwd", "include:b"]
    );
    assert_eq!(file.services["web"].profiles, ["p"]);
    assert_eq!(file.services["other"].extends.as_deref(), Some("web"));
    refused(
        "include: {a: b}\nservices: {web: {image: x}}",
        &["include", "must be a list"],
    );
    refused("services: {web: {extends: [a]}}", &["extends"]);
}

#[test]
fn variables_do_not_multiply() {
    let deep = |levels: usize| format!("{}x{}", "${A:-".repeat(levels), "}".repeat(levels));
    taken(web(&format!("user: '{}'", deep(15))));
    refused(web(&format!("user: '{}'", deep(100))), &["nests variables"]);
    refused(web(&format!("user: '{}'", deep(100_000))), &["nests variables"]);
    refused(web(&format!("user: '{}'", "${".repeat(300_000))), &["without `}`"]);
    taken(web(&format!("user: '{}'", "${A:-x}".repeat(100_000))));
    let names: String = (0..60_000).map(|number| format!("$A{number}")).collect();
    refused(web(&format!("user: '{names}'")), &["too many places"]);
    let given = BTreeMap::from([("BIG".to_owned(), "x".repeat(100_000))]);
    let text = web(&format!("user: '{}'", "$BIG".repeat(200_000)));
    let error = within(DESCRIBING, || {
        ComposeFile::parse_with(text.as_bytes(), &given, &Limits::default())
    });
    check_message(&error.unwrap_err().to_string(), &["grows too long"]);
    // Each text is small enough, all together are not.
    let text = web(&format!("labels: [{}]", vec!["$BIG"; 100].join(",")));
    let error = within(DESCRIBING, || {
        ComposeFile::parse_with(text.as_bytes(), &given, &Limits::default())
    });
    check_message(&error.unwrap_err().to_string(), &["grows too long"]);
}

#[test]
fn a_value_that_holds_a_dollar_is_not_filled_in_again() {
    let given = BTreeMap::from([
        ("A".to_owned(), "${B} $$".to_owned()),
        ("B".to_owned(), "secret".to_owned()),
    ]);
    let file = ComposeFile::parse_with(web("user: '$A'").as_bytes(), &given, &Limits::default()).unwrap();
    assert_eq!(file.services["web"].user.as_deref(), Some("${B} $$"));
}

#[test]
fn many_services_do_not_make_a_long_message() {
    let many: String = (0..3000)
        .map(|number| format!("  s{number}: {{image: x, ports: ['80:80']}}\n"))
        .collect();
    let file = taken(format!("services:\n{many}"));
    check_message(&file.app_service(80).unwrap_err().to_string(), &["and 2990 more"]);
    assert!(file.app_service(81).unwrap_err().to_string().len() < 2000);
    assert!(file.service("gone").unwrap_err().to_string().contains("and 2990 more"));
    let volumes: String = (0..5000).map(|number| format!("v{number}: , ")).collect();
    let mounts: String = (0..5000).map(|number| format!("'v{number}:/v', ")).collect();
    taken(format!(
        "services: {{web: {{image: x, volumes: [{mounts}]}}}}\nvolumes: {{{volumes}}}"
    ));
}
