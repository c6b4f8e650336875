//! The cloud's lies, as data: which call goes wrong, and how.

use arya_plan::plan::Step;

/// A call that goes wrong. Each is used up by the first call it fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fault {
    pub at: At,
    pub kind: FaultKind,
}

/// Which call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum At {
    /// The n-th call of all since the world began, from 0. See [`World::calls`](super::World::calls).
    Call(u32),
    /// The n-th call of its kind since the world began, from 0.
    Nth(CallKind, u32),
}

/// What may be asked of a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum CallKind {
    Look,
    Evidence,
    Discover,
    List,
    CreateBucket,
    StartUpload,
    CreateSecurityGroup,
    CreateTargetGroup,
    LaunchInstance,
    RegisterTarget,
    CreateRule,
    ModifyRule,
    DeleteRule,
    CancelUploads,
    DeregisterTarget,
    TerminateInstance,
    DeleteTargetGroup,
    DeleteSecurityGroup,
    DeleteBucket,
}

impl CallKind {
    pub const ALL: [Self; 19] = [
        Self::Look,
        Self::Evidence,
        Self::Discover,
        Self::List,
        Self::CreateBucket,
        Self::StartUpload,
        Self::CreateSecurityGroup,
        Self::CreateTargetGroup,
        Self::LaunchInstance,
        Self::RegisterTarget,
        Self::CreateRule,
        Self::ModifyRule,
        Self::DeleteRule,
        Self::CancelUploads,
        Self::DeregisterTarget,
        Self::TerminateInstance,
        Self::DeleteTargetGroup,
        Self::DeleteSecurityGroup,
        Self::DeleteBucket,
    ];

    pub const fn of(step: &Step) -> Self {
        match step {
            Step::CreateBucket => Self::CreateBucket,
            Step::StartUpload { .. } => Self::StartUpload,
            Step::CreateSecurityGroup { .. } => Self::CreateSecurityGroup,
            Step::CreateTargetGroup { .. } => Self::CreateTargetGroup,
            Step::LaunchInstance { .. } => Self::LaunchInstance,
            Step::RegisterTarget { .. } => Self::RegisterTarget,
            Step::CreateRule { .. } => Self::CreateRule,
            Step::ModifyRule { .. } => Self::ModifyRule,
            Step::DeleteRule { .. } => Self::DeleteRule,
            Step::CancelUploads => Self::CancelUploads,
            Step::DeregisterTarget { .. } => Self::DeregisterTarget,
            Step::TerminateInstance { .. } => Self::TerminateInstance,
            Step::DeleteTargetGroup { .. } => Self::DeleteTargetGroup,
            Step::DeleteSecurityGroup { .. } => Self::DeleteSecurityGroup,
            Step::DeleteBucket => Self::DeleteBucket,
        }
    }

    /// Whether the call changes anything where it works.
    pub const fn is_step(self) -> bool {
        !matches!(self, Self::Look | Self::Evidence | Self::Discover | Self::List)
    }
}

/// How a call goes wrong. *Before* and *after* are meant with respect to its effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultKind {
    /// Too many requests; nothing was done.
    Throttled,
    /// A limit or a missing permission; nothing was done.
    Refused,
    /// No answer, and nothing was done.
    LostBefore,
    /// No answer, and it was done.
    LostAfter,
    /// Never answers, and nothing was done.
    HangsBefore,
    /// Never answers, and it was done.
    HangsAfter,
    /// The asking process dies before the call left it. Nothing is answered until [`World::restart`](super::World::restart).
    DiesBefore,
    /// The asking process dies before the answer came.
    DiesAfter,
    /// It is done, and listings show it only after [`Pace::lag`](super::Pace::lag).
    Lags,
    /// A launch whose parameters differ from other launches with the same token, as presigned URLs do after a restart.
    OtherParameters,
}

impl FaultKind {
    pub const ALL: [Self; 10] = [
        Self::Throttled,
        Self::Refused,
        Self::LostBefore,
        Self::LostAfter,
        Self::HangsBefore,
        Self::HangsAfter,
        Self::DiesBefore,
        Self::DiesAfter,
        Self::Lags,
        Self::OtherParameters,
    ];

    /// Whether the fault means anything for such a call; one that does not is never used up by it.
    pub const fn fits(self, call: CallKind) -> bool {
        match self {
            Self::Throttled | Self::LostBefore | Self::HangsBefore | Self::DiesBefore | Self::Refused => true,
            // Without an effect there is no difference between before and after.
            Self::LostAfter | Self::HangsAfter | Self::DiesAfter => call.is_step(),
            // The bucket's content is read consistently, and so are targets' healths; what is cancelled shows at once.
            Self::Lags => call.is_step() && !matches!(call, CallKind::StartUpload | CallKind::CancelUploads),
            Self::OtherParameters => matches!(call, CallKind::LaunchInstance),
        }
    }
}
