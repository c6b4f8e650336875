//! Health, draining, and targets that fail.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use arya_local::balancer::alb::HealthCheckSettings;
use arya_local::balancer::{Balancer, BalancerError, BalancerSettings, GroupSettings, Target};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::world::*;

/// An address where nobody listens.
fn closed_port() -> Target {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    Target {
        id: "t1".to_owned(),
        address: listener.local_addr().unwrap(),
    }
}

#[tokio::test]
async fn a_group_is_checked_exactly_while_a_rule_names_it() {
    let (balancer, origins) = world(&["a", "b"], everything_to(&[("a", 1)])).await;
    becomes_state(&balancer, "b", "unused (Target.NotInUse)").await;
    assert_eq!(origins[1].told.checks.load(SeqCst), 0);
    balancer.set_rules(everything_to(&[("a", 1), ("b", 0)])).unwrap();
    becomes_state(&balancer, "b", "healthy").await;
    balancer.set_rules(everything_to(&[("a", 1)])).unwrap();
    becomes_state(&balancer, "b", "unused (Target.NotInUse)").await;
    let headers = origins[1].told.last_check.lock().unwrap().clone();
    assert_eq!(headers["user-agent"], "ELB-HealthChecker/2.0");
    assert_eq!(headers["host"], origins[1].address.to_string());
}

#[tokio::test]
async fn health_follows_what_checks_find() {
    let (balancer, origins) = world(&["a"], everything_to(&[("a", 1)])).await;
    origins[0].told.health.store(500, SeqCst);
    becomes_state(&balancer, "a", "unhealthy (Target.ResponseCodeMismatch)").await;
    let state = balancer.group_state(&id("a")).unwrap();
    assert_eq!(
        state.targets[0].state.description(),
        "Health checks failed with these codes: [500]"
    );
    origins[0].told.health.store(302, SeqCst);
    becomes_state(&balancer, "a", "healthy").await;
    balancer.register(&id("a"), closed_port()).unwrap();
    becomes_state(&balancer, "a", "unhealthy (Target.FailedHealthChecks)").await;
}

#[tokio::test]
async fn a_check_that_takes_too_long_is_a_timeout() {
    let (balancer, origins) = world(&[], vec![]).await;
    assert!(origins.is_empty());
    let origin = Origin::start("a").await;
    let health_check = HealthCheckSettings {
        path: "/hang".to_owned(),
        timeout: Duration::from_millis(20),
        ..quick().health_check
    };
    balancer
        .create_group(
            id("a"),
            GroupSettings {
                health_check,
                ..quick()
            },
        )
        .unwrap();
    balancer.register(&id("a"), origin.target("t1")).unwrap();
    balancer.set_rules(everything_to(&[("a", 1)])).unwrap();
    becomes_state(&balancer, "a", "unhealthy (Target.Timeout)").await;
}

#[tokio::test]
async fn only_healthy_targets_receive_until_none_is_healthy() {
    let (balancer, origins) = world(&["a"], everything_to(&[("a", 1)])).await;
    let sick = Origin::start("sick").await;
    sick.told.health.store(500, SeqCst);
    balancer.register(&id("a"), sick.target("t2")).unwrap();
    becomes(&balancer, "a", |group| state_of(group, "t2").starts_with("unhealthy")).await;
    let mut caller = Caller::connect(&balancer).await;
    for _ in 0..20 {
        assert_eq!(caller.get("/").await.body, "a");
    }
    origins[0].told.health.store(500, SeqCst);
    becomes_state(&balancer, "a", "unhealthy (Target.ResponseCodeMismatch)").await;
    let mut bodies = Vec::new();
    for _ in 0..4 {
        bodies.push(caller.get("/").await.body);
    }
    bodies.sort();
    assert_eq!(bodies, ["a", "a", "sick", "sick"]);
}

#[tokio::test]
async fn failures_of_targets_have_an_albs_status_codes() {
    let settings = BalancerSettings {
        idle_timeout: Duration::from_secs(2),
        ..BalancerSettings::default()
    };
    let names = ["good", "empty", "closed"];
    let rules = vec![
        rule(1, path_is("/empty"), forward(&[("empty", 1)], None)),
        rule(2, path_is("/closed"), forward(&[("closed", 1)], None)),
        rule(0, vec![], forward(&[("good", 1)], None)),
    ];
    let (balancer, _origins) = world_with(settings, &names, rules).await;
    balancer.deregister(&id("empty"), "t1").unwrap();
    balancer.register(&id("closed"), closed_port()).unwrap();
    let check = async |path: &str, status: u16| assert_eq!(get_once(&balancer, path).await.status, status, "{path}");
    check("/empty", 503).await;
    check("/closed", 502).await;
    check("/drop", 502).await;
    check("/hang", 504).await;
    check("/status/500", 500).await;
    check("/", 200).await;
    let measured = balancer
        .measured(&id("closed"), jiff::Timestamp::UNIX_EPOCH..jiff::Timestamp::MAX)
        .unwrap();
    assert_eq!(
        (
            measured.requests,
            measured.failed(),
            measured.target,
            measured.target_connection_errors
        ),
        (1, 1, [0; 4], 1)
    );
    let measured = balancer
        .measured(&id("good"), jiff::Timestamp::UNIX_EPOCH..jiff::Timestamp::MAX)
        .unwrap();
    assert_eq!((measured.elb, measured.target), ([1, 0, 0, 3], [1, 0, 0, 1]));
}

