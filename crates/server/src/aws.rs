//! The accounts of the configuration as one cloud: a deployment is looked at and acted on through the connection that is
//! stored with it. It must never know pages.

mod account;
mod config;
mod measured;
mod monitors;
mod posts;
mod profiles;
mod remains;
mod renewing;
mod standing;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;

use arya_aws::calls::Part;
use arya_aws::{AwsCloud, AwsSettings, ConnectionSettings, DoorKey, PolicyScope, policy};
use arya_engine::{Clock, Report};
use arya_judge::{Evidence, MetricConfig, MetricSource, SourceError, Timestamp};
use arya_plan::cloud::{Cloud, CloudError};
use arya_plan::cost::Prices;
use arya_plan::desired::Desired;
use arya_plan::identity::{DeploymentId, InstallationId};
use arya_plan::instance_type::architecture;
use arya_plan::left::Log;
use arya_plan::listener::{Protocol, Site};
use arya_plan::observed::Observed;
use arya_plan::plan::Step;
use arya_plan::preview::Capabilities;
use arya_plan::spec::{SAME_AS_PRODUCTION, Spec};
use arya_plan::surroundings::Surroundings;
use axum::http::HeaderValue;
use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::door::Door;
use crate::left;
use crate::tools;
use crate::world::{Access, Look, PolicyText, ProfileLine, Sighting};
use account::Account;
pub(crate) use config::{Config, ConnectionConfig, Pace};
pub(crate) use measured::Measured;
use monitors::Watching;
use profiles::{Means, Profile, profiles};
pub(crate) use remains::Found;

/// Every connection by its name. Clones are the same accounts.
#[derive(Debug, Clone)]
pub(crate) struct Accounts(Arc<BTreeMap<String, Arc<Account>>>);

impl Accounts {
    /// Nothing is asked yet: a connection is made when it is needed first, and again when that failed.
    pub(crate) fn new(connections: &[ConnectionConfig], shared: &Shared, clock: &Clock) -> Self {
        let account = |config: &ConnectionConfig| {
            let settings = shared.settings(config);
            let account = Account::new(config.name.clone(), settings, clock.clone());
            (config.name.clone(), Arc::new(account))
        };
        Self(Arc::new(connections.iter().map(account).collect()))
    }

    /// Looks at every account while somebody wants to see it, until told to stop.
    pub(crate) fn watch(&self, stopping: &CancellationToken) {
        for account in self.0.values() {
            let (account, stopping) = (account.clone(), stopping.clone());
            tokio::spawn(async move { stopping.run_until_cancelled(account.watch()).await });
        }
    }

    pub(crate) async fn sightings(&self) -> Vec<Sighting> {
        join_all(self.0.values().map(|account| account.last())).await
    }

    /// # Errors
    /// There is no connection of that name.
    pub(crate) async fn sighting(&self, spec: &Spec, look: Look) -> Result<Sighting, CloudError> {
        let account = self.account(&spec.connection)?;
        Ok(match look {
            Look::Last => account.last().await,
            Look::Fresh => account.look_at(spec).await,
        })
    }

    pub(crate) async fn resolve(&self, spec: &Spec, look: Look) -> Result<Spec, CloudError> {
        self.account(&spec.connection)?.resolve(spec, look).await
    }

    pub(crate) async fn surroundings(&self, spec: &Spec, site: &Site) -> Result<Surroundings, CloudError> {
        self.account(&spec.connection)?.surroundings(spec, site).await
    }

    /// Where it acts, in a few words for the head of every page.
    pub(crate) fn place(&self) -> String {
        match self.0.len() {
            1 => self.0.values().map(|account| account.place()).collect(),
            several => format!("AWS: {several} connections"),
        }
    }

    /// The way to a deployment's monitor, once it has told its address and its key.
    pub(crate) fn door(&self, report: &Report) -> Option<Door> {
        let monitor = tools::monitor(report)?;
        let certificate = monitor.report.as_ref()?.certificate_sha256.as_ref()?;
        let account = self.account(&report.desired.spec.connection).ok()?;
        let authorization = HeaderValue::try_from(account.authorization(&report.desired.id)).ok()?;
        Door::new(monitor.address?, certificate, authorization)
    }

    /// What the containers of a deployment printed so far.
    pub(crate) async fn logs(&self, desired: &Desired) -> Result<Arc<[Log]>, CloudError> {
        self.cloud(desired).await?.logs(desired).await
    }

    fn account(&self, name: &str) -> Result<&Arc<Account>, CloudError> {
        self.0.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.0.keys().map(String::as_str).collect();
            CloudError::refused(
                format!("There is no connection `{name}` in this server's configuration."),
                format!(
                    "There are: {}. Name one of them, or add it and start again.",
                    known.join(", ")
                ),
            )
        })
    }

    /// The connection whose looks have found what a deployment's numbers are about. One that was never made has found
    /// nothing, so none is made here.
    fn measuring(&self, deployment: &str) -> Option<&AwsCloud> {
        let mut made = self.0.values().filter_map(|account| account.connected());
        made.find(|cloud| cloud.measures(deployment))
    }

    /// The monitor of a deployment, while it is ready.
    fn watching(&self, deployment: &str) -> Option<Arc<Watching>> {
        let id: DeploymentId = deployment.parse().ok()?;
        self.0.values().find_map(|account| account.watching(&id))
    }

    async fn cloud(&self, desired: &Desired) -> Result<AwsCloud, CloudError> {
        self.account(&desired.spec.connection)?.cloud().await
    }
}

