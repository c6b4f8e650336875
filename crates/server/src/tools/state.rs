//! Whether a tool can be shown now, and if not, why.

use std::collections::BTreeMap;

use arya_engine::Report;
use arya_plan::discreet::{masked, uncoloured};
use arya_plan::identity::Role;
use arya_plan::observed::{BootPhase, Instance, Observed};
use arya_plan::spec::{Reach, RefereeImage};

use super::Tool;
use crate::api::documents::LinksDocument;
use crate::app::App;

/// The monitor of `arya try`, which answers Prometheus' API behind this server's own login.
const EMBEDDED: &str = "/monitor";

/// A link of a deployment's, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Offered {
    pub(crate) href: Option<String>,
    /// A sentence; `None` = it is there.
    pub(crate) why: Option<String>,
}

/// Every tool's link, and why it is not there.
pub(crate) fn links(app: &App, report: &Report) -> LinksDocument {
    let mut off = BTreeMap::new();
    let mut link = |tool: Tool| {
        let Offered { href, why } = offered(app, report, tool);
        if let Some(why) = why {
            off.insert(tool.service(), why);
        }
        href
    };
    let (grafana, referee, kayenta) = (link(Tool::Grafana), link(Tool::Referee), link(Tool::Kayenta));
    let prometheus = match app.world.local() {
        Some(_) => Some(EMBEDDED.to_owned()),
        None => link(Tool::Prometheus),
    };
    LinksDocument {
        grafana,
        referee,
        prometheus,
        kayenta,
        off,
    }
}

/// What is said of one tool.
pub(crate) fn offered(app: &App, report: &Report, tool: Tool) -> Offered {
    let shown = match (app.world.local(), &app.settings.tools) {
        (Some(_), _) => Shown::NotInTry,
        (None, None) => Shown::Nowhere,
        (None, Some(_)) => Shown::Listening,
    };
    let monitoring = &report.desired.spec.monitor;
    let why = match report.closed_at {
        Some(_) => Some(format!(
            "{} went with the deployment; the report has what was measured.",
            tool.name()
        )),
        None if tool == Tool::Referee && monitoring.referee_image == RefereeImage::Off && shown == Shown::Listening => {
            Some(
                "Referee was left out by `monitor.referee_image: none`. The rest of the monitor is there. Leave that key \
                 out of the next deployment's spec to have it."
                    .to_owned(),
            )
        }
        None => why_off(tool, shown, monitoring.reach, monitor(report)),
    };
    let href = why
        .is_none()
        .then(|| format!("/deployments/{}/tools/{}", report.desired.id, tool.service()));
    Offered { href, why }
}

/// What the server was started with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    NotInTry,
    Nowhere,
    Listening,
}

fn why_off(tool: Tool, shown: Shown, reach: Reach, monitor: Option<&Instance>) -> Option<String> {
    let name = tool.name();
    match (shown, reach) {
        (Shown::NotInTry, _) => {
            let why = format!("{name} is not part of `arya try`; its embedded monitor answers the same queries.");
            return Some(why);
        }
        // However the server is started.
        (Shown::Nowhere | Shown::Listening, Reach::Bucket) => {
            return Some(format!(
                "{name} cannot be shown: with `monitor.reach: bucket` nothing reaches the monitor."
            ));
        }
        (Shown::Nowhere, Reach::Vpc | Reach::Public) => {
            return Some(format!(
                "{name} is not shown: this server was started without --tools-listen."
            ));
        }
        (Shown::Listening, Reach::Vpc | Reach::Public) => {}
    }
    match monitor.map(|monitor| (monitor.phase(), monitor)) {
        Some((Some(BootPhase::Ready), monitor)) => runs(tool, monitor),
        Some((Some(BootPhase::Failed), _)) => Some(format!(
            "{name} cannot be shown: the monitor failed to start; its log is with its instance."
        )),
        Some(_) => Some(format!("{name} comes when the monitor is ready; it is being set up.")),
        None => Some(format!("{name} cannot be shown: no monitor stands.")),
    }
}

