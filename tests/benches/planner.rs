//! Plans a second, over every situation of a deployment's life in front of a full listener.

// The planner's own tests have a world on paper; its whole life is what a planner is asked about.
#[path = "../../crates/plan/tests/planner/paper.rs"]
#[allow(dead_code, reason = "the planner's tests use more of it")]
mod paper;

use std::time::{Duration, Instant};

use arya_plan::desired::{Change, Desired};
use arya_plan::listener::{Priority, RuleId};
use arya_plan::observed::Observed;
use arya_plan::plan::plan;
use arya_plan::seen::Seen;
use arya_plan::timing::Timing;

use crate::Form;
use crate::table::Table;
use paper::Paper;

const PLANS_PER_S_MIN: f64 = 10_000.0;
/// AWS's quota of rules on a listener.
const RULES: u16 = 100;

type Situation = (Desired, Observed, Seen);

/// Every tick from the first to *destroyed*.
fn life() -> Vec<Situation> {
    let mut paper = Paper::new();
    let site = paper.world.site.as_mut().unwrap();
    let example = site.rules[0].clone();
    for number in 0..RULES {
        let mut rule = example.clone();
        rule.id = RuleId::new(format!("rule-{number}"));
        rule.priority = Priority::At(1000 + number);
        let before_the_default = site.rules.len() - 1;
        site.rules.insert(before_the_default, rule);
    }
    let mut situations = Vec::new();
    let mut live = |paper: &mut Paper| {
        for _ in 0..100 {
            paper.round();
            situations.push((paper.desired.clone(), paper.world.clone(), paper.seen.clone()));
        }
    };
    live(&mut paper);
    paper.change(Change::Destroy);
    live(&mut paper);
    assert!(paper.nothing_of_ours());
    situations
}

pub(crate) fn bench(form: Form, table: &mut Table) {
    let (situations, timing) = (life(), Timing::AWS);
    let (begun, time) = (
        Instant::now(),
        form.choose(Duration::from_secs(1), Duration::from_secs(5)),
    );
    let mut plans = 0_u32;
    while begun.elapsed() < time {
        for (desired, observed, seen) in &situations {
            std::hint::black_box(plan(desired, observed, seen, &timing));
            plans += 1;
        }
    }
    let per_s = f64::from(plans) / begun.elapsed().as_secs_f64();
    let what = format!(
        "planner: plans a second, {} situations, {RULES} rules",
        situations.len()
    );
    table.at_least(&what, PLANS_PER_S_MIN, per_s, "", "");

    let (spec, files, site) = (paper::spec(), paper::files(), paper::site());
    let (begun, mut previews) = (Instant::now(), 0_u32);
    while begun.elapsed() < time {
        std::hint::black_box(paper::make_preview(&spec, std::slice::from_ref(&site), &files));
        previews += 1;
    }
    let micros = begun.elapsed().as_secs_f64() * 1e6 / f64::from(previews);
    table.seen("planner: a whole plan on paper", format!("{micros:.0} µs"));
}
