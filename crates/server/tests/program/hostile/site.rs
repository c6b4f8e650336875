//! Paths, methods, origins, cookies and forms.

use serde_json::json;

use crate::running::{Answer, Running};

fn session(running: &Running) -> String {
    let answer = running
        .post("/login")
        .without_token()
        .header("sec-fetch-site", "same-origin")
        .body(
            "application/x-www-form-urlencoded",
            format!("token={}", running.token()),
        )
        .send();
    assert_eq!(answer.status, 303, "{}", answer.text);
    answer.header("set-cookie").split(';').next().unwrap().to_owned()
}

/// A page that says what went wrong: not blank, not somebody else's text, and nothing of the inside.
fn is_a_page_for_people(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{}", answer.text);
    assert!(
        answer.header("content-type").starts_with("text/html"),
        "{}",
        answer.text
    );
    assert!(answer.text.contains("</html>"), "{}", answer.text);
    for inside in ["panicked", "Err(", "deserialize", "src/"] {
        assert!(!answer.text.contains(inside), "{inside}: {}", answer.text);
    }
}

#[test]
fn tricks_with_paths_lead_nowhere() {
    let running = Running::start_with(&["--load", "0"]);
    for path in [
        "/static/../Cargo.toml",
        "/static/..%2f..%2fCargo.toml",
        "/static/%2e%2e/%2e%2e/etc/passwd",
        "/static/%2e%2e%5cCargo.toml",
        "/static/app.css%00.html",
        "/static//app.css",
        "/static/",
        "/static/APP.CSS",
    ] {
        let answer = running.get(path).without_token().header("accept", "text/html").send();
        assert!(
            matches!(answer.status, 400 | 404),
            "{path}: {} {}",
            answer.status,
            answer.text
        );
        assert!(
            !answer.text.contains("[package]") && !answer.text.contains("root:"),
            "{path}"
        );
    }
    for path in [
        "//api/v1/deployments",
        "/api//v1/deployments",
        "/api/v1/deployments/",
        "/api/v1/deployments/%2e%2e/plans",
        "/api/v1/deployments/..",
        "/api/v1/deployments/%00",
        "/api/v1/deployments/%ff",
        "/api/v1/deployments/3b241101-e2bb-4255-8caf-4136c566a962%00",
        "/API/v1/deployments",
        "/api/v1/%64eployments%2f",
        "/deployments/%2e%2e%2f%2e%2e",
        "/deployments/a%2fb",
        "/static/../api/v1/deployments",
        "/healthz/../api/v1/deployments",
    ] {
        let stranger = running.get(path).without_token().send();
        assert!(
            matches!(stranger.status, 400 | 401 | 404),
            "{path}: {}",
            stranger.status
        );
        assert!(!stranger.text.contains("\"deployments\""), "{path}: {}", stranger.text);
        let ours = running.get(path).send();
        assert!(
            matches!(ours.status, 400 | 404),
            "{path}: {} {}",
            ours.status,
            ours.text
        );
    }
    // What is encoded without need is the same path, also for the guard.
    let encoded = "/%61pi/v1/deployments";
    assert!(matches!(running.get(encoded).without_token().send().status, 401 | 404));
}

#[test]
fn every_address_answers_every_method() {
    let running = Running::start_with(&["--load", "0"]);
    let document = running.get("/api/openapi.json").send().json();
    let id = "3b241101-e2bb-4255-8caf-4136c566a962";
    let api = document["paths"]
        .as_object()
        .unwrap()
        .keys()
        .map(|path| path.replace("{id}", id));
    let pages = [
        "/",
        "/new",
        "/connect",
        "/demo",
        "/login",
        "/logout",
        "/live",
        "/static/app.css",
        "/nothing",
        "/monitor",
    ];
    let more = [
        format!("/deployments/{id}"),
        format!("/deployments/{id}/weight"),
        format!("/deployments/{id}/destroy"),
    ];
    let all: Vec<String> = api.chain(pages.map(str::to_owned)).chain(more).collect();
    assert!(all.len() > 20, "{all:?}");
    for path in &all {
        for method in ["PATCH", "DELETE", "OPTIONS", "TRACE", "PUT", "POST", "HEAD"] {
            let changes = path == "/demo" || path == "/logout" || path.ends_with("/try/production-deploys");
            if method == "POST" && changes {
                continue;
            }
            let answer = running.other(method, path.clone()).send();
            assert!(
                answer.status < 500,
                "{method} {path}: {} {}",
                answer.status,
                answer.text
            );
            if matches!(method, "PATCH" | "DELETE" | "TRACE") {
                // A method that may change something is refused outside the API, before its address is looked at.
                assert!(matches!(answer.status, 403..=405), "{method} {path}: {}", answer.status);
                let kind = answer.header("content-type");
                assert!(
                    kind.starts_with("text/html") || kind.contains("json"),
                    "{method} {path}: {kind:?}"
                );
            }
        }
    }
    assert_eq!(
        running.get("/api/v1/deployments").send().json()["deployments"],
        json!([])
    );
}

