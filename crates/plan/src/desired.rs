//! What should be: the only thing that is ever edited, one stored change at a time.

mod spell;

use std::fmt;

use arya_judge::Timestamp;
use serde::{Deserialize, Serialize};

use crate::identity::{Arm, DeploymentId, InstallationId, Place, Role};
use crate::listener::compose::{Composed, Slots};
use crate::listener::shares::CanaryPercent;
use crate::listener::{GroupId, Protocol, RuleId, WeightedGroup};
use crate::spec::{OnHarmful, Spec};

pub use spell::Spell;

/// How often a lost instance is launched anew before the first main rule. After it never by itself: evidence and
/// forensics would be lost.
pub const REPLACEMENTS_MAX: u32 = 2;

/// The desired state of one deployment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Desired {
    pub id: DeploymentId,
    pub installation: InstallationId,
    /// Rises with every stored change.
    pub generation: u64,
    pub spec: Spec,
    pub placement: Placement,
    pub goal: Goal,
    pub main_rule: MainRule,
    /// Whether the canary's users wait until the baseline had some alone.
    #[serde(default, skip_serializing_if = "Spell::is_over")]
    pub spell: Spell,
    /// The share that our main rule was last seen to have, as written by us; `None` since a change until it is seen. A
    /// rule that differs from a share already seen was edited by hand.
    #[serde(default)]
    pub share_seen: Option<CanaryPercent>,
    /// Which filling of an instance's place is wanted, where it is not the first.
    #[serde(default)]
    pub incarnations: Vec<(Place, u32)>,
    pub hold: Option<Hold>,
    pub harmful: Option<Harmful>,
    /// Why it cannot go on; what stands stays until destroy.
    pub failed: Option<String>,
    pub created_at: Timestamp,
    /// When it removes itself.
    pub expires_at: Timestamp,
}

/// Everything that was chosen when the plan was made; executing leaves nothing to choose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Placement {
    pub chosen: RuleId,
    pub composed: Composed,
    pub slots: Slots,
    pub site_digest: String,
    /// The chosen rule's groups with production's own weights.
    pub production: Vec<WeightedGroup>,
    pub group: OurGroupSettings,
    pub probe_secret: ProbeSecret,
}

/// What our target groups are created with; cloned from production's where it matters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OurGroupSettings {
    pub protocol: Protocol,
    pub port: u16,
    pub health_check_path: String,
    /// Production's, at most 120 s.
    pub deregistration_delay_s: u32,
}

/// The value of the probe rule's header. Not a credential, but whoever knows it sees the canary.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProbeSecret(String);

/// The header that the probe rule asks for.
pub const PROBE_HEADER: &str = "X-Arya-Probe";

impl ProbeSecret {
    pub fn new(random: impl Into<String>) -> Self {
        Self(random.into())
    }

    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ProbeSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProbeSecret(…)")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    Serve { canary: CanaryPercent },
    Absent,
}

/// Whether our main rule should stand. Only a stored change makes it wanted, so that nothing re-creates by itself what
/// a person deleted by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MainRule {
    /// Both arms have not been healthy yet.
    NotYet,
    /// To be created.
    Wanted,
    /// The cloud said that it was created, and no listing has shown it yet. It is not created again: if no listing ever
    /// shows it, somebody deleted it.
    Made { since: Timestamp },
    /// It was seen on the listener as we wrote it; if it is missing or different now, somebody changed it.
    Seen,
    /// Away, by a person or by the watchdog.
    Away,
}

/// Why our main rule is away although the deployment goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    pub reason: HoldReason,
    pub since: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldReason {
    Harmful,
    RuleBelowChanged,
    ListenerGone,
    ProductionUnhealthy {
        group: GroupId,
    },
    ArmUnhealthy {
        arm: Arm,
    },
    InstanceLost {
        place: Place,
    },
    /// A part of an arm has been away, or starting anew, for so long.
    ArmDisturbed {
        arm: Arm,
        state: String,
        for_s: u64,
    },
    OurRuleRemoved,
    OurRuleEdited,
    /// Both arms are far from production in the same way; the sentence has the numbers.
    TwinsUnfit {
        sentence: String,
    },
    /// Soon nobody could take users away any more.
    CredentialsEnd {
        at: Timestamp,
    },
}

