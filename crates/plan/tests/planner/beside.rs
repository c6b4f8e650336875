//! What the monitor has besides: an archive of Referee, and production's machines. Nobody waits for either.

use arya_bundle::Digest;
use arya_plan::observed::{Upload, UploadState};
use arya_plan::phase::Phase;
use arya_plan::plan::Step;
use arya_plan::problem::Severity;
use arya_plan::spec::{ProductionTargets, RefereeImage, Spec};

use crate::paper::{Paper, compose, files, has_problem, image, make_preview, site, spec};

fn archive() -> Digest {
    Digest::of(b"referee")
}

fn with_archive(spec: &mut Spec) {
    spec.monitor.referee_image = RefereeImage::Archive(archive());
}

fn sends_it(steps: &[Step]) -> bool {
    let start = Step::StartUpload { digest: archive() };
    steps.contains(&start)
}

#[test]
fn an_archive_of_referee_is_sent_after_what_users_wait_for() {
    let mut paper = Paper::with(with_archive);
    let mut others = 0;
    for _ in 0..100 {
        let steps = paper.round();
        if sends_it(&steps) {
            assert!(others >= 3, "image, image and compose file go first");
            paper.run_until_quiet();
            assert_eq!(paper.phase(), Phase::Serving);
            assert!(!sends_it(&paper.look().steps), "once is enough");
            return;
        }
        let uploads = steps.iter().filter(|step| matches!(step, Step::StartUpload { .. }));
        others += uploads.count();
    }
    panic!("it was never sent");
}

#[test]
fn an_archive_that_does_not_arrive_is_tried_again_and_holds_up_nobody() {
    let mut paper = Paper::with(with_archive);
    paper.run_until_quiet();
    let failed = Upload {
        sent: 0,
        size: 1,
        state: UploadState::Failed("The bucket said no.".into()),
    };
    paper.world.uploads.insert(archive(), failed);
    let plan = paper.look();
    assert_eq!(plan.phase, Phase::Serving);
    assert!(sends_it(&plan.steps));
    assert!(
        !plan
            .waiting
            .iter()
            .any(|one| one.reason.to_string().contains("said no")),
        "{:?}",
        plan.waiting
    );
}

#[test]
fn an_archive_must_be_there_and_be_one_image() {
    let (mut spec, mut files) = (spec(), files());
    with_archive(&mut spec);
    files.remove(&archive());
    let name = "missing:monitor.referee_image";
    has_problem(
        &make_preview(&spec, &[site()], &files),
        name,
        Severity::Blocks,
        &["never uploaded here"],
    );
    files.insert(
        archive(),
        compose("services: {web: {image: \"x:1\", ports: [\"8080:8080\"]}}"),
    );
    let name = "kind:monitor.referee_image";
    has_problem(
        &make_preview(&spec, &[site()], &files),
        name,
        Severity::Blocks,
        &["no archive of one image"],
    );
    files.insert(archive(), image("referee:1", "amd64"));
    assert_eq!(make_preview(&spec, &[site()], &files).problems, []);
}

#[test]
fn an_archive_that_would_replace_another_tool_is_refused() {
    let mut spec = spec();
    with_archive(&mut spec);
    let refused = |spec: &Spec, saved_as: &str| {
        let mut files = files();
        files.insert(archive(), image(saved_as, "amd64"));
        let preview = make_preview(spec, &[site()], &files);
        let problems = preview.problems.into_iter();
        problems.map(|problem| problem.name).collect::<Vec<_>>()
    };
    let name = "name:monitor.referee_image";
    assert_eq!(refused(&spec, "docker.io/library/redis:7.2.5-alpine"), [name]);
    // The compose file has one name for every archive, so the default's own is in nobody's way.
    assert!(refused(&spec, "caleblayneheath/referee_aria:latest").is_empty());
    spec.monitor.image_prefix = "mirror.example.com/hub/".into();
    assert_eq!(refused(&spec, "mirror.example.com/hub/redis:7.2.5-alpine"), [name]);
    assert!(
        refused(&spec, "redis:7.2.5-alpine").is_empty(),
        "nothing there is called so"
    );
}

#[test]
fn an_archive_for_another_processor_is_refused() {
    let (mut spec, mut files) = (spec(), files());
    with_archive(&mut spec);
    files.insert(archive(), image("referee:1", "arm64"));
    has_problem(
        &make_preview(&spec, &[site()], &files),
        "architecture:monitor.referee_image",
        Severity::Blocks,
        &["built for arm64", "t3.medium", "runs amd64"],
    );
    spec.monitor.instance_type = "t4g.medium".into();
    assert_eq!(make_preview(&spec, &[site()], &files).problems, []);
}

#[test]
fn what_production_must_let_in_for_the_panels_is_told() {
    let mut spec = spec();
    spec.monitor.production_targets = ProductionTargets::Instances;
    has_problem(
        &make_preview(&spec, &[site()], &files()),
        "production_scraped",
        Severity::Note,
        &["20 of them at most", "must let it in on 9100", "nothing waits"],
    );
}
