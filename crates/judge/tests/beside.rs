//! Production beside the arms: what it teaches, and that it never makes a verdict more eager.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use arya_judge::{
    ArmCount, Beside, Block, CountBlock, DispersionFrom, Evidence, JudgeConfig, Judging, Machines, MetricConfig,
    Outcome, Reason, Shown, Verdict, judge,
};
use common::{Chance, at, evidence};

/// Requests of an arm in 15 s; production's two machines have as many each.
const REQUESTS: f64 = 750.0;

fn config() -> JudgeConfig {
    JudgeConfig {
        metrics: vec![MetricConfig::error_share("errors", "q")],
        ..JudgeConfig::default()
    }
}

/// An hour in which production's machines, the baseline and the canary fail so often.
fn hour(mut fails: impl FnMut(usize) -> [f64; 4]) -> Evidence {
    let mut found = evidence("errors", Vec::new());
    for span in 0..240 {
        let [first, second, baseline, canary] = fails(span);
        let ends_at = at(15 * (span as i64 + 1));
        found.blocks.push(Block::Counts(CountBlock {
            ends_at,
            baseline_events: baseline,
            canary_events: canary,
            baseline_exposure: REQUESTS,
            canary_exposure: REQUESTS,
        }));
        found.production.push(Beside {
            ends_at,
            shown: Shown::Counts(ArmCount {
                events: first + second,
                exposure: 2.0 * REQUESTS,
            }),
            machines: Machines {
                production: 2,
                each_arm: 1,
            },
        });
    }
    found
}

fn alone(evidence: &Evidence) -> Evidence {
    Evidence {
        production: Vec::new(),
        ..evidence.clone()
    }
}

fn said(evidence: &Evidence) -> Verdict {
    judge(&config(), std::slice::from_ref(evidence))
}

/// Rates of four machines that wander by themselves, log-normal with a memory of about eight minutes.
fn wandering(seed: u64, variation: f64) -> Evidence {
    let mut chance = Chance::new(seed);
    let mut states: [f64; 4] = std::array::from_fn(|_| chance.normal());
    hour(|_| {
        std::array::from_fn(|machine| {
            states[machine] = 0.97 * states[machine] + (1.0f64 - 0.97 * 0.97).sqrt() * chance.normal();
            chance.poisson(0.01 * REQUESTS * (variation * states[machine]).exp())
        })
    })
}

fn shown_at(verdict: &Verdict) -> Option<arya_judge::Timestamp> {
    match verdict.metrics[0].reason {
        Reason::RegressionShown { shown_at, .. } => Some(shown_at),
        _ => None,
    }
}

#[test]
fn production_beside_the_arms_only_ever_adds_doubt() {
    let (mut with, mut without) = (0, 0);
    for seed in 1..=150 {
        let evidence = wandering(seed, 0.5);
        let (beside, plain) = (said(&evidence), said(&alone(&evidence)));
        assert!(
            beside.metrics[0].dispersion >= plain.metrics[0].dispersion,
            "seed {seed}"
        );
        with += usize::from(beside.outcome == Outcome::Harmful);
        without += usize::from(plain.outcome == Outcome::Harmful);
        if let Some(at) = shown_at(&beside) {
            assert!(shown_at(&plain).is_some_and(|plain| plain <= at), "seed {seed}");
        }
    }
    // 26 and 39 % when this was written.
    assert!(
        4 * with <= 3 * without,
        "{with} of 150 alarms with production, {without} without"
    );
}

#[test]
fn what_was_learnt_is_said_with_where_it_is_from() {
    let wild = said(&wandering(3, 0.8));
    assert_eq!(wild.metrics[0].dispersion_from, DispersionFrom::Production);
    let sentence = wild.metrics[0].sentence();
    assert!(
        sentence.contains("learnt from about 60 min of production beside the baseline."),
        "{sentence}"
    );
    let mut chance = Chance::new(9);
    let quiet = said(&hour(|_| std::array::from_fn(|_| chance.poisson(0.01 * REQUESTS))));
    let sentence = quiet.metrics[0].sentence();
    assert!(
        sentence.ends_with("About 60 min of production beside the baseline showed no more scatter than that."),
        "{sentence}"
    );
    assert!(sentence.contains("No history of this service"), "{sentence}");
}