impl fmt::Display for HoldReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Harmful => f.write_str("The verdict is harmful. A person decides: overrule with a reason, or destroy."),
            Self::RuleBelowChanged => f.write_str(
                "The rule below ours, one of its groups, or an earlier rule changed since the plan was made; our copy \
                 would hide that change. A person decides: destroy, and plan anew.",
            ),
            Self::ListenerGone => f.write_str("The listener is gone. A person decides."),
            Self::ProductionUnhealthy { group } => write!(
                f,
                "Production's group {group} has no healthy target, so its own rule must answer. A person raises the share \
                 again once it is well."
            ),
            Self::ArmUnhealthy { arm } => write!(
                f,
                "The {arm} has no healthy target; the load balancer would have sent users there all the same. Production's own \
                 rule answers everybody. A person decides: raise the share once it is well, or destroy."
            ),
            Self::InstanceLost { place } => write!(
                f,
                "The {place} is gone, and with it a side of the comparison. Production's own rule answers everybody, and what \
                 stands stays for a look. A person decides: destroy, and start anew."
            ),
            Self::ArmDisturbed { arm, state, for_s } => write!(
                f,
                "{state} It has been so for {for_s} s, and no verdict can be earned meanwhile. Production's own rule answers \
                 everybody. A person decides: raise the share once the {arm} is well, or destroy."
            ),
            Self::OurRuleRemoved => {
                f.write_str("Somebody removed our main rule by hand. It is not put back unless a person raises the share.")
            }
            Self::TwinsUnfit { sentence } => write!(
                f,
                "The twins are unfit: {sentence} Production's own rule answers everybody, and the instances stand for a \
                 look. A person decides: destroy and start anew with what they lack, or raise the share to try these again."
            ),
            Self::CredentialsEnd { at } => write!(
                f,
                "The credentials end at {}, and after that users could not be taken away from a sick canary. Production's \
                 own rule answers everybody until a person logs in again (e.g. `aws sso login`) and raises the share.",
                to_the_second(*at)
            ),
            Self::OurRuleEdited => f.write_str(
                "Somebody changed our main rule by hand. It is taken away rather than put back; a person raises the share \
                 again.",
            ),
        }
    }
}

/// A time as people read it.
pub(crate) fn to_the_second(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
}

/// The latch of a *harmful* verdict: it survives weight changes and restarts until a person overrules it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Harmful {
    pub at: Timestamp,
    pub sentence: String,
    pub overruled: Option<Overruled>,
    /// When an earlier alarm was overruled: this one rests on what was measured later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overruled {
    pub by: String,
    pub reason: String,
    pub at: Timestamp,
}

/// Who edits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    Person(String),
    /// The verdict's policy.
    Judge,
    /// Fail towards production's own rule.
    Watchdog,
    /// The lifetime ended.
    Deadline,
    /// The loop, following what a person asked for.
    Arya,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person(name) => f.write_str(name),
            Self::Judge => f.write_str("the judge"),
            Self::Watchdog => f.write_str("the watchdog"),
            Self::Deadline => f.write_str("the deadline"),
            Self::Arya => f.write_str("Arya"),
        }
    }
}

/// An edit of the desired state. Slider, judge, deadline, watchdog, CLI: all do this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    SetShare {
        canary_percent: CanaryPercent,
    },
    /// Our main rule goes; instances stay.
    RemoveTraffic {
        reason: HoldReason,
    },
    /// The verdict is *harmful*: latch it, and do what the spec says.
    LatchHarmful {
        sentence: String,
    },
    Overrule {
        reason: String,
    },
    /// Both arms are healthy: the share that a person asked for begins.
    BeginServing,
    /// The cloud said that our main rule was created.
    MainRuleMade {
        priority: u16,
    },
    MainRuleSeen,
    /// The A/A spell is over: the canary's users come, as a person asked.
    EndSpell,
    /// A lost instance is launched anew.
    Replace {
        place: Place,
    },
    /// It cannot go on.
    GiveUp {
        why: String,
    },
    Destroy,
}

/// Why an edit is refused, in words for a person.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refusal {
    #[error("The deployment is being destroyed, which cannot be taken back. Start a new one instead.")]
    Destroying,
    #[error(
        "{sentence} Traffic can be raised only after a person overrules it with a reason; the \
         share was left as it is."
    )]
    Harmful { sentence: String },
    #[error("The deployment failed ({why}) and cannot take traffic. Destroy it, and start a new one.")]
    Failed { why: String },
    #[error("There is no harmful verdict to overrule; nothing was changed.")]
    NothingToOverrule,
    #[error("An override needs a reason of 3 to 500 characters; nothing was changed.")]
    ReasonMissing,
    #[error(
        "A share of 50 % leaves production nothing of the matching traffic, and the plan did not accept that. Nothing \
         was changed; choose less, or deploy with `production_zero` acknowledged."
    )]
    ProductionZero,
    #[error("{0}. The share was left as it is.")]
    Share(#[from] crate::listener::shares::ShareError),
}

