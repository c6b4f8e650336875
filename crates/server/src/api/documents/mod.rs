//! The documents of the contract: what scripts, the command line and the pages all read.
//!
//! Every sentence a person reads about a deployment is made here once. Nothing here asks the engine or the cloud: a
//! document is made from values that the caller already has, and must never know HTTP.

mod artifact;
mod deployment;
mod event;
mod listeners;
mod plan;
mod progress;
mod rule;
mod verdict;
mod weights;

pub(crate) use artifact::ArtifactDocument;
pub(crate) use deployment::{DeploymentDocument, InstanceDocument, Look, ProbeDocument, ProofDocument, SideDocument, TrafficDocument, WaitingDocument};
pub(crate) use event::{EventDocument, ReportDocument};
pub(crate) use listeners::{ListenerDocument, ListenersDocument, LoadBalancerDocument};
pub(crate) use plan::{PlanDocument, ProblemLine};
pub(crate) use progress::{CheckDocument, RailDocument, State};
pub(crate) use rule::{RuleDocument, RuleGroupDocument};
pub(crate) use verdict::{MetricDocument, TrackDocument, VerdictDocument, VerdictLine};
pub(crate) use weights::{Shares, WeightsDocument};
#[cfg(test)]
pub(crate) use deployment::{CostDocument, LinksDocument, TrafficDocument};
