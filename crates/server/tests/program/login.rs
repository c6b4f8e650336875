//! The way in with a browser.

use crate::running::{Answer, Call, Running};

fn log_in(running: &Running, token: &str, site: &str) -> Answer {
    running
        .post("/login")
        .without_token()
        .header("sec-fetch-site", site)
        .body("application/x-www-form-urlencoded", format!("token={token}"))
        .send()
}

fn with_cookie<'r>(call: Call<'r>, session: &str) -> Call<'r> {
    call.without_token().header("cookie", session)
}

fn session(answer: &Answer) -> String {
    answer.header("set-cookie").split(';').next().unwrap().to_owned()
}

#[test]
fn the_printed_link_opens_a_session_once_and_only_from_our_own_page() {
    let running = Running::start_with(&["--load", "0"]);
    let link = running.said["login"].as_str().unwrap();
    let token = link.split_once("?token=").unwrap().1;

    log_in(&running, token, "cross-site").problem(403);
    let answer = log_in(&running, token, "same-origin");
    assert_eq!((answer.status, answer.header("location")), (303, "/"));
    let cookie = answer.header("set-cookie");
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"),
        "{cookie}"
    );
    assert_eq!(log_in(&running, token, "same-origin").status, 403);

    let session = session(&answer);
    assert_eq!(
        with_cookie(running.get("/api/v1/deployments"), &session).send().status,
        200
    );
    with_cookie(running.post("/api/v1/try/load"), &session)
        .json(&serde_json::json!({"per_s": 1}))
        .send()
        .problem(403);
    let ours = with_cookie(running.post("/api/v1/try/load"), &session).header("origin", running.ui());
    assert_eq!(ours.json(&serde_json::json!({"per_s": 1})).send().status, 200);
}

#[test]
fn who_has_no_session_any_more_is_led_to_the_login_and_back() {
    let running = Running::start_with(&["--load", "0"]);
    let page = "/deployments/7f9c24e8-3b12-4d7a-9a55-000000000001";
    let asked = running.get(page).without_token().header("accept", "text/html").send();
    let to = page.replace('/', "%2F");
    assert_eq!(
        (asked.status, asked.header("location")),
        (303, format!("/login?to={to}").as_str())
    );
    // A form that was pressed then is not lost in a line of JSON.
    let pressed = running.post(format!("{page}/destroy")).without_token();
    let pressed = pressed.header("accept", "text/html").send();
    assert_eq!(pressed.status, 401);
    assert!(pressed.text.contains("Your session has ended"), "{}", pressed.text);
    assert!(pressed.text.contains(&format!("value=\"{page}\"")), "{}", pressed.text);
    let with = |to: &str| {
        let call = running
            .post("/login")
            .without_token()
            .header("sec-fetch-site", "same-origin");
        let form = format!("token={}&to={to}", running.token());
        call.body("application/x-www-form-urlencoded", form).send()
    };
    assert_eq!(with(&to).header("location"), page);
    assert_eq!(with("%2F%2Fevil.example").header("location"), "/");
}

#[test]
fn wrong_attempts_of_others_lock_nobody_out() {
    let running = Running::start_with(&["--load", "0"]);
    let statuses: Vec<u16> = (0..11)
        .map(|_| log_in(&running, "wrong", "same-origin").status)
        .collect();
    assert_eq!((statuses[9], statuses[10]), (403, 429));
    assert_eq!(log_in(&running, running.token(), "same-origin").status, 303);
}

#[test]
fn nothing_but_liveness_answers_strangers() {
    let running = Running::start_with(&["--load", "0"]);
    assert_eq!(running.get("/healthz").without_token().send().status, 200);
    for path in [
        "/api/v1/deployments",
        "/api/openapi.json",
        "/metrics",
        "/monitor/api/v1/query?query=up",
        "/nothing",
    ] {
        let answer = running.get(path).without_token().send();
        answer.problem(401);
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        running
            .get(path)
            .header("authorization", "Bearer wrong")
            .send()
            .problem(401);
        running.get(path).header("host", "evil.example").send().problem(421);
    }
    let answer = running.get("/api/v1/deployments").send();
    for (name, words) in [
        ("content-security-policy", "default-src 'self'"),
        ("content-security-policy", "frame-ancestors 'none'"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
    ] {
        assert!(answer.header(name).contains(words), "{name}");
    }
}
