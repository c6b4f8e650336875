//! How often an account is asked while many deployments serve, on a clock that only looks and waits move on.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use arya_aws::{Allowance, AwsCloud, Clock};
use arya_engine::{Reconciler, Report, Store};
use arya_judge::Timestamp;
use arya_plan::cloud::Cloud as _;
use arya_plan::desired::{Actor, Placement};
use arya_plan::identity::DeploymentId;
use arya_plan::listener::{Priority, Site, compose};
use arya_plan::observed::UploadState;
use arya_plan::phase::Phase;
use arya_plan::timing::Timing;
use tempfile::TempDir;

use crate::account::{Account, LISTENER, PRODUCTION, Tags};
use crate::common::{self, Files, Silence};
use crate::endpoint::Endpoint;
use crate::life::{engine, settings};
use crate::lives::is_read;
use crate::tree::Tree;

/// Long enough that everything that is asked rarely is asked several times.
const WATCHED: Duration = Duration::from_secs(300);
/// Strangers' tags are asked for until they cannot be late any more, and how much a deployment asks is the mean of its last
/// looks, those of its building among them.
const SETTLED: Duration = Duration::from_secs(300);
/// An upload goes on in real time.
const WHILE_UPLOADING: Duration = Duration::from_millis(20);
const LOOKS_MAX: usize = 4_000;

/// Deployments in front of one rule each.
struct Fleet {
    endpoint: Endpoint,
    reconciler: Reconciler<AwsCloud, Silence>,
    clock: Arc<AtomicI64>,
    /// When each is looked at next, in milliseconds.
    due: Vec<(i64, DeploymentId)>,
    _files: TempDir,
}

/// A rule of the user's, with room before it.
fn add_rule(account: &mut Account, number: usize) {
    let asked = format!(
        "Priority={}&Actions.member.1.Type=forward&Actions.member.1.Order=1\
         &Actions.member.1.ForwardConfig.TargetGroups.member.1.TargetGroupArn={PRODUCTION}\
         &Actions.member.1.ForwardConfig.TargetGroups.member.1.Weight=1\
         &Conditions.member.1.Field=path-pattern&Conditions.member.1.PathPatternConfig.Values.member.1=/{number}/*",
        priority(number)
    );
    let made = account.new_rule(&Tree::from_form(asked.as_bytes()), Tags::new());
    made.unwrap();
}

fn priority(number: usize) -> u16 {
    1_000 + 10 * u16::try_from(number).unwrap()
}

fn in_front_of(site: &Site, number: usize, instead: Placement) -> Placement {
    let chosen = site
        .rules
        .iter()
        .find(|rule| rule.priority == Priority::At(priority(number)))
        .unwrap();
    let composed = compose::in_front_of(chosen, &[]).unwrap();
    Placement {
        chosen: chosen.id.clone(),
        slots: compose::slots_before(site, chosen).unwrap(),
        site_digest: compose::site_digest(site, chosen, &composed),
        composed,
        ..instead
    }
}

impl Fleet {
    async fn of(size: usize) -> Self {
        let clock: Arc<AtomicI64> = Arc::default();
        let endpoint = Endpoint::start(0, clock.clone()).await;
        // As AWS has it, all of this listener's rules are one page.
        endpoint.read(|account| account.page = 400);
        let store = Arc::new(Store::in_memory().unwrap());
        let dir = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mut settings = settings(&endpoint, dir.path(), &store);
        settings.connection.allowance = Some(Allowance::OfAnAccount);
        settings.connection.clock = Clock::Driven(clock.clone());
        let cloud = AwsCloud::connect(settings).await.unwrap();
        let spec = cloud
            .resolve(&common::spec(dir.path(), LISTENER, Files::Small))
            .await
            .unwrap();
        endpoint.read(|account| (0..size).for_each(|number| add_rule(account, number)));
        let site = cloud.discover().await.unwrap().remove(0);
        let (mut due, mut began) = (vec![], Timestamp::now());
        for number in 0..size {
            let mut desired = common::desired(spec.clone(), &site);
            desired.installation = store.installation();
            desired.spec.name = format!("shop-{number}");
            desired.placement = in_front_of(&site, number, desired.placement);
            began = began.max(desired.created_at);
            let by = Actor::Person("Ana".into());
            store.create(&desired, &site, &by, began).unwrap();
            due.push((0, desired.id));
        }
        let reconciler = Reconciler::new(store, cloud, Silence, engine(began, &clock));
        Self {
            endpoint,
            reconciler,
            clock,
            due,
            _files: dir,
        }
    }

