//! Evidence from the load balancer's own metrics: what is asked, when a minute counts, and what a failure of the source is.

use std::ops::RangeInclusive;
use std::path::Path;

use arya_aws::AwsCloud;
use arya_engine::Store;
use arya_judge::source::pack::{error_share_of_clients, latency_of_targets};
use arya_judge::{
    Block, Evidence, JudgeConfig, MetricConfig, MetricSource as _, Outcome, Shown, SourceError, Timestamp, judge,
};
use arya_plan::cloud::Cloud as _;
use arya_plan::desired::Desired;
use arya_plan::identity::Arm;

use crate::account::{PRODUCTION, Rule};
use crate::common::Files;
use crate::endpoint::{Fault, When};
use crate::life::{Life, settings};
use crate::metrics::Served;

/// Requests of an arm in a minute.
const REQUESTS: u32 = 300;

/// A deployment that serves, and minutes that are told one after the other.
struct Measured {
    life: Life,
    cloud: AwsCloud,
    /// The target groups of baseline, canary and production, as metrics name them.
    groups: [String; 3],
    /// When the first minute begins.
    from: Timestamp,
    desired: Desired,
}

fn dimension(arn: &str) -> String {
    arn[arn.rfind(":targetgroup/").unwrap() + 1..].to_owned()
}

impl Measured {
    async fn begin() -> Self {
        let life = Life::begin(Files::Small, 0).await;
        let desired = life.serving().await.desired;
        // Somebody who has only just begun to look.
        let store = Store::in_memory().unwrap();
        let cloud = AwsCloud::connect(settings(&life.endpoint, Path::new("."), &store))
            .await
            .unwrap();
        let seen = cloud.observe(&desired, desired.created_at).await.unwrap();
        let of = |arm| dimension(seen.groups[&arm].id.as_str());
        let minute = seen.at.as_second() - seen.at.as_second() % 60;
        Self {
            groups: [of(Arm::Baseline), of(Arm::Canary), dimension(PRODUCTION)],
            from: Timestamp::from_second(minute).unwrap(),
            desired,
            cloud,
            life,
        }
    }

    fn at(&self, minutes: i64, seconds: i64) -> Timestamp {
        Timestamp::from_second(self.from.as_second() + minutes * 60 + seconds).unwrap()
    }

    /// One side's minute: `failed` answers of status 500, `hung` requests that nobody answers.
    fn serve(&self, side: usize, minute: i64, failed: u32, hung: u32) {
        let answered = REQUESTS - hung;
        let served = Served {
            begins: self.at(minute, 0).as_second(),
            group: self.groups[side].clone(),
            requests: REQUESTS,
            answers: [answered - failed, 0, 0, failed],
            times: (0..answered).map(|one| 0.030 + f64::from(one % 30) / 1000.0).collect(),
        };
        self.life.endpoint.read(|account| account.served.push(served));
    }

    async fn ask(&self, metric: &MetricConfig, window: RangeInclusive<Timestamp>) -> Result<Evidence, SourceError> {
        let id = self.desired.id.to_string();
        self.cloud.evidence(&id, metric, window).await
    }

    async fn errors(&self, now: Timestamp) -> Result<Evidence, SourceError> {
        self.ask(&error_share_of_clients(), self.from..=now).await
    }

    /// A look at the account as it would be if only the default rule led to production.
    async fn only_one_way(&self) {
        let change = |rules: Vec<Rule>| {
            self.life
                .endpoint
                .read(|account| std::mem::replace(&mut account.rules, rules))
        };
        let all = change(vec![]);
        let is_other = |rule: &Rule| [Some(20), Some(30)].contains(&rule.priority);
        change(all.iter().filter(|rule| !is_other(rule)).cloned().collect());
        self.cloud.observe(&self.desired, self.from).await.unwrap();
        change(all);
    }

    fn calls(&self) -> usize {
        self.life.endpoint.calls().get("GetMetricData").copied().unwrap_or(0)
    }
}

