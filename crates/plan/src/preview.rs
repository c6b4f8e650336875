//! The whole plan before anything is touched: where our rule would stand, every resource, every problem.

use std::collections::{BTreeMap, BTreeSet};

use arya_bundle::Description;
use arya_judge::Timestamp;
use serde::{Deserialize, Serialize};

use crate::assume::assume;
use crate::checks;
use crate::cost::{self, Prices};
use crate::decide::decide;
use crate::desired::{ACKNOWLEDGE_PRODUCTION_ZERO, Desired, Goal, MainRule, OurGroupSettings, Placement, ProbeSecret};
use crate::identity::{DeploymentId, InstallationId, LogicalId, Place, RuleKind, resource_name};
use crate::listener::compose::{self, Composed, Slots};
use crate::listener::shares::CanaryPercent;
use crate::listener::{
    Action, Condition, Forward, Priority, Rule, RuleId, Site, TargetStickiness, TargetType, limits as alb,
};
use crate::observed::Observed;
use crate::plan::{Step, plan};
use crate::problem::Problem;
use crate::seen::Seen;
use crate::spec::{Digest, InFrontOf, Spec};
use crate::timing::Timing;

/// An uploaded file, as far as a plan needs it.
#[derive(Debug, Clone)]
pub struct FileFacts {
    pub size: u64,
    /// `None` = neither an image archive nor a compose file.
    pub description: Option<Description>,
}

pub type Files = BTreeMap<Digest, FileFacts>;

/// What the chosen world can do.
#[derive(Debug, Clone)]
pub struct Capabilities {
    /// The only archives that can run; `None` = any.
    pub runnable: Option<BTreeSet<Digest>>,
    /// Docker's names, e.g. `amd64`.
    pub architectures: Vec<String>,
    pub prices: Prices,
}

/// A deployment that was harmful and not overruled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HarmfulPair {
    pub baseline: Digest,
    pub canary: Digest,
    pub deployment: DeploymentId,
}

/// Everything a preview looks at.
#[derive(Debug)]
pub struct PreviewRequest<'r> {
    pub id: DeploymentId,
    pub installation: InstallationId,
    pub spec: &'r Spec,
    pub sites: &'r [Site],
    pub files: &'r Files,
    pub capabilities: &'r Capabilities,
    pub harmful_before: &'r [HarmfulPair],
    /// Live deployments' names, which must stay unique, and the rules they stand in front of.
    pub live: &'r [LiveDeployment],
    pub probe_secret: ProbeSecret,
    /// Requests per second that the chosen rule answers now, where known.
    pub traffic_per_s: Option<f64>,
    pub now: Timestamp,
    pub timing: &'r Timing,
}

/// A deployment that is not destroyed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveDeployment {
    pub id: DeploymentId,
    pub name: String,
    pub in_front_of: RuleId,
}

/// A rule in plain words, for the list before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleLine {
    pub priority: String,
    pub id: String,
    pub conditions: String,
    pub actions: String,
    /// `probe` or `main` for ours, `arya` for another deployment's, nothing for the user's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ours: Option<String>,
    /// The rule that ours stand in front of.
    pub chosen: bool,
}

/// One resource that will be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceLine {
    pub logical_id: LogicalId,
    pub name: String,
    pub what: String,
}

/// A limit of AWS and how much of it is used with this plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    pub name: String,
    pub used: usize,
    pub limit: usize,
}

/// Another rule that reaches production's groups: what comes in there misses this canary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherDoor {
    pub listener: String,
    pub rule: String,
    pub sentence: String,
}

/// What was asked and what integer weights give, each in percent of matching traffic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SharesLine {
    pub asked: CanaryPercent,
    pub canary: f64,
    pub baseline: f64,
    pub production: f64,
    pub weights: String,
}

/// How long a verdict will take at the traffic seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TimeToVerdict {
    pub requests_per_s: Option<f64>,
    pub canary_requests_per_s: Option<f64>,
    pub sentence: String,
}

