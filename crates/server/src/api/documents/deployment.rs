//! A deployment as scripts read it and as the pages show it.

use std::collections::BTreeMap;

use arya_judge::{Timestamp, Verdict};
use arya_plan::desired::{Desired, Goal, Harmful, Hold, PROBE_HEADER};
use arya_plan::identity::DeploymentId;
use arya_plan::observed::Observed;
use arya_plan::phase::{Phase, Users, users};
use arya_plan::plan::{WaitReason, Waiting};
use arya_plan::proof::{Difference, RestoreProof, Whose};
use arya_plan::spec::Spec;
use serde::Serialize;

use super::headline::Headline;
use super::progress::{CheckDocument, RailDocument, checklist, phase_word, rail};
use super::side::{InstanceDocument, TrafficDocument, instances};
use super::verdict::{Told, VerdictLine};
use super::weights::WeightsDocument;

/// What a deployment's document is made from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look<'a> {
    pub(crate) desired: &'a Desired,
    pub(crate) observed: Option<&'a Observed>,
    pub(crate) phase: Phase,
    pub(crate) waiting: &'a [Waiting],
    /// Why the latest look failed, if it did.
    pub(crate) cloud_error: Option<&'a str>,
    pub(crate) verdict: Option<&'a Verdict>,
    pub(crate) restore_proof: Option<&'a RestoreProof>,
    pub(crate) closed_at: Option<Timestamp>,
    pub(crate) as_of: Timestamp,
    /// US dollars.
    pub(crate) price_per_hour: f64,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct DeploymentDocument {
    pub(crate) id: DeploymentId,
    pub(crate) name: String,
    pub(crate) phase: Phase,
    pub(crate) phase_word: &'static str,
    /// The one sentence in large type.
    pub(crate) headline: Headline,
    /// `serve` or `absent`.
    pub(crate) goal: &'static str,
    pub(crate) generation: u64,
    pub(crate) created_at: Timestamp,
    /// When it removes itself.
    pub(crate) expires_at: Timestamp,
    pub(crate) closed_at: Option<Timestamp>,
    /// When the cloud was looked at.
    pub(crate) as_of: Timestamp,
    pub(crate) spec: Spec,
    pub(crate) weights: WeightsDocument,
    pub(crate) instances: Vec<InstanceDocument>,
    /// Matching traffic of the last seconds; `None` while nothing was counted.
    pub(crate) traffic: Option<TrafficDocument>,
    pub(crate) links: LinksDocument,
    pub(crate) verdict: Option<VerdictLine>,
    pub(crate) waiting: Vec<WaitingDocument>,
    pub(crate) hold: Option<Hold>,
    pub(crate) harmful: Option<Harmful>,
    pub(crate) failed: Option<String>,
    /// Why the latest look at the cloud failed; what is shown is then older.
    pub(crate) cloud_error: Option<String>,
    pub(crate) rail: Vec<RailDocument>,
    pub(crate) checklist: Vec<CheckDocument>,
    pub(crate) cost: CostDocument,
    /// Only where one open deployment is asked for: lists, reports and answers to changes are passed on and kept.
    pub(crate) probe: Option<ProbeDocument>,
    pub(crate) restore_proof: Option<ProofDocument>,
}

/// Where to look closer. `None` = not part of this world.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct LinksDocument {
    pub(crate) grafana: Option<String>,
    pub(crate) referee: Option<String>,
    /// In `arya try` the embedded monitor, which answers Prometheus' API.
    pub(crate) prometheus: Option<String>,
    pub(crate) kayenta: Option<String>,
    /// Why a link is not there, by its name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) off: BTreeMap<&'static str, String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct WaitingDocument {
    /// One stable word, e.g. `healthy_targets`.
    #[serde(rename = "for")]
    pub(crate) reason: &'static str,
    pub(crate) since: Timestamp,
    /// The sentence.
    pub(crate) why: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct CostDocument {
    /// US dollars.
    pub(crate) per_hour: f64,
    pub(crate) so_far: f64,
}

