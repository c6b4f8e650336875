//! What strangers can send to Arya's own server, behind the HTTP library: forms, specs, JSON, and who they say they are.

use arya::foreign;

use crate::bundle::check_message;

/// A posted form.
pub(crate) fn run_form(bytes: &[u8]) {
    match foreign::form(bytes) {
        Ok(document) => {
            assert!(document.is_object(), "{document}");
            let _ = arya_plan::spec::Spec::parse(&document).map_err(|error| check_message(&error.sentence));
        }
        Err(refusal) => check_refusal(&refusal),
    }
}

/// A spec as a person writes it: the first byte chooses YAML or JSON.
pub(crate) fn run_body(bytes: &[u8]) {
    let Some((mode, text)) = bytes.split_first() else {
        return;
    };
    let kind = ["application/yaml", "application/json"][usize::from(mode & 1)];
    match foreign::spec(Some(kind), text) {
        Ok(spec) => {
            let again = foreign::spec(Some("application/json"), spec.to_string().as_bytes());
            assert_eq!(again, Ok(spec), "what was taken is not taken again");
        }
        Err(refusal) => check_refusal(&refusal),
    }
    match foreign::json(text) {
        // Whoever reads it otherwise must read the same.
        Ok(document) => assert_eq!(serde_json::from_slice::<serde_json::Value>(text).ok(), Some(document)),
        Err(refusal) => check_refusal(&refusal),
    }
}

/// Lines of `Cookie`, and behind a zero byte lines of `Authorization`.
pub(crate) fn run_caller(bytes: &[u8]) {
    let mut halves = bytes.splitn(2, |&byte| byte == 0);
    let mut lines = || -> Vec<&[u8]> {
        let half = halves.next().unwrap_or_default();
        half.split(|&byte| byte == b'\n')
            .filter(|line| !line.is_empty())
            .collect()
    };
    let (cookies, authorizations) = (lines(), lines());
    if !foreign::is_known(&cookies, &authorizations) {
        return;
    }
    let cookie = format!("{}={}", foreign::cookie_name(), foreign::SESSION);
    let by_cookie = cookies
        .iter()
        .flat_map(|line| line.split(|&byte| byte == b';'))
        .any(|pair| pair.trim_ascii() == cookie.as_bytes());
    let by_token = authorizations.iter().any(|line| {
        let words: Vec<&[u8]> = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect();
        matches!(*words, [scheme, token] if scheme.eq_ignore_ascii_case(b"bearer") && token == foreign::TOKEN.as_bytes())
    });
    assert!(by_cookie || by_token, "somebody unknown was let in");
}

fn check_refusal(refusal: &foreign::Refusal) {
    check_message(&refusal.detail);
    assert!((400..500).contains(&refusal.status), "{refusal:?}");
    assert!(
        refusal.next.as_ref().is_some_and(|next| next.ends_with('.')),
        "{refusal:?}"
    );
}

pub(crate) fn form_seeds() -> Vec<Vec<u8>> {
    [
        "name=emr+1.1&chosen=local:web+default&app.port=8080&app.health_check_path=%2Fhealth&canary_percent=5&action=plan",
        "action=paste&yaml=name%3A+a%0Aapp%3A+%7Bport%3A+1%7D&rest=%7B%22a%22%3A1%7D",
        "condition.field=path-pattern&condition.values=%2Fapi%2F*%0A%2Fv2%2F*&condition.field=&condition.values=",
        "acknowledged=volume%3Apgdata&acknowledged=production_zero&name=a&name=b",
        "a=%FF&b=%zz&&=&c",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

pub(crate) fn body_seeds() -> Vec<Vec<u8>> {
    const SPEC: &str = "name: emr\nlistener: local:web\nconditions:\n  - {field: path-pattern, values: [\"/api/*\"]}\n\
        app: &a {port: 8080, health_check_path: /health}\nbaseline: &v {image: 'sha256:D', compose: 'sha256:D'}\n\
        canary: *v\nplan_digest: abc\n";
    let spec = SPEC.replace('D', &"0".repeat(64));
    let json =
        r#"{"name":"emr","listener":"l","app":{"port":1,"port":2},"canary_percent":5e0,"x":[1,-2,0.5,null,"\u0061"]}"#;
    [
        [&[0], spec.as_bytes()].concat(),
        [&[1], json.as_bytes()].concat(),
        b"\x00a: &a [x]\nb: [*a, *a]\n<<: {c: |\n  d}\n".to_vec(),
    ]
    .to_vec()
}

pub(crate) fn caller_seeds() -> Vec<Vec<u8>> {
    [
        "a=b; arya_session=SESSION",
        "arya_session=forged; arya_session=SESSION\narya_session=\"SESSION\"",
        "arya_session=SESSION\0Bearer bad-token",
        "\0bearer  good-token ",
        "\0Basic good-token\nBearer good-token",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}
