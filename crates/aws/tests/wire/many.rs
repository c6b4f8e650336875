//! An account with two hundred load balancers: what is asked for one deployment does not depend on the others, and a page
//! of all of them asks so much of each, once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arya_aws::{Allowance, Clock};
use arya_plan::cloud::Cloud as _;

use crate::common::Files;
use crate::life::Life;

/// Load balancers besides the deployment's own.
const OTHERS: usize = 200;
/// Of each listing; AWS's own are larger.
const PAGE: usize = 50;

type Calls = BTreeMap<String, usize>;

/// What was asked, and how long it took in seconds on the clock that only waits for a turn move on.
struct Asked {
    start: (Calls, f64),
    look: (Calls, f64),
    page: (Calls, f64),
}

async fn asked(others: usize) -> Asked {
    let passed: Arc<AtomicI64> = Arc::default();
    let clock = passed.clone();
    let life = Life::begin_by(Files::Small, 0, |connection| {
        connection.allowance = Some(Allowance::OfAnAccount);
        connection.clock = Clock::Driven(clock);
    })
    .await;
    life.endpoint.read(|account| {
        account.page = PAGE;
        account.add_balancers(others);
    });
    // Long enough for the allowance to be whole and everything remembered to be old.
    let rest = || passed.fetch_add(1_200_000, Ordering::SeqCst) + 1_200_000;
    let since = |began: i64| (passed.load(Ordering::SeqCst) - began) as f64 / 1_000.0;
    let spec = life.spec();

    let began = rest();
    life.endpoint.forget_calls();
    let site = life.cloud.site(&spec).await.unwrap().unwrap();
    life.cloud.resolve(&spec).await.unwrap();
    let start = (life.endpoint.calls(), since(began));
    assert_eq!(site.rules.len(), 4);

    life.serving().await;
    let began = rest();
    life.endpoint.forget_calls();
    let report = life.look().await;
    assert_eq!(report.cloud_error, None, "{}", life.feed());
    let look = (life.endpoint.calls(), since(began));

    let began = rest();
    life.endpoint.forget_calls();
    assert_eq!(life.cloud.discover().await.unwrap().len(), others + 1);
    Asked {
        start,
        look,
        page: (life.endpoint.calls(), since(began)),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_load_balancers_cost_a_page_and_neither_a_start_nor_a_look() {
    let (alone, among) = tokio::join!(asked(0), asked(OTHERS));
    let count = |calls: &Calls| calls.values().sum::<usize>();
    for (what, one, all) in [
        ("a start", &alone.start, &among.start),
        ("a look", &alone.look, &among.look),
        ("a page", &alone.page, &among.page),
    ] {
        println!(
            "{what}: {} calls in {:.1} s; among {OTHERS} others {} in {:.1} s",
            count(&one.0),
            one.1,
            count(&all.0),
            all.1
        );
    }
    assert_eq!(
        alone.start.0, among.start.0,
        "a start asks about its own listener alone"
    );
    assert_eq!(alone.look.0, among.look.0, "and so does a look");
    // Of each: its listeners, their rules, and of its group attributes and health. Listed by the page: load balancers, target
    // groups and, twenty at a time, tags.
    let pages = 2 * (OTHERS / PAGE + 1) + OTHERS / 20 + 2;
    let most = count(&alone.page.0) + 4 * OTHERS + pages;
    assert!(
        count(&among.page.0) <= most,
        "{} of {most}: {:?}",
        count(&among.page.0),
        among.page.0
    );
}