#[test]
fn a_broken_canary_is_found_however_unlike_production_and_baseline_are() {
    let mut chance = Chance::new(5);
    let evidence = hour(|_| [0.001, 0.001, 0.004, 0.1].map(|share| chance.poisson(share * REQUESTS)));
    let found = shown_at(&said(&evidence)).unwrap();
    assert!(found <= at(60), "{found}");
}

#[test]
fn both_arms_failing_is_neither_harmful_nor_no_worse() {
    let mut chance = Chance::new(6);
    let evidence = hour(|_| [0.001, 0.001, 0.2, 0.2].map(|share| chance.poisson(share * REQUESTS)));
    assert_eq!(said(&alone(&evidence)).outcome, Outcome::NoWorse);
    let verdict = said(&evidence);
    assert_eq!(verdict.outcome, Outcome::Inconclusive);
    assert_eq!(verdict.metrics[0].reason, Reason::TwinsUnfit);
    assert_eq!(verdict.twins_unfit.as_ref().unwrap().since, at(0));
    let sentence = verdict.sentence();
    assert!(
        sentence.starts_with(
            "Not enough evidence yet (errors): baseline and canary both fail far more than production: the baseline"
        ),
        "{sentence}"
    );
    assert!(sentence.contains("without a break since 22:14 UTC"), "{sentence}");
    let also = hour(|_| [0.2; 4].map(|share| chance.poisson(share * REQUESTS)));
    assert_eq!((said(&also).outcome, said(&also).twins_unfit), (Outcome::NoWorse, None));
}

#[test]
fn block_by_block_and_all_at_once_say_the_same() {
    let evidence = wandering(8, 0.5);
    let mut judging = Judging::without_charts(&config());
    for (block, beside) in evidence.blocks.iter().zip(&evidence.production) {
        judging.advance(&Evidence {
            blocks: vec![block.clone()],
            production: vec![beside.clone()],
            ..evidence.clone()
        });
    }
    assert_eq!(judging.verdict(), said(&evidence));
    assert_eq!((judging.revision("errors"), judging.beside("errors").len()), (0, 240));
}

#[test]
fn what_comes_late_of_production_is_judged_anew() {
    let evidence = wandering(8, 0.5);
    let mut judging = Judging::without_charts(&config());
    judging.advance(&alone(&evidence));
    judging.advance(&Evidence {
        blocks: Vec::new(),
        ..evidence.clone()
    });
    assert_eq!(judging.verdict(), said(&evidence));
    assert_eq!(judging.revision("errors"), 1);
}

#[test]
fn what_is_no_number_of_production_is_left_out() {
    let mut odd = wandering(8, 0.5);
    let plain = said(&alone(&odd));
    for beside in &mut odd.production {
        beside.shown = Shown::Counts(ArmCount {
            events: f64::NAN,
            exposure: -1.0,
        });
    }
    assert_eq!(said(&odd), plain);
}

/// An hour of which the canary had no users for so many spans; with requests on it all the same, to be sure.
fn after_a_spell(spans: usize, fails: impl FnMut(usize) -> [f64; 4]) -> (JudgeConfig, Evidence) {
    let mut evidence = hour(fails);
    for block in evidence.blocks.iter_mut().take(spans) {
        let Block::Counts(counts) = block else { unreachable!() };
        (counts.canary_events, counts.canary_exposure) = (0.0, 0.0);
    }
    let taught_until = Some(at(15 * spans as i64));
    (
        JudgeConfig {
            taught_until,
            ..config()
        },
        evidence,
    )
}