/// How to see the canary before users do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ProbeDocument {
    pub(crate) header: &'static str,
    /// Not a credential, but whoever knows it sees the canary.
    pub(crate) value: String,
    /// A line for a terminal; `None` while the listener is not known.
    pub(crate) curl: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ProofDocument {
    /// Whether nothing of ours is left.
    pub(crate) holds: bool,
    pub(crate) sentence: String,
    pub(crate) differences: Vec<Difference>,
}

impl DeploymentDocument {
    pub(crate) fn of(look: &Look<'_>) -> Self {
        let desired = look.desired;
        let proof = look.restore_proof.map(ProofDocument::of);
        Self {
            id: desired.id,
            name: desired.spec.name.clone(),
            phase: look.phase,
            phase_word: phase_word(look.phase),
            headline: headline(look, proof.as_ref()),
            goal: match desired.goal {
                Goal::Serve { .. } => "serve",
                Goal::Absent => "absent",
            },
            generation: desired.generation,
            created_at: desired.created_at,
            expires_at: desired.expires_at,
            closed_at: look.closed_at,
            as_of: look.as_of,
            spec: desired.spec.clone(),
            weights: WeightsDocument::of(desired, look.observed),
            instances: look.observed.map(instances).unwrap_or_default(),
            traffic: look
                .observed
                .and_then(|seen| seen.traffic.as_ref())
                .map(TrafficDocument::of),
            links: LinksDocument::default(),
            verdict: look.verdict.map(|v| VerdictLine {
                outcome: v.outcome,
                sentence: Told::of(desired).sentence(v),
            }),
            waiting: look.waiting.iter().map(WaitingDocument::of).collect(),
            hold: desired.hold.clone(),
            harmful: desired.harmful.clone(),
            failed: desired.failed.clone(),
            cloud_error: look.cloud_error.map(str::to_owned),
            rail: rail(look.phase, users_of(look)),
            checklist: checklist(desired, look.observed, look.phase),
            cost: cost(look),
            probe: None,
            restore_proof: proof,
        }
    }

    /// With the probe header's secret, while there is something that it opens.
    pub(crate) fn with_probe(look: &Look<'_>) -> Self {
        Self {
            probe: look.closed_at.is_none().then(|| probe(look)),
            ..Self::of(look)
        }
    }

    /// Whether more evidence may come.
    pub(crate) fn told(&self) -> Told {
        if self.goal == "absent" {
            Told::AtTheEnd
        } else if self.hold.is_some() {
            Told::OnHold
        } else {
            Told::SoFar
        }
    }

    /// Whether the harmful verdict stands and nobody overruled it.
    pub(crate) fn harmful_stands(&self) -> bool {
        self.harmful.as_ref().is_some_and(|harmful| harmful.overruled.is_none())
    }
}

/// Whether users ever came. A verdict has evidence only of what they asked.
fn users_of(look: &Look<'_>) -> Users {
    match look.verdict.and_then(|verdict| verdict.as_of) {
        Some(_) => Users::Came,
        None => users(look.desired),
    }
}

/// What the verdict *harmful* has led to.
pub(crate) const TAKEN_AWAY: &str = "Its traffic was removed; production answers everything.";

