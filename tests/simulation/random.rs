//! Long lives by chance: many things happen in each, also to settings that the bounds leave out.

use std::time::{Duration, Instant};

use arya_local::world::FaultKind;

use crate::act::{Act, Happening, Person, Script, edits, mishaps};
use crate::checkers::Violation;
use crate::life::live;
use crate::setting::Setting;

/// The most that happens in one life.
const HAPPENINGS_AT_MOST: u64 = 8;
/// Looks in which it happens, and after which Ana destroys.
const LOOKS: u64 = 40;

/// A sequence of numbers without a pattern that matters here: SplitMix64, by Steele, Lea and Flood (2014).
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    fn one_of<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len() as u64) as usize]
    }
}

/// What lives by chance came to.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    pub(crate) lives: u64,
    pub(crate) looks: u64,
    pub(crate) failure: Option<(Script, Violation)>,
}

/// Lives through lives until the time is over, so many are done, or one fails.
pub(crate) fn run(seed: u64, for_: Duration, lives: u64) -> Runs {
    let begun = Instant::now();
    let mut dice = Dice::new(seed);
    let mut runs = Runs::default();
    while runs.lives < lives && begun.elapsed() < for_ {
        let script = script(&mut dice);
        let (life, lived) = live(&script);
        runs.lives += 1;
        runs.looks += life.looks_made;
        if let Err(violation) = lived {
            runs.failure = Some((script, violation));
            break;
        }
    }
    runs
}

fn script(dice: &mut Dice) -> Script {
    let acts: Vec<Act> = edits().into_iter().chain(mishaps()).collect();
    let happening = |dice: &mut Dice| {
        let act = match dice.roll(8) {
            0..=2 => dice.one_of(&acts),
            3 => Act::Person(dice.one_of(&Person::ALL)),
            4 if dice.roll(8) == 0 => Act::Deadline,
            _ => Act::Call(dice.roll(7) as u16, dice.one_of(&FaultKind::ALL)),
        };
        let look = dice.roll(LOOKS) as u16;
        Happening { look, act }
    };
    let mut happenings: Vec<Happening> = (0..=dice.roll(HAPPENINGS_AT_MOST)).map(|_| happening(dice)).collect();
    happenings.sort_unstable_by_key(|happening| happening.look);
    Script {
        setting: dice.one_of(&Setting::ALL),
        destroyed_at: 6 + dice.roll(LOOKS) as u16,
        happenings,
    }
}
