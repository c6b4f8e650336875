//! The whole plan before anything is touched: where our rule would stand, every resource, every problem.

mod around;
mod doors;
mod lines;
mod placing;
mod times;

use std::collections::{BTreeMap, BTreeSet};

use arya_bundle::Description;
use arya_judge::Timestamp;
use serde::{Deserialize, Serialize};

use crate::assume::assume;
use crate::checks;
use crate::cost::{self, Prices};
use crate::decide::decide;
use crate::desired::{Desired, MainRule, Placement, ProbeSecret};
use crate::identity::{DeploymentId, InstallationId, LogicalId, RuleKind};
use crate::listener::shares::CanaryPercent;
use crate::listener::{Protocol, RuleId, Site};
use crate::observed::Observed;
use crate::plan::{Step, plan};
use crate::problem::Problem;
use crate::seen::Seen;
use crate::spec::{Digest, Instances, Spec};
use crate::surroundings::Surroundings;
use crate::timing::Timing;

use doors::{Rate, other_doors, rate};
pub use lines::{actions_in_words, conditions_in_words, seconds_to_harmful};
use lines::{resources, rule_lines, shares, time_to_verdict};
pub use placing::chosen_rule;
use placing::{place, quotas};
pub use times::KindTime;

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
    /// How targets can be spoken to.
    pub protocols: Vec<Protocol>,
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
    /// Of the chosen listener and rule.
    pub surroundings: &'r Surroundings,
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OtherDoor {
    pub listener: String,
    pub rule: String,
    pub sentence: String,
    /// Of the requests that reached production's groups lately, where that was counted by rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share_percent: Option<f64>,
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
    /// Kind of metric by kind; empty while the traffic is not known, or there is none.
    #[serde(default)]
    pub by_kind: Vec<KindTime>,
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
    /// What that figure is and is not; `None` where nothing costs anything.
    pub price_note: Option<String>,
    /// What is launched, with what *same as production* stands for where that was asked.
    pub instances: Instances,
    pub other_doors: Vec<OtherDoor>,
    /// How their shares are known, or why they are not.
    pub other_doors_note: Option<String>,
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
    if !request.capabilities.protocols.contains(&spec.app.protocol) {
        problems.push(
            Problem::blocks(
                "protocol",
                "Targets here can only be spoken to by plain HTTP.",
                "Set `app.protocol` to http; HTTPS to targets works on AWS.",
            )
            .at("app.protocol"),
        );
    }
    neighbours(request, &mut problems);
    let site = request.sites.iter().find(|site| site.listener == spec.listener);
    let placement = match site {
        Some(site) => {
            around::around(request, site, &mut problems);
            place(request, site, &mut problems)
        }
        None => {
            problems.push(no_listener(request));
            None
        }
    };
    let digest = placement.as_ref().map_or(String::new(), |p| p.site_digest.clone());
    let chosen = placement.as_ref().map(|p| p.chosen.clone());
    let draft = placement.map(|placement| desired(request, placement));
    let rate = match (site, &draft) {
        (Some(site), Some(desired)) => rate(request, site, &desired.placement),
        (None, _) | (_, None) => Rate::known(request.traffic_per_s),
    };
    let mut preview = Preview {
        desired: None,
        before: site.cloned(),
        rules_before: site.map_or(vec![], |site| rule_lines(site, request.id, chosen.as_ref())),
        // As they are, while nothing can be placed.
        rules_after: site.map_or(vec![], |site| rule_lines(site, request.id, chosen.as_ref())),
        resources: vec![],
        checklist: vec![],
        problems,
        quotas: site.map_or(vec![], |site| quotas(request.sites, site)),
        price_per_hour: cost::per_hour(spec, request.capabilities.prices),
        price_note: cost::says(spec, request.capabilities.prices),
        instances: spec.instances.clone(),
        other_doors: vec![],
        other_doors_note: None,
        time_to_verdict: time_to_verdict(request, rate),
        shares: draft.as_ref().and_then(shares),
        digest,
    };
    if let (Some(site), Some(desired)) = (site, draft) {
        let traffic = &request.surroundings.traffic;
        preview.other_doors = other_doors(request.sites, site, &desired.placement, traffic);
        preview.other_doors_note = doors::note(traffic).filter(|_| !preview.other_doors.is_empty());
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

fn desired(request: &PreviewRequest<'_>, placement: Placement) -> Desired {
    Desired::begun(
        request.id,
        request.installation,
        request.spec.clone(),
        placement,
        request.now,
    )
}

/// Plays the plan through on paper: the listener afterwards, and every step in order.
fn fold(request: &PreviewRequest<'_>, desired: &Desired, site: &Site) -> (Site, Vec<String>) {
    let mut desired = desired.clone();
    // Time does not pass on paper: what is shown is the listener after the spell.
    let spell = std::mem::take(&mut desired.spell);
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
            let main = matches!(
                step,
                Step::CreateRule {
                    kind: RuleKind::Main,
                    ..
                }
            );
            if main && !spell.is_over() {
                let minutes = desired.spec.analysis.aa_spell_s / 60.0;
                checklist.push(format!(
                    "send users to the baseline alone for {minutes:.1} min, beside production (A/A spell), then to the canary too"
                ));
            }
        }
    }
    (world.site.unwrap_or_else(|| site.clone()), checklist)
}
