//! What only real machines do: archives that do not run, boots that fail, files that are missing, what a restart finds.

use arya_local::live::{LiveCloud, LiveError};
use arya_plan::left::log_key;
use arya_plan::observed::{BootPhase, InstanceState, Observed, UploadState};
use arya_plan::plan::Step;
use arya_plan::spec::Digest;

use crate::contract::{self, CANARY};
use crate::stage::{Stage, Story, samples, settings};

mod keeps {
    use crate::stage::Grounded;

    crate::contract::contract!(Grounded::set().await);
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
    contract::launch_alone(&story.cloud, &story.desired, CANARY).await;
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
async fn what_an_app_printed_is_read_while_it_stands_and_outlives_the_bucket() {
    let stage = Stage::set().await;
    let image = &samples().canary.reference;
    let compose = format!(
        "services:\n  web:\n    image: {image}\n    ports: [\"8080:8080\"]\n    environment: {{SAMPLE_ERROR_SHARE: \"/patients/4711?name=Anna\"}}\n"
    );
    let mut story = stage.story(&samples().canary, 5.0).await;
    story.desired.spec.canary.compose = stage.store(compose.as_bytes());
    fails_to_start(&story, &["SAMPLE_ERROR_SHARE=/patients/…?…"]).await;
    let id = story.desired.id;
    let logs = story.cloud.logs(&id).await.unwrap();
    let [log] = &logs[..] else { panic!("{logs:?}") };
    assert_eq!((log.place, log.incarnation), (CANARY, 1));
    assert!(
        String::from_utf8_lossy(&log.bytes).contains("SAMPLE_ERROR_SHARE"),
        "{log:?}"
    );

    story.apply(&Step::DeleteBucket).await.unwrap();
    let kept = stage.data("left").join(id.to_string()).join(log_key(CANARY, 1));
    let kept = std::fs::read_to_string(kept).unwrap();
    assert!(kept.contains("SAMPLE_ERROR_SHARE=/patients/…?…"), "{kept}");
    stage.end().await;
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
