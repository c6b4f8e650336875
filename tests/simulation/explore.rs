//! Follows every life within a bound: depth first, and lives that begin alike share their beginning.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use arya_local::world::{FaultKind, Happened};

use crate::act::{Act, Happening, Script, is_a_case};
use crate::checkers::Violation;
use crate::life::{Life, Saved};
use crate::setting::Setting;

/// Something that may happen once in a life, at any look of a span.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    pub(crate) what: What,
    pub(crate) looks: std::ops::RangeInclusive<u16>,
}

#[derive(Debug, Clone)]
pub(crate) enum What {
    /// One of these, before a look.
    Before(Vec<Act>),
    /// One of these, in any call of a look.
    InCalls(Vec<FaultKind>),
}

impl Slot {
    /// One of these, before any look.
    pub(crate) fn any_time(acts: Vec<Act>) -> Self {
        Self {
            what: What::Before(acts),
            looks: 0..=u16::MAX,
        }
    }

    /// One of these, in any call of any look.
    pub(crate) fn any_call(kinds: &[FaultKind]) -> Self {
        Self {
            what: What::InCalls(kinds.to_vec()),
            looks: 0..=u16::MAX,
        }
    }

    #[must_use]
    pub(crate) fn within(self, looks: std::ops::RangeInclusive<u16>) -> Self {
        Self { looks, ..self }
    }
}

/// A set of lives: all in which each slot happens at most once.
#[derive(Debug, Clone)]
pub(crate) struct Bound {
    pub(crate) name: &'static str,
    pub(crate) setting: Setting,
    /// The look before which Ana destroys, if she has not by then.
    pub(crate) destroyed_at: u16,
    pub(crate) slots: Vec<Slot>,
}

/// What following a bound came to.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Lives that differ from each other in what happened in them, each followed to its end.
    pub(crate) cases: u64,
    pub(crate) looks: u64,
    /// The first failures, each with the number of cases that went before it on its thread.
    pub(crate) failures: Vec<Failure>,
}

/// A life in which a promise was broken.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) script: Script,
    pub(crate) violation: Violation,
    pub(crate) after_cases: u64,
}

/// So many failures end a search: one bug shows in thousands of lives.
const FAILURES_AT_MOST: usize = 2;

/// Which branches of the lives' common beginning are taken already, so that threads share a bound.
type Claims = AtomicUsize;

/// Follows all lives of a bound on some threads.
pub(crate) fn explore(bound: &Bound, threads: usize) -> Found {
    explore_with(bound, threads, || {})
}

/// The same, with something done on each thread first.
pub(crate) fn explore_with(bound: &Bound, threads: usize, prepare: impl Fn() + Sync) -> Found {
    let claims = Claims::new(0);
    let follow = || {
        prepare();
        let mut explorer = Explorer::new(bound, &claims);
        explorer.before_a_look(0, 0);
        explorer.found.looks = explorer.life.looks_made;
        explorer.found
    };
    let found = thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(follow)).collect();
        running
            .into_iter()
            .map(|thread| thread.join().expect("violations are caught"))
            .collect::<Vec<_>>()
    });
    found.into_iter().fold(Found::default(), |mut sum, one| {
        sum.cases += one.cases;
        sum.looks += one.looks;
        sum.failures.extend(one.failures);
        sum
    })
}

struct Explorer<'b> {
    bound: &'b Bound,
    claims: &'b Claims,
    life: Life,
    happenings: Vec<Happening>,
    /// Branches met so far on the way on which nothing has happened yet.
    branches: usize,
    found: Found,
}

impl<'b> Explorer<'b> {
    fn new(bound: &'b Bound, claims: &'b Claims) -> Self {
        Self {
            bound,
            claims,
            life: Life::new(bound.setting, bound.destroyed_at),
            happenings: Vec::new(),
            branches: 0,
            found: Found::default(),
        }
    }

    fn has_enough(&self) -> bool {
        self.found.failures.len() >= FAILURES_AT_MOST
    }

