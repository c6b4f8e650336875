//! What the restore proof counts as a difference.

use arya_plan::identity::DeploymentId;
use arya_plan::listener::{GroupId, Site};
use arya_plan::proof::restore_proof;
use uuid::Uuid;

use crate::paper::Paper;

fn sentences(before: &Site, after: &Site) -> Vec<String> {
    let proof = restore_proof(&DeploymentId::new(Uuid::from_u128(7)), before, Some(after));
    proof
        .differences
        .into_iter()
        .map(|difference| difference.sentence)
        .collect()
}

#[test]
fn another_deployment_that_went_meanwhile_is_no_difference() {
    let other = Paper::serving();
    let mut before = other.world.site.clone().unwrap();
    let production = before.groups.values().next().unwrap().clone();
    let ours = before.rules.iter().filter(|rule| rule.owner.is_some());
    let named: Vec<GroupId> = ours
        .flat_map(|rule| &rule.forward().unwrap().groups)
        .map(|weighted| weighted.group.clone())
        .collect();
    before
        .groups
        .extend(named.into_iter().map(|id| (id, production.clone())));
    let after = Paper::new().world.site.unwrap();
    assert!(before.rules.len() > after.rules.len() && before.groups.len() > after.groups.len());
    assert_eq!(sentences(&before, &after), [""; 0]);
}

#[test]
fn what_others_changed_is_named() {
    let mut paper = Paper::new();
    let before = paper.world.site.clone().unwrap();
    paper.swap_production();
    let mut after = paper.world.site.clone().unwrap();
    after.groups.remove(&GroupId::new("production"));
    let expected = [
        "The rule at priority 10 was changed by others (actions).",
        "The default rule was changed by others (actions).",
        "No rule names the group production any more.",
    ];
    assert_eq!(sentences(&before, &after)[..], expected);
}