#[tokio::test]
async fn a_draining_target_finishes_its_requests_and_takes_no_new_ones() {
    let (balancer, origins) = world(&["a"], everything_to(&[("a", 1)])).await;
    let slow = tokio::spawn({
        let balancer = balancer.clone();
        async move { get_once(&balancer, "/slow").await }
    });
    origins[0].told.arrived.acquire().await.unwrap().forget();
    let next = Origin::start("next").await;
    balancer.register(&id("a"), next.target("t2")).unwrap();
    balancer.deregister(&id("a"), "t1").unwrap();
    becomes_state(&balancer, "a", "draining (Target.DeregistrationInProgress)").await;
    for _ in 0..10 {
        assert_eq!(get_once(&balancer, "/").await.body, "next");
    }
    assert_eq!(balancer.group_state(&id("a")).unwrap().targets[0].in_flight, 1);
    origins[0].told.go_on.add_permits(1);
    assert_eq!(slow.await.unwrap().body, "a at last");
    becomes_state(&balancer, "a", "gone").await;
}

#[tokio::test]
async fn draining_is_over_with_the_delay_and_the_request_still_finishes() {
    let balancer = balancer().await;
    let origin = Origin::start("a").await;
    let settings = GroupSettings {
        deregistration_delay: Duration::from_millis(50),
        ..quick()
    };
    balancer.create_group(id("a"), settings).unwrap();
    balancer.register(&id("a"), origin.target("t1")).unwrap();
    balancer.set_rules(everything_to(&[("a", 1)])).unwrap();
    let slow = tokio::spawn({
        let balancer = balancer.clone();
        async move { get_once(&balancer, "/slow").await }
    });
    origin.told.arrived.acquire().await.unwrap().forget();
    balancer.deregister(&id("a"), "t1").unwrap();
    becomes_state(&balancer, "a", "gone").await;
    origin.told.go_on.add_permits(1);
    assert_eq!(slow.await.unwrap().status, 200);
}

#[tokio::test]
async fn a_target_registered_again_while_it_drains_serves_again() {
    let (balancer, origins) = world(&["a"], everything_to(&[("a", 1)])).await;
    balancer.deregister(&id("a"), "t1").unwrap();
    balancer.register(&id("a"), origins[0].target("t1")).unwrap();
    becomes_state(&balancer, "a", "healthy").await;
    assert_eq!(get_once(&balancer, "/").await.body, "a");
}

#[tokio::test]
async fn a_group_in_use_is_not_deleted() {
    let (balancer, _origins) = world(&["a", "b"], everything_to(&[("a", 1)])).await;
    assert_eq!(balancer.delete_group(&id("a")), Err(BalancerError::GroupInUse(id("a"))));
    balancer.delete_group(&id("b")).unwrap();
    assert_eq!(
        balancer.delete_group(&id("b")),
        Err(BalancerError::UnknownGroup(id("b")))
    );
    assert_eq!(
        balancer.create_group(id("a"), quick()),
        Err(BalancerError::GroupExists(id("a")))
    );
}

/// A target that answers the first request of a connection, and then closes it: at once, or when the next one comes.
async fn closes_after_one(wait_for_next: bool) -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut bytes = [0; 4096];
                if matches!(stream.read(&mut bytes).await, Ok(1..)) {
                    stream
                        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                        .await
                        .unwrap();
                }
                if wait_for_next {
                    let _ = stream.read(&mut bytes).await;
                }
            });
        }
    });
    address
}

/// Such a target is in the group `a`, and well.
async fn has_one_that_closes(balancer: &Balancer, wait_for_next: bool) {
    let target = Target {
        id: "t1".to_owned(),
        address: closes_after_one(wait_for_next).await,
    };
    balancer.register(&id("a"), target).unwrap();
    becomes_state(balancer, "a", "healthy").await;
}

#[tokio::test]
async fn connections_that_targets_close_while_idle_cost_no_request() {
    for wait_for_next in [false, true] {
        let (balancer, _origins) = world(&["a"], everything_to(&[("a", 1)])).await;
        has_one_that_closes(&balancer, wait_for_next).await;
        let mut caller = Caller::connect(&balancer).await;
        for _ in 0..200 {
            assert_eq!(caller.get("/").await.body, "ok");
        }
    }
}

