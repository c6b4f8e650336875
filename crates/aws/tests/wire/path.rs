//! How long a deployment takes on AWS's own times: the longest chain of what waits for each other, and one look for each
//! wait. Whatever does not depend on each other is asked for at once.

use std::collections::BTreeMap;
use std::time::Duration;

use arya_plan::phase::Phase;
use arya_plan::timing::Timing;

use crate::common::Files;
use crate::life::Life;

/// What AWS takes by itself, one after the other: an instance starts and boots, and its target becomes healthy.
const CHAIN: Duration = Duration::from_secs(15 + 25 + 10);
/// Where the loop waits for what it asked for, each time for one look at most.
const WAITED_FOR: [&str; 7] = [
    "bucket, security groups and target groups stand",
    "the instances are ready",
    "their targets are registered, and the probe rule names their groups",
    "they are healthy",
    "and were so in two looks",
    "the main rule stands, with production alone",
    "both arms have their weights",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_takes_the_longest_chain_and_a_look_for_each_wait() {
    let life = Life::begin(Files::Small, 0).await;
    life.endpoint.forget_calls();
    let passed = loop {
        let (passed, report) = life.look_as_asked().await;
        assert!(passed < 3 * CHAIN, "not serving: {}", life.feed());
        if report.phase == Phase::Serving {
            break passed;
        }
    };
    let look = Timing::AWS.look_moving;
    let bound = CHAIN + look * u32::try_from(WAITED_FOR.len()).unwrap();
    println!("{} s of at most {} s", passed.as_secs_f64(), bound.as_secs_f64());
    assert!(passed <= bound, "{passed:?} is more than {bound:?}: {}", life.feed());
    let mut first: BTreeMap<String, i64> = BTreeMap::new();
    let mut last: BTreeMap<String, i64> = BTreeMap::new();
    for (at, operation) in life.endpoint.times() {
        first.entry(operation.clone()).or_insert(at);
        last.insert(operation, at);
    }
    // In the first look everything that needs nothing, in the next the launches, while files are on their way.
    for operation in ["CreateBucket", "CreateSecurityGroup", "CreateTargetGroup"] {
        assert_eq!((first[operation], last[operation]), (0, 0), "{operation}");
    }
    let launched = i64::try_from(look.as_millis()).unwrap();
    assert_eq!(first["RunInstances"], launched);
    assert!(first["PutObject"] <= launched, "files are sent while instances boot");
    let arms = life
        .endpoint
        .times()
        .into_iter()
        .filter(|(at, name)| name == "RunInstances" && *at == launched);
    assert!(arms.count() >= 2, "both arms are launched in one look");
    life.destroyed().await;
}
