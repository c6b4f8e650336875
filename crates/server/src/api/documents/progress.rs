//! How far a deployment has come: the rail of phases and the checklist, both derived from what is seen.

use arya_plan::desired::{Desired, Goal};
use arya_plan::identity::{Arm, Role, RuleKind};
use arya_plan::observed::{BootPhase, Instance, Observed};
use arya_plan::phase::{Phase, Users};
use arya_plan::{arms_healthy, files_there};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    Done,
    Now,
    ToDo,
    /// It was left out: what is removed before it served never serves.
    Skipped,
}

/// One stop of the rail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RailDocument {
    pub(crate) phase: Phase,
    pub(crate) word: String,
    pub(crate) state: State,
}

/// One line of the checklist.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct CheckDocument {
    pub(crate) what: String,
    pub(crate) state: State,
}

/// The phase as a person says it.
pub(crate) const fn phase_word(phase: Phase) -> &'static str {
    match phase {
        Phase::Uploading => "uploading",
        Phase::Provisioning => "provisioning",
        Phase::WarmingUp => "warming up",
        Phase::Serving => "serving",
        Phase::Held => "held",
        Phase::Draining => "draining",
        Phase::Destroying => "destroying",
        Phase::Destroyed => "destroyed",
        Phase::Failed => "failed",
    }
}

const UP: [Phase; 4] = [Phase::Uploading, Phase::Provisioning, Phase::WarmingUp, Phase::Serving];
const DOWN: [Phase; 3] = [Phase::Draining, Phase::Destroying, Phase::Destroyed];

/// The way up, then the way down; *held* takes the place of *serving*, *failed* that of the whole way up.
pub(super) fn rail(phase: Phase, users: Users) -> Vec<RailDocument> {
    let mut stops: Vec<Phase> = UP.to_vec();
    match phase {
        Phase::Held => {
            stops.pop();
            stops.push(phase);
        }
        // How far it came on the way up, the checklist says.
        Phase::Failed => stops = vec![phase],
        // How far it came before, the feed says.
        Phase::Draining | Phase::Destroying | Phase::Destroyed => match users {
            Users::Came => {}
            Users::NobodyCame => stops = vec![Phase::Serving],
            Users::NotKnown => stops.clear(),
        },
        Phase::Uploading | Phase::Provisioning | Phase::WarmingUp | Phase::Serving => {}
    }
    stops.extend(DOWN);
    let now = stops.iter().position(|stop| *stop == phase).unwrap_or_default();
    let finished = phase == Phase::Destroyed;
    let skipped = stops.first() == Some(&Phase::Serving);
    let state = |index: usize| match index.cmp(&now) {
        std::cmp::Ordering::Less if skipped && index == 0 => State::Skipped,
        std::cmp::Ordering::Less => State::Done,
        std::cmp::Ordering::Equal if finished => State::Done,
        std::cmp::Ordering::Equal => State::Now,
        std::cmp::Ordering::Greater => State::ToDo,
    };
    let stop = |(index, phase): (usize, &Phase)| RailDocument {
        phase: *phase,
        word: phase_word(*phase).into(),
        state: state(index),
    };
    stops.iter().enumerate().map(stop).collect()
}

/// What stands, or once it goes, what is gone. The first line that is not done is the one being worked on.
pub(crate) fn checklist(desired: &Desired, observed: Option<&Observed>, phase: Phase) -> Vec<CheckDocument> {
    let facts = match (desired.goal, observed) {
        (Goal::Serve { .. }, Some(observed)) => standing(desired, observed),
        (Goal::Serve { .. }, None) => Vec::new(),
        (Goal::Absent, observed) => gone(desired, observed, phase),
    };
    let mut open_seen = false;
    let mut line = |(what, done): (String, bool)| {
        let state = match (done, open_seen) {
            (true, _) => State::Done,
            (false, false) => State::Now,
            (false, true) => State::ToDo,
        };
        open_seen |= !done;
        CheckDocument { what, state }
    };
    facts.into_iter().map(&mut line).collect()
}

