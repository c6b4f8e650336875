//! What disturbs the comparison, look by look.

use arya_plan::confounder::confounder;
use arya_plan::desired::{Change, HoldReason};
use arya_plan::identity::{Arm, Place, Role};
use arya_plan::listener::shares::CanaryPercent;
use arya_plan::observed::{BootPhase, TargetState};

use crate::paper::Paper;

fn check(paper: &Paper, expected: Option<&str>) {
    let said = confounder(&paper.desired, &paper.world).map(|found| found.to_string());
    assert_eq!(said.as_deref(), expected);
}

const CANARY: Place = Place {
    role: Role::Canary,
    index: 0,
};

fn share(percent: f64) -> Change {
    Change::SetShare {
        canary_percent: CanaryPercent::new(percent).unwrap(),
    }
}

#[test]
fn nothing_is_disturbed_before_users_come_and_while_all_is_well() {
    let mut paper = Paper::new();
    check(&paper, None);
    paper.run_until_quiet();
    check(&paper, None);
}

#[test]
fn an_app_that_starts_anew_is_waited_for() {
    let mut paper = Paper::serving();
    paper.boot(CANARY, BootPhase::Up, None);
    check(&paper, Some("The canary instance starts anew (up) and has to warm up."));
    paper.boot(CANARY, BootPhase::Ready, None);
    check(&paper, None);
}

#[test]
fn a_part_of_an_arm_that_takes_no_requests_is_named() {
    let mut paper = Paper::with(|spec| spec.instances.per_arm = 2);
    paper.run_until_quiet();
    paper.one_target_health(Arm::Baseline, TargetState::Initial);
    let said = confounder(&paper.desired, &paper.world).unwrap().to_string();
    assert!(
        said.starts_with("The baseline does not take its whole share: the baseline instance"),
        "{said}"
    );
    assert!(
        said.contains("is initial") && said.ends_with("different loads."),
        "{said}"
    );
    paper.one_target_health(Arm::Baseline, TargetState::Healthy);
    check(&paper, None);
    paper.world.groups.get_mut(&Arm::Canary).unwrap().targets.pop();
    let said = confounder(&paper.desired, &paper.world).unwrap().to_string();
    assert!(said.contains("is not registered"), "{said}");
}

#[test]
fn a_rule_that_is_away_says_why() {
    let mut paper = Paper::serving();
    paper.edit_main_weights(|weights| weights[0] += 1);
    paper.run_until_quiet();
    check(&paper, Some(&HoldReason::OurRuleEdited.to_string()));
    paper.change(share(5.0));
    check(&paper, Some("Our main rule is not seen on the listener yet."));
    paper.run_until_quiet();
    check(&paper, None);
    paper.change(share(0.0));
    check(&paper, Some("The share is 0: users get production only."));
    paper.change(Change::Destroy);
    check(&paper, None);
}