fn counts(evidence: &Evidence) -> Vec<[f64; 4]> {
    let counts = evidence.blocks.iter().map(|block| *block.counts().unwrap());
    let plain = counts.map(|block| {
        [
            block.baseline_events,
            block.canary_events,
            block.baseline_exposure,
            block.canary_exposure,
        ]
    });
    plain.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minute_counts_once_it_is_settled_and_one_question_serves_every_metric() {
    let measured = Measured::begin().await;
    measured.only_one_way().await;
    for minute in 0..3 {
        measured.serve(0, minute, 1, 0);
        measured.serve(1, minute, 9, 0);
        measured.serve(2, minute, 2, 0);
    }
    let early = measured.errors(measured.at(3, 30)).await.unwrap();
    assert_eq!(early.blocks, [], "numbers of the last three minutes may still come");
    let pages = measured.calls();
    let times = measured
        .ask(&latency_of_targets(), measured.from..=measured.at(3, 31))
        .await
        .unwrap();
    assert_eq!(
        (times.blocks.len(), measured.calls()),
        (0, pages),
        "the same question served both"
    );
    // What comes late is read in the next question.
    measured.serve(1, 3, 9, 0);
    let later = measured.errors(measured.at(5, 10)).await.unwrap();
    assert_eq!(counts(&later), [[1.0, 9.0, 300.0, 300.0]; 2]);
    assert_eq!(measured.calls(), 2 * pages);
    let ends: Vec<Timestamp> = later.blocks.iter().map(Block::ends_at).collect();
    assert_eq!(ends, [measured.at(1, 0), measured.at(2, 0)]);
    let next = measured
        .ask(&error_share_of_clients(), measured.at(2, 0)..=measured.at(7, 10))
        .await
        .unwrap();
    assert_eq!(counts(&next), [[1.0, 9.0, 300.0, 300.0], [0.0, 9.0, 0.0, 300.0]]);
    // Production gets what the arms get, on the default rule and without conditions.
    let [one] = &next.production[..] else {
        panic!("{:?}", next.production)
    };
    let Shown::Counts(beside) = &one.shown else {
        panic!("{one:?}")
    };
    assert_eq!((beside.events, beside.exposure), (2.0, 300.0));
    assert_eq!((one.machines.production, one.machines.each_arm), (2, 1));
    let times = measured
        .ask(&latency_of_targets(), measured.from..=measured.at(7, 11))
        .await
        .unwrap();
    let Block::Histogram(block) = &times.blocks[0] else {
        panic!("{times:?}")
    };
    assert_eq!((block.baseline.total(), block.canary.total()), (300.0, 300.0));
    assert_eq!(block.canary.by(&[0.05, 0.1]), [210.0, 90.0, 0.0]);
    measured.life.destroyed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_lets_requests_hang_is_harmful_although_no_target_said_so() {
    let measured = Measured::begin().await;
    for minute in 0..20 {
        measured.serve(0, minute, 0, 0);
        measured.serve(1, minute, 0, 60);
    }
    let evidence = measured.errors(measured.at(25, 0)).await.unwrap();
    let config = JudgeConfig {
        metrics: vec![error_share_of_clients()],
        ..JudgeConfig::default()
    };
    assert_eq!(
        judge(&config, std::slice::from_ref(&evidence)).outcome,
        Outcome::Harmful
    );
    measured.life.destroyed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_traffic_is_no_block_and_no_error() {
    let measured = Measured::begin().await;
    let quiet = measured.errors(measured.at(30, 0)).await.unwrap();
    assert_eq!((quiet.blocks.len(), quiet.production.len()), (0, 0));
    measured.life.destroyed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_fails_is_said_and_nothing_is_lost_by_it() {
    let measured = Measured::begin().await;
    for minute in 0..10 {
        measured.serve(0, minute, 1, 0);
        measured.serve(1, minute, 2, 0);
    }
    let faults = [
        (Fault::Throttled, "patience"),
        (Fault::Fails, "InternalFailure"),
        (Fault::DoneAndCut, "no clear answer"),
        (Fault::Expired, "Log in again"),
        (Fault::Denied, "cloudwatch:GetMetricData"),
    ];
    for (place, (fault, words)) in (0..).zip(faults) {
        measured.life.script(vec![("GetMetricData", When::Always, fault)]);
        let said = measured.errors(measured.at(13 + 2 * place, 0)).await.unwrap_err();
        assert!(said.to_string().contains(words), "{fault:?}: {said}");
        let before = measured.calls();
        let again = measured.errors(measured.at(13 + 2 * place, 10)).await.unwrap_err();
        assert_eq!(
            (again, measured.calls()),
            (said, before),
            "it is not asked again at once"
        );
        measured.life.script(vec![]);
        let healed = measured.errors(measured.at(14 + 2 * place, 0)).await.unwrap();
        assert_eq!(counts(&healed), [[1.0, 2.0, 300.0, 300.0]; 10], "{fault:?}");
    }
    measured.life.destroyed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_metric_that_is_not_answered_in_full_is_not_taken_for_silence() {
    let measured = Measured::begin().await;
    for minute in 0..5 {
        measured.serve(0, minute, 0, 0);
        measured.serve(1, minute, 200, 0);
    }
    let withhold = |withheld| measured.life.endpoint.read(|account| account.withheld = withheld);
    withhold(Some(("HTTPCode_Target_5XX_Count", "InternalError")));
    let said = measured.errors(measured.at(9, 0)).await.unwrap_err().to_string();
    assert!(said.contains("InternalError") && said.contains("5XX"), "{said}");
    withhold(None);
    let answered = measured.errors(measured.at(10, 0)).await.unwrap();
    assert_eq!(counts(&answered), [[0.0, 200.0, 300.0, 300.0]; 5]);
    measured.life.destroyed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stops_asking_is_not_asked_for_and_pays_nothing() {
    let measured = Measured::begin().await;
    measured.errors(measured.at(1, 0)).await.unwrap();
    let before = measured.calls();
    measured.life.destroyed().await;
    assert_eq!(measured.calls(), before, "only whoever wants evidence asks");
}
