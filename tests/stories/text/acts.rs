//! What others do and what breaks, in the words of a story. One table, so that a new act needs one line.

use arya_local::world::{BASELINE, CANARY, CallKind, Edit, FaultKind, Mishap};
use arya_plan::identity::{Arm, RuleKind};

/// Something that happens to the cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Edit(Edit),
    Mishap(Mishap),
}

const ACTS: [(&str, Act); 34] = [
    (
        "somebody deletes the main rule",
        Act::Edit(Edit::DeleteOurRule(RuleKind::Main)),
    ),
    (
        "somebody deletes the probe rule",
        Act::Edit(Edit::DeleteOurRule(RuleKind::Probe)),
    ),
    ("somebody reweighs the main rule", Act::Edit(Edit::ReweighOurRule)),
    (
        "somebody sends all of the main rule to production",
        Act::Edit(Edit::EmptyOurRule),
    ),
    (
        "somebody moves the main rule",
        Act::Edit(Edit::MoveOurRule(RuleKind::Main)),
    ),
    ("somebody narrows the main rule", Act::Edit(Edit::NarrowOurRule)),
    ("somebody edits the rule below", Act::Edit(Edit::ReweighChosen)),
    ("somebody moves the rule below", Act::Edit(Edit::MoveChosen)),
    ("somebody deletes the rule below", Act::Edit(Edit::DeleteChosen)),
    ("production is deployed to a new group", Act::Edit(Edit::SwapProduction)),
    (
        "somebody adds a rule for the same requests before ours",
        Act::Edit(Edit::AddRuleBefore),
    ),
    (
        "somebody adds a rule for a path of their own",
        Act::Edit(Edit::AddOtherRule),
    ),
    (
        "somebody takes the priority of the main rule",
        Act::Edit(Edit::TakeOurPriority(RuleKind::Main)),
    ),
    ("somebody deletes the listener", Act::Edit(Edit::DeleteListener)),
    (
        "somebody terminates the baseline instance",
        Act::Edit(Edit::TerminateOurs(BASELINE)),
    ),
    (
        "somebody terminates the canary instance",
        Act::Edit(Edit::TerminateOurs(CANARY)),
    ),
    (
        "somebody takes the canary out of its group",
        Act::Edit(Edit::DeregisterOurs(Arm::Canary)),
    ),
    ("production gets one more instance", Act::Edit(Edit::ScaleProduction)),
    ("the canary instance dies", Act::Mishap(Mishap::InstanceDies(CANARY))),
    ("the canary fails to boot", Act::Mishap(Mishap::BootFails(CANARY))),
    ("the canary hangs in its boot", Act::Mishap(Mishap::BootHangs(CANARY))),
    (
        "the canary fails its health checks",
        Act::Mishap(Mishap::ArmSickens(Arm::Canary)),
    ),
    (
        "the canary passes its health checks again",
        Act::Mishap(Mishap::ArmRecovers(Arm::Canary)),
    ),
    (
        "production fails its health checks",
        Act::Mishap(Mishap::ProductionSickens),
    ),
    (
        "production passes its health checks again",
        Act::Mishap(Mishap::ProductionRecovers),
    ),
    ("the uploads that run fail", Act::Mishap(Mishap::UploadsFail)),
    ("the uploads that run stand still", Act::Mishap(Mishap::UploadsStall)),
    ("the cloud asks everybody for patience", Act::Mishap(Mishap::Throttling)),
    ("listings fall behind", Act::Mishap(Mishap::ListingsFreeze)),
    (
        "the canary begins to fail three requests where the baseline fails one",
        Act::Mishap(Mishap::CanaryTurnsBad),
    ),
    (
        "the canary fails as few requests as the baseline",
        Act::Mishap(Mishap::CanaryTurnsGood),
    ),
    (
        "both arms begin to fail three requests where production fails one",
        Act::Mishap(Mishap::TwinsTurnUnfit),
    ),
    ("the counters stop answering", Act::Mishap(Mishap::SourceFails)),
    ("the counters answer again", Act::Mishap(Mishap::SourceRecovers)),
];

/// The act of these words.
pub(crate) fn act(words: &str) -> Option<Act> {
    let found = ACTS.iter().find(|(known, _)| *known == words);
    found.map(|(_, act)| *act)
}

/// A call that goes wrong, e.g. `the answer to CreateRule is lost`.
pub(crate) fn call(words: &str) -> Option<(CallKind, FaultKind)> {
    let between = |start: &str, end: &str| words.strip_prefix(start)?.strip_suffix(end);
    let (name, kind) = [
        (between("the answer to ", " is lost"), FaultKind::LostAfter),
        (between("", " is lost on its way"), FaultKind::LostBefore),
        (between("", " is done and never answered"), FaultKind::HangsAfter),
        (between("", " is refused"), FaultKind::Refused),
        (between("", " is asked for patience"), FaultKind::Throttled),
        (between("", " is listed late"), FaultKind::Lags),
        (between("the server dies before ", ""), FaultKind::DiesBefore),
        (between("the server dies after ", ""), FaultKind::DiesAfter),
    ]
    .into_iter()
    .find_map(|(name, kind)| Some((name?, kind)))?;
    let call = CallKind::ALL.into_iter().find(|call| format!("{call:?}") == name)?;
    kind.fits(call).then_some((call, kind))
}

#[test]
fn every_act_has_words_of_its_own() {
    for (words, known) in ACTS {
        assert_eq!(act(words), Some(known), "{words}");
        assert_eq!(ACTS.iter().filter(|(_, other)| *other == known).count(), 1, "{words}");
    }
}

#[test]
fn a_call_that_cannot_go_wrong_so_is_no_line() {
    assert_eq!(
        call("the answer to CreateRule is lost"),
        Some((CallKind::CreateRule, FaultKind::LostAfter))
    );
    assert_eq!(call("StartUpload is listed late"), None);
    assert_eq!(call("the answer to CreateCake is lost"), None);
}