/// By the monitor's own report. Prometheus is what makes it ready.
fn runs(tool: Tool, monitor: &Instance) -> Option<String> {
    let (report, service) = (monitor.report.as_ref(), tool.service());
    let is_there = tool == Tool::Prometheus
        || report.is_some_and(|report| report.running.iter().any(|running| running == service));
    let said = report.and_then(|report| report.not_running.get(service));
    (!is_there).then(|| match said {
        Some(said) => format!(
            "{} does not run on the monitor, which tries again and again; last it was told: {}",
            tool.name(),
            masked(&uncoloured(said))
        ),
        None => format!(
            "{} does not run on the monitor yet; its image is on its way.",
            tool.name()
        ),
    })
}

/// The monitor that stands, of several the newest.
pub(crate) fn monitor(report: &Report) -> Option<&Instance> {
    report.observed.as_ref().and_then(standing_monitor)
}

/// The same of one look.
pub(crate) fn standing_monitor(seen: &Observed) -> Option<&Instance> {
    let standing = seen
        .instances
        .iter()
        .filter(|one| one.place.role == Role::Monitor && !one.state.is_ending());
    standing.max_by_key(|one| one.incarnation)
}

#[cfg(test)]
mod tests {
    use arya_plan::identity::Place;
    use arya_plan::observed::{InstanceState, Status};

    use super::*;

    fn in_phase(phase: Option<BootPhase>, running: &[&str]) -> Instance {
        let at = "2026-11-21T10:00:00Z".parse().unwrap();
        Instance {
            place: Place {
                role: Role::Monitor,
                index: 0,
            },
            incarnation: 1,
            id: "i-1".into(),
            state: InstanceState::Running,
            address: None,
            ended_because: None,
            console: None,
            report: phase.map(|phase| Status {
                running: running.iter().map(|service| (*service).to_owned()).collect(),
                ..Status::new(phase, at)
            }),
        }
    }

    #[track_caller]
    fn check(tool: Tool, shown: Shown, reach: Reach, monitor: Option<&Instance>, expected: Option<&str>) {
        let why = why_off(tool, shown, reach, monitor);
        match expected {
            None => assert_eq!(why, None),
            Some(part) => assert!(why.as_ref().is_some_and(|why| why.contains(part)), "{why:?}"),
        }
    }

    #[test]
    fn a_tool_is_there_or_says_why_not() {
        let ready = in_phase(Some(BootPhase::Ready), &["grafana"]);
        let (booting, failed) = (in_phase(None, &[]), in_phase(Some(BootPhase::Failed), &[]));
        let listening = |tool, monitor, expected| check(tool, Shown::Listening, Reach::Vpc, monitor, expected);
        listening(Tool::Prometheus, Some(&ready), None);
        listening(Tool::Grafana, Some(&ready), None);
        listening(Tool::Referee, Some(&ready), Some("does not run on the monitor yet"));
        let mut refused = ready.clone();
        let said = "pull access denied for caleblayneheath/referee_aria at https://example.com/x?token=secret";
        let report = refused.report.as_mut().unwrap();
        report.not_running.insert("referee".into(), said.into());
        listening(Tool::Referee, Some(&refused), Some("told: pull access denied for"));
        let why = why_off(Tool::Referee, Shown::Listening, Reach::Vpc, Some(&refused));
        assert!(!why.unwrap().contains("secret"));
        listening(Tool::Grafana, Some(&booting), Some("being set up"));
        listening(Tool::Grafana, Some(&failed), Some("failed to start"));
        listening(Tool::Grafana, None, Some("no monitor stands"));
        for shown in [Shown::Listening, Shown::Nowhere] {
            check(Tool::Kayenta, shown, Reach::Bucket, Some(&ready), Some("reach: bucket"));
        }
        check(
            Tool::Kayenta,
            Shown::Nowhere,
            Reach::Vpc,
            Some(&ready),
            Some("--tools-listen"),
        );
        check(Tool::Kayenta, Shown::NotInTry, Reach::Vpc, None, Some("arya try"));
    }
}
