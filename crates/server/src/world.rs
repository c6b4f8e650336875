//! The cloud that this server works on, and what it showed. The only place where worlds are told apart.

use std::sync::Arc;
use std::time::Duration;

use arya_engine::Report;
use arya_judge::Timestamp;
use arya_local::live::LiveCloud;
use arya_plan::cloud::{Cloud as _, CloudError, ErrorKind};
use arya_plan::cost::Prices;
use arya_plan::desired::Desired;
use arya_plan::left::Log;
use arya_plan::listener::{Protocol, RuleId, Site};
use arya_plan::preview::Capabilities;
use arya_plan::spec::Spec;
use arya_plan::surroundings::{Rights, Surroundings, Tenure};

#[cfg(feature = "aws")]
use crate::aws::Accounts;
use crate::door::Door;

/// Traffic is averaged over this span: long enough to be steady, short enough to be now.
const TRAFFIC_WINDOW: Duration = Duration::from_secs(10);
/// What the local world's only connection is called, as in a spec that names none.
const LOCAL: &str = "default";

/// One local cloud, or the accounts of the configuration.
#[derive(Debug, Clone)]
pub(crate) enum World {
    Local(LiveCloud),
    #[cfg(feature = "aws")]
    Aws(Accounts),
}

/// Whether what was seen last will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// What was seen last: no page waits for a cloud.
    Last,
    /// Now: before anything is started.
    Fresh,
}

/// Who we are in an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) account: String,
    /// The user or the role.
    pub(crate) arn: String,
    pub(crate) region: String,
}

/// What a connection showed when it was last looked at.
#[derive(Debug, Clone)]
pub(crate) struct Sighting {
    pub(crate) connection: String,
    /// `None` in the local world, and until AWS has told it.
    pub(crate) identity: Option<Identity>,
    pub(crate) sites: Arc<[Site]>,
    /// When the sites were seen, after a fresh look when the one that was asked for was; `None` = not yet.
    pub(crate) as_of: Option<Timestamp>,
    /// Why the last look brought nothing.
    pub(crate) error: Option<CloudError>,
    /// What the identity may do; `None` = not asked yet, or nobody to ask.
    pub(crate) rights: Option<Rights>,
    /// How long its credentials hold.
    pub(crate) tenure: Option<Tenure>,
}

/// How people get at accounts: what this machine knows and what must be allowed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Access {
    pub(crate) policies: Vec<PolicyText>,
    pub(crate) profiles: Vec<ProfileLine>,
}

/// One part of the policy.
#[derive(Debug, Clone)]
pub(crate) struct PolicyText {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    /// JSON.
    pub(crate) text: String,
}

/// A profile of the standard files. No key of it is known.
#[derive(Debug, Clone)]
pub(crate) struct ProfileLine {
    pub(crate) name: String,
    pub(crate) region: String,
    /// How it gets its credentials.
    pub(crate) means: &'static str,
}

impl World {
    /// What every connection showed last. In the local world that is a look at memory.
    pub(crate) async fn sightings(&self, now: Timestamp) -> Vec<Sighting> {
        match self {
            Self::Local(cloud) => vec![local(cloud, now).await],
            #[cfg(feature = "aws")]
            Self::Aws(accounts) => accounts.sightings().await,
        }
    }

    /// What the connection of a spec shows. A fresh look is one at the spec's own listener.
    ///
    /// # Errors
    /// There is no such connection, or it does not answer and has shown nothing yet.
    pub(crate) async fn sighting(&self, spec: &Spec, look: Look, now: Timestamp) -> Result<Sighting, CloudError> {
        let sighting = match self {
            // A spec for elsewhere may be tried here, whatever connection it names.
            Self::Local(cloud) => Sighting {
                connection: spec.connection.clone(),
                ..local(cloud, now).await
            },
            #[cfg(feature = "aws")]
            Self::Aws(accounts) => accounts.sighting(spec, look).await?,
        };
        match &sighting.error {
            Some(error) if look == Look::Fresh || sighting.as_of.is_none() => Err(error.clone()),
            Some(_) | None => Ok(sighting),
        }
    }

    /// What stands around a listener.
    pub(crate) async fn surroundings(&self, spec: &Spec, site: &Site) -> Result<Surroundings, CloudError> {
        match self {
            Self::Local(_) => {
                let _ = (spec, site);
                Ok(Surroundings::default())
            }
            #[cfg(feature = "aws")]
            Self::Aws(accounts) => accounts.surroundings(spec, site).await,
        }
    }

