//! The Cloud port on the AWS SDK: Elastic Load Balancing, EC2 and S3 of one account and region.
//!
//! Carries out steps and tells what stands; it decides nothing: no goal, phase or verdict is asked here. It must never
//! make a call that is not in [`calls`], nor touch what does not carry our tags.

mod apply;
mod boot;
pub mod calls;
mod connect;
mod discover;
mod error;
mod listing;
mod memory;
mod observe;
mod policy;
mod resolve;
mod tags;
mod uploads;
mod words;

use std::path::PathBuf;
use std::sync::Arc;

use arya_judge::Timestamp;
use arya_plan::cloud::{Cloud, CloudError};
use arya_plan::desired::Desired;
use arya_plan::identity::{DeploymentId, InstallationId};
use arya_plan::listener::Site;
use arya_plan::observed::Observed;
use arya_plan::plan::Step;
use arya_plan::spec::Spec;

pub use boot::{Boot, Launch};
pub use connect::{ConnectionSettings, Identity};
pub use policy::{POLICY_MAX, PolicyScope, policy};

use connect::Clients;
use memory::Memory;
use uploads::Uploads;

/// What a cloud is made from.
#[derive(Debug, Clone)]
pub struct AwsSettings {
    pub connection: ConnectionSettings,
    pub installation: InstallationId,
    /// Uploaded files, named by the 64 hexadecimal digits of their SHA-256.
    pub artifacts_dir: PathBuf,
    /// Whose image the word `default` means; `None` = Debian's own account.
    pub image_owner: Option<String>,
    /// What an instance runs at its first boot.
    pub boot: Arc<dyn Boot>,
}

/// One account and region. Clones are the same cloud.
#[derive(Debug, Clone)]
pub struct AwsCloud(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clients: Clients,
    identity: Identity,
    settings: AwsSettings,
    memory: Memory,
    uploads: Uploads,
    /// Launches of one look open the same group's ports: one after the other, so that the first does and the rest see it.
    opening: tokio::sync::Mutex<()>,
}

impl AwsCloud {
    /// Loads the connection and asks who we are.
    ///
    /// # Errors
    /// There is no region, the credentials are not accepted, or AWS does not answer.
    pub async fn connect(settings: AwsSettings) -> Result<Self, CloudError> {
        let clients = Clients::new(&settings.connection).await?;
        let identity = clients.identity().await?;
        Ok(Self(Arc::new(Inner {
            clients,
            identity,
            settings,
            memory: Memory::default(),
            uploads: Uploads::default(),
            opening: tokio::sync::Mutex::default(),
        })))
    }

    pub fn identity(&self) -> &Identity {
        &self.0.identity
    }

    /// The spec with every word such as `same_as_production` replaced by what it stands for now, so that nothing is left
    /// to choose when the plan is carried out.
    ///
    /// # Errors
    /// A word stands for nothing here, or AWS does not answer.
    pub async fn resolve(&self, spec: &Spec) -> Result<Spec, CloudError> {
        self.0.resolve(spec).await
    }
}

impl Cloud for AwsCloud {
    async fn discover(&self) -> Result<Vec<Site>, CloudError> {
        self.0.discover().await
    }

    async fn list(&self) -> Result<Vec<DeploymentId>, CloudError> {
        self.0.list().await
    }

    async fn observe(&self, desired: &Desired, now: Timestamp) -> Result<Observed, CloudError> {
        self.0.observe(desired, now).await
    }

    async fn apply(&self, desired: &Desired, step: &Step) -> Result<(), CloudError> {
        apply::apply(&self.0, desired, step).await
    }
}