#[tokio::test]
async fn a_request_that_may_have_had_effects_is_not_sent_twice() {
    let (balancer, _origins) = world(&["a"], everything_to(&[("a", 1)])).await;
    has_one_that_closes(&balancer, true).await;
    let mut caller = Caller::connect(&balancer).await;
    assert_eq!(caller.get("/").await.status, 200);
    assert_eq!(
        caller
            .send(request("POST", "/", &[], some_bytes(3)))
            .await
            .unwrap()
            .status,
        502
    );
    assert_eq!(
        caller
            .send(request("POST", "/", &[], some_bytes(3)))
            .await
            .unwrap()
            .status,
        200
    );
}

#[tokio::test]
async fn whatever_a_target_says_reaches_the_client_whole_or_not_at_all() {
    let check = async |said: &'static str, closes, expected: Option<(u16, &str)>| {
        let (balancer, _origins) = world(&["a"], everything_to(&[("a", 1)])).await;
        balancer.register(&id("a"), says(said, closes).await).unwrap();
        for _ in 0..3 {
            let mut caller = Caller::connect(&balancer).await;
            let answer = caller.try_get("/").await.ok();
            let answer = answer.as_ref().map(|answer| (answer.status, answer.body.as_str()));
            assert_eq!(answer, expected, "{said:?}");
        }
    };
    let refused = "502 Bad Gateway\nThe target closed the connection or answered something that is not HTTP.\n";
    check(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        false,
        Some((200, "ok")),
    )
    .await;
    check("HTTP/1.1 200 OK\r\n\r\nto the end", true, Some((200, "to the end"))).await;
    check("HTTP/1.0 200 OK\r\n\r\nto the end", true, Some((200, "to the end"))).await;
    check(
        "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        false,
        Some((200, "ok")),
    )
    .await;
    // Cut short: the client must not take it for whole.
    check("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", true, None).await;
    check(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
        true,
        None,
    )
    .await;
    check(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        false,
        None,
    )
    .await;
    // Framed twice: the chunks count, the length does not pass.
    check(
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        false,
        Some((200, "ok")),
    )
    .await;
    // A second response that nobody asked for is never given to the next client.
    check(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        false,
        Some((200, "ok")),
    )
    .await;
    check(
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok",
        false,
        Some((502, refused)),
    )
    .await;
    check("not HTTP at all\r\n\r\n", false, Some((502, refused))).await;
    check("", true, Some((502, refused))).await;
}

#[tokio::test]
async fn connections_to_targets_are_kept() {
    let (balancer, origins) = world(&["a"], everything_to(&[("a", 1)])).await;
    // Checks open connections of their own.
    balancer.set_rules(vec![]).unwrap();
    balancer.set_rules(everything_to(&[("a", 1)])).unwrap();
    let mut caller = Caller::connect(&balancer).await;
    let before = origins[0].told.connections.load(SeqCst) - origins[0].told.checks.load(SeqCst);
    for _ in 0..100 {
        caller.get("/").await;
    }
    let after = origins[0].told.connections.load(SeqCst) - origins[0].told.checks.load(SeqCst);
    assert!(after - before <= 3, "{before} {after}");
}

/// A target that hears a request, says the beginning once and then the rest over and over until nobody listens.
async fn never_ends(beginning: &'static str, rest: &'static str) -> Target {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut heard = [0; 4096];
                if !matches!(stream.read(&mut heard).await, Ok(1..)) {
                    return;
                }
                let mut said = stream.write_all(beginning.as_bytes()).await;
                while said.is_ok() {
                    said = stream.write_all(rest.as_bytes()).await;
                }
            });
        }
    });
    Target {
        id: "t1".to_owned(),
        address,
    }
}

#[tokio::test]
async fn a_target_whose_head_never_ends_is_given_up() {
    let many = "x".repeat(16 * 1024);
    let head_of = |lines: usize| {
        let lines = format!("X: {many}\r\n").repeat(lines);
        &*format!("HTTP/1.1 200 OK\r\n{lines}Content-Length: 2\r\n\r\nok").leak()
    };
    let check = async |target: Target, status: u16| {
        let (balancer, _origins) = world(&["a"], everything_to(&[("a", 1)])).await;
        balancer.register(&id("a"), target).unwrap();
        let answer = tokio::time::timeout(PATIENCE, get_once(&balancer, "/")).await;
        assert_eq!(answer.expect("it should have been given up").status, status);
        balancer.shutdown().await;
        assert_eq!(balancer.group_state(&id("a")).unwrap().targets[0].in_flight, 0);
    };
    check(never_ends("", "HTTP/1.1 100 Continue\r\n\r\n").await, 502).await;
    check(
        never_ends("", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n").await,
        502,
    )
    .await;
    check(never_ends("HTTP/1.1 200 OK\r\n", "X: 1\r\n").await, 502).await;
    check(never_ends("HTTP/1.1 200 OK\r\nX: ", "xxxxxxxxxxxxxxxx").await, 502).await;
    check(never_ends("", "x").await, 502).await;
    check(says(head_of(1), false).await, 200).await;
    check(says(head_of(2), false).await, 502).await;
}
