//! AWS's words for rules and groups, and the planner's, both ways. Translates; judges nothing.

pub(crate) mod actions;
pub(crate) mod conditions;
pub(crate) mod groups;
pub(crate) mod transforms;

use arya_plan::listener::{Priority, Rule, RuleId};
use aws_sdk_elasticloadbalancingv2::types as elb;

/// A rule as a listing gives it. `None` where it has no ARN or no readable priority, which AWS does not do.
pub(crate) fn rule(listed: &elb::Rule) -> Option<Rule> {
    let priority = match listed.priority()? {
        "default" => Priority::Default,
        number => Priority::At(number.parse().ok()?),
    };
    Some(Rule {
        id: RuleId::new(listed.rule_arn()?),
        priority,
        conditions: listed.conditions().iter().map(conditions::read).collect(),
        actions: actions::read(listed.actions()),
        transforms: listed.transforms().iter().map(transforms::read).collect(),
        owner: None,
    })
}
