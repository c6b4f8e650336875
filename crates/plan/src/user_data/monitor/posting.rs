//! What a monitor is told besides, where nothing reaches it: what to send of what it scrapes.

use arya_judge::source::pack::{MetricEdit, every_name};
use arya_judge::source::{Whose, series_of};

use crate::identity::DeploymentId;
use crate::user_data::Settings;

/// Of one part, packed; `evidence.sh` sends no more. Some hundred thousand samples.
pub const PART_BYTES_MAX: usize = 4 * 1024 * 1024;

const SCRIPT: &str = include_str!("../../../../../provisioning/monitor/evidence.sh");

/// Where a place of the ring lies.
pub fn evidence_key(place: usize) -> String {
    format!("evidence/{place}")
}

impl Settings {
    /// Those of a monitor that puts into the bucket what the deployment may be judged by.
    #[must_use]
    pub fn posting(mut self, deployment: DeploymentId, edits: &[MetricEdit]) -> Self {
        let selector = series_of(&deployment.to_string(), Whose::Arms, &every_name(edits));
        self.written.push(("evidence.sh".into(), SCRIPT.into()));
        self.written.push(("evidence.selector".into(), selector));
        self
    }
}

#[cfg(test)]
mod tests {
    use arya_judge::source::answer::ANSWER_BYTES_MAX;
    use arya_judge::source::posted::{OVERLAP_S, PART_S};

    use super::*;

    #[test]
    fn script_and_reader_mean_the_same() {
        for line in [
            format!("readonly PART_S={PART_S}"),
            format!("readonly OVERLAP_S={OVERLAP_S}"),
            format!("readonly ANSWER_BYTES={ANSWER_BYTES_MAX}"),
            format!("readonly PACKED_BYTES={PART_BYTES_MAX}"),
        ] {
            assert!(SCRIPT.lines().any(|found| found == line), "{line}");
        }
    }

    #[test]
    fn what_is_sent_is_of_the_arms_alone_however_many_machines_production_has() {
        let selector = series_of("d", Whose::Arms, &every_name(&[]));
        assert!(selector.ends_with(r#"arm=~"baseline|canary"}"#), "{selector}");
    }
}