/// The plan, touching nothing.
#[derive(Debug, Clone)]
pub struct Preview {
    /// What applying stores; `None` while something blocks.
    pub desired: Option<Desired>,
    /// The listener as it is, for the restore proof.
    pub before: Option<Site>,
    pub rules_before: Vec<RuleLine>,
    pub rules_after: Vec<RuleLine>,
    pub resources: Vec<ResourceLine>,
    /// Every step in order, in words.
    pub checklist: Vec<String>,
    pub problems: Vec<Problem>,
    pub quotas: Vec<Quota>,
    pub price_per_hour: f64,
    pub other_doors: Vec<OtherDoor>,
    pub time_to_verdict: TimeToVerdict,
    pub shares: Option<SharesLine>,
    /// Of the chosen rule, its groups and earlier overlapping rules; empty while there is no chosen rule.
    pub digest: String,
}

/// A preview gives up folding after this many rounds; a deployment needs about eight.
const ROUNDS_MAX: usize = 64;

/// Makes the plan.
pub fn preview(request: &PreviewRequest<'_>) -> Preview {
    let spec = request.spec;
    let mut problems = spec.problems();
    checks::versions(spec, request.files, request.capabilities, &mut problems);
    neighbours(request, &mut problems);
    let site = request.sites.iter().find(|site| site.listener == spec.listener);
    let placement = match site {
        Some(site) => place(request, site, &mut problems),
        None => {
            problems.push(no_listener(request));
            None
        }
    };
    let digest = placement.as_ref().map_or(String::new(), |p| p.site_digest.clone());
    let chosen = placement.as_ref().map(|p| p.chosen.clone());
    let draft = placement.map(|placement| desired(request, placement));
    let mut preview = Preview {
        desired: None,
        before: site.cloned(),
        rules_before: site.map_or(vec![], |site| rule_lines(site, request.id, chosen.as_ref())),
        rules_after: vec![],
        resources: vec![],
        checklist: vec![],
        problems,
        quotas: site.map_or(vec![], quotas),
        price_per_hour: cost::per_hour(spec, request.capabilities.prices),
        other_doors: vec![],
        time_to_verdict: time_to_verdict(request),
        shares: draft.as_ref().and_then(shares),
        digest,
    };
    if let (Some(site), Some(desired)) = (site, draft) {
        preview.other_doors = other_doors(request.sites, site, &desired.placement);
        let (after, checklist) = fold(request, &desired, site);
        preview.rules_after = rule_lines(&after, request.id, Some(&desired.placement.chosen));
        preview.checklist = checklist;
        preview.resources = resources(&desired);
        let stopped = preview.problems.iter().any(|p| p.stops(&spec.acknowledged));
        preview.desired = (!stopped).then_some(desired);
    }
    preview
}

fn no_listener(request: &PreviewRequest<'_>) -> Problem {
    let known: Vec<_> = request.sites.iter().map(|site| site.listener.as_str()).collect();
    Problem::blocks(
        "listener",
        format!(
            "There is no listener `{}`; there are: {}.",
            request.spec.listener,
            known.join(", ")
        ),
        "Choose one of them.",
    )
    .at("listener")
}

fn neighbours(request: &PreviewRequest<'_>, problems: &mut Vec<Problem>) {
    let spec = request.spec;
    if let Some(other) = request
        .live
        .iter()
        .find(|other| other.name == spec.name && other.id != request.id)
    {
        let sentence = format!("A live deployment is already called `{}` ({}).", other.name, other.id);
        problems.push(Problem::blocks("name_taken", sentence, "Choose another name, or destroy that one.").at("name"));
    }
    let pair = |h: &&HarmfulPair| h.baseline == spec.baseline.image && h.canary == spec.canary.image;
    if let Some(before) = request.harmful_before.iter().find(pair) {
        problems.push(
            Problem::needs_acknowledgement(
                format!("harmful:{}", before.deployment),
                format!(
                    "This pair of images was harmful before, in deployment {}.",
                    before.deployment
                ),
            )
            .at("canary.image"),
        );
    }
}

