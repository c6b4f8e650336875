//! What an Application Load Balancer makes of health checks, as pure functions: states with AWS's reason codes,
//! thresholds, and which targets of a group receive requests.
//!
//! Knows no clock, no socket and no task, so that a simulated world can use the same rules as the live balancer.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use arya_plan::listener::{GroupHealth, Protocol};
use arya_plan::observed;
use serde::{Deserialize, Serialize};

/// How targets of a group are asked whether they are well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheckSettings {
    /// Starts with `/`.
    pub path: String,
    /// Only `http` can be spoken here; a group with another protocol is refused.
    pub protocol: Protocol,
    /// From the start of one check to the start of the next. AWS: 5 to 300 s; shorter ones are accepted here.
    pub interval: Duration,
    /// For the whole check: connect, send, status line. Shorter than the interval.
    pub timeout: Duration,
    /// Successes in a row that end `unhealthy` (AWS: 2 to 10). A new target needs one only.
    pub healthy_threshold: u32,
    /// Failures in a row that end `healthy` (AWS: 2 to 10).
    pub unhealthy_threshold: u32,
    pub matcher: Matcher,
}

impl Default for HealthCheckSettings {
    /// AWS's defaults, but for the matcher, which AWS sets to 200.
    fn default() -> Self {
        Self {
            path: "/".to_owned(),
            protocol: Protocol::Http,
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(5),
            healthy_threshold: 5,
            unhealthy_threshold: 2,
            matcher: Matcher::new(200..=399),
        }
    }
}

/// The status codes that count as well, e.g. 200 to 399.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matcher(RangeInclusive<u16>);

impl Matcher {
    pub fn new(codes: RangeInclusive<u16>) -> Self {
        Self(codes)
    }

    pub fn accepts(&self, status: u16) -> bool {
        self.0.contains(&status)
    }
}

/// What one check of one target found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckResult {
    Status(u16),
    TimedOut,
    /// No connection, or no HTTP answer on it.
    Failed,
}

/// The state of a target in its group, in AWS's words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum TargetState {
    Initial {
        reason: InitialReason,
    },
    Healthy,
    Unhealthy {
        reason: UnhealthyReason,
        description: String,
    },
    Unused {
        reason: UnusedReason,
    },
    Draining,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum InitialReason {
    RegistrationInProgress,
    InitialHealthChecking,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum UnhealthyReason {
    ResponseCodeMismatch,
    Timeout,
    FailedHealthChecks,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum UnusedReason {
    /// No rule names the group, so nobody checks it.
    NotInUse,
    NotRegistered,
    /// The instance was stopped or terminated.
    InvalidState,
}

impl TargetState {
    /// `State` in DescribeTargetHealth.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Initial { .. } => "initial",
            Self::Healthy => "healthy",
            Self::Unhealthy { .. } => "unhealthy",
            Self::Unused { .. } => "unused",
            Self::Draining => "draining",
        }
    }

    /// `Reason` in DescribeTargetHealth; a healthy target has none.
    pub const fn reason_code(&self) -> Option<&'static str> {
        Some(match self {
            Self::Healthy => return None,
            Self::Initial {
                reason: InitialReason::RegistrationInProgress,
            } => "Elb.RegistrationInProgress",
            Self::Initial {
                reason: InitialReason::InitialHealthChecking,
            } => "Elb.InitialHealthChecking",
            Self::Unhealthy {
                reason: UnhealthyReason::ResponseCodeMismatch,
                ..
            } => "Target.ResponseCodeMismatch",
            Self::Unhealthy {
                reason: UnhealthyReason::Timeout,
                ..
            } => "Target.Timeout",
            Self::Unhealthy {
                reason: UnhealthyReason::FailedHealthChecks,
                ..
            } => "Target.FailedHealthChecks",
            Self::Unused {
                reason: UnusedReason::NotInUse,
            } => "Target.NotInUse",
            Self::Unused {
                reason: UnusedReason::NotRegistered,
            } => "Target.NotRegistered",
            Self::Unused {
                reason: UnusedReason::InvalidState,
            } => "Target.InvalidState",
            Self::Draining => "Target.DeregistrationInProgress",
        })
    }

    /// `Description` in DescribeTargetHealth.
    pub fn description(&self) -> &str {
        match self {
            Self::Healthy => "",
            Self::Initial {
                reason: InitialReason::RegistrationInProgress,
            } => "Target registration is in progress",
            Self::Initial {
                reason: InitialReason::InitialHealthChecking,
            } => "Initial health checks in progress",
            Self::Unhealthy { description, .. } => description,
            Self::Unused {
                reason: UnusedReason::NotInUse,
            } => "Target group is not configured to receive traffic from the load balancer",
            Self::Unused {
                reason: UnusedReason::NotRegistered,
            } => "Target is not registered to the target group",
            Self::Unused {
                reason: UnusedReason::InvalidState,
            } => "Target is in the stopped or terminated state",
            Self::Draining => "Target deregistration is in progress",
        }
    }

    /// The state in the planner's words; both are AWS's.
    pub(crate) fn as_observed(&self) -> observed::TargetHealth {
        let state = match self {
            Self::Initial { .. } => observed::TargetState::Initial,
            Self::Healthy => observed::TargetState::Healthy,
            Self::Unhealthy { .. } => observed::TargetState::Unhealthy,
            Self::Unused { .. } => observed::TargetState::Unused,
            Self::Draining => observed::TargetState::Draining,
        };
        let description = self.description();
        observed::TargetHealth {
            state,
            reason: self.reason_code().map(str::to_owned),
            description: (!description.is_empty()).then(|| description.to_owned()),
        }
    }
}