#[test]
fn a_cookie_alone_changes_nothing_from_elsewhere() {
    let running = Running::start_with(&["--load", "0"]);
    let session = session(&running);
    let port = running.ui().rsplit(':').next().unwrap().to_owned();
    let forged: [&[(&str, &str)]; 9] = [
        &[],
        &[("origin", "null")],
        &[("origin", "http://evil.example")],
        &[("origin", "https://127.0.0.1")],
        &[("origin", "http://127.0.0.1:1")],
        &[("origin", "http://127.0.0.1.evil.example")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "none"), ("referer", "http://127.0.0.1/new")],
    ];
    for headers in forged {
        for path in ["/demo", "/logout", "/new", "/api/v1/plans"] {
            let call = running.post(path).without_token().header("cookie", &session);
            let call = headers
                .iter()
                .fold(call, |call, (name, value)| call.header(name, value));
            call.body("application/x-www-form-urlencoded", "a=b")
                .send()
                .problem(403);
        }
    }
    let own = format!("http://127.0.0.1:{port}");
    let call = running
        .post("/new")
        .without_token()
        .header("cookie", &session)
        .header("origin", &own);
    let answer = call.body("application/x-www-form-urlencoded", "action=live").send();
    assert!(matches!(answer.status, 200 | 422), "{}", answer.text);
}

#[test]
fn strange_cookies_are_strangers() {
    let running = Running::start_with(&["--load", "0"]);
    let good = session(&running);
    let forged = format!("arya_session={}", "0".repeat(64));
    let huge = format!("arya_session={}", "x".repeat(32 * 1024));
    let many = "arya_session=x; ".repeat(500);
    let ask = |cookie: &str| {
        running
            .get("/api/v1/deployments")
            .without_token()
            .header("cookie", cookie)
            .send()
    };
    for bad in [
        "",
        ";;;",
        "=",
        "arya_session",
        &forged,
        &huge,
        &many,
        "arya_session=\"\"",
        "arya_session=%00",
    ] {
        ask(bad).problem(401);
    }
    assert_eq!(ask(&format!("a=b; {forged}; {good}")).status, 200);
    let over = "x".repeat(400_000);
    assert_eq!(ask(&over).status, 431);
    // A session that was ended is forged from then on.
    let out = running
        .post("/logout")
        .without_token()
        .header("cookie", &good)
        .header("origin", running.ui());
    assert_eq!(out.send().status, 303);
    ask(&good).problem(401);
}

#[test]
fn forms_that_no_page_sends_are_told_so() {
    let running = Running::start_with(&["--load", "0"]);
    let session = session(&running);
    let send = |path: &str, kind: &str, body: Vec<u8>| {
        let call = running.post(path).without_token().header("cookie", &session);
        call.header("origin", running.ui()).body(kind, body).send()
    };
    const FORM: &str = "application/x-www-form-urlencoded";
    let id = "3b241101-e2bb-4255-8caf-4136c566a962";
    let weight = format!("/deployments/{id}/weight");
    for path in ["/new", weight.as_str()] {
        is_a_page_for_people(&send(path, FORM, "a=b&".repeat(100_000).into_bytes()), 413);
        is_a_page_for_people(&send(path, FORM, vec![b'a'; 2 << 20]), 413);
        is_a_page_for_people(&send(path, FORM, b"name=%ff".to_vec()), 400);
        is_a_page_for_people(&send(path, FORM, b"name=\xc3\x28".to_vec()), 400);
        is_a_page_for_people(&send(path, "multipart/form-data; boundary=x", b"--x--".to_vec()), 415);
        is_a_page_for_people(&send(path, "text/plain", b"name=a".to_vec()), 415);
        is_a_page_for_people(&send(path, "application/json", b"{}".to_vec()), 415);
    }
    let huge = format!(
        "name={}&chosen=local:web+default&yaml={}",
        "n".repeat(300_000),
        "y".repeat(300_000)
    );
    is_a_page_for_people(&send("/new", FORM, huge.into_bytes()), 422);
    let twice = send(
        "/new",
        FORM,
        b"name=a&name=b&app.port=80&app.port=81&action=plan".to_vec(),
    );
    is_a_page_for_people(&twice, 422);
    assert!(twice.text.contains("says this twice"), "{}", twice.text);
    let rest = "{".repeat(10_000);
    is_a_page_for_people(&send("/new", FORM, format!("rest={rest}").into_bytes()), 422);
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n\
                d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\n";
    let encoded: String = bomb.bytes().map(|byte| format!("%{byte:02x}")).collect();
    is_a_page_for_people(
        &send("/new", FORM, format!("action=paste&yaml={encoded}").into_bytes()),
        422,
    );
    // The door for strangers is narrow.
    let login = |body: Vec<u8>| {
        let call = running
            .post("/login")
            .without_token()
            .header("sec-fetch-site", "same-origin");
        call.body(FORM, body).send()
    };
    is_a_page_for_people(&login(vec![b'a'; 5_000]), 413);
    is_a_page_for_people(&login(b"token=%ff".to_vec()), 400);
    is_a_page_for_people(&login(b"".to_vec()), 403);
    is_a_page_for_people(
        &login(format!("token={0}&token={0}", running.token()).into_bytes()),
        403,
    );
    is_a_page_for_people(&running.get("/login?token=%ff").without_token().send(), 200);
    is_a_page_for_people(&running.get("/login?token=a&token=b").without_token().send(), 400);
    let marked = running.get("/login?token=%22%3E%3Cscript%3E").without_token().send();
    assert!(!marked.text.contains("\"><script>"), "{}", marked.text);
}
