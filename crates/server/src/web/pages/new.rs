//! A new canary: one page in five parts, with the plan beside it. The form and a YAML file are the same thing.

use arya_plan::spec::{Digest, Instances, OneOrMany, SAME_AS_PRODUCTION, Spec};
use askama::Template;
use axum::Extension;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use serde_json::Value;

use super::home::sample_spec;
use super::plan::PlanPanel;
use crate::api::documents::{ArtifactDocument, ListenersDocument, LoadBalancerDocument};
use crate::api::input::{SpecBody, yaml as parse_yaml};
use crate::api::problem::Problem;
use crate::app::App;
use crate::auth::Caller;
use crate::web::fields::Fields;
use crate::web::form::{ConditionRow, ExporterRow, NewForm, Problems, choice};
use crate::web::frame::{Around, Frame};
use crate::web::html;
use crate::web::parts::file::{self, FileCheck};
use crate::web::parts::rule as rule_words;
use crate::web::parts::share::SharesView;

/// Keys that have a place for their sentence on the page.
const SHOWN: [&str; 27] = [
    "name",
    "listener",
    "canary_percent",
    "stickiness_s",
    "app.port",
    "app.health_check_path",
    "app.version_path",
    "instances.type",
    "instances.subnets",
    "instances.security_groups",
    "instances.profile",
    "instances.key_pair",
    "instances.ami",
    "instances.tags",
    "monitor.type",
    "monitor.reach",
    "monitor.allow_cidrs",
    "app.warm_up.paths",
    "app.warm_up.in_a_row",
    "app.warm_up.under_ms",
    "baseline.image",
    "baseline.compose",
    "canary.image",
    "canary.compose",
    "lifetime_h",
    "conditions",
    "exporters",
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

#[derive(Debug, Deserialize)]
pub(crate) struct Start {
    /// A bundled canary to begin with: `canary` or `canary_bad`.
    sample: Option<String>,
}

pub(crate) async fn get(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Query(start): Query<Start>,
) -> Response {
    let filled = begin(&app, start.sample.as_deref()).await;
    show(&app, &caller, filled, StatusCode::OK).await
}

async fn begin(app: &App, sample: Option<&str>) -> Filled {
    let (Some(samples), Some(wanted)) = (&app.settings.samples, sample) else {
        return Filled {
            form: NewForm::empty(),
            ..Filled::default()
        };
    };
    let (canary, name) = match wanted {
        "canary_bad" => (&samples.canary_bad, "records-1.1-bad"),
        _ => (&samples.canary, "records-1.1"),
    };
    let document = sample_spec(name, samples, canary, &app.listeners().await);
    let mut filled = Filled {
        form: NewForm::of_document(&document),
        ..Filled::default()
    };
    plan_into(app, &mut filled).await;
    filled
}

/// Shows the plan, fills the form from a file, or starts the canary, by the button that was pressed.
pub(crate) async fn post(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Fields(pairs): Fields,
) -> Response {
    let mut filled = Filled {
        form: NewForm::posted(pairs),
        ..Filled::default()
    };
    match filled.form.action.as_str() {
        "deploy" => return deploy(&app, &caller, filled).await,
        "paste" => paste(&mut filled),
        _ => {}
    }
    if filled.problems.is_empty() {
        plan_into(&app, &mut filled).await;
    }
    if filled.form.action == "live" {
        filled.problems = filled.form.without_missing(filled.problems);
    }
    let status = if filled.problems.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::UNPROCESSABLE_ENTITY
    };
    show(&app, &caller, filled, status).await
}

fn paste(filled: &mut Filled) {
    match parse_yaml(filled.form.yaml.as_bytes()) {
        Ok(document) if document.is_object() => filled.form = NewForm::of_document(&document),
        Ok(_) => filled
            .problems
            .say("yaml", "This is no spec: a spec is a mapping of keys to values."),
        Err(problem) => filled.problems.say("yaml", problem.detail),
    }
}