    /// The spec with every word for *as production has it* replaced by what it stands for.
    pub(crate) async fn resolve(&self, spec: &Spec, look: Look) -> Result<Spec, CloudError> {
        match self {
            Self::Local(_) => {
                let _ = look;
                Ok(spec.clone())
            }
            #[cfg(feature = "aws")]
            Self::Aws(accounts) => accounts.resolve(spec, look).await,
        }
    }

    pub(crate) const fn prices(&self) -> Prices {
        match self {
            Self::Local(_) => Prices::Free,
            #[cfg(feature = "aws")]
            Self::Aws(_) => Prices::Aws,
        }
    }

    /// What the instances of a resolved spec can run.
    pub(crate) fn capabilities(&self, spec: &Spec) -> Capabilities {
        match self {
            Self::Local(cloud) => {
                let _ = spec;
                Capabilities {
                    runnable: Some(cloud.runnable()),
                    architectures: vec![docker_architecture().to_owned()],
                    protocols: vec![Protocol::Http],
                    prices: self.prices(),
                }
            }
            #[cfg(feature = "aws")]
            Self::Aws(_) => crate::aws::capabilities(&spec.instances.instance_type),
        }
    }

    /// Requests per second that a rule answered lately; `None` = not known.
    pub(crate) fn traffic_per_s(&self, rule: &RuleId, now: Timestamp) -> Option<f64> {
        match self {
            Self::Local(cloud) => {
                let from = now.checked_sub(TRAFFIC_WINDOW).ok()?;
                let counts = cloud.balancer().measured_rule(rule, from..now)?;
                // Counts of ten seconds lie far below the 2^53 up to which a double is exact.
                Some(counts.requests as f64 / TRAFFIC_WINDOW.as_secs_f64())
            }
            #[cfg(feature = "aws")]
            Self::Aws(_) => None,
        }
    }

    /// The way to a deployment's monitor, once it has told its address and its key.
    pub(crate) fn door(&self, report: &Report) -> Option<Door> {
        match self {
            Self::Local(_) => {
                let _ = report;
                None
            }
            #[cfg(feature = "aws")]
            Self::Aws(accounts) => accounts.door(report),
        }
    }

    /// What the containers of a deployment printed so far.
    pub(crate) async fn logs(&self, desired: &Desired) -> Result<Arc<[Log]>, CloudError> {
        match self {
            Self::Local(cloud) => {
                let logs = cloud.logs(&desired.id).await;
                logs.map(Into::into).map_err(|error| CloudError {
                    kind: ErrorKind::Unknown,
                    what: format!("The bucket's folder cannot be read: {error}."),
                    next: "Look at the data directory of `arya try`.".into(),
                })
            }
            #[cfg(feature = "aws")]
            Self::Aws(accounts) => accounts.logs(desired).await,
        }
    }

    /// The local cloud with its demo controls, if this is one.
    pub(crate) const fn local(&self) -> Option<&LiveCloud> {
        match self {
            Self::Local(cloud) => Some(cloud),
            #[cfg(feature = "aws")]
            Self::Aws(_) => None,
        }
    }

    /// Where this server acts, as every page says it, and the colour of that.
    pub(crate) fn place(&self) -> (String, &'static str) {
        match self {
            Self::Local(_) => ("Local cloud".into(), "local"),
            #[cfg(feature = "aws")]
            Self::Aws(accounts) => (accounts.place(), "aws"),
        }
    }

    /// Reads the names in this user's files; asks nobody.
    pub(crate) fn access(&self) -> Access {
        match self {
            Self::Local(_) => Access::default(),
            #[cfg(feature = "aws")]
            Self::Aws(_) => crate::aws::access(),
        }
    }

    /// Ends what lives in this process.
    pub(crate) async fn stop(&self) {
        match self {
            Self::Local(cloud) => cloud.stop().await,
            #[cfg(feature = "aws")]
            Self::Aws(_) => {}
        }
    }
}

async fn local(cloud: &LiveCloud, now: Timestamp) -> Sighting {
    let (sites, error) = match cloud.discover().await {
        Ok(sites) => (sites, None),
        Err(error) => (vec![], Some(error)),
    };
    Sighting {
        connection: LOCAL.into(),
        identity: None,
        sites: sites.into(),
        as_of: error.is_none().then_some(now),
        error,
        rights: None,
        tenure: None,
    }
}

/// This machine's architecture as image configs name it.
fn docker_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