impl fmt::Display for TargetState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason_code() {
            Some(code) => write!(f, "{} ({code})", self.word()),
            None => f.write_str(self.word()),
        }
    }
}

/// A target's state with the run of equal answers that leads to the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    pub state: TargetState,
    /// Successes (in `unhealthy`) or failures (in `healthy` and `initial`) without a break so far.
    in_a_row: u32,
}

impl Health {
    /// A target that was just registered: checked if a rule names its group, else unused.
    pub fn registered(group: GroupUse) -> Self {
        Self::from(match group {
            GroupUse::Named => TargetState::Initial {
                reason: InitialReason::RegistrationInProgress,
            },
            GroupUse::Unnamed => TargetState::Unused {
                reason: UnusedReason::NotInUse,
            },
        })
    }

    /// A rule started or ceased to name the group. A target that is on its way out stays so.
    #[must_use]
    pub fn after_use(self, group: GroupUse) -> Self {
        match (&self.state, group) {
            (
                TargetState::Draining
                | TargetState::Unused {
                    reason: UnusedReason::InvalidState,
                },
                _,
            ) => self,
            (TargetState::Unused { .. }, GroupUse::Named) => Self::from(TargetState::Initial {
                reason: InitialReason::InitialHealthChecking,
            }),
            (_, GroupUse::Named) => self,
            (_, GroupUse::Unnamed) => Self::from(TargetState::Unused {
                reason: UnusedReason::NotInUse,
            }),
        }
    }

    #[must_use]
    pub fn deregistered(self) -> Self {
        Self::from(TargetState::Draining)
    }
}

impl From<TargetState> for Health {
    fn from(state: TargetState) -> Self {
        Self { state, in_a_row: 0 }
    }
}

/// Whether any rule names a group; only then AWS checks and uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupUse {
    Named,
    Unnamed,
}

/// The next state after one check.
#[must_use]
pub fn after_check(health: &Health, result: &CheckResult, settings: &HealthCheckSettings) -> Health {
    let trouble = trouble(result, &settings.matcher);
    let in_a_row = health.in_a_row + 1;
    match (&health.state, trouble) {
        (TargetState::Unused { .. } | TargetState::Draining, _) => health.clone(),
        (TargetState::Initial { .. } | TargetState::Healthy, None) => TargetState::Healthy.into(),
        (TargetState::Unhealthy { .. }, None) if in_a_row >= settings.healthy_threshold => TargetState::Healthy.into(),
        (TargetState::Unhealthy { .. }, None) => Health {
            state: health.state.clone(),
            in_a_row,
        },
        (TargetState::Unhealthy { .. }, Some(trouble)) => trouble.into(),
        (TargetState::Initial { .. } | TargetState::Healthy, Some(trouble))
            if in_a_row >= settings.unhealthy_threshold =>
        {
            trouble.into()
        }
        (TargetState::Initial { .. }, Some(_)) => Health {
            state: TargetState::Initial {
                reason: InitialReason::InitialHealthChecking,
            },
            in_a_row,
        },
        (TargetState::Healthy, Some(_)) => Health {
            state: TargetState::Healthy,
            in_a_row,
        },
    }
}

/// `None` for a good answer, else the state that enough of these lead to.
fn trouble(result: &CheckResult, matcher: &Matcher) -> Option<TargetState> {
    let (reason, description) = match result {
        CheckResult::Status(code) if matcher.accepts(*code) => return None,
        CheckResult::Status(code) => (
            UnhealthyReason::ResponseCodeMismatch,
            format!("Health checks failed with these codes: [{code}]"),
        ),
        CheckResult::TimedOut => (UnhealthyReason::Timeout, "Request timed out".to_owned()),
        CheckResult::Failed => (UnhealthyReason::FailedHealthChecks, "Health checks failed".to_owned()),
    };
    Some(TargetState::Unhealthy { reason, description })
}

/// How many targets of a group are registered, and how many of them well. One that is on its way out is neither.
pub(crate) fn group_health<'s>(states: impl Iterator<Item = &'s TargetState>) -> GroupHealth {
    states
        .filter(|state| **state != TargetState::Draining)
        .fold(GroupHealth::default(), |sum, state| GroupHealth {
            registered: sum.registered + 1,
            healthy: sum.healthy + u32::from(*state == TargetState::Healthy),
        })
}