    /// Slots that are open now or later, from one on; `used` has a bit for each that happened.
    fn open_slots(&self, used: u32, from: usize) -> impl Iterator<Item = (usize, &'b Slot)> + use<'b> {
        let look = self.life.now.look;
        let slots = self.bound.slots.iter().enumerate().skip(from);
        slots.filter(move |(at, slot)| used & (1 << at) == 0 && *slot.looks.end() >= look)
    }

    /// At the beginning of a look: every choice of what happens before it, and then every choice of what happens in it.
    fn before_a_look(&mut self, used: u32, from: usize) {
        if self.has_enough() {
            return;
        }
        if from == 0 {
            self.life.begin_look();
        }
        if self.open_slots(used, 0).next().is_none() {
            self.live_to_the_end();
            return;
        }
        let here = self.life.save();
        let look = self.life.now.look;
        for (at, slot) in self.open_slots(used, from) {
            let What::Before(acts) = &slot.what else { continue };
            if !slot.looks.contains(&look) {
                continue;
            }
            for act in acts {
                if !self.is_mine() {
                    continue;
                }
                self.life.restore(&here);
                if self.life.happen(*act) == Happened::Yes {
                    self.happenings.push(Happening { look, act: *act });
                    self.before_a_look(used | 1 << at, at + 1);
                    self.happenings.pop();
                }
            }
        }
        self.look(&here, used, 0);
    }

    /// One look from a saved moment with the faults that are chosen for it so far, and then every further one.
    fn look(&mut self, here: &Saved, used: u32, from: usize) {
        self.life.restore(here);
        let look = self.life.now.look;
        let faults = self
            .happenings
            .iter()
            .filter(|h| h.look == look && matches!(h.act, Act::Call(..)));
        for fault in faults {
            let _ = self.life.happen(fault.act);
        }
        if let Err(violation) = self.life.look() {
            self.fail(violation);
            return;
        }
        // A fault that no call met is no other life.
        if !self.life.world.faults_left().is_empty() {
            return;
        }
        let calls = self.life.calls.clone();
        if self.life.now.ended {
            self.found.cases += u64::from(self.is_mine());
        } else {
            self.before_a_look(used, 0);
        }
        for (at, slot) in self.open_slots_at(look, used, from) {
            let What::InCalls(kinds) = &slot.what else { continue };
            for nth in 0..calls.len() {
                for kind in kinds.iter().filter(|kind| is_a_case(**kind, &calls, nth)) {
                    if self.is_mine() {
                        let act = Act::Call(nth as u16, *kind);
                        self.happenings.push(Happening { look, act });
                        self.look(here, used | 1 << at, at + 1);
                        self.happenings.pop();
                    }
                }
            }
        }
    }

    fn open_slots_at(&self, look: u16, used: u32, from: usize) -> impl Iterator<Item = (usize, &'b Slot)> + use<'b> {
        let slots = self.bound.slots.iter().enumerate().skip(from);
        slots.filter(move |(at, slot)| used & (1 << at) == 0 && slot.looks.contains(&look))
    }

    /// Whether this thread follows the branch that begins here, or counts the life that ends here. Only first happenings
    /// are shared out; what follows one belongs to whoever has it.
    fn is_mine(&mut self) -> bool {
        if !self.happenings.is_empty() {
            return true;
        }
        let branch = self.branches;
        self.branches += 1;
        self.claims
            .compare_exchange(branch, branch + 1, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }

    fn live_to_the_end(&mut self) {
        match self.life.run_to_the_end() {
            Ok(()) => self.found.cases += u64::from(self.is_mine()),
            Err(violation) => self.fail(violation),
        }
    }

    fn fail(&mut self, violation: Violation) {
        let script = Script {
            setting: self.bound.setting,
            destroyed_at: self.bound.destroyed_at,
            happenings: self.happenings.clone(),
        };
        self.found.failures.push(Failure {
            script,
            violation,
            after_cases: self.found.cases,
        });
    }
}
