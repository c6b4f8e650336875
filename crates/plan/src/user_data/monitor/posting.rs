//! What a monitor is told besides, where nothing reaches it: what to send of what it scrapes, and where to.

use arya_judge::source::pack::{MetricEdit, every_name};
use arya_judge::source::posted::PLACES;
use arya_judge::source::{Whose, series_of};

use crate::identity::DeploymentId;
use crate::user_data::{PresignedUrl, Settings};

/// Where the URLs of the ring lie.
pub const EVIDENCE_URLS: &str = "evidence/urls";
/// Of one part, packed; `evidence.sh` sends no more. Some hundred thousand samples.
pub const PART_BYTES_MAX: usize = 4 * 1024 * 1024;

const SCRIPT: &str = include_str!("../../../../../provisioning/monitor/evidence.sh");

/// Where a place of the ring lies.
pub fn evidence_key(place: usize) -> String {
    format!("evidence/{place}")
}

impl Settings {
    /// Those of a monitor that puts into the bucket what the deployment may be judged by. `urls` is where [`EVIDENCE_URLS`]
    /// is read first.
    #[must_use]
    pub fn posting(mut self, deployment: DeploymentId, edits: &[MetricEdit], urls: PresignedUrl) -> Self {
        let selector = series_of(&deployment.to_string(), Whose::Arms, &every_name(edits));
        self.written.push(("evidence.sh".into(), SCRIPT.into()));
        self.written.push(("evidence.selector".into(), selector));
        self.evidence = Some(urls);
        self
    }
}

/// The lines of [`EVIDENCE_URLS`]: where these are read next, then one PUT for each place.
pub fn evidence_urls(these: &PresignedUrl, places: &[PresignedUrl; PLACES]) -> String {
    let urls = std::iter::once(these).chain(places).map(|url| url.0.as_str());
    let lines: Vec<&str> = urls.chain(["end"]).collect();
    lines.join("\n") + "\n"
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

    #[test]
    fn the_rings_urls_are_one_a_line() {
        let url = |name: &str| PresignedUrl::parse(format!("https://bucket/{name}?signature")).unwrap();
        let places = std::array::from_fn(|place| url(&evidence_key(place)));
        let text = evidence_urls(&url(EVIDENCE_URLS), &places);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), PLACES + 2);
        assert_eq!(lines[0], "https://bucket/evidence/urls?signature");
        assert_eq!(
            lines[PLACES],
            format!("https://bucket/evidence/{}?signature", PLACES - 1)
        );
        assert_eq!(lines[PLACES + 1], "end");
    }
}
