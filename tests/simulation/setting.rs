//! Where lives begin: the ground, the pace of the cloud, and what is asked for.

use std::time::Duration;

use arya_engine::EngineSettings;
use arya_judge::{JudgeConfig, MetricConfig};
use arya_local::world::{Counted, Pace, Settings, Tokens};
use arya_plan::listener::RuleId;
use arya_plan::timing::Timing;
use serde_json::{Value, json};

/// Where a life begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Setting {
    /// One instance an arm in front of the default rule, and nothing is measured.
    Plain,
    /// Health checks need several looks.
    SlowHealth,
    /// Status documents arrive late.
    LateReports,
    /// A used token of a dead instance is refused instead of answered with the dead.
    DeadTokens,
    /// Two instances an arm.
    Pairs,
    /// In front of a rule with a priority of its own, which people can move and delete.
    Numbered,
    /// Errors are measured; *harmful* takes the traffic away.
    Judged,
    /// *Harmful* destroys.
    JudgedDestroy,
    /// *Harmful* only tells.
    JudgedAlert,
    /// Production is measured beside both arms.
    Beside,
    /// So it is, and the baseline alone has users first.
    Spell,
}

/// How long the baseline alone has users, in the setting that asks for it.
pub(crate) const SPELL_S: i64 = 30;

/// The times of [`Timing::AWS`] divided so that a life is short, with their order kept: settling outlasts both the spread
/// of rules and the lag of listings, as 60 s outlast 30 s there.
pub(crate) const TIMING: Timing = Timing {
    look_moving: Duration::from_secs(2),
    look_steady: Duration::from_secs(4),
    settle: Duration::from_secs(4),
    listing_lag: Duration::from_secs(4),
    drain_at_most: Duration::from_secs(4),
    uploads_at_most: Duration::from_secs(40),
    boot_at_most: Duration::from_secs(40),
    healthy_at_most: Duration::from_secs(40),
};

/// The pace that fits: each thing takes about one look, lag and spread end before settling does.
const PACE: Pace = Pace {
    rule_spread: Duration::from_secs(3),
    lag: Duration::from_secs(3),
    ..Pace::QUICK
};

impl Setting {
    pub(crate) const ALL: [Self; 11] = [
        Self::Plain,
        Self::SlowHealth,
        Self::LateReports,
        Self::DeadTokens,
        Self::Pairs,
        Self::Numbered,
        Self::Judged,
        Self::JudgedDestroy,
        Self::JudgedAlert,
        Self::Beside,
        Self::Spell,
    ];

    pub(crate) fn world(self) -> Settings {
        let pace = match self {
            Self::SlowHealth => Pace {
                first_check: Duration::from_secs(5),
                check_every: Duration::from_secs(5),
                ..PACE
            },
            Self::LateReports => Pace {
                report: Duration::from_secs(5),
                ..PACE
            },
            Self::Plain
            | Self::DeadTokens
            | Self::Pairs
            | Self::Numbered
            | Self::Judged
            | Self::JudgedDestroy
            | Self::JudgedAlert
            | Self::Beside
            | Self::Spell => PACE,
        };
        let tokens = if self == Self::DeadTokens {
            Tokens::RefusedForTheDead
        } else {
            Tokens::AnsweredWithTheDead
        };
        let beside = match self {
            Self::Beside | Self::Spell => Counted::ProductionToo,
            Self::Plain
            | Self::SlowHealth
            | Self::LateReports
            | Self::DeadTokens
            | Self::Pairs
            | Self::Numbered
            | Self::Judged
            | Self::JudgedDestroy
            | Self::JudgedAlert => Counted::Arms,
        };
        Settings {
            pace,
            tokens,
            beside,
            ..Settings::default()
        }
    }

    /// What the spec says besides the required keys.
    pub(crate) fn spec(self) -> Value {
        match self {
            Self::Plain
            | Self::SlowHealth
            | Self::LateReports
            | Self::DeadTokens
            | Self::Numbered
            | Self::Judged
            | Self::Beside => json!({}),
            Self::Spell => json!({"analysis": {"aa_spell_s": SPELL_S}}),
            Self::Pairs => json!({"instances": {"per_arm": 2}}),
            Self::JudgedDestroy => json!({"analysis": {"on_harmful": "destroy"}}),
            Self::JudgedAlert => json!({"analysis": {"on_harmful": "alert"}}),
        }
    }

    /// The rule that the deployment stands in front of.
    pub(crate) fn chosen(self) -> RuleId {
        RuleId::new(if self == Self::Numbered { "images" } else { "default" })
    }

    /// A path that matches our rule.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Numbered => "/images/cat",
            Self::Plain
            | Self::SlowHealth
            | Self::LateReports
            | Self::DeadTokens
            | Self::Pairs
            | Self::Judged
            | Self::JudgedDestroy
            | Self::JudgedAlert
            | Self::Beside
            | Self::Spell => "/",
        }
    }

    pub(crate) const fn is_judged(self) -> bool {
        matches!(
            self,
            Self::Judged | Self::JudgedDestroy | Self::JudgedAlert | Self::Beside | Self::Spell
        )
    }

    pub(crate) fn engine(self, clock: arya_engine::Clock) -> EngineSettings {
        let metric = MetricConfig {
            known_dispersion: Some(1.0),
            ..MetricConfig::error_share("errors", "errors")
        };
        let judge = JudgeConfig {
            minimum_bake_s: 10.0,
            metrics: self.is_judged().then_some(metric).into_iter().collect(),
            ..JudgeConfig::default()
        };
        EngineSettings {
            clock,
            ..EngineSettings::new(TIMING, judge)
        }
    }
}