    /// The next look that is due.
    async fn look(&mut self) -> Report {
        self.due.sort_by_key(|(at, _)| *at);
        let (at, id) = self.due[0];
        self.clock.fetch_max(at, Ordering::SeqCst);
        let report = self.reconciler.tick(&id).await.unwrap();
        let next = report.plan.as_ref().unwrap().look_again_in;
        self.due[0].0 = self.clock.load(Ordering::SeqCst) + i64::try_from(next.as_millis()).unwrap();
        let mut uploads = report.observed.iter().flat_map(|seen| seen.uploads.values());
        if uploads.any(|upload| upload.state == UploadState::Running) {
            tokio::time::sleep(WHILE_UPLOADING).await;
        }
        report
    }

    async fn all_serve(&mut self) {
        let mut serving = std::collections::BTreeSet::new();
        for _ in 0..LOOKS_MAX {
            let report = self.look().await;
            if report.phase == Phase::Serving {
                serving.insert(report.desired.id);
            }
            if serving.len() == self.due.len() {
                return;
            }
        }
        panic!(
            "only {} of {} serve: {:?}",
            serving.len(),
            self.due.len(),
            self.look().await
        );
    }

    /// Looks for so long; the longest pause between two looks at one deployment.
    async fn pass(&mut self, time: Duration) -> Duration {
        let until = self.clock.load(Ordering::SeqCst) + i64::try_from(time.as_millis()).unwrap();
        let mut longest = Duration::ZERO;
        while self.clock.load(Ordering::SeqCst) < until {
            let report = self.look().await;
            assert_eq!(report.phase, Phase::Serving, "{:?}", report.cloud_error);
            let plan = report.plan.as_ref().unwrap();
            let told = plan
                .waiting
                .iter()
                .any(|one| one.reason.to_string().starts_with("Looks every"));
            assert_eq!(told, plan.look_again_in > Timing::AWS.look_steady, "{plan:?}");
            longest = longest.max(report.plan.unwrap().look_again_in);
        }
        longest
    }
}

/// The most calls in any ten seconds.
fn most_in_ten_seconds(times: &[i64]) -> usize {
    let within = |from: &i64| times.iter().filter(|at| (*from..from + 10_000).contains(at)).count();
    times.iter().map(within).max().unwrap_or(0)
}

/// What serving costs: the longest pause between looks, and how many listings and reads a second.
async fn check(size: usize, slowest: Duration) -> String {
    let mut fleet = Fleet::of(size).await;
    fleet.all_serve().await;
    fleet.pass(SETTLED).await;
    fleet.endpoint.forget_calls();
    let longest = fleet.pass(WATCHED).await;
    let times = fleet.endpoint.times();
    let listings: Vec<i64> = times
        .iter()
        .filter(|(_, operation)| operation.starts_with("Describe"))
        .map(|(at, _)| *at)
        .collect();
    let reads = times.iter().filter(|(_, operation)| is_read(operation)).count();
    let per_ten = |count: usize| 10.0 * count as f64 / WATCHED.as_secs_f64();
    let most = most_in_ten_seconds(&listings);
    let told = format!(
        "{size} serving: looks every {:.1} s at most; in ten seconds {:.1} listings, {most} at most, {:.1} reads in all",
        longest.as_secs_f64(),
        per_ten(listings.len()),
        per_ten(reads)
    );
    assert!(longest <= slowest, "{longest:?}");
    assert!(per_ten(reads) <= (2 + 5 * size) as f64, "{:?}", fleet.endpoint.calls());
    assert!(per_ten(listings.len()) <= 30.0, "{:?}", fleet.endpoint.calls());
    assert!(most <= (2 + 5 * size).min(30) + AT_ONCE, "{most}");
    told
}

/// What a look may ask at once after a pause, and what one look a minute asks besides: listener, load balancer, groups,
/// attributes and security groups.
const AT_ONCE: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn one_deployment_is_looked_at_every_ten_seconds_for_seven_calls() {
    println!("{}", check(1, Duration::from_secs(10)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn five_share_what_they_ask_alike() {
    println!("{}", check(5, Duration::from_secs(10)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_stretch_their_looks_and_ask_no_more_than_three_a_second() {
    // Four listings a look, some of them shared, make 30 s; a look that asks what is rare counts by a quarter.
    println!("{}", check(20, Duration::from_secs(45)).await);
}