/// What accepts 50 %.
pub const ACKNOWLEDGE_PRODUCTION_ZERO: &str = "production_zero";

impl Desired {
    /// A deployment as it is first stored: to be built, and to serve the spec's share once both arms are healthy.
    pub fn begun(
        id: DeploymentId,
        installation: InstallationId,
        spec: Spec,
        placement: Placement,
        at: Timestamp,
    ) -> Self {
        let lifetime = jiff::SignedDuration::from_secs_f64(spec.lifetime_h.clamp(0.0, 1e4) * 3600.0);
        Self {
            id,
            installation,
            generation: 1,
            goal: Goal::Serve {
                canary: spec.canary_percent,
            },
            spell: Spell::of(&spec),
            spec,
            placement,
            main_rule: MainRule::NotYet,
            share_seen: None,
            incarnations: vec![],
            hold: None,
            harmful: None,
            failed: None,
            created_at: at,
            expires_at: at.checked_add(lifetime).unwrap_or(Timestamp::MAX),
        }
    }

    /// Applies an edit. Returns whether anything changed; the caller stores it with its event before any effect.
    pub fn apply(&mut self, change: &Change, by: &Actor, at: Timestamp) -> Result<bool, Refusal> {
        if self.goal == Goal::Absent {
            return if *change == Change::Destroy {
                Ok(false)
            } else {
                Err(Refusal::Destroying)
            };
        }
        let before = self.clone();
        match change {
            Change::SetShare { canary_percent } => self.set_share(*canary_percent)?,
            Change::RemoveTraffic { reason } => self.remove_traffic(reason.clone(), at),
            Change::LatchHarmful { sentence } => self.latch(sentence, at),
            Change::Overrule { reason } => self.overrule(reason, by, at)?,
            Change::BeginServing => self.main_rule = MainRule::Wanted,
            Change::MainRuleMade { .. } => {
                if self.main_rule == MainRule::Wanted {
                    self.main_rule = MainRule::Made { since: at };
                }
            }
            Change::MainRuleSeen => {
                self.main_rule = MainRule::Seen;
                self.share_seen = Some(self.share());
                self.spell = self.spell.seen(at);
            }
            Change::EndSpell => {
                if let Spell::Since { .. } = self.spell {
                    self.spell = Spell::Ending;
                    self.share_seen = None;
                }
            }
            Change::Replace { place } => self.replace(*place),
            Change::GiveUp { why } => {
                self.failed.get_or_insert_with(|| why.clone());
                self.goal = Goal::Serve {
                    canary: CanaryPercent::ZERO,
                };
                self.main_rule = MainRule::Away;
            }
            Change::Destroy => self.goal = Goal::Absent,
        }
        let changed = *self != before;
        if changed {
            self.generation += 1;
        }
        Ok(changed)
    }

    fn set_share(&mut self, canary: CanaryPercent) -> Result<(), Refusal> {
        if !canary.is_zero() {
            if let Some(why) = &self.failed {
                return Err(Refusal::Failed { why: why.clone() });
            }
            if let Some(harmful) = self.harmful.as_ref().filter(|_| self.is_harmful())
                && canary > self.share()
            {
                return Err(Refusal::Harmful {
                    sentence: harmful.sentence.clone(),
                });
            }
            if canary == CanaryPercent::MAX
                && !self
                    .spec
                    .acknowledged
                    .iter()
                    .any(|name| name == ACKNOWLEDGE_PRODUCTION_ZERO)
            {
                return Err(Refusal::ProductionZero);
            }
            self.weights_for(canary)?;
            self.hold = None;
            if self.main_rule == MainRule::Away {
                self.main_rule = MainRule::Wanted;
            }
        } else if self.main_rule != MainRule::NotYet {
            self.main_rule = MainRule::Away;
            self.spell = self.spell.interrupted();
        }
        if canary != self.share() {
            self.share_seen = None;
        }
        self.goal = Goal::Serve { canary };
        Ok(())
    }

    fn remove_traffic(&mut self, reason: HoldReason, at: Timestamp) {
        self.goal = Goal::Serve {
            canary: CanaryPercent::ZERO,
        };
        self.share_seen = None;
        self.spell = self.spell.interrupted();
        // Before users ever came, what is missing may still be launched once a person raises the share again.
        if self.main_rule != MainRule::NotYet {
            self.main_rule = MainRule::Away;
        }
        self.hold = Some(Hold { reason, since: at });
    }

