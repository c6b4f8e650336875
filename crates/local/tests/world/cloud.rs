//! What stands in the account, and what time does to it.

use std::time::Duration;

use arya_local::world::{Happened, MONITOR, Mishap, Pace, World};
use arya_plan::cloud::{Cloud, ErrorKind};
use arya_plan::identity::{Arm, Place, Role, SecurityGroupKind};
use arya_plan::listener::{GroupId, Priority};
use arya_plan::observed::{BootPhase, InstanceState, TargetState, UploadState};
use arya_plan::phase::Phase;
use arya_plan::plan::Step;
use futures_util::FutureExt;

use crate::contract::{CANARY, launch_alone};
use crate::stage::{Stage, desired};

fn launched() -> Stage {
    let stage = Stage::new();
    launch_alone(&stage.world, &stage.desired, CANARY)
        .now_or_never()
        .expect("the world answers");
    stage
}

fn phase(stage: &Stage) -> (InstanceState, Option<BootPhase>) {
    let instance = stage.look().instances.remove(0);
    (instance.state, instance.phase())
}

fn happens(stage: &Stage, mishap: Mishap) {
    assert_eq!(stage.world.mishap(&stage.desired, mishap), Happened::Yes, "{mishap:?}");
}

fn wait(stage: &Stage, millis: u64) {
    stage.world.advance(Duration::from_millis(millis));
}

#[test]
fn an_instance_boots_phase_by_phase_and_waits_for_its_files() {
    let stage = launched();
    assert_eq!(phase(&stage), (InstanceState::Pending, None));
    wait(&stage, 1_000);
    assert_eq!(phase(&stage), (InstanceState::Running, Some(BootPhase::Booting)));
    happens(&stage, Mishap::UploadsStall);
    stage.pass(60);
    assert_eq!(phase(&stage).1, Some(BootPhase::DockerReady));
    happens_not(&stage, Mishap::UploadsStall);
    // The files come by another way: the upload is begun anew.
    assert_eq!(stage.apply(&Step::CancelUploads), Ok(()));
    for digest in stage.desired.spec.canary.digests().cloned() {
        assert_eq!(stage.apply(&Step::StartUpload { digest }), Ok(()));
    }
    stage.pass(10);
    assert_eq!(phase(&stage).1, Some(BootPhase::Ready));
}

fn happens_not(stage: &Stage, mishap: Mishap) {
    assert_eq!(stage.world.mishap(&stage.desired, mishap), Happened::No, "{mishap:?}");
}

#[test]
fn the_same_steps_at_any_stride_of_time_give_the_same_world() {
    let at = |strides: u32| {
        let stage = launched();
        for _ in 0..strides {
            stage.world.advance(Duration::from_secs(12) / strides);
        }
        stage.world.truth(&stage.desired)
    };
    assert_eq!(at(1), at(48));
    assert_eq!(at(1), at(1_000));
}

#[test]
fn status_documents_arrive_late_with_the_time_they_were_written() {
    let stage = Stage::with(|settings| settings.pace.report = Duration::from_secs(3));
    launch_alone(&stage.world, &stage.desired, CANARY)
        .now_or_never()
        .expect("the world answers");
    let written = stage.world.now();
    stage.pass(3);
    assert_eq!(phase(&stage), (InstanceState::Running, None));
    stage.pass(1);
    let report = stage.look().instances.remove(0).report.unwrap();
    assert_eq!(
        (report.phase, report.at.duration_since(written).as_secs()),
        (BootPhase::Booting, 1)
    );
}

#[test]
fn a_boot_that_fails_says_why_and_one_that_hangs_says_nothing_more() {
    let stage = launched();
    stage.pass(1);
    happens(&stage, Mishap::BootHangs(CANARY));
    stage.pass(60);
    assert_eq!(phase(&stage), (InstanceState::Running, Some(BootPhase::Booting)));
    let stage = launched();
    stage.pass(1);
    happens(&stage, Mishap::BootFails(CANARY));
    stage.pass(60);
    let failed = stage.look().instances.remove(0);
    assert_eq!(
        (failed.state, failed.phase()),
        (InstanceState::Running, Some(BootPhase::Failed))
    );
    assert!(failed.report.unwrap().tail.is_some());
    happens_not(&stage, Mishap::BootFails(CANARY));
    happens_not(&stage, Mishap::BootFails(MONITOR));
}

