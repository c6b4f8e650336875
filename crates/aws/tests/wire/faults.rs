//! Each fault at each call: the deployment comes to serve all the same, users are never sent to nobody, and nothing of ours
//! stays. A right that is missing for longer is named in what the person reads, and once it is there it goes on.

use std::collections::BTreeMap;
use std::sync::Arc;

use arya_aws::Leftover;
use arya_aws::calls::{Call, Part};
use arya_engine::Report;
use arya_plan::cloud::Cloud as _;
use arya_plan::desired::Change;
use arya_plan::identity::{LogicalId, RuleKind};
use arya_plan::phase::Phase;
use arya_plan::remains::may_be_removed;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::common::Files;
use crate::endpoint::{Fault, Line, When};
use crate::life::Life;
use crate::lives::is_read;

/// Lives at a time: most of them wait for a retry or a time-out.
const AT_ONCE: usize = 16;
/// Has every change struck wherever it is made, and more of the reads.
const DEEP: &str = "ARYA_AWS_DEEP";
/// Of the reads, every so many then.
const READS_STRUCK_EVERY: usize = 7;

/// An instance is made once, whatever is said of it.
const INSTANCES: usize = 3;

async fn calls_of_a_life(files: Files) -> BTreeMap<&'static str, usize> {
    let life = Life::begin(files, 0).await;
    life.endpoint.forget_calls();
    life.serving().await;
    life.destroyed().await;
    let made = life.endpoint.calls();
    let counted = |call: &Call| Some((call.name(), *made.get(call.name())?));
    Call::ALL.iter().filter_map(counted).collect()
}

/// Which occurrences of an operation are struck.
fn struck(operation: &str, count: usize) -> Vec<usize> {
    if std::env::var_os(DEEP).is_none() {
        return vec![0];
    }
    let every = if is_read(operation) { READS_STRUCK_EVERY } else { 1 };
    (0..count).step_by(every).collect()
}

async fn survives(files: Files, line: Line) {
    let life = Life::begin(files, 0).await;
    // Before the deployment there is nothing to survive.
    life.endpoint.forget_calls();
    life.script(vec![line]);
    watched(&life, |report| report.phase == Phase::Serving).await;
    life.submit(&Change::Destroy);
    watched(&life, |report| report.phase == Phase::Destroyed).await;
    assert_eq!(
        life.endpoint.read(|account| account.left()),
        Vec::<String>::new(),
        "{line:?}\n{}",
        life.feed()
    );
    let rules = life.endpoint.read(|account| account.rules.len());
    assert_eq!(rules, 4, "{line:?}");
    let launched = life
        .endpoint
        .read(|account| account.instances.iter().filter(|one| !one.tags.is_empty()).count());
    assert_eq!(launched, INSTANCES, "{line:?}\n{}", life.feed());
}

/// Looks until it is so, while users are sent to somebody after each look.
async fn watched(life: &Life, wanted: impl Fn(&Report) -> bool) -> Report {
    life.until("there", |report| {
        assert!(
            !life.endpoint.read(|account| account.sends_users_nowhere()),
            "{}",
            life.feed()
        );
        wanted(report)
    })
    .await
}

