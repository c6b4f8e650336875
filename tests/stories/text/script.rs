//! The language of the scripts: one line, one act.

use std::time::Duration;

use arya_judge::Outcome;
use arya_local::world::{CallKind, FaultKind};
use arya_plan::desired::Change;
use arya_plan::listener::shares::CanaryPercent;
use arya_plan::phase::Phase;

use crate::acts::{self, Act};
use crate::variations::Variation;

/// One line of a script.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    pub(crate) words: String,
    pub(crate) what: What,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum What {
    /// The cloud is as quick as that of `arya try`, and looked at as often.
    Quick,
    Start(Start),
    /// A person asks for a change of a deployment.
    Ask {
        who: String,
        name: String,
        change: Change,
    },
    /// Looks until the deployment is there, or for so long.
    Wait {
        name: String,
        until: Phase,
    },
    Pass(Duration),
    /// Something happens to the cloud; `of` = to whose part of it, if not to the first deployment's.
    Happen {
        act: Act,
        of: Option<String>,
    },
    /// The next call of its kind goes wrong.
    Call(CallKind, FaultKind),
    ServerStops,
    ServerStarts,
    Then {
        check: Check,
        of: Option<String>,
    },
    /// The whole script is lived again in many ways.
    Same(Variation),
}

/// `ana starts NAME at N %`, and what may follow.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Start {
    pub(crate) who: String,
    pub(crate) name: String,
    pub(crate) share: CanaryPercent,
    /// `in front of RULE`.
    pub(crate) chosen: String,
    /// `for N h`.
    pub(crate) lifetime_h: u32,
    /// `harm only alerts`, `harm destroys`.
    pub(crate) on_harmful: &'static str,
    /// `with N instances an arm`.
    pub(crate) per_arm: u8,
    /// `after N min of the baseline alone`.
    pub(crate) spell_min: u32,
}