impl Cloud for Accounts {
    /// Of every account that answers; no answer at all is an error.
    async fn discover(&self) -> Result<Vec<Site>, CloudError> {
        let looks = join_all(self.0.values().map(|account| account.look())).await;
        let error = looks.iter().find_map(|sighting| sighting.error.clone());
        let sites: Vec<Site> = looks.iter().flat_map(|sighting| sighting.sites.to_vec()).collect();
        match error {
            Some(error) if sites.is_empty() => Err(error),
            Some(_) | None => Ok(sites),
        }
    }

    async fn list(&self) -> Result<Vec<DeploymentId>, CloudError> {
        let mut all = Vec::new();
        for account in self.0.values() {
            all.extend(account.cloud().await?.list().await?);
        }
        Ok(all)
    }

    async fn observe(&self, desired: &Desired, now: Timestamp) -> Result<Observed, CloudError> {
        self.account(&desired.spec.connection)?.observe(desired, now).await
    }

    async fn apply(&self, desired: &Desired, step: &Step) -> Result<(), CloudError> {
        self.cloud(desired).await?.apply(desired, step).await
    }
}

/// What every connection of a server has alike.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub(crate) installation: InstallationId,
    pub(crate) artifacts_dir: PathBuf,
    pub(crate) door_key: DoorKey,
}

impl Shared {
    /// Of nobody: for looking at what others made, and for taking it away.
    pub(crate) fn of_nobody() -> Self {
        Self {
            installation: InstallationId::new(Uuid::nil()),
            artifacts_dir: PathBuf::new(),
            door_key: DoorKey::new([0; 32]),
        }
    }

    pub(crate) fn settings(&self, config: &ConnectionConfig) -> AwsSettings {
        AwsSettings {
            connection: ConnectionSettings {
                profile: config.profile.clone(),
                role_arn: config.role_arn.clone(),
                region: config.region.clone(),
                endpoint: config.endpoint.clone(),
                measured_by: config.measured_by.into(),
                ..ConnectionSettings::default()
            },
            installation: self.installation,
            artifacts_dir: self.artifacts_dir.clone(),
            left_dir: self.artifacts_dir.parent().map(left::folder),
            image_owner: config.image_owner.clone(),
            door_key: self.door_key.clone(),
        }
    }
}

/// What instances of a type can run, and what they cost. A type that is still a word may be any.
pub(crate) fn capabilities(instance_type: &str) -> Capabilities {
    let architectures = match instance_type {
        SAME_AS_PRODUCTION => vec!["amd64".to_owned(), "arm64".to_owned()],
        named => vec![architecture(named).to_owned()],
    };
    Capabilities {
        runnable: None,
        architectures,
        protocols: vec![Protocol::Http, Protocol::Https, Protocol::Grpc],
        prices: Prices::Aws,
    }
}

/// The three parts of the policy, from the least right to the most.
pub(crate) const PARTS: [(&str, Part, &str); 3] = [
    ("discover", Part::Discover, "Look around and plan. Changes nothing."),
    (
        "emergency_stop",
        Part::EmergencyStop,
        "Look, take users away, destroy and sweep. Builds nothing.",
    ),
    ("operate", Part::Operate, "Everything that a deployment needs."),
];

/// What the pages show of how to get at accounts.
pub(crate) fn access() -> Access {
    let text = |(name, part, what): (&'static str, Part, &'static str)| PolicyText {
        name,
        what,
        text: format!("{:#}", policy(part, &PolicyScope::default())),
    };
    let line = |profile: Profile| ProfileLine {
        name: profile.name,
        region: profile.region.unwrap_or_default(),
        means: match profile.means {
            Means::Keys => "keys in a file; they never end, so prefer SSO or a role",
            Means::Process => "a program of yours",
            Means::Sso => "single sign-on",
            Means::Role => "a role",
            Means::Mfa => "a role that asks for a code; a server cannot give one",
            Means::Other => "from elsewhere",
        },
    };
    Access {
        policies: PARTS.map(text).into(),
        profiles: profiles().into_iter().map(line).collect(),
    }
}

/// Nobody measures yet: every verdict says that there is not enough evidence.
#[derive(Debug)]
pub(crate) struct Nowhere;

impl MetricSource for Nowhere {
    async fn evidence(
        &self,
        _deployment: &str,
        _metric: &MetricConfig,
        _window: RangeInclusive<Timestamp>,
    ) -> Result<Evidence, SourceError> {
        Err(SourceError::NoData {
            what: "no source of measurements is connected".into(),
        })
    }
}
