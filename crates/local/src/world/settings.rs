//! What a world starts with, and how fast things happen in it by themselves.

use std::time::Duration;

use arya_judge::Timestamp;
use arya_plan::listener::{Site, limits};

use super::fault::Fault;
use super::ground;

/// Everything that decides how a world behaves. The same settings and the same calls give the same world, always.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What the clock says when the world begins.
    pub start: Timestamp,
    /// The user's listener. Its rules are strangers' rules; each group gets the targets that its health promises.
    pub site: Site,
    pub pace: Pace,
    pub quotas: Quotas,
    pub tokens: Tokens,
    pub beside: Counted,
    pub faults: Vec<Fault>,
}

impl Default for Settings {
    /// A listener with two rules of production's, things that take one look each, and no faults.
    fn default() -> Self {
        Self {
            start: Timestamp::constant(1_900_000_000, 0),
            site: ground::site(),
            pace: Pace::QUICK,
            quotas: Quotas::default(),
            tokens: Tokens::AnsweredWithTheDead,
            beside: Counted::Arms,
            faults: Vec::new(),
        }
    }
}

/// How long what the cloud does by itself takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    /// From launch to `running`.
    pub pending: Duration,
    /// Each of the six phases from `booting` to `ready`.
    pub boot_phase: Duration,
    /// From the moment an instance writes its status document until it can be read.
    pub report: Duration,
    /// From the first byte of an upload to its last.
    pub upload: Duration,
    /// From registration (or from the rule that first names the group) to the first health check.
    pub first_check: Duration,
    /// Between health checks.
    pub check_every: Duration,
    /// From `shutting-down` to `terminated`.
    pub ending: Duration,
    /// How long a terminated instance stays listed.
    pub listed_after_end: Duration,
    /// How long a rule change takes to reach the slowest node of the load balancer.
    pub rule_spread: Duration,
    /// How long listings are behind, where a fault says that they are.
    pub lag: Duration,
    /// How long the cloud asks for patience, where a mishap says that it does.
    pub throttling: Duration,
}

impl Pace {
    /// As on AWS, from the guide where it says so, else as users report.
    pub const AWS: Self = Self {
        pending: Duration::from_secs(20),
        boot_phase: Duration::from_secs(12),
        report: Duration::from_secs(1),
        upload: Duration::from_secs(30),
        first_check: Duration::from_secs(5),
        check_every: Duration::from_secs(5),
        ending: Duration::from_secs(45),
        listed_after_end: Duration::from_secs(3600),
        rule_spread: Duration::from_secs(30),
        lag: Duration::from_secs(20),
        throttling: Duration::from_secs(10),
    };

    /// Everything takes about one of the 2 s looks of `Timing::AWS`, so that a life is short and its order is still that
    /// of AWS.
    pub const QUICK: Self = Self {
        pending: Duration::from_secs(1),
        boot_phase: Duration::from_millis(400),
        report: Duration::ZERO,
        upload: Duration::from_millis(1_500),
        first_check: Duration::from_secs(1),
        check_every: Duration::from_secs(2),
        ending: Duration::from_secs(2),
        listed_after_end: Duration::from_secs(120),
        rule_spread: Duration::from_secs(10),
        lag: Duration::from_secs(5),
        throttling: Duration::from_secs(5),
    };

    /// For the 0.3 s looks of `Timing::TRY`, which does not wait for nodes and hardly for listings.
    pub const TRY: Self = Self {
        pending: Duration::from_millis(100),
        boot_phase: Duration::from_millis(100),
        report: Duration::ZERO,
        upload: Duration::from_millis(200),
        first_check: Duration::from_millis(100),
        check_every: Duration::from_millis(200),
        ending: Duration::from_millis(200),
        listed_after_end: Duration::from_secs(60),
        rule_spread: Duration::ZERO,
        lag: Duration::from_millis(150),
        throttling: Duration::from_secs(1),
    };
}

/// How many of each the account may have. More is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quotas {
    /// Per load balancer; default rules do not count.
    pub rules: usize,
    pub target_groups: usize,
    /// Running and pending ones, strangers' not counted.
    pub instances: usize,
    pub security_groups: usize,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            rules: limits::RULES_PER_LOAD_BALANCER,
            target_groups: limits::GROUPS_PER_LOAD_BALANCER,
            // A new account's 5 to 32 vCPUs, two an instance.
            instances: 16,
            security_groups: 60,
        }
    }
}

/// Whose requests can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    Arms,
    /// Production's too, beside the arms'.
    ProductionToo,
}

/// What the answer to a launch is whose token was used before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tokens {
    /// The instance that it made, also when that one is dead.
    AnsweredWithTheDead,
    /// The instance that it made; for a dead one `IdempotentInstanceTerminated`.
    RefusedForTheDead,
    /// Nobody looks at tokens, so that the second call makes a twin: what a call without a token does.
    Ignored,
}

impl Tokens {
    pub const ALL: [Self; 3] = [Self::AnsweredWithTheDead, Self::RefusedForTheDead, Self::Ignored];
}
