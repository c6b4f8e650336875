//! Rules, weights and sticky cookies.

use std::collections::BTreeMap;

use arya_plan::listener::Action;
use jiff::{Timestamp, ToSpan};
use serde_json::json;

use crate::world::*;

#[tokio::test]
async fn each_kind_of_condition_routes() {
    let (balancer, _origins) = world(&["yes", "no"], everything_to(&[("yes", 1), ("no", 1)])).await;
    let check = async |json: &str, request: &str, expected: &str| {
        let rules = vec![
            rule(5, vec![condition(json)], forward(&[("yes", 1)], None)),
            rule(0, vec![], forward(&[("no", 1)], None)),
        ];
        balancer.set_rules(rules).unwrap();
        let answer = raw(&balancer, format!("{request}\r\nConnection: close\r\n\r\n").as_bytes()).await;
        assert!(
            answer.starts_with("HTTP/1.") && answer[8..].starts_with(" 200 "),
            "{answer}"
        );
        assert!(
            answer.ends_with(&format!("\r\n\r\n{expected}")),
            "{json} {request}: {answer}"
        );
    };
    let path = r#"{"field":"path-pattern","values":["/api/*"]}"#;
    check(path, "GET /api/a?b=/c HTTP/1.1\r\nHost: a", "yes").await;
    check(path, "GET /b?/api/ HTTP/1.1\r\nHost: a", "no").await;
    check(path, "GET http://other/api/x HTTP/1.1\r\nHost: a", "yes").await;
    let host = r#"{"field":"host-header","values":["*.example.com"]}"#;
    check(host, "GET / HTTP/1.1\r\nHost: SHOP.example.com:8080", "yes").await;
    check(host, "GET / HTTP/1.1\r\nHost: example.com", "no").await;
    check(host, "GET http://shop.example.com/ HTTP/1.1\r\nHost: evil", "yes").await;
    check(host, "GET / HTTP/1.0", "no").await;
    let header = r#"{"field":"http-header","name":"X-Team","values":["b*"]}"#;
    check(header, "GET / HTTP/1.1\r\nHost: a\r\nx-team: a\r\nx-team: Blue", "yes").await;
    check(header, "GET / HTTP/1.1\r\nHost: a\r\nx-team: red", "no").await;
    let method = r#"{"field":"http-request-method","values":["DELETE"]}"#;
    check(method, "DELETE / HTTP/1.1\r\nHost: a", "yes").await;
    check(method, "GET / HTTP/1.1\r\nHost: a", "no").await;
    let query = r#"{"field":"query-string","values":[{"key":"v","value":"2"}]}"#;
    check(query, "GET /?a=1&v=2 HTTP/1.1\r\nHost: a", "yes").await;
    check(query, "GET /?v=3 HTTP/1.1\r\nHost: a", "no").await;
    check(
        r#"{"field":"source-ip","values":["127.0.0.0/8"]}"#,
        "GET / HTTP/1.1\r\nHost: a",
        "yes",
    )
    .await;
    let forged = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 10.1.1.1";
    check(r#"{"field":"source-ip","values":["10.0.0.0/8"]}"#, forged, "no").await;
}

#[tokio::test]
async fn a_change_of_rules_holds_for_the_next_request_on_an_open_connection() {
    let (balancer, _origins) = world(&["old", "new"], everything_to(&[("old", 1)])).await;
    let mut caller = Caller::connect(&balancer).await;
    for (group, _) in [("old", 0), ("new", 0), ("old", 0)].repeat(10) {
        balancer.set_rules(everything_to(&[(group, 1)])).unwrap();
        assert_eq!(caller.get("/").await.body, group);
    }
    assert_eq!(balancer.rules(), everything_to(&[("old", 1)]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shares_of_20000_requests_are_within_a_point_and_all_are_counted() {
    const CALLERS: usize = 16;
    const EACH: usize = 1250;
    let weights = [("production", 90), ("baseline", 5), ("canary", 5)];
    let start = Timestamp::now();
    let (balancer, _origins) = world(&weights.map(|(name, _)| name), everything_to(&weights)).await;
    let callers = (0..CALLERS).map(|_| {
        let balancer = balancer.clone();
        tokio::spawn(async move {
            let mut caller = Caller::connect(&balancer).await;
            let mut counts = BTreeMap::new();
            for _ in 0..EACH {
                *counts.entry(caller.get("/").await.body).or_insert(0u64) += 1;
            }
            counts
        })
    });
    let mut counts = BTreeMap::new();
    for caller in callers.collect::<Vec<_>>() {
        for (name, count) in caller.await.unwrap() {
            *counts.entry(name).or_insert(0) += count;
        }
    }
    let range = start..Timestamp::now() + 2.seconds();
    for (name, weight) in weights {
        let percent = counts[name] as f64 * 100.0 / (CALLERS * EACH) as f64;
        assert!((percent - f64::from(weight)).abs() < 1.0, "{counts:?}");
        let measured = balancer.measured(&id(name), range.clone()).unwrap();
        assert_eq!(
            (measured.requests, measured.elb, measured.target),
            (counts[name], [counts[name], 0, 0, 0], [counts[name], 0, 0, 0])
        );
        assert_eq!(measured.latency.iter().sum::<u64>(), counts[name]);
    }
    let rule = balancer.measured_rule(&balancer.rules()[0].id, range).unwrap();
    assert_eq!(rule.requests, (CALLERS * EACH) as u64);
}

fn cookie(answer: &Answer) -> String {
    let set: Vec<_> = answer
        .headers
        .get_all("set-cookie")
        .iter()
        .map(|value| value.to_str().unwrap())
        .collect();
    assert_eq!(set.len(), 2, "{set:?}");
    assert!(
        set[0].starts_with("AWSALBTG=") && set[1].starts_with("AWSALBTGCORS="),
        "{set:?}"
    );
    set[0].split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_sticky_client_stays_until_its_group_leaves_the_rule() {
    let sticky = |groups: &[(&str, u16)]| vec![rule(0, vec![], forward(groups, Some(60)))];
    let (balancer, _origins) = world(&["a", "b"], sticky(&[("a", 1), ("b", 1)])).await;
    let mut caller = Caller::connect(&balancer).await;
    for _ in 0..20 {
        let first = caller.get("/").await;
        let mut kept = cookie(&first);
        for _ in 0..20 {
            let next = caller.send(get("/", &[("cookie", &kept)])).await.unwrap();
            assert_eq!(next.body, first.body);
            kept = cookie(&next);
        }
    }
    balancer.set_rules(sticky(&[("b", 1), ("a", 0)])).unwrap();
    let to_b = cookie(&caller.get("/").await);
    balancer.set_rules(sticky(&[("b", 0), ("a", 1)])).unwrap();
    assert_eq!(caller.send(get("/", &[("cookie", &to_b)])).await.unwrap().body, "b");
    assert_eq!(
        caller
            .send(get("/", &[("cookie", "AWSALBTG=00ff")]))
            .await
            .unwrap()
            .body,
        "a"
    );
    balancer.set_rules(sticky(&[("a", 1)])).unwrap();
    assert_eq!(caller.send(get("/", &[("cookie", &to_b)])).await.unwrap().body, "a");
}

#[tokio::test]
async fn actions_other_than_forward_answer_without_a_target() {
    let (balancer, origins) = world(&["a"], everything_to(&[("a", 1)])).await;
    let check = async |action: Action, status: u16, header: (&str, &str), body: &str| {
        balancer.set_rules(vec![rule(0, vec![], action)]).unwrap();
        let answer = get_once(&balancer, "/x?y=1").await;
        assert_eq!(answer.status, status);
        assert_eq!(
            answer.headers.get(header.0).map(|value| value.to_str().unwrap()),
            Some(header.1)
        );
        assert!(answer.body.contains(body), "{}", answer.body);
    };
    let fixed = Action::FixedResponse {
        status: 418,
        content_type: "text/plain".into(),
        body: "short and stout".into(),
    };
    check(fixed, 418, ("content-type", "text/plain"), "short and stout").await;
    let redirect = Action::Redirect {
        verbatim: json!({"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}),
    };
    check(redirect, 301, ("location", "https://shop.example.com/x?y=1"), "").await;
    check(
        Action::AuthenticateOidc { verbatim: json!({}) },
        501,
        ("server", "arya"),
        "authenticates",
    )
    .await;
    check(forward(&[("a", 0)], None), 503, ("server", "arya"), "weight 0").await;
    balancer.set_rules(vec![]).unwrap();
    assert_eq!(get_once(&balancer, "/").await.status, 503);
    assert_eq!(origins[0].told.requests.load(std::sync::atomic::Ordering::SeqCst), 0);
}

#[tokio::test]
async fn changes_may_come_from_any_thread() {
    let (balancer, _origins) = world(&["a", "b"], everything_to(&[("a", 1)])).await;
    let elsewhere = balancer.clone();
    let changing = std::thread::spawn(move || {
        elsewhere.set_rules(everything_to(&[("b", 1)])).unwrap();
        elsewhere.deregister(&id("a"), "t1").unwrap();
    });
    changing.join().unwrap();
    becomes_state(&balancer, "b", "healthy").await;
    becomes_state(&balancer, "a", "gone").await;
    assert_eq!(get_once(&balancer, "/").await.body, "b");
}

#[tokio::test]
async fn a_rule_that_names_an_unknown_group_changes_nothing() {
    let (balancer, _origins) = world(&["a"], everything_to(&[("a", 1)])).await;
    let refused = balancer
        .set_rules(everything_to(&[("a", 1), ("ghost", 1)]))
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "there is no target group ghost; nothing was changed, create it first"
    );
    assert_eq!(get_once(&balancer, "/").await.body, "a");
}

#[tokio::test]
async fn targets_see_who_asks_and_no_header_of_another_hop() {
    let (balancer, _origins) = world(&["a"], everything_to(&[("a", 1)])).await;
    let port = balancer.address().port();
    let request = "GET http://shop.example.com/echo?q HTTP/1.1\r\nHost: ignored\r\nX-Forwarded-For: 1.2.3.4\r\n\
        X-Forwarded-Proto: https\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\nX-End: 1\r\n\r\n";
    let answer = raw(&balancer, request.as_bytes()).await;
    for line in [
        "GET /echo?q HTTP/1.1\n",
        "host: shop.example.com\n",
        "x-forwarded-for: 1.2.3.4, 127.0.0.1\n",
        "x-forwarded-proto: http\n",
        &format!("x-forwarded-port: {port}\n"),
        "x-amzn-trace-id: Root=1-",
        "x-end: 1\n",
    ] {
        assert!(answer.contains(line), "{line} in {answer}");
    }
    for name in ["x-hop", "keep-alive", "\nte:", "connection: close\n", "ignored"] {
        assert!(!answer.contains(name), "{name} in {answer}");
    }
    let answer = get_once(&balancer, "/").await;
    assert!(!answer.headers.contains_key("x-inner"), "{answer:?}");
}