/// Where our rules go, or why they cannot.
fn place(request: &PreviewRequest<'_>, site: &Site, problems: &mut Vec<Problem>) -> Option<Placement> {
    let spec = request.spec;
    let chosen = match &spec.in_front_of {
        InFrontOf::Default => site.default_rule(),
        InFrontOf::Rule(id) => site.rule(id),
    };
    let Some(chosen) = chosen.filter(|rule| rule.owner.is_none()) else {
        let wanted = String::from(spec.in_front_of.clone());
        let sentence = format!("The listener has no rule `{wanted}` of yours to stand in front of.");
        problems
            .push(Problem::blocks("in_front_of", sentence, "Choose one of its rules, or `default`.").at("in_front_of"));
        return None;
    };
    if let Some(other) = request
        .live
        .iter()
        .find(|other| other.in_front_of == chosen.id && other.id != request.id)
    {
        let sentence = format!("Deployment `{}` already stands in front of that rule.", other.name);
        problems.push(Problem::blocks("in_front_taken", sentence, "Destroy it first.").at("in_front_of"));
    }
    let forward = production(site, chosen, spec, problems)?;
    let composed = compose::in_front_of(chosen, &spec.conditions)
        .map_err(|found| problems.extend(found))
        .ok()?;
    let slots = compose::slots_before(site, chosen)
        .map_err(|found| problems.push(found))
        .ok()?;
    share_problems(spec, forward, problems);
    rule_budget(site, problems);
    Some(Placement {
        chosen: chosen.id.clone(),
        site_digest: compose::site_digest(site, chosen, &composed),
        group: group_settings(spec, site, forward),
        production: forward.groups.clone(),
        probe_secret: request.probe_secret.clone(),
        composed,
        slots,
    })
}

/// The chosen rule's forward action, if a canary can stand beside its groups.
fn production<'s>(site: &Site, chosen: &'s Rule, spec: &Spec, problems: &mut Vec<Problem>) -> Option<&'s Forward> {
    let mut refuse = |name: &str, sentence: String, next: &str| {
        problems.push(Problem::blocks(name, sentence, next).at("in_front_of"));
    };
    let Some(forward) = chosen.forward() else {
        let sentence = "The chosen rule does not forward to a target group (it redirects or answers by itself), so there \
                        is no production to compare with.";
        refuse(
            "no_production",
            sentence.into(),
            "Choose the rule that serves your users, often on the HTTPS listener.",
        );
        return None;
    };
    let groups = forward.groups.len() + 2;
    if groups > alb::GROUPS_PER_ACTION {
        let sentence = format!(
            "The chosen rule forwards to {} target groups; with baseline and canary that would be {groups}, and AWS allows \
             {} per rule.",
            forward.groups.len(),
            alb::GROUPS_PER_ACTION
        );
        refuse(
            "limit:groups_per_action",
            sentence,
            "Choose a rule with at most three groups.",
        );
    }
    for weighted in &forward.groups {
        let Some(group) = site.groups.get(&weighted.group) else {
            continue;
        };
        let name = &group.settings.name;
        if group.settings.target_type == TargetType::Lambda {
            let sentence =
                format!("Production's group {name} is a Lambda function; a canary on instances cannot twin it.");
            refuse(
                "lambda",
                sentence,
                "Choose a rule that forwards to instances or IP addresses.",
            );
        }
        match group.settings.stickiness {
            TargetStickiness::Off => {}
            TargetStickiness::AppCookie => refuse(
                "app_cookie",
                format!(
                    "Production's group {name} is sticky by an application cookie, which AWS does not support with \
                         weighted groups."
                ),
                "Turn it off, or choose another rule.",
            ),
            TargetStickiness::LoadBalancerCookie if spec.stickiness_s == 0 => refuse(
                "stickiness_needed",
                format!(
                    "Production's group {name} has target stickiness; AWS then demands stickiness of our rule too."
                ),
                "Set `stickiness_s` to production's duration.",
            ),
            TargetStickiness::LoadBalancerCookie => {}
        }
        if weighted.weight > 0 && group.health.healthy == 0 {
            let sentence = format!("Production's group {name} has no healthy target now; our rule could not stand.");
            refuse("production_unhealthy", sentence, "Bring production to health first.");
        }
    }
    if forward.stickiness_s.is_some() && spec.stickiness_s == 0 {
        problems.push(Problem::note(
            "stickiness_differs",
            "The chosen rule keeps clients with their group by a cookie; ours will not, since `stickiness_s` is 0.",
        ));
    }
    Some(forward)
}