    fn latch(&mut self, sentence: &str, at: Timestamp) {
        if self.is_harmful() {
            return;
        }
        self.harmful = Some(Harmful {
            at,
            sentence: sentence.to_owned(),
            overruled: None,
            after: self.judged_from(),
        });
        match self.spec.analysis.on_harmful {
            OnHarmful::Alert => {}
            OnHarmful::RemoveTraffic => self.remove_traffic(HoldReason::Harmful, at),
            OnHarmful::Destroy => self.goal = Goal::Absent,
        }
    }

    fn overrule(&mut self, reason: &str, by: &Actor, at: Timestamp) -> Result<(), Refusal> {
        let reason = reason.trim();
        if !(3..=500).contains(&reason.chars().count()) {
            return Err(Refusal::ReasonMissing);
        }
        match &mut self.harmful {
            Some(harmful) if harmful.overruled.is_none() => {
                harmful.overruled = Some(Overruled {
                    by: by.to_string(),
                    reason: reason.to_owned(),
                    at,
                });
                if self
                    .hold
                    .as_ref()
                    .is_some_and(|hold| hold.reason == HoldReason::Harmful)
                {
                    self.hold = None;
                }
                Ok(())
            }
            Some(_) | None => Err(Refusal::NothingToOverrule),
        }
    }

    fn replace(&mut self, place: Place) {
        let next = self.incarnation(place) + 1;
        self.incarnations.retain(|(p, _)| *p != place);
        self.incarnations.push((place, next));
    }

    /// *Harmful* was said, and nobody overruled it.
    pub fn is_harmful(&self) -> bool {
        self.harmful.as_ref().is_some_and(|harmful| harmful.overruled.is_none())
    }

    /// When a person last overruled an alarm: what was measured before is answered for and counts no more.
    pub fn judged_from(&self) -> Option<Timestamp> {
        #[cfg(feature = "simulation")]
        if crate::planted::is_planted(crate::planted::Bug::TakesOldEvidence) {
            return None;
        }
        let harmful = self.harmful.as_ref()?;
        let overruled_at = harmful.overruled.as_ref().map(|overruled| overruled.at);
        overruled_at.or(harmful.after)
    }

    /// The share that is asked now.
    pub const fn share(&self) -> CanaryPercent {
        match self.goal {
            Goal::Serve { canary } => canary,
            Goal::Absent => CanaryPercent::ZERO,
        }
    }

    /// Whether users should reach our groups.
    pub fn wants_traffic(&self) -> bool {
        !self.share().is_zero() && self.hold.is_none() && self.failed.is_none()
    }

    /// Whether the baseline alone is to have users.
    pub const fn canary_waits(&self) -> bool {
        matches!(self.spell, Spell::Asked | Spell::Since { .. })
    }

    pub fn incarnation(&self, place: Place) -> u32 {
        self.incarnations
            .iter()
            .find(|(p, _)| *p == place)
            .map_or(1, |(_, n)| *n)
    }

    /// Every instance that should stand, the monitor last.
    pub fn places(&self) -> impl Iterator<Item = Place> {
        let per_arm = self.spec.instances.per_arm;
        let arms = Arm::BOTH.into_iter().flat_map(move |arm| arm_places(arm, per_arm));
        arms.chain([Place {
            role: Role::Monitor,
            index: 0,
        }])
    }

    pub fn places_of(&self, arm: Arm) -> impl Iterator<Item = Place> + use<> {
        arm_places(arm, self.spec.instances.per_arm)
    }

    /// The weights of the share that is asked now, and the canary's among them.
    pub(crate) fn weights_now(
        &self,
    ) -> Result<(crate::listener::shares::Weights, u16), crate::listener::shares::ShareError> {
        let production: Vec<u16> = self.placement.production.iter().map(|g| g.weight).collect();
        if self.canary_waits() {
            return Ok((crate::listener::shares::weights_alone(self.share(), &production)?, 0));
        }
        let weights = crate::listener::shares::weights(self.share(), &production)?;
        let canary = weights.arm;
        Ok((weights, canary))
    }

    pub(crate) fn weights_for(
        &self,
        canary: CanaryPercent,
    ) -> Result<crate::listener::shares::Weights, crate::listener::shares::ShareError> {
        let production: Vec<u16> = self.placement.production.iter().map(|g| g.weight).collect();
        crate::listener::shares::weights(canary, &production)
    }
}

fn arm_places(arm: Arm, per_arm: u8) -> impl Iterator<Item = Place> {
    (0..per_arm).map(move |index| Place {
        role: arm.into(),
        index,
    })
}
