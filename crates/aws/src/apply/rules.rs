//! Our two rules on the listener, found by their tags; a stranger's is never touched.

use arya_plan::cloud::{CloudError, ErrorKind};
use arya_plan::desired::Desired;
use arya_plan::identity::{LogicalId, RuleKind};
use arya_plan::listener::{Action, Condition, Rule};
use aws_sdk_elasticloadbalancingv2::types as elb;

use crate::Inner;
use crate::calls::Call;
use crate::error::{OrGone as _, ask};
use crate::tags::{elb_tags, owner};
use crate::words::{self, actions, conditions, transforms};

impl Inner {
    /// Our rule of that kind, asked anew.
    async fn our_rule(&self, desired: &Desired, kind: RuleKind) -> Result<Option<Rule>, CloudError> {
        let rules = self.rules(desired.spec.listener.as_str()).await?;
        let is_ours = |rule: &Rule| {
            let owner = rule.owner.as_ref();
            owner.is_some_and(|owner| owner.deployment == desired.id && owner.logical_id == LogicalId::Rule(kind))
        };
        Ok(rules.into_iter().flatten().find(is_ours))
    }

    /// There is no token: whether a try whose answer was lost has made it, only its tags tell.
    pub(super) async fn create_rule(
        &self,
        desired: &Desired,
        kind: RuleKind,
        priority: u16,
        conditions: &[Condition],
        actions: &[Action],
    ) -> Result<(), CloudError> {
        if self.our_rule(desired, kind).await?.is_some() {
            return Ok(());
        }
        let rewrites = &desired.placement.composed.transforms;
        let transforms: Option<Vec<_>> = rewrites.iter().map(transforms::write).collect();
        let transforms = transforms.ok_or_else(|| unwritable(kind))?;
        let request = self.clients.changing.elb.create_rule();
        let request = request
            .listener_arn(desired.spec.listener.as_str())
            .priority(i32::from(priority))
            .set_conditions(Some(conditions.iter().map(conditions::write).collect()))
            .set_actions(Some(written(kind, actions)?))
            .set_transforms((!transforms.is_empty()).then_some(transforms))
            .set_tags(Some(elb_tags(desired, &owner(desired, LogicalId::Rule(kind), 1))));
        let answer = ask(Call::CreateRule, request.send()).await?;
        as_asked(kind, answer.rules(), actions)
    }

    pub(super) async fn modify_rule(
        &self,
        desired: &Desired,
        kind: RuleKind,
        actions: &[Action],
    ) -> Result<(), CloudError> {
        let Some(rule) = self.our_rule(desired, kind).await? else {
            return Err(CloudError::not_yet(format!(
                "RuleNotFound: the {kind} is not on the listener."
            )));
        };
        let request = self.clients.changing.elb.modify_rule().rule_arn(rule.id.as_str());
        ask(
            Call::ModifyRule,
            request.set_actions(Some(written(kind, actions)?)).send(),
        )
        .await?;
        let request = self.clients.reading.elb.describe_rules().rule_arns(rule.id.as_str());
        let answer = ask(Call::DescribeRules, request.send()).await?;
        as_asked(kind, answer.rules(), actions)
    }

    pub(super) async fn delete_rule(&self, desired: &Desired, kind: RuleKind) -> Result<(), CloudError> {
        let Some(rule) = self.our_rule(desired, kind).await? else {
            return Ok(());
        };
        let request = self.clients.changing.elb.delete_rule().rule_arn(rule.id.as_str());
        ask(Call::DeleteRule, request.send()).await.or_gone()
    }
}

fn written(kind: RuleKind, actions: &[Action]) -> Result<Vec<elb::Action>, CloudError> {
    words::actions::write(actions).ok_or_else(|| unwritable(kind))
}

fn unwritable(kind: RuleKind) -> CloudError {
    CloudError::refused(
        format!("The {kind} has an action or a rewrite that cannot be written. Nothing was changed."),
        "Plan again, in front of another rule.",
    )
}

/// What AWS says it has is what was asked. Else the next look decides.
fn as_asked(kind: RuleKind, listed: &[elb::Rule], wanted: &[Action]) -> Result<(), CloudError> {
    let reads = |rule: &elb::Rule| actions::read(rule.actions()) == wanted;
    if listed.first().is_none_or(reads) {
        return Ok(());
    }
    Err(CloudError::new(
        ErrorKind::Unknown,
        format!("AWS took the {kind} and reads it back differently. The next look tells what stands."),
        "",
    ))
}