fn share_problems(spec: &Spec, forward: &Forward, problems: &mut Vec<Problem>) {
    let production: Vec<u16> = forward.groups.iter().map(|g| g.weight).collect();
    match crate::listener::shares::weights(spec.canary_percent, &production) {
        Err(error) => {
            let problem = Problem::blocks(
                "share",
                format!("{error}."),
                "Ask for a share that weights can express.",
            );
            problems.push(problem.at("canary_percent"));
        }
        Ok(weights) if !weights.ratio_kept => problems.push(Problem::note(
            "ratio_rounded",
            "Production's groups keep their ratio only approximately: exact weights would exceed 999.",
        )),
        Ok(_) => {}
    }
    if spec.canary_percent == CanaryPercent::MAX {
        problems.push(
            Problem::needs_acknowledgement(
                ACKNOWLEDGE_PRODUCTION_ZERO,
                "With 50 % each for baseline and canary, production gets nothing of the matching traffic.",
            )
            .at("canary_percent"),
        );
    }
}

fn rule_budget(site: &Site, problems: &mut Vec<Problem>) {
    for quota in quotas(site).into_iter().filter(|quota| quota.used > quota.limit) {
        let sentence = format!(
            "With this plan the load balancer would have {} {}; AWS allows {}.",
            quota.used, quota.name, quota.limit
        );
        problems.push(Problem::blocks(
            format!("limit:{}", quota.name.replace(' ', "_")),
            sentence,
            "Remove some, or raise the quota.",
        ));
    }
}

fn quotas(site: &Site) -> Vec<Quota> {
    let numbered = site
        .rules
        .iter()
        .filter(|rule| rule.priority != Priority::Default)
        .count();
    vec![
        Quota {
            name: "rules".into(),
            used: numbered + 2,
            limit: alb::RULES_PER_LOAD_BALANCER,
        },
        Quota {
            name: "target groups".into(),
            used: site.groups.len() + 2,
            limit: alb::GROUPS_PER_LOAD_BALANCER,
        },
    ]
}

/// Our groups' deregistration delay is production's, but at most this.
const DEREGISTRATION_DELAY_MAX_S: u32 = 120;

fn group_settings(spec: &Spec, site: &Site, forward: &Forward) -> OurGroupSettings {
    let production = forward
        .groups
        .iter()
        .filter_map(|g| site.groups.get(&g.group))
        .map(|g| &g.settings);
    let delay = production.map(|settings| settings.deregistration_delay_s).max();
    OurGroupSettings {
        protocol: spec.app.protocol,
        port: spec.app.port,
        health_check_path: spec.app.health_check_path.clone(),
        deregistration_delay_s: delay
            .unwrap_or(DEREGISTRATION_DELAY_MAX_S)
            .min(DEREGISTRATION_DELAY_MAX_S),
    }
}

fn desired(request: &PreviewRequest<'_>, placement: Placement) -> Desired {
    let lifetime = jiff::SignedDuration::from_secs_f64(request.spec.lifetime_h.clamp(0.0, 1e4) * 3600.0);
    Desired {
        id: request.id,
        installation: request.installation,
        generation: 1,
        spec: request.spec.clone(),
        placement,
        goal: Goal::Serve {
            canary: request.spec.canary_percent,
        },
        main_rule: MainRule::NotYet,
        incarnations: vec![],
        hold: None,
        harmful: None,
        failed: None,
        created_at: request.now,
        expires_at: request.now.checked_add(lifetime).unwrap_or(Timestamp::MAX),
    }
}

