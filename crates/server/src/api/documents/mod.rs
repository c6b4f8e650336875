//! The documents of the contract: what scripts, the command line and the pages all read.
//!
//! Every sentence a person reads about a deployment is made here once. Nothing here asks the engine or the cloud: a
//! document is made from values that the caller already has, and must never know HTTP.

mod artifact;
mod backtest;
mod deployment;
mod event;
mod headline;
mod kayenta;
mod listeners;
mod logs;
mod plan;
mod progress;
mod rule;
mod side;
mod tile;
mod verdict;
mod weights;

pub(crate) use artifact::ArtifactDocument;
pub(crate) use backtest::{BacktestDocument, BacktestMetricDocument, BacktestRunDocument, LeftOutDocument};
pub(crate) use deployment::{DeploymentDocument, LinksDocument, Look, ProofDocument};
pub(crate) use event::{EventDocument, ReportDocument};
pub(crate) use kayenta::KayentaDocument;
pub(crate) use listeners::{ConnectionDocument, ListenersDocument, LoadBalancerDocument};
pub(crate) use logs::{LogDocument, LogsDocument};
pub(crate) use plan::{PlanDocument, ProblemLine};
pub(crate) use progress::{CheckDocument, State};
pub(crate) use rule::RuleDocument;
pub(crate) use side::{InstanceDocument, SideDocument};
pub(crate) use tile::TileDocument;
pub(crate) use verdict::{MetricDocument, Told, VerdictDocument};
pub(crate) use weights::Shares;

/// Parts that only the pages' fixtures build by themselves.
#[cfg(test)]
pub(crate) use {
    deployment::{CostDocument, ProbeDocument, TAKEN_AWAY, WaitingDocument},
    headline::Headline,
    listeners::ListenerDocument,
    progress::RailDocument,
    rule::RuleGroupDocument,
    side::TrafficDocument,
    verdict::VerdictLine,
    weights::WeightsDocument,
};
