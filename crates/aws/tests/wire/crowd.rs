//! A page that shows everything of a large account, beside a deployment that wants its looks.

use std::time::{Duration, Instant};

use arya_aws::{Allowance, Clock};
use arya_plan::cloud::Cloud as _;
use arya_plan::phase::Phase;
use arya_plan::timing::Timing;

use crate::account::LISTENER;
use crate::common::Files;
use crate::life::Life;

/// So many times as fast as an account allows.
const FASTER: u32 = 5;
/// Load balancers besides the deployment's own.
const OTHERS: usize = 40;
/// What a look takes where others ask as much as they can. Behind a page, listing after listing, it would be ten.
const A_LOOK_AT_MOST: Duration = Duration::from_secs(8);
/// The server's limits for what a person waits for.
const A_PERSON_WAITS_AT_MOST: Duration = Duration::from_secs(30);
const SERVES_WITHIN: usize = 100;

#[tokio::test(flavor = "multi_thread")]
async fn looks_come_before_a_page_of_forty_load_balancers_and_so_does_whoever_deploys() {
    let life = Life::begin_by(Files::Small, 0, |connection| {
        connection.allowance = Some(Allowance::OfAnAccount);
        connection.clock = Clock::Hastened(FASTER);
    })
    .await;
    life.endpoint.read(|account| {
        account.page = 400;
        account.add_balancers(OTHERS);
    });
    let cloud = life.cloud.clone();
    let page = tokio::spawn(async move { cloud.discover().await.unwrap().len() });
    // What is read before something is started, of the one listener.
    let (asked, spec) = (Instant::now(), life.spec());
    let site = life.cloud.site(&spec).await.unwrap().unwrap();
    assert_eq!((site.listener.as_str(), site.rules.len()), (LISTENER, 4));
    life.cloud.resolve(&spec).await.unwrap();
    assert!(
        asked.elapsed() * FASTER < A_PERSON_WAITS_AT_MOST,
        "{:?}",
        asked.elapsed()
    );
    let mut longest = Duration::ZERO;
    for look in 0.. {
        let begun = Instant::now();
        let report = life.look().await;
        longest = longest.max(begun.elapsed() * FASTER);
        assert_eq!(report.cloud_error, None, "{}", life.feed());
        if report.phase == Phase::Serving {
            let next = report.plan.unwrap().look_again_in;
            assert!(next <= Timing::AWS.look_steady, "{next:?}");
            break;
        }
        assert!(look < SERVES_WITHIN, "{}", life.feed());
    }
    assert!(longest < A_LOOK_AT_MOST, "{longest:?}");
    println!("the longest look took {:.1} s", longest.as_secs_f64());
    // Behind all of that, the page has its turn.
    assert_eq!(page.await.unwrap(), OTHERS + 1);
}