/// What a line that begins with `then` claims.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Check {
    /// Where users go, in percent.
    Users(Vec<(Receiver, f64)>),
    /// Our main rule stands, or does not.
    MainRule(Stands),
    /// The page says it of what is waited for.
    Page(String),
    Phase(Phase),
    /// How often our main rule came to be.
    MainRulesMade(usize),
    /// Planned again, there are no steps.
    Quiet,
    /// What the verdict says now; `None` = nothing is said.
    Verdict(Option<Outcome>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stands {
    Yes,
    No,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Receiver {
    Production,
    Baseline,
    Canary,
    /// A rule that answers by itself.
    Rule,
    Nobody,
}

impl Receiver {
    pub(crate) const ALL: [(&str, Self); 5] = [
        ("production", Self::Production),
        ("baseline", Self::Baseline),
        ("canary", Self::Canary),
        ("a rule's own answer", Self::Rule),
        ("nobody", Self::Nobody),
    ];
}

/// Reads a line; the error says which words are none of the language.
pub(crate) fn line(words: &str) -> Result<Line, String> {
    let what = what(words).ok_or_else(|| format!("no such line: `{words}`"))?;
    Ok(Line {
        words: words.to_owned(),
        what,
    })
}

fn what(words: &str) -> Option<What> {
    match words {
        "the cloud is quick" => return Some(What::Quick),
        "the server stops" => return Some(What::ServerStops),
        "a new server starts" => return Some(What::ServerStarts),
        _ => {}
    }
    if let Some(rest) = words.strip_prefix("wait until ") {
        return wait(rest);
    }
    if let Some(rest) = words.strip_prefix("then ") {
        let (claim, of) = whose(rest);
        return check(claim).map(|check| What::Then { check, of });
    }
    if let Some(time) = words.strip_suffix(" pass") {
        return duration(time).map(What::Pass);
    }
    if let Some(rest) = words.strip_prefix("and the end is the same ") {
        return Variation::of(rest).map(What::Same);
    }
    if let Some((call, kind)) = acts::call(words) {
        return Some(What::Call(call, kind));
    }
    let (act, of) = whose(words);
    let happen = acts::act(act).map(|act| What::Happen { act, of });
    happen.or_else(|| person(words))
}

/// Words may end with the deployment that they are about: `… (images-next)`.
fn whose(words: &str) -> (&str, Option<String>) {
    let named = words.strip_suffix(')').and_then(|words| words.rsplit_once(" ("));
    named.map_or((words, None), |(words, name)| (words, Some(name.to_owned())))
}

fn person(words: &str) -> Option<What> {
    let (who, rest) = words.split_once(' ')?;
    let (verb, rest) = rest.split_once(' ')?;
    if verb == "starts" {
        return start(who, rest).map(What::Start);
    }
    let (name, change) = match verb {
        "sets" => {
            let (name, share) = rest.split_once(" to ")?;
            let canary_percent = percent(share)?;
            (name, Change::SetShare { canary_percent })
        }
        "overrules" => {
            let (name, reason) = rest.split_once(": ")?;
            let reason = reason.to_owned();
            (name, Change::Overrule { reason })
        }
        "destroys" => (rest, Change::Destroy),
        _ => return None,
    };
    let what = What::Ask {
        who: capitalised(who),
        name: is_name(name)?.to_owned(),
        change,
    };
    Some(what)
}

fn start(who: &str, rest: &str) -> Option<Start> {
    let mut parts = rest.split(", ");
    let (name, share) = parts.next()?.split_once(" at ")?;
    let mut start = Start {
        who: capitalised(who),
        name: is_name(name)?.to_owned(),
        share: percent(share)?,
        chosen: "default".into(),
        lifetime_h: 4,
        on_harmful: "remove_traffic",
        per_arm: 1,
        spell_min: 0,
    };
    for part in parts {
        if let Some(rule) = part.strip_prefix("in front of ") {
            start.chosen = rule.to_owned();
        } else if let Some(hours) = part.strip_prefix("for ") {
            start.lifetime_h = hours.strip_suffix(" h")?.parse().ok()?;
        } else if let Some(minutes) = part.strip_prefix("after ") {
            start.spell_min = minutes.strip_suffix(" min of the baseline alone")?.parse().ok()?;
        } else if let Some(number) = part.strip_prefix("with ") {
            start.per_arm = number.strip_suffix(" instances an arm")?.parse().ok()?;
        } else {
            start.on_harmful = match part {
                "harm only alerts" => "alert",
                "harm destroys" => "destroy",
                _ => return None,
            };
        }
    }
    Some(start)
}

fn wait(rest: &str) -> Option<What> {
    let (name, until) = rest.split_once(" is ")?;
    Some(What::Wait {
        name: is_name(name)?.to_owned(),
        until: phase(until)?,
    })
}

fn check(claim: &str) -> Option<Check> {
    if let Some(parts) = claim.strip_prefix("users reach ") {
        let part = |part: &str| {
            let (receiver, share) = Receiver::ALL
                .iter()
                .find_map(|(word, receiver)| Some((*receiver, part.strip_prefix(word)?)))?;
            Some((receiver, share.trim().strip_suffix(" %")?.parse().ok()?))
        };
        return parts.split(", ").map(part).collect::<Option<_>>().map(Check::Users);
    }
    if let Some(sentence) = claim.strip_prefix("the page says: ") {
        return Some(Check::Page(sentence.to_owned()));
    }
    if let Some(phase_name) = claim.strip_prefix("the phase is ") {
        return phase(phase_name).map(Check::Phase);
    }
    if let Some(number) = claim.strip_prefix("main rules made so far: ") {
        return number.parse().ok().map(Check::MainRulesMade);
    }
    match claim {
        "the main rule stands" => Some(Check::MainRule(Stands::Yes)),
        "nothing more is to be done" => Some(Check::Quiet),
        "no verdict is shown" => Some(Check::Verdict(None)),
        "the verdict is no worse" => Some(Check::Verdict(Some(Outcome::NoWorse))),
        "the verdict is harmful" => Some(Check::Verdict(Some(Outcome::Harmful))),
        "the verdict is not enough evidence yet" => Some(Check::Verdict(Some(Outcome::Inconclusive))),
        "no main rule stands" => Some(Check::MainRule(Stands::No)),
        _ => None,
    }
}

fn phase(word: &str) -> Option<Phase> {
    Phase::ALL
        .into_iter()
        .find(|phase| phase.as_str().replace('_', " ") == word)
}

fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_once(' ')?;
    let seconds = match unit {
        "s" => 1,
        "min" => 60,
        "h" => 3600,
        _ => return None,
    };
    number.parse::<u64>().ok().map(|n| Duration::from_secs(n * seconds))
}

fn percent(text: &str) -> Option<CanaryPercent> {
    CanaryPercent::new(text.strip_suffix(" %")?.parse().ok()?).ok()
}

fn is_name(text: &str) -> Option<&str> {
    (!text.is_empty() && !text.contains(' ')).then_some(text)
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[test]
fn a_line_is_read_as_it_is_meant() {
    let check = |words: &str, expected: What| assert_eq!(line(words).unwrap().what, expected);
    let (who, name) = ("Ana".to_owned(), "emr-next".to_owned());
    check(
        "ana destroys emr-next",
        What::Ask {
            who,
            name: name.clone(),
            change: Change::Destroy,
        },
    );
    check(
        "wait until emr-next is warming up",
        What::Wait {
            name,
            until: Phase::WarmingUp,
        },
    );
    check("2 min pass", What::Pass(Duration::from_secs(120)));
    check(
        "then users reach production 90 %, canary 10 % (images-next)",
        What::Then {
            check: Check::Users(vec![(Receiver::Production, 90.0), (Receiver::Canary, 10.0)]),
            of: Some("images-next".into()),
        },
    );
}

#[test]
fn a_line_of_another_language_is_named() {
    for words in [
        "ana sings",
        "wait until emr-next is fine",
        "ana starts emr-next at 51 %",
        "then all is well",
    ] {
        assert_eq!(line(words), Err(format!("no such line: `{words}`")));
    }
}
