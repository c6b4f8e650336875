//! The long half, by `cargo xtask soak`: load through many cycles, and a healthy canary that must stay unblamed.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::{Duration, Instant};

use tests::Arya;
use tests::load::cycles_under_load;

const SERVING_MAX: Duration = Duration::from_secs(15);
const DESTROYED_MAX: Duration = Duration::from_secs(20);
const CYCLES: u32 = 10;
const QUIET: Duration = Duration::from_secs(600);

#[test]
fn soak_no_request_is_lost_in_ten_cycles() {
    let counts = cycles_under_load(CYCLES, DESTROYED_MAX);
    println!("{CYCLES} cycles at 300 req/s: {counts:?}");
    assert_eq!(counts.failed(), 0, "{counts:?}");
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