async fn deploy(app: &App, caller: &Caller, mut filled: Filled) -> Response {
    let refused = match spec(&mut filled) {
        None => None,
        Some(spec) => {
            let seen = Some(filled.form.plan_digest.clone()).filter(|digest| !digest.is_empty());
            match app
                .deploy(
                    SpecBody {
                        spec,
                        plan_digest: seen,
                    },
                    caller,
                )
                .await
            {
                Ok(document) => return Redirect::to(&format!("/deployments/{}", document.id)).into_response(),
                Err(problem) => Some(problem),
            }
        }
    };
    let status = refused
        .as_ref()
        .map_or(StatusCode::UNPROCESSABLE_ENTITY, Problem::status_code);
    if let Some(problem) = refused {
        // The plan as it is now says more than the refusal.
        plan_into(app, &mut filled).await;
        if let Some(field) = &problem.field {
            filled.problems.say(field, &problem.detail);
        }
        filled.refused = Some(problem.detail);
    }
    show(app, caller, filled, status).await
}

/// The spec that the form says, or what is wrong with it at its field.
fn spec(filled: &mut Filled) -> Option<Spec> {
    let (document, problems) = filled.form.document();
    filled.problems = problems;
    match Spec::parse(&document) {
        Ok(spec) => filled.problems.is_empty().then_some(spec),
        Err(error) => {
            let field = error.field.unwrap_or_default();
            // What is merely missing was said already, in the form's own words.
            let is_there = document.pointer(&format!("/{}", field.replace('.', "/"))).is_some();
            if is_there || filled.problems.is_empty() {
                filled
                    .problems
                    .say(at_place(&field), format!("{} {}", error.sentence, error.next));
            }
            None
        }
    }
}

/// The place on the page for a key: `conditions[0].values` is said at the conditions.
fn at_place(field: &str) -> &str {
    let rows = ["conditions", "exporters"]
        .into_iter()
        .find(|rows| field.starts_with(rows));
    rows.unwrap_or(field)
}

async fn plan_into(app: &App, filled: &mut Filled) {
    let Some(spec) = spec(filled) else { return };
    match app.plan(&spec).await {
        Ok(plan) => {
            for problem in plan.problems.iter().filter(|problem| problem.blocking) {
                if let Some(field) = &problem.field {
                    filled.problems.say(at_place(field), &problem.sentence);
                }
            }
            filled.plan = Some(PlanPanel::of(&plan, spec.lifetime_h));
        }
        Err(problem) => filled.refused = Some(problem.detail),
    }
}