async fn all_survive(files: Files, cases: Vec<Line>) {
    let (room, mut lives) = (Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new());
    for line in cases {
        let room = room.clone();
        lives.spawn(async move {
            let _place = room.acquire_owned().await.unwrap();
            let life = tokio::spawn(survives(files, line));
            life.await.map_err(|error| format!("{line:?}: {error}"))
        });
    }
    let broken: Vec<String> = lives.join_all().await.into_iter().filter_map(Result::err).collect();
    assert_eq!(broken, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_at_each_call_is_survived() {
    let calls = calls_of_a_life(Files::Small).await;
    let nth = |(operation, count): (&'static str, usize)| {
        let occurrences = struck(operation, count).into_iter();
        occurrences.flat_map(move |nth| Fault::ALL.map(|fault| (operation, When::Nth(nth), fault)))
    };
    let cases: Vec<Line> = calls.into_iter().flat_map(nth).collect();
    println!("{} lives with one fault each", cases.len());
    all_survive(Files::Small, cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_at_each_call_of_an_upload_in_parts_is_survived() {
    let operations = ["CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"];
    let each = |operation| Fault::ALL.map(|fault| (operation, When::Nth(0), fault));
    all_survive(Files::InParts, operations.into_iter().flat_map(each).collect()).await;
}

/// Takes one right away for a while.
async fn is_named(call: Call) {
    let life = Life::begin(Files::Small, 0).await;
    let refuse = || life.script(vec![(call.name(), When::Always, Fault::Denied)]);
    let names = |report: &Report| format!("{report:?}").contains(call.row().action);
    let stopping = call.row().part == Part::EmergencyStop;
    if stopping {
        life.serving().await;
        life.submit(&Change::Destroy);
    }
    refuse();
    life.until(&format!("told that {} is missing", call.row().action), names)
        .await;
    life.script(vec![]);
    if !stopping {
        life.serving().await;
    }
    life.destroyed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_right_is_named_and_once_it_is_there_it_goes_on() {
    let calls = calls_of_a_life(Files::Small).await;
    let changes = Call::ALL
        .iter()
        .filter(|call| calls.contains_key(call.name()) && !is_read(call.name()));
    let (room, mut lives) = (Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new());
    for call in changes.copied() {
        let room = room.clone();
        lives.spawn(async move {
            let _place = room.acquire_owned().await.unwrap();
            tokio::spawn(is_named(call))
                .await
                .map_err(|error| format!("{}: {error}", call.name()))
        });
    }
    let broken: Vec<String> = lives.join_all().await.into_iter().filter_map(Result::err).collect();
    assert_eq!(broken, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn ended_credentials_ask_for_a_login_and_are_never_taken_for_done() {
    let life = Life::begin(Files::Small, 0).await;
    life.serving().await;
    life.submit(&Change::Destroy);
    life.script(
        Call::ALL
            .iter()
            .map(|call| (call.name(), When::Always, Fault::Expired))
            .collect(),
    );
    for _ in 0..20 {
        let report = life.look().await;
        assert_ne!(report.phase, Phase::Destroyed);
        assert!(
            format!("{report:?}").contains("Log in again"),
            "{:?}",
            report.cloud_error
        );
    }
    life.script(vec![]);
    life.destroyed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_is_told_as_far_as_it_is_shown_but_nothing_of_whom_users_may_be_sent_to_unseen() {
    let life = Life::begin(Files::Small, 0).await;
    life.serving().await;
    let denied = |operation| (operation, When::Always, Fault::Denied);
    let whole = life.cloud.leftovers().await.unwrap();
    assert!(whole.missed.is_empty(), "{whole:?}");
    life.script(vec![denied("DescribeInstances"), denied("ListBuckets")]);
    let partly = life.cloud.leftovers().await.unwrap();
    assert_eq!((partly.missed.len(), partly.found.len()), (2, 1), "{partly:?}");
    let (found, known) = (&partly.found[0], &whole.found[0]);
    assert!(found.places.contains(&LogicalId::Rule(RuleKind::Main)), "{found:?}");
    assert!(
        found.places.is_subset(&known.places) && found.listener == known.listener,
        "{found:?}"
    );
    // Without target groups too the rules are there, which is what users are taken away by.
    life.script(vec![denied("DescribeTargetGroups")]);
    let ruled = life.cloud.leftovers().await.unwrap();
    assert_eq!((ruled.missed.len(), ruled.found.len()), (1, 1), "{ruled:?}");
    assert!(
        ruled.missed[0]
            .what
            .contains("elasticloadbalancing:DescribeTargetGroups"),
        "{ruled:?}"
    );
    let found = &ruled.found[0];
    assert!(found.places.contains(&LogicalId::Rule(RuleKind::Main)) && found.listener == known.listener);
    // Who does not know whether users are sent to it says nothing of it.
    for operation in ["DescribeListeners", "DescribeRules"] {
        life.script(vec![denied(operation)]);
        let unknown = life.cloud.leftovers().await.unwrap();
        let offered = |one: &Leftover| may_be_removed(&one.places, unknown.rules);
        assert!(!unknown.found.iter().any(offered), "{operation}: {unknown:?}");
        assert!(unknown.missed[0].what.contains(operation), "{operation}: {unknown:?}");
        life.cloud.list().await.unwrap_err();
    }
    life.script(vec![denied("DescribeLoadBalancers")]);
    life.cloud.leftovers().await.unwrap_err();
    // One listener of several that does not answer hides no other one's rules.
    life.endpoint.read(|account| {
        account.page = 400;
        account.add_balancers(3);
    });
    life.endpoint.forget_calls();
    life.script(vec![("DescribeRules", When::Nth(2), Fault::Denied)]);
    let partly = life.cloud.leftovers().await.unwrap();
    assert_eq!((partly.missed.len(), partly.found.len()), (1, 1), "{partly:?}");
    assert_eq!(partly.found[0].places, known.places, "{partly:?}");
    assert!(
        may_be_removed(&partly.found[0].places, partly.rules),
        "its own rules are shown"
    );
}