fn headline(look: &Look<'_>, proof: Option<&ProofDocument>) -> Headline {
    let desired = look.desired;
    let first_wait = || look.waiting.first().map(|waiting| waiting.reason.to_string());
    let state = match look.phase {
        Phase::Uploading => first_wait().unwrap_or_else(|| "The files are on their way.".into()),
        Phase::Provisioning => first_wait().unwrap_or_else(|| "Baseline and canary are being started.".into()),
        Phase::WarmingUp => {
            first_wait().unwrap_or_else(|| "Baseline and canary warm up; no user reaches them yet.".into())
        }
        Phase::Serving => match look.verdict {
            Some(verdict) => return Headline::judged(verdict.sentence()),
            None => format!(
                "The canary gets {} of the matching traffic; nothing is judged yet.",
                desired.share()
            ),
        },
        Phase::Held => match &desired.hold {
            Some(_) if desired.harmful.as_ref().is_some_and(|h| h.overruled.is_none()) => {
                return Headline {
                    verdict: desired.harmful.as_ref().map(|harmful| harmful.sentence.clone()),
                    state: Some(TAKEN_AWAY.into()),
                };
            }
            Some(hold) => hold.reason.to_string(),
            None => "The share is 0: production answers everything, the instances stand.".into(),
        },
        Phase::Draining => "No new request reaches baseline or canary; the last ones finish.".into(),
        Phase::Destroying => first_wait().unwrap_or_else(|| "Everything that was made is being removed.".into()),
        Phase::Destroyed => match proof {
            Some(proof) => proof.sentence.clone(),
            None => "Everything that was made is gone.".into(),
        },
        Phase::Failed => {
            let why = desired.failed.as_deref().unwrap_or("It cannot go on.");
            format!("{why} Production answers everything; what stands stays until it is destroyed.")
        }
    };
    state.into()
}

impl WaitingDocument {
    pub(crate) fn of(waiting: &Waiting) -> Self {
        Self {
            reason: wait_word(&waiting.reason),
            since: waiting.since,
            why: waiting.reason.to_string(),
        }
    }
}

const fn wait_word(reason: &WaitReason) -> &'static str {
    match reason {
        WaitReason::Uploads { .. } => "uploads",
        WaitReason::Instance { .. } => "instance",
        WaitReason::HealthyTargets { .. } => "healthy_targets",
        WaitReason::SecondHealthyLook => "second_healthy_look",
        WaitReason::ProductionHealthy { .. } => "production_healthy",
        WaitReason::MainRuleListed => "main_rule_listed",
        WaitReason::Spell { .. } => "aa_spell",
        WaitReason::Person { .. } => "person",
        WaitReason::Settling => "settling",
        WaitReason::Draining { .. } => "draining",
        WaitReason::InstancesToEnd { .. } => "instances_to_end",
        WaitReason::SecondQuietLook => "second_quiet_look",
        WaitReason::Stuck { .. } => "stuck",
        WaitReason::Cloud { .. } => "cloud",
        WaitReason::SlowLooks { .. } => "slow_looks",
    }
}

fn cost(look: &Look<'_>) -> CostDocument {
    let end = look.closed_at.unwrap_or(look.as_of);
    let hours = (end.duration_since(look.desired.created_at).as_secs_f64() / 3600.0).max(0.0);
    let cents = |dollars: f64| (dollars * 10_000.0).round() / 10_000.0;
    CostDocument {
        per_hour: cents(look.price_per_hour),
        so_far: cents(hours * look.price_per_hour),
    }
}

fn probe(look: &Look<'_>) -> ProbeDocument {
    let value = look.desired.placement.probe_secret.reveal().to_owned();
    let site = look.observed.and_then(|seen| seen.site.as_ref());
    let path = &look.desired.spec.app.health_check_path;
    let curl = site.map(|site| format!("curl -H '{PROBE_HEADER}: {value}' {}{path}", site.address));
    ProbeDocument {
        header: PROBE_HEADER,
        value,
        curl,
    }
}

impl ProofDocument {
    fn of(proof: &RestoreProof) -> Self {
        let whose = |wanted| proof.differences.iter().filter(|d| d.whose == wanted).count();
        // The feed's line says the same, in the same words.
        let restored = arya_engine::Event::Restored {
            ours: whose(Whose::Ours),
            others: whose(Whose::Others),
        };
        Self {
            holds: proof.holds(),
            sentence: restored.to_string(),
            differences: proof.differences.clone(),
        }
    }
}
