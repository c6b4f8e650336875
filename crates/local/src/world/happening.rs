//! What others do to the world, and what breaks by itself. Injected by the caller between two looks.

use arya_plan::identity::{Arm, Place, Role, RuleKind, SecurityGroupKind};

/// A person's hand, in the console or with other tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Edit {
    DeleteOurRule(RuleKind),
    /// More of our main rule's traffic to the canary than anybody asked Arya for.
    ReweighOurRule,
    /// Our main rule forwards to production alone.
    EmptyOurRule,
    /// To a free priority before all others.
    MoveOurRule(RuleKind),
    NarrowOurRule,
    /// Other weights of the chosen rule's own groups; with one group another number, which AWS keeps as it is.
    ReweighChosen,
    /// Blue/green: production's rules forward to a new group, the old one empties.
    SwapProduction,
    MoveChosen,
    DeleteChosen,
    /// A rule before ours that may take some of the same requests.
    AddRuleBefore,
    /// A rule before ours for a path of its own. It takes none of our requests, unless ours takes every path.
    AddOtherRule,
    /// Somebody's rule on the priority that ours is planned for.
    TakeOurPriority(RuleKind),
    DeleteListener,
    TerminateOurs(Place),
    DeregisterOurs(Arm),
    DeleteOurGroup(Arm),
    DeleteOurSecurityGroup(SecurityGroupKind),
    EmptyBucket,
    DeleteBucket,
    /// An autoscaler registers one more instance of production's.
    ScaleProduction,
}

impl Edit {
    pub const ALL: [Self; 28] = [
        Self::DeleteOurRule(RuleKind::Main),
        Self::DeleteOurRule(RuleKind::Probe),
        Self::ReweighOurRule,
        Self::EmptyOurRule,
        Self::MoveOurRule(RuleKind::Main),
        Self::MoveOurRule(RuleKind::Probe),
        Self::NarrowOurRule,
        Self::ReweighChosen,
        Self::SwapProduction,
        Self::MoveChosen,
        Self::DeleteChosen,
        Self::AddRuleBefore,
        Self::AddOtherRule,
        Self::TakeOurPriority(RuleKind::Main),
        Self::TakeOurPriority(RuleKind::Probe),
        Self::DeleteListener,
        Self::TerminateOurs(BASELINE),
        Self::TerminateOurs(CANARY),
        Self::TerminateOurs(MONITOR),
        Self::DeregisterOurs(Arm::Baseline),
        Self::DeregisterOurs(Arm::Canary),
        Self::DeleteOurGroup(Arm::Baseline),
        Self::DeleteOurGroup(Arm::Canary),
        Self::DeleteOurSecurityGroup(SecurityGroupKind::App),
        Self::DeleteOurSecurityGroup(SecurityGroupKind::Monitor),
        Self::EmptyBucket,
        Self::DeleteBucket,
        Self::ScaleProduction,
    ];
}

/// What goes wrong, or well again, without anybody's hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mishap {
    /// The wanted instance of a place ends: a spot interruption, its own shutdown.
    InstanceDies(Place),
    /// Its boot ends in `failed`.
    BootFails(Place),
    /// It never reports anything more.
    BootHangs(Place),
    /// The arm's apps answer health checks with 500.
    ArmSickens(Arm),
    ArmRecovers(Arm),
    /// The first of an arm's several apps answers health checks with 500.
    OneSickens(Arm),
    ProductionSickens,
    ProductionRecovers,
    /// Production's targets are taken out of its groups.
    ProductionEmpties,
    /// Uploads that run fail.
    UploadsFail,
    /// Uploads that run stand still.
    UploadsStall,
    /// Every call is throttled for [`Pace::throttling`](super::Pace::throttling).
    Throttling,
    /// For [`Pace::lag`](super::Pace::lag) every listing shows the world as it is now.
    ListingsFreeze,
    /// The canary fails three times as many requests as the baseline.
    CanaryTurnsBad,
    CanaryTurnsGood,
    /// Both arms fail three times as many requests as production.
    TwinsTurnUnfit,
    /// Evidence cannot be had.
    SourceFails,
    SourceRecovers,
}

impl Mishap {
    pub const ALL: [Self; 27] = [
        Self::InstanceDies(BASELINE),
        Self::InstanceDies(CANARY),
        Self::InstanceDies(MONITOR),
        Self::BootFails(BASELINE),
        Self::BootFails(CANARY),
        Self::BootFails(MONITOR),
        Self::BootHangs(BASELINE),
        Self::BootHangs(CANARY),
        Self::BootHangs(MONITOR),
        Self::ArmSickens(Arm::Baseline),
        Self::ArmSickens(Arm::Canary),
        Self::ArmRecovers(Arm::Baseline),
        Self::ArmRecovers(Arm::Canary),
        Self::OneSickens(Arm::Baseline),
        Self::OneSickens(Arm::Canary),
        Self::ProductionSickens,
        Self::ProductionRecovers,
        Self::ProductionEmpties,
        Self::UploadsFail,
        Self::UploadsStall,
        Self::Throttling,
        Self::ListingsFreeze,
        Self::CanaryTurnsBad,
        Self::CanaryTurnsGood,
        Self::TwinsTurnUnfit,
        Self::SourceFails,
        Self::SourceRecovers,
    ];
}

/// Whether something could happen in the world as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Happened {
    Yes,
    /// There was nothing that it could happen to, or the cloud would have refused it to a person too.
    No,
}

/// The first instance of each role.
pub const BASELINE: Place = Place {
    role: Role::Baseline,
    index: 0,
};
pub const CANARY: Place = Place {
    role: Role::Canary,
    index: 0,
};
pub const MONITOR: Place = Place {
    role: Role::Monitor,
    index: 0,
};
