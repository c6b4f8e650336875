//! What an engine is started with. It must never know where the values come from.

use arya_judge::JudgeConfig;
use arya_plan::timing::Timing;

use crate::clock::Clock;

/// What an engine is started with.
#[derive(Debug, Clone)]
pub struct EngineSettings {
    pub timing: Timing,
    /// How to judge; the planned length comes from each deployment's lifetime.
    pub judge: JudgeConfig,
    pub clock: Clock,
    /// Deployments of an earlier run are wound up instead of continued: their world lived in memory.
    pub abandon_open: bool,
}

impl EngineSettings {
    /// The machine's clock, and deployments go on after a restart.
    pub fn new(timing: Timing, judge: JudgeConfig) -> Self {
        Self {
            timing,
            judge,
            clock: Clock::system(),
            abandon_open: false,
        }
    }
}