fn standing(desired: &Desired, observed: &Observed) -> Vec<(String, bool)> {
    let mut facts = vec![
        ("Temporary bucket created".into(), observed.bucket),
        ("Files uploaded".into(), files_there(desired, observed)),
        ("Target groups created".into(), observed.groups.len() == Arm::BOTH.len()),
    ];
    for place in desired.places() {
        let filling = observed.instance(place, desired.incarnation(place));
        facts.push((
            format!("The {place} is ready"),
            filling.is_some_and(|instance| ready(instance, place.role)),
        ));
    }
    facts.push((
        "Probe rule created".into(),
        observed.our_rule(&desired.id, RuleKind::Probe).is_some(),
    ));
    facts.push((
        "Both arms healthy at the load balancer".into(),
        arms_healthy(desired, observed),
    ));
    facts.push((
        "Main rule created".into(),
        observed.our_rule(&desired.id, RuleKind::Main).is_some(),
    ));
    facts
}

fn ready(instance: &Instance, role: Role) -> bool {
    match role {
        Role::Baseline | Role::Canary => instance.phase() == Some(BootPhase::Ready),
        Role::Monitor => !instance.state.is_ending(),
    }
}

fn gone(desired: &Desired, observed: Option<&Observed>, phase: Phase) -> Vec<(String, bool)> {
    let destroyed = phase == Phase::Destroyed;
    let seen = |fact: &dyn Fn(&Observed) -> bool| destroyed || observed.is_some_and(fact);
    let no_rule = |kind| move |o: &Observed| o.our_rule(&desired.id, kind).is_none();
    let no_targets = |o: &Observed| o.groups.values().all(|group| group.targets.is_empty());
    let ended = |o: &Observed| {
        o.instances
            .iter()
            .all(|i| i.state == arya_plan::observed::InstanceState::Terminated)
    };
    vec![
        ("Main rule removed".into(), seen(&no_rule(RuleKind::Main))),
        ("Probe rule removed".into(), seen(&no_rule(RuleKind::Probe))),
        ("Requests finished, targets taken out".into(), seen(&no_targets)),
        ("Instances ended".into(), seen(&ended)),
        ("Target groups deleted".into(), seen(&|o| o.groups.is_empty())),
        (
            "Security groups deleted".into(),
            seen(&|o| o.security_groups.is_empty()),
        ),
        ("Temporary bucket deleted".into(), seen(&|o| !o.bucket)),
        ("Restore proof written".into(), destroyed),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(phase: Phase, expected: &str) {
        check_users(phase, Users::Came, expected);
    }

    fn check_users(phase: Phase, users: Users, expected: &str) {
        let mark = |stop: &RailDocument| match stop.state {
            State::Done => format!("{}+", stop.word),
            State::Now => format!("{}*", stop.word),
            State::ToDo => stop.word.clone(),
            State::Skipped => format!("{}-", stop.word),
        };
        let rail = rail(phase, users).iter().map(mark).collect::<Vec<_>>().join(" ");
        assert_eq!(rail, expected);
    }

    #[test]
    fn a_serving_deployment_stands_at_serving() {
        check(
            Phase::Serving,
            "uploading+ provisioning+ warming up+ serving* draining destroying destroyed",
        );
    }

    #[test]
    fn held_takes_the_place_of_serving() {
        check(
            Phase::Held,
            "uploading+ provisioning+ warming up+ held* draining destroying destroyed",
        );
    }

    #[test]
    fn what_failed_claims_no_step_that_it_did_not_reach() {
        check(Phase::Failed, "failed* draining destroying destroyed");
    }

    #[test]
    fn what_was_destroyed_before_users_came_does_not_claim_that_it_served() {
        for (phase, expected) in [
            (Phase::Draining, "serving- draining* destroying destroyed"),
            (Phase::Destroyed, "serving- draining+ destroying+ destroyed+"),
            (
                Phase::Provisioning,
                "uploading+ provisioning* warming up serving draining destroying destroyed",
            ),
        ] {
            check_users(phase, Users::NobodyCame, expected);
        }
    }

    #[test]
    fn where_it_is_not_known_whether_users_came_nothing_is_claimed() {
        for (phase, expected) in [
            (Phase::Draining, "draining* destroying destroyed"),
            (Phase::Destroyed, "draining+ destroying+ destroyed+"),
        ] {
            check_users(phase, Users::NotKnown, expected);
        }
    }

    #[test]
    fn a_destroyed_deployment_has_everything_behind_it() {
        check(
            Phase::Destroyed,
            "uploading+ provisioning+ warming up+ serving+ draining+ destroying+ destroyed+",
        );
    }
}