/// Plays the plan through on paper: the listener afterwards, and every step in order.
fn fold(request: &PreviewRequest<'_>, desired: &Desired, site: &Site) -> (Site, Vec<String>) {
    let mut desired = desired.clone();
    let mut world = Observed {
        site: Some(site.clone()),
        ..Observed::nothing(request.now)
    };
    let mut seen = Seen::default();
    let mut checklist = Vec::new();
    for _ in 0..ROUNDS_MAX {
        seen.look(&desired, &world);
        let mut decided = false;
        while let Some((change, actor)) = decide(&desired, &world, &seen, request.timing, None) {
            decided = true;
            if desired.apply(&change, &actor, request.now) != Ok(true) {
                break;
            }
        }
        let next = plan(&desired, &world, &seen, request.timing);
        if next.steps.is_empty() && !decided && desired.main_rule != MainRule::NotYet {
            break;
        }
        for step in &next.steps {
            checklist.push(step.to_string());
            assume(&desired, &mut world, step);
            if matches!(
                step,
                Step::CreateRule {
                    kind: RuleKind::Probe,
                    ..
                }
            ) {
                checklist.push("wait until both arms are healthy in two looks".into());
            }
        }
    }
    (world.site.unwrap_or_else(|| site.clone()), checklist)
}

fn shares(desired: &Desired) -> Option<SharesLine> {
    let weights = desired.weights_for(desired.share()).ok()?;
    let arm = weights.arm_percent();
    let production: Vec<_> = weights.production.iter().map(ToString::to_string).collect();
    Some(SharesLine {
        asked: desired.share(),
        canary: arm,
        baseline: arm,
        production: 100.0 - 2.0 * arm,
        weights: format!(
            "production {} : baseline {} : canary {}",
            production.join(" + "),
            weights.arm,
            weights.arm
        ),
    })
}

fn resources(desired: &Desired) -> Vec<ResourceLine> {
    use crate::identity::{Arm, SecurityGroupKind};
    let line = |logical_id, what: String| ResourceLine {
        logical_id,
        name: resource_name(&desired.id, logical_id),
        what,
    };
    let mut lines = vec![line(
        LogicalId::Bucket,
        "temporary bucket for the uploaded files".into(),
    )];
    for (kind, what) in [
        (SecurityGroupKind::App, "baseline and canary"),
        (SecurityGroupKind::Monitor, "the monitor"),
    ] {
        lines.push(line(
            LogicalId::SecurityGroup(kind),
            format!("security group of {what}"),
        ));
    }
    lines.extend(Arm::BOTH.map(|arm| {
        let settings = &desired.placement.group;
        let what = format!(
            "target group of the {arm}, port {}, health check {}",
            settings.port, settings.health_check_path
        );
        line(LogicalId::TargetGroup(arm), what)
    }));
    lines.extend(desired.places().map(|place: Place| {
        let what = format!("{place}, {}", cost::instance_type(&desired.spec, place.role));
        line(LogicalId::Instance(place), what)
    }));
    let Slots { probe, main } = desired.placement.slots;
    lines.push(line(
        LogicalId::Rule(RuleKind::Probe),
        format!("probe rule at priority {probe}, matches only a secret header"),
    ));
    lines.push(line(
        LogicalId::Rule(RuleKind::Main),
        format!("main rule at priority {main}"),
    ));
    lines
}

fn rule_lines(site: &Site, deployment: DeploymentId, chosen: Option<&RuleId>) -> Vec<RuleLine> {
    let line = |rule: &Rule| RuleLine {
        priority: rule.priority.to_string(),
        id: rule.id.to_string(),
        conditions: conditions_in_words(&rule.conditions),
        actions: actions_in_words(site, &rule.actions),
        ours: rule.owner.as_ref().map(|owner| match owner.logical_id {
            LogicalId::Rule(RuleKind::Probe) if owner.deployment == deployment => "probe".into(),
            LogicalId::Rule(RuleKind::Main) if owner.deployment == deployment => "main".into(),
            _ => "arya".into(),
        }),
        chosen: chosen == Some(&rule.id),
    };
    site.rules.iter().map(line).collect()
}

/// Conditions as a sentence part; the secret of a probe rule is not shown.
pub fn conditions_in_words(conditions: &[Condition]) -> String {
    let word = |condition: &Condition| match condition {
        Condition::HttpHeader { name, .. } if name == crate::desired::PROBE_HEADER => {
            format!("header {name} is the secret")
        }
        other => other.to_string(),
    };
    match conditions {
        [] => "everything else".into(),
        some => some.iter().map(word).collect::<Vec<_>>().join(" and "),
    }
}

