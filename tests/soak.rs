//! The long half, by `cargo xtask soak`: load through many cycles, and a healthy canary that must stay unblamed.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use tests::Arya;
use tests::load::{Walk, cycles_under_load};

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
