//! The long half, by `cargo xtask soak`: load through many cycles, and a healthy canary that must stay unblamed.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::process::Command;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use tests::load::{Load, Walk, cycles_under_load};
use tests::{Arya, children_of};

const SERVING_MAX: Duration = Duration::from_secs(15);
/// A request of four seconds may be under way when it begins.
const DESTROYED_MAX: Duration = Duration::from_secs(30);
const SOAK: Walk = Walk {
    cycles: 20,
    per_s: 500,
    per_state: 1_000,
    destroyed_max: DESTROYED_MAX,
};
/// Fewer would not be the promise.
const REQUESTS_AT_LEAST: u64 = 100_000;
const QUIET: Duration = Duration::from_secs(600);

#[test]
fn soak_no_request_is_lost_in_twenty_cycles() {
    let walked = cycles_under_load(SOAK);
    println!("{} cycles at {} req/s: {walked}", SOAK.cycles, SOAK.per_s);
    assert_eq!(walked.counts.failed(), 0, "{:#?}", walked.counts.words());
    assert!(walked.counts.sent.load(SeqCst) >= REQUESTS_AT_LEAST, "{walked}");
    assert!(
        walked.counts.straddled.load(SeqCst) > 0,
        "no drain had a request to wait for: {walked}"
    );
    assert!(walked.files > 0, "{walked}");
}

/// What one crash may cost: until the dead process is noticed every request to it is one that nobody answers. This is
/// the arm's share of a second.
const LOST_BY_A_CRASH_MAX: u64 = 125;
const RULE_GONE_MAX: Duration = Duration::from_secs(2);

#[test]
fn soak_a_canary_that_dies_costs_a_moment_of_its_share() {
    let arya = Arya::start(&["--load", "0"]);
    let address = arya
        .balancer()
        .trim_start_matches("http://")
        .trim_end_matches('/')
        .to_owned();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let production = children_of(arya.pid());
    let load = runtime.block_on(async { Load::start(&address, 500) });
    for round in 0..5 {
        let deployment = arya.deploy(&arya.spec(&format!("dies {round}"), "canary", 25.0));
        deployment.wait_phase("serving", SERVING_MAX);
        let arms = children_of(arya.pid())
            .into_iter()
            .filter(|pid| !production.contains(pid));
        let canary = arms.max().unwrap();
        std::thread::park_timeout(Duration::from_secs(2));
        let before = load.counts.failed();
        let killed = Instant::now();
        assert!(
            Command::new("kill")
                .args(["-KILL", &canary.to_string()])
                .status()
                .unwrap()
                .success()
        );
        deployment.wait("without our rule", RULE_GONE_MAX, |look| {
            look["weights"]["applied"]["canary"] == 0.0
        });
        let gone = killed.elapsed();
        std::thread::park_timeout(Duration::from_secs(5));
        let failed = load.counts.failed() - before;
        println!("round {round}: our rule was gone after {gone:.2?}, {failed} requests failed");
        assert!(failed <= LOST_BY_A_CRASH_MAX, "{failed}: {:#?}", load.counts.words());
        deployment.destroy_and_prove(DESTROYED_MAX);
        assert_eq!(
            load.counts.failed() - before,
            failed,
            "nothing fails once the rule is gone"
        );
    }
    runtime.block_on(load.stop());
}

#[test]
fn soak_a_healthy_canary_is_not_harmful_in_ten_minutes() {
    let arya = Arya::start(&[]);
    let deployment = arya.deploy(&arya.spec("healthy", "canary", 20.0));
    deployment.wait_phase("serving", SERVING_MAX);
    let begun = Instant::now();
    let mut last = String::new();
    while begun.elapsed() < QUIET {
        let look = deployment.look();
        assert_ne!(look["verdict"]["outcome"], "harmful", "{look:#}");
        assert_eq!(look["phase"], "serving", "{look:#}");
        last = look["verdict"]["sentence"].as_str().unwrap_or_default().to_owned();
        std::thread::park_timeout(Duration::from_secs(2));
    }
    println!("after {QUIET:?}: {last}");
    deployment.destroy_and_prove(DESTROYED_MAX);
}