/// Actions as a sentence part.
pub fn actions_in_words(site: &Site, actions: &[Action]) -> String {
    let word = |action: &Action| match action {
        Action::Forward(forward) => forward_in_words(site, forward),
        Action::AuthenticateCognito { .. } => "log in by Cognito".into(),
        Action::AuthenticateOidc { .. } => "log in by OpenID Connect".into(),
        Action::JwtValidation { .. } => "check a JWT".into(),
        Action::Redirect { .. } => "redirect".into(),
        Action::FixedResponse { status, .. } => format!("answer {status}"),
    };
    actions.iter().map(word).collect::<Vec<_>>().join(", then ")
}

fn forward_in_words(site: &Site, forward: &Forward) -> String {
    let name = |group: &crate::listener::GroupId| {
        site.groups
            .get(group)
            .map_or_else(|| group.to_string(), |g| g.settings.name.clone())
    };
    let total: u32 = forward.groups.iter().map(|g| u32::from(g.weight)).sum();
    let groups: Vec<String> = match forward.groups.as_slice() {
        [one] => vec![name(&one.group)],
        many => many
            .iter()
            .map(|g| {
                format!(
                    "{} {:.1} %",
                    name(&g.group),
                    100.0 * f64::from(g.weight) / f64::from(total.max(1))
                )
            })
            .collect(),
    };
    let sticky = forward
        .stickiness_s
        .map_or(String::new(), |s| format!(", clients stay {s} s"));
    format!("forward to {}{sticky}", groups.join(", "))
}

fn other_doors(sites: &[Site], chosen_site: &Site, placement: &Placement) -> Vec<OtherDoor> {
    let ours: BTreeSet<_> = placement.production.iter().map(|g| &g.group).collect();
    let mut doors = Vec::new();
    for site in sites {
        for rule in site.rules.iter().filter(|rule| rule.owner.is_none()) {
            let is_chosen = site.listener == chosen_site.listener && rule.id == placement.chosen;
            let reaches = rule
                .forward()
                .is_some_and(|f| f.groups.iter().any(|g| ours.contains(&g.group)));
            if reaches && !is_chosen {
                doors.push(OtherDoor {
                    listener: site.listener.to_string(),
                    rule: rule.id.to_string(),
                    sentence: format!(
                        "Requests where {} reach production by rule {} and miss this canary.",
                        conditions_in_words(&rule.conditions),
                        rule.priority
                    ),
                });
            }
        }
    }
    doors
}

/// Errors in the canary alone are shown after about this many events (judge specification S5: the 9th, one per block).
const EVENTS_FOR_NEW_ERRORS: f64 = 9.0;
/// The regression that the estimate is made for: one request in a hundred fails that did not fail before.
const REGRESSION: f64 = 0.01;

fn time_to_verdict(request: &PreviewRequest<'_>) -> TimeToVerdict {
    let share = request.spec.canary_percent.percent() / 100.0;
    let canary = request.traffic_per_s.map(|rate| rate * share);
    let sentence = match canary {
        None => "The traffic of the chosen rule is not known yet, so no time can be said.".into(),
        Some(rate) if rate <= 0.0 => {
            "At this share the canary gets no traffic: there will be no verdict until the share is raised.".into()
        }
        Some(rate) => {
            let minutes = EVENTS_FOR_NEW_ERRORS / (REGRESSION * rate) / 60.0;
            let time = match minutes {
                m if m < 1.0 => format!("{:.0} s", (m * 60.0).ceil()),
                m if m < 120.0 => format!("{:.0} minutes", m.ceil()),
                m => format!("{:.0} hours", (m / 60.0).ceil()),
            };
            format!(
                "At {rate:.1} requests/s to the canary, a canary that newly fails {:.0} % of its requests is shown harmful in \
                 about {time}.",
                REGRESSION * 100.0
            )
        }
    };
    TimeToVerdict {
        requests_per_s: request.traffic_per_s,
        canary_requests_per_s: canary,
        sentence,
    }
}

/// Re-derives where our rule would stand, to see whether a plan that was shown is still true.
pub fn current_digest(site: &Site, chosen: &RuleId, composed: &Composed) -> Option<String> {
    site.rule(chosen).map(|rule| compose::site_digest(site, rule, composed))
}
