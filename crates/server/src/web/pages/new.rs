//! A new canary: one page in five parts, with the plan beside it. The form and a YAML file are the same thing.

use askama::Template;
use serde_json::Value;

use super::plan::PlanPanel;
use crate::api::documents::{ArtifactDocument, ListenersDocument};
use crate::web::form::{ConditionRow, ExporterRow, NewForm, Problems};
use crate::web::frame::{Around, Frame};
use crate::web::parts::file::{self, FileCheck};
use crate::web::parts::share::SharesView;

/// Keys that have a place for their sentence on the page.
const SHOWN: [&str; 17] = [
    "name", "listener", "canary_percent", "stickiness_s", "app.port", "app.health_check_path", "app.version_path",
    "app.warm_up.paths", "app.warm_up.in_a_row", "app.warm_up.under_ms", "baseline.image", "baseline.compose",
    "canary.image", "canary.compose", "lifetime_h", "conditions", "exporters",
];

/// AWS's field names, and what they are called here.
pub(crate) const CONDITION_FIELDS: [(&str, &str); 6] = [
    ("path-pattern", "path"),
    ("host-header", "host"),
    ("http-header", "header"),
    ("http-request-method", "method"),
    ("query-string", "query string"),
    ("source-ip", "source IP"),
];

#[derive(Debug, Template)]
#[template(path = "pages/new.html")]
pub(crate) struct NewPage {
    frame: Frame,
    form: NewForm,
    problems: Problems,
    /// Sentences about keys that the form does not show.
    other_problems: Vec<String>,
    load_balancers: Vec<BalancerChoice>,
    conditions: Vec<ConditionRow>,
    condition_fields: [(&'static str, &'static str); 6],
    exporters: Vec<ExporterRow>,
    shares: Option<SharesView>,
    sides: [SideFiles; 2],
    comparison: Vec<String>,
    samples: bool,
    plan: Option<PlanPanel>,
    /// Why applying was refused.
    refused: Option<String>,
    yaml: String,
}

/// A listener with its rules as things to choose.
#[derive(Debug, Clone)]
pub(crate) struct BalancerChoice {
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) rules: Vec<RuleChoice>,
}

#[derive(Debug, Clone)]
pub(crate) struct RuleChoice {
    /// Listener and rule, with a space between.
    pub(crate) value: String,
    pub(crate) priority: String,
    pub(crate) when: String,
    pub(crate) then: String,
    pub(crate) health: String,
    pub(crate) chosen: bool,
    pub(crate) possible: bool,
}

/// The two files of one side.
#[derive(Debug, Clone)]
pub(crate) struct SideFiles {
    pub(crate) arm: &'static str,
    pub(crate) title: &'static str,
    pub(crate) files: [FileInput; 2],
}

#[derive(Debug, Clone)]
pub(crate) struct FileInput {
    /// The spec's key.
    pub(crate) key: String,
    pub(crate) title: &'static str,
    pub(crate) hint: &'static str,
    pub(crate) digest: String,
    pub(crate) check: FileCheck,
}

/// What the page is made from.
#[derive(Debug, Default)]
pub(crate) struct Filled {
    pub(crate) form: NewForm,
    pub(crate) problems: Problems,
    pub(crate) plan: Option<PlanPanel>,
    pub(crate) refused: Option<String>,
}

impl NewPage {
    /// Whether *Start canary* would be let through. Without a plan it is pressed at one's own risk: it plans first.
    fn can_start(&self) -> bool {
        self.plan.as_ref().is_none_or(|plan| plan.applicable)
    }

    /// `artifact` finds an uploaded file by its digest's text.
    pub(crate) fn of(
        around: &Around,
        listeners: &ListenersDocument,
        filled: Filled,
        artifact: &dyn Fn(&str) -> Option<ArtifactDocument>,
    ) -> Self {
        let Filled { form, problems, plan, refused } = filled;
        let image = |arm: &str| artifact(form.get(&format!("{arm}.image")));
        let comparison = match (image("baseline"), image("canary")) {
            (Some(baseline), Some(canary)) => file::compare(&baseline, &canary),
            _ => Vec::new(),
        };
        let mut conditions = form.conditions.clone();
        // An empty row to write in; with JavaScript more come as this one fills.
        conditions.push(ConditionRow::default());
        let mut exporters = form.exporters.clone();
        exporters.push(ExporterRow::default());
        let share = form.get("canary_percent").parse::<f64>().ok().filter(|share| (0.0..=50.0).contains(share));
        Self {
            frame: Frame::new("New canary", "new", around),
            other_problems: problems.homeless(&SHOWN).into_iter().map(str::to_owned).collect(),
            load_balancers: choices(listeners, &form.chosen()),
            conditions,
            condition_fields: CONDITION_FIELDS,
            exporters,
            shares: share.map(|arm| SharesView::of_arm(arm)),
            sides: [
                side("baseline", "Baseline: today's version", &form, artifact),
                side("canary", "Canary: the new version", &form, artifact),
            ],
            comparison,
            samples: around.local,
            plan,
            refused,
            yaml: yaml(&form.document().0),
            form,
            problems,
        }
    }
}

fn yaml(document: &Value) -> String {
    serde_saphyr::to_string(document).unwrap_or_else(|_| document.to_string())
}

fn choices(listeners: &ListenersDocument, chosen: &str) -> Vec<BalancerChoice> {
    let mut choices = Vec::new();
    for balancer in &listeners.load_balancers {
        for listener in &balancer.listeners {
            let rule = |rule: &crate::api::documents::RuleDocument| {
                let id = if rule.priority == "default" { "default".to_owned() } else { rule.id.to_string() };
                let value = format!("{} {id}", listener.id);
                let also = format!("{} {}", listener.id, rule.id);
                RuleChoice {
                    chosen: value == chosen || also == chosen,
                    value,
                    priority: rule.priority.clone(),
                    when: crate::web::words::capitalised(&rule.when),
                    then: rule.then.clone(),
                    health: health(rule),
                    // Only what forwards to groups can have a canary beside it.
                    possible: !rule.groups.is_empty() && rule.deployment.is_none(),
                }
            };
            choices.push(BalancerChoice {
                name: balancer.name.clone(),
                address: listener.address.clone(),
                rules: listener.rules.iter().map(rule).collect(),
            });
        }
    }
    choices
}

fn health(rule: &crate::api::documents::RuleDocument) -> String {
    if rule.deployment.is_some() {
        return "made by Arya for another canary".into();
    }
    if rule.groups.is_empty() {
        return "forwards to no target group, so nothing can stand beside it".into();
    }
    let counts = rule.groups.iter().filter_map(|group| Some((group.healthy?, group.registered?)));
    let (healthy, registered) = counts.fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1));
    format!("{healthy} of {registered} targets healthy")
}

fn side(
    arm: &'static str,
    title: &'static str,
    form: &NewForm,
    artifact: &dyn Fn(&str) -> Option<ArtifactDocument>,
) -> SideFiles {
    let input = |part: &str, title, hint| {
        let key = format!("{arm}.{part}");
        let digest = form.get(&key).to_owned();
        let check = file::check(&digest, part, artifact(&digest).as_ref());
        FileInput { key, title, hint, digest, check }
    };
    SideFiles {
        arm,
        title,
        files: [
            input("image", "Image archive", "from docker save; .tar, .tar.gz or .tar.zst"),
            input("compose", "Compose file", "names the image and publishes the port"),
        ],
    }
}
