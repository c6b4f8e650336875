//! Question: what of ours is missing, and has all that it needs? Never touches a listener.

use crate::desired::Desired;
use crate::identity::{Arm, Place, SecurityGroupKind};
use crate::observed::{BootPhase, Instance, InstanceState, Observed, UploadState};
use crate::plan::{Draft, Step, WaitReason};
use crate::spec::{Digest, Version};

pub(crate) fn provision(desired: &Desired, observed: &Observed, draft: &mut Draft) {
    if desired.failed.is_some() {
        return;
    }
    if !observed.bucket {
        draft.steps.push(Step::CreateBucket);
    }
    uploads(desired, observed, draft);
    for kind in [SecurityGroupKind::App, SecurityGroupKind::Monitor] {
        if !observed.security_groups.contains(&kind) {
            draft.steps.push(Step::CreateSecurityGroup { kind });
        }
    }
    for arm in Arm::BOTH {
        if !observed.groups.contains_key(&arm) {
            draft.steps.push(Step::CreateTargetGroup { arm });
        }
    }
    for place in desired.places() {
        instance(desired, observed, place, draft);
    }
    for arm in Arm::BOTH {
        take_out_replaced(desired, observed, arm, draft);
    }
}

/// The files that must reach the bucket, each once even when both versions use it. What configures an app may be a secret,
/// and goes with the launch of each instance.
pub(crate) fn files(desired: &Desired) -> std::collections::BTreeSet<&Digest> {
    let versions = [&desired.spec.baseline, &desired.spec.canary];
    versions.into_iter().flat_map(Version::shared).collect()
}

/// A file that the monitor fetches by itself, and that nobody waits for: of those that are waited for too there is none.
fn beside(desired: &Desired) -> Option<&Digest> {
    let archive = desired.spec.monitor.referee_image.archive()?;
    (!files(desired).contains(archive)).then_some(archive)
}

/// Whether every file has reached the bucket.
pub fn files_there(desired: &Desired, observed: &Observed) -> bool {
    let done = |digest: &&Digest| {
        observed
            .uploads
            .get(*digest)
            .is_some_and(|u| u.state == UploadState::Done)
    };
    files(desired).iter().all(done)
}

/// What the first upload that failed said, of those that are waited for.
pub(crate) fn failed_upload<'o>(desired: &Desired, observed: &'o Observed) -> Option<&'o str> {
    let uploads = files(desired).into_iter().filter_map(|file| observed.uploads.get(file));
    let mut failed = uploads.filter_map(|upload| match &upload.state {
        UploadState::Failed(sentence) => Some(sentence.as_str()),
        UploadState::Running | UploadState::Done => None,
    });
    failed.next()
}

/// Whether the wanted filling of a place reports ready.
pub(crate) fn ready(desired: &Desired, observed: &Observed, place: Place) -> bool {
    let found = observed.instance(place, desired.incarnation(place));
    found.is_some_and(|instance| instance.phase() == Some(BootPhase::Ready))
}

fn uploads(desired: &Desired, observed: &Observed, draft: &mut Draft) {
    let files = files(desired);
    let mut done = 0;
    for digest in &files {
        match observed.uploads.get(*digest).map(|upload| &upload.state) {
            Some(UploadState::Done) => done += 1,
            Some(UploadState::Running) => {}
            Some(UploadState::Failed(_)) | None if observed.bucket => {
                draft.steps.push(Step::StartUpload {
                    digest: (*digest).clone(),
                });
            }
            Some(UploadState::Failed(_)) | None => {}
        }
    }
    if done < files.len() {
        let (of, problem) = (files.len(), failed_upload(desired, observed).map(str::to_owned));
        draft.waiting.push(WaitReason::Uploads { done, of, problem });
        return;
    }
    // Begun when what users wait for is there.
    let there = |digest: &&Digest| match observed.uploads.get(*digest).map(|upload| &upload.state) {
        Some(UploadState::Running | UploadState::Done) => true,
        Some(UploadState::Failed(_)) | None => false,
    };
    if observed.bucket
        && let Some(digest) = beside(desired).filter(|digest| !there(digest))
    {
        draft.steps.push(Step::StartUpload { digest: digest.clone() });
    }
}

fn instance(desired: &Desired, observed: &Observed, place: Place, draft: &mut Draft) {
    let incarnation = desired.incarnation(place);
    match observed.instance(place, incarnation) {
        Some(found) => attach(desired, observed, found, draft),
        None => {
            let needed = match place.role.arm() {
                Some(_) => SecurityGroupKind::App,
                None => SecurityGroupKind::Monitor,
            };
            // Instances boot while the files still upload, but the bucket must stand for the URLs they are given.
            if observed.bucket && observed.security_groups.contains(&needed) && may_launch(desired) {
                draft.steps.push(Step::LaunchInstance { place, incarnation });
            }
            draft.waiting.push(WaitReason::Instance {
                place,
                doing: "it is being launched".into(),
            });
        }
    }
}

/// After the first main rule nothing is launched by itself: a new instance would not be the one that was judged.
fn may_launch(desired: &Desired) -> bool {
    desired.main_rule == crate::desired::MainRule::NotYet && desired.hold.is_none()
}

fn attach(desired: &Desired, observed: &Observed, found: &Instance, draft: &mut Draft) {
    let Some(arm) = found.place.role.arm() else { return };
    let ready = found.state == InstanceState::Running && found.phase() == Some(BootPhase::Ready);
    if !ready {
        if !found.state.is_ending() {
            draft.waiting.push(WaitReason::Instance {
                place: found.place,
                doing: doing(found).into(),
            });
        }
        return;
    }
    if let Some(group) = observed.groups.get(&arm)
        && group
            .target(found.place)
            .is_none_or(|t| t.incarnation != desired.incarnation(found.place))
    {
        draft.steps.push(Step::RegisterTarget {
            arm,
            place: found.place,
            incarnation: found.incarnation,
        });
    }
}

/// An instance that ended stays registered until somebody takes it out, and an arm with a dead target is never healthy.
fn take_out_replaced(desired: &Desired, observed: &Observed, arm: Arm, draft: &mut Draft) {
    let Some(group) = observed.groups.get(&arm) else { return };
    let replaced = group
        .standing()
        .filter(|t| t.incarnation < desired.incarnation(t.place));
    draft.steps.extend(replaced.map(|target| Step::DeregisterTarget {
        arm,
        place: target.place,
        incarnation: target.incarnation,
    }));
}

const fn doing(found: &Instance) -> &'static str {
    match (found.state, &found.report) {
        (InstanceState::Pending, _) | (_, None) => "it is starting",
        (_, Some(report)) => match report.phase {
            BootPhase::Booting => "it is booting",
            BootPhase::DockerReady => "it is fetching its files",
            BootPhase::Fetched => "it is loading the images",
            BootPhase::Loaded => "it is starting the app",
            BootPhase::Up => "it is warming up",
            BootPhase::Ready => "it is ready",
            BootPhase::Failed => "its boot failed",
        },
    }
}
