//! The Cloud port on the AWS SDK: Elastic Load Balancing, EC2 and S3 of one account and region.
//!
//! Carries out steps and tells what stands; it decides nothing: no goal, phase or verdict is asked here. It must never
//! make a call that is not in [`calls`], nor touch what does not carry our tags.

mod apply;
mod boot;
pub mod calls;
mod cloudwatch;
mod connect;
mod credentials;
mod discover;
mod error;
mod evidence;
mod left;
mod leftovers;
mod listing;
mod logs;
mod memory;
mod observe;
mod pace;
mod policy;
mod posted;
mod preflight;
mod resolve;
mod span;
mod surroundings;
mod tags;
mod traffic;
mod uploads;
mod words;

use std::path::PathBuf;
use std::sync::Arc;

use arya_judge::Timestamp;
use arya_plan::cloud::{Cloud, CloudError};
use arya_plan::desired::Desired;
use arya_plan::identity::{DeploymentId, InstallationId};
use arya_plan::listener::{ListenerId, Site};
use arya_plan::observed::Observed;
use arya_plan::plan::Step;
use arya_plan::spec::Spec;
use arya_plan::surroundings::{Rights, Surroundings, Tenure};

pub use boot::{Door, DoorKey};
pub use cloudwatch::{PRICE_OF_A_METRIC, STATISTICS_OF_A_GROUP};
pub use connect::{ConnectionSettings, Identity};
pub use evidence::MeasuredBy;
pub use leftovers::{Leftover, Leftovers};
pub use pace::{Allowance, Clock};
pub use policy::{POLICY_MAX, PolicyScope, policy};

use boot::SignedBy;
use connect::Clients;
use evidence::Measuring;
use memory::Memory;
use pace::{Pace, Rank, Who, look, paced};
pub use uploads::BareBucket;
use uploads::Uploads;

/// What a cloud is made from.
#[derive(Debug, Clone)]
pub struct AwsSettings {
    pub connection: ConnectionSettings,
    pub installation: InstallationId,
    /// Uploaded files, named by the 64 hexadecimal digits of their SHA-256.
    pub artifacts_dir: PathBuf,
    /// Where logs and exports are kept when a bucket goes, in a folder of the deployment's id; `None` = they are not.
    pub left_dir: Option<PathBuf>,
    /// Whose image the word `default` means; `None` = Debian's own account.
    pub image_owner: Option<String>,
    /// What every monitor's password is made from.
    pub door_key: DoorKey,
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
    pace: Arc<Pace>,
    uploads: Uploads,
    measuring: Measuring,
    signed_by: SignedBy,
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
        clients.note_key().await;
        let connection = &settings.connection;
        let (clock, endpoint) = (connection.clock.clone(), clients.endpoint.clone());
        let allowance = connection.allowance.unwrap_or_else(|| Allowance::at(&endpoint));
        let account = (identity.account.clone(), identity.region.clone(), endpoint);
        let pace = Pace::of(account, clock.clone(), allowance);
        Ok(Self(Arc::new(Inner {
            clients,
            identity,
            settings,
            memory: Memory::new(&clock),
            pace,
            uploads: Uploads::default(),
            measuring: Measuring::default(),
            signed_by: SignedBy::default(),
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
        self.0.person(self.0.resolve(spec)).await
    }

    /// The listener of a spec as it is now, whatever else stands in the account; `None` = there is none.
    ///
    /// # Errors
    /// AWS does not answer, or does not let us look.
    pub async fn site(&self, spec: &Spec) -> Result<Option<Site>, CloudError> {
        self.0.person(self.0.site_for(spec)).await
    }

    /// What the identity may do, in front of that listener or anywhere. Changes nothing; answers are kept for a minute.
    pub async fn preflight(&self, listener: Option<&ListenerId>) -> Rights {
        self.0.page(self.0.preflight(listener, None)).await
    }

    /// What stands around the listener of a spec whose words are resolved, as facts for its plan.
    ///
    /// # Errors
    /// AWS does not answer. What it does not let us read is no error but a right that is missing.
    pub async fn surroundings(&self, spec: &Spec, site: &Site) -> Result<Surroundings, CloudError> {
        self.0.person(self.0.surroundings(spec, site)).await
    }

    /// How long the credentials hold, as far as they say.
    pub async fn tenure(&self) -> Tenure {
        self.0.clients.tenure().await
    }

    /// What stands of every deployment of any installation, by tags alone, as far as it is shown.
    ///
    /// # Errors
    /// The load balancers are not shown.
    pub async fn leftovers(&self) -> Result<Leftovers, CloudError> {
        self.0.page(self.0.leftovers()).await
    }
}

impl Inner {
    /// What a person waits for.
    async fn person<T>(&self, work: impl Future<Output = T>) -> T {
        paced(&self.pace, Who::Waits(Rank::Person), work).await
    }

    /// What a look waits for, beside what it sees itself.
    async fn beside_a_look<T>(&self, work: impl Future<Output = T>) -> T {
        paced(&self.pace, Who::Waits(Rank::Look), work).await
    }

    /// What is shown when it is there.
    async fn page<T>(&self, work: impl Future<Output = T>) -> T {
        paced(&self.pace, Who::Waits(Rank::Page), work).await
    }

    /// Seen from another account everything of a deployment would be gone, which is what *destroyed* looks like.
    async fn is_here(&self, desired: &Desired) -> Result<(), CloudError> {
        self.identity.has(desired.spec.listener.as_str())?;
        self.clients.still(&self.identity).await
    }

    /// The next look must see what a step did, whether it said so or not.
    async fn forget_what_changed(&self, desired: &Desired, step: &Step) {
        match step {
            Step::CreateRule { .. } | Step::ModifyRule { .. } | Step::DeleteRule { .. } => {
                self.memory
                    .rules
                    .forget(desired.spec.listener.as_str().to_owned())
                    .await;
            }
            Step::LaunchInstance { .. } | Step::TerminateInstance { .. } => {
                self.memory.instances.forget(desired.installation).await;
            }
            Step::CreateBucket
            | Step::StartUpload { .. }
            | Step::CreateSecurityGroup { .. }
            | Step::CreateTargetGroup { .. }
            | Step::RegisterTarget { .. }
            | Step::CancelUploads
            | Step::DeregisterTarget { .. }
            | Step::DeleteTargetGroup { .. }
            | Step::DeleteSecurityGroup { .. }
            | Step::DeleteBucket => {}
        }
    }
}

impl Cloud for AwsCloud {
    async fn discover(&self) -> Result<Vec<Site>, CloudError> {
        self.0.page(self.0.discover()).await
    }

    async fn list(&self) -> Result<Vec<DeploymentId>, CloudError> {
        self.0.person(self.0.list()).await
    }

    async fn observe(&self, desired: &Desired, now: Timestamp) -> Result<Observed, CloudError> {
        self.0.is_here(desired).await?;
        // On the heap, here and below: what the SDK's calls are nested in is deeper than the compiler likes to lay out.
        let looking = Box::pin(self.0.observe(desired, now));
        let (seen, again) = look(&self.0.pace, desired.id, looking).await;
        if let Ok(seen) = &seen {
            self.0.measuring.note(desired, seen);
        }
        seen.map(|seen| Observed {
            look_again_at_least: again,
            ..seen
        })
    }

    async fn apply(&self, desired: &Desired, step: &Step) -> Result<(), CloudError> {
        self.0.is_here(desired).await?;
        let work = Box::pin(apply::apply(&self.0, desired, step));
        let done = paced(&self.0.pace, Who::Step, work).await;
        self.0.forget_what_changed(desired, step).await;
        done
    }
}
