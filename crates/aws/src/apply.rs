//! Carries out one step: looks by tags first, so that twice is once; one try, and never a wait for what it sets going.

mod bucket;
mod groups;
mod instances;
mod rules;
mod security;

use std::sync::Arc;

use arya_plan::cloud::CloudError;
use arya_plan::desired::Desired;
use arya_plan::plan::Step;

pub(crate) use instances::{instance_type, shielded};

use crate::{Inner, uploads};

pub(crate) async fn apply(inner: &Arc<Inner>, desired: &Desired, step: &Step) -> Result<(), CloudError> {
    match step {
        Step::CreateBucket => inner.create_bucket(desired).await,
        Step::StartUpload { digest } => uploads::start(inner, desired, digest).await,
        Step::CancelUploads => {
            inner.uploads.cancel(&desired.id);
            Ok(())
        }
        Step::CreateSecurityGroup { kind } => inner.create_security_group(desired, *kind).await,
        Step::CreateTargetGroup { arm } => inner.create_target_group(desired, *arm).await,
        Step::LaunchInstance { place, incarnation } => inner.launch(desired, *place, *incarnation).await,
        Step::RegisterTarget {
            arm,
            place,
            incarnation,
        } => inner.register(desired, *arm, *place, *incarnation).await,
        Step::CreateRule {
            kind,
            priority,
            conditions,
            actions,
        } => inner.create_rule(desired, *kind, *priority, conditions, actions).await,
        Step::ModifyRule { kind, actions } => inner.modify_rule(desired, *kind, actions).await,
        Step::DeleteRule { kind } => inner.delete_rule(desired, *kind).await,
        Step::DeregisterTarget {
            arm,
            place,
            incarnation,
        } => inner.deregister(desired, *arm, *place, *incarnation).await,
        Step::TerminateInstance { place, incarnation } => inner.terminate(desired, *place, *incarnation).await,
        Step::DeleteTargetGroup { arm } => inner.delete_target_group(desired, *arm).await,
        Step::DeleteSecurityGroup { kind } => inner.delete_security_group(desired, *kind).await,
        Step::DeleteBucket => inner.delete_bucket(desired).await,
    }
}