/// The targets of a group that receive requests, as positions in `states`: the healthy ones; with none healthy, all that
/// are registered (fail open); none where all are draining or unused: then the group answers 503.
pub fn receivers<'s>(states: impl Iterator<Item = &'s TargetState> + Clone) -> Vec<usize> {
    let at = |wanted: fn(&TargetState) -> bool| {
        states
            .clone()
            .enumerate()
            .filter(|(_, state)| wanted(state))
            .map(|(at, _)| at)
            .collect::<Vec<_>>()
    };
    let healthy = at(|state| matches!(state, TargetState::Healthy));
    if !healthy.is_empty() {
        return healthy;
    }
    at(|state| matches!(state, TargetState::Initial { .. } | TargetState::Unhealthy { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: CheckResult = CheckResult::Status(204);
    const BAD: CheckResult = CheckResult::Status(500);

    fn settings() -> HealthCheckSettings {
        HealthCheckSettings {
            healthy_threshold: 3,
            unhealthy_threshold: 2,
            ..HealthCheckSettings::default()
        }
    }

    fn check(start: Health, results: &[CheckResult], expected: &str) {
        let end = results
            .iter()
            .fold(start, |health, result| after_check(&health, result, &settings()));
        assert_eq!(end.state.to_string(), expected, "{results:?}");
    }

    fn new() -> Health {
        Health::registered(GroupUse::Named)
    }

    fn unhealthy() -> Health {
        [BAD, BAD]
            .iter()
            .fold(new(), |health, result| after_check(&health, result, &settings()))
    }

    #[test]
    fn one_success_after_registration_is_healthy() {
        check(new(), &[], "initial (Elb.RegistrationInProgress)");
        check(new(), &[OK], "healthy");
        check(new(), &[BAD, OK], "healthy");
    }

    #[test]
    fn failures_in_a_row_make_unhealthy_and_a_success_breaks_the_row() {
        check(new(), &[BAD], "initial (Elb.InitialHealthChecking)");
        check(new(), &[BAD, BAD], "unhealthy (Target.ResponseCodeMismatch)");
        check(new(), &[OK, BAD], "healthy");
        check(new(), &[OK, BAD, OK, BAD], "healthy");
        check(new(), &[OK, BAD, BAD], "unhealthy (Target.ResponseCodeMismatch)");
        check(
            new(),
            &[OK, CheckResult::TimedOut, CheckResult::TimedOut],
            "unhealthy (Target.Timeout)",
        );
        check(
            new(),
            &[CheckResult::Failed, CheckResult::Failed],
            "unhealthy (Target.FailedHealthChecks)",
        );
    }

    #[test]
    fn an_unhealthy_target_needs_the_whole_row_of_successes() {
        check(unhealthy(), &[OK, OK], "unhealthy (Target.ResponseCodeMismatch)");
        check(unhealthy(), &[OK, OK, OK], "healthy");
        check(
            unhealthy(),
            &[OK, OK, BAD, OK, OK],
            "unhealthy (Target.ResponseCodeMismatch)",
        );
        check(
            unhealthy(),
            &[CheckResult::Failed],
            "unhealthy (Target.FailedHealthChecks)",
        );
    }

    #[test]
    fn unused_and_draining_targets_do_not_change_by_checks() {
        check(
            Health::registered(GroupUse::Unnamed),
            &[OK, OK],
            "unused (Target.NotInUse)",
        );
        check(
            new().deregistered(),
            &[OK, OK],
            "draining (Target.DeregistrationInProgress)",
        );
    }

    #[test]
    fn a_group_that_is_named_again_starts_anew() {
        let unused = new().after_use(GroupUse::Unnamed);
        assert_eq!(unused.state.to_string(), "unused (Target.NotInUse)");
        assert_eq!(
            unused.after_use(GroupUse::Named).state.to_string(),
            "initial (Elb.InitialHealthChecking)"
        );
        assert_eq!(
            new().deregistered().after_use(GroupUse::Unnamed).state,
            TargetState::Draining
        );
    }

    #[test]
    fn healthy_targets_receive_else_all_registered_else_none() {
        let (good, sick) = (TargetState::Healthy, unhealthy().state);
        let (fresh, gone) = (new().state, TargetState::Draining);
        let check = |states: &[&TargetState], expected: &[usize]| {
            assert_eq!(receivers(states.iter().copied()), expected, "{states:?}");
        };
        check(&[&sick, &good, &fresh, &good], &[1, 3]);
        check(&[&sick, &fresh, &gone], &[0, 1]);
        check(&[&gone, &Health::registered(GroupUse::Unnamed).state], &[]);
        check(&[], &[]);
    }
}
