//! From a life that breaks a promise to the smallest one that breaks the same.

use crate::act::{Happening, Script};
use crate::checkers::Violation;
use crate::life::live;

/// The smallest script found that still fails the same checker, its failure, and its feed.
pub(crate) fn shrink(script: &Script, violation: &Violation) -> (Script, Violation, Vec<String>) {
    let mut smallest = script.clone();
    loop {
        let smaller = smaller(&smallest).find(|smaller| fails_alike(smaller, violation));
        match smaller {
            Some(smaller) => smallest = smaller,
            None => break,
        }
    }
    let (life, lived) = live(&smallest);
    match lived {
        Err(found) => (smallest, found, life.feed()),
        // It was found with more than a script says, which is news of its own.
        Ok(()) => (smallest, violation.clone(), life.feed()),
    }
}

fn fails_alike(script: &Script, violation: &Violation) -> bool {
    matches!(live(script).1, Err(found) if found.checker == violation.checker)
}

/// Scripts with one happening less, or with one that happens earlier, or that end earlier.
fn smaller(script: &Script) -> impl Iterator<Item = Script> {
    let with = |happenings: Vec<Happening>| Script {
        happenings,
        ..script.clone()
    };
    let without = (0..script.happenings.len()).map(move |at| {
        let mut fewer = script.happenings.clone();
        fewer.remove(at);
        with(fewer)
    });
    let earlier = (0..script.happenings.len()).filter_map(move |at| {
        let mut moved = script.happenings.clone();
        moved[at].look = moved[at].look.checked_sub(1)?;
        Some(with(moved))
    });
    let ends_earlier = script.destroyed_at.checked_sub(1).map(|destroyed_at| Script {
        destroyed_at,
        ..script.clone()
    });
    without.chain(ends_earlier).chain(earlier)
}
