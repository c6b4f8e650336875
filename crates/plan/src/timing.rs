//! Every delay in one place.

use std::time::Duration;

use jiff::SignedDuration;

use crate::phase::Phase;

/// Users are taken away so long before the credentials end: time for a person to log in again, and for tries that fail.
pub const CREDENTIALS_MARGIN: SignedDuration = SignedDuration::from_mins(15);

/// How often to look, and how long to give the cloud before believing it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// While something is being built or taken down.
    pub look_moving: Duration,
    /// While it serves or is held.
    pub look_steady: Duration,
    /// Between deleting our rule and taking targets away: rule changes reach a load balancer's nodes one by one.
    pub settle: Duration,
    /// How long a listing may lag behind a create; two quiet looks must be further apart.
    pub listing_lag: Duration,
    /// Draining is given up on after this long.
    pub drain_at_most: Duration,
    /// Files that have not all arrived after this long end the deployment.
    pub uploads_at_most: Duration,
    /// An instance that has its files and has not reported `ready` after this long counts as failed.
    pub boot_at_most: Duration,
    /// An arm that is registered and not healthy for this long counts as failed.
    pub healthy_at_most: Duration,
}

impl Timing {
    /// Against AWS. Settle: argo-rollouts #4595 saw the old weights served for tens of seconds after a change.
    pub const AWS: Self = Self {
        look_moving: Duration::from_secs(2),
        look_steady: Duration::from_secs(10),
        settle: Duration::from_secs(60),
        listing_lag: Duration::from_secs(30),
        drain_at_most: Duration::from_secs(120),
        uploads_at_most: Duration::from_secs(2 * 3600),
        boot_at_most: Duration::from_secs(20 * 60),
        healthy_at_most: Duration::from_secs(5 * 60),
    };

    /// In `arya try`, where a rule change is one store to memory and listings do not lag.
    pub const TRY: Self = Self {
        look_moving: Duration::from_millis(300),
        look_steady: Duration::from_secs(1),
        settle: Duration::ZERO,
        listing_lag: Duration::from_millis(200),
        drain_at_most: Duration::from_secs(120),
        uploads_at_most: Duration::from_secs(120),
        boot_at_most: Duration::from_secs(60),
        healthy_at_most: Duration::from_secs(60),
    };

    pub(crate) const fn look_again_in(&self, phase: Phase) -> Duration {
        match phase {
            Phase::Serving | Phase::Held | Phase::Failed => self.look_steady,
            Phase::Uploading
            | Phase::Provisioning
            | Phase::WarmingUp
            | Phase::Draining
            | Phase::Destroying
            | Phase::Destroyed => self.look_moving,
        }
    }
}
