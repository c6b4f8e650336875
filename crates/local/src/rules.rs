//! What AWS makes of a change of a listener's rules, as pure functions: both faces of the local cloud answer with them.

use arya_plan::cloud::CloudError;
use arya_plan::identity::{DeploymentId, LogicalId, RuleKind};
use arya_plan::listener::{Action, Forward, Priority, Rule, WeightedGroup, limits};

/// Where our rule of that kind stands, found by its tags.
pub(crate) fn position(rules: &[Rule], deployment: &DeploymentId, kind: RuleKind) -> Option<usize> {
    let ours = LogicalId::Rule(kind);
    rules.iter().position(|rule| {
        rule.owner
            .as_ref()
            .is_some_and(|o| o.deployment == *deployment && o.logical_id == ours)
    })
}

/// Whether `CreateRule` takes this one beside the others. `most` rules fit, default rules not counted.
pub(crate) fn check_new(rules: &[Rule], kind: RuleKind, priority: u16, most: usize) -> Result<(), CloudError> {
    if let Some(other) = rules.iter().find(|rule| rule.priority == Priority::At(priority)) {
        return Err(CloudError::refused(
            format!(
                "PriorityInUse: rule {} has the priority {priority} already. The {kind} was not created.",
                other.id
            ),
            "Plan again: the plan looks for free priorities.",
        ));
    }
    let numbered = rules.iter().filter(|rule| rule.priority != Priority::Default).count();
    if numbered >= most {
        return Err(CloudError::refused(
            format!("TooManyRules: the load balancer has {numbered} rules already. The {kind} was not created."),
            "Delete a rule that nobody needs.",
        ));
    }
    Ok(())
}

pub(crate) fn not_found(kind: RuleKind) -> CloudError {
    CloudError::not_yet(format!("RuleNotFound: the {kind} is not on the listener."))
}

/// What `CreateRule` and `ModifyRule` refuse; the plan never asks for it.
pub(crate) fn check_actions(actions: &[Action]) -> Result<(), CloudError> {
    for groups in forwards(actions) {
        if groups.is_empty() || groups.len() > limits::GROUPS_PER_ACTION {
            let (have, most) = (groups.len(), limits::GROUPS_PER_ACTION);
            let what = format!(
                "TooManyTargetGroups: a forward action has 1 to {most} groups, not {have}. Nothing was changed."
            );
            return Err(CloudError::refused(what, "Plan again."));
        }
        if let Some(group) = groups.iter().find(|group| group.weight > limits::WEIGHT_MAX) {
            let what = format!(
                "The weight {} of {} is above 999. Nothing was changed.",
                group.weight, group.group
            );
            return Err(CloudError::refused(what, "Plan again."));
        }
    }
    Ok(())
}

/// The groups of each forward action.
pub(crate) fn forwards(actions: &[Action]) -> impl Iterator<Item = &Vec<WeightedGroup>> {
    actions.iter().filter_map(|action| match action {
        Action::Forward(Forward { groups, .. }) => Some(groups),
        Action::AuthenticateCognito { .. }
        | Action::AuthenticateOidc { .. }
        | Action::JwtValidation { .. }
        | Action::Redirect { .. }
        | Action::FixedResponse { .. } => None,
    })
}
