//! The bounds that every change must pass: which lives are followed, all of them.

use arya_local::world::Mishap;

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
    vec![
        bound("ordinary", vec![]),
        bound("crash", vec![crash()]),
        bound("lie", vec![lie()]),
        bound("edit", vec![Slot::any_time(edits())]),
        bound("mishap", vec![Slot::any_time(mishaps())]),
        bound("people", vec![shares(), shares()]),
        bound("lie x destroy", vec![destroy(), lie()]),
        bound("deadline", vec![Slot::any_time(vec![Act::Deadline]), crash()]),
        Bound {
            setting: Setting::Judged,
            destroyed_at: 24,
            ..bound("harm", vec![Slot::any_time(harm), shares()])
        },
        Bound {
            destroyed_at: LATE,
            ..bound("rest", vec![Slot::any_time(everything_once()).within(0..=12)])
        },
    ]
}

/// Several at a time: what house rules promise to hold however they meet.
fn together() -> Vec<Bound> {
    vec![
        bound("crash x destroy x loss", vec![destroy(), loss(), crash()]),
        bound("crash x destroy x lie", vec![destroy(), lie(), crash()]),
        bound("lie x loss", vec![loss(), lie()]),
    ]
}

pub(crate) fn all() -> Vec<Bound> {
    small().into_iter().chain(together()).collect()
}