#[test]
fn uploads_move_with_time_and_can_fail_and_be_begun_again() {
    let stage = Stage::with(|settings| settings.pace = Pace::AWS);
    let digest = stage.desired.spec.canary.image.clone();
    let start = Step::StartUpload { digest: digest.clone() };
    let upload = |stage: &Stage| stage.look().uploads[&digest].clone();
    assert_eq!(stage.apply(&Step::CreateBucket), Ok(()));
    assert_eq!(stage.apply(&start), Ok(()));
    stage.pass(15);
    assert_eq!((upload(&stage).sent, upload(&stage).state), (500, UploadState::Running));
    happens(&stage, Mishap::UploadsFail);
    stage.pass(60);
    assert!(matches!(upload(&stage).state, UploadState::Failed(_)));
    assert_eq!(stage.apply(&start), Ok(()));
    stage.pass(30);
    assert_eq!((upload(&stage).sent, upload(&stage).state), (1_000, UploadState::Done));
}

#[test]
fn a_terminated_instance_leaves_its_group_late_and_is_listed_for_a_while() {
    let stage = Stage::serving();
    let (place, incarnation) = (CANARY, 1);
    assert_eq!(stage.apply(&Step::TerminateInstance { place, incarnation }), Ok(()));
    let target = |stage: &Stage| {
        let groups = stage.look().groups;
        groups[&Arm::Canary].target(CANARY).map(|target| target.health.clone())
    };
    let state = |stage: &Stage| stage.look().instance(CANARY, 1).map(|instance| instance.state);
    assert_eq!(state(&stage), Some(InstanceState::ShuttingDown));
    stage.pass(2);
    assert_eq!(state(&stage), Some(InstanceState::Terminated));
    let health = target(&stage).unwrap();
    assert_eq!(
        (health.state, health.reason.as_deref()),
        (TargetState::Unused, Some("Target.InvalidState"))
    );
    stage.pass(119);
    assert_eq!(state(&stage), Some(InstanceState::Terminated));
    stage.pass(1);
    assert_eq!((state(&stage), target(&stage)), (None, None));
}

#[test]
fn what_is_over_a_quota_is_refused_with_its_code() {
    let check = |edit: fn(&mut arya_local::world::Quotas), step: Step, code: &str| {
        let stage = Stage::with(|settings| edit(&mut settings.quotas));
        if code != "SecurityGroupLimitExceeded" {
            stage.ready_to_launch();
        }
        let error = stage.apply(&step).unwrap_err();
        assert!(error.kind == ErrorKind::Refused && error.what.contains(code), "{error}");
    };
    let launch = Step::LaunchInstance {
        place: CANARY,
        incarnation: 1,
    };
    check(|quotas| quotas.instances = 0, launch, "VcpuLimitExceeded");
    let arm = Arm::Canary;
    check(
        |quotas| quotas.target_groups = 1,
        Step::CreateTargetGroup { arm },
        "TooManyTargetGroups",
    );
    let kind = SecurityGroupKind::App;
    let group = Step::CreateSecurityGroup { kind };
    check(|quotas| quotas.security_groups = 0, group, "SecurityGroupLimitExceeded");
    let mut stage = Stage::with(|settings| settings.quotas.rules = 2);
    // One of production's and the probe rule; the main rule is the third.
    stage.until_rule_refused("TooManyRules");
}

#[test]
fn a_strangers_group_of_the_same_name_is_not_taken_over() {
    let world = World::default();
    let (ours, other) = (desired(&world, 7, "default"), desired(&world, 7, "default"));
    let arm = Arm::Canary;
    let step = Step::CreateTargetGroup { arm };
    assert_eq!(world.apply(&ours, &step).now_or_never(), Some(Ok(())));
    let mut other = other;
    other.installation = arya_plan::identity::InstallationId::new(uuid::Uuid::from_u128(8));
    let error = world.apply(&other, &step).now_or_never().unwrap().unwrap_err();
    assert!(error.what.contains("DuplicateTargetGroupName"), "{error}");
}

