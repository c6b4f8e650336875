//! What can happen in a life besides its ordinary course, and how a whole life is written in one line.

use std::fmt;
use std::str::FromStr;

use arya_local::world::{CallKind, Edit, FaultKind, Mishap};

use crate::setting::Setting;

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Act {
    /// Ana asks Arya for something.
    Person(Person),
    /// Somebody edits the cloud by hand.
    Edit(Edit),
    /// Something breaks by itself.
    Mishap(Mishap),
    /// The n-th call of the look (0 = the look itself) goes wrong.
    Call(u16, FaultKind),
    /// The deployment's lifetime ends.
    Deadline,
}

/// What a person asks Arya for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Person {
    Destroy,
    /// A canary share in percent.
    Share(u8),
    Overrule,
}

impl Person {
    pub(crate) const ALL: [Self; 6] = [
        Self::Destroy,
        Self::Share(0),
        Self::Share(1),
        Self::Share(10),
        Self::Share(25),
        Self::Overrule,
    ];
}

/// The losses that a deployment must survive: each of its resources, taken away by hand.
pub(crate) fn losses() -> Vec<Act> {
    let takes_away = |edit: &Edit| match edit {
        Edit::DeleteOurRule(_)
        | Edit::TerminateOurs(_)
        | Edit::DeregisterOurs(_)
        | Edit::DeleteOurGroup(_)
        | Edit::DeleteOurSecurityGroup(_)
        | Edit::EmptyBucket
        | Edit::DeleteBucket => true,
        Edit::ReweighOurRule
        | Edit::EmptyOurRule
        | Edit::MoveOurRule(_)
        | Edit::NarrowOurRule
        | Edit::ReweighChosen
        | Edit::SwapProduction
        | Edit::MoveChosen
        | Edit::DeleteChosen
        | Edit::AddRuleBefore
        | Edit::AddOtherRule
        | Edit::TakeOurPriority(_)
        | Edit::DeleteListener
        | Edit::ScaleProduction => false,
    };
    Edit::ALL.into_iter().filter(takes_away).map(Act::Edit).collect()
}

/// Everything that people do to the cloud by hand.
pub(crate) fn edits() -> Vec<Act> {
    Edit::ALL.into_iter().map(Act::Edit).collect()
}

/// Everything that breaks, or is well again, by itself.
pub(crate) fn mishaps() -> Vec<Act> {
    Mishap::ALL.into_iter().map(Act::Mishap).collect()
}

/// Ways in which a call goes wrong while the asking process lives.
pub(crate) const LIES: [FaultKind; 8] = [
    FaultKind::Throttled,
    FaultKind::Refused,
    FaultKind::LostBefore,
    FaultKind::LostAfter,
    FaultKind::HangsBefore,
    FaultKind::HangsAfter,
    FaultKind::Lags,
    FaultKind::OtherParameters,
];

/// The process dies around a call.
pub(crate) const CRASHES: [FaultKind; 2] = [FaultKind::DiesBefore, FaultKind::DiesAfter];

/// Whether such a fault makes a life that no other fault of the same look makes: dying before a call is dying after the
/// one before it, but for the first call and the first with an effect.
pub(crate) fn is_a_case(kind: FaultKind, calls: &[CallKind], nth: usize) -> bool {
    let fits = calls.get(nth).is_some_and(|call| kind.fits(*call));
    let first_step = || nth == 0 || !calls[nth - 1].is_step();
    fits && (kind != FaultKind::DiesBefore || first_step())
}

/// Something, and before which look it happens (in it, for calls).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Happening {
    pub(crate) look: u16,
    pub(crate) act: Act,
}

/// A life: where it begins, when Ana destroys at the latest, and all that happens besides.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Script {
    pub(crate) setting: Setting,
    pub(crate) destroyed_at: u16,
    pub(crate) happenings: Vec<Happening>,
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let debug = format!("{self:?}");
        f.write_str(&debug.replace(' ', ""))
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.setting, self.destroyed_at)?;
        self.happenings
            .iter()
            .try_for_each(|happening| write!(f, " {}:{}", happening.look, happening.act))
    }
}

/// The part of a text that is no script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NoScript(pub(crate) String);

impl FromStr for Act {
    type Err = NoScript;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(call) = text.strip_prefix("Call(").and_then(|rest| rest.strip_suffix(')')) {
            let (nth, kind) = call.split_once(',').ok_or_else(|| NoScript(text.into()))?;
            let nth = nth.parse().map_err(|_| NoScript(text.into()))?;
            let kind = FaultKind::ALL.into_iter().find(|known| format!("{known:?}") == kind);
            return kind
                .map(|kind| Self::Call(nth, kind))
                .ok_or_else(|| NoScript(text.into()));
        }
        let people = Person::ALL.map(Self::Person);
        let mut known = people
            .into_iter()
            .chain(edits())
            .chain(mishaps())
            .chain([Self::Deadline]);
        known
            .find(|act| act.to_string() == text)
            .ok_or_else(|| NoScript(text.into()))
    }
}

impl FromStr for Script {
    type Err = NoScript;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut words = text.split_whitespace();
        let mut next = || words.next().ok_or_else(|| NoScript(text.into()));
        let setting = next()?;
        let setting = Setting::ALL
            .into_iter()
            .find(|known| format!("{known:?}") == setting)
            .ok_or_else(|| NoScript(setting.into()))?;
        let destroyed_at = next()?.parse().map_err(|_| NoScript(text.into()))?;
        let happening = |word: &str| {
            let (look, act) = word.split_once(':').ok_or_else(|| NoScript(word.into()))?;
            let look = look.parse().map_err(|_| NoScript(word.into()))?;
            Ok(Happening {
                look,
                act: act.parse()?,
            })
        };
        Ok(Self {
            setting,
            destroyed_at,
            happenings: words.map(happening).collect::<Result<_, _>>()?,
        })
    }
}

#[test]
fn a_script_survives_its_line() {
    let acts = Person::ALL.map(Act::Person).into_iter().chain(edits()).chain(mishaps());
    let calls = FaultKind::ALL.map(|kind| Act::Call(7, kind));
    let happenings = acts.chain(calls).chain([Act::Deadline]).enumerate();
    let happening = |(look, act)| Happening { look: look as u16, act };
    let script = Script {
        setting: Setting::SlowHealth,
        destroyed_at: 12,
        happenings: happenings.map(happening).collect(),
    };
    assert_eq!(script.to_string().parse::<Script>().unwrap(), script);
}
