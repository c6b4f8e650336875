//! What any adapter must keep: tokens, strangers, dependencies, deletes of what is gone.

use arya_plan::cloud::{Cloud, ErrorKind};
use arya_plan::identity::{Arm, Place, Role, RuleKind, SecurityGroupKind};
use arya_plan::listener::{Action, Condition, Priority, Rule, RuleId};
use arya_plan::observed::{BootPhase, InstanceState, Observed, UploadState};
use arya_plan::plan::Step;
use arya_plan::spec::Digest;

use crate::stage::{Stage, Story, samples, settings};
use arya_local::live::{LiveCloud, LiveError};

const CANARY: Place = Place {
    role: Role::Canary,
    index: 0,
};

async fn kind_of_no(story: &Story, step: Step) -> (ErrorKind, String) {
    let error = story.apply(&step).await.unwrap_err();
    (error.kind, error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_used_token_is_answered_with_the_dead_instance_and_a_new_incarnation_lives() {
    let stage = Stage::set().await;
    let story = stage.story(&samples().canary, 5.0).await;
    story.launch_alone(CANARY).await;
    story
        .watch("ready", |o| {
            o.instance(CANARY, 1)
                .is_some_and(|i| i.phase() == Some(BootPhase::Ready))
        })
        .await;
    let terminate = Step::TerminateInstance {
        place: CANARY,
        incarnation: 1,
    };
    story.apply(&terminate).await.unwrap();
    story.apply(&terminate).await.unwrap();
    story
        .watch("terminated", |o| {
            o.instance(CANARY, 1).unwrap().state == InstanceState::Terminated
        })
        .await;

    story
        .apply(&Step::LaunchInstance {
            place: CANARY,
            incarnation: 1,
        })
        .await
        .unwrap();
    let observed = story.observe().await;
    assert_eq!(observed.instances.len(), 1);
    assert_eq!(observed.instances[0].state, InstanceState::Terminated);
    story
        .apply(&Step::LaunchInstance {
            place: CANARY,
            incarnation: 2,
        })
        .await
        .unwrap();
    story
        .watch("ready again", |o| {
            o.instance(CANARY, 2)
                .is_some_and(|i| i.phase() == Some(BootPhase::Ready))
        })
        .await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_gone_is_deleted_without_complaint_and_what_is_missing_is_waited_for() {
    let stage = Stage::set().await;
    let story = stage.story(&samples().canary, 5.0).await;
    let deletes = [
        Step::DeleteRule { kind: RuleKind::Main },
        Step::CancelUploads,
        Step::DeregisterTarget {
            arm: Arm::Canary,
            place: CANARY,
            incarnation: 1,
        },
        Step::TerminateInstance {
            place: CANARY,
            incarnation: 1,
        },
        Step::DeleteTargetGroup { arm: Arm::Canary },
        Step::DeleteSecurityGroup {
            kind: SecurityGroupKind::App,
        },
        Step::DeleteBucket,
    ];
    for step in deletes {
        assert_eq!(story.apply(&step).await, Ok(()), "{step}");
    }
    let digest = story.desired.spec.canary.image.clone();
    let early = [
        Step::StartUpload { digest },
        Step::LaunchInstance {
            place: CANARY,
            incarnation: 1,
        },
        Step::RegisterTarget {
            arm: Arm::Canary,
            place: CANARY,
            incarnation: 1,
        },
        Step::ModifyRule {
            kind: RuleKind::Main,
            actions: vec![stranger().actions.remove(0)],
        },
    ];
    for step in early {
        assert_eq!(kind_of_no(&story, step.clone()).await.0, ErrorKind::NotYet, "{step}");
    }
    assert_eq!(stage.cloud.list().await.unwrap(), vec![]);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_use_is_not_deleted() {
    let stage = Stage::set().await;
    let mut story = stage.story(&samples().canary, 5.0).await;
    story
        .until("probed", |_, o| o.our_rule(&story_id(o), RuleKind::Probe).is_some())
        .await;
    let (kind, text) = kind_of_no(&story, Step::DeleteTargetGroup { arm: Arm::Canary }).await;
    assert!(kind == ErrorKind::NotYet && text.contains("ResourceInUse"), "{text}");
    let (kind, text) = kind_of_no(
        &story,
        Step::DeleteSecurityGroup {
            kind: SecurityGroupKind::App,
        },
    )
    .await;
    assert!(
        kind == ErrorKind::NotYet && text.contains("DependencyViolation"),
        "{text}"
    );
    stage.end().await;
}

/// The only deployment whose rules are on the listener.
fn story_id(observed: &Observed) -> arya_plan::identity::DeploymentId {
    let owners = observed
        .site
        .iter()
        .flat_map(|site| &site.rules)
        .filter_map(|rule| rule.owner.as_ref());
    owners
        .map(|owner| owner.deployment)
        .next()
        .unwrap_or(arya_plan::identity::DeploymentId::new(uuid::Uuid::nil()))
}

fn stranger() -> Rule {
    Rule {
        id: RuleId::new("local:rule-of-somebody"),
        priority: Priority::At(19),
        conditions: vec![Condition::PathPattern {
            values: vec!["/somebody/*".into()],
        }],
        actions: vec![Action::FixedResponse {
            status: 200,
            content_type: "text/plain".into(),
            body: "mine".into(),
        }],
        transforms: vec![],
        owner: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_rule_keeps_its_priority_and_stays() {
    let stage = Stage::set().await;
    let story = stage.story(&samples().canary, 5.0).await;
    stage
        .cloud
        .edit_rules(|rules| {
            rules.push(stranger());
            Ok("Somebody added a rule.".into())
        })
        .unwrap();
    let step = |priority| Step::CreateRule {
        kind: RuleKind::Main,
        priority,
        conditions: story.desired.placement.composed.conditions.clone(),
        actions: stranger().actions,
    };
    let (kind, text) = kind_of_no(&story, step(19)).await;
    assert!(kind == ErrorKind::Refused && text.contains("PriorityInUse"), "{text}");
    story.apply(&step(18)).await.unwrap();
    story.apply(&step(18)).await.unwrap();
    assert_eq!(stage.site().await.rules.len(), 5);
    story.apply(&Step::DeleteRule { kind: RuleKind::Main }).await.unwrap();
    assert!(stage.site().await.rules.contains(&stranger()));
    assert_eq!(stage.site().await.rules.len(), 4);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_is_no_sample_does_not_run() {
    let stage = Stage::set().await;
    let mut story = stage.story(&samples().canary, 5.0).await;
    story.desired.spec.canary.image = stage.store(b"not an archive of ours");
    fails_to_start(&story, &["none of the samples", "Nothing of it was started"]).await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_boot_that_fails_says_why_and_the_instance_stands_for_its_log() {
    let stage = Stage::set().await;
    let compose = |more: &str| {
        let image = &samples().canary.reference;
        stage.store(format!("services:\n  web:\n    image: {image}\n    ports: [\"8080:8080\"]\n{more}").as_bytes())
    };
    let cases = [
        (
            compose("    environment: {SAMPLE_ERROR_SHARE: \"7\"}\n"),
            &["ended at once", "SAMPLE_ERROR_SHARE=7"][..],
        ),
        (
            compose("    command: [serve, --listen, \"0.0.0.0:8088\"]\n"),
            &["own `command`", "Nothing of it was started"][..],
        ),
        (
            stage.store(b"services: {web: {image: other, ports: [\"8080:8080\"]}}"),
            &["no image named `other`"][..],
        ),
        (stage.store(b"services: {web: {image: other}}"), &["8080"][..]),
        (stage.store(b"{{{"), &["YAML"][..]),
    ];
    for (compose, words) in cases {
        let mut story = stage.story(&samples().canary, 5.0).await;
        story.desired.spec.canary.compose = compose;
        fails_to_start(&story, words).await;
    }
    stage.end().await;
}

/// The canary alone does not come up; its report has these words, and it stands until it is terminated.
async fn fails_to_start(story: &Story, words: &[&str]) {
    story.launch_alone(CANARY).await;
    let failed = |o: &Observed| {
        o.instance(CANARY, 1)
            .is_some_and(|i| i.phase() == Some(BootPhase::Failed))
    };
    let observed = story.watch("failed", failed).await;
    let instance = observed.instance(CANARY, 1).unwrap();
    let tail = instance.report.as_ref().unwrap().tail.clone().unwrap();
    for words in words {
        assert!(tail.contains(words), "{words}: {tail}");
    }
    assert_eq!((instance.state, instance.address), (InstanceState::Running, None));
    story
        .apply(&Step::TerminateInstance {
            place: CANARY,
            incarnation: 1,
        })
        .await
        .unwrap();
    story
        .watch("ended", |o| {
            o.instance(CANARY, 1).unwrap().state == InstanceState::Terminated
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_stored_fails_its_upload_with_a_sentence() {
    let stage = Stage::set().await;
    let story = stage.story(&samples().canary, 5.0).await;
    let digest = Digest::of(b"never uploaded");
    story.apply(&Step::CreateBucket).await.unwrap();
    let start = Step::StartUpload { digest: digest.clone() };
    story.apply(&start).await.unwrap();
    let observed = story
        .watch("failed", |o| o.uploads[&digest].state != UploadState::Running)
        .await;
    let UploadState::Failed(sentence) = &observed.uploads[&digest].state else {
        panic!("{observed:?}")
    };
    assert!(sentence.contains("not stored here"), "{sentence}");
    // It can be started again once the file is there.
    stage.store(b"never uploaded");
    story.apply(&start).await.unwrap();
    let observed = story
        .watch("done", |o| o.uploads[&digest].state == UploadState::Done)
        .await;
    assert_eq!(
        (observed.uploads[&digest].sent, observed.uploads[&digest].size),
        (14, 14)
    );
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_removes_what_an_earlier_run_left_and_a_stop_ends_every_process() {
    let stage = Stage::set().await;
    let states = stage.cloud.balancer().group_states();
    let apps: Vec<_> = states
        .iter()
        .flat_map(|state| &state.targets)
        .map(|status| status.target.address)
        .collect();
    assert_eq!(apps.len(), 2);
    stage.cloud.stop().await;
    for app in apps {
        assert!(
            tokio::net::TcpStream::connect(app).await.is_err(),
            "{app} still listens"
        );
    }
    let left = stage.data("buckets").join("arya-old-files/files");
    std::fs::create_dir_all(&left).unwrap();
    let again = LiveCloud::start(settings(stage.dir.path())).await.unwrap();
    assert!(!left.exists());
    let taken = arya_local::live::LiveSettings {
        listen: again.address(),
        ..settings(stage.dir.path())
    };
    let error = LiveCloud::start(taken).await.unwrap_err();
    assert!(matches!(error, LiveError::Listen { .. }), "{error}");
    again.stop().await;
}