#[test]
fn throttling_and_frozen_listings_last_as_long_as_the_pace_says() {
    let stage = Stage::new();
    happens(&stage, Mishap::Throttling);
    assert_eq!(stage.apply(&Step::CreateBucket).unwrap_err().kind, ErrorKind::Throttled);
    let look = stage
        .world
        .observe(&stage.desired, stage.world.now())
        .now_or_never()
        .unwrap();
    assert_eq!(look.unwrap_err().kind, ErrorKind::Throttled);
    stage.pass(5);
    happens(&stage, Mishap::ListingsFreeze);
    assert_eq!(stage.apply(&Step::CreateBucket), Ok(()));
    assert!(!stage.look().bucket && stage.world.truth(&stage.desired).bucket);
    stage.pass(5);
    assert!(stage.look().bucket);
}

#[test]
fn two_deployments_in_one_world_do_not_meet() {
    let mut stage = Stage::serving();
    let before = stage.world.truth(&stage.desired);
    let mut other = Stage {
        desired: desired(&stage.world, 8, "images"),
        ..stage.fork()
    };
    other.world = stage.world.clone();
    other.seen = arya_plan::seen::Seen::default();
    other.until_phase(Phase::Serving);
    let listed = stage.world.list().now_or_never().unwrap().unwrap();
    assert_eq!(listed, [stage.desired.id, other.desired.id]);
    let after = stage.world.truth(&stage.desired);
    assert_eq!((after.instances, after.groups), (before.instances, before.groups));
    assert_eq!(stage.round().phase, Phase::Serving);
    let rules = stage.world.site().unwrap().rules;
    let in_order = rules.is_sorted_by_key(|rule| rule.priority);
    assert!(
        in_order && rules.last().unwrap().priority == Priority::Default,
        "{rules:#?}"
    );
}

#[test]
fn health_follows_the_app_after_two_checks_and_back_after_two() {
    let stage = Stage::serving();
    let state = |stage: &Stage| stage.look().groups[&Arm::Canary].targets[0].health.clone();
    assert_eq!(state(&stage).state, TargetState::Healthy);
    happens(&stage, Mishap::ArmSickens(Arm::Canary));
    stage.pass(2);
    assert_eq!(state(&stage).state, TargetState::Healthy);
    stage.pass(2);
    let reason = state(&stage).reason;
    assert_eq!(reason.as_deref(), Some("Target.ResponseCodeMismatch"));
    happens(&stage, Mishap::ArmRecovers(Arm::Canary));
    stage.pass(4);
    assert_eq!(state(&stage).state, TargetState::Healthy);
}

#[test]
fn a_drain_lasts_until_the_groups_delay_is_over() {
    let stage = Stage::serving();
    let out = Step::DeregisterTarget {
        arm: Arm::Canary,
        place: Place {
            role: Role::Canary,
            index: 0,
        },
        incarnation: 1,
    };
    let states = |stage: &Stage| {
        let targets = stage.look().groups.remove(&Arm::Canary).unwrap().targets;
        targets
            .into_iter()
            .map(|target| target.health.state)
            .collect::<Vec<_>>()
    };
    assert_eq!(stage.apply(&out), Ok(()));
    wait(&stage, 3_900);
    assert_eq!(states(&stage), [TargetState::Draining]);
    wait(&stage, 100);
    assert_eq!(states(&stage), []);
    let register = Step::RegisterTarget {
        arm: Arm::Canary,
        place: CANARY,
        incarnation: 1,
    };
    assert_eq!(stage.apply(&register), Ok(()));
    assert_eq!(states(&stage), [TargetState::Initial]);
    assert_eq!(stage.apply(&out), Ok(()));
    assert_eq!(stage.apply(&register), Ok(()));
    assert_eq!(
        states(&stage),
        [TargetState::Initial],
        "whoever comes back while it drains starts anew"
    );
    let group = GroupId::new("production");
    assert_eq!(stage.look().site.unwrap().groups[&group].health.healthy, 2);
}