#[test]
fn a_spell_teaches_and_is_neither_harm_nor_a_pass_nor_an_uneven_split() {
    let mut chance = Chance::new(3);
    let (config, evidence) = after_a_spell(120, |_| std::array::from_fn(|_| chance.poisson(0.01 * REQUESTS)));
    let whole = judge(&config, std::slice::from_ref(&evidence));
    assert_eq!((whole.outcome, &whole.comparison_unsound), (Outcome::NoWorse, &None));
    assert_eq!(
        (whole.metrics[0].beside_s, whole.metrics[0].spell_s),
        (Some(3600.0), Some(1800.0))
    );
    assert_eq!(whole.metrics[0].baseline.exposure, 120.0 * REQUESTS);
    let sentence = whole.metrics[0].sentence();
    assert!(
        sentence
            .contains("60 min of production beside the baseline (about 30 min of them before the canary had users)"),
        "{sentence}"
    );
    // Only the spell is over: nothing is said of the canary, whatever it failed before.
    let spell = Evidence {
        blocks: evidence.blocks[..120].to_vec(),
        production: evidence.production[..120].to_vec(),
        ..evidence.clone()
    };
    let (_, with_requests) = (0, hour(|_| [7.0, 7.0, 7.0, 700.0]));
    let loud = Evidence {
        blocks: with_requests.blocks[..120].to_vec(),
        ..spell.clone()
    };
    for evidence in [spell, loud] {
        let verdict = judge(&config, &[evidence]);
        assert_eq!(verdict.outcome, Outcome::Inconclusive);
        assert!(matches!(verdict.metrics[0].reason, Reason::NoRequests { .. }));
    }
}

#[test]
fn a_spell_of_wild_old_machines_doubts_the_first_minutes_of_the_canary() {
    let mut chance = Chance::new(11);
    // The baseline's rate swings between a third and three times production's, minute by minute; the canary's is 1.6 times.
    let rates = |span: usize| [1.0, 1.0, if (span / 4).is_multiple_of(2) { 3.0 } else { 0.33 }, 1.6];
    let mut wild = |span: usize| rates(span).map(|rate| chance.poisson(0.01 * REQUESTS * rate));
    let (config, evidence) = after_a_spell(120, &mut wild);
    let until = |evidence: &Evidence, last: usize| Evidence {
        blocks: evidence.blocks[..last].to_vec(),
        production: evidence.production[..last].to_vec(),
        ..evidence.clone()
    };
    let taught = judge(&config, &[until(&evidence, 128)]);
    let without = Evidence {
        blocks: evidence.blocks[120..128].to_vec(),
        production: evidence.production[120..128].to_vec(),
        ..evidence.clone()
    };
    let plain = judge(&self::config(), &[without]);
    assert!(
        taught.metrics[0].dispersion > 2.0 * plain.metrics[0].dispersion,
        "{} {}",
        taught.metrics[0].dispersion,
        plain.metrics[0].dispersion
    );
    assert_eq!(taught.metrics[0].dispersion_from, DispersionFrom::Production);
}

#[test]
fn a_spell_followed_block_by_block_is_the_one_judged_at_once() {
    let mut chance = Chance::new(5);
    let (config, evidence) = after_a_spell(40, |_| std::array::from_fn(|_| chance.poisson(0.01 * REQUESTS)));
    let mut judging = Judging::without_charts(&config);
    for (place, (block, beside)) in evidence.blocks.iter().zip(&evidence.production).enumerate() {
        // While it goes on nobody knows when it will end.
        let open = (place < 40).then_some(arya_judge::Timestamp::MAX);
        judging.set_taught_until(open.or(config.taught_until));
        judging.advance(&Evidence {
            blocks: vec![block.clone()],
            production: vec![beside.clone()],
            ..evidence.clone()
        });
    }
    assert_eq!(judging.verdict(), judge(&config, std::slice::from_ref(&evidence)));
    assert_eq!(judging.revision("errors"), 0);
}
