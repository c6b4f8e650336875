//! The bounds that every change must pass: which lives are followed, all of them.

use arya_local::world::{FaultKind, Mishap};
use arya_plan::identity::Arm;

use crate::act::{Act, CRASHES, LIES, Person, edits, losses, mishaps};
use crate::explore::{Bound, Slot};
use crate::setting::Setting;

/// Ana destroys here at the latest: the main rule stands since two looks.
const DESTROYED_AT: u16 = 10;
/// Long enough that whatever happened in the ordinary looks has come to rest.
const LATE: u16 = 60;

fn bound(name: &'static str, slots: Vec<Slot>) -> Bound {
    Bound {
        name,
        setting: Setting::Plain,
        destroyed_at: DESTROYED_AT,
        slots,
    }
}

fn destroy() -> Slot {
    Slot::any_time(vec![Act::Person(Person::Destroy)]).within(0..=DESTROYED_AT - 1)
}

fn loss() -> Slot {
    Slot::any_time(losses())
}

fn crash() -> Slot {
    Slot::any_call(&CRASHES)
}

fn lie() -> Slot {
    Slot::any_call(&LIES)
}

fn shares() -> Slot {
    Slot::any_time([0, 1, 25].map(|percent| Act::Person(Person::Share(percent))).to_vec())
}

fn everything_once() -> Vec<Act> {
    edits().into_iter().chain(mishaps()).collect()
}

/// One thing at a time, for the planted bugs as well.
pub(crate) fn small() -> Vec<Bound> {
    let harm = vec![Act::Mishap(Mishap::CanaryTurnsBad)];
    let unfit = vec![Act::Mishap(Mishap::TwinsTurnUnfit)];
    let part = Arm::BOTH.map(|arm| Act::Mishap(Mishap::OneSickens(arm))).to_vec();
    let overrule = || Slot::any_time(vec![Act::Person(Person::Overrule)]);
    vec![
        bound("ordinary", vec![]),
        bound("crash", vec![crash()]),
        bound("lie", vec![lie()]),
        bound("edit", vec![Slot::any_time(edits())]),
        bound("mishap", vec![Slot::any_time(mishaps())]),
        bound("people", vec![shares(), shares()]),
        bound("lie x destroy", vec![destroy(), lie()]),
        bound("mishap x destroy", vec![destroy(), Slot::any_time(mishaps())]),
        bound("deadline", vec![Slot::any_time(vec![Act::Deadline]), crash()]),
        Bound {
            setting: Setting::Judged,
            destroyed_at: 24,
            ..bound("harm", vec![Slot::any_time(harm.clone()), shares()])
        },
        Bound {
            setting: Setting::JudgedAlert,
            destroyed_at: 24,
            ..bound("harm x overrule", vec![Slot::any_time(harm.clone()), overrule()])
        },
        Bound {
            setting: Setting::Beside,
            // Ten minutes of looks after the last thing that happened, and some.
            destroyed_at: 205,
            ..bound(
                "unfit",
                vec![Slot::any_time(unfit).within(6..=9), shares().within(30..=31)],
            )
        },
        Bound {
            setting: Setting::Pairs,
            destroyed_at: 60,
            ..bound(
                "part",
                vec![Slot::any_time(part).within(5..=9), shares().within(10..=12)],
            )
        },
        Bound {
            setting: Setting::Spell,
            destroyed_at: 40,
            ..bound(
                "spell",
                vec![
                    Slot::any_time(harm).within(6..=9),
                    shares().within(7..=12),
                    crash().within(8..=12),
                ],
            )
        },
        Bound {
            destroyed_at: LATE,
            ..bound("rest", vec![Slot::any_time(everything_once()).within(0..=12)])
        },
    ]
}

/// Several at a time: what house rules promise to hold however they meet.
fn together() -> Vec<Bound> {
    let lag = || Slot::any_call(&[FaultKind::Lags]);
    let harm = || Slot::any_time(vec![Act::Mishap(Mishap::CanaryTurnsBad)]);
    let deadline = || Slot::any_time(vec![Act::Deadline]);
    let overrule = || Slot::any_time(vec![Act::Person(Person::Overrule)]);
    vec![
        bound("crash x destroy x loss", vec![destroy(), loss(), crash()]),
        bound("crash x destroy x lie", vec![destroy(), lie(), crash()]),
        bound("lie x loss", vec![loss(), lie()]),
        // All four, around the looks in which users begin to come.
        bound(
            "crash x destroy x loss x lag",
            vec![
                destroy().within(6..=9),
                loss().within(5..=7),
                lag().within(4..=7),
                crash().within(4..=8),
            ],
        ),
        Bound {
            setting: Setting::Judged,
            destroyed_at: 30,
            ..bound(
                "harm x overrule x share",
                vec![
                    harm().within(6..=8),
                    overrule().within(10..=16),
                    shares().within(10..=18),
                ],
            )
        },
        Bound {
            setting: Setting::Judged,
            destroyed_at: 16,
            ..bound(
                "edit x share x harm x deadline",
                vec![
                    harm().within(5..=9),
                    Slot::any_time(edits()).within(7..=10),
                    shares().within(8..=11),
                    deadline().within(10..=12),
                ],
            )
        },
    ]
}

pub(crate) fn all() -> Vec<Bound> {
    small().into_iter().chain(together()).collect()
}

/// Any two things, in every setting; then all four of the rules' own list.
pub(crate) fn deep() -> Vec<Bound> {
    let at_once = || {
        let people = Person::ALL.map(Act::Person).into_iter();
        Slot::any_time(people.chain(everything_once()).chain([Act::Deadline]).collect())
    };
    let in_calls = || Slot::any_call(&FaultKind::ALL);
    let pairs = |setting: Setting| {
        let of = move |name, slots| Bound {
            setting,
            destroyed_at: if setting.is_judged() { 24 } else { DESTROYED_AT },
            ..bound(name, slots)
        };
        [
            of("any call x any call", vec![in_calls(), in_calls()]),
            of("anything x any call", vec![at_once(), in_calls()]),
            of("anything x anything", vec![at_once(), at_once()]),
        ]
    };
    let four = bound("crash x destroy x loss x lie", vec![destroy(), loss(), lie(), crash()]);
    Setting::ALL.into_iter().flat_map(pairs).chain([four]).collect()
}