async fn show(app: &App, caller: &Caller, filled: Filled, status: StatusCode) -> Response {
    let around = Around::of(app, Some(caller));
    let listeners = app.listeners().await;
    let files = app.artifacts.documents(filled.form.digests()).await;
    let artifact = |text: &str| files.get(&text.parse::<Digest>().ok()?).cloned();
    (status, html(&NewPage::of(&around, &listeners, filled, &artifact))).into_response()
}

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
    machines: Vec<MachineInput>,
    reaches: [(&'static str, &'static str); 3],
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
    /// Connection, account and region; nothing in the local world.
    pub(crate) place: Option<String>,
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
        let Filled {
            form,
            problems,
            plan,
            refused,
        } = filled;
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
        let share = form
            .get("canary_percent")
            .parse::<f64>()
            .ok()
            .filter(|share| (0.0..=50.0).contains(share));
        Self {
            frame: Frame::new("New canary", "new", around),
            other_problems: problems.homeless(&SHOWN).into_iter().map(str::to_owned).collect(),
            load_balancers: choices(listeners, &form.chosen()),
            conditions,
            condition_fields: CONDITION_FIELDS,
            exporters,
            shares: share.map(SharesView::of_arm),
            sides: [
                side("baseline", "Baseline: today's version", &form, artifact),
                side("canary", "Canary: the new version", &form, artifact),
            ],
            machines: machines(&form, plan.as_ref()),
            reaches: REACHES,
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

/// What a machine of the arms is like: an input, and what production has.
#[derive(Debug, Clone)]
pub(crate) struct MachineInput {
    /// The spec's key.
    key: &'static str,
    title: &'static str,
    /// What an empty input means.
    usual: &'static str,
    value: String,
    /// What that stands for, once a plan has asked.
    stands_for: Option<String>,
}

/// How the server reaches the monitor.
const REACHES: [(&str, &str); 3] = [
    ("vpc", "vpc: privately, from this server's network"),
    ("public", "public: by a public address, from the networks below"),
    ("bucket", "bucket: not at all; it writes what it measured"),
];

fn machines(form: &NewForm, plan: Option<&PlanPanel>) -> Vec<MachineInput> {
    let known = plan.and_then(|plan| plan.instances.as_ref());
    let input = |key: &'static str, title, usual, stands_for: Option<String>| MachineInput {
        key,
        title,
        usual,
        value: form.get(key).to_owned(),
        stands_for: stands_for.filter(|known| known != usual && known != form.get(key)),
    };
    let one = |of: fn(&Instances) -> &String| known.map(|known| of(known).clone());
    let many = |of: fn(&Instances) -> &OneOrMany| {
        known.map(|known| match of(known) {
            OneOrMany::One(word) => word.clone(),
            OneOrMany::Many(ids) => ids.join(", "),
        })
    };
    let same = SAME_AS_PRODUCTION;
    vec![
        input(
            "instances.type",
            "Instance type",
            same,
            one(|known| &known.instance_type),
        ),
        input("instances.subnets", "Subnets", same, many(|known| &known.subnets)),
        input(
            "instances.security_groups",
            "Security groups, beside Arya's",
            same,
            many(|known| &known.security_groups),
        ),
        input(
            "instances.profile",
            "Instance profile",
            "none",
            one(|known| &known.profile),
        ),
        input("instances.key_pair", "Key pair", "none", one(|known| &known.key_pair)),
        input("instances.ami", "Image (AMI)", "default", one(|known| &known.ami)),
        input(
            "instances.tags",
            "Tags beside Arya's: name=value, or same_as_production",
            "none",
            known.map(|known| tags_in_words(known.tags.named())),
        ),
    ]
}

/// As the input takes them.
fn tags_in_words<'t>(tags: impl Iterator<Item = (&'t str, &'t str)>) -> String {
    let pairs: Vec<String> = tags.map(|(name, value)| format!("{name}={value}")).collect();
    if pairs.is_empty() {
        "none".into()
    } else {
        pairs.join(", ")
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
                let id = if rule.priority == "default" {
                    "default".to_owned()
                } else {
                    rule.id.to_string()
                };
                let value = choice(listener.id.as_str(), &id, &balancer.connection);
                let also = choice(listener.id.as_str(), rule.id.as_str(), &balancer.connection);
                RuleChoice {
                    chosen: value == chosen || also == chosen,
                    value,
                    priority: rule.priority.clone(),
                    when: rule_words::when(rule),
                    then: rule.then.clone(),
                    health: health(rule),
                    // Only what forwards to groups can have a canary beside it.
                    possible: !rule.groups.is_empty() && rule.deployment.is_none(),
                }
            };
            choices.push(BalancerChoice {
                name: balancer.name.clone(),
                place: place(balancer),
                address: listener.address.clone(),
                rules: listener.rules.iter().map(rule).collect(),
            });
        }
    }
    choices
}

/// Whose it is, where that needs saying.
fn place(balancer: &LoadBalancerDocument) -> Option<String> {
    let (account, region) = (balancer.account.as_ref()?, balancer.region.as_ref()?);
    Some(format!("{}: {account} · {region}", balancer.connection))
}

fn health(rule: &crate::api::documents::RuleDocument) -> String {
    if rule.deployment.is_some() {
        return "made by Arya for another canary".into();
    }
    if rule.groups.is_empty() {
        return "forwards to no target group, so nothing can stand beside it".into();
    }
    let counts = rule
        .groups
        .iter()
        .filter_map(|group| Some((group.healthy?, group.registered?)));
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
        FileInput {
            key,
            title,
            hint,
            digest,
            check,
        }
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
